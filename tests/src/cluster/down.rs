//! Bringing a cluster down, and looking whether something of it is left.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use super::processes::described;
use super::{Cluster, Component, assert_root, clean, output};
use crate::gate::tool;
use crate::wait;

/// How long the kernel may take to let go of what processes had.
const AFTERMATH: Duration = Duration::from_secs(10);

impl Cluster {
    /// Brings down what is there of it, whoever brought it up, and however that ended. Logs stay.
    ///
    /// # Errors
    /// When a process, cgroup, mount or namespace of it is left; the text names each.
    pub fn down(&self) -> Result<()> {
        assert_root()?;
        // First what would start pods again, then the pods, at once: they have nothing to finish.
        self.end(|cluster| Ok(cluster.process_of(Component::Kubelet)?.into_iter().collect()), Signal::TERM)?;
        self.end(|cluster| Ok(cluster.in_its_cgroups()), Signal::KILL)?;
        self.end(Self::in_its_network, Signal::TERM)?;
        let left = wait::within(AFTERMATH, || {
            self.remove_cgroups();
            (self.cgroups_left().is_empty() && self.processes().is_ok_and(|left| left.is_empty())).then_some(())
        });
        if left.is_some() && self.network().exists() {
            output(clean(&tool("ip")).args(["netns", "delete", &self.name]))?;
        }
        let left = self.left()?;
        if !left.is_empty() {
            bail!("left of the cluster in {}: {}", self.home.display(), left.join(", "));
        }
        self.forget()
    }

    /// What there is of it in the kernel.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub fn left(&self) -> Result<Vec<String>> {
        let mut left: Vec<_> = self.processes()?.into_iter().map(described).collect();
        left.extend(self.cgroups_left().into_iter().map(|cgroup| format!("cgroup {}", cgroup.display())));
        if self.network().exists() {
            left.push(format!("network namespace {}", self.name));
        }
        let mounts = fs::read_to_string("/proc/self/mounts").context("cannot list mounts")?;
        let home = self.home.display().to_string();
        let places: BTreeSet<_> = mounts.lines().filter_map(|line| line.split(' ').nth(1)).collect();
        left.extend(
            places.into_iter().filter(|place| place.starts_with(&home)).map(|place| format!("mount {place}")),
        );
        Ok(left)
    }

    /// Removes its files, but for logs.
    fn forget(&self) -> Result<()> {
        for entry in fs::read_dir(&self.home)?.flatten().filter(|entry| entry.file_name() != "log") {
            let path = entry.path();
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(())
    }
}
