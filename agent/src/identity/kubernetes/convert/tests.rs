use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value, json};

use super::{
    super::{
        objects::JobObject,
        owner::{self, Found},
    },
    *,
};

fn pod_of(object: Value) -> Option<Pod> {
    let object: PodObject = serde_json::from_value(object).expect("a pod");
    pod(&object, None, &Selection::new(["tier"], ["team"]))
}

fn pairs(of: &[(Arc<str>, Arc<str>)]) -> Vec<(&str, &str)> {
    of.iter().map(|(key, value)| (&**key, &**value)).collect()
}

/// `KIND NAME ID RESTARTS`, a container a line, `-` for no id.
fn told(containers: &[Container]) -> Vec<String> {
    let line = |container: &Container| {
        let Container { kind, name, id, restart_count, .. } = container;
        format!("{kind:?} {name} {} {restart_count}", id.as_deref().unwrap_or("-"))
    };
    containers.iter().map(line).collect()
}

#[test]
fn a_pod_is_what_the_api_says_of_it() {
    let pod = pod_of(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web-1", "namespace": "shop", "uid": "u-1", "resourceVersion": "7", "managedFields": [{"x": 1}],
            "labels": {
                "tier": "gold", "app.kubernetes.io/name": "web", "app.kubernetes.io/version": "3", "other": "x",
            },
            "annotations": {
                "team": "a", "resource.opentelemetry.io/service.name": "front", "other": "x",
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
            },
        },
        "spec": {
            "nodeName": "n1", "hostNetwork": null,
            "containers": [{"name": "app", "image": "app:1", "env": [{"name": "SECRET", "value": "x"}]}],
        },
        "status": {
            "phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}, {}],
            "startTime": "2026-01-02T03:04:05Z", "hostIP": "192.168.0.1",
        },
    }));
    let pod = pod.expect("a pod");
    let names = [&pod.uid, &pod.name, &pod.namespace, &pod.node].map(|text| &**text);
    assert_eq!(names, ["u-1", "web-1", "shop", "n1"]);
    assert_eq!(pairs(&pod.labels), [("k8s.pod.label.tier", "gold")]);
    assert_eq!(pairs(&pod.annotations), [("k8s.pod.annotation.team", "a")]);
    assert_eq!(pairs(&pod.resource), [("service.name", "front")]);
    assert_eq!(pod.app, App { name: Some("web".into()), instance: None, version: Some("3".into()) });
    assert_eq!(pod.ips, ["10.0.0.1", "fd00::1"].map(|ip| ip.parse::<IpAddr>().expect("an address")));
    assert_eq!(pod.start_time.as_deref(), Some("2026-01-02T03:04:05Z"));
    assert!(!pod.host_network && !pod.finished && pod.static_uid.is_none());
    assert_eq!(told(&pod.containers), ["Main app - 0"]);
    assert_eq!(&*pod.containers[0].image, "app:1");
}

#[test]
fn whether_it_is_finished_and_where_it_is() {
    for (spec, status, host_network, finished, ips) in [
        (json!({}), json!({}), false, false, &[][..]),
        (json!(null), json!(null), false, false, &[]),
        (json!({"hostNetwork": true}), json!({"phase": "Pending", "podIP": ""}), true, false, &[]),
        (json!({}), json!({"phase": "Succeeded", "podIP": "10.0.0.1"}), false, true, &["10.0.0.1"]),
        (json!({}), json!({"phase": "Failed", "podIPs": null}), false, true, &[]),
        (json!({}), json!({"phase": "Unknown", "podIPs": [{"ip": "10.0.0.1"}]}), false, false, &["10.0.0.1"]),
    ] {
        let pod = pod_of(json!({"metadata": {"uid": "u", "name": "n"}, "spec": spec, "status": status}));
        let pod = pod.expect("a pod");
        let addresses: Vec<String> = pod.ips.iter().map(ToString::to_string).collect();
        assert_eq!((pod.host_network, pod.finished), (host_network, finished), "{status}");
        assert_eq!(addresses, ips, "{status}");
    }
}

