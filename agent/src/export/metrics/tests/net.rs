//! Families of connections, lookups, handshakes and the graph of services.

use std::{net::IpAddr, sync::Arc, time::Duration};

use redtap_ebpf::{Totals, udp::UdpCounts};

use super::{Format, Page, encode};
use crate::{
    exchange::Role,
    identity::ServiceId,
    net::{self, CloseReason, ConnectFailure, Ends, Peer, Registry, TcpKey, UdpKey, Want},
    protocol::{
        dns::{self, Lookup},
        tls::{self, Certificate, Certificates, Handshake},
    },
};

const OPTIONS: net::Options = net::Options {
    series_per_service: 3,
    series_total: 100,
    names: 10,
    edges: 10,
    handshakes: 10,
    addresses: false,
    service_graph: true,
    span_metrics: true,
};

const SHOP: ServiceId = ServiceId(1);

/// Its name is also one that a peer goes by.
const DATABASE: ServiceId = ServiceId(2);

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn connections(registry: &mut Registry) {
    let named = Peer::Name(registry.name("db").unwrap());
    let private = registry.unnamed(address("10.0.0.1"));
    let totals = Totals {
        rx_bytes: 2_000,
        tx_bytes: 1_000,
        tx_duplicate: 7,
        rx_out_of_order: 9,
        tx_full_ns: 1_500_000_000,
        rx_segments: 4,
        tx_segments: 3,
        retransmits: 1,
        ..Totals::default()
    };
    for (peer, port) in [(named, 5432), (Peer::Service(DATABASE), 5432), (private, 443), (private, 444)] {
        let id = registry.tcp(TcpKey { service: SHOP, role: Role::Client, peer, port });
        registry.tcp_opened(id, Some(Duration::from_millis(2)));
        registry.tcp_active(id, 1);
        registry.tcp_progress(id, &totals, Some(Duration::from_micros(300)));
        registry.tcp_failed(id, ConnectFailure::Refused, Some(Duration::from_millis(1)));
    }
    let id = registry.tcp(TcpKey { service: DATABASE, role: Role::Server, peer: Peer::Service(SHOP), port: 5432 });
    registry.tcp_opened(id, None);
    registry.tcp_active(id, 1);
    registry.tcp_active(id, -1);
    registry.tcp_closed(id, CloseReason::RstReceived, Some(Duration::from_secs(2)));
    let counts = UdpCounts { rx_bytes: 90, rx_packets: 1, tx_bytes: 30, tx_packets: 2, ..UdpCounts::default() };
    registry.udp(UdpKey { service: SHOP, role: Role::Client, peer: private, port: 53 }, &counts);
}

fn lookups(registry: &mut Registry) {
    for (role, outcome) in [
        (Role::Client, dns::Outcome::Answered(0)),
        (Role::Client, dns::Outcome::Answered(3)),
        (Role::Client, dns::Outcome::Timeout),
        (Role::Server, dns::Outcome::Answered(999)),
    ] {
        let lookup = Lookup {
            cgroup: 0,
            cookie: 1,
            pid: 0,
            role,
            transport: dns::Transport::Udp,
            server: "192.0.2.53:53".parse().unwrap(),
            name: "db.example".into(),
            kind: 1,
            outcome,
            asked: crate::time::Nanos(0),
            duration: Duration::from_millis(20),
            attempts: 1,
            addresses: Vec::new(),
            truncated: false,
        };
        registry.dns(if role == Role::Client { SHOP } else { DATABASE }, &lookup);
    }
}

