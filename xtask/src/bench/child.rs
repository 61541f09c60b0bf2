//! Programs that end when this one does.

use std::env;
use std::ffi::OsStr;
use std::process::{Child as Process, Command};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::wait;
use crate::process::command;

/// A command that the kernel kills when this program ends, by ctrl-c, too. No setting of the agent reaches it.
pub fn bound(program: impl AsRef<OsStr>) -> Command {
    let mut bound = command("setpriv");
    bound.args(["--pdeathsig", "KILL", "--"]).arg(program);
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("REDTAP_")) {
        bound.env_remove(name);
    }
    bound
}

/// A running program; killed when dropped.
pub struct Child(Process);

impl Child {
    /// Starts a [`bound`] command.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        command.spawn().map(Self).with_context(|| format!("cannot start {command:?}"))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Fails when it has ended.
    ///
    /// # Errors
    /// With its exit status.
    pub fn alive(&mut self) -> Result<()> {
        let ended = self.0.try_wait().context("cannot wait for a child")?;
        ensure!(ended.is_none(), "ended at once: {}", ended.unwrap_or_default());
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// When it does not, or not well.
    pub fn terminate(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.0), Signal::TERM).context("cannot signal a child")?;
        let status = wait::until("a child's end", || self.0.try_wait().context("cannot wait for a child"))?;
        ensure!(status.success(), "terminated with {status}");
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Fails when it has been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
