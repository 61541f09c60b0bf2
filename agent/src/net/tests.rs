//! What becomes of what is told.

use std::net::SocketAddr;

use super::*;
use crate::protocol::tls::{Certificate, Certificates, Outcome};

const OPTIONS: Options = Options {
    series_per_service: 4,
    series_total: 6,
    names: 4,
    edges: 3,
    handshakes: 3,
    addresses: false,
    service_graph: true,
    span_metrics: false,
};

const SECOND: Duration = Duration::from_secs(1);

fn snapshot(registry: &Registry, want: Want) -> Snapshot {
    registry.snapshot(|service| Arc::new(Service::named(&format!("service-{}", service.0))), want)
}

fn graph(registry: &Registry) -> Snapshot {
    snapshot(registry, Want::Graph)
}

/// The observed end's role, and both ends' addresses, as classes.
fn ends(role: Role, client: &str, server: &str) -> Ends {
    let (client, server): (SocketAddr, SocketAddr) = (client.parse().unwrap(), server.parse().unwrap());
    Ends {
        role,
        service: ServiceId(1),
        client,
        server,
        client_peer: Peer::Class(AddressClass::of(client.ip())),
        server_peer: Peer::Class(AddressClass::of(server.ip())),
    }
}

fn usage(registry: &Registry, table: &str) -> (usize, usize, u64) {
    let table = registry.tables().into_iter().find(|entry| entry.name == table).unwrap();
    (table.entries, table.limit, table.overflowed)
}

#[test]
fn a_connection_adds_to_its_series_while_it_is_open() {
    let mut registry = Registry::new(OPTIONS);
    let peer = registry.unnamed("192.0.2.1".parse().unwrap());
    let key = TcpKey { service: ServiceId(1), role: Role::Client, peer, port: 443 };
    let id = registry.tcp(key);
    registry.tcp_opened(id, Some(SECOND));
    registry.tcp_active(id, 1);
    let delta = Totals { tx_bytes: 10, rx_bytes: 20, retransmits: 1, rx_full_ns: 5, ..Totals::default() };
    registry.tcp_progress(id, &delta, None);
    registry.tcp_progress(id, &delta, Some(SECOND));
    assert_eq!(registry.tcp(key), id);

    let stats = snapshot(&registry, Want::Metrics).tcp[0].value.clone();
    assert_eq!((stats.opened, stats.active, stats.bytes), (1, 1, [20, 40]));
    assert_eq!((stats.retransmits, stats.window_full), (2, [0, 10]));
    assert_eq!((stats.connect.count, stats.round_trip.count, stats.life.count), (1, 1, 0));

    registry.tcp_active(id, -1);
    registry.tcp_closed(id, CloseReason::Timeout, Some(SECOND));
    registry.tcp_closed(id, CloseReason::Unknown, None);
    let stats = snapshot(&registry, Want::Metrics).tcp[0].value.clone();
    assert_eq!((stats.active, stats.closed, stats.life.count), (0, [0, 0, 0, 1, 1], 1));
}

#[test]
fn what_a_connection_claims_cannot_overflow() {
    let mut registry = Registry::new(OPTIONS);
    let peer = Peer::Class(AddressClass::Public);
    let id = registry.tcp(TcpKey { service: ServiceId(1), role: Role::Client, peer, port: 1 });
    let delta = Totals { rx_bytes: u64::MAX, rx_out_of_order: u64::MAX, ..Totals::default() };
    let change =
        EdgeChange { sent: u64::MAX, retransmits: u64::MAX, lasted: Duration::MAX, ..EdgeChange::default() };
    for role in [Role::Client, Role::Server, Role::Client] {
        registry.tcp_progress(id, &delta, Some(Duration::MAX));
        registry.connection(&ends(role, "10.0.0.1:5", "10.0.0.2:1"), &change);
    }
    let snapshot = graph(&registry);
    let (stats, edge) = (&snapshot.tcp[0].value, &snapshot.edges[0]);
    assert_eq!((stats.bytes, stats.out_of_order, stats.round_trip.count), ([0, u64::MAX], u64::MAX, 3));
    assert_eq!((edge.sent, edge.retransmits, edge.lasted), (u64::MAX, u64::MAX, Duration::MAX));
}

#[test]
fn failures_are_with_their_series() {
    let mut registry = Registry::new(OPTIONS);
    let mut series = |port| {
        let peer = Peer::Class(AddressClass::Public);
        registry.tcp(TcpKey { service: ServiceId(1), role: Role::Client, peer, port })
    };
    let (without, one, other) = (series(1), series(2), series(3));
    registry.tcp_opened(without, None);
    registry.tcp_failed(one, ConnectFailure::Refused, Some(SECOND));
    registry.tcp_failed(other, ConnectFailure::TimedOut, None);
    registry.tcp_failed(one, ConnectFailure::Refused, None);
    let snapshot = snapshot(&registry, Want::Metrics);
    let failures: Vec<_> = snapshot.tcp.iter().map(|series| series.value.failures.as_deref()).collect();
    let counts: Vec<_> = failures.iter().map(|failures| failures.map(|failures| failures.count)).collect();
    assert_eq!(counts, [None, Some([2, 0, 0, 0, 0, 0]), Some([0, 1, 0, 0, 0, 0])]);
    assert_eq!(failures[1].map(|failures| failures.after[0].count), Some(1));
}

