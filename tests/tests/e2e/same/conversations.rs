//! The raw conversations of `cases/`: odd ones, both of whose ends are here.

use redtap_tests::agent::{Agent, exchanges_at};
use redtap_tests::gate;
use redtap_tests::namespace::Namespace;
use redtap_tests::raw::{Case, Chunking, Family, Run, Step, Stop};
use redtap_tests::wait;

use super::{
    Likeness, PATIENCE, Recorder, Recording, UNWATCHED, WATCHED, assert_unwatched, difference, headers, place,
    unstable,
};
use crate::raw::{ALL, cases};

/// Addresses, cuts, and whether congestion is notified (RFC 3168), which needs bits of both headers.
const WAYS: [(Family, Chunking, bool); 5] = [
    (Family::V4, Chunking::AsTold, false),
    (Family::V4, Chunking::Pieces(7), false),
    (Family::V6, Chunking::AsTold, false),
    (Family::Mapped, Chunking::AsTold, false),
    (Family::V4, Chunking::AsTold, true),
];

/// An agent almost as it comes, and one that looks as deep as it can. Both have room for all that they see, however late they look.
const AGENTS: [&[&str]; 2] = [
    &["--request-timeout", "300ms", "--ring-size", "64MiB"],
    &[
        "--request-timeout",
        "300ms",
        "--ring-size",
        "64MiB",
        "--capture-length",
        "65536",
        "--capture-headers",
        "host,x-mark",
    ],
];

/// A case in one of the ways.
#[derive(Clone, Copy)]
struct Script<'a> {
    case: &'a Case,
    way: (Family, Chunking, bool),
}

/// All that is known of one.
struct Known<'a> {
    script: Script<'a>,
    unwatched: Vec<Recording>,
}

#[test]
fn raw_conversations_are_the_same_on_the_wire() {
    let Some(turn) = gate::privileged("same, raw conversations") else { return };
    let namespace = place("same-raw");
    let cases = cases(&ALL);
    assert_unwatched();
    let mut known: Vec<Known<'_>> = Vec::new();
    for way in WAYS {
        let scripts: Vec<_> = cases.iter().map(|case| Script { case, way }).collect();
        let mut rounds: Vec<_> = (0..UNWATCHED).map(|_| record(&namespace, &scripts, None).into_iter()).collect();
        known.extend(scripts.into_iter().map(|script| {
            let unwatched = rounds.iter_mut().filter_map(Iterator::next).map(|watched| watched.run).collect();
            Known { script, unwatched }
        }));
    }
    let faults = known.iter().filter_map(|known| {
        unstable(Likeness::Segments, &known.unwatched).map(|fault| format!("{}: {fault}", known.script.name()))
    });
    let faults: Vec<String> = faults.collect();
    assert!(faults.is_empty(), "unwatched, runs differ among themselves:\n{}", faults.join("\n"));
    for flags in AGENTS {
        let agent = Agent::start(&turn.redtap, flags);
        let faults = watched(&namespace, &agent, &known);
        assert!(faults.is_empty(), "watched with {flags:?}, runs differ:\n{}", faults.join("\n"));
        agent.fence();
        let _ = agent.scrape();
    }
}

/// What differs while an agent watches.
fn watched(namespace: &Namespace, agent: &Agent, known: &[Known<'_>]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut in_full: Vec<bool> = known.iter().map(|known| known.script.waits()).collect();
    for round in 1..=PATIENCE {
        for way in WAYS {
            let of_way = known.iter().filter(|known| known.script.way == way);
            let headers = headers(of_way.flat_map(|known| &known.unwatched));
            let due = |at: &usize| known[*at].script.way == way && (round <= WATCHED || !in_full[*at]);
            let due: Vec<usize> = (0..known.len()).filter(due).collect();
            let scripts: Vec<_> = due.iter().map(|at| known[*at].script).collect();
            let runs = record(namespace, &scripts, Some(agent));
            agent.fence();
            for (at, Watched { port, run, is_told }) in due.into_iter().zip(runs) {
                let Known { script, unwatched } = &known[at];
                in_full[at] |= unwatched.contains(&run);
                let seen = || (!agent.exchanges(port).is_empty()).then_some(());
                if !is_told || script.is_told(port) && wait::within(wait::PATIENCE, seen).is_none() {
                    faults.push(format!(
                        "{}: not seen by the agent: was it watched? told of {:?}: {}",
                        script.name(),
                        agent.exchanges(port),
                        books(agent)
                    ));
                }
                let fault = difference(Likeness::Segments, &headers, unwatched, &run);
                let fault = fault.or_else(|| {
                    let never = round == PATIENCE && !in_full[at];
                    never.then(|| {
                        format!("never the same in full; unwatched:\n{}watched:\n{}", unwatched[0][0], run[0])
                    })
                });
                faults.extend(fault.map(|fault| format!("{}: {fault}", script.name())));
            }
        }
    }
    faults
}

/// What became of segments and records.
fn books(agent: &Agent) -> String {
    let scrape = agent.scrape();
    let of =
        |name: &str| scrape.find(name, &[]).map(|(labels, count)| format!("{name}{labels:?} {count}")).collect();
    let all: Vec<Vec<String>> = [
        "redtap_segments_total",
        "redtap_segments_accounted_total",
        "redtap_segments_pending",
        "redtap_dropped_total",
        "redtap_records_total",
        "redtap_flows",
        "redtap_exchanges_total",
    ]
    .map(of)
    .into();
    all.concat().join("; ")
}

impl Script<'_> {
    fn name(&self) -> String {
        let (family, chunking, notified) = self.way;
        let notified = if notified { ", ECN" } else { "" };
        format!("case {} ({family:?}, {chunking:?}{notified})", self.case.name)
    }

    /// Whether it waits for what the agent tells, which no agent does when there is none.
    fn waits(&self) -> bool {
        self.case.steps.iter().any(|step| matches!(step, Step::AgentReports(_)))
    }

    /// Whether the agent has to tell of it.
    fn is_told(&self, port: u16) -> bool {
        self.case.expected(port).iter().any(|entry| !entry.optional)
    }
}

/// What became of a script.
struct Watched {
    /// The server's port.
    port: u16,
    /// What passed.
    run: Recording,
    /// The agent told all that the script waits for.
    is_told: bool,
}

/// Runs scripts of one way.
fn record(namespace: &Namespace, scripts: &[Script<'_>], agent: Option<&Agent>) -> Vec<Watched> {
    let Some((family, chunking, notified)) = scripts.first().map(|script| script.way) else { return Vec::new() };
    namespace.set("ipv4/tcp_ecn", if notified { "1" } else { "2" });
    Recorder::with(namespace, |recorder| {
        let run = |script: &Script<'_>| {
            let mut run = Run::new(script.case, family, chunking);
            let mut is_told = true;
            loop {
                match (run.go(), agent) {
                    (Stop::Over, _) => break,
                    // It started before the connection, or never does.
                    (Stop::AgentStarts, _) | (Stop::AgentReports(_), None) => {}
                    (Stop::AgentReports(count), Some(agent)) => {
                        let told = agent.within(wait::PATIENCE, |lines| {
                            (exchanges_at(lines, run.port).len() >= 2 * count).then_some(())
                        });
                        is_told &= told.is_some();
                    }
                }
            }
            Watched { port: run.port, run: recorder.run(run.port, 1), is_told }
        };
        scripts.iter().map(run).collect()
    })
}