#[test]
fn containers_of_all_kinds_present_and_ended() {
    let terminated = |id: &str| json!({"terminated": {"containerID": id, "exitCode": 1}});
    let pod = pod_of(json!({
        "metadata": {"uid": "u", "name": "n", "annotations": {"kubernetes.io/config.mirror": "h"}},
        "spec": {
            "initContainers": [{"name": "setup"}, {"name": "sidecar", "restartPolicy": "Always"}],
            "containers": [{"name": "app", "image": "i"}, {"name": "crashing", "image": "i"}, {"name": "new"}],
            "ephemeralContainers": [{"name": "debug", "image": "i"}],
        },
        "status": {
            "initContainerStatuses": [{"name": "setup", "containerID": "containerd://1", "restartCount": 0}],
            "containerStatuses": [
                {
                    "name": "crashing", "containerID": "cri-o://4", "restartCount": 3,
                    "lastState": terminated("cri-o://4"),
                },
                {
                    "name": "app", "containerID": "docker://3", "restartCount": 2,
                    "lastState": terminated("docker://2"),
                },
                {"name": "nobody", "containerID": "containerd://9"},
                {"name": "new", "containerID": "", "restartCount": -1, "lastState": null},
            ],
            "ephemeralContainerStatuses": [{"name": "debug", "containerID": "5"}],
        },
    }));
    let pod = pod.expect("a pod");
    assert_eq!(
        told(&pod.containers),
        [
            "Init setup 1 0",
            "Init sidecar - 0",
            "Main app 3 2",
            "Main crashing 4 3",
            "Main new - 0",
            "Ephemeral debug 5 0",
            "Main app 2 1",
        ]
    );
    assert_eq!(pod.container("2").map(|container| container.restart_count), Some(1));
    assert_eq!(pod.static_uid.as_deref(), Some("h"));
}

#[test]
fn services_have_addresses_and_ports() {
    let of = |spec: Value, status: Value| {
        let object =
            json!({"metadata": {"uid": "u", "name": "web", "namespace": "shop"}, "spec": spec, "status": status});
        let service = service(&serde_json::from_value(object).expect("a service")).expect("a service");
        let ips = |ips: &[IpAddr]| ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let ports = |ports: &[Port]| {
            let ports = ports.iter().map(|port| format!("{}{:?}", port.number, port.transport));
            ports.collect::<Vec<_>>().join(" ")
        };
        [ips(&service.cluster_ips), ips(&service.external_ips), ports(&service.ports), ports(&service.node_ports)]
    };
    for (spec, status, expected) in [
        (json!({}), json!(null), ["", "", "", ""]),
        (
            json!({
                "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"],
                "ports": [{"port": 80, "protocol": "TCP"}],
            }),
            json!({"loadBalancer": {}}),
            ["10.96.0.1 fd00::1", "", "80Tcp", ""],
        ),
        (json!({"clusterIP": "None", "clusterIPs": ["None"], "ports": null}), json!({}), ["", "", "", ""]),
        (json!({"type": "ExternalName", "externalName": "a.example"}), json!({}), ["", "", "", ""]),
        (
            json!({
                "clusterIP": "10.96.0.1", "externalIPs": ["203.0.113.1"],
                "ports": [
                    {"port": 53, "nodePort": 30053, "protocol": "UDP"}, {"port": 80, "nodePort": 0},
                    {"port": 9, "protocol": "SCTP"},
                ],
            }),
            json!({"loadBalancer": {"ingress": [{"ip": "203.0.113.2"}, {"hostname": "a.example"}]}}),
            ["10.96.0.1", "203.0.113.1 203.0.113.2", "53Udp 80Tcp", "30053Udp"],
        ),
        (json!({"ports": [{"port": 70000}, {"port": -1}, {"port": 0}]}), json!({}), ["", "", "", ""]),
    ] {
        assert_eq!(of(spec.clone(), status), expected, "{spec}");
    }
}

#[test]
fn slices_have_endpoints() {
    let of = |rest: Value| {
        let mut object = json!({"metadata": {"uid": "u", "name": "web-x", "namespace": "shop",
                                             "labels": {"kubernetes.io/service-name": "web"}}});
        object.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
        let slice = slice(&serde_json::from_value(object).expect("a slice")).expect("a slice");
        let endpoints = slice.endpoints.iter().map(|endpoint| {
            let pod = endpoint.pod.as_ref().map_or("-", |(_, name)| name);
            format!("{} {pod} {}", endpoint.address, endpoint.node.as_deref().unwrap_or("-"))
        });
        let ports = slice.ports.iter().map(|port| port.number.to_string()).collect::<Vec<_>>().join(" ");
        format!(
            "{} [{ports}] {}",
            slice.service.as_deref().unwrap_or("-"),
            endpoints.collect::<Vec<_>>().join(", ")
        )
    };
    for (rest, expected) in [
        (json!({"endpoints": null, "ports": null}), "web [] "),
        (
            json!({"ports": [{"port": 80}], "endpoints": [
                {"addresses": ["10.0.0.1"], "conditions": {"ready": false}, "nodeName": "n1",
                 "targetRef": {"kind": "Pod", "name": "web-1", "uid": "p1", "namespace": "shop"}},
                {"addresses": ["10.0.0.2", "10.0.0.3"]},
            ]}),
            "web [80] 10.0.0.1 web-1 n1, 10.0.0.2 - -, 10.0.0.3 - -",
        ),
        (
            json!({"addressType": "FQDN", "endpoints": [{"addresses": ["a.example"]}, {"addresses": null}]}),
            "web [] ",
        ),
        (
            json!({"endpoints": [{
                "addresses": ["fd00::1"], "targetRef": {"kind": "VirtualMachine", "name": "v", "uid": "v"},
            }]}),
            "web [] fd00::1 - -",
        ),
        (json!({"ports": [{"port": 80}, {"port": null}], "endpoints": []}), "web [] "),
        (
            json!({"ports": [{"port": 9, "protocol": "SCTP"}], "endpoints": [{"addresses": ["10.0.0.1"]}]}),
            "- [] 10.0.0.1 - -",
        ),
    ] {
        assert_eq!(of(rest.clone()), expected, "{rest}");
    }
}

