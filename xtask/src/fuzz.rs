//! `fuzz`: every target of `fuzz/`, from its seeds.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::process::{command, run, say};
use crate::{setup, workspace};

/// Runs each fuzz target for some seconds, compiled for speed if `optimized`. What it finds stays in `fuzz/corpus-run`, for the
/// next run; what fails, in `fuzz/artifacts`.
///
/// # Errors
/// When a target does not build, has no seeds, or fails.
pub fn fuzz(seconds: u32, optimized: bool) -> Result<()> {
    setup::setup_fuzz()?;
    let root = workspace::root();
    let directory = root.join("fuzz");
    // No sanitizer: what is fuzzed has no unsafe code, and without one a stable compiler does. The price is that comparisons of
    // slices guide nothing; seeds and dictionaries make up for it.
    let mut cargo = command("cargo");
    cargo.current_dir(&root).env("AYA_BUILD_SKIP", "1");
    cargo.env("RUSTC_WORKSPACE_WRAPPER", directory.join("instrument"));
    cargo.args(["build", "--package", "redtap-fuzz", "--bins"]).args(optimized.then_some("--release"));
    // Minutes of optimizing across crates would be for nothing here.
    cargo.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true");
    run(&mut cargo).context("fuzz targets do not build")?;
    for target in targets()? {
        let (found, seeds) = (format!("corpus-run/{target}"), format!("seeds/{target}"));
        ensure!(directory.join(&seeds).is_dir(), "the fuzz target {target} has no seeds in fuzz/{seeds}");
        let artifacts = format!("artifacts/{target}/");
        for made in [&found, &artifacts] {
            fs::create_dir_all(directory.join(made)).with_context(|| format!("cannot make fuzz/{made}"))?;
        }
        say(&format!("fuzzing {target} for {seconds} s"));
        let built = workspace::built(if optimized { "release" } else { "debug" }, &target)?;
        let mut fuzzer = command(&built.to_string_lossy());
        fuzzer.current_dir(&directory).args([&found, &seeds]).arg(format!("-artifact_prefix={artifacts}"));
        // A fixed seed: the same code is searched along the same way each time.
        fuzzer.args([&format!("-max_total_time={seconds}"), "-seed=1", "-print_final_stats=1", "-verbosity=0"]);
        let dictionary = format!("dictionaries/{target}.dict");
        if directory.join(&dictionary).is_file() {
            fuzzer.arg(format!("-dict={dictionary}"));
        }
        run(&mut fuzzer).with_context(|| format!("fuzzing {target}: the input is in fuzz/{artifacts}"))?;
    }
    Ok(())
}

/// The targets' names.
fn targets() -> Result<Vec<String>> {
    let sources = fs::read_dir(workspace::root().join("fuzz/fuzz_targets")).context("no fuzz targets")?;
    let mut targets = Vec::new();
    for source in sources {
        let source = source?.path();
        if source.extension().is_some_and(|extension| extension == "rs") {
            targets.extend(source.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    ensure!(!targets.is_empty(), "fuzz/fuzz_targets is empty");
    targets.sort();
    Ok(targets)
}
