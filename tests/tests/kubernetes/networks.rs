//! Every way from a client to a server: by a Service's address, by a pod's, by the node's, by a proxy.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, Result, ensure};
use redtap_tests::cluster::NODE_ADDRESS;
use redtap_tests::cluster::workload::{Identity, Ledger};
use redtap_tests::wait;
use serde_json::json;

use crate::manifest::{self, PORT, container, pod, server, service, set, spec};
use crate::story::{Demand, Story};
use crate::workloads::{REQUESTS, one_server};
use crate::world::World;

/// Ports of the node, which only these stories have.
const NODE_PORT: u16 = 30_080;
const HOST_PORT: u16 = 18_080;

/// A Service without an address: clients have those of its pods.
pub fn headless(world: &World) -> Result<()> {
    let mut story = Story::begin(world, "headless")?;
    let namespace = story.namespace.clone();
    let identity = Identity::of_pod(&namespace, "main").owned("k8s_deployment_name", "server");
    story.apply(&[
        set("Deployment", &namespace, "server", Some(3), spec(&[server("main", &identity, PORT)])),
        service(&namespace, "server", json!({"clusterIP": "None"})),
    ])?;
    story.rolled_out("deployment/server")?;
    let client = story.client()?;
    let pods = story.get(&["pods", "--selector", "app=server"])?;
    let pods = pods["items"].as_array().context("no list of pods")?;
    for pod in pods {
        let address = pod["status"]["podIP"].as_str().context("a pod without an address")?;
        let ledger = story.load(&client, &format!("{address}:{PORT}"), 50, None)?;
        ensure!(ledger.answered() == 50, "{ledger:?}");
    }
    ensure!(pods.len() == 3, "{} pods", pods.len());
    story.end(Demand::All)
}

/// A port of the node: to the server, the client has the node's address.
pub fn node_port(world: &World) -> Result<()> {
    let mut story = Story::begin(world, "nodeport")?;
    let namespace = story.namespace.clone();
    let (client, _) = one_server(&story)?;
    let ports = json!([{"port": 80, "targetPort": PORT, "nodePort": NODE_PORT}]);
    story.apply(&[service(&namespace, "server", json!({"type": "NodePort", "ports": ports}))])?;
    let authority = format!("{NODE_ADDRESS}:{NODE_PORT}");
    story.reachable(&client, &authority, 1)?;
    story.load(&client, &authority, REQUESTS, None)?;
    story.end(Demand::All)
}

/// By a pod's address, by a Service's and by the node's: in the graph, each request is between the two, and once.
pub fn graph(world: &World) -> Result<()> {
    const EDGES: &str = "traces_service_graph_request_total";
    let mut story = Story::begin(world, "graph")?;
    let namespace = story.namespace.clone();
    let (client, service) = one_server(&story)?;
    let ports = json!([{"port": 80, "targetPort": PORT, "nodePort": NODE_PORT + 1}]);
    story.apply(&[manifest::service(&namespace, "server", json!({"type": "NodePort", "ports": ports}))])?;
    let made = story.get(&["pod", &story.pod_of("server")?])?;
    let pod = made["status"]["podIP"].as_str().context("a pod without an address")?;
    for authority in [format!("{pod}:{PORT}"), service, format!("{NODE_ADDRESS}:{}", NODE_PORT + 1)] {
        story.reachable(&client, &authority, 1)?;
        story.load(&client, &authority, 40, None)?;
    }
    let all = story.aside.load(Ordering::Relaxed) + story.ledgers.iter().map(Ledger::answered).sum::<u64>();
    let edges = || -> Result<BTreeMap<String, u64>> {
        let page = world.agent.scrape(story.cluster())?;
        let of_server = [("server_service_namespace", namespace.as_str())];
        let edges = page.find(EDGES, &of_server).map(|(labels, _)| {
            let client = labels.get("client").cloned().unwrap_or_default();
            let count = page.count(EDGES, &[("client", client.as_str()), of_server[0]]);
            (client, count)
        });
        // It looks whether the server is ready.
        Ok(edges.filter(|(client, _)| client != "kubelet").collect())
    };
    let enough = |edges: &BTreeMap<String, u64>| edges.values().sum::<u64>() >= all;
    wait::within(wait::PATIENCE, || edges().is_ok_and(|edges| enough(&edges)).then_some(()));
    let edges = edges()?;
    ensure!(edges == BTreeMap::from([("client".to_owned(), all)]), "{all} requests, but in the graph: {edges:?}");
    story.end(Demand::All)
}

/// A proxy, as an ingress is, with a Service before it and another behind it: it is server and client of each request.
pub fn proxy(world: &World) -> Result<()> {
    let mut story = Story::begin(world, "proxy")?;
    let namespace = story.namespace.clone();
    let (client, upstream) = one_server(&story)?;
    let identity = Identity::of_pod(&namespace, "main").owned("k8s_deployment_name", "ingress");
    let upstream = format!("http://{upstream}");
    let proxy = container("main", &identity, &["proxy", &PORT.to_string(), &upstream]);
    story.apply(&[set("Deployment", &namespace, "ingress", Some(1), spec(&[proxy]))])?;
    let address = story.service("ingress")?;
    story.rolled_out("deployment/ingress")?;
    story.reachable(&client, &address, 1)?;
    let ledger = story.load(&client, &address, REQUESTS, None)?;
    ensure!(ledger.through.values().sum::<u64>() == u64::from(REQUESTS), "{ledger:?}");
    story.end(Demand::All)
}

/// A server and a client that have no address of their own, but the node's.
pub fn of_the_node(world: &World) -> Result<()> {
    let mut story = Story::begin(world, "hostnetwork")?;
    let namespace = story.namespace.clone();
    let identity = Identity::of_pod(&namespace, "main").owned("k8s_deployment_name", "server");
    let mut of_node = spec(&[server("main", &identity, HOST_PORT)]);
    of_node["hostNetwork"] = json!(true);
    let mut caller = spec(&[container("main", &Identity::of_pod(&namespace, "main"), &["wait"])]);
    caller["hostNetwork"] = json!(true);
    story
        .apply(&[set("Deployment", &namespace, "server", Some(1), of_node), pod(&namespace, "caller", caller)])?;
    story.rolled_out("deployment/server")?;
    story.wait_for("pod/caller", "condition=Ready")?;
    let authority = format!("{NODE_ADDRESS}:{HOST_PORT}");
    for client in [story.client()?, story.container("caller", "main")?] {
        story.reachable(&client, &authority, 1)?;
        story.load(&client, &authority, REQUESTS / 2, None)?;
    }
    story.end(Demand::All)
}
