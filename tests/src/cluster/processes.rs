//! Which processes are a cluster's own, and ending them.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{Cluster, Component};
use crate::wait;

/// How long what was asked to end may take before it is ended.
const GRACE: Duration = Duration::from_secs(10);

impl Cluster {
    /// The processes in its network namespace: components, shims, and pods that have the node's network. The namespace
    /// cannot be mistaken for another as long as its name is there, and its name goes last.
    pub(super) fn in_its_network(&self) -> Result<HashSet<Pid>> {
        let Some(own) = identity(&self.network()) else { return Ok(HashSet::new()) };
        let is_inside = |pid: &Pid| identity(&process(*pid).join("ns/net")) == Some(own) && is_alive(*pid);
        Ok(all()?.filter(is_inside).collect())
    }

    /// All its processes.
    pub(super) fn processes(&self) -> Result<HashSet<Pid>> {
        let mut processes = self.in_its_network()?;
        processes.extend(self.in_its_cgroups());
        Ok(processes)
    }

    /// The process of a component, if it runs.
    pub(super) fn process_of(&self, component: Component) -> Result<Option<Pid>> {
        let is_it = |pid: &Pid| {
            let executable = fs::read_link(process(*pid).join("exe")).unwrap_or_default();
            executable.file_name().is_some_and(|name| name == component.program())
        };
        Ok(self.in_its_network()?.into_iter().find(is_it))
    }

    /// Signals a process if it is one of its own; one that has ended is no error.
    pub(super) fn signal(&self, pid: Pid, signal: Signal) -> Result<()> {
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::SRCH) => return Ok(()),
            handle => handle.with_context(|| format!("cannot reach process {pid}"))?,
        };
        // The handle is of one process for ever; whose it is, is asked after it was taken.
        if self.processes()?.contains(&pid) {
            match pidfd_send_signal(&handle, signal) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => return Err(error).with_context(|| format!("cannot signal process {pid}")),
            }
        }
        Ok(())
    }

    /// Sends `first` to processes and to those that come after them, later SIGKILL, until there are none. Those that are
    /// there nevertheless are no error here: [`Cluster::left`] tells them by name.
    pub(super) fn end(&self, which: impl Fn(&Self) -> Result<HashSet<Pid>>, first: Signal) -> Result<()> {
        for signal in [first, Signal::KILL] {
            let mut told = HashSet::new();
            let ended = wait::within(GRACE, || {
                let left = which(self).ok()?;
                for pid in left.difference(&told) {
                    self.signal(*pid, signal).ok()?;
                }
                told.extend(&left);
                left.is_empty().then_some(())
            });
            if ended.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// A process's name and number, for people.
pub(super) fn described(pid: Pid) -> String {
    let name = fs::read_to_string(process(pid).join("comm")).unwrap_or_default();
    format!("process {pid} ({})", name.trim_end())
}

fn process(pid: Pid) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

/// Every process of this host.
fn all() -> Result<impl Iterator<Item = Pid>> {
    let entries = fs::read_dir("/proc").context("cannot list processes")?;
    Ok(entries.filter_map(|entry| Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?)))
}

/// What tells a file, or a namespace, from all others.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Whether it has not ended; one that has, and whose parent does not know yet, has.
pub(super) fn is_alive(pid: Pid) -> bool {
    let status = fs::read_to_string(process(pid).join("stat")).unwrap_or_default();
    // `pid (name) state …`, the name being any text.
    let state = status.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    state.is_some_and(|state| !"XZ".contains(state))
}
