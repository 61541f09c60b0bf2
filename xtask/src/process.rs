//! Starting other programs.

use std::env;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Prints what is being done, apart from the output of what does it.
pub fn say(what: &str) {
    eprintln!("xtask: {what}");
}

/// A program found on [`search_path`].
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", search_path());
    // `cargo xtask` names this package in its environment. There are build scripts that heed it (ring's), so that what
    // they build would be built again by the next plain cargo.
    let of_package = |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.starts_with(start));
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_package)) {
        command.env_remove(name);
    }
    command
}

/// A program that is started as root, through sudo when this is not root.
///
/// # Errors
/// When neither is possible; the text names the program and its arguments, to be run by hand.
pub fn as_root(program: &str, args: &[&str]) -> Result<Command> {
    let mut root;
    if is_root() {
        root = command(program);
    } else if find("sudo").is_some() {
        root = command("sudo");
        root.arg(program);
    } else {
        bail!("needs root and there is no sudo: run as root: {program} {}", args.join(" "));
    }
    root.args(args);
    Ok(root)
}

/// Whether this process may do what root may.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Runs a command to its end, with this process's output.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", line(command)))?;
    if !status.success() {
        bail!("{status}: {}", line(command));
    }
    Ok(())
}

/// What a command prints, without the last line end.
///
/// # Errors
/// When it cannot be started, does not succeed or prints what is not text.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {}", line(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}: {}", output.status, line(command), said.trim_end());
    }
    let text = String::from_utf8(output.stdout).with_context(|| format!("output of {}", line(command)))?;
    Ok(text.trim_end().to_owned())
}

/// Whether a command runs and succeeds; nothing of it is shown.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The path of an installed program.
pub fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&search_path()).map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// Where cargo keeps what it has fetched and installed.
pub fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| env::home_dir().map(|home| home.join(".cargo")))
}

/// `PATH`, and at its end the directories that it often lacks: cargo's for installed programs, the administrator's.
fn search_path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let cargo = cargo_home().map(|home| home.join("bin"));
    let more = cargo.into_iter().chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")]);
    env::join_paths(env::split_paths(&path).chain(more)).unwrap_or(path)
}

/// A command as one would type it.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
