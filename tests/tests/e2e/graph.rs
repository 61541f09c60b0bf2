//! Who talks to whom: a client, HAProxy and nginx behind it, in the documents, the metrics and `redtap top`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use redtap_tests::agent::Agent;
use redtap_tests::gate::{self, free_port, tool};
use redtap_tests::hosts::{Hosts, Version};
use redtap_tests::http::{self, Answer};
use redtap_tests::metrics::Scrape;
use redtap_tests::process::{Service, output};
use redtap_tests::redtap::{Refusal, command};
use redtap_tests::servers::{Server, nginx};
use redtap_tests::wait;
use serde_json::{Value, json};

const REQUESTS: u64 = 60;
/// Those for what is not there, among them.
const MISSING: u64 = 5;

/// HAProxy on the server's host, at its address on the wire; nginx behind it, at its loopback.
struct Shop {
    hosts: Hosts,
    nginx: Server,
    front: SocketAddr,
    _haproxy: Service,
}

impl Shop {
    fn new(purpose: &str) -> Self {
        let hosts = Hosts::new(purpose);
        let place = hosts.server.namespace.place();
        let nginx = nginx(&place);
        let front = hosts.server.at(Version::V4, free_port());
        let configuration = format!(
            "defaults\nmode http\ntimeout connect 10s\ntimeout client 600s\ntimeout server 600s\n\
             option http-keep-alive\nhttp-reuse always\nfrontend in\nbind {front}\ndefault_backend out\n\
             backend out\nserver nginx {}\n",
            nginx.address()
        );
        let file = nginx.directory.path().join("haproxy.cfg");
        std::fs::write(&file, configuration).expect("a configuration file");
        let haproxy = Service::start("haproxy", place.command(&tool("haproxy")).args(["-db", "-f"]).arg(file));
        wait::until("HAProxy to listen", || {
            let sockets = hosts.server.namespace.run(&["ss", "-Hltn"]);
            sockets.contains(&front.to_string()).then_some(())
        });
        Self { hosts, nginx, front, _haproxy: haproxy }
    }

    /// All requests, by one curl on one connection.
    fn ask(&self) {
        let range = format!("http://{}/small?[1-{}]", self.front, REQUESTS - MISSING);
        let missing = format!("http://{}/missing?[1-{MISSING}]", self.front);
        self.hosts.client.namespace.run(&["curl", "-sS", "-o", "/dev/null", &range, "-o", "/dev/null", &missing]);
    }

    /// The requests that nginx has read in all, the one that asks included.
    fn read_by_nginx(&self) -> u64 {
        self.hosts.server.enter(|| redtap_tests::servers::nginx_requests(&self.nginx))
    }
}

fn ask(agent: &Agent, path: &str) -> Answer {
    http::get(agent.listen(), path).expect("an answer")
}

fn document(agent: &Agent, path: &str) -> Value {
    let answer = ask(agent, path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}: {}", answer.body))
}

#[test]
fn each_request_and_connection_is_on_one_edge() {
    let Some(turn) = gate::privileged("the graph") else { return };
    let shop = Shop::new("graph");
    let agent = Agent::start_silent(&turn.redtap, &[]);
    shop.ask();
    let port = shop.front.port().to_string();
    let told = || {
        let scrape = agent.scrape();
        let closed = scrape.count("redtap_tcp_connections_closed_total", &[("server_port", &port)]);
        // An answer is complete when it is acknowledged.
        let name = "traces_service_graph_request_server_seconds_count";
        let answered = scrape.count(name, &[("server", "nginx")]);
        (scrape, closed, answered)
    };
    let ended = wait::within(wait::PATIENCE, || match told() {
        (scrape, 2, REQUESTS) => Some(scrape),
        _ => None,
    });
    let Some(scrape) = ended else {
        let (scrape, closed, answered) = told();
        let edges: Vec<_> = scrape.find("traces_service_graph_request_total", &[]).collect();
        panic!("{closed} ends of a connection told, {answered} of {REQUESTS} answers: {edges:?}");
    };
    for name in ["opened_total", "active", "closed_total"] {
        for (labels, count) in scrape.find(&format!("redtap_tcp_connections_{name}"), &[("server_port", &port)]) {
            let expected = if name == "active" { 0.0 } else { 1.0 };
            assert!((count - expected).abs() < 0.5, "{name} {labels:?}: {count}");
        }
    }
    let bytes = assert_metrics(&scrape, &shop);
    assert_flat(&document(&agent, "/api/v1/graph"), &shop, &bytes);
    assert_by_address(&agent, &shop, &bytes);
    assert_services(&document(&agent, "/api/v1/services"), &bytes);
    assert_eq!(document(&agent, "/tlsparser/api/data"), json!([]));
}

