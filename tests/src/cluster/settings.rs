//! What the components are told: files and flags, and the addresses in them.

use std::fs;
use std::os::unix::fs::symlink;

use anyhow::{Context as _, Result};

use super::{Cluster, clean, output};
use crate::gate::{real, tool};

/// The node's name.
pub const NODE: &str = "node1";

/// The node's address, which is the API server's, too. Like all these, of the cluster's own network: no other network
/// has to leave room for it.
pub const NODE_ADDRESS: &str = "10.99.0.1";

/// What makes its bearer an administrator to the API server.
pub const TOKEN: &str = "administrator";

/// Where the cluster's directory is on the node, whose `/run` and `/var` may be what that directory is in elsewhere.
pub(super) const HOME: &str = "/mnt";

/// Addresses of pods.
pub(super) const PODS: &str = "10.97.0.0/24";

/// Addresses of services.
pub(super) const SERVICES: &str = "10.98.0.0/16";

/// Directories that must be there.
const DIRECTORIES: [&str; 8] = ["bin", "cni", "log", "run/netns", "var/lib", "var/log", "var/tmp", "certs"];

/// The programs that the compiled one can be.
const PROGRAMS: [&str; 7] =
    ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"];

impl Cluster {
    /// Writes every file that a component reads.
    pub(super) fn settle(&self) -> Result<()> {
        for directory in DIRECTORIES {
            fs::create_dir_all(self.file(directory)).with_context(|| format!("cannot make {directory}"))?;
        }
        symlink("/run", self.file("var/run")).context("cannot link /var/run")?;
        let compiled = real("REDTAP_CLUSTER");
        for program in PROGRAMS {
            // Links that are files of their own: a process's executable is what tells it from others.
            fs::hard_link(&compiled, self.file("bin").join(program))
                .with_context(|| format!("cannot link {program} to {}", compiled.display()))?;
        }
        output(
            clean(&tool("openssl")).args(["genrsa", "-out"]).arg(self.file("service-accounts.key")).arg("2048"),
        )
        .context("no key for the tokens of service accounts")?;
        for (name, text) in [
            ("tokens", format!("{TOKEN},administrator,administrator,\"system:masters\"\n")),
            ("kubeconfig", kubeconfig()),
            ("cni/pods.conflist", network()),
            ("containerd.toml", containerd()),
            ("kubelet.yaml", self.kubelet()),
            // Not empty, lest the host's, which may be a link into its /run, becomes the pods'.
            ("resolv.conf", "options ndots:1\n".to_owned()),
        ] {
            fs::write(self.file(name), text).with_context(|| format!("cannot write {name}"))?;
        }
        Ok(())
    }

    fn kubelet(&self) -> String {
        let cgroup = &self.name;
        // A cgroup of version 1 and swap are the host's, and so is a disk that is almost full. A host that may not make
        // itself less killable than it is (CAP_SYS_RESOURCE) is one that the feature gate is made for.
        format!(
            "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n\
             authentication: {{anonymous: {{enabled: true}}, webhook: {{enabled: false}}}}\n\
             authorization: {{mode: AlwaysAllow}}\n\
             cgroupDriver: cgroupfs\ncgroupRoot: /{cgroup}\nenforceNodeAllocatable: []\n\
             containerRuntimeEndpoint: unix:///run/containerd/containerd.sock\n\
             evictionHard: {{memory.available: 10Mi, nodefs.available: '0%', imagefs.available: '0%'}}\n\
             failCgroupV1: false\nfailSwapOn: false\nfeatureGates: {{KubeletInUserNamespace: true}}\n\
             imageGCHighThresholdPercent: 100\nresolvConf: {HOME}/resolv.conf\n\
             maxPods: 200\nsyncFrequency: 2s\n"
        )
    }
}

fn kubeconfig() -> String {
    format!(
        "apiVersion: v1\nkind: Config\n\
         clusters: [{{name: own, cluster: {{server: 'https://{NODE_ADDRESS}:6443', insecure-skip-tls-verify: true}}}}]\n\
         users: [{{name: administrator, user: {{token: {TOKEN}}}}}]\n\
         contexts: [{{name: own, context: {{cluster: own, user: administrator}}}}]\ncurrent-context: own\n"
    )
}

/// A wire from each pod to the node, which routes: what is translated on the way there comes back by the same way,
/// which a bridge does not see to by itself.
fn network() -> String {
    format!(
        r#"{{"cniVersion": "0.4.0", "name": "pods", "plugins": [{{"type": "ptp", "ipam": {{
            "type": "host-local", "ranges": [[{{"subnet": "{PODS}"}}]], "routes": [{{"dst": "0.0.0.0/0"}}]}}}}]}}"#
    )
}

fn containerd() -> String {
    format!(
        "version = 2\n\
         [plugins.\"io.containerd.internal.v1.opt\"]\n  path = \"/var/lib/containerd/opt\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\"]\n  sandbox_image = \"docker.io/local/pause:1\"\n  \
         restrict_oom_score_adj = true\n  disable_apparmor = true\n  \
         [plugins.\"io.containerd.grpc.v1.cri\".cni]\n    bin_dir = \"/usr/lib/cni\"\n    conf_dir = \"{HOME}/cni\"\n  \
         [plugins.\"io.containerd.grpc.v1.cri\".containerd]\n    snapshotter = \"{}\"\n",
        super::image::SNAPSHOTTER
    )
}
