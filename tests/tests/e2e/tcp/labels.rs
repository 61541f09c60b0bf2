//! What peers are called, and that nothing without a bound is a label.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpStream};

use redtap_tests::agent::Agent;
use redtap_tests::gate;
use redtap_tests::hosts::{Hosts, VERSIONS};
use redtap_tests::metrics::Scrape;
use redtap_tests::wait;

use super::sockets::{Scene, close, drain, opaque, send};

/// Peers of failed connects: of the server's network, and of none that there is a way to.
const AWAY: [&str; 2] = ["198.51.100.1", "2001:db8::1"];

#[test]
fn peers_without_a_name_go_by_their_class() {
    told_peers(&[], |_, _| ["private".to_owned(), "public".to_owned()]);
}

#[test]
fn peers_go_by_their_address_where_that_is_wanted() {
    told_peers(&["--peer-addresses"], |near, away| [near.to_string(), away.to_string()]);
}

fn told_peers(flags: &[&str], expected: impl Fn(IpAddr, IpAddr) -> [String; 2]) {
    let Some(turn) = gate::privileged("what peers are called") else { return };
    let hosts = Hosts::new("labels");
    let agent = Agent::start_silent(&turn.redtap, flags);
    let (mut ephemeral, mut peers) = (Vec::new(), Vec::new());
    for ((version, port), away) in VERSIONS.into_iter().zip([25_001, 25_011]).zip(AWAY) {
        let away: IpAddr = away.parse().expect("an address");
        let scene = Scene { hosts: &hosts, version, port };
        let (client, server) = scene.pair();
        ephemeral.push(client.local_addr().expect("an address").port().to_string());
        send(&client, &server, 10);
        send(&server, &client, 10);
        close(client, server);
        let nobody = Scene { port: port + 1, ..scene };
        nobody.connect().expect_err("nobody to listen");
        let nowhere = SocketAddr::new(away, port + 2);
        hosts.client.enter(|| TcpStream::connect(nowhere)).expect_err("no route");
        let [near, far] = expected(hosts.server.address(version), away);
        peers.extend([(port + 1, near), (port + 2, far)]);
    }
    let scrape = wait::until("the last connect to be told", || {
        let scrape = agent.scrape();
        let failed = |port: &u16| {
            scrape.sum("redtap_tcp_connects_failed_total", &[("server_port", &port.to_string())]) > 0.0
        };
        peers.iter().all(|(port, _)| failed(port)).then_some(scrape)
    });
    for (port, peer) in &peers {
        let port = port.to_string();
        let labels = [("server_port", port.as_str())];
        let told: Vec<_> = scrape
            .find("redtap_tcp_connects_failed_total", &labels)
            .filter_map(|(labels, value)| (value > 0.0).then_some(labels["peer"].as_str()))
            .collect();
        assert_eq!(told, [peer.as_str()], "port {port}");
    }
    // Both ends are this process's.
    for (role, port) in [("client", "25001"), ("server", "25001"), ("client", "25011"), ("server", "25011")] {
        let labels = [("role", role), ("server_port", port)];
        let ends: Vec<_> = scrape.find("redtap_tcp_connections_opened_total", &labels).collect();
        assert!(ends.iter().all(|(labels, _)| labels["peer"] == labels["service_name"]), "{ends:?}");
        assert_eq!(ends.len(), 1, "{ends:?}");
    }
    // `server_address` is whatever a client named in an HTTP request.
    let wanted = if flags.is_empty() { ["server_address", ""] } else { ["server_address", "peer"] };
    assert_no_addresses(&scrape, &wanted);
    for (name, label, value) in scrape.label_values() {
        assert!(!ephemeral.iter().any(|port| port == value), "{name}: {label} is an ephemeral port: {value}");
    }
}

#[test]
fn processes_of_this_host_know_each_other_by_name() {
    told_by_name("serve", 20);
}

fn told_by_name(how: &str, answer: usize) {
    let Some(turn) = gate::privileged("processes of this host") else { return };
    let hosts = Hosts::new("names");
    let agent = Agent::start_silent(&turn.redtap, &[]);
    for (version, port) in VERSIONS.into_iter().zip(25_021..) {
        let scene = Scene { hosts: &hosts, version, port };
        let mut server = scene.program(how, "named-server");
        let mut client = scene.connect().expect("a connection");
        client.write_all(&opaque(10)).expect("bytes to be sent");
        assert_eq!(drain(&client), answer);
        drop(client);
        assert!(server.ended().success());
        let port = port.to_string();
        let ends = wait::until("both ends to be closed", || {
            let scrape = agent.scrape();
            let ends = ["client", "server"].map(|role| {
                let labels = [("role", role), ("server_port", port.as_str()), ("reason", "fin")];
                let mut ends = scrape.find("redtap_tcp_connections_closed_total", &labels);
                let (labels, _) = ends.find(|(_, value)| *value > 0.0)?;
                Some([labels["service_name"].clone(), labels["peer"].clone()])
            });
            let [Some(client), Some(server)] = ends else { return None };
            Some((client, server))
        });
        let ([client, clients_peer], [server, servers_peer]) = ends;
        assert_eq!((server.as_str(), clients_peer.as_str()), ("named-server", "named-server"), "{version:?}");
        assert_eq!(servers_peer, client, "{version:?}");
        assert_ne!(client, "named-server");
    }
}

/// No label but those is an address, with or without a port.
fn assert_no_addresses(scrape: &Scrape, but: &[&str]) {
    for (name, label, value) in scrape.label_values().filter(|(_, label, _)| !but.contains(label)) {
        let is_address = value.parse::<IpAddr>().is_ok() || value.parse::<SocketAddr>().is_ok();
        let has_one = value.contains("10.77.0.") || value.contains("fd77:");
        assert!(!is_address && !has_one, "{name}: {label} is {value}");
    }
}
