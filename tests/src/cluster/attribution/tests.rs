//! The comparison, by examples.

use std::collections::{BTreeMap, BTreeSet};

use super::{Attribution, Expected, Told, attribution, expected, strange_peers};
use crate::cluster::workload::{Ledger, labels};
use crate::line::Role;
use crate::metrics::Scrape;

const FIRST: &str =
    "k8s_namespace_name=n k8s_pod_name=s-1 k8s_container_name=c k8s_deployment_name=s service_name=s";
const SECOND: &str =
    "k8s_namespace_name=n k8s_pod_name=s-2 k8s_container_name=c k8s_deployment_name=s service_name=s";

fn servers() -> Vec<Expected> {
    [FIRST, SECOND].map(|who| Expected { role: Role::Server, labels: labels(who), count: 10 }).to_vec()
}

/// `told`: who, and how many.
fn check(what: &str, told: &[(&str, u64)], right: u64, unknown: u64, wrong: u64, missing: u64) {
    check_against(&servers(), what, told, [right, unknown, wrong, missing]);
}

fn check_against(expected: &[Expected], what: &str, told: &[(&str, u64)], numbers: [u64; 4]) {
    let [right, unknown, wrong, missing] = numbers;
    let told: Vec<_> =
        told.iter().map(|(who, count)| Told { role: Role::Server, labels: labels(who), count: *count }).collect();
    let found = attribution(expected, &told);
    let numbers = Attribution { right, unknown, wrong, missing, remarks: found.remarks.clone() };
    assert_eq!(found, numbers, "{what}");
}

#[test]
fn each_exchange_is_right_unknown_or_wrong() {
    check("all of both", &[(FIRST, 10), (SECOND, 10)], 20, 0, 0, 0);
    check(
        "with more than is asked",
        &[(&format!("{FIRST} service_namespace=n k8s_node_name=node1"), 10)],
        10,
        0,
        0,
        10,
    );
    check("one's for the other's", &[(FIRST, 11), (SECOND, 9)], 19, 0, 1, 0);
    check("in two series", &[(&format!("{FIRST} url_scheme=http"), 6), (FIRST, 4), (SECOND, 10)], 20, 0, 0, 0);
    check("no pod", &[("service_name=workload", 20)], 0, 20, 0, 0);
    check("no pod but the service", &[("service_name=s", 20)], 0, 20, 0, 0);
    check("no owner", &[("k8s_pod_name=s-1 k8s_container_name=c service_name=s", 10), (SECOND, 10)], 10, 10, 0, 0);
    check("no pod but another's namespace", &[("service_name=workload k8s_namespace_name=m", 20)], 0, 0, 20, 0);
    check("another service", &[("service_name=other", 20)], 0, 0, 20, 0);
    check("another pod", &[("k8s_pod_name=x k8s_container_name=c service_name=s", 1)], 0, 0, 1, 19);
    check("another container", &[(&FIRST.replace("name=c", "name=d"), 1)], 0, 0, 1, 19);
    check("another owner", &[(&format!("{FIRST} k8s_statefulset_name=s"), 1)], 0, 0, 1, 19);
    check("its ReplicaSet", &[(&format!("{FIRST} k8s_replicaset_name=s-abc"), 1)], 1, 0, 0, 19);
    check("another's ReplicaSet", &[(&format!("{FIRST} k8s_replicaset_name=t-abc"), 1)], 0, 0, 1, 19);
    check("more than there were", &[("service_name=workload", 21)], 0, 21, 1, 0);
    check("nothing", &[], 0, 0, 0, 20);
}

#[test]
fn a_job_of_a_cron_job_may_be_known_before_that() {
    let who = "k8s_pod_name=n-1-x k8s_container_name=c k8s_cronjob_name=n service_name=n";
    let expected = [Expected { role: Role::Server, labels: labels(who), count: 5 }];
    for (told, numbers) in [
        (who, [5, 0, 0, 0]),
        (&format!("{who} k8s_job_name=n-1"), [5, 0, 0, 0]),
        (&format!("{who} k8s_job_name=m-1"), [0, 0, 5, 0]),
        ("k8s_pod_name=n-1-x k8s_container_name=c k8s_job_name=n-1 service_name=n-1", [0, 5, 0, 0]),
        ("k8s_pod_name=n-1-x k8s_container_name=c k8s_job_name=n-1 service_name=n-2", [0, 0, 5, 0]),
    ] {
        check_against(&expected, told, &[(told, 5)], numbers);
    }
}

#[test]
fn a_peer_of_another_namespace_is_strange_and_one_that_is_not_known_is_not() {
    let line = |peer: &str, more: &str| {
        format!(
            "redtap_tcp_connections_opened_total{{k8s_namespace_name=\"n\",k8s_pod_name=\"p\",peer=\"{peer}\"{more}}} 2\n"
        )
    };
    let of = |namespace: &str| format!(",peer_namespace=\"{namespace}\"");
    let services = BTreeSet::from(["s".to_owned()]);
    for (peer, namespace, strange) in
        [("s", of("n"), false), ("private", String::new(), false), ("t", of("n"), true), ("s", of("m"), true)]
    {
        let page = Scrape::parse(&line(peer, &namespace));
        assert_eq!(!strange_peers(&page, "n", &services).is_empty(), strange, "{peer}{namespace}");
    }
}

#[test]
fn ledgers_tell_of_both_sides_and_of_proxies_between_them() {
    let ledger = Ledger {
        client: "k8s_pod_name=c".to_owned(),
        answers: BTreeMap::from([(FIRST.to_owned(), 3), (SECOND.to_owned(), 4)]),
        through: BTreeMap::from([("k8s_pod_name=p".to_owned(), 7)]),
        failed: 1,
    };
    let mut all: Vec<_> = expected(&[ledger.clone(), ledger])
        .into_iter()
        .map(|entry| (entry.role, entry.labels["k8s_pod_name"].clone(), entry.count))
        .collect();
    all.sort();
    let counts = [
        (Role::Server, "p", 14),
        (Role::Server, "s-1", 6),
        (Role::Server, "s-2", 8),
        (Role::Client, "c", 14),
        (Role::Client, "p", 14),
    ];
    assert_eq!(all, counts.map(|(role, pod, count)| (role, pod.to_owned(), count)));
}
