//! `dist --check`: the binaries run, those for other architectures under QEMU's emulation of a process, and make the same of
//! recorded traffic. Nothing here goes through a kernel of theirs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::architecture::Architecture;
use crate::process::{find, output, say};
use crate::{apt, build, workspace};

/// Recordings that the agent's own tests read.
const RECORDINGS: &str = "agent/tests/recordings";

/// Runs the binary that was built for each of these in cargo's directory `target`.
///
/// # Errors
/// When one does not run, or they do not say the same.
pub fn run(architectures: &[Architecture], target: &Path) -> Result<()> {
    let mut told: Option<BTreeMap<String, String>> = None;
    for architecture in architectures {
        let redtap = build::built_for(*architecture, target);
        let said = said(&mut || runner(*architecture, &redtap))
            .with_context(|| format!("the binary for {} does not run", architecture.debian()))?;
        let first = told.get_or_insert_with(|| said.clone());
        let other = first.iter().find(|(what, text)| said.get(*what) != Some(text)).map(|(what, _)| what);
        ensure!(other.is_none(), "{} has something else to say: {other:?}", architecture.debian());
        say(&format!("the binary for {} runs", architecture.debian()));
    }
    Ok(())
}

/// A binary, to be run on this host without a setting of this environment.
fn runner(architecture: Architecture, redtap: &Path) -> Result<Command> {
    let mut runner = match architecture.is_hosts() {
        true => Command::new(redtap),
        false => {
            let emulator = format!("qemu-{}-static", architecture.rust());
            if find(&emulator).is_none() {
                ensure!(apt::there(), "missing: {emulator} (Debian's qemu-user-static)");
                let why = format!("it runs a program for {}", architecture.debian());
                apt::install(&["qemu-user-static"], &why)?;
            }
            let emulator = find(&emulator).with_context(|| format!("no {emulator}"))?;
            let mut emulated = Command::new(emulator);
            emulated.arg(redtap);
            emulated
        }
    };
    runner.env_clear();
    Ok(runner)
}

/// What it says of itself, and of every recording.
fn said(redtap: &mut dyn FnMut() -> Result<Command>) -> Result<BTreeMap<String, String>> {
    let mut said = BTreeMap::new();
    for flag in ["--version", "--help"] {
        said.insert(flag.to_owned(), output(redtap()?.arg(flag))?);
    }
    let recordings = workspace::root().join(RECORDINGS);
    for entry in fs::read_dir(&recordings).with_context(|| format!("cannot read {}", recordings.display()))? {
        let recording = entry?.path();
        let lines = output(redtap()?.arg("replay").arg(&recording))?;
        ensure!(!lines.is_empty(), "nothing is told of {}", recording.display());
        said.insert(recording.display().to_string(), lines);
    }
    Ok(said)
}
