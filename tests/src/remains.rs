//! What an agent could leave behind on its host: programs, maps, links and pins in the kernel, files of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::links::listed;
use crate::wait;

/// What of that there is at a moment, each thing by its kind and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remains(BTreeSet<String>);

impl Remains {
    /// All there is now.
    ///
    /// # Panics
    /// When `bpftool` does not tell.
    #[must_use]
    pub fn now() -> Self {
        let mut all = BTreeSet::new();
        for kind in ["prog", "map", "link"] {
            all.extend(objects(kind));
        }
        let mounts = fs::read_to_string("/proc/mounts").expect("the table of mounts");
        let mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        for mount in mounts.filter(|fields| fields.get(2) == Some(&"bpf")) {
            pins(Path::new(mount[1]), &mut all);
        }
        for directory in ["/run", "/tmp"] {
            all.extend(own_files(Path::new(directory)));
        }
        Self(all)
    }

    /// Whether programs and maps were loaded since, and still are.
    #[must_use]
    pub fn is_loaded_since(&self) -> bool {
        let now = Self::now();
        ["prog ", "map "].into_iter().all(|kind| now.0.difference(&self.0).any(|name| name.starts_with(kind)))
    }

    /// Asserts that nothing has come since and stayed. The kernel frees what a dead process held in its own time.
    ///
    /// # Panics
    /// When something has.
    pub fn assert_no_more(&self) {
        let mut more = Vec::new();
        let gone = wait::within(wait::PATIENCE, || {
            more = Self::now().0.difference(&self.0).cloned().collect();
            more.is_empty().then_some(())
        });
        assert!(gone.is_some(), "left behind: {more:?}");
    }
}

/// The kernel's BPF objects of a kind.
fn objects(kind: &str) -> Vec<String> {
    let told = |object: serde_json::Value| {
        format!("{kind} {} {}", object["id"], object["name"].as_str().unwrap_or_default())
    };
    listed::<Vec<_>>(kind).into_iter().map(told).collect()
}

/// What is pinned below a directory.
fn pins(directory: &Path, all: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        all.insert(format!("pin {}", entry.path().display()));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            pins(&entry.path(), all);
        }
    }
}

/// What bears the agent's name in a directory, but for what tests put there.
fn own_files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.contains("redtap") && !name.starts_with("redtap-e2e")
    });
    names.map(|entry| format!("file {}", entry.path().display())).collect()
}
