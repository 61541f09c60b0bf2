//! Raw conversations: every odd case, told in `cases/`.

use std::io::Write as _;
use std::net::{Ipv6Addr, TcpListener};
use std::time::SystemTime;

use redtap_tests::agent::{Agent, exchanges_at};
use redtap_tests::difference::difference_in_order;
use redtap_tests::gate;
use redtap_tests::line::{Exchange, Outcome};
use redtap_tests::raw::{Case, Chunking, Family, Run, Stop, load};

/// Files whose cases any agent is to get right.
const GENERAL: [&str; 6] = ["connection", "framing", "odd", "streams", "ends", "not-http"];

/// Every file.
pub const ALL: [&str; 10] = [
    "connection",
    "framing",
    "odd",
    "streams",
    "ends",
    "not-http",
    "long-heads",
    "long-heads-64k",
    "timeout",
    "before-agent",
];

/// The cases of these files.
pub fn cases(files: &[&str]) -> Vec<Case> {
    files.iter().flat_map(|file| load(&gate::own("cases").join(file).with_extension("txt"))).collect()
}

#[test]
fn both_ends_complete_without_an_agent() {
    let cases = cases(&ALL);
    let mut ways = vec![
        (Family::V4, Chunking::AsTold),
        (Family::V4, Chunking::Pieces(1)),
        (Family::V4, Chunking::Pieces(7)),
        (Family::V4, Chunking::Migrating),
    ];
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        ways.extend([(Family::V6, Chunking::AsTold), (Family::Mapped, Chunking::AsTold)]);
    } else {
        let _ = writeln!(std::io::stderr(), "raw, without an agent: IPv6 left out: this host has none");
    }
    for (family, chunking) in ways {
        for case in &cases {
            let mut run = Run::new(case, family, chunking);
            while run.go() != Stop::Over {}
        }
    }
}

#[test]
fn as_told() {
    general("raw, as told", Family::V4, Chunking::AsTold);
}

#[test]
fn byte_by_byte() {
    general("raw, byte by byte", Family::V4, Chunking::Pieces(1));
}

#[test]
fn seven_bytes_a_segment() {
    general("raw, seven bytes a segment", Family::V4, Chunking::Pieces(7));
}

#[test]
fn migrating() {
    // The events of one connection come by the rings of different CPUs.
    general("raw, migrating", Family::V4, Chunking::Migrating);
}

#[test]
fn ipv6() {
    general("raw, IPv6", Family::V6, Chunking::AsTold);
}

#[test]
fn ipv4_mapped() {
    general("raw, IPv4-mapped", Family::Mapped, Chunking::AsTold);
}

fn general(test: &str, family: Family, chunking: Chunking) {
    with_flags(test, &[], &GENERAL, family, chunking);
}

#[test]
fn heads_longer_than_the_capture() {
    with_flags("raw, long heads", &[], &["long-heads"], Family::V4, Chunking::AsTold);
}

#[test]
fn heads_of_64_kib_captured() {
    let flags = ["--capture-length", "65536"];
    with_flags("raw, long heads captured", &flags, &["long-heads-64k"], Family::V4, Chunking::AsTold);
}

#[test]
fn timeouts() {
    with_flags("raw, timeouts", &["--request-timeout", "300ms"], &["timeout"], Family::V4, Chunking::AsTold);
}

fn with_flags(test: &str, flags: &[&str], files: &[&str], family: Family, chunking: Chunking) {
    let Some(turn) = gate::privileged(test) else { return };
    let agent = Agent::start(&turn.redtap, flags);
    let cases = cases(files);
    let mut runs: Vec<Run<'_>> = Vec::new();
    for case in &cases {
        let mut run = Run::new(case, family, chunking);
        loop {
            match run.go() {
                Stop::Over => break,
                Stop::AgentReports(count) => {
                    let told = agent.within(redtap_tests::wait::PATIENCE, |lines| {
                        (exchanges_at(lines, run.port).len() >= 2 * count).then_some(())
                    });
                    assert!(told.is_some(), "{}: the agent does not tell of {count} exchanges a side", case.name);
                }
                Stop::AgentStarts => panic!("{}: an agent runs already", case.name),
            }
        }
        runs.push(run);
    }
    judge(&agent, &runs, |_| true);
}

