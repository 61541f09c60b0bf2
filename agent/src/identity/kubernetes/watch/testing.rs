//! A watch of an API server made up for it, for there is no cluster here: what a real one does is tested with a
//! real one.

pub mod objects;
pub mod server;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::json;
use tempfile::TempDir;
use tokio::{
    sync::mpsc::{Receiver, channel},
    task::JoinHandle,
};
use tracing::subscriber::DefaultGuard;

use self::{
    objects::{node, pod, service, slice},
    server::Server,
};
use super::*;
use crate::{
    identity::kubernetes::{Cluster, Limits, Port, ResourceStatus, Transport},
    time::Nanos,
};

/// How long anything may take that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const QUICK: Pace = Pace {
    answer: Duration::from_secs(5),
    between_watches: Duration::from_millis(1),
    first_wait: Duration::from_millis(2),
    longest_wait: Duration::from_millis(20),
    forbidden_wait: Duration::from_millis(30),
};

/// A watch of a server, and the cluster as it tells it.
pub struct Watch {
    pub cluster: Cluster,
    pub changes: Receiver<Change>,
    pub status: Arc<Status>,
    pub running: JoinHandle<()>,
    _directory: TempDir,
    pub kubeconfig: PathBuf,
}

impl Watch {
    pub fn of(server: &Server) -> Self {
        Self::with(server, Peers::Services, 100, QUICK)
    }

    pub fn with(server: &Server, peers: Peers, capacity: usize, pace: Pace) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let kubeconfig = directory.path().join("config");
        write_kubeconfig(&kubeconfig, server, "first");
        let (sender, changes) = channel(capacity);
        let status = Arc::new(Status::default());
        let selection = Selection::new(["tier"], []);
        let options = Options { node: "n1".into(), peers, selection, pace };
        let access = Access::Kubeconfig(vec![kubeconfig.clone()]);
        let running = tokio::spawn(run(access, options, sender, Arc::clone(&status)));
        let cluster = Cluster::new(Limits::default());
        Self { cluster, changes, status, running, _directory: directory, kubeconfig }
    }

    /// Takes changes until the cluster and the status are as they should be.
    pub async fn until(&mut self, what: &str, is_so: impl Fn(&Cluster, &[ResourceStatus]) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !is_so(&self.cluster, &self.status.snapshot()) {
                // The status may change without a change of the cluster.
                let change = tokio::time::timeout(Duration::from_millis(5), self.changes.recv()).await;
                if let Ok(change) = change {
                    self.cluster.apply(change.expect("the watch runs"), Nanos(1));
                }
            }
        });
        assert!(waited.await.is_ok(), "not in time: {what}; {:?}", self.status.snapshot());
    }

    pub async fn until_ready(&mut self) {
        let status = Arc::clone(&self.status);
        self.until("ready", |_, _| status.is_ready()).await;
        self.until("all is taken", |cluster, status| {
            let wanted = status.iter().filter(|status| status.wanted && status.synced);
            wanted
                .filter(|status| status.resource != Resource::Jobs)
                .all(|status| cluster.is_listed(status.resource))
        })
        .await;
    }

    pub fn of_resource(&self, resource: Resource) -> ResourceStatus {
        self.status.snapshot().swap_remove(Resource::ALL.iter().position(|of| *of == resource).expect("it is one"))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.running.abort();
    }
}

pub fn write_kubeconfig(path: &Path, server: &Server, token: &str) {
    let text = json!({
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": format!("http://{}", server.address)}}],
        "users": [{"name": "test", "user": {"token": token}}],
    });
    fs::write(path, text.to_string()).expect("a file");
}

/// `SERVICE/POD` of who has an address.
pub fn at(cluster: &Cluster, address: &str, port: u16) -> String {
    let port = Port { number: port, transport: Transport::Tcp };
    let Some(peer) = cluster.peer(address.parse().expect("an address"), port) else { return "nobody".into() };
    let names = [peer.service, peer.pod, peer.node].map(|name| name.as_deref().unwrap_or("-").to_owned());
    names.join("/")
}

/// The lines logged on this thread.
pub struct Log(
    Arc<Mutex<Vec<u8>>>,
    #[expect(dead_code, reason = "held for as long as it is listened")] DefaultGuard,
);

impl Log {
    pub fn listen() -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&lines);
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .without_time()
            .with_writer(move || Writer(Arc::clone(&writer)))
            .finish();
        Self(lines, tracing::subscriber::set_default(subscriber))
    }

    /// Those of redtap's own, but for the chatter of the libraries below it at lower levels.
    pub fn told(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
        assert!(!text.contains("hush"), "{text}");
        let is_ours = |line: &&str| line.contains(" redtap") || line.contains("WARN") || line.contains("ERROR");
        text.lines().filter(is_ours).map(str::to_owned).collect()
    }
}

struct Writer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A server with one of each.
pub async fn small_cluster() -> Server {
    let server = Server::start().await;
    server.put("pods", pod("web-5f8-a", "10.0.0.1", "apps/v1 ReplicaSet web-5f8"));
    let elsewhere =
        json!({"metadata": {"uid": "z", "name": "z", "namespace": "shop"}, "spec": {"nodeName": "n2"}});
    server.put("pods", elsewhere);
    server.put("services", service("web", "10.96.0.1"));
    server.put("endpointslices", slice("api", "api-0", "10.0.1.1"));
    server.put("nodes", node("n1", "192.168.0.1"));
    server
}
