//! The node graph of k8spacket's API (`/nodegraph/…`), and of Grafana's node graph API data source that reads it.
//!
//! Field for field the same, with these errors of it left out: bytes a second are of seconds, not of milliseconds; a
//! duration below a millisecond is called so and not one below a microsecond; connections that are still open count.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use serde::{Serialize, Serializer};

use super::{
    Query, Statistic,
    query::Subject,
    text::{Bytes, GoDuration, Rfc3339},
};
use crate::net;

/// All that passed between two addresses, whatever the port: an element of `/nodegraph/connections`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection<'a> {
    src: String,
    src_name: &'a str,
    src_namespace: &'a str,
    dst: String,
    dst_name: &'a str,
    dst_namespace: &'a str,
    conn_count: u64,
    conn_persistent: u64,
    bytes_sent: u64,
    bytes_received: u64,
    #[serde(serialize_with = "milliseconds")]
    duration: Duration,
    #[serde(serialize_with = "milliseconds")]
    max_duration: Duration,
    #[serde(serialize_with = "moment")]
    last_seen: SystemTime,
    #[serde(skip)]
    closed: u64,
}

/// `/nodegraph/api/graph/data`
#[derive(Clone, Debug, Serialize)]
pub struct Data {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    id: String,
    title: String,
    sub_title: String,
    main_stat: String,
    secondary_stat: String,
    #[serde(rename = "arc__1")]
    arc_1: f64,
    #[serde(rename = "arc__2")]
    arc_2: f64,
    #[serde(rename = "arc__3")]
    arc_3: f64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Edge {
    id: String,
    source: String,
    target: String,
    main_stat: String,
    secondary_stat: String,
}

/// The connections that `query` admits, by address.
#[must_use]
pub fn connections<'a>(net: &'a net::Snapshot, query: &Query) -> Vec<Connection<'a>> {
    let mut all: BTreeMap<(IpAddr, IpAddr), Connection<'a>> = BTreeMap::new();
    for edge in &net.edges {
        let (client, server) = (edge.client.to_canonical(), edge.server.to_canonical());
        let connection = all.entry((client, server)).or_insert_with(|| Connection {
            src: client.to_string(),
            src_name: &edge.client_name,
            src_namespace: "",
            dst: server.to_string(),
            dst_name: &edge.server_name,
            dst_namespace: "",
            conn_count: 0,
            conn_persistent: 0,
            bytes_sent: 0,
            bytes_received: 0,
            duration: Duration::ZERO,
            max_duration: Duration::ZERO,
            last_seen: edge.last_seen,
            closed: 0,
        });
        if edge.client_is_named {
            connection.src_name = &edge.client_name;
        }
        if edge.server_is_named {
            connection.dst_name = &edge.server_name;
        }
        connection.conn_count += edge.closed + edge.active;
        connection.conn_persistent += edge.persistent;
        connection.bytes_sent += edge.sent;
        connection.bytes_received += edge.received;
        connection.duration = connection.duration.saturating_add(edge.lasted);
        connection.max_duration = connection.max_duration.max(edge.longest);
        connection.last_seen = connection.last_seen.max(edge.last_seen);
        connection.closed += edge.closed;
    }
    all.into_values().filter(|connection| query.admits(&connection.subject())).collect()
}

/// The graph of the connections that `query` admits, with the numbers that it asks for.
#[must_use]
pub fn data(net: &net::Snapshot, query: &Query) -> Data {
    let connections = connections(net, query);
    let mut ends: BTreeMap<&str, End<'_>> = BTreeMap::new();
    let mut edges = Vec::with_capacity(connections.len());
    for connection in &connections {
        let client = ends.entry(&connection.src).or_insert_with(|| End::new(connection.src_name));
        client.sum.sent += connection.bytes_sent;
        client.sum.received += connection.bytes_received;
        client.sum.open_elsewhere |= connection.sum().is_open();
        client.sum.elsewhere = client.sum.elsewhere.saturating_add(connection.duration);
        let server = ends.entry(&connection.dst).or_insert_with(|| End::new(connection.dst_name));
        server.sum.add_served(connection);
        let [main_stat, secondary_stat] = connection.sum().edge_texts(query.statistic);
        edges.push(Edge {
            id: format!("{}-{}", connection.src, connection.dst),
            source: connection.src.clone(),
            target: connection.dst.clone(),
            main_stat,
            secondary_stat,
        });
    }
    let nodes = ends.into_iter().map(|(address, end)| {
        let ([main_stat, secondary_stat], [arc_1, arc_2]) = end.sum.node_texts(query.statistic);
        let (id, title, sub_title) = (address.to_owned(), end.name.to_owned(), address.to_owned());
        Node { id, title, sub_title, main_stat, secondary_stat, arc_1, arc_2, arc_3: 0.0 }
    });
    Data { nodes: nodes.collect(), edges }
}

