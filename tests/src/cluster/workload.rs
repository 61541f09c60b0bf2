//! What runs in the stories' pods, `tests/programs/go/workload`: who a pod says it is, and what its ledger says.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Cluster, output};
use crate::gate::{cache, own, tool};
use crate::metrics::Labels;
use crate::process::scratch;

/// Its image.
pub const IMAGE: &str = "docker.io/local/workload:1";

/// Its program, in the image.
pub const PROGRAM: &str = "/workload";

/// What a client counted. Identities are as processes say them.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// Who asked.
    pub client: String,
    /// Who answered how often.
    pub answers: BTreeMap<String, u64>,
    /// Which proxy passed on how many of those.
    pub through: BTreeMap<String, u64>,
    /// Requests without an answer.
    pub failed: u64,
}

impl Ledger {
    /// Every ledger in what clients wrote, a line each.
    ///
    /// # Errors
    /// When there is none, or one that cannot be read.
    pub fn read(text: &str) -> Result<Vec<Self>> {
        let lines = text.lines().filter(|line| line.starts_with("{\"client\""));
        let ledgers: Vec<Self> = lines.map(serde_json::from_str).collect::<Result<_, _>>().context("a ledger")?;
        anyhow::ensure!(!ledgers.is_empty(), "no ledger in {text:?}");
        Ok(ledgers)
    }

    /// All that was answered.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answers.values().sum()
    }
}

/// Who a container is, as the agent is to tell it: labels of Prometheus and their values. Kubernetes puts `$(POD)` in.
#[derive(Clone, Debug)]
pub struct Identity {
    labels: Vec<(&'static str, String)>,
}

impl Identity {
    /// A container of a pod that nobody owns; its service is called as the pod is.
    #[must_use]
    pub fn of_pod(namespace: &str, container: &str) -> Self {
        Self {
            labels: vec![
                ("k8s_namespace_name", namespace.to_owned()),
                ("k8s_pod_name", "$(POD)".to_owned()),
                ("k8s_container_name", container.to_owned()),
                ("service_name", "$(POD)".to_owned()),
            ],
        }
    }

    /// The same in a pod whose owner is called `name`, and so its service.
    #[must_use]
    pub fn owned(self, kind: &'static str, name: &str) -> Self {
        self.with(kind, name).with("service_name", name)
    }

    /// With a label of another value.
    #[must_use]
    pub fn with(mut self, label: &'static str, value: &str) -> Self {
        self.labels.retain(|(name, _)| *name != label);
        self.labels.push((label, value.to_owned()));
        self
    }

    /// As a process says it.
    #[must_use]
    pub fn said(&self) -> String {
        let words: Vec<_> = self.labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
        words.join(" ")
    }

    /// As a container's environment.
    #[must_use]
    pub fn environment(&self) -> Value {
        json!([
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "IDENTITY", "value": self.said()},
        ])
    }
}

/// The labels in what a process says of itself.
#[must_use]
pub fn labels(said: &str) -> Labels {
    let words = said.split(' ').filter_map(|word| word.split_once('='));
    words.map(|(label, value)| (label.to_owned(), value.to_owned())).collect()
}

/// The compiled program, on the host.
///
/// # Errors
/// When it does not compile.
pub fn program() -> Result<PathBuf> {
    let program = cache("cluster").join("workload");
    let mut go = std::process::Command::new(tool("go"));
    go.args(["build", "-trimpath", "-ldflags=-s -w", "-o"]).arg(&program).arg("./workload");
    go.current_dir(own("programs/go")).env("CGO_ENABLED", "0").env("GOFLAGS", "-buildvcs=false");
    output(&mut go).context("cannot compile the workload")?;
    Ok(program)
}

impl Cluster {
    /// Gives the cluster the image of the workload.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make_workload(&self) -> Result<()> {
        let root = scratch();
        fs::copy(program()?, root.path().join(&PROGRAM[1..]))?;
        self.make_image("workload:1", Some(root.path()))
    }

    /// Runs the workload on the node, not in a pod, with `input`.
    ///
    /// # Errors
    /// When it fails.
    pub fn workload_on_node(&self, words: &[&str], input: fs::File) -> Result<String> {
        output(self.in_network(&program()?).args(words).stdin(input))
    }
}

#[cfg(test)]
mod tests {
    use super::{Identity, Ledger, labels};

    #[test]
    fn ledgers_are_found_among_other_lines() {
        let text = "ready\n{\"client\":\"k8s_pod_name=a\",\"answers\":{\"k8s_pod_name=b\":3},\"through\":{},\"failed\":1}\n";
        let ledgers = Ledger::read(text).expect("a ledger");
        assert_eq!(ledgers.len(), 1);
        assert_eq!(ledgers[0].answered(), 3);
        assert!(Ledger::read("nothing").is_err());
    }

    #[test]
    fn what_a_process_says_of_itself_are_labels() {
        let identity = Identity::of_pod("story", "main").owned("k8s_job_name", "j").with("service_name", "x");
        let labels = labels(&identity.said());
        let told: Vec<_> = labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
        let expected = [
            "k8s_container_name=main",
            "k8s_job_name=j",
            "k8s_namespace_name=story",
            "k8s_pod_name=$(POD)",
            "service_name=x",
        ];
        assert_eq!(told, expected);
    }
}
