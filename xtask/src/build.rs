//! `build`: the agent with the kernel side in it.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::process::{command, run};
use crate::{setup, workspace};

/// Builds the agent as it is shipped and tells where it is.
///
/// # Errors
/// When it does not build.
pub fn release() -> Result<PathBuf> {
    build("release", &["--release"])
}

/// Builds the agent without optimization and tells where it is.
///
/// # Errors
/// When it does not build.
pub fn debug() -> Result<PathBuf> {
    build("debug", &[])
}

fn build(profile: &str, options: &[&str]) -> Result<PathBuf> {
    setup::setup()?;
    let mut cargo = command("cargo");
    cargo.current_dir(workspace::root()).args(["build", "--package", "redtap"]).args(options);
    run(cargo.env("REDTAP_REQUIRE_PROBES", "1")).context("redtap does not build")?;
    workspace::built(profile, "redtap")
}
