//! The end of a test's cluster, however the test ends.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::gate::built;

/// A process that brings a cluster down when it is told to, or when this process ends without having told it: by a
/// panic, by ctrl-c, by SIGKILL.
pub struct Guard {
    child: Child,
}

impl Guard {
    /// Has the cluster called `name` brought down at the end.
    ///
    /// # Errors
    /// When the guard cannot be started.
    pub fn over(name: &str) -> Result<Self> {
        let mut command = Command::new(built("cluster"));
        // The end of its input is what it waits for; a process group of its own hears no ctrl-c.
        command.args([name, "guard"]).stdin(Stdio::piped()).process_group(0);
        Ok(Self { child: command.spawn().context("cannot start the cluster's guard")? })
    }

    /// Brings the cluster down.
    ///
    /// # Errors
    /// When something of it is left; what, is on standard error.
    pub fn down(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait().context("the cluster's guard is gone")?;
        ensure!(status.success(), "the cluster did not go down: {status}");
        Ok(())
    }
}
