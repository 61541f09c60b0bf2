//! `build`: the agent with the kernel side in it.

use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::architecture::Architecture;
use crate::process::{cargo_home, command, run};
use crate::{setup, workspace};

/// What rustc and cargo keep apart flags by (`CARGO_ENCODED_RUSTFLAGS`).
const SEPARATOR: &str = "\x1f";

/// Builds the agent as it is shipped, a binary that needs no file but itself, and tells where it is.
///
/// It is linked with glibc: musl's allocator costs more, and does not give memory back.
///
/// # Errors
/// When it does not build.
pub fn release() -> Result<PathBuf> {
    let target = format!("{ARCH}-unknown-linux-gnu");
    let made = shipped(&mut cargo(&workspace::root())?, &target, &workspace::root(), &workspace::target()?)?;
    // Where everybody looks for it.
    let _turn = workspace::turn("release")?;
    let known = workspace::target()?.join("release/redtap");
    let replaced = known.with_extension("new");
    fs::create_dir_all(known.parent().context("a path of two parts")?)?;
    fs::copy(&made, &replaced)
        .and_then(|_| fs::rename(&replaced, &known))
        .with_context(|| format!("cannot write {}", known.display()))?;
    Ok(known)
}

/// Builds the agent as it is shipped for an architecture, from the sources in `root` and in the directory `target`, and tells
/// where it is. It is the same bytes wherever those two are.
///
/// # Errors
/// When it does not build.
pub fn release_for(architecture: Architecture, root: &Path, target: &Path) -> Result<PathBuf> {
    architecture.setup()?;
    let mut cargo = cargo(root)?;
    cargo.arg("--locked");
    if !architecture.is_hosts() {
        let target = architecture.target().to_ascii_uppercase().replace('-', "_");
        cargo.env(format!("CARGO_TARGET_{target}_LINKER"), architecture.compiler());
    }
    shipped(&mut cargo, &architecture.target(), root, target)
}

/// Builds the tests' own servers and clients.
///
/// # Errors
/// When one does not build.
pub fn programs() -> Result<()> {
    let args = ["build", "--quiet", "--package", "redtap-tests", "--bins"];
    run(command("cargo").current_dir(workspace::root()).args(args))
}

/// Where [`release_for`] leaves the agent.
pub fn built_for(architecture: Architecture, target: &Path) -> PathBuf {
    place(target, &architecture.target())
}

fn place(directory: &Path, target: &str) -> PathBuf {
    directory.join(target).join("release/redtap")
}

/// What `cargo` builds of the sources in `root`, for a target of Rust's, in `directory`.
fn shipped(cargo: &mut Command, target: &str, root: &Path, directory: &Path) -> Result<PathBuf> {
    // Naming the target keeps the flags from what runs while building.
    cargo.args(["--release", "--target", target, "--target-dir"]).arg(directory);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(root, directory)?.join(SEPARATOR));
    run(cargo).with_context(|| {
        format!("redtap does not build as a static binary: it takes rustup's {target} and libc.a (libc6-dev)")
    })?;
    let made = place(directory, target);
    let binary = fs::read(&made).with_context(|| format!("cannot read {}", made.display()))?;
    ensure!(is_static(&binary), "{} is not static", made.display());
    Ok(made)
}

/// The compiler's flags. The names of directories that the binary would have in it, in the places of panics, are of this
/// machine: others stand for them. Of several that fit, rustc takes the last.
fn flags(root: &Path, directory: &Path) -> Result<Vec<String>> {
    let mut flags: Vec<String> =
        std::env::var("RUSTFLAGS").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    // What the kernel side's profile asks for is not for the agent.
    flags.extend(["-Ctarget-feature=+crt-static", "-Cstrip=debuginfo"].map(str::to_owned));
    let cargo_home = cargo_home().context("cannot tell cargo's directory")?;
    for (place, name) in [(&*cargo_home, "cargo"), (root, "redtap"), (directory, "redtap/target")] {
        let place = place.to_str().with_context(|| format!("{} is not UTF-8", place.display()))?;
        flags.push(format!("--remap-path-prefix={place}={name}"));
    }
    Ok(flags)
}

/// Builds the agent without optimization and tells where it is.
///
/// # Errors
/// When it does not build.
pub fn debug() -> Result<PathBuf> {
    run(&mut cargo(&workspace::root())?).context("redtap does not build")?;
    workspace::built("debug", "redtap")
}

fn cargo(root: &Path) -> Result<Command> {
    setup::setup()?;
    let mut cargo = command("cargo");
    cargo.current_dir(root).args(["build", "--package", "redtap"]).env("REDTAP_REQUIRE_PROBES", "1");
    Ok(cargo)
}

/// Whether a little-endian ELF executable of 64 bits asks for no interpreter (elf(5)): no program header is a
/// `PT_INTERP`.
fn is_static(elf: &[u8]) -> bool {
    const PT_INTERP: u64 = 3;
    let number = |at: usize, size: usize| -> Option<u64> {
        let bytes = elf.get(at..at.checked_add(size)?)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    };
    let kind = |header: u64| {
        let at = number(0x20, 8)?.checked_add(header.checked_mul(number(0x36, 2)?)?)?;
        number(usize::try_from(at).ok()?, 4)
    };
    let headers = number(0x38, 2).filter(|_| elf.starts_with(b"\x7fELF\x02\x01"));
    headers.is_some_and(|headers| (0..headers).all(|header| kind(header).is_some_and(|kind| kind != PT_INTERP)))
}

#[cfg(test)]
mod tests {
    use super::is_static;

    #[test]
    fn an_interpreter_is_found() {
        let elf = |kinds: &[u32]| {
            let mut elf = vec![0; 64];
            elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
            elf[0x20] = 64;
            elf[0x36] = 56;
            elf[0x38] = u8::try_from(kinds.len()).unwrap();
            for kind in kinds {
                elf.extend(kind.to_le_bytes());
                elf.extend([0; 52]);
            }
            elf
        };
        for (elf, expected) in [
            (elf(&[1, 2, 6]), true),
            (elf(&[1, 3]), false),
            (elf(&[]), true),
            (elf(&[1])[..65].to_vec(), false),
            (b"#!/bin/sh".to_vec(), false),
            (vec![], false),
        ] {
            assert_eq!(is_static(&elf), expected, "{} bytes", elf.len());
        }
        assert!(!is_static(&std::fs::read("/bin/sh").unwrap()), "this system's shell is not static");
    }
}