#[test]
fn what_the_budget_refuses_goes_to_an_overflow_series_and_is_counted() {
    let mut registry = Registry::new(OPTIONS);
    for port in 0..10 {
        let peer = Peer::Class(AddressClass::Private);
        let id = registry.tcp(TcpKey { service: ServiceId(1), role: Role::Server, peer, port });
        registry.tcp_opened(id, None);
        let key = UdpKey { service: ServiceId(1), role: Role::Server, peer, port };
        registry.udp(key, &UdpCounts { rx_packets: 1, ..UdpCounts::default() });
    }
    let snapshot = snapshot(&registry, Want::Metrics);
    let opened: Vec<_> =
        snapshot.tcp.iter().map(|series| (series.labels.is_some(), series.value.opened)).collect();
    assert_eq!(opened, [(true, 1), (true, 1), (true, 1), (true, 1), (false, 6)]);
    let packets: u64 = snapshot.udp.iter().map(|series| series.value.packets[1]).sum();
    assert_eq!(packets, 10);
    assert_eq!((usage(&registry, "tcp_series"), usage(&registry, "udp_series")), ((4, 6, 6), (4, 6, 6)));
}

#[test]
fn addresses_are_told_only_if_asked_for() {
    let address = "::ffff:10.0.0.1".parse().unwrap();
    let text = |addresses| {
        let registry = Registry::new(Options { addresses, ..OPTIONS });
        snapshot(&registry, Want::Metrics).peer(registry.unnamed(address)).to_string()
    };
    assert_eq!([text(false), text(true)], ["private", "10.0.0.1"]);
}

#[test]
fn both_ends_of_an_edge_tell_of_the_same_connections() {
    let mut registry = Registry::new(OPTIONS);
    let server = ends(Role::Server, "[::ffff:10.0.0.1]:5", "[::ffff:10.0.0.2]:80");
    let client =
        Ends { client_peer: Peer::Service(ServiceId(7)), ..ends(Role::Client, "10.0.0.1:5", "10.0.0.2:80") };
    let change = EdgeChange { opened: 1, at: 5_000_000_000, ..EdgeChange::default() };
    registry.connection(&server, &change);
    registry.connection(&client, &EdgeChange { at: 4_000_000_000, ..change });
    let change =
        EdgeChange { sent: 10, received: 300, retransmits: 1, at: 6_000_000_000, ..EdgeChange::default() };
    registry.connection(&client, &change);
    registry.connection(&server, &EdgeChange { closed: 1, lasted: SECOND, received: 200, ..change });

    let snapshot = graph(&registry);
    let [edge] = snapshot.edges.as_slice() else { panic!("one edge") };
    assert_eq!((edge.opened, edge.closed, edge.active), (1, 1, 1));
    assert_eq!((edge.sent, edge.received, edge.retransmits), (10, 300, 2));
    assert_eq!((edge.lasted, edge.longest), (SECOND, SECOND));
    assert_eq!((&*edge.client_name, edge.client_is_named), ("service-7", true));
    assert_eq!((&*edge.server_name, edge.server_is_named), ("private", false));
    assert_eq!(edge.last_seen, std::time::UNIX_EPOCH + 6 * SECOND);
    assert!(self::snapshot(&registry, Want::Metrics).edges.is_empty());
}

#[test]
fn the_edge_longest_not_seen_is_given_up() {
    let mut registry = Registry::new(OPTIONS);
    let change = EdgeChange { opened: 1, ..EdgeChange::default() };
    for port in [1, 2, 3, 1, 4] {
        registry.connection(&ends(Role::Client, "10.0.0.1:5", &format!("10.0.0.2:{port}")), &change);
    }
    let ports: Vec<_> = graph(&registry).edges.iter().map(|edge| (edge.port, edge.opened)).collect();
    assert_eq!(ports, [(4, 1), (1, 2), (3, 1)]);
    assert_eq!(usage(&registry, "edges"), (3, 3, 1));
    // Its end comes after it was given up: it was never among the active.
    let closed = EdgeChange { closed: 1, ..EdgeChange::default() };
    registry.connection(&ends(Role::Client, "10.0.0.1:5", "10.0.0.2:2"), &closed);
    assert_eq!((graph(&registry).edges[0].closed, graph(&registry).edges[0].active), (1, 0));
}

fn handshake(name: &str) -> Handshake {
    Handshake { server_name: Some(name.into()), outcome: Outcome::Established, ..Handshake::default() }
}

