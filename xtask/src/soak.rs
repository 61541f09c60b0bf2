//! `soak`: the story of a host where everything comes and goes, told for minutes.

use std::env;
use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::process::{command, is_root, run};
use crate::{build, setup, workspace};

/// Tells the story of `tests/tests/soak`, which prints what it sees. `REDTAP_BIN` is watched when set.
///
/// # Errors
/// When not root, when something cannot be run, and when something is left at the end.
pub fn soak(minutes: u32, only: &[String]) -> Result<()> {
    ensure!(minutes > 0, "nothing comes and goes in no time");
    ensure!(is_root(), "soak loads programs into the kernel and needs root: run as root: cargo xtask soak");
    setup::setup_tests()?;
    let redtap = match env::var_os("REDTAP_BIN") {
        Some(redtap) => PathBuf::from(redtap),
        None => build::release()?,
    };
    let mut cargo = command("cargo");
    cargo.current_dir(workspace::root()).args(["test", "--quiet", "--package", "redtap-tests", "--test", "soak"]);
    cargo.env("REDTAP_PRIVILEGED", "1").env("REDTAP_BIN", redtap).env("REDTAP_SOAK_MINUTES", minutes.to_string());
    run(cargo.env("REDTAP_SOAK_ONLY", only.join(",")).args(["--", "--nocapture"]))
}
