//! What is attached to the kernel, as `bpftool` sees it.

use std::collections::BTreeSet;
use std::process::Command;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::gate::tool;
use crate::wait;

/// A link of a BPF program.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// Its id.
    pub id: u64,
    /// Where in a cgroup it is attached, if it is.
    #[serde(default)]
    pub attach_type: String,
}

/// All links of this host.
///
/// # Panics
/// When `bpftool` does not tell.
#[must_use]
pub fn links() -> BTreeSet<Link> {
    listed("link")
}

/// The kernel's BPF objects of a kind, such as `prog`.
///
/// # Panics
/// When `bpftool` does not tell.
pub fn listed<T: DeserializeOwned>(kind: &str) -> T {
    wait::until("the BPF objects of this host", || {
        let listed = Command::new(tool("bpftool")).args(["--json", kind, "list"]).output().expect("bpftool runs");
        // It fails when one goes away while it looks.
        serde_json::from_slice(&listed.stdout).ok().filter(|_| listed.status.success())
    })
}