fn handshakes(registry: &mut Registry) {
    let named = Peer::Name(registry.name("api.example").unwrap());
    let ends = Ends {
        role: Role::Client,
        service: SHOP,
        client: "10.0.0.1:40000".parse().unwrap(),
        server: "192.0.2.1:443".parse().unwrap(),
        client_peer: Peer::Service(SHOP),
        server_peer: named,
    };
    let certificate = Certificate {
        subject: "CN=api".into(),
        issuer: "CN=\"ca\"".into(),
        not_after: 1_800_000_000,
        ..Certificate::default()
    };
    let established = Handshake {
        duration: Some(Duration::from_millis(30)),
        outcome: tls::Outcome::Established,
        protocol: Some("h2".into()),
        version: Some(0x0303),
        cipher: Some(0x1301),
        group: Some(0xfefe),
        resumed: Some(false),
        server_certificates: Certificates::Shown(vec![certificate.clone()]),
        client_certificates: Certificates::Shown(vec![Certificate { not_after: -1, ..certificate }]),
        ..Handshake::default()
    };
    let failed = |outcome| Handshake { outcome, server_name: Some("shop.example".into()), ..Handshake::default() };
    registry.tls(&ends, established, 1);
    registry.tls(&ends, failed(tls::Outcome::Alert { by_client: false, description: Some(40) }), 2);
    registry.tls(&ends, failed(tls::Outcome::Alert { by_client: false, description: None }), 3);
    registry.tls(&ends, failed(tls::Outcome::Abandoned), 3);
    registry.tls(&ends, failed(tls::Outcome::Unobserved), 4);
}

fn requests(registry: &mut Registry) {
    let (shop, database) = (Peer::Service(SHOP), Peer::Service(DATABASE));
    let both = registry.edge(shop, database);
    registry.request(both, Role::Client, true, false, Some(Duration::from_millis(40)), false);
    registry.request(both, Role::Server, false, false, Some(Duration::from_millis(30)), false);
    let public = registry.unnamed(address("192.0.2.7"));
    let alone = registry.edge(public, shop);
    registry.request(alone, Role::Server, true, true, Some(Duration::from_millis(10)), true);
}

/// Something of everything; `db` is both a service and a name.
pub fn snapshot() -> net::Snapshot {
    let mut registry = Registry::new(OPTIONS);
    connections(&mut registry);
    lookups(&mut registry);
    handshakes(&mut registry);
    requests(&mut registry);
    registry.snapshot(
        |service| std::sync::Arc::new(crate::identity::Service::named(["", "shop", "db"][service.0 as usize])),
        Want::Metrics,
    )
}

/// Samples of families that begin so, buckets left out.
fn samples(starts: &[&str]) -> String {
    let text = encode(&Page { net: snapshot(), ..Page::default() }, Format::Text);
    let lines = text.lines().filter(|line| starts.iter().any(|start| line.starts_with(start)));
    lines.filter(|line| !line.contains("_bucket{")).collect::<Vec<_>>().join("\n")
}

