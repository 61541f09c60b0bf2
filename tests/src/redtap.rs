//! The agent's binary where it is not the daemon: other verbs, and runs that end with an error.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use crate::process::{Place, scratch};
use crate::wait::{self, PATIENCE};

/// The agent's binary, free of this test's own `REDTAP_` and `OTEL_` environment.
#[must_use]
pub fn command(redtap: &Path) -> Command {
    let mut command = Place::Host.command(redtap);
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_own(name)) {
        command.env_remove(name);
    }
    command
}

fn is_own(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("REDTAP_") || name.starts_with("OTEL_")
}

/// How an agent ended that was not to run.
#[derive(Debug)]
pub struct Refusal {
    /// Its exit status; `None` if it ran nevertheless.
    pub status: Option<ExitStatus>,
    /// What it said.
    pub errors: String,
}

impl Refusal {
    /// Runs what is to end by itself, with an error.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn of(command: &mut Command) -> Self {
        let directory = scratch();
        let log = directory.path().join("log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).expect("a log file"));
        let mut child = command.spawn().expect("the agent's binary runs");
        let status = wait::within(PATIENCE, || child.try_wait().expect("a child's state"));
        let _ = child.kill().and_then(|()| child.wait());
        Self { status, errors: std::fs::read_to_string(&log).expect("a log") }
    }

    /// It ended, with an error, in words.
    #[must_use]
    pub fn is_orderly(&self) -> bool {
        let failed = self.status.is_some_and(|status| status.code().is_some_and(|code| code != 0));
        failed && !self.errors.contains("panicked") && !self.errors.trim().is_empty()
    }
}
