use std::time::Duration;

use super::*;
use crate::{
    export::graph::testing::{edge, seen},
    net::{EdgeView, Snapshot},
};

/// `web` asks `cart` on two ports, one of them twice as often, and holds a connection to somebody unknown.
fn net() -> Snapshot {
    let edges = vec![
        edge("web 10.0.0.1", "cart 10.0.0.2", 80),
        EdgeView {
            persistent: 1,
            longest: Duration::from_millis(1_500),
            lasted: Duration::from_secs(15),
            last_seen: seen(7),
            closed: 30,
            ..edge("web 10.0.0.1", "private ::ffff:10.0.0.2", 8080)
        },
        EdgeView {
            opened: 1,
            closed: 0,
            active: 1,
            lasted: Duration::ZERO,
            longest: Duration::ZERO,
            ..edge("web 10.0.0.1", "private fd00::3", 5432)
        },
    ];
    Snapshot { edges, ..Snapshot::default() }
}

fn query(text: &str) -> Query {
    Query::parse(Some(text)).unwrap()
}

fn json(document: &impl Serialize) -> String {
    serde_json::to_string_pretty(document).unwrap()
}

#[test]
fn connections_are_merged_over_ports() {
    insta::assert_snapshot!(json(&connections(&net(), &Query::default())), @r#"
    [
      {
        "src": "10.0.0.1",
        "srcName": "web",
        "srcNamespace": "",
        "dst": "10.0.0.2",
        "dstName": "cart",
        "dstNamespace": "",
        "connCount": 40,
        "connPersistent": 1,
        "bytesSent": 10240,
        "bytesReceived": 30720,
        "duration": 20000.0,
        "maxDuration": 1500.0,
        "lastSeen": "2026-05-12T10:00:00.007Z"
      },
      {
        "src": "10.0.0.1",
        "srcName": "web",
        "srcNamespace": "",
        "dst": "fd00::3",
        "dstName": "private",
        "dstNamespace": "",
        "connCount": 1,
        "connPersistent": 0,
        "bytesSent": 5120,
        "bytesReceived": 15360,
        "duration": 0.0,
        "maxDuration": 0.0,
        "lastSeen": "2026-05-12T10:00:00Z"
      }
    ]
    "#);
    assert_eq!(json(&connections(&Snapshot::default(), &Query::default())), "[]");
}

#[test]
fn what_the_query_admits() {
    for (text, expected) in [
        ("", vec!["10.0.0.2", "fd00::3"]),
        ("include=cart", vec!["10.0.0.2"]),
        ("exclude=^cart", vec!["fd00::3"]),
        ("include=fd00", vec!["fd00::3"]),
        ("from=1778580000006", vec!["10.0.0.2"]),
        ("to=1778580000007", vec!["fd00::3"]),
        ("namespace=shop", vec![]),
    ] {
        let net = net();
        let shown = connections(&net, &query(text));
        assert_eq!(shown.iter().map(|connection| connection.dst.as_str()).collect::<Vec<_>>(), expected, "{text}");
        assert_eq!(data(&net, &query(text)).edges.len(), expected.len());
    }
}

#[test]
fn the_graph_of_connections() {
    insta::assert_snapshot!(json(&data(&net(), &query("stats-type=connection"))), @r#"
    {
      "nodes": [
        {
          "id": "10.0.0.1",
          "title": "web",
          "subTitle": "10.0.0.1",
          "mainStat": "all: N/A",
          "secondaryStat": "persistent: N/A",
          "arc__1": 0.0,
          "arc__2": 0.0,
          "arc__3": 0.0
        },
        {
          "id": "10.0.0.2",
          "title": "cart",
          "subTitle": "10.0.0.2",
          "mainStat": "all: 40",
          "secondaryStat": "persistent: 1",
          "arc__1": 0.025,
          "arc__2": 0.975,
          "arc__3": 0.0
        },
        {
          "id": "fd00::3",
          "title": "private",
          "subTitle": "fd00::3",
          "mainStat": "all: 1",
          "secondaryStat": "persistent: 0",
          "arc__1": 0.0,
          "arc__2": 1.0,
          "arc__3": 0.0
        }
      ],
      "edges": [
        {
          "id": "10.0.0.1-10.0.0.2",
          "source": "10.0.0.1",
          "target": "10.0.0.2",
          "mainStat": "all: 40",
          "secondaryStat": "persistent: 1"
        },
        {
          "id": "10.0.0.1-fd00::3",
          "source": "10.0.0.1",
          "target": "fd00::3",
          "mainStat": "all: 1",
          "secondaryStat": "persistent: 0"
        }
      ]
    }
    "#);
    let nothing = data(&Snapshot::default(), &Query::default());
    assert_eq!(serde_json::to_string(&nothing).unwrap(), r#"{"nodes":[],"edges":[]}"#);
}

/// The texts and arcs of each node, and the texts of each edge.
fn told(net: &Snapshot, statistic: &str) -> String {
    let data = data(net, &query(&format!("stats-type={statistic}")));
    let nodes = data.nodes.iter().map(|node| {
        let (main, secondary) = (&node.main_stat, &node.secondary_stat);
        format!("{}: {main}, {secondary}, {:.3} {:.3}\n", node.id, node.arc_1, node.arc_2)
    });
    let edges =
        data.edges.iter().map(|edge| format!("{}: {}, {}\n", edge.id, edge.main_stat, edge.secondary_stat));
    nodes.chain(edges).collect()
}

#[test]
fn bytes_are_a_second_where_the_time_is_known() {
    // 10 KiB one way and 30 KiB the other in 20 s; what is open has no time yet.
    insta::assert_snapshot!(told(&net(), "bytes"), @r#"
    10.0.0.1: recv: 45.00KB, resp: 15.00KB, 0.750 0.250
    10.0.0.2: recv: 512.00B/s, resp: 1.50KB/s, 0.250 0.750
    fd00::3: recv: 5.00KB, resp: 15.00KB, 0.250 0.750
    10.0.0.1-10.0.0.2: sent: 512.00B/s, recv: 1.50KB/s
    10.0.0.1-fd00::3: sent: 5.00KB, recv: 15.00KB
    "#);
    let mut closed = net();
    closed.edges.truncate(2);
    insta::assert_snapshot!(told(&closed, "bytes"), @r#"
    10.0.0.1: recv: 1.50KB/s, resp: 512.00B/s, 0.750 0.250
    10.0.0.2: recv: 512.00B/s, resp: 1.50KB/s, 0.250 0.750
    10.0.0.1-10.0.0.2: sent: 512.00B/s, recv: 1.50KB/s
    "#);
}

#[test]
fn durations_are_of_closed_connections() {
    insta::assert_snapshot!(told(&net(), "duration"), @r#"
    10.0.0.1: avg: N/A, max: N/A, 0.000 0.000
    10.0.0.2: avg: 500ms, max: 1.5s, 0.333 0.667
    fd00::3: avg: N/A, max: N/A, 0.000 0.000
    10.0.0.1-10.0.0.2: avg: 500ms, max: 1.5s
    10.0.0.1-fd00::3: avg: N/A, max: N/A
    "#);
    let brief = EdgeView {
        lasted: Duration::from_micros(500),
        longest: Duration::from_micros(80),
        ..edge("a 10.0.0.1", "b 10.0.0.2", 1)
    };
    insta::assert_snapshot!(told(&Snapshot { edges: vec![brief], ..Snapshot::default() }, "duration"), @r#"
    10.0.0.1: avg: N/A, max: N/A, 0.000 0.000
    10.0.0.2: avg: <0.001s, max: <0.001s, 0.625 0.375
    10.0.0.1-10.0.0.2: avg: <0.001s, max: <0.001s
    "#);
}

#[test]
fn fields_of_every_statistic() {
    insta::assert_snapshot!(json(&fields(Statistic::Connection)), @r#"
    {
      "edges_fields": [
        {
          "field_name": "id",
          "type": "string"
        },
        {
          "field_name": "source",
          "type": "string"
        },
        {
          "field_name": "target",
          "type": "string"
        },
        {
          "field_name": "mainStat",
          "type": "string"
        },
        {
          "field_name": "secondaryStat",
          "type": "string"
        }
      ],
      "nodes_fields": [
        {
          "field_name": "id",
          "type": "string"
        },
        {
          "field_name": "title",
          "type": "string"
        },
        {
          "field_name": "subTitle",
          "type": "string"
        },
        {
          "field_name": "mainStat",
          "displayName": "All connections ",
          "type": "string"
        },
        {
          "field_name": "secondaryStat",
          "displayName": "Persistent connections ",
          "type": "string"
        },
        {
          "color": "green",
          "field_name": "arc__1",
          "type": "number",
          "displayName": "Persistent connections"
        },
        {
          "color": "red",
          "field_name": "arc__2",
          "type": "number",
          "displayName": "Short-lived connections"
        }
      ]
    }
    "#);
    for (statistic, expected) in [
        (Statistic::Connection, ["All connections ", "Persistent connections ", "green", "red"]),
        (Statistic::Bytes, ["Bytes received ", "Bytes responded ", "blue", "yellow"]),
        (Statistic::Duration, ["Average duration ", "Max duration ", "purple", "white"]),
    ] {
        let fields = fields(statistic);
        let nodes = &fields["nodes_fields"];
        let told = [&nodes[3]["displayName"], &nodes[4]["displayName"], &nodes[5]["color"], &nodes[6]["color"]];
        assert_eq!(told, expected, "{statistic:?}");
    }
}
