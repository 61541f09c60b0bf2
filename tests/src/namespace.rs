//! Network namespaces of the test's own.

use std::process::Command;

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

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new(tool("ip")).args(["netns", "delete", &self.name]).status();
    }
}