/// Requests of the edges; bytes that the client sent to, and received from, each server.
fn assert_metrics(scrape: &Scrape, shop: &Shop) -> BTreeMap<&'static str, [u64; 2]> {
    let ends = [("curl", "haproxy", shop.front.port()), ("haproxy", "nginx", shop.nginx.port())];
    let bytes = ends.map(|(client, server, port)| {
        for (name, expected) in [
            ("traces_service_graph_request_total", REQUESTS),
            ("traces_service_graph_request_failed_total", MISSING),
            ("traces_service_graph_request_server_seconds_count", REQUESTS),
            ("traces_service_graph_request_client_seconds_count", REQUESTS),
        ] {
            for labels in
                [&[("client", client), ("server", server)][..], &[("client", client)], &[("server", server)]]
            {
                assert_eq!(scrape.count(name, labels), expected, "{name} {labels:?}");
            }
        }
        let port = port.to_string();
        let bytes = |role, direction| {
            let labels = [("role", role), ("server_port", port.as_str()), ("direction", direction)];
            scrape.count("redtap_tcp_bytes_total", &labels)
        };
        let of_client = [bytes("client", "sent"), bytes("client", "received")];
        assert_eq!(of_client, [bytes("server", "received"), bytes("server", "sent")], "bytes to {server}");
        assert!(of_client[1] > (REQUESTS - MISSING) * 612, "{of_client:?}");
        (server, of_client)
    });
    bytes.into()
}

fn assert_flat(graph: &Value, shop: &Shop, bytes: &BTreeMap<&str, [u64; 2]>) {
    let list = |key: &str| graph[key].as_array().unwrap_or_else(|| panic!("no {key}: {graph}")).clone();
    for (client, server, port, active) in
        [("curl", "haproxy", shop.front.port(), 0), ("haproxy", "nginx", shop.nginx.port(), 1)]
    {
        let edges = list("edges").into_iter().filter(|edge| edge["target"] == server).collect::<Vec<_>>();
        let [edge] = edges.as_slice() else { panic!("not one edge to {server}: {edges:?}") };
        let expected = json!({
            "id": format!("{client} -> {server}"), "source": client, "target": server,
            "mainstat": format!("{REQUESTS} requests"), "detail__ports": port.to_string(),
            "detail__active": active, "detail__closed": 1 - active,
            "detail__bytes_sent": bytes[server][0], "detail__bytes_received": bytes[server][1],
            "detail__http_requests": REQUESTS, "detail__http_failed": MISSING, "detail__tls_handshakes": 0,
        });
        assert_includes(edge, &expected);
        assert!(edge["detail__http_mean_ms"].as_f64().is_some_and(|mean| mean > 0.0), "{edge}");
    }
    for (name, address, connections, requests) in
        [("curl", "10.77.0.1", 1, 0), ("haproxy", "2 addresses", 2, REQUESTS), ("nginx", "127.0.0.1", 1, REQUESTS)]
    {
        let nodes = list("nodes").into_iter().filter(|node| node["id"] == name).collect::<Vec<_>>();
        let [node] = nodes.as_slice() else { panic!("not one node {name}: {nodes:?}") };
        let errors = if requests == 0 { 0 } else { MISSING };
        let expected = json!({
            "title": name, "subtitle": address, "detail__connections": connections, "detail__requests": requests,
            "detail__errors": errors,
        });
        assert_includes(node, &expected);
    }
}

