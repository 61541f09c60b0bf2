//! Talking to the API server as administrator, with Kubernetes' own client.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{Cluster, PATIENCE, output};
use crate::wait;

impl Cluster {
    /// `kubectl`, as administrator.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        let mut kubectl = self.in_network(&self.file("bin/kubectl"));
        kubectl.arg("--kubeconfig").arg(self.file("kubeconfig")).arg("--cache-dir").arg(self.file("kubectl"));
        kubectl
    }

    /// What `kubectl` prints.
    ///
    /// # Errors
    /// When it fails.
    pub fn ask(&self, words: &[&str]) -> Result<String> {
        output(self.kubectl().args(words).stdin(Stdio::null()))
    }

    /// What `kubectl get` finds, as the API has it.
    ///
    /// # Errors
    /// When it fails.
    pub fn get(&self, words: &[&str]) -> Result<Value> {
        let text = output(self.kubectl().arg("get").args(words).args(["--output", "json"]).stdin(Stdio::null()))?;
        serde_json::from_str(&text).context("kubectl gave no JSON")
    }

    /// Makes or changes objects: a manifest in YAML or JSON.
    ///
    /// # Errors
    /// When the API server refuses one.
    pub fn apply(&self, manifest: &str) -> Result<()> {
        self.feed(&["apply", "--filename", "-"], manifest)
    }

    /// Runs `kubectl` with `input`.
    ///
    /// # Errors
    /// When it fails.
    pub fn feed(&self, words: &[&str], input: &str) -> Result<()> {
        let mut kubectl = self.kubectl();
        kubectl.args(words).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = kubectl.spawn().context("cannot run kubectl")?;
        child.stdin.take().context("no input of kubectl")?.write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("kubectl {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim_end());
        }
        Ok(())
    }

    /// Waits until every pod of a Deployment, StatefulSet or DaemonSet is the newest, and available.
    ///
    /// # Errors
    /// When they do not become so.
    pub fn rolled_out(&self, namespace: &str, what: &str) -> Result<()> {
        let patience = patience();
        self.ask(&["--namespace", namespace, "rollout", "status", what, "--timeout", &patience])
            .map(drop)
            .with_context(|| self.situation(namespace))
    }

    /// Waits for a condition, as `kubectl wait --for` has it: `condition=Ready`, `jsonpath={.status.phase}=Succeeded`.
    ///
    /// # Errors
    /// When it does not come.
    pub fn wait_for(&self, namespace: &str, what: &str, condition: &str) -> Result<()> {
        let condition = format!("--for={condition}");
        self.ask(&["--namespace", namespace, "wait", what, &condition, "--timeout", &patience()])
            .map(drop)
            .with_context(|| self.situation(namespace))
    }

    /// Waits until the API server answers, after it did not.
    ///
    /// # Errors
    /// When it does not.
    pub fn wait_for_api(&self) -> Result<()> {
        let ready = wait::within(PATIENCE, || self.ask(&["get", "--raw=/readyz"]).ok());
        ready.map(drop).context("the API server is not ready")
    }

    /// What a namespace's pods are in and what happened to them, for a failure.
    fn situation(&self, namespace: &str) -> String {
        let pods = self.ask(&["--namespace", namespace, "get", "pods", "--output", "wide"]);
        let events = self.ask(&["--namespace", namespace, "get", "events"]);
        format!("in {namespace}:\n{}\n{}", pods.unwrap_or_default(), events.unwrap_or_default())
    }
}

/// The id of a running container, of any kind, from its pod as the API has it.
///
/// # Errors
/// When there is none of that name.
pub fn container_id(pod: &Value, name: &str) -> Result<String> {
    let kinds = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    let mut all = kinds.iter().filter_map(|kind| pod["status"][kind].as_array()).flatten();
    let container = all.find(|container| container["name"] == name);
    let id = container.and_then(|container| container["containerID"].as_str()?.strip_prefix("containerd://"));
    id.map(str::to_owned).with_context(|| format!("no container {name} in pod {}", pod["metadata"]["name"]))
}

fn patience() -> String {
    format!("{}s", PATIENCE.as_secs())
}
