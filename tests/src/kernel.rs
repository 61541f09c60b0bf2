//! What the kernel itself says of its connections and maps: `ss`, `nstat`, `bpftool`.

use std::collections::BTreeMap;
use std::process::Command;

use crate::gate::tool;
use crate::hosts::Host;
use crate::process::output;
use crate::wait;

/// Numbers of one socket, as `ss -tin` writes them (`name:value`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Socket {
    values: BTreeMap<String, String>,
}

impl Socket {
    /// The established connection of `host` that goes to, or comes from, a server's port.
    ///
    /// # Panics
    /// When there is none, or more than one.
    #[must_use]
    pub fn of(host: &Host, port: u16) -> Self {
        let filter = format!("( sport = :{port} or dport = :{port} )");
        let text = host.namespace.run(&["ss", "-OHtin", "state", "established", &filter]);
        let lines: Vec<_> = text.lines().collect();
        let [line] = lines.as_slice() else { panic!("not one connection of port {port}: {text}") };
        let words = line.split_ascii_whitespace().filter_map(|word| word.split_once(':'));
        Self { values: words.map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    /// A number; 0 where `ss` leaves it out.
    ///
    /// # Panics
    /// When it is no whole number.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        self.values.get(name).map_or(0, |value| value.parse().unwrap_or_else(|_| panic!("{name}:{value}")))
    }

    /// Segments sent again so far (`retrans:now/ever`).
    ///
    /// # Panics
    /// When that is not a pair of numbers.
    #[must_use]
    pub fn retransmits(&self) -> u64 {
        let Some(value) = self.values.get("retrans") else { return 0 };
        value.split_once('/').and_then(|(_, ever)| ever.parse().ok()).unwrap_or_else(|| panic!("retrans:{value}"))
    }
}

/// A counter of a host, as `nstat` tells it.
///
/// # Panics
/// When there is no such counter.
#[must_use]
pub fn counter(host: &Host, name: &str) -> u64 {
    let text = host.namespace.run(&["nstat", "--zeros", "--ignore", name]);
    let mut words = text.lines().filter_map(|line| line.strip_prefix(name)?.split_ascii_whitespace().next());
    words.next_back().and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no {name}: {text}"))
}

/// Entries of all hash maps of this name.
///
/// # Panics
/// When there is no such map.
#[must_use]
pub fn map_entries(name: &str) -> usize {
    let listed = output(Command::new(tool("bpftool")).args(["--json", "map", "list"]));
    let maps: serde_json::Value = serde_json::from_str(&listed).expect("a list of maps");
    let ids = maps.as_array().into_iter().flatten().filter(|map| map["name"] == name);
    let ids: Vec<_> = ids.filter_map(|map| map["id"].as_u64()).collect();
    assert!(!ids.is_empty(), "no map {name}");
    let entries = |id: &u64| {
        wait::until("the entries of a map", || {
            // It may fail when one goes away while it looks.
            let dump = Command::new(tool("bpftool"))
                .args(["--json", "map", "dump", "id", &id.to_string()])
                .output()
                .expect("bpftool runs");
            let entries: serde_json::Value = serde_json::from_slice(&dump.stdout).ok()?;
            entries.as_array().map(Vec::len)
        })
    };
    ids.iter().map(entries).sum()
}