fn assert_by_address(agent: &Agent, shop: &Shop, bytes: &BTreeMap<&str, [u64; 2]>) {
    let [client, server] =
        [&shop.hosts.client, &shop.hosts.server].map(|host| host.address(Version::V4).to_string());
    let connections = document(agent, "/nodegraph/connections?include=haproxy&exclude=nginx");
    let [connection] = connections.as_array().map_or(&[][..], Vec::as_slice) else { panic!("{connections}") };
    let expected = json!({
        "src": client, "srcName": "curl", "srcNamespace": "", "dst": server, "dstName": "haproxy", "dstNamespace": "",
        "connCount": 1, "connPersistent": 0, "bytesSent": bytes["haproxy"][0], "bytesReceived": bytes["haproxy"][1],
    });
    assert_includes(connection, &expected);
    assert_eq!(connection["duration"], connection["maxDuration"], "{connection}");
    for (statistic, main, secondary) in
        [("connection", "all: 1", "persistent: 0"), ("bytes", "sent: ", "recv: "), ("duration", "avg: ", "max: ")]
    {
        let data = document(agent, &format!("/nodegraph/api/graph/data?stats-type={statistic}&include=^curl$"));
        let nodes: Vec<_> = data["nodes"].as_array().into_iter().flatten().map(|node| &node["id"]).collect();
        assert_eq!(nodes, [client.as_str(), server.as_str()], "{data}");
        let [edge] = data["edges"].as_array().map_or(&[][..], Vec::as_slice) else { panic!("{data}") };
        assert_includes(edge, &json!({ "id": format!("{client}-{server}"), "source": client, "target": server }));
        let begins = |key: &str, with: &str| edge[key].as_str().is_some_and(|text| text.starts_with(with));
        assert!(begins("mainStat", main) && begins("secondaryStat", secondary), "{edge}");
        let fields = document(agent, &format!("/nodegraph/api/graph/fields?stats-type={statistic}"));
        assert_eq!(fields["nodes_fields"].as_array().map(Vec::len), Some(7), "{fields}");
    }
    let health = ask(agent, "/nodegraph/api/health");
    assert_eq!((health.status, health.body.as_str()), (200, ""));
}

fn assert_services(services: &Value, bytes: &BTreeMap<&str, [u64; 2]>) {
    for (name, role, errors, [into, out], active) in [
        ("curl", "client", MISSING, [bytes["haproxy"][1], bytes["haproxy"][0]], 0),
        ("haproxy", "server", 0, bytes["haproxy"], 0),
        ("haproxy", "client", MISSING, [bytes["nginx"][1], bytes["nginx"][0]], 1),
        ("nginx", "server", 0, bytes["nginx"], 1),
    ] {
        let all = services["services"].as_array().into_iter().flatten();
        let found: Vec<_> = all.filter(|row| row["name"] == name && row["role"] == role).collect();
        let [row] = found.as_slice() else { panic!("not one {role} {name}: {services}") };
        let expected = json!({
            "requests": REQUESTS, "errors": errors, "bytes_in": into, "bytes_out": out,
            "active": active,
        });
        assert_includes(row, &expected);
        assert_eq!(row["duration"]["count"], REQUESTS, "{row}");
    }
}

/// `told` has all that `expected` has.
fn assert_includes(told: &Value, expected: &Value) {
    for (key, value) in expected.as_object().into_iter().flatten() {
        assert_eq!(&told[key], value, "{key} of {told}");
    }
}

#[test]
fn parameters_that_are_not_valid_are_told_in_a_sentence() {
    let Some(turn) = gate::privileged("parameters of the graph") else { return };
    let agent = Agent::start_silent(&turn.redtap, &[]);
    let paths = [
        "/nodegraph/connections",
        "/nodegraph/api/graph/data",
        "/nodegraph/api/graph/fields",
        "/api/v1/graph",
        "/tlsparser/api/data",
    ];
    for path in paths {
        for (parameter, value) in [
            ("from", "yesterday"),
            ("to", "1.5"),
            ("include", "a%28"),
            ("exclude", "*"),
            ("namespace", "["),
            ("stats-type", "all"),
        ] {
            let answer = ask(&agent, &format!("{path}?{parameter}={value}"));
            assert_eq!(answer.status, 400, "{path} {parameter}: {}", answer.body);
            let told: Value = serde_json::from_str(&answer.body).expect("JSON");
            let sentence = told["error"].as_str().unwrap_or_default();
            assert!(sentence.contains(&format!("parameter {parameter} ")), "{path} {parameter}: {told}");
        }
        assert_eq!(ask(&agent, &format!("{path}?from=&to=&include=&unknown=%28")).status, 200, "{path}");
    }
    assert_eq!(ask(&agent, "/tlsparser/api/data/1").status, 404);
    assert_eq!(ask(&agent, "/api/v2/graph").status, 404);
}

