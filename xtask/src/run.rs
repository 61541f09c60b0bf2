//! `run`: from a clone to exchanges on the screen.

use std::env;
use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result};

use crate::build;
use crate::process::{as_root, say};

/// Where the agent serves its metrics when nothing else is said.
const LISTEN: &str = "127.0.0.1:9440";

/// What `agent/build.rs` reads.
const BUILD_SETTINGS: [&str; 2] = ["REDTAP_BPF_TOOLCHAIN", "REDTAP_REQUIRE_PROBES"];

/// Builds the agent and becomes it. `args` are flags of `redtap run`.
///
/// # Errors
/// When it does not build or cannot be started.
pub fn run(mut args: Vec<String>) -> Result<()> {
    let redtap = build::release()?;
    let redtap = redtap.to_str().context("the path of redtap is not UTF-8")?;
    // Else its file tells what to print and where to listen.
    if value(&args, "--config").is_none() && env::var_os("REDTAP_CONFIG").is_none() {
        if value(&args, "--print").is_none() && env::var_os("REDTAP_PRINT").is_none() {
            args.extend(["--print".to_owned(), "pretty".to_owned()]);
        }
        let listen = value(&args, "--listen").or_else(|| env::var("REDTAP_LISTEN").ok());
        say(&format!("metrics: http://{}/metrics", listen.as_deref().unwrap_or(LISTEN)));
    }
    // sudo starts with a clean environment: the agent's settings pass as arguments of `env`. Those of its build
    // would be an error to it.
    let settings = env::vars()
        .filter(|(name, _)| name.starts_with("REDTAP_") && !BUILD_SETTINGS.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}={value}"));
    let without = BUILD_SETTINGS.iter().flat_map(|name| ["-u".to_owned(), (*name).to_owned()]);
    let words: Vec<String> =
        without.chain(settings).chain([redtap.to_owned(), "run".to_owned()]).chain(args).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Err(as_root("env", &words)?.exec()).context("cannot start redtap")
}

/// The value of a flag, as `--flag value` or `--flag=value`.
fn value(args: &[String], flag: &str) -> Option<String> {
    let following = args.windows(2).filter(|pair| pair[0] == flag).map(|pair| pair[1].clone());
    let joined = args.iter().filter_map(|arg| Some(arg.strip_prefix(flag)?.strip_prefix('=')?.to_owned()));
    following.chain(joined).last()
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn a_flag_is_found_in_both_forms() {
        let check = |args: &[&str], expected: Option<&str>| {
            let args: Vec<String> = args.iter().map(ToString::to_string).collect();
            assert_eq!(value(&args, "--print").as_deref(), expected, "{args:?}");
        };
        check(&[], None);
        check(&["--print", "json"], Some("json"));
        check(&["--timings", "--print=off"], Some("off"));
        check(&["--printer=json"], None);
        check(&["--print"], None);
    }
}