#[test]
fn connections_and_datagrams() {
    insta::assert_snapshot!(samples(&["redtap_tcp_", "redtap_udp_"]), @r#"
    redtap_tcp_connections_opened_total{service_name="shop",role="client",peer="db",server_port="5432"} 2
    redtap_tcp_connections_opened_total{service_name="shop",role="client",peer="private",server_port="443"} 1
    redtap_tcp_connections_opened_total{service_name="shop",role="client",otel_metric_overflow="true"} 1
    redtap_tcp_connections_opened_total{service_name="db",role="server",peer="shop",server_port="5432"} 1
    redtap_tcp_connections_active{service_name="shop",role="client",peer="db",server_port="5432"} 2
    redtap_tcp_connections_active{service_name="shop",role="client",peer="private",server_port="443"} 1
    redtap_tcp_connections_active{service_name="shop",role="client",otel_metric_overflow="true"} 1
    redtap_tcp_connections_active{service_name="db",role="server",peer="shop",server_port="5432"} 0
    redtap_tcp_connections_closed_total{service_name="db",role="server",peer="shop",server_port="5432",reason="rst_received"} 1
    redtap_tcp_connect_duration_seconds_sum{service_name="shop",role="client",peer="db",server_port="5432"} 0.004
    redtap_tcp_connect_duration_seconds_count{service_name="shop",role="client",peer="db",server_port="5432"} 2
    redtap_tcp_connect_duration_seconds_sum{service_name="shop",role="client",peer="private",server_port="443"} 0.002
    redtap_tcp_connect_duration_seconds_count{service_name="shop",role="client",peer="private",server_port="443"} 1
    redtap_tcp_connect_duration_seconds_sum{service_name="shop",role="client",otel_metric_overflow="true"} 0.002
    redtap_tcp_connect_duration_seconds_count{service_name="shop",role="client",otel_metric_overflow="true"} 1
    redtap_tcp_connection_duration_seconds_sum{service_name="db",role="server",peer="shop",server_port="5432"} 2
    redtap_tcp_connection_duration_seconds_count{service_name="db",role="server",peer="shop",server_port="5432"} 1
    redtap_tcp_bytes_total{service_name="shop",role="client",peer="db",server_port="5432",direction="sent"} 2000
    redtap_tcp_bytes_total{service_name="shop",role="client",peer="db",server_port="5432",direction="received"} 4000
    redtap_tcp_bytes_total{service_name="shop",role="client",peer="private",server_port="443",direction="sent"} 1000
    redtap_tcp_bytes_total{service_name="shop",role="client",peer="private",server_port="443",direction="received"} 2000
    redtap_tcp_bytes_total{service_name="shop",role="client",otel_metric_overflow="true",direction="sent"} 1000
    redtap_tcp_bytes_total{service_name="shop",role="client",otel_metric_overflow="true",direction="received"} 2000
    redtap_tcp_bytes_total{service_name="db",role="server",peer="shop",server_port="5432",direction="sent"} 0
    redtap_tcp_bytes_total{service_name="db",role="server",peer="shop",server_port="5432",direction="received"} 0
    redtap_tcp_segments_total{service_name="shop",role="client",peer="db",server_port="5432",direction="sent"} 6
    redtap_tcp_segments_total{service_name="shop",role="client",peer="db",server_port="5432",direction="received"} 8
    redtap_tcp_segments_total{service_name="shop",role="client",peer="private",server_port="443",direction="sent"} 3
    redtap_tcp_segments_total{service_name="shop",role="client",peer="private",server_port="443",direction="received"} 4
    redtap_tcp_segments_total{service_name="shop",role="client",otel_metric_overflow="true",direction="sent"} 3
    redtap_tcp_segments_total{service_name="shop",role="client",otel_metric_overflow="true",direction="received"} 4
    redtap_tcp_segments_total{service_name="db",role="server",peer="shop",server_port="5432",direction="sent"} 0
    redtap_tcp_segments_total{service_name="db",role="server",peer="shop",server_port="5432",direction="received"} 0
    redtap_tcp_retransmitted_segments_total{service_name="shop",role="client",peer="db",server_port="5432"} 2
    redtap_tcp_retransmitted_segments_total{service_name="shop",role="client",peer="private",server_port="443"} 1
    redtap_tcp_retransmitted_segments_total{service_name="shop",role="client",otel_metric_overflow="true"} 1
    redtap_tcp_retransmitted_segments_total{service_name="db",role="server",peer="shop",server_port="5432"} 0
    redtap_tcp_duplicate_bytes_total{service_name="shop",role="client",peer="db",server_port="5432",direction="sent"} 14
    redtap_tcp_duplicate_bytes_total{service_name="shop",role="client",peer="private",server_port="443",direction="sent"} 7
    redtap_tcp_duplicate_bytes_total{service_name="shop",role="client",otel_metric_overflow="true",direction="sent"} 7
    redtap_tcp_out_of_order_bytes_total{service_name="shop",role="client",peer="db",server_port="5432"} 18
    redtap_tcp_out_of_order_bytes_total{service_name="shop",role="client",peer="private",server_port="443"} 9
    redtap_tcp_out_of_order_bytes_total{service_name="shop",role="client",otel_metric_overflow="true"} 9
    redtap_tcp_window_full_seconds_total{service_name="shop",role="client",peer="db",server_port="5432",direction="sent"} 3
    redtap_tcp_window_full_seconds_total{service_name="shop",role="client",peer="private",server_port="443",direction="sent"} 1.5
    redtap_tcp_window_full_seconds_total{service_name="shop",role="client",otel_metric_overflow="true",direction="sent"} 1.5
    redtap_tcp_round_trip_time_seconds_sum{service_name="shop",role="client",peer="db",server_port="5432"} 0.0006
    redtap_tcp_round_trip_time_seconds_count{service_name="shop",role="client",peer="db",server_port="5432"} 2
    redtap_tcp_round_trip_time_seconds_sum{service_name="shop",role="client",peer="private",server_port="443"} 0.0003
    redtap_tcp_round_trip_time_seconds_count{service_name="shop",role="client",peer="private",server_port="443"} 1
    redtap_tcp_round_trip_time_seconds_sum{service_name="shop",role="client",otel_metric_overflow="true"} 0.0003
    redtap_tcp_round_trip_time_seconds_count{service_name="shop",role="client",otel_metric_overflow="true"} 1
    redtap_tcp_connects_failed_total{service_name="shop",role="client",peer="db",server_port="5432",cause="refused"} 2
    redtap_tcp_connects_failed_total{service_name="shop",role="client",peer="private",server_port="443",cause="refused"} 1
    redtap_tcp_connects_failed_total{service_name="shop",role="client",otel_metric_overflow="true",cause="refused"} 1
    redtap_tcp_connect_failed_duration_seconds_sum{service_name="shop",role="client",peer="db",server_port="5432",cause="refused"} 0.002
    redtap_tcp_connect_failed_duration_seconds_count{service_name="shop",role="client",peer="db",server_port="5432",cause="refused"} 2
    redtap_tcp_connect_failed_duration_seconds_sum{service_name="shop",role="client",peer="private",server_port="443",cause="refused"} 0.001
    redtap_tcp_connect_failed_duration_seconds_count{service_name="shop",role="client",peer="private",server_port="443",cause="refused"} 1
    redtap_tcp_connect_failed_duration_seconds_sum{service_name="shop",role="client",otel_metric_overflow="true",cause="refused"} 0.001
    redtap_tcp_connect_failed_duration_seconds_count{service_name="shop",role="client",otel_metric_overflow="true",cause="refused"} 1
    redtap_udp_bytes_total{service_name="shop",role="client",peer="private",server_port="53",direction="sent"} 30
    redtap_udp_bytes_total{service_name="shop",role="client",peer="private",server_port="53",direction="received"} 90
    redtap_udp_packets_total{service_name="shop",role="client",peer="private",server_port="53",direction="sent"} 2
    redtap_udp_packets_total{service_name="shop",role="client",peer="private",server_port="53",direction="received"} 1
    "#);
}

#[test]
fn lookups_of_names() {
    insta::assert_snapshot!(samples(&["dns_", "redtap_dns_"]), @r#"
    dns_lookup_duration_seconds_sum{service_name="shop",dns_question_name="db.example"} 0.02
    dns_lookup_duration_seconds_count{service_name="shop",dns_question_name="db.example"} 1
    dns_lookup_duration_seconds_sum{service_name="shop",dns_question_name="db.example",error_type="nxdomain"} 0.02
    dns_lookup_duration_seconds_count{service_name="shop",dns_question_name="db.example",error_type="nxdomain"} 1
    dns_lookup_duration_seconds_sum{service_name="shop",dns_question_name="db.example",error_type="timeout"} 0.02
    dns_lookup_duration_seconds_count{service_name="shop",dns_question_name="db.example",error_type="timeout"} 1
    redtap_dns_server_lookup_duration_seconds_sum{service_name="db",error_type="999"} 0.02
    redtap_dns_server_lookup_duration_seconds_count{service_name="db",error_type="999"} 1
    "#);
}

#[test]
fn handshakes_and_certificates() {
    insta::assert_snapshot!(samples(&["redtap_tls_"]), @r#"
    redtap_tls_handshakes_total{service_name="shop",role="client",server_address="api.example",tls_protocol_version="1.2",tls_cipher="TLS_AES_128_GCM_SHA256",tls_curve="0xfefe",tls_next_protocol="h2",tls_resumed="false"} 1
    redtap_tls_handshakes_total{service_name="shop",role="client",server_address="shop.example",error_type="alert_handshake_failure"} 1
    redtap_tls_handshakes_total{service_name="shop",role="client",server_address="shop.example",error_type="alert_encrypted"} 1
    redtap_tls_handshakes_total{service_name="shop",role="client",otel_metric_overflow="true"} 1
    redtap_tls_handshakes_unobserved_total 1
    redtap_tls_handshake_duration_seconds_sum{service_name="shop",role="client",tls_protocol_version="1.2"} 0.03
    redtap_tls_handshake_duration_seconds_count{service_name="shop",role="client",tls_protocol_version="1.2"} 1
    redtap_tls_certificate_not_after_timestamp_seconds{service_name="shop",role="client",server_address="api.example",tls_server_subject="CN=api",tls_server_issuer="CN=\"ca\""} 1800000000
    redtap_tls_client_certificate_not_after_timestamp_seconds{service_name="shop",role="client",server_address="api.example",tls_client_subject="CN=api",tls_client_issuer="CN=\"ca\""} 0
    "#);
}

#[test]
fn the_graph_of_services() {
    insta::assert_snapshot!(samples(&["traces_service_graph_"]), @r#"
    traces_service_graph_request_total{client="shop",server="db",connection_type=""} 1
    traces_service_graph_request_total{client="public",server="shop",connection_type="virtual_node"} 1
    traces_service_graph_request_failed_total{client="public",server="shop",connection_type="virtual_node"} 1
    traces_service_graph_request_server_seconds_sum{client="shop",server="db",connection_type=""} 0.03
    traces_service_graph_request_server_seconds_count{client="shop",server="db",connection_type=""} 1
    traces_service_graph_request_server_seconds_sum{client="public",server="shop",connection_type="virtual_node"} 0.01
    traces_service_graph_request_server_seconds_count{client="public",server="shop",connection_type="virtual_node"} 1
    traces_service_graph_request_client_seconds_sum{client="shop",server="db",connection_type=""} 0.04
    traces_service_graph_request_client_seconds_count{client="shop",server="db",connection_type=""} 1
    traces_service_graph_request_client_seconds_sum{client="public",server="shop",connection_type="virtual_node"} 0.01
    traces_service_graph_request_client_seconds_count{client="public",server="shop",connection_type="virtual_node"} 1
    "#);
}

#[test]
fn tables_and_what_they_had_no_room_for() {
    insta::assert_snapshot!(samples(&["redtap_table_"]), @r#"
    redtap_table_entries{table="series"} 0
    redtap_table_entries{table="server_addresses"} 0
    redtap_table_entries{table="peer_names"} 2
    redtap_table_entries{table="tcp_series"} 4
    redtap_table_entries{table="udp_series"} 1
    redtap_table_entries{table="dns_series"} 4
    redtap_table_entries{table="tls_series"} 6
    redtap_table_entries{table="edges"} 0
    redtap_table_entries{table="handshakes"} 2
    redtap_table_entries{table="request_edges"} 2
    redtap_table_limit{table="series"} 0
    redtap_table_limit{table="server_addresses"} 0
    redtap_table_limit{table="peer_names"} 10
    redtap_table_limit{table="tcp_series"} 100
    redtap_table_limit{table="udp_series"} 100
    redtap_table_limit{table="dns_series"} 100
    redtap_table_limit{table="tls_series"} 300
    redtap_table_limit{table="edges"} 10
    redtap_table_limit{table="handshakes"} 10
    redtap_table_limit{table="request_edges"} 10
    redtap_table_overflowed_total{table="peer_names"} 0
    redtap_table_overflowed_total{table="tcp_series"} 1
    redtap_table_overflowed_total{table="udp_series"} 0
    redtap_table_overflowed_total{table="dns_series"} 0
    redtap_table_overflowed_total{table="tls_series"} 1
    redtap_table_overflowed_total{table="edges"} 0
    redtap_table_overflowed_total{table="handshakes"} 0
    redtap_table_overflowed_total{table="request_edges"} 0
    "#);
}

#[test]
fn requests_as_spans() {
    let page = Page { net: net::Snapshot { span_metrics: true, ..Default::default() }, ..super::page() };
    let text = encode(&page, Format::Text);
    let lines = text.lines().filter(|line| line.starts_with("traces_") && !line.contains("_bucket{"));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
    traces_spanmetrics_calls_total{service="na\"me",span_name="GET",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_UNSET"} 1
    traces_spanmetrics_calls_total{service="na\"me",span_name="GET",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_ERROR"} 1
    traces_spanmetrics_calls_total{service="na\"me",span_kind="SPAN_KIND_SERVER",otel_metric_overflow="true"} 1
    traces_spanmetrics_calls_total{service="curl",span_name="GET",span_kind="SPAN_KIND_CLIENT",status_code="STATUS_CODE_ERROR"} 1
    traces_spanmetrics_calls_total{service="curl",span_name="GET",span_kind="SPAN_KIND_CLIENT",status_code="STATUS_CODE_UNSET"} 1
    traces_spanmetrics_latency_sum{service="na\"me",span_name="GET",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_UNSET"} 0.012
    traces_spanmetrics_latency_count{service="na\"me",span_name="GET",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_UNSET"} 1
    traces_spanmetrics_latency_sum{service="na\"me",span_name="GET",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_ERROR"} 0.012
    traces_spanmetrics_latency_count{service="na\"me",span_name="GET",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_ERROR"} 1
    traces_spanmetrics_latency_sum{service="na\"me",span_kind="SPAN_KIND_SERVER",otel_metric_overflow="true"} 0.012
    traces_spanmetrics_latency_count{service="na\"me",span_kind="SPAN_KIND_SERVER",otel_metric_overflow="true"} 1
    traces_spanmetrics_latency_sum{service="curl",span_name="GET",span_kind="SPAN_KIND_CLIENT",status_code="STATUS_CODE_ERROR"} 0.012
    traces_spanmetrics_latency_count{service="curl",span_name="GET",span_kind="SPAN_KIND_CLIENT",status_code="STATUS_CODE_ERROR"} 1
    traces_spanmetrics_latency_sum{service="curl",span_name="GET",span_kind="SPAN_KIND_CLIENT",status_code="STATUS_CODE_UNSET"} 0.012
    traces_spanmetrics_latency_count{service="curl",span_name="GET",span_kind="SPAN_KIND_CLIENT",status_code="STATUS_CODE_UNSET"} 1
    "#);
    assert!(!encode(&super::page(), Format::Text).contains("traces_"));
}

#[test]
fn nothing_seen_is_nothing_written() {
    let registry = Registry::new(OPTIONS);
    let net = registry.snapshot(|_| Arc::default(), Want::Metrics);
    let text = encode(&Page { net, ..Page::default() }, Format::Text);
    let starts = ["redtap_tcp_", "redtap_udp_", "dns_", "redtap_dns_", "redtap_tls_", "traces_"];
    assert!(!text.lines().any(|line| starts.iter().any(|start| line.starts_with(start))), "{text}");
}
