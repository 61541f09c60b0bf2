//! What the agent holds at one moment, as the kernel and it itself tell.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::time::Duration;

use redtap_tests::agent::Agent;
use redtap_tests::kernel::maps_of;
use redtap_tests::process::{own_memory, status};

/// Time between two readings, when nothing else happens: the agent forgets a connection 5 seconds after its end, and each
/// reading makes one.
pub const APART: Duration = Duration::from_secs(7);

/// By how much the agent's own memory may be larger at the end: what the allocator wants for itself, and 26 bytes for
/// each end of a connection that was open with all others.
const GROWTH: u64 = 4 * 1024 * 1024;

/// Tables in which others of this host are as well, who come into sight when they please, and how many of those are let pass:
/// what comes and goes here does so hundreds of times a minute.
const SHARED: [&str; 2] = ["processes", "cgroups"];
const STRANGERS: u64 = 16;

/// A reading.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Its own memory in bytes, without the files that it has mapped.
    pub own: u64,
    /// What is held, in numbers: descriptors, threads, entries of maps and tables.
    pub held: BTreeMap<String, u64>,
    /// What was dropped since the start, by unit and reason.
    pub dropped: BTreeMap<String, u64>,
}

impl Reading {
    /// Reads, and closes the books.
    pub fn of(agent: &Agent) -> Self {
        // Of the scrape that comes first, the agent has the same connection and thread every time.
        let scrape = agent.scrape();
        let threads = status(agent.pid(), "Threads").parse().expect("a number of threads");
        let descriptors = fs::read_dir(format!("/proc/{}/fd", agent.pid())).expect("the agent's descriptors");
        let mut held = BTreeMap::from([
            ("descriptors".to_owned(), count(descriptors.count())),
            ("threads".to_owned(), threads),
        ]);
        held.extend(
            maps_of(agent.pid()).into_iter().map(|(name, entries)| (format!("map {name}"), count(entries))),
        );
        for (labels, _) in scrape.find("redtap_table_entries", &[]) {
            let table = labels["table"].as_str();
            held.insert(format!("table {table}"), scrape.count("redtap_table_entries", &[("table", table)]));
        }
        let mut dropped = BTreeMap::new();
        for (labels, _) in scrape.find("redtap_dropped_total", &[]) {
            let (unit, reason) = (labels["unit"].as_str(), labels["reason"].as_str());
            let labels = [("unit", unit), ("reason", reason)];
            dropped.insert(format!("dropped {unit} {reason}"), scrape.count("redtap_dropped_total", &labels));
        }
        Self { own: own_memory(agent.pid()), held, dropped }
    }

    /// The less of each number held; what was dropped is that of the later reading.
    pub fn least(self, later: Self) -> Self {
        let mut held = self.held;
        for (name, now) in later.held {
            held.entry(name).and_modify(|least| *least = now.min(*least)).or_insert(now);
        }
        Self { own: self.own.min(later.own), held, dropped: later.dropped }
    }
}

impl Display for Reading {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let of = |name: &str| self.held.get(name).copied().unwrap_or_default();
        let dropped: u64 = self.dropped.values().sum();
        let (descriptors, threads, flows) = (of("descriptors"), of("threads"), of("table flows"));
        let own = self.own / 1024;
        write!(
            out,
            "{own} KiB, {descriptors} descriptors, {threads} threads, {flows} connections, {dropped} dropped"
        )
    }
}

/// What is more at the end than it was.
pub fn grown(begin: &Reading, end: &Reading) -> Vec<String> {
    let mut grown = Vec::new();
    if end.own > begin.own + GROWTH {
        grown.push(format!(
            "own memory: {} KiB, then {}, which is more than {} KiB more",
            begin.own / 1024,
            end.own / 1024,
            GROWTH / 1024
        ));
    }
    for (name, now) in &end.held {
        let before = begin.held.get(name).copied().unwrap_or_default();
        let most = match name.as_str() {
            // An entry for each connection that has carried what no record tells: those that stay come to have one.
            "map LIVE" => begin.held.get("table flows").copied().unwrap_or_default().max(before),
            _ if is_one_of(&SHARED, name) => before + STRANGERS,
            _ => before,
        };
        if *now > most {
            grown.push(format!("{name}: {before}, then {now}"));
        }
    }
    grown
}

fn is_one_of(tables: &[&str], name: &str) -> bool {
    name.strip_prefix("table ").is_some_and(|name| tables.contains(&name))
}

fn count(number: usize) -> u64 {
    u64::try_from(number).expect("a number")
}

#[test]
fn what_grows_is_named() {
    let reading = |own, threads, flows| {
        let held = [("threads", threads), ("table flows", flows)];
        let held = held.map(|(name, number): (&str, u64)| (name.to_owned(), number)).into();
        Reading { own, held, dropped: BTreeMap::new() }
    };
    let begin = reading(GROWTH, 5, 10);
    assert!(grown(&begin, &reading(2 * GROWTH, 5, 9)).is_empty());
    assert_eq!(grown(&begin, &reading(0, 6, 10)), ["threads: 5, then 6"]);
    assert_eq!(grown(&begin, &reading(2 * GROWTH + 1, 5, 11)).len(), 2);
    let with_live = |mut reading: Reading, entries| {
        reading.held.insert("map LIVE".to_owned(), entries);
        reading
    };
    assert!(grown(&with_live(begin.clone(), 3), &with_live(begin.clone(), 10)).is_empty());
    assert_eq!(grown(&with_live(begin.clone(), 3), &with_live(begin.clone(), 11)), ["map LIVE: 3, then 11"]);
    assert!(grown(&begin, &reading(3 * GROWTH, 6, 11).least(reading(GROWTH, 5, 10))).is_empty());
}
