//! Where things are.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};

use crate::process::say;

/// The workspace's directory.
pub fn root() -> PathBuf {
    let own = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let own = PathBuf::from(own);
    own.parent().map(Path::to_path_buf).unwrap_or(own)
}

/// A binary that cargo built, `profile` being `release` or `debug`.
///
/// # Errors
/// When it is not there.
pub fn built(profile: &str, name: &str) -> Result<PathBuf> {
    let binary = target()?.join(profile).join(name);
    ensure!(binary.is_file(), "cargo did not leave {}", binary.display());
    Ok(binary)
}

/// A directory for files that nobody looks at.
///
/// # Errors
/// When it cannot be made.
pub fn scratch(name: &str) -> Result<PathBuf> {
    let directory = target()?.join("xtask").join(name);
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    Ok(directory)
}

/// Waits until no other xtask does `what`, which two may not at once: they would write the same files. It is this one's turn until
/// the value is dropped, or the process ends.
///
/// # Errors
/// When the lock cannot be had.
pub fn turn(what: &str) -> Result<File> {
    let path = scratch("turns")?.join(what);
    let turn = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    let taken = match turn.try_lock() {
        Err(TryLockError::WouldBlock) => {
            say(&format!("waiting for another xtask: {what}"));
            turn.lock()
        }
        Err(TryLockError::Error(error)) => Err(error),
        Ok(()) => Ok(()),
    };
    taken.with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(turn)
}

/// Cargo's target directory, which has this program as `debug/xtask`.
///
/// # Errors
/// When this program is elsewhere.
pub fn target() -> Result<PathBuf> {
    let own = env::current_exe().context("cannot find this program")?;
    own.ancestors().nth(2).map(Path::to_path_buf).context("this program is not in a target directory")
}
