//! What a large cluster's peers cost the agent: objects of five hundred nodes in the real API server.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use redtap_tests::cluster::{Cluster, NODE, NODE_ADDRESS, PATIENCE, TOKEN};
use redtap_tests::metrics::Scrape;
use redtap_tests::process::scratch;
use redtap_tests::wait;
use serde_json::{Value, json};

use crate::story::{Demand, Story};
use crate::workloads::one_server;
use crate::world::World;

const NODES: u32 = 500;
const PODS: u32 = 5000;
const SERVICES: u32 = 50;

/// How long what it costs is measured for, in seconds.
const MEASURED: u32 = 60;

/// Nodes, pods, Services and EndpointSlices that nobody runs are made; the agent's memory, CPU and requests are told.
pub fn peers(world: &World) -> Result<()> {
    let mut story = Story::begin(world, "scale")?;
    let (client, address) = one_server(&story)?;
    let (cluster, agent) = (story.cluster(), &world.agent);
    // An agent for each of the nodes is not what is measured.
    let here = json!({"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": NODE}}}}});
    cluster.ask(&["--namespace", &agent.namespace, "patch", &agent.set, "--patch", &here.to_string()])?;
    agent.find(cluster)?;
    let before = Costs::of(&agent.scrape(cluster)?);
    println!("  {} MB resident before", before.megabytes());

    let directory = scratch();
    let lines = directory.path().join("objects");
    write_objects(&lines, &story.namespace)?;
    send(cluster, &lines)?;
    let objects = |page: &Scrape, resource: &str| page.sum("redtap_kubernetes_objects", &[("resource", resource)]);
    let known = wait::within(PATIENCE, || {
        let page = agent.scrape(cluster).ok()?;
        let slices = objects(&page, "endpointslices");
        (slices >= f64::from(SERVICES) && objects(&page, "nodes") >= f64::from(NODES)).then_some(())
    });
    known.context("the agent does not get to know the nodes and EndpointSlices")?;
    story.load(&client, &address, MEASURED, Some(1))?;
    story.settle(Demand::All)?;

    for what in ["as they came", "listed at the start"] {
        if what == "listed at the start" {
            agent.restart(cluster)?;
        }
        let start = Costs::of(&agent.scrape(cluster)?);
        let ledger = story.load(&client, &address, MEASURED, Some(1))?;
        ensure!(ledger.answered() == u64::from(MEASURED), "{ledger:?}");
        let end = Costs::of(&agent.scrape(cluster)?);
        let requests = end.requests - start.requests;
        println!(
            "  {NODES} nodes, {PODS} pods, {SERVICES} Services, {what}: {} MB resident, {requests} requests to the API in \
             {MEASURED} s ({} since its start), {:.2} % of a core",
            end.megabytes(),
            end.requests,
            (end.cpu - start.cpu) / f64::from(MEASURED) * 100.0,
        );
        story.settle(Demand::All)?;
    }
    cluster.ask(&["delete", "nodes", "--selector=story=scale", "--wait=false"])?;
    story.remove()
}

/// What the agent has cost so far.
struct Costs {
    resident: f64,
    cpu: f64,
    requests: f64,
}

impl Costs {
    fn of(page: &Scrape) -> Self {
        let sum = |name: &str| page.sum(name, &[]);
        Self {
            resident: sum("process_resident_memory_bytes"),
            cpu: sum("process_cpu_seconds_total"),
            requests: sum("redtap_kubernetes_requests_total"),
        }
    }

    fn megabytes(&self) -> String {
        format!("{:.1}", self.resident / 1e6)
    }
}

fn send(cluster: &Cluster, lines: &Path) -> Result<()> {
    let server = format!("https://{NODE_ADDRESS}:6443");
    cluster.workload_on_node(&["send", &server, TOKEN], File::open(lines)?).map(drop)
}

/// A line for each request: method, path, body.
fn write_objects(path: &Path, namespace: &str) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut line = |method: &str, path: &str, body: Value| writeln!(file, "{method} {path} {body}");
    for number in 0..NODES {
        line("POST", "/api/v1/nodes", node(number))?;
    }
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    for number in 0..PODS {
        line("POST", &pods, pod(number, namespace))?;
        line("PATCH", &format!("{pods}/{}/status", pod_name(number)), json!({"status": pod_status(number)}))?;
    }
    for number in 0..SERVICES {
        let name = format!("service-{number}");
        let metadata =
            json!({"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": name}});
        let ports = json!([{"name": "http", "port": 80}]);
        line(
            "POST",
            &format!("/api/v1/namespaces/{namespace}/services"),
            json!({"metadata": metadata, "spec": {"ports": ports}}),
        )?;
        let per = PODS / SERVICES;
        let endpoints: Vec<_> = (number * per..(number + 1) * per).map(|pod| endpoint(pod, namespace)).collect();
        let ports = json!([{"name": "http", "port": 8080}]);
        let slice = json!({"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints, "ports": ports});
        line("POST", &format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"), slice)?;
    }
    Ok(file.flush()?)
}

fn node(number: u32) -> Value {
    json!({
        "metadata": {"name": node_name(number), "labels": {"story": "scale"}},
        "spec": {"taints": [{"key": "story", "value": "scale", "effect": "NoSchedule"}]},
        "status": {
            "addresses": [{"type": "InternalIP", "address": address(129, number)}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

fn pod(number: u32, namespace: &str) -> Value {
    // As much as a pod's manifest has that an agent has no use for.
    let noise = "x".repeat(1024);
    json!({
        "metadata": {
            "name": pod_name(number),
            "namespace": namespace,
            "labels": {"app": format!("service-{}", number / (PODS / SERVICES)), "pod-template-hash": "abcdef"},
            "annotations": {"example.com/configuration": noise},
        },
        "spec": {
            "nodeName": node_name(number % NODES),
            "automountServiceAccountToken": false,
            "containers": [{"name": "main", "image": "example.com/some/image:1.2.3"}],
        },
    })
}

fn pod_status(number: u32) -> Value {
    let address = address(128, number);
    json!({
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": [{"type": "Ready", "status": "True"}],
    })
}

fn endpoint(pod: u32, namespace: &str) -> Value {
    json!({
        "addresses": [address(128, pod)],
        "conditions": {"ready": true, "serving": true, "terminating": false},
        "nodeName": node_name(pod % NODES),
        "targetRef": {"kind": "Pod", "namespace": namespace, "name": pod_name(pod)},
    })
}

fn node_name(number: u32) -> String {
    format!("elsewhere-{number}")
}

fn pod_name(number: u32) -> String {
    format!("service-{}-abcdef-{number}", number / (PODS / SERVICES))
}

fn address(second: u32, number: u32) -> String {
    format!("10.{second}.{}.{}", number / 250, number % 250 + 1)
}
