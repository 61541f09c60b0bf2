//! `/api/v1/graph`: nodes and edges as flat rows, with the field names of Grafana's node graph panel.
//!
//! Nodes are names: services of this host, and peers by the best name there is. Numbers are sums since the agent started
//! or since it first saw the edge.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::SystemTime,
};

use serde::Serialize;

use super::{Query, query::Subject, text::Bytes};
use crate::{net, red::Histogram};

/// The document.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Graph {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

/// A name that talks or is talked to.
#[derive(Clone, Debug, Serialize)]
struct Node {
    id: String,
    title: String,
    subtitle: String,
    mainstat: String,
    secondarystat: String,
    /// Part of its requests that it answered well, failed, and 1 if it has answered none that were seen.
    #[serde(rename = "arc__ok")]
    ok: f64,
    #[serde(rename = "arc__failed")]
    failed: f64,
    #[serde(rename = "arc__other")]
    other: f64,
    #[serde(rename = "detail__connections")]
    connections: u64,
    #[serde(rename = "detail__active")]
    active: u64,
    #[serde(rename = "detail__bytes_in")]
    bytes_in: u64,
    #[serde(rename = "detail__bytes_out")]
    bytes_out: u64,
    #[serde(rename = "detail__requests")]
    requests: u64,
    #[serde(rename = "detail__errors")]
    errors: u64,
}

/// All that passed between two names.
#[derive(Clone, Debug, Serialize)]
struct Edge {
    id: String,
    source: String,
    target: String,
    mainstat: String,
    secondarystat: String,
    #[serde(rename = "detail__ports")]
    ports: String,
    #[serde(rename = "detail__active")]
    active: u64,
    #[serde(rename = "detail__closed")]
    closed: u64,
    #[serde(rename = "detail__bytes_sent")]
    bytes_sent: u64,
    #[serde(rename = "detail__bytes_received")]
    bytes_received: u64,
    #[serde(rename = "detail__retransmits")]
    retransmits: u64,
    #[serde(rename = "detail__http_requests")]
    http_requests: u64,
    #[serde(rename = "detail__http_failed")]
    http_failed: u64,
    #[serde(rename = "detail__http_mean_ms")]
    http_mean_ms: Option<f64>,
    #[serde(rename = "detail__tls_handshakes")]
    tls_handshakes: u64,
}

/// The graph of what `query` admits. Requests count with the connections of their names; without any, whatever time the
/// query asks for.
#[must_use]
pub fn graph(net: &net::Snapshot, query: &Query) -> Graph {
    let mut ties: BTreeMap<(&str, &str), Tie> = BTreeMap::new();
    let mut refused = BTreeSet::new();
    for edge in &net.edges {
        let (client, server) = (edge.client.to_canonical(), edge.server.to_canonical());
        let names = (&*edge.client_name, &*edge.server_name);
        if !admits(query, names, (client, server), edge.last_seen) {
            refused.insert(names);
            continue;
        }
        let tie = ties.entry(names).or_default();
        tie.clients.insert(client);
        tie.servers.insert(server);
        tie.ports.insert(edge.port);
        tie.active += edge.active;
        tie.closed += edge.closed;
        tie.sent += edge.sent;
        tie.received += edge.received;
        tie.retransmits += edge.retransmits;
    }
    for view in &net.handshakes {
        if let Some(tie) = ties.get_mut(&(&*view.client_name, &*view.server_name)) {
            tie.handshakes += view.count;
        }
    }
    for requests in &net.requests {
        let names = (&*requests.client, &*requests.server);
        let texts = [names.0, names.1, names.0, names.1];
        let subject = Subject { last_seen: SystemTime::UNIX_EPOCH, namespaces: [""; 2], texts };
        let tie = match ties.get_mut(&names) {
            Some(tie) => tie,
            None if refused.contains(&names) || !query.admits_text(&subject) => continue,
            None => ties.entry(names).or_default(),
        };
        tie.requests += requests.requests;
        tie.failed += requests.failed;
        let seen =
            if requests.server_seconds.count > 0 { &requests.server_seconds } else { &requests.client_seconds };
        tie.add_durations(seen);
    }
    Graph { nodes: nodes(&ties), edges: ties.iter().map(|(names, tie)| tie.edge(names)).collect() }
}

fn admits(query: &Query, names: (&str, &str), addresses: (IpAddr, IpAddr), last_seen: SystemTime) -> bool {
    if !query.has_patterns() {
        return query.admits_time(last_seen);
    }
    let (client, server) = (addresses.0.to_string(), addresses.1.to_string());
    query.admits(&Subject { last_seen, namespaces: [""; 2], texts: [&client, names.0, &server, names.1] })
}

