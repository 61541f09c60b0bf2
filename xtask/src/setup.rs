//! `setup`: what building needs, and what the other verbs need beyond it.

use anyhow::Result;

use crate::process::{command, find, run, say, succeeds};
use crate::toolchain::{Compiler, Core, install_linker};
use crate::{apt, cluster, workspace};

/// [`setup`], told when there was nothing to do; with what the tests run, if so wanted.
///
/// # Errors
/// When something cannot be installed.
pub fn verb(tests: bool) -> Result<()> {
    let compiler = setup()?;
    if tests {
        setup_tests()?;
        cluster::setup()?;
    }
    say(&format!("ready: bpf-linker, and {} to compile the kernel side", compiler.toolchain));
    Ok(())
}

/// Installs what building the kernel side needs, and gives the compiler that will be used.
///
/// # Errors
/// When something cannot be installed.
pub fn setup() -> Result<Compiler> {
    let _turn = workspace::turn("setup")?;
    let compiler = match Compiler::find()? {
        Some(compiler) => compiler,
        None => Compiler::install()?,
    };
    install_linker(&compiler)?;
    Ok(compiler)
}

/// Programs that the tests through the kernel run, and the packages that bring them.
const TEST_PROGRAMS: [(&str, &str); 20] = [
    ("nginx", "nginx"),
    ("apache2", "apache2-bin"),
    ("haproxy", "haproxy"),
    ("python3", "python3"),
    ("node", "nodejs"),
    ("go", "golang-go"),
    ("javac", "default-jdk-headless"),
    ("curl", "curl"),
    ("wrk", "wrk"),
    ("ip", "iproute2"),
    ("setpriv", "util-linux"),
    ("bpftool", "bpftool"),
    ("nft", "nftables"),
    ("openssl", "openssl"),
    ("dnsmasq", "dnsmasq-base"),
    ("dig", "bind9-dnsutils"),
    ("runc", "runc"),
    ("busybox", "busybox-static"),
    ("unshare", "util-linux"),
    ("systemd-analyze", "systemd"),
];

/// Installs the servers and clients that the tests through the kernel run.
///
/// # Errors
/// When one cannot be installed.
pub fn setup_tests() -> Result<()> {
    let mut packages: Vec<&str> =
        TEST_PROGRAMS.iter().filter(|(program, _)| find(program).is_none()).map(|(_, package)| *package).collect();
    // Debian's python3 makes no virtual environments without it, another's does.
    if !succeeds(command("python3").args(["-c", "import ensurepip, venv"])) {
        packages.push("python3-venv");
    }
    if packages.is_empty() {
        return Ok(());
    }
    if !apt::there() {
        anyhow::bail!("missing: {} (Debian's names): servers and clients of the tests", packages.join(" "));
    }
    apt::install(&packages, "servers and clients of the tests")
}

/// Installs cargo-deny, and clippy for the kernel side's compiler. Tells whether the latter is there.
///
/// # Errors
/// When cargo-deny cannot be installed.
pub fn setup_lint(compiler: &Compiler) -> Result<bool> {
    // Of little optimization: it runs for a second, and is built for a minute instead of four.
    let features = ["--debug", "--no-default-features"];
    install_cargo_tool("cargo-deny", &features, "it checks licences and sources of dependencies")?;
    let clippy = || succeeds(command("rustup").args(["run", &compiler.toolchain, "clippy-driver", "--version"]));
    if !clippy() {
        match compiler.core {
            Core::Prebuilt if apt::there() => apt::install(&["rust-web-clippy"], "clippy for the kernel side")?,
            Core::Prebuilt => {}
            Core::Source => {
                say("adding clippy to the kernel side's toolchain");
                run(command("rustup").args(["component", "add", "clippy", "--toolchain", &compiler.toolchain]))?;
            }
        }
    }
    Ok(clippy())
}

/// Installs a compiler of C++, of which the fuzzer is.
///
/// # Errors
/// When it cannot be.
pub fn setup_fuzz() -> Result<()> {
    if find("c++").is_some() {
        return Ok(());
    }
    anyhow::ensure!(apt::there(), "missing: a compiler of C++ called c++ (g++): the fuzzer is built with it");
    apt::install(&["g++"], "the fuzzer is built with it")
}

fn install_cargo_tool(name: &str, options: &[&str], why: &str) -> Result<()> {
    if find(name).is_some() {
        return Ok(());
    }
    say(&format!("{name} is missing ({why}): building it, about a minute (cargo install)"));
    run(command("cargo").args(["install", "--locked", name]).args(options).env("CARGO_PROFILE_DEV_DEBUG", "0"))
}
