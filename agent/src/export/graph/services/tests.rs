use super::*;
use crate::{
    exchange::{Exchange, Outcome, Times},
    identity::ServiceId,
    red::{Extras, Options, Registry},
    time::Nanos,
};

/// An exchange of so many milliseconds.
fn exchange(role: Role, status: u16, milliseconds: u64) -> Exchange {
    let outcome = if status < 500 { Outcome::Ok } else { Outcome::Error };
    let (first, last) = (Some(Nanos(1)), Some(Nanos(1 + milliseconds * 1_000_000)));
    let times = Times { request_first: first, response_last: last, ..Times::default() };
    Exchange { role, outcome, status: Some(status), times, ..Exchange::default() }
}

fn red(series_total: usize) -> red::Snapshot {
    let extras = Extras { exponential: false, parts: false };
    let options = Options { series_per_service: 8, series_total, server_addresses: 8, extras };
    let mut registry = Registry::new(options);
    for (service, role, status, milliseconds) in [
        (1, Role::Server, 200, 5),
        (1, Role::Server, 200, 30_000),
        (1, Role::Server, 503, 6),
        (2, Role::Server, 200, 1),
        (1, Role::Client, 200, 80),
    ] {
        registry.record(&exchange(role, status, milliseconds), ServiceId(service), None, None);
    }
    // Two services of one name, and one of another.
    registry.snapshot(|_| std::sync::Arc::new(crate::identity::Service::named("nginx")))
}

/// A server that answers some, with a client's connections of another service.
fn net() -> net::Snapshot {
    let options = net::Options {
        series_per_service: 8,
        series_total: 8,
        names: 8,
        edges: 8,
        handshakes: 8,
        addresses: false,
        service_graph: false,
        span_metrics: false,
    };
    let mut registry = net::Registry::new(options);
    let peer = net::Peer::Class(net::AddressClass::Private);
    for (service, role, port) in [(1, Role::Server, 80), (1, Role::Server, 81), (3, Role::Client, 443)] {
        let id = registry.tcp(net::TcpKey { service: ServiceId(service), role, peer, port });
        registry.tcp_active(id, 2);
        let totals = redtap_ebpf::Totals { rx_bytes: 100, tx_bytes: 1_000, retransmits: 3, ..Default::default() };
        registry.tcp_progress(id, &totals, None);
    }
    let name = |service: ServiceId| {
        std::sync::Arc::new(crate::identity::Service::named(if service.0 == 1 { "nginx" } else { "worker" }))
    };
    registry.snapshot(name, net::Want::Metrics)
}

#[test]
fn the_document() {
    let net = net();
    let started = Some(Duration::from_secs(1_699_999_000));
    let mut services = services(&red(8), &net, Duration::from_millis(1_700_000_000_250), started);
    services.version = "VERSION".to_owned();
    insta::assert_snapshot!(serde_json::to_string(&services).unwrap().replace("{\"name", "\n{\"name"), @r#"
    {"time":1700000000.25,"started":1699999000.0,"version":"VERSION","bounds":[0.005,0.01,0.025,0.05,0.075,0.1,0.25,0.5,0.75,1.0,2.5,5.0,7.5,10.0],"services":[
    {"name":"nginx","role":"server","requests":4,"errors":1,"duration":{"count":4,"sum":30.012,"buckets":[2,1,0,0,0,0,0,0,0,0,0,0,0,0,1]},"bytes_in":200,"bytes_out":2000,"retransmits":6,"active":4},
    {"name":"nginx","role":"client","requests":1,"errors":0,"duration":{"count":1,"sum":0.08,"buckets":[0,0,0,0,0,1,0,0,0,0,0,0,0,0,0]},"bytes_in":0,"bytes_out":0,"retransmits":0,"active":0},
    {"name":"worker","role":"client","requests":0,"errors":0,"duration":{"count":0,"sum":0.0,"buckets":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]},"bytes_in":100,"bytes_out":1000,"retransmits":3,"active":2}]}
    "#);
}

#[test]
fn requests_of_overflow_series_count() {
    let services = services(&red(0), &net::Snapshot::default(), Duration::ZERO, None);
    let requests = services.services.iter().map(|service| (service.name.as_str(), service.requests));
    assert_eq!(requests.collect::<Vec<_>>(), [("nginx", 4), ("nginx", 1)]);
}
