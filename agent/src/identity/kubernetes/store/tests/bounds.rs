use proptest::{collection::vec, prelude::*};

use super::super::{
    super::pod::testing,
    testing::{address, check_books, play, port, seconds, service, slice, v4},
    *,
};
use crate::identity::kubernetes::Transport;

#[test]
fn what_there_is_no_room_for_is_counted() {
    let limits = Limits { pods: 2, objects: 2, addresses: 3 };
    let (printed, cluster) = play(
        limits,
        "0 pod s/a uid=a; 0 pod s/b uid=b; 0 pod s/c uid=c; pod? c; 1 deleted pods b; 2 deleted pods a; \
         3 pod s/c uid=c; pod? a; pod? b; pod? c",
    );
    assert_eq!(printed, ["nobody", "s/a", "nobody", "s/c"], "the one that was deleted first makes room");
    assert_eq!((cluster.counts().pods_refused, cluster.counts().pods_evicted), (1, 1));
    let evicted = "0 pod s/a uid=a finished; 0 pod s/b uid=b finished; 1 pod s/c uid=c; \
                   1 pod s/d uid=d finished; pod? c; pod? d";
    let (printed, cluster) = play(limits, evicted);
    assert_eq!(printed[0], "s/c", "of a node full of evicted pods those that run are known");
    assert_eq!(
        (printed[1].as_str(), cluster.counts().pods_refused, cluster.counts().pods_evicted),
        ("nobody", 1, 1)
    );
    let (printed, cluster) = play(
        limits,
        "0 service s/a ip=10.96.0.1 nodeport=1 nodeport=2 nodeport=3 nodeport=4; \
         0 slice s/a 10.0.0.1=x:ux 10.0.0.2=y:uy 10.0.0.3=z:uz; 0 node n1 192.168.0.1; \
         0 service s/a ip=10.96.0.2; peer? 10.96.0.1 80; peer? 10.96.0.2 80",
    );
    assert_eq!(printed, ["nobody", "service s/a/- -"]);
    assert_eq!((cluster.counts().objects_refused, cluster.counts().addresses_refused), (1, 2));
    assert_eq!(cluster.addresses(), Fill { entries: 3, limit: 3 });
    assert_eq!(cluster.objects(Resource::Services), Fill { entries: 1, limit: 2 });
}

#[test]
fn with_a_node_refused_addresses_may_again_be_anybodys() {
    let history = "0 listing nodes; 0 node n1 192.168.0.1; 0 node n2 192.168.0.2; 0 listed nodes; \
                   0 slice s/e port=9100 192.168.0.9=e:ue; peer? 192.168.0.9 40000; peer? 192.168.0.9 9100";
    for limits in [Limits { objects: 2, ..Limits::default() }, Limits { addresses: 2, ..Limits::default() }] {
        let (printed, cluster) = play(limits, history);
        assert_ne!(printed[0], "pod s/e/e -", "{limits:?}");
        assert!(cluster.counts().objects_refused + cluster.counts().addresses_refused > 0);
    }
}

#[test]
fn a_slice_beyond_all_measure_is_cut() {
    let mut cluster = Cluster::new(Limits::default());
    let endpoint = |number: u32| Endpoint { address: v4(0x0a00_0000 + number), pod: None, node: None };
    let number = |number: u16| Port { number, transport: Transport::Tcp };
    let slice = Slice {
        ports: (1..=200).map(number).collect(),
        endpoints: (1..2000).map(endpoint).collect(),
        ..slice(&["s/a"])
    };
    cluster.apply(Change::Slice(Box::new(slice)), seconds(0));
    assert_eq!((cluster.addresses().entries, cluster.counts().addresses_refused), (1000, 1099));
    check_books(&cluster);
}