/// `/nodegraph/api/graph/fields`: what Grafana is told about the fields of [`data`].
#[must_use]
pub fn fields(statistic: Statistic) -> serde_json::Value {
    let [main, secondary, first, second] = match statistic {
        Statistic::Connection => [
            ("All connections ", ""),
            ("Persistent connections ", ""),
            ("Persistent connections", "green"),
            ("Short-lived connections", "red"),
        ],
        Statistic::Bytes => [
            ("Bytes received ", ""),
            ("Bytes responded ", ""),
            ("Bytes received", "blue"),
            ("Bytes responded", "yellow"),
        ],
        Statistic::Duration => [
            ("Average duration ", ""),
            ("Max duration ", ""),
            ("Average duration", "purple"),
            ("Max duration", "white"),
        ],
    };
    let plain = |name: &str| serde_json::json!({ "field_name": name, "type": "string" });
    let stat = |name: &str, (display, _): (&str, &str)| serde_json::json!({ "field_name": name, "displayName": display, "type": "string" });
    let arc = |name: &str, (display, color): (&str, &str)| serde_json::json!({ "color": color, "field_name": name, "type": "number", "displayName": display });
    let edges = ["id", "source", "target", "mainStat", "secondaryStat"].map(plain);
    serde_json::json!({
        "edges_fields": edges,
        "nodes_fields": [
            plain("id"),
            plain("title"),
            plain("subTitle"),
            stat("mainStat", main),
            stat("secondaryStat", secondary),
            arc("arc__1", first),
            arc("arc__2", second),
        ],
    })
}

/// One end of connections, with what it served, and bytes of what it asked for.
struct End<'a> {
    name: &'a str,
    sum: Sum,
}

impl<'a> End<'a> {
    fn new(name: &'a str) -> Self {
        Self { name, sum: Sum::default() }
    }
}

/// What nodes and edges tell.
#[derive(Clone, Copy, Default)]
struct Sum {
    /// As a server.
    connections: u64,
    persistent: u64,
    closed: u64,
    lasted: Duration,
    longest: Duration,
    /// Bytes, those of a node as a client among them.
    sent: u64,
    received: u64,
    /// As a client: the time of its closed connections, and whether some are open.
    elsewhere: Duration,
    open_elsewhere: bool,
}

impl Sum {
    fn add_served(&mut self, connection: &Connection<'_>) {
        self.connections += connection.conn_count;
        self.persistent += connection.conn_persistent;
        self.closed += connection.closed;
        self.lasted = self.lasted.saturating_add(connection.duration);
        self.longest = self.longest.max(connection.max_duration);
        self.sent += connection.bytes_received;
        self.received += connection.bytes_sent;
    }

    /// Some connections are open; how long they have lasted so far is not known.
    const fn is_open(&self) -> bool {
        self.connections > self.closed || self.open_elsewhere
    }

    fn edge_texts(&self, statistic: Statistic) -> [String; 2] {
        match statistic {
            Statistic::Connection => self.count_texts(),
            Statistic::Bytes => {
                [format!("sent: {}", self.speed(self.sent)), format!("recv: {}", self.speed(self.received))]
            }
            Statistic::Duration => self.duration_texts(),
        }
    }

    fn node_texts(&self, statistic: Statistic) -> ([String; 2], [f64; 2]) {
        match statistic {
            Statistic::Connection if self.connections == 0 => {
                (["all: N/A".to_owned(), "persistent: N/A".to_owned()], [0.0; 2])
            }
            Statistic::Connection => {
                let part = ratio(self.persistent, self.connections);
                (self.count_texts(), [part, 1.0 - part])
            }
            Statistic::Bytes => {
                let texts =
                    [format!("recv: {}", self.speed(self.received)), format!("resp: {}", self.speed(self.sent))];
                let all = self.received + self.sent;
                (texts, [ratio(self.received, all), ratio(self.sent, all)])
            }
            Statistic::Duration => {
                let part = self.average().as_secs_f64() / self.longest.as_secs_f64();
                let arcs = if self.longest.is_zero() { [0.0; 2] } else { [part, 1.0 - part] };
                (self.duration_texts(), arcs)
            }
        }
    }

    fn count_texts(&self) -> [String; 2] {
        [format!("all: {}", self.connections), format!("persistent: {}", self.persistent)]
    }

    /// Bytes in a second of connection time. While some are open there is no saying how long they took: just the bytes.
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    fn speed(&self, bytes: u64) -> String {
        let seconds = self.lasted.saturating_add(self.elsewhere).as_secs_f64();
        if self.is_open() {
            Bytes(bytes as f64).to_string()
        } else if seconds > 0.0 {
            format!("{}/s", Bytes(bytes as f64 / seconds))
        } else {
            "N/A".to_owned()
        }
    }

    fn average(&self) -> Duration {
        let nanoseconds = self.lasted.as_nanos().checked_div(self.closed.into()).unwrap_or_default();
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    fn duration_texts(&self) -> [String; 2] {
        if self.closed == 0 || self.longest.is_zero() {
            return ["avg: N/A".to_owned(), "max: N/A".to_owned()];
        }
        let text = |duration: Duration| match duration < Duration::from_millis(1) {
            true => "<0.001s".to_owned(),
            false => GoDuration(duration).to_string(),
        };
        [format!("avg: {}", text(self.average())), format!("max: {}", text(self.longest))]
    }
}

impl Connection<'_> {
    fn subject(&self) -> Subject<'_> {
        Subject {
            last_seen: self.last_seen,
            namespaces: [self.src_namespace, self.dst_namespace],
            texts: [&self.src, self.src_name, &self.dst, self.dst_name],
        }
    }

    fn sum(&self) -> Sum {
        Sum {
            connections: self.conn_count,
            persistent: self.conn_persistent,
            closed: self.closed,
            lasted: self.duration,
            longest: self.max_duration,
            sent: self.bytes_sent,
            received: self.bytes_received,
            ..Sum::default()
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "drawn as part of a ring")]
fn ratio(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64() * 1e3)
}

/// As RFC 3339.
pub(super) fn moment<S: Serializer>(moment: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Rfc3339(*moment))
}

#[cfg(test)]
mod tests;
