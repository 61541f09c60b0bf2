//! Datagrams: who sent how many of them to whom, however the sockets were used.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread;

use redtap_tests::agent::Agent;
use redtap_tests::gate::{self, own, tool};
use redtap_tests::hosts::{Host, Hosts, VERSIONS, Version};
use redtap_tests::kernel::counter;
use redtap_tests::metrics::Scrape;
use redtap_tests::process::{Service, output};
use redtap_tests::wait::{self, PATIENCE};

/// What one client sends, and the server sends back twice as long.
#[derive(Clone, Copy)]
struct Story {
    name: &'static str,
    /// As `programs/datagrams.py` knows it.
    how: &'static str,
    count: u64,
    size: u64,
    place: Where,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    /// From one host to another.
    Wire,
    /// Likewise, IPv4 by a socket for IPv6.
    Mapped,
    /// Within a host.
    Loopback,
}

const STORIES: &[Story] = &[
    Story { name: "unconnected", how: "unconnected", count: 100, size: 200, place: Where::Wire },
    Story { name: "connected", how: "connected", count: 100, size: 200, place: Where::Wire },
    Story { name: "many clients", how: "many", count: 50, size: 30, place: Where::Wire },
    Story { name: "empty", how: "unconnected", count: 10, size: 0, place: Where::Wire },
    Story { name: "in fragments", how: "connected", count: 10, size: 20_000, place: Where::Wire },
    Story { name: "by one call", how: "segmented", count: 40, size: 1200, place: Where::Wire },
    Story { name: "never answered", how: "one-way", count: 100, size: 200, place: Where::Wire },
    Story { name: "mapped", how: "unconnected", count: 20, size: 100, place: Where::Mapped },
    Story { name: "mapped and connected", how: "connected", count: 20, size: 100, place: Where::Mapped },
    Story { name: "loopback", how: "unconnected", count: 100, size: 200, place: Where::Loopback },
    Story { name: "loopback and connected", how: "connected", count: 100, size: 200, place: Where::Loopback },
];

#[test]
fn datagrams_are_counted_at_both_ends() {
    told(&[], STORIES, |address| if address.is_loopback() { "loopback" } else { "private" }.to_owned());
}

#[test]
fn datagrams_are_told_by_address_where_that_is_wanted() {
    let stories: Vec<_> = STORIES.iter().filter(|story| story.how == "connected").copied().collect();
    told(&["--peer-addresses"], &stories, |address| address.to_string());
}

fn told(flags: &[&str], stories: &[Story], peer: impl Fn(IpAddr) -> String) {
    let Some(turn) = gate::privileged("datagrams") else { return };
    let hosts = Hosts::new("datagrams");
    let agent = Agent::start_silent(&turn.redtap, flags);
    let all: Vec<_> =
        stories.iter().flat_map(|story| VERSIONS.map(|version| (story, version))).zip(26_001..).collect();
    // Most of the time is the interpreter's.
    thread::scope(|scope| {
        for ((story, version), port) in &all {
            scope.spawn(|| story.run(&hosts, *version, *port));
        }
    });
    let mut wrong = Vec::new();
    let fits = wait::within(PATIENCE, || {
        let scrape = agent.scrape();
        wrong = all
            .iter()
            .flat_map(|((story, version), port)| story.faults(&scrape, &hosts, *version, *port, &peer))
            .collect();
        wrong.is_empty().then_some(())
    });
    assert!(fits.is_some(), "told otherwise:\n{}", wrong.join("\n"));
    // What the kernel handed to the servers; those on loopback are on that host, too.
    let scrape = agent.scrape();
    for (version, name) in VERSIONS.into_iter().zip(["UdpInDatagrams", "Udp6InDatagrams"]) {
        let ports = all.iter().filter(|((story, of), _)| *of == version && story.place != Where::Loopback);
        let received: u64 =
            ports.map(|(_, port)| number(&scrape, "packets", *port, "server", "received", &[])).sum();
        let ports = all.iter().filter(|((story, of), _)| *of == version && story.place == Where::Loopback);
        let here = ports.map(|(_, port)| {
            ["server", "client"]
                .map(|role| number(&scrape, "packets", *port, role, "received", &[]))
                .iter()
                .sum::<u64>()
        });
        assert_eq!(received + here.sum::<u64>(), counter(&hosts.server, name), "{name}");
    }
}

impl Story {
    /// Where its client is, and both addresses.
    fn ends<'a>(&self, hosts: &'a Hosts, version: Version) -> (&'a Host, IpAddr, IpAddr) {
        let local: IpAddr = match version {
            Version::V4 => Ipv4Addr::LOCALHOST.into(),
            Version::V6 => Ipv6Addr::LOCALHOST.into(),
        };
        match self.place {
            Where::Loopback => (&hosts.server, local, local),
            _ => (&hosts.client, hosts.client.address(version), hosts.server.address(version)),
        }
    }

    fn run(&self, hosts: &Hosts, version: Version, port: u16) {
        let (host, _, server) = self.ends(hosts, version);
        let program = |host: &Host, name: &str, arguments: &[&str]| {
            let mut command = host.namespace.place().command(&tool("python3"));
            command.arg(own("programs/datagrams.py")).args(arguments).env("OTEL_SERVICE_NAME", name);
            command
        };
        let port = port.to_string();
        let serves = if self.how == "one-way" { "listen" } else { "answer" };
        let arguments = [serves, &server.to_string(), &port];
        let running = Service::start("datagrams.py", &mut program(&hosts.server, "datagram-server", &arguments));
        running.wait_for_log("listens");
        let there = match (self.place, server) {
            (Where::Mapped, IpAddr::V4(address)) => address.to_ipv6_mapped().to_string(),
            _ => server.to_string(),
        };
        let (count, size) = (self.count.to_string(), self.size.to_string());
        output(&mut program(host, "datagram-client", &[self.how, &there, &port, &count, &size]));
    }

    fn faults(
        &self,
        scrape: &Scrape,
        hosts: &Hosts,
        version: Version,
        port: u16,
        peer: &impl Fn(IpAddr) -> String,
    ) -> Vec<String> {
        let (_, client, server) = self.ends(hosts, version);
        let (client, server) = (peer(client), peer(server));
        let back = if self.how == "one-way" { 0 } else { 1 };
        let bytes = self.count * self.size;
        let mut faults = Vec::new();
        for (role, service, peer, sent, received) in [
            ("client", "datagram-client", &server, [self.count, bytes], [back * self.count, back * 2 * bytes]),
            ("server", "datagram-server", &client, [back * self.count, back * 2 * bytes], [self.count, bytes]),
        ] {
            for (direction, expected) in [("sent", sent), ("received", received)] {
                for (unit, expected) in ["packets", "bytes"].into_iter().zip(expected) {
                    let more = [("service_name", service), ("peer", peer)];
                    let told = number(scrape, unit, port, role, direction, &more);
                    let all = number(scrape, unit, port, role, direction, &[]);
                    if (told, all) != (expected, expected) {
                        let name = self.name;
                        faults.push(format!(
                            "{name} ({version:?}, port {port}): {role} {direction} {told} {unit} of {expected}, {all} by anybody"
                        ));
                    }
                }
            }
        }
        faults
    }
}

fn number(scrape: &Scrape, unit: &str, port: u16, role: &str, direction: &str, more: &[(&str, &str)]) -> u64 {
    let port = port.to_string();
    let mut labels = vec![("role", role), ("server_port", port.as_str()), ("direction", direction)];
    labels.extend(more);
    scrape.count(&format!("redtap_udp_{unit}_total"), &labels)
}