#[test]
fn only_news_are_a_new_revision() {
    let steps = [
        ("0 listing nodes", false),
        ("0 node n1 192.168.0.1", true),
        ("0 listed nodes", true),
        ("1 node n1 192.168.0.1", false),
        ("1 node n1 192.168.0.2", true),
        ("1 pod s/a uid=a ip=10.0.0.1", true),
        ("2 pod s/a uid=a ip=10.0.0.1", false),
        ("2 pod s/a uid=a ip=10.0.0.1 l.x=y", true),
        ("3 deleted pods a", true),
        ("3 pod s/a uid=a ip=10.0.0.1", false),
        ("3 deleted pods b", false),
        ("3 service s/a ip=10.96.0.1", true),
        ("4 deleted services s/a", true),
        ("4 deleted services s/a", false),
        ("5 lost nodes", true),
    ];
    let mut before = 0;
    for end in 1..=steps.len() {
        let history: Vec<&str> = steps.iter().take(end).map(|(step, _)| *step).collect();
        let (_, cluster) = play(Limits::default(), &history.join("; "));
        let (step, is_news) = steps[end - 1];
        assert_eq!(cluster.revision() > before, is_news, "{step}");
        before = cluster.revision();
    }
}

#[test]
fn what_is_told_again_is_listed_all_the_same() {
    let history = "0 listing nodes; 0 node n1 192.168.0.1; 0 pod s/a uid=a ip=10.0.0.1; 0 listed nodes; \
                   1 listing nodes; 1 listing pods; 1 node n1 192.168.0.1; 1 pod s/a uid=a ip=10.0.0.1; \
                   1 listed nodes; 1 listed pods; peer? 192.168.0.1 22; peer? 10.0.0.1 80";
    assert_eq!(play(Limits::default(), history).0, ["node -/-/- n1", "pod s/-/a* "]);
}

/// A cluster as large ones are: a service for every ten pods, and so many pods and nodes.
fn cluster_of(pods: u32, local: u32, nodes: u32) -> Cluster {
    let mut cluster = Cluster::new(Limits::default());
    let uid = |kind: &str, number: u32| Uid::parse(&format!("{kind}-{number}"));
    for number in 0..nodes {
        let name = format!("ip-192-168-{}-{}.region.compute.internal", number / 256, number % 256);
        let addresses = vec![v4(0xc0a8_0000 + number)];
        cluster.apply(
            Change::Node(Box::new(Node { uid: uid("node", number), name: name.into(), addresses })),
            seconds(0),
        );
    }
    for number in 0..pods / 10 {
        let service = format!("shop/service-{number} ip=10.96.{}.{} port=80 port=443", number / 256, number % 256);
        cluster
            .apply(Change::Service(Box::new(self::service(&service.split(' ').collect::<Vec<_>>()))), seconds(0));
        let endpoints = (0..10).map(|index| Endpoint {
            address: v4(0x0a00_0000 + number * 10 + index),
            pod: Some((
                uid("pod", number * 10 + index),
                format!("service-{number}-5f8d7c9b4d-x{index:04}").into(),
            )),
            node: Some(format!("ip-192-168-0-{}.region.compute.internal", index).into()),
        });
        let ports = vec![port("8080"), port("8443")];
        let (namespace, service) = ("shop".into(), Some(format!("service-{number}").into()));
        let slice = Slice { uid: uid("slice", number), namespace, service, ports, endpoints: endpoints.collect() };
        cluster.apply(Change::Slice(Box::new(slice)), seconds(0));
    }
    for number in 0..local {
        let id = format!("{number:064x}");
        let pod = format!(
            "shop/service-{number}-5f8d7c9b4d-x0000 uid=2f1c9a4e-0b7d-4a53-9c1e-{number:012x} \
             node=ip-192-168-0-1.region.compute.internal ip=10.128.{}.{} app.name=service-{number} \
             owner=Deployment:service-{number}:service-{number}-5f8d7c9b4d \
             init=setup,registry.example.com/shop/setup:1.2.3,{id} \
             c=app,registry.example.com/shop/service-{number}:1.2.3,{id} \
             c=proxy,registry.example.com/mesh/proxy:1.20.1,{id}",
            number / 256,
            number % 256
        );
        cluster.apply(Change::Pod(Arc::new(testing::pod(&pod))), seconds(0));
    }
    cluster
}

