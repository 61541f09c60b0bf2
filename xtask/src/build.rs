//! `build`: the agent with the kernel side in it.

use std::env::consts::ARCH;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use crate::process::{command, run};
use crate::{setup, workspace};

/// Builds the agent as it is shipped, a binary that needs no file but itself, and tells where it is.
///
/// It is linked with glibc: musl's allocator costs more, and does not give memory back.
///
/// # Errors
/// When it does not build.
pub fn release() -> Result<PathBuf> {
    // Naming the target keeps the flags from what runs while building.
    let target = format!("{ARCH}-unknown-linux-gnu");
    let flags = format!("{} -C target-feature=+crt-static", std::env::var("RUSTFLAGS").unwrap_or_default());
    build(&["--release", "--target", &target], flags.trim()).with_context(|| {
        format!("redtap does not build as a static binary: it takes rustup's {target} and libc.a (libc6-dev)")
    })?;
    let made = workspace::built(&format!("{target}/release"), "redtap")?;
    let binary = fs::read(&made).with_context(|| format!("cannot read {}", made.display()))?;
    ensure!(is_static(&binary), "{} is not static", made.display());
    // Where everybody looks for it.
    let known = workspace::target()?.join("release/redtap");
    let replaced = known.with_extension("new");
    fs::create_dir_all(known.parent().context("a path of two parts")?)?;
    fs::copy(&made, &replaced)
        .and_then(|_| fs::rename(&replaced, &known))
        .with_context(|| format!("cannot write {}", known.display()))?;
    Ok(known)
}

/// Builds the agent without optimization and tells where it is.
///
/// # Errors
/// When it does not build.
pub fn debug() -> Result<PathBuf> {
    build(&[], &std::env::var("RUSTFLAGS").unwrap_or_default()).context("redtap does not build")?;
    workspace::built("debug", "redtap")
}

fn build(options: &[&str], flags: &str) -> Result<()> {
    setup::setup()?;
    let mut cargo = command("cargo");
    cargo.current_dir(workspace::root()).args(["build", "--package", "redtap"]).args(options);
    run(cargo.env("RUSTFLAGS", flags).env("REDTAP_REQUIRE_PROBES", "1"))
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
