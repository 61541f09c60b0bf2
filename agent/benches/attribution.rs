//! What it costs to say whose an exchange is, on a node of a cluster of 500 nodes, 5,000 pods and 500 Services:
//! `cargo bench --package redtap --bench attribution`.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redtap::identity::kubernetes::{
    Change, Cluster, Container, ContainerKind, Endpoint, Limits as ClusterLimits, Node, Pod, Port, Service, Slice,
    Transport, Uid,
};
use redtap::identity::{Identities, Limits, Proc, Who};
use redtap::time::Nanos;

const NODES: u32 = 500;
const PODS: u32 = 5000;
const SERVICES: u32 = 500;

/// Pods of this node.
const HERE: u32 = 110;

/// Ids of cgroups of this node's containers begin here.
const CGROUPS: u64 = 1000;

/// A round is repeated for as long.
const ROUND: Duration = Duration::from_millis(500);

const NOW: Nanos = Nanos(1_000_000_000);

fn main() {
    // Also run by `cargo test --benches`, which wants no measurement.
    let measures = std::env::args().any(|argument| argument == "--bench");
    let mut node = node();
    let all: Vec<Who> = (0..HERE).map(|number| of_container(u64::from(number))).collect();
    let peers: Vec<SocketAddr> = (0..PODS).map(|number| SocketAddr::new(pod_address(number), 8080)).collect();
    let first = once(|| all.iter().for_each(|who| keep(node.identify(who, NOW))));
    println!("{:<60} {:>8.0} ns", "whose a socket is, the first time for each container", per(first, HERE));
    if !measures {
        return;
    }
    let own = fastest(|| all.iter().for_each(|who| keep(node.identify(who, NOW))));
    println!("{:<60} {:>8.1} ns", "whose a socket is, known", per(own, HERE));
    let first = once(|| peers.iter().for_each(|peer| keep(node.of_address(*peer, NOW))));
    println!("{:<60} {:>8.0} ns", "whose an address is, the first time", per(first, PODS));
    let remote = fastest(|| peers.iter().for_each(|peer| keep(node.of_address(*peer, NOW))));
    println!("{:<60} {:>8.1} ns", "whose an address is, known", per(remote, PODS));
}

/// A node that knows all of the cluster, and runs some of its pods.
fn node() -> Identities {
    let mut node = Identities::new(Box::new(Proc::default()), Limits::default())
        .with_cluster(Cluster::new(ClusterLimits::default()));
    for number in 0..HERE {
        node.take_change(Change::Pod(Arc::new(pod(number))), NOW);
        let path = format!("/kubepods/burstable/pod{}/{}", uid(1, number), container_id(number));
        node.cgroup_made(CGROUPS + u64::from(number), path.as_bytes(), NOW);
    }
    for number in 0..SERVICES {
        node.take_change(Change::Service(Box::new(service(number))), NOW);
        node.take_change(Change::Slice(Box::new(slice(number))), NOW);
    }
    for number in 0..NODES {
        let addresses = vec![IpAddr::V4(Ipv4Addr::from(0x0a81_0000 + number))];
        let uid = Uid::parse(&uid(4, number));
        let name = format!("node-{number}").into();
        node.take_change(Change::Node(Box::new(Node { uid, name, addresses })), NOW);
    }
    node
}

/// A socket of which no process is known, of this container.
fn of_container(number: u64) -> Who {
    Who { pid: 0, comm: [0; 16], cgroup: CGROUPS + number }
}

fn pod(number: u32) -> Pod {
    let container = Container {
        name: "app".into(),
        id: Some(container_id(number).into()),
        image: "example.com/some/image:1.2.3".into(),
        kind: ContainerKind::Main,
        restart_count: 0,
    };
    Pod {
        uid: uid(1, number).into(),
        name: format!("web-{number}").into(),
        namespace: "shop".into(),
        ips: vec![pod_address(number)],
        containers: vec![container],
        ..Pod::default()
    }
}

fn service(number: u32) -> Service {
    Service {
        uid: Uid::parse(&uid(2, number)),
        name: format!("service-{number}").into(),
        namespace: "shop".into(),
        cluster_ips: vec![IpAddr::V4(Ipv4Addr::from(0x0a60_0000 + number))],
        external_ips: Vec::new(),
        ports: vec![Port { number: 80, transport: Transport::Tcp }],
        node_ports: Vec::new(),
    }
}

fn slice(number: u32) -> Slice {
    let each = PODS / SERVICES;
    let endpoints = (number * each..(number + 1) * each).map(|pod| Endpoint {
        address: pod_address(pod),
        pod: Some((Uid::parse(&uid(1, pod)), format!("web-{pod}").into())),
        node: Some(format!("node-{}", pod % NODES).into()),
    });
    Slice {
        uid: Uid::parse(&uid(3, number)),
        namespace: "shop".into(),
        service: Some(format!("service-{number}").into()),
        ports: vec![Port { number: 8080, transport: Transport::Tcp }],
        endpoints: endpoints.collect(),
    }
}

fn pod_address(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0a80_0000 + number))
}

fn uid(kind: u32, number: u32) -> String {
    format!("{kind:08x}-0000-4000-8000-{number:012x}")
}

fn container_id(number: u32) -> String {
    format!("{number:064x}")
}

/// The fastest of many times.
fn fastest(mut what: impl FnMut()) -> Duration {
    let until = now() + ROUND;
    let mut fastest = Duration::MAX;
    while now() < until {
        fastest = fastest.min(once(&mut what));
    }
    fastest
}

/// Has it made, whatever the compiler sees of it.
fn keep<T>(made: T) {
    let _ = black_box(made);
}

fn once(what: impl FnOnce()) -> Duration {
    let began = now();
    what();
    began.elapsed()
}

fn per(all: Duration, number: u32) -> f64 {
    all.as_secs_f64() * 1e9 / f64::from(number)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures by the clock")]
fn now() -> Instant {
    Instant::now()
}
