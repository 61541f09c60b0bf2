//! Histories of a cluster for tests, out of lines of text.

use std::net::Ipv4Addr;

use super::{
    super::{Peer, PeerKind, peers::Transport, pod::testing},
    *,
};

pub fn seconds(seconds: u64) -> Nanos {
    Nanos(1_000_000_000 * seconds)
}

pub fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("not an address: {text}"))
}

pub fn v4(number: u32) -> IpAddr {
    Ipv4Addr::from(number).into()
}

/// `80`, `53/udp`.
pub fn port(text: &str) -> Port {
    let (number, transport) = match text.split_once('/') {
        Some((number, "udp")) => (number, Transport::Udp),
        _ => (text, Transport::Tcp),
    };
    Port { number: number.parse().expect("a port"), transport }
}

pub fn resource(text: &str) -> Resource {
    Resource::ALL.into_iter().find(|resource| resource.name() == text).expect("a resource")
}

/// `NAMESPACE/NAME [uid=U] [ip=A]… [external=A]… [port=P]… [nodeport=P]…`
pub fn service(words: &[&str]) -> Service {
    let (namespace, name) = words[0].split_once('/').expect("a namespace and a name");
    let mut service = Service {
        uid: Uid::parse(words[0]),
        name: name.into(),
        namespace: namespace.into(),
        cluster_ips: Vec::new(),
        external_ips: Vec::new(),
        ports: Vec::new(),
        node_ports: Vec::new(),
    };
    for (key, value) in words[1..].iter().filter_map(|word| word.split_once('=')) {
        match key {
            "uid" => service.uid = Uid::parse(value),
            "ip" => service.cluster_ips.push(address(value)),
            "external" => service.external_ips.push(address(value)),
            "port" => service.ports.push(port(value)),
            "nodeport" => service.node_ports.push(port(value)),
            _ => panic!("not a property of a service: {key}"),
        }
    }
    service
}

/// `NAMESPACE/SERVICE [uid=U] [port=P]… [ADDRESS[=POD:UID[:NODE]]]…`; the service `-` is none.
pub fn slice(words: &[&str]) -> Slice {
    let (namespace, service) = words[0].split_once('/').expect("a namespace and a service");
    let mut slice = Slice {
        uid: Uid::parse(words[0]),
        namespace: namespace.into(),
        service: Some(service).filter(|service| *service != "-").map(Into::into),
        ports: Vec::new(),
        endpoints: Vec::new(),
    };
    for word in &words[1..] {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "uid" => slice.uid = Uid::parse(value),
            "port" => slice.ports.push(port(value)),
            _ => {
                let mut parts = value.split(':').filter(|part| !part.is_empty());
                let pod = parts.next().map(|pod| (Uid::parse(parts.next().expect("a uid")), pod.into()));
                slice.endpoints.push(Endpoint { address: address(key), pod, node: parts.next().map(Into::into) });
            }
        }
    }
    slice
}

/// `NAME [ADDRESS]…`
pub fn node(words: &[&str]) -> Node {
    let addresses = words[1..].iter().map(|word| address(word)).collect();
    Node { uid: Uid::parse(words[0]), name: words[0].into(), addresses }
}

/// `KIND NAMESPACE/SERVICE/POD NODE`, with `-` for what is not known, and a `*` for a pod of this node.
pub fn told(peer: Option<Peer>) -> String {
    let Some(peer) = peer else { return "nobody".into() };
    let kind = match peer.kind {
        PeerKind::Pod => "pod",
        PeerKind::Service => "service",
        PeerKind::Node => "node",
    };
    let or_dash = |text: &Option<Arc<str>>| text.as_deref().unwrap_or("-").to_owned();
    let [namespace, service, pod, node] = [&peer.namespace, &peer.service, &peer.pod, &peer.node].map(or_dash);
    let local = if peer.local.is_some() { "*" } else { "" };
    format!("{kind} {namespace}/{service}/{pod}{local} {node}")
}

/// Plays a history, its steps between semicolons, and returns what it printed.
///
/// `SECOND pod|service|slice|node …` puts an object, `SECOND deleted RESOURCE UID` deletes one, `SECOND
/// listing|listed|lost RESOURCE` are those changes; `SECOND sweep` sweeps. `pod? UID` prints the pod of that UID,
/// `peer? ADDRESS PORT` who has the address.
pub fn play(limits: Limits, history: &str) -> (Vec<String>, Cluster) {
    let mut cluster = Cluster::new(limits);
    let mut printed = Vec::new();
    for line in history.split(';').map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["peer?", at, of] = words[..] {
            printed.push(told(cluster.peer(address(at), port(of))));
            continue;
        }
        if let ["pod?", uid] = words[..] {
            printed
                .push(cluster.pod(uid).map_or("nobody".into(), |pod| format!("{}/{}", pod.namespace, pod.name)));
            continue;
        }
        let now = seconds(words[0].parse().unwrap_or_else(|_| panic!("not a step: {line}")));
        let change = match words[1..] {
            ["sweep"] => {
                cluster.sweep(now);
                continue;
            }
            ["pod", ..] => Change::Pod(Arc::new(testing::pod(&words[2..].join(" ")))),
            ["service", ..] => Change::Service(Box::new(service(&words[2..]))),
            ["slice", ..] => Change::Slice(Box::new(slice(&words[2..]))),
            ["node", ..] => Change::Node(Box::new(node(&words[2..]))),
            ["deleted", of, uid] => Change::Deleted(resource(of), Uid::parse(uid)),
            ["listing", of] => Change::Listing(resource(of)),
            ["listed", of] => Change::Listed(resource(of)),
            ["lost", of] => Change::Lost(resource(of)),
            _ => panic!("not a step: {line}"),
        };
        cluster.apply(change, now);
        check_books(&cluster);
    }
    (printed, cluster)
}

/// What the tables say of one another.
pub fn check_books(cluster: &Cluster) {
    let limits = cluster.limits;
    let held = |addresses: &[IpAddr]| addresses.len();
    let pods: usize = cluster.pods.values().map(|known| held(&known.addresses)).sum();
    let services: usize = cluster.services.values().map(|known| held(&known.addresses)).sum();
    let slices: usize = cluster.slices.values().map(|known| held(&known.addresses)).sum();
    let nodes: usize = cluster.nodes.values().map(|known| held(&known.addresses)).sum();
    assert_eq!(cluster.addresses.len(), pods + services + slices + nodes);
    assert!(cluster.addresses.len() <= limits.addresses && cluster.node_ports.len() <= limits.addresses);
    assert!(cluster.pods.len() <= limits.pods && cluster.mirrors.len() <= limits.pods);
    assert!(cluster.services.len() + cluster.slices.len() + cluster.nodes.len() <= limits.objects);
    assert!(cluster.node_ports.values().all(|uid| cluster.services.contains_key(uid)));
    assert!(cluster.mirrors.values().all(|uid| cluster.pods.contains_key(uid)));
}

pub fn check(what: &str, history: &str, expected: &[&str]) {
    assert_eq!(play(Limits::default(), history).0, expected, "{what}");
}
