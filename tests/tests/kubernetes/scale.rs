//! What a large cluster's peers cost the agent: objects of five hundred nodes in the real API server.

use std::fs::File;

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

/// Pods of each Service.
const EACH: u32 = PODS / SERVICES;

/// How long what it costs is measured for, in seconds, where `REDTAP_SCALE_SECONDS` does not say: watches are renewed
/// every few minutes, so that an hour's requests are to be had by an hour.
const MEASURED: u32 = 60;

/// Nodes, pods, Services and EndpointSlices that nobody runs are made; the agent's memory, CPU and requests are told.
pub fn peers(world: &World) -> Result<()> {
    let mut story = Story::begin(world, "scale")?;
    let (client, address) = one_server(&story)?;
    let (cluster, agent) = (story.cluster(), &world.agent);
    let seconds = std::env::var("REDTAP_SCALE_SECONDS")
        .map_or(Ok(MEASURED), |value| value.parse())
        .context("REDTAP_SCALE_SECONDS is a number")?;
    // An agent for each of the nodes is not what is measured.
    let here = json!({"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": NODE}}}}});
    cluster.ask(&["--namespace", &agent.namespace, "patch", &agent.set, "--patch", &here.to_string()])?;
    agent.find(cluster)?;
    let before = Costs::of(&agent.scrape(cluster)?);
    println!("  {} MB resident before", before.megabytes());

    send(cluster, &objects(&story.namespace))?;
    send(cluster, &statuses(&story.namespace))?;
    let known_of =
        |page: &Scrape, resource: &str| page.sum("redtap_kubernetes_objects", &[("resource", resource)]);
    let known = wait::within(PATIENCE, || {
        let page = agent.scrape(cluster).ok()?;
        let slices = known_of(&page, "endpointslices");
        (slices >= f64::from(SERVICES) && known_of(&page, "nodes") >= f64::from(NODES)).then_some(())
    });
    known.context("the agent does not get to know the nodes and EndpointSlices")?;
    story.load(&client, &address, 20, None)?;
    story.settle(Demand::All)?;

    for what in ["as they came", "listed at the start"] {
        if what == "listed at the start" {
            agent.restart(cluster)?;
        }
        let start = Costs::of(&agent.scrape(cluster)?);
        let ledger = story.load(&client, &address, seconds, Some(1))?;
        ensure!(ledger.answered() == u64::from(seconds), "{ledger:?}");
        let end = Costs::of(&agent.scrape(cluster)?);
        let requests = end.requests - start.requests;
        println!(
            "  {NODES} nodes, {PODS} pods, {SERVICES} Services, {what}: {} MB resident, {:.2} % of a core, {requests} requests \
             to the API in {seconds} s ({} an hour), {} since its start",
            end.megabytes(),
            (end.cpu - start.cpu) / f64::from(seconds) * 100.0,
            requests / f64::from(seconds) * 3600.0,
            end.requests,
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

/// Method, path and body.
type Request = (&'static str, String, Value);

/// Sends requests to the API server, several at a time, in no order.
fn send(cluster: &Cluster, requests: &[Request]) -> Result<()> {
    let directory = scratch();
    let path = directory.path().join("requests");
    let lines: String = requests.iter().map(|(method, path, body)| format!("{method} {path} {body}\n")).collect();
    std::fs::write(&path, lines)?;
    let server = format!("https://{NODE_ADDRESS}:6443");
    cluster.workload_on_node(&["send", &server, TOKEN], File::open(path)?).map(drop)
}

/// What makes everything.
fn objects(namespace: &str) -> Vec<Request> {
    let within = |group: &str, kind: &str| format!("/{group}/namespaces/{namespace}/{kind}");
    let nodes = (0..NODES).map(|number| ("POST", "/api/v1/nodes".to_owned(), node(number)));
    let pods = (0..PODS).map(|number| ("POST", within("api/v1", "pods"), pod(number, namespace)));
    let services = (0..SERVICES).flat_map(|number| {
        let name = format!("service-{number}");
        let metadata =
            json!({"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": name}});
        let service = json!({"metadata": metadata, "spec": {"ports": [{"name": "http", "port": 80}]}});
        let endpoints: Vec<_> = (number * EACH..(number + 1) * EACH).map(|pod| endpoint(pod, namespace)).collect();
        let ports = json!([{"name": "http", "port": 8080}]);
        let slice = json!({"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints, "ports": ports});
        [
            ("POST", within("api/v1", "services"), service),
            ("POST", within("apis/discovery.k8s.io/v1", "endpointslices"), slice),
        ]
    });
    nodes.chain(pods).chain(services).collect()
}

/// What has pods run that nobody runs.
fn statuses(namespace: &str) -> Vec<Request> {
    let of = |number| {
        let path = format!("/api/v1/namespaces/{namespace}/pods/{}/status", pod_name(number));
        ("PATCH", path, json!({"status": pod_status(number)}))
    };
    (0..PODS).map(of).collect()
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
            "labels": {"app": format!("service-{}", number / EACH), "pod-template-hash": "abcdef"},
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
    format!("service-{}-abcdef-{number}", number / EACH)
}

fn address(second: u32, number: u32) -> String {
    format!("10.{second}.{}.{}", number / 250, number % 250 + 1)
}
