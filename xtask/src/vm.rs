//! `vm`: the end-to-end stories on Debian's stock kernels, in virtual machines that need nothing of the host but QEMU.

mod archive;
mod cost;
mod foreign;
mod guest;
mod kernels;
mod machine;
mod modules;
mod outcome;
mod record;
mod stories;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::architecture::Architecture;
use crate::process::{command, find, output, run, say};
use crate::{apt, build, go, setup, workspace};
use guest::Guest;
use kernels::Kernel;
use machine::Machine;
use outcome::Outcome;
use stories::STORIES;

/// Programs of the host, and the packages that bring them.
const PROGRAMS: [(&str, &str); 4] =
    [("busybox", "busybox-static"), ("strip", "binutils"), ("xz", "xz-utils"), ("zstd", "zstd")];

/// The kernel on which the cost is measured.
const COST_LINE: &str = "6.12";

/// How long one test may take in a machine, in seconds.
const TEST_SECONDS: u32 = 300;

/// What a machine has where stories are told.
const STORY_MACHINE: Machine = Machine { memory: 2048, deadline: Duration::from_secs(3600) };

/// What to boot, and what to do there.
#[derive(Args)]
pub struct Options {
    /// Kernels, each the newest of its line in Debian, such as 6.1; newest is the newest of all. Without any: 5.10, 6.1, 6.12,
    /// 6.18 and newest; of the cost, 6.12.
    kernels: Vec<String>,
    /// Instead of the stories, measure what being watched costs, in instructions.
    #[arg(long)]
    cost: bool,
    /// Instead of the stories, boot the binary for arm64 on Debian's kernel for it, and have it count requests.
    #[arg(long, conflicts_with = "cost")]
    arm64: bool,
    /// Tell only the stories whose name, or one of whose tests' names, contains this.
    #[arg(long)]
    filter: Option<String>,
    /// Of each story, only the first test; of the cost, only that of both ends, without masses of bytes.
    #[arg(long)]
    quick: bool,
    /// Write what was found into README.md and tests/vm/, with which it is compared from then on.
    #[arg(long)]
    record: bool,
}

/// Boots each kernel, tells the stories, and prints the table of kernels, programs and stories. `REDTAP_BIN` is taken when
/// set.
///
/// # Errors
/// When a machine does not come to its end, a story fails, a required program does not load, or the verifier takes longer
/// for one than is recorded.
pub fn vm(options: &Options) -> Result<()> {
    let _turn = workspace::turn("vm")?;
    let (machine, package) = match options.arm64 {
        true => ("qemu-system-aarch64", "qemu-system-arm"),
        false => ("qemu-system-x86_64", "qemu-system-x86"),
    };
    let missing: Vec<&str> = PROGRAMS
        .iter()
        .chain([&(machine, package)])
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if !missing.is_empty() {
        ensure!(apt::there(), "missing: {} (Debian's names): a virtual machine", missing.join(" "));
        apt::install(&missing, "a virtual machine with other kernels")?;
    }
    if options.arm64 {
        return foreign::run(Architecture::Arm64);
    }
    setup::setup_tests()?;
    let redtap = match env::var_os("REDTAP_BIN") {
        Some(redtap) => PathBuf::from(redtap),
        None => build::release()?,
    };
    let lines: &[&str] = if options.cost { &[COST_LINE] } else { &kernels::LINES };
    let lines = match options.kernels.as_slice() {
        [] => lines.iter().map(|line| (*line).to_owned()).collect(),
        chosen => chosen.to_vec(),
    };
    let kernels = kernels::kernels(&lines, Architecture::Amd64)?;
    if options.cost {
        build::programs()?;
        return kernels.iter().try_for_each(|kernel| cost::cost(kernel, &redtap, options));
    }
    let guest = story_guest(&redtap, options)?;
    let mut outcomes = Vec::new();
    for kernel in &kernels {
        let outcome = tell(kernel, &guest)?;
        // At once: all of them take an hour.
        if options.record {
            record::write(&outcome)?;
        }
        outcomes.push(outcome);
    }
    println!("{}", table::table(&outcomes));
    let recorded = if options.record { Ok(()) } else { record::compare(&outcomes) };
    let failures: Vec<String> = outcomes.iter().flat_map(Outcome::failures).collect();
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    recorded
}

/// Boots a kernel and tells the stories on it.
fn tell(kernel: &Kernel, guest: &Guest) -> Result<Outcome> {
    let directory = workspace::scratch("vm")?;
    let root = directory.join("root.cpio");
    let log = directory.join(format!("{}.log", kernel.version));
    say(&format!("linux {}: {}", kernel.version, log.display()));
    guest.root(kernel, &root)?;
    let told = STORY_MACHINE.run(kernel, &root, &log);
    fs::remove_file(&root).context("cannot remove the root file system")?;
    Outcome::read(&kernel.version, &kernel.line(), &told?)
}

/// What the stories need: the tests as they are built for the host, at the same places.
fn story_guest(redtap: &Path, options: &Options) -> Result<Guest> {
    let mut guest = Guest::default();
    let agent = PathBuf::from("/usr/local/bin/redtap");
    guest.add_built(redtap, agent.clone())?;
    let tests = tests()?;
    guest.add_built(&tests, tests.clone())?;
    for program in ["exact-load", "uring-server"] {
        let program = workspace::built("debug", program)?;
        guest.add_built(&program, program.clone())?;
    }
    let go = workspace::scratch("vm/go")?;
    run(go::go("programs/go").args(["build", "-o"]).arg(&go).arg("./..."))?;
    let cases = workspace::root().join("tests");
    guest.directories = vec![cases.join("cases"), cases.join("programs"), go.clone()];
    guest.steps = format!(
        "show check redtap check --json\n\
         export REDTAP_VM=1 REDTAP_CYCLES=16\n\
         export REDTAP_PRIVILEGED=1 REDTAP_BIN={} REDTAP_GO_PROGRAMS={}\n\
         export REDTAP_SERVERS='nginx,apache with mpm_event,haproxy before nginx,python http.server,go net/http,io_uring'\n\
         export REDTAP_CLIENTS='curl,curl --http1.0,python http.client and urllib,go net/http'\n",
        agent.display(),
        go.display()
    );
    for story in &STORIES {
        for test in story.tests.iter().take(if options.quick { 1 } else { usize::MAX }) {
            if options.filter.as_deref().is_none_or(|filter| story.name.contains(filter) || test.contains(filter))
            {
                guest.steps += &format!("step {test} {TEST_SECONDS} {} --exact {test}\n", tests.display());
            }
        }
    }
    Ok(guest)
}

/// Builds the end-to-end tests and what they run, and tells where they are.
fn tests() -> Result<PathBuf> {
    let mut cargo = command("cargo");
    cargo.current_dir(workspace::root()).args(["test", "--package", "redtap-tests", "--test", "e2e", "--no-run"]);
    let messages = output(cargo.args(["--message-format", "json"])).context("the tests do not build")?;
    let mut executables = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let of_tests = message["target"]["name"] == "e2e";
        message["executable"].as_str().filter(|_| of_tests).map(PathBuf::from)
    });
    executables.next_back().context("cargo tells of no tests")
}
