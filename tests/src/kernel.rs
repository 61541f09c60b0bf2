//! What the kernel itself says of its connections and maps: `ss`, `nstat`, `bpftool`.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::gate::tool;
use crate::hosts::Host;
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
pub fn map_entries(name: &str) -> u64 {
    let maps = maps();
    let ids: Vec<_> = maps.iter().filter(|(_, own)| *own == name).map(|(id, _)| *id).collect();
    assert!(!ids.is_empty(), "no map {name}");
    ids.into_iter().map(|id| entries(id) as u64).sum()
}

/// Entries of the hash maps that a process holds, by name.
///
/// # Panics
/// When the kernel does not tell.
#[must_use]
pub fn maps_of(pid: u32) -> BTreeMap<String, usize> {
    /// `BPF_MAP_TYPE_HASH` and `BPF_MAP_TYPE_LRU_HASH` (include/uapi/linux/bpf.h).
    const HASHES: [&str; 2] = ["1", "9"];
    let names = maps();
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("a process's descriptors") {
        // It may be closed by now.
        let Ok(text) = fs::read_to_string(entry.expect("a descriptor").path()) else { continue };
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let Some(id) = value("map_id:").filter(|_| value("map_type:").is_some_and(|kind| HASHES.contains(&kind)))
        else {
            continue;
        };
        let id = id.parse().expect("a map's id");
        // One map may have several descriptors.
        found.insert(names[&id].clone(), entries(id));
    }
    found
}

/// Names of all maps of this host, by their ids.
fn maps() -> BTreeMap<u64, String> {
    let listed = wait::until("the maps of this host", || {
        // It fails when one goes away while it looks.
        let list = Command::new(tool("bpftool")).args(["--json", "map", "list"]).output().expect("bpftool runs");
        serde_json::from_slice::<serde_json::Value>(&list.stdout).ok().filter(|_| list.status.success())
    });
    let maps = listed.as_array().into_iter().flatten();
    maps.filter_map(|map| Some((map["id"].as_u64()?, map["name"].as_str().unwrap_or_default().to_owned())))
        .collect()
}

/// Entries of a hash map.
fn entries(id: u64) -> usize {
    wait::until("the entries of a map", || {
        // It may fail when one goes away while it looks.
        let dump = Command::new(tool("bpftool"))
            .args(["--json", "map", "dump", "id", &id.to_string()])
            .output()
            .expect("bpftool runs");
        let entries: serde_json::Value = serde_json::from_slice(&dump.stdout).ok()?;
        entries.as_array().map(Vec::len)
    })
}
