//! Containers within pods: several, early ones, late ones, and ones of a moment.

use std::thread;

use anyhow::{Context as _, Result, ensure};
use redtap_tests::cluster::workload::{IMAGE, Identity, Ledger, PROGRAM};
use serde_json::{Value, json};

use crate::manifest::{PORT, container, pod, server, spec};
use crate::story::{Demand, Story};
use crate::workloads::one_server;
use crate::world::World;

/// Within this time of its start, a pod has answered its one request.
const AT_ONCE: u64 = 200;

/// Two servers in one pod, by its address, and one of them as client of the other, by loopback.
pub fn two(world: &World) -> Result<()> {
    let mut story = Story::begin(world, "containers")?;
    let namespace = story.namespace.clone();
    let ports = [("first", PORT), ("second", PORT + 1)];
    let both = ports.map(|(name, port)| server(name, &Identity::of_pod(&namespace, name), port));
    story.apply(&[pod(&namespace, "both", spec(&both))])?;
    story.wait_for("pod/both", "condition=Ready")?;
    let client = story.client()?;
    let made = story.get(&["pod", "both"])?;
    let address = made["status"]["podIP"].as_str().context("a pod without an address")?;
    for (number, (_, port)) in (1..).zip(ports) {
        story.load(&client, &format!("{address}:{port}"), 40 * number, None)?;
    }
    let second = story.container("both", "second")?;
    story.load(&second, &format!("127.0.0.1:{PORT}"), 30, None)?;
    story.end(Demand::All)
}

/// A container that asks before the pod's own is started, and one that is put into the running pod to ask.
pub fn init_and_ephemeral(world: &World) -> Result<()> {
    let mut story = Story::begin(world, "early-and-late")?;
    let namespace = story.namespace.clone();
    let (_, address) = one_server(&story)?;
    let identity = |container: &str| Identity::of_pod(&namespace, container);
    let url = story.url(&address);
    let mut spec = spec(&[container("main", &identity("main"), &["wait"])]);
    spec["initContainers"] = json!([container("early", &identity("early"), &["load", &url, "40"])]);
    story.apply(&[pod(&namespace, "patient", spec)])?;
    story.wait_for("pod/patient", "condition=Ready")?;
    // It gets none of the pod's variables.
    let who = identity("late").with("k8s_pod_name", "patient").with("service_name", "patient");
    let who = format!("IDENTITY={}", who.said());
    let image = format!("--image={IMAGE}");
    let debug = [
        "debug",
        "pod/patient",
        "--container=late",
        "--target=main",
        "--profile=general",
        "--image-pull-policy=Never",
    ];
    let words = ["--env", &who, &image, "--", PROGRAM, "load", &url, "60"];
    story.ask(&[debug.as_slice(), &words].concat())?;
    story.wait_for(
        "pod/patient",
        "jsonpath={.status.ephemeralContainerStatuses[0].state.terminated.reason}=Completed",
    )?;
    for container in ["early", "late"] {
        story.ledgers.extend(Ledger::read(&story.ask(&["logs", "patient", "--container", container])?)?);
    }
    story.end(Demand::All)
}

/// Pods that answer one request as soon as they are there, and end: gone before anybody has heard of them. Their
/// addresses are known before, for addresses are given out in order.
pub fn once(world: &World) -> Result<()> {
    let mut story = Story::begin(world, "once")?;
    let namespace = story.namespace.clone();
    let client = story.client()?;
    for number in 0..5 {
        let name = format!("moment-{number}");
        let address = story.cluster().next_address()?;
        let url = story.url(&format!("{address}:{PORT}"));
        let identity = Identity::of_pod(&namespace, "main");
        let mut spec = spec(&[container("main", &identity, &["once", &PORT.to_string()])]);
        spec["restartPolicy"] = json!("Never");
        let cluster = story.cluster();
        let asked = thread::scope(|scope| {
            let knock = scope.spawn(|| cluster.run_in(&client, &[PROGRAM, "knock", &url]));
            story.apply(&[pod(&namespace, &name, spec)])?;
            knock.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        story.ledgers.extend(Ledger::read(&asked)?);
        story.wait_for(&format!("pod/{name}"), "jsonpath={.status.phase}=Succeeded")?;
        let said: Value = serde_json::from_str(&story.ask(&["logs", &name])?)?;
        let milliseconds = said["milliseconds"].as_u64().context("no time of the answer")?;
        ensure!(milliseconds <= AT_ONCE, "{name} answered {milliseconds} ms after its start");
    }
    story.end(Demand::All)
}
