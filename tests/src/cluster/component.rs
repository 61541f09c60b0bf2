//! The parts of a cluster that are processes of their own: how each is started, found, stopped and started again.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal};

use super::settings::{HOME, NODE, NODE_ADDRESS, PODS, SERVICES};
use super::{Cluster, PATIENCE};
use crate::gate::tool;
use crate::wait;

/// A component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// Where all objects are.
    Etcd,
    /// What everybody talks to.
    ApiServer,
    /// What makes pods of Deployments, EndpointSlices of Services, and so on.
    ControllerManager,
    /// What gives pods to the node.
    Scheduler,
    /// What makes packet-filter rules of Services.
    Proxy,
    /// What runs containers.
    Containerd,
    /// What has the node's pods run.
    Kubelet,
}

impl Component {
    /// All, in the order in which they are started.
    pub const ALL: [Self; 7] = [
        Self::Etcd,
        Self::Containerd,
        Self::ApiServer,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Proxy,
        Self::Kubelet,
    ];

    /// Its executable's name.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Proxy => "kube-proxy",
            Self::Containerd => "containerd",
            Self::Kubelet => "kubelet",
        }
    }

    fn arguments(self, cluster: &Cluster) -> Vec<String> {
        let file = |name: &str| cluster.file(name).display().to_string();
        let kubeconfig = format!("--kubeconfig={}", file("kubeconfig"));
        match self {
            Self::Etcd => vec![format!("--data-dir={}", file("etcd")), "--unsafe-no-fsync".to_owned()],
            Self::ApiServer => vec![
                "--etcd-servers=http://127.0.0.1:2379".to_owned(),
                format!("--cert-dir={}", file("certs")),
                format!("--advertise-address={NODE_ADDRESS}"),
                // No name server knows the node by its name.
                "--kubelet-preferred-address-types=InternalIP".to_owned(),
                format!("--service-cluster-ip-range={SERVICES}"),
                format!("--service-account-key-file={}", file("service-accounts.key")),
                format!("--service-account-signing-key-file={}", file("service-accounts.key")),
                "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
                format!("--token-auth-file={}", file("tokens")),
                "--authorization-mode=RBAC".to_owned(),
                "--allow-privileged=true".to_owned(),
            ],
            Self::ControllerManager => vec![
                kubeconfig,
                "--leader-elect=false".to_owned(),
                format!("--service-account-private-key-file={}", file("service-accounts.key")),
                format!("--root-ca-file={}", file("certs/apiserver.crt")),
                // A node that nobody heard of while the API server was away is none that is lost.
                "--node-monitor-grace-period=1h".to_owned(),
            ],
            Self::Scheduler => vec![kubeconfig, "--leader-elect=false".to_owned()],
            Self::Proxy => vec![
                kubeconfig,
                format!("--hostname-override={NODE}"),
                "--proxy-mode=nftables".to_owned(),
                format!("--cluster-cidr={PODS}"),
                // The host's limits are not this node's to change.
                "--conntrack-max-per-core=0".to_owned(),
                "--conntrack-tcp-timeout-established=0".to_owned(),
                "--conntrack-tcp-timeout-close-wait=0".to_owned(),
            ],
            Self::Containerd => vec![format!("--config={HOME}/containerd.toml")],
            Self::Kubelet => vec![
                format!("--config={HOME}/kubelet.yaml"),
                format!("--kubeconfig={HOME}/kubeconfig"),
                format!("--hostname-override={NODE}"),
            ],
        }
    }
}

impl Cluster {
    /// Starts a component, its output going to its log. It outlives this process, and no ctrl-c reaches it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, component: Component) -> Result<Child> {
        let mut command = match component {
            Component::Containerd => self.with_mounts_of_its_own(component.program()),
            Component::Kubelet => self.on_node(&format!("{HOME}/bin/{}", component.program()))?,
            _ => self.in_network(&self.file("bin").join(component.program())),
        };
        let log = File::options().create(true).append(true).open(self.log(component))?;
        command.args(component.arguments(self)).process_group(0);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.spawn().with_context(|| format!("cannot start {}", component.program()))
    }

    /// Does something while a component is gone, as after a crash. It is started again in any case.
    ///
    /// # Errors
    /// When it does not run, does not end, or `act` fails.
    pub fn while_gone<T>(&self, component: Component, act: impl FnOnce() -> Result<T>) -> Result<T> {
        self.signal(self.running(component)?, Signal::KILL)?;
        let is_gone = || self.process_of(component).is_ok_and(|process| process.is_none()).then_some(());
        let gone = wait::within(PATIENCE, is_gone);
        gone.with_context(|| format!("{} does not end", component.program()))?;
        let _again = Finally(|| drop(self.start(component)));
        act()
    }

    /// Does something while a component stands still: what asks it waits for an answer. It goes on in any case.
    ///
    /// # Errors
    /// When it does not run, or `act` fails.
    pub fn while_frozen<T>(&self, component: Component, act: impl FnOnce() -> Result<T>) -> Result<T> {
        let process = self.running(component)?;
        self.signal(process, Signal::STOP)?;
        let _again = Finally(|| drop(self.signal(process, Signal::CONT)));
        act()
    }

    fn running(&self, component: Component) -> Result<Pid> {
        self.process_of(component)?.with_context(|| format!("{} does not run", component.program()))
    }

    /// The first process of the node, which makes its mounts: nothing that is mounted here is seen elsewhere, and what is
    /// mounted elsewhere later is not seen here.
    fn with_mounts_of_its_own(&self, program: &str) -> Command {
        /// Arguments: the cluster's directory, then what to become. Pods may be given mounts that others see.
        const SCRIPT: &str = "mount --bind \"$1\" /mnt && mount --bind /mnt/run /run && mount --bind /mnt/var /var && \
                              mount --make-rshared / && shift && exec \"$@\"";
        let mut command = self.in_network(&tool("unshare"));
        command.args(["--mount", "--propagation", "private", "--", "sh", "-c", SCRIPT, "sh"]);
        command.arg(&self.home).arg(Path::new(program));
        command
    }
}

/// What is done at the end, by a panic, too.
struct Finally<F: FnMut()>(F);

impl<F: FnMut()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
