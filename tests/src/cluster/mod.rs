//! A real Kubernetes of one node, on a host that has none: etcd, the control plane, kube-proxy and kubelet, compiled
//! into one program (`tests/cluster/`), over Debian's containerd, runc and CNI plugins.
//!
//! A cluster is a network namespace, a mount namespace and a cgroup of its own. What runs in the first or in the last
//! belongs to it, and nothing else does: so it can be ended whole, whoever started it, without a list of processes that
//! could be out of date. In its mounts `/run` and `/var` are its own, so that its programs use the paths that they use
//! everywhere, and what they mount there is gone with them.
//!
//! It has one node, no name server (pods talk by addresses), and no cloud. Images are made from folders; there is no
//! registry.

mod addresses;
pub mod attribution;
mod cgroups;
mod component;
mod down;
mod guard;
mod image;
mod kubectl;
mod processes;
mod settings;
mod up;
pub mod workload;

use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::gate::{real, tool};

pub use component::Component;
pub use guard::Guard;
pub use kubectl::container_id;
pub use settings::{NODE, NODE_ADDRESS, TOKEN};

/// How long any part of a cluster may take: minutes of it are the host's other work.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Where programs are looked for, whatever the environment says.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A cluster, up or not; all its state is in its directory and in the kernel.
pub struct Cluster {
    /// Its directory, which stays.
    home: PathBuf,
    /// Of its network namespace and its cgroup.
    name: String,
}

impl Cluster {
    /// The cluster called `name`, in the directory of the program that `REDTAP_CLUSTER` names. It need not be up.
    ///
    /// # Errors
    /// When its directory cannot be made.
    ///
    /// # Panics
    /// When there is no such program.
    pub fn called(name: &str) -> Result<Self> {
        let program = real("REDTAP_CLUSTER");
        let home = program.with_file_name(name);
        fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
        let home = home.canonicalize()?;
        // The directory's number is nobody else's on this disk, and stays what it is.
        let number = fs::metadata(&home)?.ino();
        Ok(Self { home, name: format!("redtap-{number}") })
    }

    /// A file of its directory.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// What a component wrote, since the cluster was brought up last.
    #[must_use]
    pub fn log(&self, component: Component) -> PathBuf {
        self.file("log").join(component.program()).with_extension("log")
    }

    /// The last lines of every component's log.
    #[must_use]
    pub fn last_words(&self) -> String {
        const LINES: usize = 12;
        let mut words = String::new();
        for component in Component::ALL {
            let log = fs::read(self.log(component)).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let lines: Vec<_> = log.lines().collect();
            let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
            words += &format!("--- {}\n{}\n", self.log(component).display(), last.join("\n"));
        }
        words
    }

    /// A program of the host, with the cluster's network.
    #[must_use]
    pub fn in_network(&self, program: &Path) -> Command {
        let mut command = clean(&tool("nsenter"));
        command.arg(format!("--net={}", self.network().display())).arg("--").arg(program);
        command
    }

    /// A program on the node: with the network, mounts, `/run` and `/var` that containerd and kubelet have.
    ///
    /// # Errors
    /// When the cluster is not up.
    pub fn on_node(&self, program: &str) -> Result<Command> {
        let containerd = self.process_of(Component::Containerd)?.context("the cluster is not up")?;
        let mut command = clean(&tool("nsenter"));
        command.arg(format!("--net={}", self.network().display()));
        command.arg(format!("--mount=/proc/{}/ns/mnt", containerd.as_raw_nonzero())).arg("--").arg(program);
        Ok(command)
    }

    /// Does something in the cluster's network: sockets that are made meanwhile belong to it.
    ///
    /// # Errors
    /// When the cluster is not up.
    ///
    /// # Panics
    /// When `act` does.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> Result<T> {
        let network = File::open(self.network()).context("the cluster is not up")?;
        let entered = move || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
            anyhow::Ok(act())
        };
        std::thread::scope(|scope| scope.spawn(entered).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Where `ip netns` has its network namespace.
    fn network(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }
}

/// A program that gets nothing of this process's environment: no proxies, no settings of the agent.
fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", PATH);
    command
}

/// Runs a program to its end, and gives what it wrote to standard output.
///
/// # Errors
/// When it cannot be run or fails, with what it wrote to standard error.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {command:?}: {} {}", output.status, text.trim_end(), errors.trim_end());
    }
    Ok(text)
}

/// The cluster's programs change namespaces, cgroups and packet filters.
fn assert_root() -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "a cluster needs root");
    Ok(())
}