#[test]
fn top_shows_the_rate_of_a_paced_load() {
    let Some(turn) = gate::privileged("redtap top") else { return };
    let shop = Shop::new("top");
    let agent = Agent::start_silent(&turn.redtap, &[]);
    let url = format!("http://{}", agent.listen());
    let target = format!("http://{}/small?[1-100000]", shop.front);
    let mut curl = shop.hosts.client.namespace.place().command(&tool("curl"));
    curl.args(["-sS", "-o", "/dev/null", "--rate", "50/s", &target]);
    let _load = Service::start("curl", &mut curl);
    let told = |name: &str| {
        let services = document(&agent, "/api/v1/services");
        let found = services["services"].as_array().into_iter().flatten().find(|row| row["name"] == name).cloned();
        found.and_then(|row| row["requests"].as_u64()).unwrap_or_default()
    };
    wait::until("the load to be told", || (told("nginx") > 5).then_some(()));
    let (before, start) = (shop.read_by_nginx(), Instant::now());
    let mut top = command(&turn.redtap);
    let text = output(top.args(["top", "--once", "--json", "--interval", "3s", "--url", &url]));
    let rate = as_rate(shop.read_by_nginx() - before) / start.elapsed().as_secs_f64();
    let top: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(top["interval"].as_f64().is_some_and(|interval| (3.0..4.0).contains(&interval)), "{text}");
    for (name, role) in [("curl", "client"), ("haproxy", "server"), ("haproxy", "client"), ("nginx", "server")] {
        let all = top["services"].as_array().into_iter().flatten();
        let found: Vec<_> = all.filter(|row| row["name"] == name && row["role"] == role).collect();
        let [row] = found.as_slice() else { panic!("not one {role} {name}: {text}") };
        let told = row["rate"].as_f64().unwrap_or_default();
        assert!(
            (told / rate - 1.0).abs() < 0.15,
            "{name}, a {role}, at {told} a second; nginx read {rate}: {text}"
        );
        assert_eq!(row["errors"], 0.0, "{row}");
        assert_eq!(row["active"], 1, "{row}");
        assert!(row["p50"].as_f64() <= row["p99"].as_f64() && row["p50"].is_f64(), "{row}");
        let carried = row["in"].as_f64().unwrap_or_default() + row["out"].as_f64().unwrap_or_default();
        assert!(carried > told * 612.0, "{row}");
    }
    let table = output(command(&turn.redtap).args(["top", "--once", "--interval", "500ms", "--url", &url]));
    let mut lines = table.lines();
    assert!(lines.next().is_some_and(|line| line.starts_with("SERVICE") && line.contains("RATE")), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert!(lines.any(|line| line.starts_with("haproxy")), "{table}");
    let filtered = ["top", "--once", "--interval", "500ms", "--filter", "NGINX", "--url", &url];
    let filtered = output(command(&turn.redtap).args(filtered));
    assert!(
        filtered.lines().skip(1).all(|line| line.starts_with("nginx")) && filtered.lines().count() == 2,
        "{filtered}"
    );
    // An agent that is not there is told of in a sentence.
    assert!(agent.stop().status.success());
    let refusal = Refusal::of(command(&turn.redtap).args(["top", "--once", "--url", &url]));
    let told = refusal.errors.contains(&url) && refusal.errors.contains("redtap run");
    assert!(refusal.is_orderly() && told, "{refusal:?}");
    assert!(refusal.errors.trim().lines().count() <= 3, "more than a sentence: {refusal:?}");
}

fn as_rate(count: u64) -> f64 {
    f64::from(u32::try_from(count).expect("a count of requests"))
}
