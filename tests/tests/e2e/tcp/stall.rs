//! A receiver that does not read.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use redtap_tests::agent::Agent;
use redtap_tests::flows::label;
use redtap_tests::gate;
use redtap_tests::hosts::{Hosts, VERSIONS};
use redtap_tests::kernel::Socket;
use redtap_tests::line::Role;
use redtap_tests::wait;
use rustix::net::sockopt::set_socket_recv_buffer_size;

use super::sockets::{Scene, opaque, patient};

#[test]
fn a_full_window_is_timed() {
    let Some(turn) = gate::privileged("a full window is timed") else { return };
    let hosts = Hosts::new("stall");
    let agent = Agent::start_silent(&turn.redtap, &[]);
    for (version, port) in VERSIONS.into_iter().zip(22_001..) {
        let scene = Scene { hosts: &hosts, version, port };
        let listener = scene.listen();
        set_socket_recv_buffer_size(&listener, 16 * 1024).expect("SO_RCVBUF");
        let client = scene.connect().expect("a connection");
        let mut server = patient(listener.accept().expect("a connection").0);
        client.set_nonblocking(true).expect("a socket that does not block");
        let sent = fill(&client);
        // The closed window is probed after 0.2 s, 0.4 s, 0.8 s.
        let probed = |times| (Socket::of(&hosts.client, port).number("backoff") >= times).then_some(());
        wait::until("a closed window", || probed(1));
        let begun = Instant::now();
        wait::until("the third probe", || probed(3));
        let lasted = begun.elapsed();
        let mut read = 0;
        while read < sent {
            read += server.read(&mut vec![0; sent]).expect("what was sent");
        }
        let full = |role, direction| {
            let (role, port) = (label(role), port.to_string());
            let labels = [("role", role), ("server_port", port.as_str()), ("direction", direction)];
            Duration::from_secs_f64(agent.scrape().sum("redtap_tcp_window_full_seconds_total", &labels))
        };
        // It had closed some time before the first probe, and opens a little later.
        let slack = Duration::from_millis(800);
        for (role, direction) in [(Role::Client, "sent"), (Role::Server, "received")] {
            let mut told = Duration::ZERO;
            let fits = wait::within(wait::PATIENCE, || {
                told = full(role, direction);
                (told >= lasted && told <= lasted + slack).then_some(())
            });
            assert!(fits.is_some(), "{version:?} {role:?}: {told:?} of {lasted:?}");
        }
        assert_eq!(full(Role::Client, "received") + full(Role::Server, "sent"), Duration::ZERO);
    }
}

/// Writes as much as there is room for.
fn fill(mut client: &std::net::TcpStream) -> usize {
    let mut sent = 0;
    loop {
        match client.write(&opaque(4096)) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return sent,
            Err(error) => panic!("cannot send: {error}"),
        }
    }
}
