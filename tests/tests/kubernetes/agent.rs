//! The agent, as its own DaemonSet.

use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;

use anyhow::{Context as _, Result, ensure};
use redtap_tests::cluster::{Cluster, PATIENCE, container_id};
use redtap_tests::gate::own;
use redtap_tests::http;
use redtap_tests::metrics::Scrape;
use redtap_tests::wait;
use serde_json::Value;

/// What all its objects have.
pub const LABEL: &str = "app.kubernetes.io/name=redtap";

/// Where it listens.
const PORT: u16 = 9440;

/// The agent's DaemonSet.
pub struct Agent {
    /// Where it is.
    pub namespace: String,
    /// `daemonset/` and its name.
    pub set: String,
    address: Mutex<SocketAddr>,
    log: Mutex<String>,
}

impl Agent {
    /// Applies the manifest of `deploy/`, and waits until the agent is ready.
    pub fn deploy(cluster: &Cluster) -> Result<Self> {
        let manifest = own("../deploy/kubernetes/redtap.yaml");
        let text =
            std::fs::read_to_string(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
        cluster.apply(&text)?;
        let sets = cluster.get(&["daemonsets", "--all-namespaces", "--selector", LABEL])?;
        let metadata = &sets["items"][0]["metadata"];
        let name = metadata["name"].as_str().with_context(|| format!("no DaemonSet with {LABEL}"))?;
        let agent = Self {
            namespace: metadata["namespace"].as_str().context("a DaemonSet without a namespace")?.to_owned(),
            set: format!("daemonset/{name}"),
            address: Mutex::new(SocketAddr::from(([127, 0, 0, 1], PORT))),
            log: Mutex::default(),
        };
        agent.find(cluster)?;
        Ok(agent)
    }

    /// Has it start anew, in a new pod, and waits until it is ready.
    pub fn restart(&self, cluster: &Cluster) -> Result<()> {
        cluster.ask(&["--namespace", &self.namespace, "delete", "pods", "--selector", LABEL])?;
        self.find(cluster)
    }

    /// Waits for its pod, and remembers where that listens.
    pub fn find(&self, cluster: &Cluster) -> Result<()> {
        cluster.rolled_out(&self.namespace, &self.set).inspect_err(|_| self.remember_log(cluster))?;
        let pod = self.pod(cluster)?;
        let address: IpAddr = pod["status"]["podIP"].as_str().context("an agent without address")?.parse()?;
        *self.address.lock().expect("nobody panics meanwhile") = SocketAddr::new(address, PORT);
        self.wait_ready(cluster)
    }

    /// Waits until it says that it is ready.
    pub fn wait_ready(&self, cluster: &Cluster) -> Result<()> {
        let address = self.address();
        let is_ready = || http::get(address, "/readyz").is_ok_and(|answer| answer.status == 200).then_some(());
        let ready = cluster.inside(|| wait::within(PATIENCE, is_ready))?;
        self.remember_log(cluster);
        ready.with_context(|| format!("the agent at {address} does not get ready"))
    }

    /// Its page, with closed books.
    pub fn scrape(&self, cluster: &Cluster) -> Result<Scrape> {
        let address = self.address();
        let page = cluster.inside(|| http::get(address, "/metrics"))?.context("no answer to a scrape")?;
        ensure!(page.status == 200, "scrape: {} {}", page.status, page.body);
        let page = Scrape::parse(&page.body);
        page.assert_books();
        Ok(page)
    }

    /// Its container, by its id.
    pub fn container(&self, cluster: &Cluster) -> Result<String> {
        let pod = self.pod(cluster)?;
        let name = pod["spec"]["containers"][0]["name"].as_str().context("a pod without containers")?;
        container_id(&pod, name)
    }

    /// What it has logged since it was started last.
    pub fn log(&self, cluster: &Cluster) -> Result<String> {
        cluster.ask(&["--namespace", &self.namespace, "logs", &self.set, "--tail=-1"])
    }

    /// The end of its log, as it was seen last.
    pub fn last_words(&self) -> String {
        const LINES: usize = 30;
        let log = self.log.lock().expect("nobody panics meanwhile");
        let lines: Vec<_> = log.lines().collect();
        format!("--- the agent logged:\n{}", lines[lines.len().saturating_sub(LINES)..].join("\n"))
    }

    /// Keeps its log for [`Agent::last_words`].
    pub fn remember_log(&self, cluster: &Cluster) {
        if let Ok(text) = self.log(cluster) {
            *self.log.lock().expect("nobody panics meanwhile") = text;
        }
    }

    fn pod(&self, cluster: &Cluster) -> Result<Value> {
        let pods = cluster.get(&["--namespace", &self.namespace, "pods", "--selector", LABEL])?;
        let pods = pods["items"].as_array().context("no list of pods")?;
        // One that is told to end may be there for a while.
        let pod = pods.iter().find(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        pod.cloned().context("the agent has no pod")
    }

    fn address(&self) -> SocketAddr {
        *self.address.lock().expect("nobody panics meanwhile")
    }
}
