//! Pods that come and go while they are asked, and what is named or addressed as something else was before.

use std::collections::BTreeSet;
use std::thread;

use anyhow::{Context as _, Result, ensure};
use redtap_tests::cluster::workload::{Identity, Ledger};
use serde_json::json;

use crate::manifest::{PORT, container, job, pod, server, set, spec};
use crate::story::{Demand, Story};
use crate::workloads::one_server;
use crate::world::World;

/// All pods of a Deployment are replaced while it is asked, a hundred times a second.
pub fn rolling_update(world: &World) -> Result<()> {
    let mut story = Story::begin(world, "rolling")?;
    let namespace = story.namespace.clone();
    let identity = Identity::of_pod(&namespace, "main").owned("k8s_deployment_name", "server");
    let deployment = |generation: &str| {
        let mut container = server("main", &identity, PORT);
        if let Some(variables) = container["env"].as_array_mut() {
            variables.push(json!({"name": "GENERATION", "value": generation}));
        }
        set("Deployment", &namespace, "server", Some(3), spec(&[container]))
    };
    story.apply(&[deployment("first")])?;
    let address = story.service("server")?;
    story.rolled_out("deployment/server")?;
    let client = story.client()?;
    story.reachable(&client, &address, 3)?;
    let ledger = thread::scope(|scope| {
        let load = scope.spawn(|| story.load_aside(&client, &address, 3000, Some(100)));
        for generation in ["second", "third"] {
            story.apply(&[deployment(generation)])?;
            story.rolled_out("deployment/server")?;
        }
        load.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    println!("  rolling: {} pods answered, {} requests failed", ledger.answers.len(), ledger.failed);
    ensure!(ledger.answers.len() >= 6, "not replaced under load: {ledger:?}");
    story.ledgers.push(ledger);
    story.end(Demand::All)
}

/// Fifty pods, ten at a time, each of which asks as soon as it is there, and ends.
pub fn churn(world: &World) -> Result<()> {
    const PODS: u32 = 50;
    let mut story = Story::begin(world, "churn")?;
    let (_, address) = one_server(&story)?;
    let identity = Identity::of_pod(&story.namespace, "main").owned("k8s_job_name", "many");
    let mut many = job(
        &story.namespace,
        "many",
        spec(&[container("main", &identity, &["load", &story.url(&address), "20"])]),
    );
    many["spec"]["completions"] = json!(PODS);
    many["spec"]["parallelism"] = json!(10);
    story.apply(&[many])?;
    story.wait_for("job/many", "condition=Complete")?;
    let most = format!("--max-log-requests={PODS}");
    let logs = story.ask(&["logs", "--selector=job-name=many", "--tail=-1", &most])?;
    story.ledgers = Ledger::read(&logs)?;
    let clients: BTreeSet<_> = story.ledgers.iter().map(|ledger| &ledger.client).collect();
    ensure!(clients.len() == PODS as usize, "{} pods wrote ledgers", clients.len());
    story.end(Demand::All)
}

/// A pod gets the address of one that was deleted a moment before; each is server and client.
pub fn address_reuse(world: &World) -> Result<()> {
    let mut story = Story::begin(world, "addresses")?;
    let namespace = story.namespace.clone();
    let (client, service) = one_server(&story)?;
    let identity = Identity::of_pod(&namespace, "main");
    let address = story.cluster().next_address()?;
    for name in ["earlier", "later", "latest"] {
        story.cluster().set_next_address(address)?;
        story.apply(&[pod(&namespace, name, spec(&[server("main", &identity, PORT)]))])?;
        story.wait_for(&format!("pod/{name}"), "condition=Ready")?;
        let made = story.get(&["pod", name])?;
        ensure!(
            made["status"]["podIP"] == json!(address),
            "{name} has {}, not {address}",
            made["status"]["podIP"]
        );
        story.load(&client, &format!("{address}:{PORT}"), 40, None)?;
        let own = story.container(name, "main")?;
        story.load(&own, &service, 30, None)?;
        story.ask(&["delete", "pod", name])?;
        // By all that is known, the client's connections are with this one, and no longer with the one before.
        let page = world.agent.scrape(story.cluster())?;
        let with = [("k8s_pod_name", "client"), ("k8s_namespace_name", &*namespace), ("peer", name)];
        let known = page.count("redtap_tcp_connections_opened_total", &with);
        ensure!(known <= 4, "of 4 connections, {known} are with {name}");
    }
    story.end(Demand::All)
}

/// A namespace is deleted with all that is in it, and made again with the same names for other things.
pub fn namespace_again(world: &World) -> Result<()> {
    let mut story = Story::begin(world, "again")?;
    let namespace = story.namespace.clone();
    for (kind, label) in [("Deployment", "k8s_deployment_name"), ("StatefulSet", "k8s_statefulset_name")] {
        let identity = Identity::of_pod(&namespace, "main").owned(label, "server");
        story.apply(&[set(kind, &namespace, "server", Some(1), spec(&[server("main", &identity, PORT)]))])?;
        let address = story.service("server")?;
        story.rolled_out(&format!("{}/server", kind.to_ascii_lowercase()))?;
        let client = story.client()?;
        story.reachable(&client, &address, 1)?;
        let ledger = story.load(&client, &address, 100, None)?;
        ensure!(ledger.answered() == 100, "{ledger:?}");
        story.cluster().ask(&["delete", "namespace", &namespace, "--timeout=120s"])?;
        story.make_namespace().context("the namespace cannot be made again")?;
    }
    story.end(Demand::All)
}
