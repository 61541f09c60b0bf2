//! Builds the kernel side (`agent-ebpf`'s binary `probes`) into `OUT_DIR/probes`, which the agent embeds.
//!
//! Working on user space needs no eBPF compiler: where there is none, `OUT_DIR/probes` is empty and
//! `REDTAP_PROBES`, an environment variable of the agent's compilation, says `missing` instead of `embedded`.
//!
//! Variables read:
//! - `REDTAP_BPF_TOOLCHAIN`: the rustup toolchain that compiles the kernel side; else the first that is there of
//!   `nightly` with `rust-src`, and [`LINKED`].
//! - `REDTAP_REQUIRE_PROBES`: set (`cargo xtask` does), a missing compiler is an error.
//! - `AYA_BUILD_SKIP=1`: leave the kernel side out although there is a compiler.

use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::{env, fs, io};

use anyhow::{Context as _, Result};
use aya_build::{Package, Toolchain};

/// The rustup toolchain `cargo xtask setup` links to a distribution's compiler, which brings a prebuilt `core`.
const LINKED: &str = "redtap-bpf";

/// The one crate that may use unstable features under a stable compiler. Not `1`: for that, aya-build would build
/// `core` from source.
const UNSTABLE_CRATE: &str = "aya_ebpf";

/// What links the kernel side.
const LINKER: &str = "bpf-linker";

/// A toolchain that can compile the kernel side.
struct Compiler {
    toolchain: String,
    /// `core` for the target comes with it; else it is built from `rust-src`, which takes a nightly.
    prebuilt_core: bool,
}

fn main() -> Result<()> {
    let manifest_dir = directory("CARGO_MANIFEST_DIR")?;
    let workspace = manifest_dir.parent().context("the agent's crate has no parent directory")?;
    let kernel_side = workspace.join("agent-ebpf");
    // The second run of this script, made by `build`.
    if let Some(toolchain) = env::args().nth(1) {
        return compile(&toolchain, &kernel_side);
    }

    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", kernel_side.display());
    println!("cargo::rerun-if-changed={}", workspace.join("Cargo.lock").display());
    println!("cargo::rerun-if-env-changed=REDTAP_BPF_TOOLCHAIN");
    let probes = directory("OUT_DIR")?.join("probes");
    remove_if_there(&probes)?;
    match compiler() {
        Ok(compiler) => build(&compiler)?,
        Err(missing) => {
            // Asked about only while nothing is embedded, so that plain `cargo` and `cargo xtask` share a build.
            println!("cargo::rerun-if-env-changed=REDTAP_REQUIRE_PROBES");
            if env::var_os("REDTAP_REQUIRE_PROBES").is_some() {
                println!("cargo::error=cannot build the kernel side: {missing}; run `cargo xtask setup`");
                return Ok(());
            }
            println!("cargo::warning=the kernel side is left out: {missing}; `cargo xtask build` adds it");
        }
    }
    // Nothing is there without a compiler, and under AYA_BUILD_SKIP.
    let embedded = probes.exists();
    if !embedded {
        fs::write(&probes, []).with_context(|| format!("cannot write {}", probes.display()))?;
    }
    println!("cargo::rustc-env=REDTAP_PROBES={}", if embedded { "embedded" } else { "missing" });
    Ok(())
}

/// The compiler to use, or what there is none for.
fn compiler() -> Result<Compiler, String> {
    if !Command::new(LINKER).arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Err(format!("{LINKER} is not there or does not run"));
    }
    let prebuilt_core = |root: &Path| root.join("lib/rustlib/bpfel-unknown-none/lib").exists();
    let core_source = |root: &Path| root.join("lib/rustlib/src/rust/library/core").exists();
    if let Some(toolchain) = env::var("REDTAP_BPF_TOOLCHAIN").ok().filter(|name| !name.is_empty()) {
        let root = sysroot(&toolchain)
            .ok_or_else(|| format!("REDTAP_BPF_TOOLCHAIN names {toolchain}, which rustup cannot run"))?;
        return Ok(Compiler { toolchain, prebuilt_core: prebuilt_core(&root) });
    }
    if sysroot("nightly").is_some_and(|root| core_source(&root)) {
        return Ok(Compiler { toolchain: "nightly".to_owned(), prebuilt_core: false });
    }
    if sysroot(LINKED).is_some_and(|root| prebuilt_core(&root)) {
        return Ok(Compiler { toolchain: LINKED.to_owned(), prebuilt_core: true });
    }
    Err(format!("neither a nightly toolchain with rust-src nor the toolchain {LINKED} is there"))
}

/// Where `toolchain` has its libraries; none when rustup does not know it.
fn sysroot(toolchain: &str) -> Option<PathBuf> {
    let output = Command::new("rustup").args(["run", toolchain, "rustc", "--print", "sysroot"]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(path.trim_end()))
}

/// Runs this script once more to compile: aya-build and the cargo it starts are told things by their environment.
fn build(compiler: &Compiler) -> Result<()> {
    let mut again = Command::new(env::current_exe().context("cannot find this build script")?);
    // Progress would be shown as warnings, at every build.
    again.arg(&compiler.toolchain).env("CARGO_TERM_QUIET", "true").env("RUSTUP_LOG", "error");
    if compiler.prebuilt_core {
        again.env("RUSTC_BOOTSTRAP", UNSTABLE_CRATE);
    }
    let status = again.status().context("cannot run this build script")?;
    if !status.success() {
        exit(status.code().unwrap_or(1));
    }
    Ok(())
}

fn compile(toolchain: &str, kernel_side: &Path) -> Result<()> {
    let package = Package {
        name: "redtap-ebpf",
        root_dir: kernel_side.to_str().context("the path of agent-ebpf is not UTF-8")?,
        no_default_features: true,
        features: &["probes"],
    };
    aya_build::build_ebpf([package], Toolchain::Custom(toolchain)).with_context(|| {
        format!("cannot build the kernel side with the toolchain {toolchain}; `cargo xtask setup` checks it")
    })
}

fn directory(variable: &str) -> Result<PathBuf> {
    env::var_os(variable).map(PathBuf::from).with_context(|| format!("{variable} is not set"))
}

fn remove_if_there(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}
