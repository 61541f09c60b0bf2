//! Whether what the agent tells of some exchanges is about those who had them: rightly, honestly unknown, or wrongly.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::AddAssign;

use super::workload::{Ledger, labels};
use crate::line::Role;
use crate::metrics::{Labels, Scrape};

const POD: &str = "k8s_pod_name";
const CONTAINER: &str = "k8s_container_name";
const SERVICE: &str = "service_name";
const JOB: &str = "k8s_job_name";
const CRON_JOB: &str = "k8s_cronjob_name";

/// What a service is called of which no more than its process is known, or nothing.
const NAMELESS: [&str; 2] = ["workload", "unknown_service"];

/// Exchanges that one side had, according to the ledgers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The side.
    pub role: Role,
    /// Who it was.
    pub labels: Labels,
    /// How many.
    pub count: u64,
}

/// Exchanges that the agent tells of, with one set of labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The side that they are told of.
    pub role: Role,
    /// Whose they are said to be.
    pub labels: Labels,
    /// How many.
    pub count: u64,
}

/// How many exchanges were attributed how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attribution {
    /// To those who had them, with every label.
    pub right: u64,
    /// To nobody, or with labels that are missing, but none that is false.
    pub unknown: u64,
    /// To somebody else, or not all to those who had them, or more than there were.
    pub wrong: u64,
    /// Not told at all.
    pub missing: u64,
    /// What is not right, in words.
    pub remarks: Vec<String>,
}

/// What both sides had, according to clients' ledgers.
#[must_use]
pub fn expected(ledgers: &[Ledger]) -> Vec<Expected> {
    let mut all: Vec<Expected> = Vec::new();
    let mut add = |role, who: &str, count: u64| {
        let labels = labels(who);
        match all.iter_mut().find(|entry| entry.role == role && entry.labels == labels) {
            Some(entry) => entry.count += count,
            None => all.push(Expected { role, labels, count }),
        }
    };
    for ledger in ledgers {
        add(Role::Client, &ledger.client, ledger.answered());
        for (server, count) in &ledger.answers {
            add(Role::Server, server, *count);
        }
        for (proxy, count) in &ledger.through {
            add(Role::Server, proxy, *count);
            add(Role::Client, proxy, *count);
        }
    }
    all.retain(|entry| entry.count > 0);
    all
}

/// What a page tells of exchanges that were answered with `status`.
#[must_use]
pub fn told(page: &Scrape, status: u16) -> Vec<Told> {
    let status = status.to_string();
    let of_status = [("http_response_status_code", status.as_str())];
    let mut told = Vec::new();
    for (role, name) in [
        (Role::Server, "http_server_request_duration_seconds_count"),
        (Role::Client, "http_client_request_duration_seconds_count"),
    ] {
        for (labels, count) in page.find(name, &of_status) {
            // Not more exchanges than a double can count.
            let count = format!("{count:.0}").parse().unwrap_or(u64::MAX);
            told.push(Told { role, labels: labels.clone(), count });
        }
    }
    told
}

