//! Views for tests.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use crate::{
    net::{EdgeView, HandshakeView, RequestEdgeView},
    protocol::tls::{Handshake, Outcome},
    red::{DURATION, Histogram},
};

/// A moment in May 2026, some milliseconds after a full second.
pub fn seen(milliseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_778_580_000_000 + milliseconds)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Ten closed connections of half a second each from `client` to `server` (name and address with a space between).
pub fn edge(client: &str, server: &str, port: u16) -> EdgeView {
    let (client_name, client) = client.split_once(' ').unwrap();
    let (server_name, server) = server.split_once(' ').unwrap();
    EdgeView {
        client: ip(client),
        server: ip(server),
        port,
        client_name: client_name.into(),
        server_name: server_name.into(),
        client_is_named: client_name != "private",
        server_is_named: server_name != "private",
        opened: 10,
        closed: 10,
        persistent: 0,
        active: 0,
        sent: 5 << 10,
        received: 15 << 10,
        lasted: Duration::from_secs(5),
        longest: Duration::from_millis(750),
        retransmits: 2,
        last_seen: seen(0),
    }
}

/// An established handshake of `web` with `example.org`.
pub fn handshake(id: u64, handshake: Handshake) -> HandshakeView {
    HandshakeView {
        id,
        client: ip("10.0.0.1"),
        server: "192.0.2.7:443".parse().unwrap(),
        client_name: "web".into(),
        server_name: "example.org".into(),
        handshake: Handshake { outcome: Outcome::Established, ..handshake }.into(),
        last_seen: seen(0),
        count: 3,
    }
}

/// So many requests from `client` to `server`, each of 20 ms.
pub fn requests(client: &str, server: &str, requests: u64, failed: u64) -> RequestEdgeView {
    let mut seconds = Histogram::EMPTY;
    for _ in 0..requests {
        seconds.observe(&DURATION, 20_000_000);
    }
    RequestEdgeView {
        client: client.into(),
        server: server.into(),
        requests,
        failed,
        client_seconds: Histogram::EMPTY,
        server_seconds: seconds,
    }
}
