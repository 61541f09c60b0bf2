//! Connections as fast as they can be made: none is missed, and nothing of them stays.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use redtap_tests::agent::{Agent, ROOMY};
use redtap_tests::flows::{OTHERS, Side, faults};
use redtap_tests::gate;
use redtap_tests::hosts::{Hosts, Version};
use redtap_tests::kernel::map_entries;
use redtap_tests::line::Role;
use redtap_tests::process::own_memory;
use redtap_tests::wait::{self, PATIENCE};

use super::sockets::{Scene, opaque, patient};

/// Connections of a round; fewer than there are ephemeral ports.
const CONNECTIONS: u64 = 20_000;

/// Rounds, as long as the agent has grown with each, and at least so many.
const ROUNDS: usize = 6;
const LEAST: usize = 3;

/// How much larger the agent may be after every round than after the one before: 26 bytes for each end of a connection.
const GROWTH: u64 = 1024 * 1024;

#[test]
fn twenty_thousand_connections_leave_nothing_behind() {
    let Some(turn) = gate::privileged("twenty thousand connections") else { return };
    let hosts = Hosts::new("churn");
    let agent = Agent::start_silent(&turn.redtap, &ROOMY);
    let flows = || agent.scrape().count("redtap_table_entries", &[("table", "flows")]);
    let maps = || ["LIVE", "HINTS"].map(map_entries);
    let (flows_before, maps_before) = (flows(), maps());
    let mut sizes = Vec::new();
    // How many are followed at once depends on how fast they came, so that one round may need more than the one before.
    // What leaks grows with each.
    let grew = |sizes: &[u64]| sizes.windows(2).all(|sizes| sizes[1] > sizes[0] + GROWTH);
    for (version, port) in [Version::V4, Version::V6].into_iter().cycle().take(ROUNDS).zip(24_001..) {
        if sizes.len() >= LEAST && !grew(&sizes) {
            break;
        }
        let scene = Scene { hosts: &hosts, version, port };
        let listener = scene.listen();
        let end = &[("fin", CONNECTIONS)];
        thread::scope(|scope| {
            scope.spawn(|| answer(&listener));
            hosts.client.enter(|| (0..CONNECTIONS).for_each(|_| ask(&scene)));
        });
        let side = |sent, received| Side {
            opened: CONNECTIONS,
            closed: end,
            sent: sent * CONNECTIONS,
            received: received * CONNECTIONS,
            ..Side::NOTHING
        };
        let mut wrong = Vec::new();
        let told = wait::within(PATIENCE, || {
            let scrape = agent.scrape();
            wrong = faults(&scrape, port, Role::Client, &side(64, 32));
            wrong.extend(faults(&scrape, port, Role::Server, &side(32, 64)));
            wrong.is_empty().then_some(())
        });
        assert!(told.is_some(), "{version:?}: {}", wrong.join("; "));
        sizes.push(own_memory(agent.pid()));
    }
    let gone = wait::within(PATIENCE, || (flows() <= flows_before + OTHERS).then_some(()));
    assert!(gone.is_some(), "{} connections followed, {flows_before} before", flows());
    let gone = wait::within(PATIENCE, || {
        let now = maps();
        (now.iter().zip(maps_before).all(|(now, before)| *now <= before + OTHERS)).then_some(())
    });
    assert!(gone.is_some(), "entries of LIVE and HINTS: {:?}, {maps_before:?} before", maps());
    println!("memory after each {CONNECTIONS} connections: {sizes:?}");
    assert!(!grew(&sizes), "larger after every round: {sizes:?}");
}

fn ask(scene: &Scene<'_>) {
    let mut stream = patient(TcpStream::connect(scene.server()).expect("a connection"));
    stream.write_all(&opaque(64)).expect("bytes to be sent");
    stream.read_exact(&mut [0; 32]).expect("bytes to arrive");
}

fn answer(listener: &TcpListener) {
    for _ in 0..CONNECTIONS {
        let mut stream = patient(listener.accept().expect("a connection").0);
        stream.read_exact(&mut [0; 64]).expect("bytes to arrive");
        stream.write_all(&opaque(32)).expect("bytes to be sent");
        assert_eq!(stream.read(&mut [0]).expect("an end in order"), 0);
    }
}
