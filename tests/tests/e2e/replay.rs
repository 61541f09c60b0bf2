//! What is recorded of the kernel's events gives the same exchanges again, without the kernel.

use std::collections::BTreeMap;
use std::time::Duration;

use redtap_tests::agent::{Agent, exchanges_at};
use redtap_tests::clients::CLIENTS;
use redtap_tests::gate::{self, own};
use redtap_tests::line::{Exchange, Line, Role};
use redtap_tests::links::links;
use redtap_tests::process::{Place, Service, output, scratch};
use redtap_tests::raw::{Chunking, Family, Run, Stop, load};
use redtap_tests::redtap::command;
use redtap_tests::servers::KINDS;
use redtap_tests::wait;
use rustix::process::Signal;

#[test]
fn replay_prints_what_was_printed_live() {
    let Some(turn) = gate::privileged("record and replay") else { return };
    let directory = scratch();
    let file = directory.path().join("records");
    let agent = Agent::start(&turn.redtap, &[]);
    let mut recorder = Service::start("redtap record", command(&turn.redtap).arg("record").arg(&file));
    let watchers = || links().iter().filter(|link| link.attach_type == "cgroup_inet_ingress").count();
    wait::until("the recorder to be attached beside the agent", || (watchers() >= 2).then_some(()));

    let mut ports = Vec::new();
    let cases = load(&own("cases/framing.txt"));
    for case in &cases {
        let mut run = Run::new(case, Family::V4, Chunking::AsTold);
        while run.go() != Stop::Over {}
        ports.push(run.port);
    }
    let server = (KINDS[0].start)(&Place::Host);
    let told = (CLIENTS[0].run)(&server, KINDS[0]);
    assert!(!told.is_empty());
    ports.extend(&server.ports);
    agent.fence();

    recorder.signal(Signal::TERM);
    assert!(recorder.ended().success(), "{}", recorder.log());
    let replayed = output(command(&turn.redtap).arg("replay").arg(&file).args(["--print", "json"]));
    let replayed: Vec<Line> = replayed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert!(ports.iter().all(|port| !agent.exchanges(*port).is_empty()), "nothing to compare");
    let mut failures = String::new();
    for port in ports {
        let (live, again) = (keyed(agent.exchanges(port)), keyed(exchanges_at(&replayed, port)));
        if !live.keys().eq(again.keys()) {
            failures += &format!("port {port}: live {:?}, replayed {:?}\n", live.keys(), again.keys());
            continue;
        }
        for (live, again) in live.values().zip(again.values()) {
            failures.extend(differs(live, again));
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

fn keyed(exchanges: Vec<Exchange>) -> BTreeMap<(u64, u64, Role), Exchange> {
    exchanges
        .into_iter()
        .map(|exchange| ((exchange.socket_cookie, exchange.index, exchange.role), exchange))
        .collect()
}

/// What of `live` is other than in `again`, which two sets of programs on the same hooks saw.
fn differs(live: &Exchange, again: &Exchange) -> Option<String> {
    /// Two programs on one hook read the clock one after the other, and may be interrupted in between.
    const APART: Duration = Duration::from_millis(20);
    let words = |exchange: &Exchange| {
        let Exchange {
            method, path, query, status, outcome, request_body, response_body, partial, stream, ..
        } = exchange.clone();
        format!(
            "{method:?} {path:?} {query:?} {status:?} {outcome:?} {request_body:?} {response_body:?} {partial} {stream:?}"
        )
    };
    let times = |exchange: &Exchange| {
        [
            exchange.request_first_byte,
            exchange.request_last_byte,
            exchange.response_first_byte,
            exchange.response_last_byte,
        ]
    };
    let near = times(live).into_iter().zip(times(again)).all(|pair| match pair {
        (Some(one), Some(other)) => Duration::from_nanos(one.abs_diff(other)) < APART,
        (one, other) => one == other,
    });
    (words(live) != words(again) || !near).then(|| format!("live {live:?}\nreplayed {again:?}\n"))
}
