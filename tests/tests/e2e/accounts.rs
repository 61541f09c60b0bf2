//! The agent's own accounts: streams, flows that are not HTTP, and that these cost nothing.

use redtap_tests::agent::{Agent, exchanges_at};
use redtap_tests::gate::{self, own};
use redtap_tests::line::{ROLES, Role};
use redtap_tests::metrics::Scrape;
use redtap_tests::raw::{Chunking, Family, Run, Side, Stop, Wire, load};
use redtap_tests::wait;

/// Bytes that no protocol begins with.
const OPAQUE: [u8; 64] = [0xe7; 64];

#[test]
fn opaque_flows_cost_nothing_more() {
    let Some(turn) = gate::privileged("opaque flows") else { return };
    let agent = Agent::start(&turn.redtap, &[]);
    let mut wire = Wire::open(Family::V4);
    let mut send = |times: usize| {
        for _ in 0..times {
            wire.send(Side::Client, &OPAQUE, true);
            wire.send(Side::Server, &OPAQUE, true);
        }
    };
    send(50);
    agent.fence();
    let records = |scrape: &Scrape| scrape.count("redtap_records_total", &[]);
    let opaque = |scrape: &Scrape| scrape.count("redtap_segments_accounted_total", &[("as", "opaque")]);
    let before = agent.scrape();
    assert!(before.sum("redtap_flows", &[("state", "opaque")]) >= 2.0, "not known as opaque after 100 segments");
    send(2000);
    agent.fence();
    // The fence and the scrapes are HTTP, a few records each.
    const OURS: u64 = 200;
    let after = wait::within(wait::PATIENCE, || {
        let scrape = agent.scrape();
        (opaque(&scrape) >= opaque(&before) + 8000).then_some(scrape)
    });
    let after =
        after.unwrap_or_else(|| panic!("opaque: {} before, then {}", opaque(&before), opaque(&agent.scrape())));
    assert!(opaque(&after) < opaque(&before) + 8000 + OURS, "{} opaque", opaque(&after));
    let shipped = records(&after) - records(&before);
    assert!(shipped < OURS, "{shipped} records for 4000 segments of an opaque flow");
}

#[test]
fn streams_are_counted_apart() {
    let Some(turn) = gate::privileged("streams") else { return };
    let agent = Agent::start(&turn.redtap, &[]);
    let cases = load(&own("cases/streams.txt"));
    let mut told = Vec::new();
    for case in &cases {
        let mut run = Run::new(case, Family::V4, Chunking::AsTold);
        while run.go() != Stop::Over {}
        told.extend(&case.streams);
    }
    agent.fence();
    let scrape = agent.scrape();
    for kind in ["websocket", "upgrade", "connect", "sse"] {
        let of_kind: Vec<_> = told.iter().filter(|stream| stream.kind == kind).collect();
        for role in ROLES {
            let role = if role == Role::Server { "server" } else { "client" };
            let labels = [("kind", kind), ("role", role)];
            let sent = |direction| {
                scrape.count(
                    "redtap_streams_bytes_total",
                    &[("kind", kind), ("role", role), ("direction", direction)],
                )
            };
            let count = u64::try_from(of_kind.len()).expect("a small number");
            assert_eq!(scrape.count("redtap_streams_opened_total", &labels), count, "{kind} {role}");
            assert_eq!(scrape.count("redtap_streams_active", &labels), 0, "{kind} {role}");
            assert_eq!(scrape.count("redtap_streams_duration_seconds_count", &labels), count, "{kind} {role}");
            let bytes: u64 = of_kind.iter().map(|stream| stream.client_bytes).sum();
            assert_eq!(sent("client_to_server"), bytes, "{kind} {role}");
            let bytes: u64 = of_kind.iter().map(|stream| stream.server_bytes).sum();
            assert_eq!(sent("server_to_client"), bytes, "{kind} {role}");
        }
    }
}

#[test]
fn an_open_stream_is_active() {
    let Some(turn) = gate::privileged("an open stream") else { return };
    let agent = Agent::start(&turn.redtap, &[]);
    let mut wire = Wire::open(Family::V4);
    wire.send(
        Side::Client,
        b"GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        true,
    );
    wire.send(
        Side::Server,
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        true,
    );
    // While it is open: an upgrade is told when it happens.
    agent.until("the upgrade at both sides", |lines| (exchanges_at(lines, wire.port()).len() == 2).then_some(()));
    let active = |scrape: &Scrape| scrape.count("redtap_streams_active", &[("kind", "websocket")]);
    assert_eq!(active(&agent.scrape()), 2);
    drop(wire);
    agent.fence();
    assert_eq!(active(&agent.scrape()), 0);
}
