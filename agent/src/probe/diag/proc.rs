//! What sock_diag does not tell and `/proc` does: network namespaces, and who holds a socket.

use std::{
    fs::{self, File},
    io,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::Path,
};

use hashbrown::{HashMap, hash_map::Entry};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Existing, Failure};
use crate::{identity::host::monotonic_now, time::Nanos};

/// The process that starts services by sockets it holds for them.
const INIT: u32 = 1;

/// Processes remembered as doors to a namespace, should one of them end.
const DOORS: usize = 4;

/// A network namespace.
#[derive(Debug)]
pub(super) struct Namespace {
    /// Inode of its file, which is its name.
    pub(super) inode: u64,
    processes: Vec<u32>,
}

impl Namespace {
    /// Moves the calling thread into it; false: all processes that we knew in it are gone.
    pub(super) fn enter(&self) -> io::Result<bool> {
        for pid in &self.processes {
            let link = match File::open(format!("/proc/{pid}/ns/net")) {
                Ok(link) => link,
                Err(error) if is_gone(&error) => continue,
                Err(error) => return Err(error),
            };
            if link.metadata()?.ino() == self.inode {
                move_into_link_name_space(link.as_fd(), Some(LinkNameSpaceType::Network))?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The network namespace of the calling thread; 0: not to be found out.
pub(super) fn own_namespace() -> u64 {
    fs::metadata("/proc/thread-self/ns/net").map_or(0, |link| link.ino())
}

/// The network namespaces of all processes but the one named `own`.
pub(super) fn other_namespaces(own: u64, deadline: Nanos, failures: &mut Vec<Failure>) -> Vec<Namespace> {
    let mut places = HashMap::new();
    let mut namespaces: Vec<Namespace> = Vec::new();
    each_process("network namespaces", deadline, failures, |pid, directory| {
        let inode = fs::metadata(directory.join("ns/net"))?.ino();
        if inode == own {
            return Ok(());
        }
        let place = *places.entry(inode).or_insert(namespaces.len());
        match namespaces.get_mut(place) {
            Some(namespace) if namespace.processes.len() < DOORS => namespace.processes.push(pid),
            Some(_) => {}
            None => namespaces.push(Namespace { inode, processes: vec![pid] }),
        }
        Ok(())
    });
    namespaces
}

/// Fills in [`Existing::pid`].
pub(super) fn find_owners(sockets: &mut [Existing], deadline: Nanos, failures: &mut Vec<Failure>) {
    let with_file = sockets.iter().filter(|socket| socket.inode != 0);
    let mut owners: HashMap<u32, u32> = with_file.map(|socket| (socket.inode, 0)).collect();
    if owners.is_empty() {
        return;
    }
    each_process("open files", deadline, failures, |pid, directory| {
        for descriptor in fs::read_dir(directory.join("fd"))? {
            let target = match fs::read_link(descriptor?.path()) {
                Ok(target) => target,
                Err(error) if is_gone(&error) => continue,
                Err(error) => return Err(error),
            };
            if let Some(inode) = socket_inode(&target)
                && let Entry::Occupied(mut owner) = owners.entry(inode)
                && [0, INIT].contains(owner.get())
            {
                owner.insert(pid);
            }
        }
        Ok(())
    });
    for socket in sockets {
        socket.pid = owners.get(&socket.inode).copied().unwrap_or_default();
    }
}

/// The inode of a descriptor's target like `socket:[4242]`.
fn socket_inode(target: &Path) -> Option<u32> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// Calls `look` for every process, in the order of their ids, until the deadline.
fn each_process(
    what: &'static str,
    deadline: Nanos,
    failures: &mut Vec<Failure>,
    mut look: impl FnMut(u32, &Path) -> io::Result<()>,
) {
    let processes = match fs::read_dir("/proc") {
        Ok(processes) => processes,
        Err(error) => return failures.push(Failure::Processes(error)),
    };
    let mut hidden = 0;
    for process in processes {
        let process = match process {
            Ok(process) => process,
            Err(error) => {
                failures.push(Failure::Processes(error));
                break;
            }
        };
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if monotonic_now() >= deadline {
            failures.push(Failure::Time(what));
            break;
        }
        match look(pid, &process.path()) {
            Ok(()) => {}
            Err(error) if is_gone(&error) => {}
            Err(_) => hidden += 1,
        }
    }
    if hidden > 0 {
        failures.push(Failure::Hidden { what, count: hidden });
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptor_targets() {
        for (target, expected) in [
            ("socket:[4242]", Some(4242)),
            ("socket:[4242", None),
            ("socket:[]", None),
            ("socket:[99999999999]", None),
            ("pipe:[4242]", None),
            ("/tmp/socket:[1]", None),
        ] {
            assert_eq!(socket_inode(Path::new(target)), expected, "{target}");
        }
    }
}
