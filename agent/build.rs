//! Builds the kernel side (`agent-ebpf`'s binary `probes`) into `OUT_DIR/probes`, which the agent embeds.
//!
//! Working on user space needs no eBPF compiler: where there is none, `OUT_DIR/probes` is empty and
//! `REDTAP_PROBES`, an environment variable of the agent's compilation, says `missing` instead of `embedded`.
//!
//! What is embedded is the same bytes wherever it is compiled: the names of source files in it (for the verifier's log)
//! begin with `redtap/` or `cargo/`, not with a directory of this machine.
//!
//! Variables read:
//! - `REDTAP_BPF_TOOLCHAIN`: the rustup toolchain that compiles the kernel side; else the first that is there of
//!   `nightly` with `rust-src`, and [`LINKED`].
//! - `REDTAP_REQUIRE_PROBES`: set (`cargo xtask` does), a missing compiler is an error.
//! - `AYA_BUILD_SKIP=1`: leave the kernel side out although there is a compiler.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
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

/// What this script is told to do in its second run; in its third, as rustc's wrapper, it is told the compiler instead.
const COMPILE: &str = "compile";

/// Directories, and what stands for them in the names of source files: variables by which `build` tells the wrapper.
const STANDS_FOR: [(&str, &str); 3] =
    [("REDTAP_SOURCES_OF_CORE", "rust"), ("REDTAP_SOURCES_OF_OTHERS", "cargo"), ("REDTAP_SOURCES", "redtap")];

/// A toolchain that can compile the kernel side.
struct Compiler {
    toolchain: String,
    /// Where it has its libraries.
    root: PathBuf,
    /// `core` for the target comes with it; else it is built from `rust-src`, which takes a nightly.
    prebuilt_core: bool,
}

fn main() -> Result<()> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    // Later runs of this script, made by `build` and by cargo.
    if let [rustc, arguments @ ..] = arguments.as_slice()
        && rustc != COMPILE
    {
        return wrap(rustc, arguments);
    }
    let manifest_dir = directory("CARGO_MANIFEST_DIR")?;
    let workspace = manifest_dir.parent().context("the agent's crate has no parent directory")?;
    let kernel_side = workspace.join("agent-ebpf");
    if let [_, toolchain] = arguments.as_slice() {
        return compile(toolchain.to_str().context("a toolchain's name is not UTF-8")?, &kernel_side);
    }

    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", kernel_side.display());
    println!("cargo::rerun-if-changed={}", workspace.join("Cargo.lock").display());
    println!("cargo::rerun-if-env-changed=REDTAP_BPF_TOOLCHAIN");
    let probes = directory("OUT_DIR")?.join("probes");
    remove_if_there(&probes)?;
    match compiler() {
        Ok(compiler) => build(&compiler, workspace)?,
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
        let prebuilt_core = prebuilt_core(&root);
        return Ok(Compiler { toolchain, root, prebuilt_core });
    }
    if let Some(root) = sysroot("nightly").filter(|root| core_source(root)) {
        return Ok(Compiler { toolchain: "nightly".to_owned(), root, prebuilt_core: false });
    }
    if let Some(root) = sysroot(LINKED).filter(|root| prebuilt_core(root)) {
        return Ok(Compiler { toolchain: LINKED.to_owned(), root, prebuilt_core: true });
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
fn build(compiler: &Compiler, workspace: &Path) -> Result<()> {
    let own = env::current_exe().context("cannot find this build script")?;
    let mut again = Command::new(&own);
    // Progress would be shown as warnings, at every build.
    again.args([COMPILE, &compiler.toolchain]).env("CARGO_TERM_QUIET", "true").env("RUSTUP_LOG", "error");
    // aya-build sets the flags of the compiler and takes none.
    again.env("RUSTC_WRAPPER", own);
    let cargo = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let core = Some(compiler.root.clone()).filter(|_| !compiler.prebuilt_core);
    for ((variable, _), directory) in STANDS_FOR.iter().zip([core, cargo, Some(workspace.to_owned())]) {
        again.env(variable, directory.unwrap_or_default());
    }
    if compiler.prebuilt_core {
        again.env("RUSTC_BOOTSTRAP", UNSTABLE_CRATE);
    }
    let status = again.status().context("cannot run this build script")?;
    if !status.success() {
        exit(status.code().unwrap_or(1));
    }
    Ok(())
}

/// Becomes the compiler, with the names of source files changed. Of several that fit, rustc takes the last.
fn wrap(rustc: &OsStr, arguments: &[OsString]) -> Result<()> {
    let mut compiler = Command::new(rustc);
    compiler.args(arguments);
    for (variable, stand_in) in STANDS_FOR {
        if let Some(directory) = env::var_os(variable).filter(|directory| !directory.is_empty()) {
            let mut names = OsString::from("--remap-path-prefix=");
            names.push(directory);
            names.push(format!("={stand_in}"));
            compiler.arg(names);
        }
    }
    Err(compiler.exec()).with_context(|| format!("cannot start {}", rustc.display()))
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
