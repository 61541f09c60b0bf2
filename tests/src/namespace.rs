//! Network namespaces of the test's own.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::panic::resume_unwind;
use std::process::Command;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::gate::tool;
use crate::process::{Place, output};

/// A named network namespace with its own loopback, deleted on drop.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one; `purpose` is part of its name.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn new(purpose: &str) -> Self {
        let name = format!("redtap-{purpose}-{}", std::process::id());
        output(Command::new(tool("ip")).args(["netns", "add", &name]));
        let namespace = Self { name };
        namespace.run(&["ip", "link", "set", "lo", "up"]);
        namespace
    }

    /// As a place for processes.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::Namespace(self.name.clone())
    }

    /// Runs a program in it and gives what it wrote.
    ///
    /// # Panics
    /// When it fails.
    pub fn run(&self, arguments: &[&str]) -> String {
        let [program, rest @ ..] = arguments else { panic!("nothing to run") };
        // What has no directory in its name is a tool of the host.
        let program = if program.contains('/') { program.into() } else { tool(program) };
        output(self.place().command(&program).args(rest))
    }

    /// Does something in it: sockets that are made meanwhile belong to it for ever.
    ///
    /// # Panics
    /// When `act` does, or the namespace is gone.
    pub fn enter<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        enter(&self.name, act)
    }

    /// Sets a `net.` parameter, given with slashes.
    ///
    /// # Panics
    /// When the kernel refuses it.
    pub fn set(&self, parameter: &str, value: &str) {
        self.enter(|| std::fs::write(format!("/proc/sys/net/{parameter}"), value))
            .unwrap_or_else(|error| panic!("{parameter}: {error}"));
    }

    /// Loses that many of a hundred TCP segments that arrive in it, at random, before any socket sees them.
    ///
    /// # Panics
    /// When the packet filter does not take the rule.
    pub fn lose(&self, percent: u8) {
        let rule = format!(
            "table ip redtap {{\nchain in {{\ntype filter hook prerouting priority 0;\n\
             meta l4proto tcp numgen random mod 100 < {percent} drop\n}}\n}}\n"
        );
        self.run(&["nft", &rule]);
    }
}

/// Does something in a named namespace.
pub(crate) fn enter<T: Send>(name: &str, act: impl FnOnce() -> T + Send) -> T {
    let entered = move || {
        let namespace = File::open(format!("/run/netns/{name}")).expect("a namespace");
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("a namespace");
        act()
    };
    thread::scope(|scope| scope.spawn(entered).join()).unwrap_or_else(|panic| resume_unwind(panic))
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new(tool("ip")).args(["netns", "delete", &self.name]).status();
    }
}
