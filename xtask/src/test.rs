//! `test`: every test that this user may run.

use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::process::{command, is_root, say};
use crate::{build, cluster, image, real, setup, workspace};

const WORKSPACE: [&str; 1] = ["--workspace"];

/// Builds the workspace's tests and the agent.
///
/// # Errors
/// When one does not build.
pub fn build() -> Result<()> {
    cargo(&WORKSPACE).map(drop)
}

/// Runs the workspace's tests, or those whose name contains `filter`, and closes with their number.
///
/// # Errors
/// When one fails or cannot be run.
pub fn test(filter: Option<&str>) -> Result<()> {
    let mut cargo = cargo(&WORKSPACE)?;
    cargo.arg("--no-fail-fast");
    if is_root() {
        setup::setup_tests()?;
        cargo.envs(real::programs()?).env("REDTAP_PRIVILEGED", "1");
    } else {
        say("not root: the tests through the kernel are left out; as root, cargo xtask test runs them");
        cargo.env_remove("REDTAP_PRIVILEGED");
    }
    count(cargo.env_remove("REDTAP_KUBERNETES").env_remove("REDTAP_SOAK_MINUTES"), filter)
}

/// Runs the stories in a real Kubernetes, or those whose name contains `filter`, and closes with their number.
///
/// # Errors
/// When one fails or cannot be run.
pub fn kubernetes(filter: Option<&str>) -> Result<()> {
    ensure!(is_root(), "a Kubernetes node needs root: as root, cargo xtask test --kubernetes");
    let mut cargo = cargo(&["--package", "redtap-tests", "--test", "kubernetes"])?;
    setup::setup_tests()?;
    cargo.envs(cluster::programs()?).env("REDTAP_IMAGE", image::image(&image::Options::default())?);
    count(cargo.env("REDTAP_PRIVILEGED", "1").env("REDTAP_KUBERNETES", "1"), filter)
}

/// `cargo test` of what `args` name, which is built, with the built agent.
fn cargo(args: &[&str]) -> Result<Command> {
    let test = || {
        let mut cargo = command("cargo");
        cargo.current_dir(workspace::root()).arg("test").args(args);
        cargo
    };
    setup::setup()?;
    // At once: the last minutes of the agent's build are one thread's work.
    let mut tests = test().arg("--no-run").spawn().context("cannot start cargo test")?;
    let redtap = build::release();
    let built = tests.wait().context("cannot wait for cargo test")?;
    let redtap = redtap?;
    ensure!(built.success(), "{built}: the tests do not build");
    let mut cargo = test();
    cargo.env("REDTAP_BIN", redtap);
    Ok(cargo)
}

/// Runs `cargo test`, and sums what it counts.
fn count(cargo: &mut Command, filter: Option<&str>) -> Result<()> {
    // The runner's output is read here and would lose its colours.
    cargo
        .arg("--")
        .args(filter)
        .args(["--color", if std::io::stdout().is_terminal() { "always" } else { "never" }]);

    let mut child = cargo.stdout(Stdio::piped()).spawn().context("cannot start cargo test")?;
    let mut counts = Counts::default();
    for line in BufReader::new(child.stdout.take().context("no output of cargo test")?).split(b'\n') {
        let line = String::from_utf8_lossy(&line.context("cannot read the output of cargo test")?).into_owned();
        println!("{line}");
        counts.add(&line);
    }
    let status = child.wait().context("cannot wait for cargo test")?;
    println!("\n{} passed, {} failed, {} skipped", counts.passed, counts.failed, counts.skipped);
    if !status.success() {
        bail!("{status}: cargo test");
    }
    Ok(())
}

/// Sums over all test binaries.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u32,
    failed: u32,
    skipped: u32,
}

impl Counts {
    /// Adds what a line of the test runner counts: `test result: ok. 1 passed; 0 failed; 2 ignored; …`.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else {
            return;
        };
        for (number, what) in counts.split("; ").filter_map(|count| count.split_once(' ')) {
            let number: u32 = number.parse().unwrap_or(0);
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn the_runners_counts_are_summed() {
        let mut counts = Counts::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: \u{1b}[31mFAILED\u{1b}[m. 4 passed; 2 failed; 0 ignored; 0 measured; 5 filtered out; finished in 0.1s",
            "this test result: ok. 9 passed",
        ] {
            counts.add(line);
        }
        assert_eq!(counts, Counts { passed: 7, failed: 2, skipped: 1 });
    }
}
