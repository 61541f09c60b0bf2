//! Paths that lose segments and acknowledgements, and what the kernel counts of it.

use std::io::Write as _;
use std::net::TcpStream;

use redtap_tests::agent::Agent;
use redtap_tests::flows::label;
use redtap_tests::gate;
use redtap_tests::hosts::{Hosts, VERSIONS, Verdict};
use redtap_tests::kernel::{Socket, counter};
use redtap_tests::line::Role;
use redtap_tests::metrics::Scrape;
use redtap_tests::wait;

use super::sockets::{Scene, opaque, send};

const RETRANSMITS: &str = "redtap_tcp_retransmitted_segments_total";
const DUPLICATE: &str = "redtap_tcp_duplicate_bytes_total";
const EARLY: &str = "redtap_tcp_out_of_order_bytes_total";

#[test]
fn retransmits_are_the_kernels() {
    let Some(turn) = gate::privileged("retransmits are the kernel's") else { return };
    let agent = Agent::start_silent(&turn.redtap, &[]);
    for (version, port) in VERSIONS.into_iter().zip(23_001..) {
        // New ones, whose counters begin at nothing.
        let hosts = Hosts::new("lossy");
        let (client, server) = Scene { hosts: &hosts, version, port }.pair();
        hosts.server.filter("numgen random mod 100 < 3 drop");
        send(&client, &server, 20_000_000);
        hosts.server.clear();
        // What was lost at the very end is sent again, too.
        let [sender, receiver] = quiet(&hosts, port);
        let told = |name, role| number(&agent.scrape(), name, port, role, None);
        wait::until("the last retransmits to be told", || {
            (told(RETRANSMITS, Role::Client) >= sender.retransmits()).then_some(())
        });
        assert!(sender.retransmits() > 0, "nothing was lost: {sender:?}");
        assert_eq!(told(RETRANSMITS, Role::Client), sender.retransmits(), "{version:?}: {sender:?}");
        assert_eq!(told(RETRANSMITS, Role::Client), counter(&hosts.client, "TcpRetransSegs"), "{version:?}");
        assert_eq!(told(RETRANSMITS, Role::Server), receiver.retransmits());
        assert!(counter(&hosts.server, "TcpExtTCPOFOQueue") > 0, "nothing was early");
        wait::until("early bytes to be told", || (told(EARLY, Role::Server) > 0).then_some(()));
        assert_eq!(told(EARLY, Role::Client), 0);
        let again = number(&agent.scrape(), DUPLICATE, port, Role::Client, Some("sent"));
        assert_eq!(again, sender.number("bytes_retrans"), "{version:?}: {sender:?}");
    }
}

#[test]
fn repeated_bytes_are_counted() {
    let Some(turn) = gate::privileged("repeated bytes are counted") else { return };
    let hosts = Hosts::new("repeated");
    let agent = Agent::start_silent(&turn.redtap, &[]);
    for (version, port) in VERSIONS.into_iter().zip(23_011..) {
        let (client, server) = Scene { hosts: &hosts, version, port }.pair();
        // It is an opaque one.
        send(&client, &server, 1000);
        send(&server, &client, 1000);
        hosts.client.deny(Verdict::Drop, port);
        send(&client, &server, 100);
        wait::until("two retransmits", || (Socket::of(&hosts.client, port).retransmits() >= 2).then_some(()));
        hosts.client.allow(Verdict::Drop, port);
        let [sender, _] = quiet(&hosts, port);
        let expected = sender.number("bytes_retrans");
        assert_eq!(expected, 100 * sender.retransmits(), "{sender:?}");
        for (role, direction) in [(Role::Server, "received"), (Role::Client, "sent")] {
            let told = || number(&agent.scrape(), DUPLICATE, port, role, Some(direction));
            let fits = wait::within(wait::PATIENCE, || (told() == expected).then_some(()));
            assert!(fits.is_some(), "{version:?} {role:?} {direction}: {}, expected {expected}", told());
        }
        assert_eq!(number(&agent.scrape(), EARLY, port, Role::Server, None), 0);
    }
}

#[test]
fn early_bytes_are_counted() {
    let Some(turn) = gate::privileged("early bytes are counted") else { return };
    let hosts = Hosts::new("early");
    // Nothing is sent again by the clock, so that it is the second segment that arrives first.
    for route in [["-4", "10.77.0.0/24"], ["-6", "fd77::/64"]] {
        let [family, to] = route;
        hosts.client.namespace.run(&["ip", family, "route", "replace", to, "dev", "wire", "rto_min", "10s"]);
    }
    let agent = Agent::start_silent(&turn.redtap, &[]);
    for (version, port) in VERSIONS.into_iter().zip(23_021..) {
        let (mut client, mut server) = Scene { hosts: &hosts, version, port }.pair();
        client.set_nodelay(true).expect("TCP_NODELAY");
        send(&client, &server, 1000);
        send(&server, &client, 1000);
        hosts.server.deny(Verdict::Drop, port);
        client.write_all(&opaque(100)).expect("bytes to be sent");
        hosts.server.allow(Verdict::Drop, port);
        client.write_all(&opaque(200)).expect("bytes to be sent");
        receive(&mut server, 300);
        let told = || number(&agent.scrape(), EARLY, port, Role::Server, None);
        let fits = wait::within(wait::PATIENCE, || (told() == 200).then_some(()));
        assert!(fits.is_some(), "{version:?}: {} early bytes told of 200", told());
        let bytes = number(&agent.scrape(), "redtap_tcp_bytes_total", port, Role::Server, Some("received"));
        assert_eq!(bytes, 1300, "{version:?}");
    }
}

fn receive(server: &mut TcpStream, count: usize) {
    std::io::Read::read_exact(server, &mut vec![0; count]).expect("bytes to arrive");
}

/// Both ends' sockets, everything sent being acknowledged.
fn quiet(hosts: &Hosts, port: u16) -> [Socket; 2] {
    wait::until("everything to be acknowledged", || {
        let sockets = [&hosts.client, &hosts.server].map(|host| Socket::of(host, port));
        sockets.iter().all(|socket| socket.number("unacked") == 0).then_some(sockets)
    })
}

fn number(scrape: &Scrape, name: &str, port: u16, role: Role, direction: Option<&str>) -> u64 {
    let port = port.to_string();
    let mut labels = vec![("role", label(role)), ("server_port", port.as_str())];
    labels.extend(direction.map(|direction| ("direction", direction)));
    scrape.count(name, &labels)
}
