//! `cluster`: a real Kubernetes of one node, for the tests and by hand; `redtap-tests` has its life, this what it is made of.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Subcommand;

use crate::go::go;
use crate::process::{as_root, command, find, run, say};
use crate::{apt, workspace};

/// Files that a cluster's programs need on the host, and the packages that bring them.
const PACKAGES: [(&str, &str); 10] = [
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("/usr/lib/cni/ptp", "containernetworking-plugins"),
    ("nft", "nftables"),
    ("conntrack", "conntrack"),
    ("ip", "iproute2"),
    ("openssl", "openssl"),
    ("nsenter", "util-linux"),
    ("mount", "mount"),
    ("busybox", "busybox-static"),
];

/// What the version of kubelet and the others is: that of `tests/cluster/go.mod`, which they cannot know by themselves.
const VERSION: &str = "-X k8s.io/component-base/version.gitVersion=v1.34.8";

/// The name of the one that is brought up by hand.
const BY_HAND: &str = "hand";

/// What to do with the cluster.
#[derive(Subcommand)]
pub enum Verb {
    /// Install Debian's packages and compile Kubernetes: 10 to 16 minutes on two cores the first time, seconds after.
    Build,
    /// Bring it up, and wait until its node is ready.
    Up,
    /// End all that there is of it, and look whether something is left.
    Down,
    /// kubectl, as administrator.
    Kubectl {
        /// Its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run a program on the node: with its network, mounts, /run and /var.
    Enter {
        /// The program and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        args: Vec<String>,
    },
    /// Make the image docker.io/local/NAME from a folder, to be used with imagePullPolicy Never.
    Image {
        /// Name and tag.
        name: String,
        /// The folder; without one, Debian's static busybox.
        folder: Option<PathBuf>,
    },
}

/// Does it.
///
/// # Errors
/// When the cluster cannot be built, or does not do it.
pub fn cluster(verb: Verb) -> Result<()> {
    let compiled = compiled()?;
    let words = match verb {
        Verb::Build => return Ok(()),
        Verb::Up => vec!["up".to_owned()],
        Verb::Down => vec!["down".to_owned()],
        Verb::Kubectl { args } => [vec!["kubectl".to_owned()], args].concat(),
        Verb::Enter { args } => [vec!["enter".to_owned()], args].concat(),
        Verb::Image { name, folder } => {
            let folder = folder.map(|folder| folder.canonicalize().context("no such folder")).transpose()?;
            let folder = folder.map(|folder| folder.display().to_string());
            [vec!["image".to_owned(), name], folder.into_iter().collect()].concat()
        }
    };
    run(command("cargo").current_dir(workspace::root()).args([
        "build",
        "--quiet",
        "--package=redtap-tests",
        "--bin=cluster",
    ]))?;
    let program = workspace::built("debug", "cluster")?.display().to_string();
    // A variable given to `env` also passes through sudo.
    let variable = format!("REDTAP_CLUSTER={}", compiled.display());
    let words: Vec<&str> =
        [variable.as_str(), &program, BY_HAND].into_iter().chain(words.iter().map(String::as_str)).collect();
    run(&mut as_root("env", &words)?)
}

/// Kubernetes in one program, as an environment variable for the tests; installs what it needs.
///
/// # Errors
/// When it cannot be had.
pub fn programs() -> Result<[(&'static str, PathBuf); 1]> {
    Ok([("REDTAP_CLUSTER", compiled()?)])
}

/// Installs the packages that a cluster is made of.
///
/// # Errors
/// When one cannot be installed.
pub fn setup() -> Result<()> {
    let there = |file: &str| if file.starts_with('/') { Path::new(file).exists() } else { find(file).is_some() };
    let missing: Vec<&str> =
        PACKAGES.iter().filter(|(file, _)| !there(file)).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        ensure!(apt::there(), "missing: {} (Debian's names): parts of a Kubernetes node", missing.join(" "));
        apt::install(&missing, "parts of a Kubernetes node")?;
    }
    Ok(())
}

fn compiled() -> Result<PathBuf> {
    setup()?;
    let program = workspace::scratch("cluster")?.join("cluster");
    let _turn = workspace::turn("cluster")?;
    if !program.is_file() {
        say("compiling Kubernetes, 10 to 16 minutes on two cores the first time (go build)");
    }
    let mut build = go("cluster");
    // The compiler runs for each of thousands of packages, and need not collect its garbage.
    build.env("GOGC", "400");
    build.args(["build", "-trimpath", &format!("-ldflags=-s -w {VERSION}"), "-o"]).arg(&program).arg(".");
    run(&mut build)
        .context("cannot compile Kubernetes; it takes the Go that tests/cluster/go.mod names, or a newer one")?;
    Ok(program)
}
