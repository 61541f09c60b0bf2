//! A cluster's own cgroup, in every hierarchy that the host has.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::process::Pid;

use super::Cluster;
use super::processes::is_alive;

impl Cluster {
    /// Makes it: kubelet asks for one that is there, and puts the pods' into it.
    pub(super) fn make_cgroups(&self) -> Result<()> {
        for cgroup in self.cgroups() {
            fs::create_dir_all(&cgroup).with_context(|| format!("cannot make {}", cgroup.display()))?;
        }
        Ok(())
    }

    /// The processes in it and below it: those of pods.
    pub(super) fn in_its_cgroups(&self) -> HashSet<Pid> {
        let mut processes = HashSet::new();
        for cgroup in self.cgroups() {
            walk(&cgroup, &mut |directory| {
                let listed = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
                processes.extend(listed.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)));
            });
        }
        processes.retain(|pid| is_alive(*pid));
        processes
    }

    /// Removes it and what is below it, as far as nothing is in it.
    pub(super) fn remove_cgroups(&self) {
        for cgroup in self.cgroups() {
            walk(&cgroup, &mut |directory| drop(fs::remove_dir(directory)));
        }
    }

    /// Those that are there.
    pub(super) fn cgroups_left(&self) -> Vec<PathBuf> {
        self.cgroups().into_iter().filter(|cgroup| cgroup.exists()).collect()
    }

    /// Where it is, or would be.
    fn cgroups(&self) -> Vec<PathBuf> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let hierarchies = mounts.lines().filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            let place = words.next()?;
            words.next()?.starts_with("cgroup").then_some(place)
        });
        hierarchies.map(|hierarchy| Path::new(hierarchy).join(&self.name)).collect()
    }
}

/// Every directory from the leaves to the root.
fn walk(directory: &Path, visit: &mut impl FnMut(&Path)) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        walk(&entry.path(), visit);
    }
    if directory.exists() {
        visit(directory);
    }
}