/// Ends of connections of a namespace's pods that are said to be none of `services`, which are all that they talk to, but
/// something else that is known. Not to know is no fault.
#[must_use]
pub fn strange_peers(page: &Scrape, namespace: &str, services: &BTreeSet<String>) -> Vec<String> {
    let is_one = |peer: &str| {
        services.iter().any(|service| {
            peer.strip_prefix(service.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    };
    let of_namespace = [("k8s_namespace_name", namespace)];
    let opened = page.find("redtap_tcp_connections_opened_total", &of_namespace).filter(|(_, count)| *count > 0.0);
    opened
        .filter_map(|(labels, count)| {
            let label = |name: &str| labels.get(name).map_or("", String::as_str);
            let (peer, of) = (label("peer"), label("peer_namespace"));
            let strange = !of.is_empty() && (of != namespace || !is_one(peer));
            strange.then(|| format!("{count} of {} with {peer} in {of}", label(POD)))
        })
        .collect()
}

/// Compares.
#[must_use]
pub fn attribution(expected: &[Expected], told: &[Told]) -> Attribution {
    let mut result = Attribution::default();
    let mut given = vec![0; expected.len()];
    for told in told {
        match verdict(expected, told) {
            Verdict::Right(index) => {
                // More than there were are somebody else's.
                let free = expected[index].count.saturating_sub(given[index]).min(told.count);
                given[index] += free;
                result.right += free;
                if free < told.count {
                    result.wrong += told.count - free;
                    result.remarks.push(format!("{} more than there were: {told}", told.count - free));
                }
            }
            Verdict::Unknown(what) => {
                result.unknown += told.count;
                result.remarks.push(format!("unknown {what}: {told}"));
            }
            Verdict::Wrong(what) => {
                result.wrong += told.count;
                result.remarks.push(format!("wrong {what}: {told}"));
            }
        }
    }
    let all: u64 = expected.iter().map(|entry| entry.count).sum();
    let told: u64 = told.iter().map(|told| told.count).sum();
    result.missing = all.saturating_sub(told);
    if told > all && result.wrong == 0 {
        result.wrong = told - all;
        result.remarks.push(format!("{told} exchanges are told of, there were {all}"));
    }
    result
}

enum Verdict {
    /// All is said, of the entry with this index.
    Right(usize),
    /// This is not said.
    Unknown(&'static str),
    /// This is not so.
    Wrong(String),
}

fn verdict(expected: &[Expected], told: &Told) -> Verdict {
    let of_role = || expected.iter().enumerate().filter(|(_, entry)| entry.role == told.role);
    let said = |label: &str| told.labels.get(label).map(String::as_str).filter(|value| !value.is_empty());
    let Some(pod) = said(POD) else {
        // Of one of them, at least, all that is said must be true.
        let service_may_be = |entry: &Expected, name: &str| {
            NAMELESS.contains(&name) || entry.labels.get(SERVICE).is_some_and(|own| own == name)
        };
        let possible = of_role().any(|(_, entry)| {
            told.labels.iter().filter(|(_, value)| !value.is_empty()).all(|(label, value)| {
                if label == SERVICE { service_may_be(entry, value) } else { agrees(entry, label, value) }
            })
        });
        return if possible { Verdict::Unknown("pod") } else { Verdict::Wrong("for any of them".to_owned()) };
    };
    let of_pod: Vec<_> =
        of_role().filter(|(_, entry)| entry.labels.get(POD).is_some_and(|own| own == pod)).collect();
    let container = said(CONTAINER);
    let of_container = of_pod
        .iter()
        .find(|(_, entry)| container.is_none() || entry.labels.get(CONTAINER).map(String::as_str) == container);
    let Some((index, entry)) = of_container else {
        return Verdict::Wrong(if of_pod.is_empty() { "pod".to_owned() } else { "container".to_owned() });
    };
    // As long as nobody knows of its CronJob, a Job's pods are the Job's service.
    let is_jobs = |label: &str, value: &str| {
        label == SERVICE && said(JOB) == Some(value) && said(CRON_JOB).is_none() && agrees(entry, JOB, value)
    };
    for (label, value) in &told.labels {
        if !value.is_empty() && !agrees(entry, label, value) && !is_jobs(label, value) {
            return Verdict::Wrong(label.clone());
        }
    }
    if entry.labels.keys().any(|label| said(label).is_none()) {
        return Verdict::Unknown("owner");
    }
    Verdict::Right(*index)
}

/// Whether a label that is told is true of `entry`, as far as a ledger knows.
fn agrees(entry: &Expected, label: &str, value: &str) -> bool {
    let begins_as = |owner: &str| {
        let rest = entry.labels.get(owner).and_then(|owner| value.strip_prefix(owner.as_str()));
        rest.is_some_and(|rest| rest.starts_with('-'))
    };
    match entry.labels.get(label) {
        Some(own) => own == value,
        // Between an owner and its pods, under a name that begins as the owner's does.
        None if label == "k8s_replicaset_name" => begins_as("k8s_deployment_name"),
        None if label == JOB => begins_as(CRON_JOB),
        None if label == "service_namespace" => {
            entry.labels.get("k8s_namespace_name").is_some_and(|namespace| namespace == value)
        }
        None if label == "k8s_node_name" => value == super::NODE,
        // An owner that it has not.
        None => !label.starts_with("k8s_"),
    }
}

impl AddAssign<&Self> for Attribution {
    fn add_assign(&mut self, other: &Self) {
        self.right += other.right;
        self.unknown += other.unknown;
        self.wrong += other.wrong;
        self.missing += other.missing;
        self.remarks.extend_from_slice(&other.remarks);
    }
}

impl fmt::Display for Attribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { right, unknown, wrong, missing, .. } = self;
        write!(f, "{right} rightly, {unknown} unknown, {wrong} wrongly")?;
        if *missing > 0 { write!(f, ", {missing} not told") } else { Ok(()) }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose: BTreeSet<_> = self
            .labels
            .iter()
            .filter(|(label, _)| label.starts_with("k8s_") || label.starts_with("service_"))
            .map(|(label, value)| format!("{label}={value}"))
            .collect();
        let whose: Vec<_> = whose.into_iter().collect();
        write!(f, "{} as {:?} of {}", self.count, self.role, whose.join(","))
    }
}

#[cfg(test)]
mod tests;
