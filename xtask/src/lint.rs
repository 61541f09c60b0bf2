//! `lint`: everything that is checked without running redtap.

use std::env::consts::ARCH;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::process::{command, run, say, succeeds};
use crate::toolchain::{Compiler, Core};
use crate::{setup, tidy, workspace};

/// Runs all checks, and tells at the end which of them failed and which were left out.
///
/// # Errors
/// When one fails.
pub fn lint() -> Result<()> {
    let compiler = setup::setup()?;
    let kernel_side = setup::setup_lint(&compiler)?;
    let mut report = Report::default();

    report.check("Cargo.lock", run(cargo(&["metadata", "--locked", "--format-version=1"]).stdout(Stdio::null())));
    report.check("format", run(&mut cargo(&["fmt", "--all", "--check"])));
    let user_space = ["clippy", "--workspace", "--all-targets", "--keep-going", "--", "--deny", "warnings"];
    report.check("clippy", run(&mut cargo(&user_space)));
    if kernel_side {
        let clippy = clippy_of_kernel_side(&compiler).and_then(|mut clippy| run(&mut clippy));
        report.check("clippy of the kernel side", clippy);
    } else {
        report.left_out("clippy of the kernel side", &format!("{} has no clippy", compiler.toolchain));
    }
    // For readers of the code, to whom nothing is private.
    let documentation = ["doc", "--workspace", "--no-deps", "--document-private-items"];
    let warnings = "-Dwarnings -Arustdoc::private-intra-doc-links";
    report.check("documentation", run(cargo(&documentation).env("RUSTDOCFLAGS", warnings)));
    let dependencies = ["deny", "--log-level=error", "check", "licenses", "bans", "sources"];
    report.check("dependencies", run(&mut cargo(&dependencies)));
    // The database of advisories is on the network, unlike all else here.
    if succeeds(&mut cargo(&["deny", "fetch", "db"])) {
        report.check("advisories", run(&mut cargo(&["deny", "check", "advisories"])));
    } else {
        report.left_out("advisories", "their database cannot be fetched");
    }
    report.check("tidy", tidy::tidy(&workspace::root()));
    report.close()
}

fn cargo(args: &[&str]) -> Command {
    let mut cargo = command("cargo");
    cargo.current_dir(workspace::root()).args(args);
    cargo
}

/// As `agent/build.rs` and aya-build compile it.
fn clippy_of_kernel_side(compiler: &Compiler) -> Result<Command> {
    let mut clippy = command("rustup");
    clippy.current_dir(workspace::root()).args(["run", &compiler.toolchain, "cargo", "clippy"]);
    clippy.args(["--package=redtap-ebpf", "--bins", "--no-default-features", "--features=probes", "--release"]);
    clippy.arg("--target=bpfel-unknown-none").arg("--target-dir").arg(workspace::scratch("kernel-side")?);
    match compiler.core {
        Core::Prebuilt => clippy.env("RUSTC_BOOTSTRAP", "aya_ebpf"),
        Core::Source => clippy.arg("-Zbuild-std=core"),
    };
    clippy.env("CARGO_ENCODED_RUSTFLAGS", format!("--cfg=bpf_target_arch=\"{ARCH}\""));
    clippy.env("RUSTUP_LOG", "error").args(["--", "--deny", "warnings"]);
    Ok(clippy)
}

/// What became of each check.
#[derive(Default)]
struct Report {
    failed: Vec<String>,
    left_out: Vec<String>,
}

impl Report {
    fn check(&mut self, name: &str, result: Result<()>) {
        match result {
            Ok(()) => say(&format!("{name}: ok")),
            Err(error) => {
                say(&format!("{name}: {error:#}"));
                self.failed.push(name.to_owned());
            }
        }
    }

    fn left_out(&mut self, name: &str, why: &str) {
        say(&format!("{name}: LEFT OUT: {why}"));
        self.left_out.push(name.to_owned());
    }

    fn close(self) -> Result<()> {
        if !self.left_out.is_empty() {
            say(&format!("left out: {}", self.left_out.join(", ")));
        }
        if !self.failed.is_empty() {
            bail!("failed: {}", self.failed.join(", "));
        }
        Ok(())
    }
}
