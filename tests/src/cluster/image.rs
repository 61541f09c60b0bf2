//! Images from folders, without a registry and without an engine.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::{Cluster, clean, output};
use crate::gate::tool;
use crate::process::scratch;

/// How containerd lays image and container over one another: by copying, which every file system can do.
pub(super) const SNAPSHOTTER: &str = "native";

/// Where containerd keeps what kubelet asks of it.
const NAMESPACE: &str = "k8s.io";

impl Cluster {
    /// Makes the image `docker.io/local/NAME`, of one layer, from a folder; without one, of Debian's static busybox. Pods
    /// that use it say `imagePullPolicy: Never`, and what to run.
    ///
    /// # Errors
    /// When the cluster is not up, or the folder cannot be read.
    pub fn make_image(&self, name: &str, root: Option<&Path>) -> Result<()> {
        let directory = scratch();
        let root = match root {
            Some(root) => root.to_owned(),
            None => busybox(directory.path())?,
        };
        let file = |name: &str| directory.path().join(name);
        let tar = |what: &Path, archive: &Path| {
            let mut tar = clean(&tool("tar"));
            // Whoever owns the files here is nobody there.
            tar.args(["--owner=0", "--group=0", "--numeric-owner", "--create", "--file"]).arg(archive);
            tar.arg("--directory").arg(what);
            tar
        };
        output(tar(&root, &file("layer.tar")).arg(".")).context("cannot pack the folder")?;
        let digest = output(clean(&tool("sha256sum")).arg(file("layer.tar")))?;
        let digest = digest.split(' ').next().context("no digest")?;
        let configuration = json!({
            "architecture": architecture(),
            "os": "linux",
            "config": {"Cmd": ["/bin/sleep", "2147483647"], "Env": ["PATH=/bin:/sbin:/usr/bin:/usr/sbin"]},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
        });
        let manifest = json!([{
            "Config": "config.json",
            "RepoTags": [format!("docker.io/local/{name}")],
            "Layers": ["layer.tar"],
        }]);
        fs::write(file("config.json"), configuration.to_string())?;
        fs::write(file("manifest.json"), manifest.to_string())?;
        let archive = file("image.tar");
        output(tar(directory.path(), &archive).args(["manifest.json", "config.json", "layer.tar"]))?;
        self.import_image(&archive)
    }

    /// Gives containerd the images in an archive, in the form of `docker save` or OCI.
    ///
    /// # Errors
    /// When the cluster is not up, or containerd refuses it.
    pub fn import_image(&self, archive: &Path) -> Result<()> {
        let mut client = self.containerd_client()?;
        client.args(["images", "import", "--snapshotter", SNAPSHOTTER, "-"]);
        // On the node, its path may lead elsewhere.
        client.stdin(fs::File::open(archive).with_context(|| format!("cannot read {}", archive.display()))?);
        output(&mut client).map(drop).with_context(|| format!("containerd does not take {}", archive.display()))
    }

    /// Runs a program in a container, by its id, and gives what it writes; the API server need not be there.
    ///
    /// # Errors
    /// When there is no such container, or the program fails.
    pub fn run_in(&self, container: &str, words: &[&str]) -> Result<String> {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let unique = format!("run-{}-{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
        let mut client = self.containerd_client()?;
        client.args(["tasks", "exec", "--exec-id", &unique, container]).args(words).stdin(Stdio::null());
        output(&mut client)
    }

    /// Kills a container's processes, by its id; kubelet may start another one.
    ///
    /// # Errors
    /// When there is no such container.
    pub fn kill_container(&self, container: &str) -> Result<()> {
        let mut client = self.containerd_client()?;
        output(client.args(["tasks", "kill", "--all", "--signal", "SIGKILL", container])).map(drop)
    }

    /// `ctr`, for what kubelet has containerd do.
    pub(super) fn containerd_client(&self) -> Result<Command> {
        let mut client = self.on_node("ctr")?;
        client.args(["--namespace", NAMESPACE]);
        Ok(client)
    }
}

/// A folder with busybox and a link for each of its applets.
fn busybox(directory: &Path) -> Result<PathBuf> {
    let busybox = tool("busybox");
    let linked = output(clean(&busybox).arg("--list"))?;
    let root = directory.join("root");
    for name in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        fs::create_dir_all(root.join(name))?;
    }
    fs::copy(&busybox, root.join("bin/busybox"))?;
    for applet in linked.lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    Ok(root)
}

/// This machine's, as images have it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