#[test]
fn handshakes_alike_are_one_with_a_count() {
    let mut registry = Registry::new(OPTIONS);
    let client = ends(Role::Client, "10.0.0.1:5", "192.0.2.1:443");
    let server = Ends { role: Role::Server, ..client };
    for (ends, name) in [(&client, "a"), (&client, "b"), (&client, "a"), (&server, "a")] {
        registry.tls(ends, handshake(name), 1_000_000_000);
    }
    let views = graph(&registry).handshakes;
    let seen: Vec<_> =
        views.iter().map(|view| (view.id, view.count, view.handshake.server_name.as_deref())).collect();
    assert_eq!(seen, [(1, 2, Some("a")), (2, 1, Some("b"))]);
    for name in ["c", "b", "d"] {
        registry.tls(&client, handshake(name), 2_000_000_000);
    }
    let ids: Vec<_> = graph(&registry).handshakes.iter().map(|view| view.id).collect();
    assert_eq!(ids, [4, 2, 3]);
    assert_eq!(usage(&registry, "handshakes"), (3, 3, 1));
}

#[test]
fn large_handshakes_are_kept_within_their_bytes() {
    let mut registry = Registry::new(Options { handshakes: 1000, ..OPTIONS });
    let names = vec!["n".repeat(HANDSHAKE_BYTES / 10).into_boxed_str()];
    let chain = vec![Certificate { alternative_names: names, ..Certificate::default() }];
    for name in 0..50 {
        let server_certificates = Certificates::Shown(chain.clone());
        let ends = ends(Role::Client, "10.0.0.1:5", "192.0.2.1:443");
        registry.tls(&ends, Handshake { server_certificates, ..handshake(&name.to_string()) }, 1);
    }
    assert_eq!(usage(&registry, "handshakes"), (9, 1000, 41));
}

#[test]
fn a_handshake_goes_by_the_name_asked_for_or_the_one_known() {
    let mut registry = Registry::new(OPTIONS);
    let known = Peer::Name(registry.name("known").unwrap());
    let ends = Ends { server_peer: known, ..ends(Role::Client, "10.0.0.1:5", "192.0.2.1:443") };
    registry.tls(&ends, handshake("asked"), 1);
    registry.tls(&ends, Handshake { server_name: None, ..handshake("") }, 1);
    registry.tls(&ends, Handshake { outcome: Outcome::Unobserved, ..handshake("unseen") }, 1);
    let snapshot = graph(&registry);
    let servers: Vec<_> = snapshot.tls.iter().map(|series| series.labels.as_ref()?.server.as_deref()).collect();
    assert_eq!(servers, [Some("asked"), Some("known")]);
    assert_eq!((snapshot.tls_unobserved, snapshot.handshakes.len()), (1, 3));
}

#[test]
fn each_request_of_an_edge_counts_once() {
    let mut registry = Registry::new(OPTIONS);
    let name = registry.name("service-2").unwrap();
    let (one, two) = (Peer::Service(ServiceId(1)), Peer::Service(ServiceId(2)));
    let edge = registry.edge(one, two);
    registry.request(edge, Role::Client, true, true, Some(2 * SECOND), false);
    registry.request(edge, Role::Server, false, true, Some(SECOND), false);
    // A name that reads as a service is the same node to a reader.
    let alone = registry.edge(one, Peer::Name(name));
    registry.request(alone, Role::Client, true, false, Some(SECOND), true);
    let snapshot = graph(&registry);
    let [edge] = snapshot.requests.as_slice() else { panic!("one edge") };
    assert_eq!((&*edge.client, &*edge.server, edge.requests, edge.failed), ("service-1", "service-2", 2, 1));
    assert_eq!((edge.client_seconds.sum, edge.server_seconds.sum), (3_000_000_000, 2_000_000_000));
}

#[test]
fn requests_beyond_the_edges_are_in_one_that_is_no_view() {
    let mut registry = Registry::new(OPTIONS);
    for service in 0..10 {
        let edge = registry.edge(Peer::Service(ServiceId(service)), Peer::Class(AddressClass::Public));
        registry.request(edge, Role::Client, true, false, None, false);
    }
    let snapshot = graph(&registry);
    let counts: Vec<_> =
        snapshot.request_edges.iter().map(|edge| (edge.labels.is_some(), edge.value.requests)).collect();
    assert_eq!(counts, [(true, 1), (true, 1), (true, 1), (false, 7)]);
    assert_eq!((snapshot.requests.len(), usage(&registry, "request_edges")), (3, (3, 3, 7)));
}

#[test]
fn without_a_service_graph_requests_are_nowhere() {
    let mut registry = Registry::new(Options { service_graph: false, ..OPTIONS });
    let edge = registry.edge(Peer::Service(ServiceId(1)), Peer::Service(ServiceId(2)));
    registry.request(edge, Role::Client, true, true, Some(SECOND), false);
    assert_eq!(edge, Place::NONE);
    assert!(graph(&registry).request_edges.is_empty());
}
