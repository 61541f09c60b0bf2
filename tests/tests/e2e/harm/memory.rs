//! The host has no more memory for the agent.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use redtap_tests::agent::Agent;
use redtap_tests::gate::{self, built};
use redtap_tests::process::{Place, output, status};
use redtap_tests::remains::Remains;
use redtap_tests::servers::nginx;
use redtap_tests::wait::{self, PATIENCE};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::Wrapped;
use super::load::Load;

/// What the agent may have beyond what it has when it is ready. Connections and series of the load need more.
const ROOM: u64 = 256 * 1024;

/// Connections of the load, and requests of which no two are the same.
const CONNECTIONS: &str = "3000";
const REQUESTS: &str = "30000";

#[test]
fn without_memory_it_goes_and_takes_nobody_with_it() {
    let Some(turn) = gate::privileged("an agent without memory") else { return };
    let server = nginx(&Place::Host);
    let before = Remains::now();
    let bound = Bound::new();
    let own = Wrapped::new(&turn.redtap, &bound.enter(), "");
    let mut agent = Agent::start_silent(&own.script, &[]);
    let load = Load::start(server.address());
    bound.set(agent.pid());
    let end = wait::within(PATIENCE, || {
        let mut distinct = Command::new(built("exact-load"));
        distinct.arg(server.address().to_string()).args([CONNECTIONS, REQUESTS, "/any/*"]);
        assert_eq!(output(&mut distinct).trim(), REQUESTS);
        agent.ended()
    });
    load.goes_on();
    load.stop("without memory");
    let end = end.unwrap_or_else(|| panic!("the agent had memory enough with {bound:?}: {}", agent.log()));
    println!("{bound:?}: {end}");
    assert!(!end.success(), "{end}: {}", agent.log());
    before.assert_no_more();
}

/// What bounds the agent's memory on this host.
#[derive(Debug)]
enum Bound {
    /// A cgroup of its own: the directory, the file of the limit, and that of what is used.
    Cgroup(PathBuf, &'static str, &'static str),
    /// Its address space (setrlimit(2)).
    AddressSpace,
}

impl Bound {
    fn new() -> Self {
        let mounts = fs::read_to_string("/proc/mounts").expect("the table of mounts");
        let mounts: Vec<Vec<&str>> = mounts.lines().map(|line| line.split(' ').collect()).collect();
        let own = |root: &str| Path::new(root).join(format!("redtap-memory-{}", std::process::id()));
        for mount in &mounts {
            let (root, kind, options) = (mount[1], mount[2], mount[3]);
            let (limit, used) = match kind {
                "cgroup" if options.split(',').any(|option| option == "memory") => {
                    ("memory.limit_in_bytes", "memory.usage_in_bytes")
                }
                "cgroup2" if has_memory(Path::new(root)) => ("memory.max", "memory.current"),
                _ => continue,
            };
            let directory = own(root);
            fs::create_dir(&directory).expect("a cgroup");
            return Self::Cgroup(directory, limit, used);
        }
        Self::AddressSpace
    }

    /// What a script does to be bound, up to the beginning of a command.
    fn enter(&self) -> String {
        match self {
            Self::Cgroup(directory, ..) => format!("echo $$ >{}/cgroup.procs\nexec", directory.display()),
            Self::AddressSpace => "exec".to_owned(),
        }
    }

    /// From now on, there is little more than what is used now.
    fn set(&self, pid: u32) {
        match self {
            Self::Cgroup(directory, limit, used) => {
                let used = fs::read_to_string(directory.join(used)).expect("a number of bytes");
                let used: u64 = used.trim().parse().expect("a number of bytes");
                fs::write(directory.join(limit), (used + ROOM).to_string()).expect("a limit");
            }
            Self::AddressSpace => {
                let size = status(pid, "VmSize");
                let size: u64 = size.trim_end_matches(" kB").parse().expect("a number of kB");
                let most = Some(size * 1024 + ROOM);
                let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
                prlimit(pid, Resource::As, Rlimit { current: most, maximum: most }).expect("a limit");
            }
        }
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Self::Cgroup(directory, ..) = self {
            // It is empty once the agent is gone.
            let _ = wait::within(PATIENCE, || fs::remove_dir(&*directory).ok());
        }
    }
}

/// Whether the children of a cgroup of version 2 can have limits of memory; they are to.
fn has_memory(root: &Path) -> bool {
    let lists = |file: &str| {
        let text = fs::read_to_string(root.join(file)).unwrap_or_default();
        text.split_ascii_whitespace().any(|controller| controller == "memory")
    };
    let asked = lists("cgroup.controllers") && fs::write(root.join("cgroup.subtree_control"), "+memory").is_ok();
    asked && lists("cgroup.subtree_control")
}
