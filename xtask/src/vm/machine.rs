//! A virtual machine: QEMU under plain emulation, which needs nothing of the host but time.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::kernels::Kernel;
use crate::architecture::Architecture;
use crate::process::{command, line};

/// Lines that the console may be ahead of who reads them.
const AHEAD: usize = 1024;

/// What a machine is.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Memory in MiB.
    pub memory: u32,
    /// How long it may run.
    pub deadline: Duration,
}

impl Machine {
    /// Boots a kernel with this root file system, and gives the lines that its console told, without the `@ ` that those
    /// for us begin with. All that the console says goes to `log`.
    ///
    /// # Errors
    /// When it does not come to its end in time.
    #[expect(clippy::disallowed_methods, reason = "a machine that hangs is noticed by the clock")]
    pub fn run(&self, kernel: &Kernel, root: &Path, log: &Path) -> Result<Vec<String>> {
        // It ends with us, whatever ends us.
        let mut qemu = command("setpriv");
        qemu.args(["--pdeathsig", "KILL"]).arg(format!("qemu-system-{}", kernel.architecture.rust()));
        let (machine, cpu, console) = match kernel.architecture {
            Architecture::Amd64 => ("q35", "max", "ttyS0"),
            // Pointers are signed by an algorithm that is quick to emulate.
            Architecture::Arm64 => ("virt", "max,pauth-impdef=on", "ttyAMA0"),
        };
        // The machine's clock counts instructions, one a nanosecond, and goes on at once where there is nothing to do: how
        // long something takes in there does not depend on what else this host does. With a second processor, Linux 5.10 waits
        // for it for ever.
        qemu.args(["-accel", "tcg", "-icount", "shift=0,sleep=off", "-machine", machine, "-cpu", cpu]);
        qemu.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"]);
        qemu.args(["-smp", "1", "-m", &self.memory.to_string()]);
        qemu.arg("-kernel").arg(&kernel.image).arg("-initrd").arg(root);
        qemu.arg("-append");
        qemu.arg(format!("console={console} quiet loglevel=3 panic=-1 mitigations=off random.trust_cpu=on"));
        qemu.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = Running(qemu.spawn().with_context(|| format!("cannot start {}", line(&qemu)))?);
        let console = child.0.stdout.take().context("no console")?;
        let (sender, receiver) = mpsc::sync_channel(AHEAD);
        thread::spawn(move || {
            for line in BufReader::new(console).split(b'\n') {
                let Ok(line) = line else { return };
                if sender.send(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned()).is_err() {
                    return;
                }
            }
        });
        let mut written = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let end = Instant::now() + self.deadline;
        let mut told = Vec::new();
        loop {
            let line = match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => line,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let last = told.last().cloned().unwrap_or_default();
                    bail!("not over after {:?}, the last it told is {last:?}: {}", self.deadline, log.display())
                }
            };
            writeln!(written, "{line}")?;
            if let Some(line) = line.strip_prefix("@ ") {
                told.push(line.to_owned());
            }
        }
        if told.last().is_none_or(|last| last != "over") {
            let text = fs::read_to_string(log).unwrap_or_default();
            let last: Vec<_> = text.lines().rev().take(20).collect();
            bail!(
                "linux {} ended by itself: {}",
                kernel.version,
                last.into_iter().rev().collect::<Vec<_>>().join("\n")
            );
        }
        Ok(told)
    }
}

/// Ends with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
