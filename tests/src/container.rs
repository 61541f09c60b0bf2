//! Containers without an engine: Debian's runc, and a bundle that the test makes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::gate::tool;
use crate::process::{Place, Service};

/// A running container in the host's network namespace, with Debian's static busybox; deleted on drop.
pub struct Container {
    name: String,
    service: Option<Service>,
    bundle: TempDir,
}

impl Container {
    /// Runs busybox with these arguments in a container whose cgroup has this path in every hierarchy, with these variables.
    ///
    /// # Panics
    /// When the bundle cannot be made.
    #[must_use]
    pub fn start(cgroup: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let bundle = crate::process::scratch();
        let root = bundle.path().join("rootfs");
        for directory in ["bin", "dev", "proc", "www"] {
            fs::create_dir_all(root.join(directory)).expect("a directory of the bundle");
        }
        fs::copy(tool("busybox"), root.join("bin/busybox")).expect("a busybox for the bundle");
        fs::write(root.join("www/small"), vec![b's'; 612]).expect("a file to serve");
        let configuration = configuration(cgroup, arguments, environment).to_string();
        fs::write(bundle.path().join("config.json"), configuration).expect("the bundle's configuration");
        let name = format!("redtap-{}-{}", std::process::id(), unique());
        let mut runc = Place::Host.command(&tool("runc"));
        // No engine of this host is to know of it.
        runc.arg("--root").arg(state(bundle.path())).args(["run", "--bundle"]).arg(bundle.path()).arg(&name);
        let service = Service::start(&format!("runc {}", arguments.join(" ")), &mut runc);
        Self { name, service: Some(service), bundle }
    }

    /// The process that keeps it.
    ///
    /// # Panics
    /// Never: it is there until the drop.
    pub fn service(&mut self) -> &mut Service {
        self.service.as_mut().expect("a running container")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let mut runc = Command::new(tool("runc"));
        let delete =
            runc.arg("--root").arg(state(self.bundle.path())).args(["delete", "--force", &self.name]).output();
        drop(delete);
        drop(self.service.take());
    }
}

/// Where runc keeps what it knows of a container.
fn state(bundle: &Path) -> PathBuf {
    bundle.join("state")
}

fn unique() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The OCI runtime specification's `config.json`.
fn configuration(cgroup: &str, arguments: &[&str], environment: &[(&str, &str)]) -> serde_json::Value {
    let arguments: Vec<_> = ["/bin/busybox"].iter().chain(arguments).collect();
    let environment: Vec<_> = environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let namespaces: Vec<_> = ["pid", "mount", "ipc", "uts"].iter().map(|kind| json!({ "type": kind })).collect();
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": arguments,
            "env": environment,
            "cwd": "/",
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs" },
        "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
        "linux": { "cgroupsPath": cgroup, "namespaces": namespaces },
    })
}

/// A cgroup of the version 2 hierarchy, made for a while.
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// Makes one.
    ///
    /// # Panics
    /// When there is no such hierarchy, or it cannot be made.
    #[must_use]
    pub fn new(path: &str) -> Self {
        let directory = root().join(path.trim_start_matches('/'));
        fs::create_dir_all(&directory).expect("a cgroup");
        Self(directory)
    }

    /// The file that a process writes its id to in order to move there.
    #[must_use]
    pub fn members(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let mut directory: &Path = &self.0;
        // What is left of the path above it was made with it.
        while directory != root() && fs::remove_dir(directory).is_ok() {
            let Some(parent) = directory.parent() else { break };
            directory = parent;
        }
    }
}

/// Where cgroup v2 is mounted.
fn root() -> PathBuf {
    let mounts = fs::read_to_string("/proc/mounts").expect("the table of mounts");
    let mount = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mut cgroup2 = mount.filter(|fields| fields.get(2) == Some(&"cgroup2"));
    PathBuf::from(cgroup2.next().and_then(|fields| fields.get(1).copied()).expect("cgroup v2"))
}