#[test]
fn nodes_have_addresses() {
    let object = json!({
        "metadata": {"uid": "u", "name": "n1"},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": "192.168.0.1"}, {"type": "Hostname", "address": "n1"},
                {"type": "ExternalIP", "address": "203.0.113.1"}, {"type": "InternalIP", "address": "fd00::1"}, {},
            ],
            "images": [{"names": ["a"], "sizeBytes": 1}],
        },
    });
    let node = node(&serde_json::from_value(object).expect("a node")).expect("a node");
    let addresses: Vec<_> = node.addresses.iter().map(ToString::to_string).collect();
    assert_eq!((&*node.name, addresses.join(" ")), ("n1", "192.168.0.1 203.0.113.1 fd00::1".into()));
}

#[test]
fn an_object_without_a_uid_or_a_name_is_none() {
    for metadata in [json!({}), json!({"name": "n"}), json!({"name": "n", "uid": ""}), json!({"uid": "u"})] {
        let object = json!({"metadata": metadata});
        assert!(pod_of(object.clone()).is_none(), "{metadata}");
        assert!(service(&serde_json::from_value(object.clone()).expect("a service")).is_none(), "{metadata}");
        assert!(node(&serde_json::from_value(object).expect("a node")).is_none(), "{metadata}");
    }
}

#[test]
fn no_object_is_kept_beyond_measure() {
    let many = |of: Value| Value::Array(vec![of; 5000]);
    let object = json!({
        "metadata": {"uid": "u", "name": "n".repeat(100_000)},
        "spec": {"containers": many(json!({"name": "c", "image": "i".repeat(3000)}))},
        "status": {"podIPs": many(json!({"ip": "10.0.0.1"}))},
    });
    let pod = pod_of(object).expect("a pod");
    assert!(pod.bytes() < 400_000, "{}", pod.bytes());
}

/// JSON in which the names that are looked for stand in any place.
fn json_of_any_shape() -> impl Strategy<Value = Value> {
    const NAMES: &[&str] = &[
        "metadata",
        "spec",
        "status",
        "name",
        "uid",
        "namespace",
        "labels",
        "annotations",
        "ownerReferences",
        "containers",
        "containerStatuses",
        "containerID",
        "restartCount",
        "lastState",
        "terminated",
        "podIPs",
        "podIP",
        "ip",
        "phase",
        "hostNetwork",
        "clusterIPs",
        "ports",
        "port",
        "nodePort",
        "protocol",
        "endpoints",
        "addresses",
        "address",
        "targetRef",
        "kind",
        "loadBalancer",
        "ingress",
        "apiVersion",
        "controller",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9.:/-]{0,12}".prop_map(Value::from),
        prop::sample::select(&["10.0.0.1", "Pod", "Succeeded", "UDP", "batch/v1"][..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::Array),
            vec((prop::sample::select(NAMES), inner), 0..6).prop_map(|pairs| Value::Object(
                pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>()
            )),
        ]
    })
}

proptest! {
    /// Whatever a server sends is read or refused.
    #[test]
    fn no_json_breaks_the_reader(
        meta in json_of_any_shape(),
        spec in json_of_any_shape(),
        status in json_of_any_shape(),
    ) {
        let selection = Selection::new(["*"], ["*"]);
        let object = json!({"metadata": meta, "spec": spec, "status": status, "endpoints": spec, "ports": status});
        if let Ok(object) = serde_json::from_value::<PodObject>(object.clone()) {
            let references = object.metadata.owner_references.as_deref().unwrap_or_default();
            let labels = object.metadata.labels.clone().unwrap_or_default();
            let owner = if let Found::Owner(owner) = owner::find(references, &labels) { owner } else { None };
            pod(&object, owner, &selection);
        }
        if let Ok(object) = serde_json::from_value::<ServiceObject>(object.clone()) {
            service(&object);
        }
        if let Ok(object) = serde_json::from_value::<SliceObject>(object.clone()) {
            slice(&object);
        }
        if let Ok(object) = serde_json::from_value::<NodeObject>(object.clone()) {
            node(&object);
        }
        if let Ok(object) = serde_json::from_value::<JobObject>(object) {
            owner::cron_job(&object.metadata.owner_references.unwrap_or_default());
        }
    }
}