#[test]
fn what_is_kept_of_a_large_cluster_is_small() {
    let of_nothing = Cluster::new(Limits::default()).bytes();
    let peers = cluster_of(5000, 0, 500).bytes() - of_nothing;
    let local = cluster_of(0, 1000, 0).bytes() - of_nothing;
    println!("5,000 endpoints in 500 services, 500 nodes: {peers} bytes; 1,000 pods of a node: {local} bytes");
    assert!(peers < 2_500_000, "{peers}");
    assert!(local < 2_000_000, "{local}");
}

fn words(of: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(of)
}

/// Steps of a history in which everything has few names, so that things meet.
fn step() -> impl Strategy<Value = String> {
    const UIDS: &[&str] = &["a", "b", "c", "d", "e"];
    const ADDRESSES: &[&str] = &["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "127.0.0.1"];
    const PORTS: &[&str] = &["80", "81", "53/udp"];
    const RESOURCES: &[&str] = &["pods", "services", "endpointslices", "nodes", "jobs"];
    let one = || (words(UIDS), words(ADDRESSES), words(ADDRESSES), words(UIDS), words(PORTS));
    prop_oneof![
        4 => (one(), words(&["", " finished", " host", " static=s"]))
            .prop_map(|((uid, one, two, ..), more)| format!("pod s/{uid} uid={uid} ip={one} ip={two}{more}")),
        4 => one().prop_map(|(uid, one, two, pod, port)| {
            format!("slice s/w uid={uid} port={port} {one}={pod}:{pod} {two}")
        }),
        3 => one().prop_map(|(uid, one, two, _, port)| {
            format!("service s/v{uid} uid={uid} ip={one} external={two} port={port} nodeport={port}")
        }),
        2 => one().prop_map(|(uid, one, two, ..)| format!("node {uid} {one} {two}")),
        3 => (words(RESOURCES), words(UIDS)).prop_map(|(resource, uid)| format!("deleted {resource} {uid}")),
        2 => (words(&["listing", "listed", "lost"]), words(RESOURCES))
            .prop_map(|(what, of)| format!("{what} {of}")),
        1 => Just("sweep".to_owned()),
    ]
}

proptest! {
    /// Whatever is told, the tables agree with one another, stay within their limits, and never name a pod of this
    /// node that has ended or is on its network.
    #[test]
    fn no_history_breaks_the_books(
        steps in vec(step(), 0..120),
        (pods, objects, addresses) in (0..6_usize, 0..8_usize, 0..12_usize),
    ) {
        let steps = steps.iter().zip(0..);
        let history: Vec<String> = steps.map(|(step, second)| format!("{} {step}", second * 7)).collect();
        let (_, mut cluster) = play(Limits { pods, objects, addresses }, &history.join("; "));
        for at in ["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "127.0.0.1"] {
            for of in ["80", "81", "53/udp", "40000"] {
                let peer = cluster.peer(address(at), port(of));
                if let Some(pod) = peer.as_ref().and_then(|peer| peer.local.as_ref()) {
                    prop_assert!(cluster.living(Uid::parse(&pod.uid)).is_some());
                    let is_named = cluster.slices.values().any(|slice| slice.value.ports.contains(&port(of)));
                    prop_assert!(!pod.host_network || is_named);
                }
            }
        }
        prop_assert!(cluster.bytes() < 100_000);
        for resource in Resource::ALL {
            cluster.apply(Change::Lost(resource), seconds(2000));
        }
        cluster.sweep(seconds(3000));
        check_books(&cluster);
        prop_assert_eq!((cluster.addresses().entries, cluster.pods.len(), cluster.node_ports.len()), (0, 0, 0));
    }
}