/// What is between two names.
#[derive(Default)]
struct Tie {
    clients: BTreeSet<IpAddr>,
    servers: BTreeSet<IpAddr>,
    ports: BTreeSet<u16>,
    active: u64,
    closed: u64,
    sent: u64,
    received: u64,
    retransmits: u64,
    handshakes: u64,
    requests: u64,
    failed: u64,
    /// Requests of known duration, and the sum of those in nanoseconds.
    timed: u64,
    nanoseconds: u128,
}

impl Tie {
    fn add_durations<const N: usize>(&mut self, histogram: &Histogram<N>) {
        self.timed += histogram.count;
        self.nanoseconds += histogram.sum;
    }

    fn edge(&self, (client, server): &(&str, &str)) -> Edge {
        let connections = self.active + self.closed;
        let bytes = self.sent + self.received;
        Edge {
            id: format!("{client} -> {server}"),
            source: (*client).to_owned(),
            target: (*server).to_owned(),
            mainstat: main_stat(self.requests, connections),
            secondarystat: secondary_stat(self.requests, self.failed, bytes),
            ports: self.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", "),
            active: self.active,
            closed: self.closed,
            bytes_sent: self.sent,
            bytes_received: self.received,
            retransmits: self.retransmits,
            http_requests: self.requests,
            http_failed: self.failed,
            http_mean_ms: self.mean_milliseconds(),
            tls_handshakes: self.handshakes,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean for people")]
    fn mean_milliseconds(&self) -> Option<f64> {
        (self.timed > 0).then(|| self.nanoseconds as f64 / self.timed as f64 / 1e6)
    }
}

/// A name with all its ties.
#[derive(Default)]
struct End {
    addresses: BTreeSet<IpAddr>,
    connections: u64,
    active: u64,
    bytes_in: u64,
    bytes_out: u64,
    requests: u64,
    failed: u64,
}

fn nodes(ties: &BTreeMap<(&str, &str), Tie>) -> Vec<Node> {
    let mut ends: BTreeMap<&str, End> = BTreeMap::new();
    for ((client, server), tie) in ties {
        let end = ends.entry(client).or_default();
        end.addresses.extend(&tie.clients);
        end.bytes_in += tie.received;
        end.bytes_out += tie.sent;
        end.count(tie);
        let end = ends.entry(server).or_default();
        end.addresses.extend(&tie.servers);
        end.requests += tie.requests;
        end.failed += tie.failed;
        // What a service says to itself passes once.
        if client != server {
            end.bytes_in += tie.sent;
            end.bytes_out += tie.received;
            end.count(tie);
        }
    }
    ends.into_iter().map(|(name, end)| end.node(name)).collect()
}

impl End {
    const fn count(&mut self, tie: &Tie) {
        self.connections += tie.active + tie.closed;
        self.active += tie.active;
    }

    fn node(&self, name: &str) -> Node {
        let failed = if self.requests == 0 { 0.0 } else { ratio(self.failed, self.requests) };
        let other = if self.requests == 0 { 1.0 } else { 0.0 };
        let mut addresses = self.addresses.iter();
        let subtitle = match (addresses.next(), addresses.len()) {
            (None, _) => String::new(),
            (Some(address), 0) => address.to_string(),
            (Some(_), more) => format!("{} addresses", more + 1),
        };
        Node {
            id: name.to_owned(),
            title: name.to_owned(),
            subtitle,
            mainstat: main_stat(self.requests, self.connections),
            secondarystat: secondary_stat(self.requests, self.failed, self.bytes_in + self.bytes_out),
            ok: 1.0 - failed - other,
            failed,
            other,
            connections: self.connections,
            active: self.active,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            requests: self.requests,
            errors: self.failed,
        }
    }
}

fn main_stat(requests: u64, connections: u64) -> String {
    match (requests, connections) {
        (0, 1) => "1 connection".to_owned(),
        (0, connections) => format!("{connections} connections"),
        (1, _) => "1 request".to_owned(),
        (requests, _) => format!("{requests} requests"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn secondary_stat(requests: u64, failed: u64, bytes: u64) -> String {
    match requests {
        0 => Bytes(bytes as f64).to_string(),
        _ => format!("{:.1}% failed", ratio(failed, requests) * 100.0),
    }
}

#[expect(clippy::cast_precision_loss, reason = "drawn as part of a ring")]
fn ratio(part: u64, all: u64) -> f64 {
    part as f64 / all as f64
}

#[cfg(test)]
mod tests;
