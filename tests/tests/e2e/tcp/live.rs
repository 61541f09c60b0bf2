//! Connections that are open for longer than anybody looks: told so far, whenever the agent came.

use std::time::Duration;

use redtap_tests::agent::Agent;
use redtap_tests::flows::{Side, faults, label};
use redtap_tests::gate::{self, tool};
use redtap_tests::hosts::{Hosts, VERSIONS};
use redtap_tests::kernel::Socket;
use redtap_tests::line::{ROLES, Role};
use redtap_tests::process::Service;
use redtap_tests::wait::{self, PATIENCE};

use super::sockets::{Scene, close, patient, send};

/// How old the numbers of a scrape may be.
const FRESH: Duration = Duration::from_millis(500);

#[test]
fn bytes_are_told_while_they_pass() {
    let Some(turn) = gate::privileged("bytes are told while they pass") else { return };
    let hosts = Hosts::new("live");
    let agent = Agent::start_silent(&turn.redtap, &[]);
    for (version, port) in VERSIONS.into_iter().zip(21_001..) {
        let scene = Scene { hosts: &hosts, version, port };
        let (client, server) = scene.pair();
        let (mut up, mut down) = (0, 0);
        for _ in 0..5 {
            send(&client, &server, 5_000_000);
            send(&server, &client, 1_000_001);
            (up, down) = (up + 5_000_000, down + 1_000_001);
            settles(FRESH, &agent, port, &Side::open(up, down), &Side::open(down, up));
        }
        let kernel = [Socket::of(&hosts.client, port), Socket::of(&hosts.server, port)];
        assert_eq!(kernel[0].number("bytes_received"), down);
        assert_eq!(kernel[1].number("bytes_received"), up);
        close(client, server);
        settles(PATIENCE, &agent, port, &Side::one(&[("fin", 1)], up, down), &Side::one(&[("fin", 1)], down, up));
        let scrape = agent.scrape();
        let port = port.to_string();
        for (role, kernel) in [Role::Client, Role::Server].into_iter().zip(kernel) {
            for (direction, name) in [("sent", "data_segs_out"), ("received", "data_segs_in")] {
                let labels = [("role", label(role)), ("server_port", port.as_str()), ("direction", direction)];
                let told = scrape.count("redtap_tcp_segments_total", &labels);
                assert_eq!(told, kernel.number(name), "{version:?} {role:?} {name}");
            }
            let labels = [("role", label(role)), ("server_port", port.as_str())];
            assert!(scrape.count("redtap_tcp_round_trip_time_seconds_count", &labels) > 0, "{role:?}");
        }
    }
}

#[test]
fn a_connection_is_older_than_the_agent() {
    let Some(turn) = gate::privileged("a connection is older than the agent") else { return };
    let hosts = Hosts::new("older");
    // The agent comes upon a namespace by a process in it.
    let _inhabitants = [&hosts.client, &hosts.server]
        .map(|host| Service::start("sleep", host.namespace.place().command(&tool("sleep")).arg("infinity")));
    for (version, port) in VERSIONS.into_iter().zip(21_011..) {
        let scene = Scene { hosts: &hosts, version, port };
        // Who listens is who was connected to.
        let listener = scene.listen();
        let client = scene.connect().expect("a connection");
        let server = patient(listener.accept().expect("a connection").0);
        send(&client, &server, 1000);
        send(&server, &client, 2000);
        // It is told of as open, and what it carries from now on is counted; nobody knows when it began.
        let older = Side { active: 1, ..Side::NOTHING };
        let agent = Agent::start_silent(&turn.redtap, &[]);
        settles(PATIENCE, &agent, port, &older, &older);
        send(&client, &server, 500);
        send(&server, &client, 70_000);
        let [up, down] = [(500, 70_000), (70_000, 500)];
        let open = |(sent, received)| Side { sent, received, ..older };
        settles(PATIENCE, &agent, port, &open(up), &open(down));
        assert!(agent.stop().status.success());
        send(&client, &server, 9);
        let agent = Agent::start_silent(&turn.redtap, &[]);
        settles(PATIENCE, &agent, port, &older, &older);
        send(&client, &server, 30);
        close(client, server);
        let ended = |sent, received| Side { closed: &[("fin", 1)], older: 1, sent, received, ..Side::NOTHING };
        settles(PATIENCE, &agent, port, &ended(30, 0), &ended(0, 30));
    }
}

/// Waits until both ends are told of like this.
#[track_caller]
fn settles(patience: Duration, agent: &Agent, port: u16, client: &Side, server: &Side) {
    let mut wrong = Vec::new();
    let told = wait::within(patience, || {
        let scrape = agent.scrape();
        wrong = ROLES
            .into_iter()
            .flat_map(|role| faults(&scrape, port, role, if role == Role::Client { client } else { server }))
            .collect();
        wrong.is_empty().then_some(())
    });
    assert!(told.is_some(), "port {port}: {}", wrong.join("; "));
}
