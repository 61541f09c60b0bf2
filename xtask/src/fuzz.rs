//! `fuzz`: every target of `fuzz/`, from its seeds.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::process::{command, output, run, say};
use crate::{setup, workspace};

/// Runs each fuzz target for some seconds. What it finds stays in `fuzz/corpus-run`, for the next run.
///
/// # Errors
/// When a target does not build, has no seeds, or fails.
pub fn fuzz(seconds: u32) -> Result<()> {
    setup::setup_fuzz()?;
    let root = workspace::root();
    let targets = output(command("cargo").current_dir(&root).args(["fuzz", "list"]))?;
    ensure!(!targets.is_empty(), "fuzz/ has no targets");
    for target in targets.lines() {
        let (found, seeds) = (format!("fuzz/corpus-run/{target}"), format!("fuzz/seeds/{target}"));
        ensure!(root.join(&seeds).is_dir(), "the fuzz target {target} has no seeds in {seeds}");
        fs::create_dir_all(root.join(&found)).with_context(|| format!("cannot make {found}"))?;
        say(&format!("fuzzing {target} for {seconds} s"));
        // No sanitizer: what is fuzzed has no unsafe code, and without one a stable compiler does. The price is that
        // comparisons of slices guide nothing; seeds and dictionaries make up for it.
        let mut cargo = command("cargo");
        cargo.current_dir(&root).env("AYA_BUILD_SKIP", "1");
        cargo.args(["fuzz", "run", "--sanitizer", "none", target, &found, &seeds, "--"]);
        // A fixed seed: the same code is searched along the same way each time.
        cargo.args([&format!("-max_total_time={seconds}"), "-seed=1", "-print_final_stats=1", "-verbosity=0"]);
        let dictionary = format!("fuzz/dictionaries/{target}.dict");
        if root.join(&dictionary).is_file() {
            cargo.arg(format!("-dict={dictionary}"));
        }
        run(&mut cargo).with_context(|| format!("fuzzing {target}"))?;
    }
    Ok(())
}