#[test]
fn connections_older_than_the_agent() {
    let Some(turn) = gate::privileged("raw, connections older than the agent") else { return };
    let cases = cases(&["before-agent"]);
    let mut runs: Vec<_> = cases.iter().map(|case| Run::new(case, Family::V4, Chunking::AsTold)).collect();
    for run in &mut runs {
        assert_eq!(run.go(), Stop::AgentStarts, "{}", run.case.name);
    }
    let agent = Agent::start(&turn.redtap, &[]);
    for run in &mut runs {
        assert_eq!(run.go(), Stop::Over, "{}", run.case.name);
    }
    // What was half over may be told, as unobserved.
    judge(&agent, &runs, |exchange| exchange.outcome != Outcome::Unobserved);
}

/// Compares what the agent tells of each run, as far as it `counts`, with what its case expects.
fn judge(agent: &Agent, runs: &[Run<'_>], counts: impl Fn(&Exchange) -> bool) {
    let told = |run: &Run<'_>| -> Vec<_> {
        agent.exchanges(run.port).into_iter().filter(|exchange| counts(exchange)).collect()
    };
    let differs = |run: &Run<'_>| difference_in_order(&run.case.expected(run.port), &told(run));
    agent.fence();
    let _ = redtap_tests::wait::within(redtap_tests::wait::PATIENCE, || {
        runs.iter().all(|run| differs(run).is_none() && streams_differ(agent, run).is_none()).then_some(())
    });
    agent.fence();
    let _ = agent.scrape();
    let mut failures = String::new();
    for run in runs {
        let mut faults: Vec<String> = differs(run).iter().map(ToString::to_string).collect();
        faults.extend(streams_differ(agent, run));
        faults.extend(told(run).iter().filter_map(|exchange| outside(run, exchange)));
        for fault in faults {
            failures += &format!("case {}: {fault}\n", run.case.name);
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// The streams told at both sides, where they are not those that the case expects.
fn streams_differ(agent: &Agent, run: &Run<'_>) -> Option<String> {
    let cookies: Vec<u64> = agent.exchanges(run.port).iter().map(|exchange| exchange.socket_cookie).collect();
    let told = agent.streams(&cookies);
    let mut actual: Vec<_> =
        told.iter().map(|end| (end.kind.clone(), end.client_bytes, end.server_bytes)).collect();
    let each = run.case.streams.iter().map(|end| (end.kind.clone(), end.client_bytes, end.server_bytes));
    let mut expected: Vec<_> = each.flat_map(|end| [end.clone(), end]).collect();
    actual.sort();
    expected.sort();
    (actual != expected).then(|| format!("streams: expected {expected:?}, got {actual:?}"))
}

/// What of an exchange's times lies outside the time that its connection took.
fn outside(run: &Run<'_>, exchange: &Exchange) -> Option<String> {
    let nanos = |time: SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
        u64::try_from(since.as_nanos()).expect("a clock before 2554")
    };
    /// How far the agent's idea of the wall clock may be from ours.
    const SLACK: u64 = 20_000_000;
    let (began, ended) = run.lasted();
    let (earliest, latest) = (nanos(began) - SLACK, nanos(ended) + SLACK);
    let times = [
        exchange.request_first_byte,
        exchange.request_last_byte,
        exchange.picked_up,
        exchange.response_first_byte,
        exchange.response_last_byte,
        exchange.response_acknowledged,
    ];
    let strange = times.into_iter().flatten().find(|time| !(earliest..=latest).contains(time));
    strange.map(|time| format!("time {time} outside of {earliest}..={latest} in {exchange:?}"))
}
