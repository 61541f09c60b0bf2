//! Pods for tests, out of a line of text.

use super::{App, Container, ContainerKind, Owner, OwnerKind, Pod};

/// The pod that a line tells of:
///
/// ```text
/// NAMESPACE/NAME [uid=U] [static=U] [node=N] [ip=A]… [host] [finished] [owner=KIND:NAME[:THROUGH]]
///     [app.name=V] [app.instance=V] [app.version=V] [l.KEY=V]… [a.KEY=V]… [r.ATTRIBUTE=V]…
///     [c=NAME,IMAGE[,ID[,RESTARTS]]]… [init=…]… [ephemeral=…]…
/// ```
///
/// Its UID is `u1` unless it is given another.
pub fn pod(line: &str) -> Pod {
    let mut words = line.split_whitespace();
    let (namespace, name) = words.next().and_then(|word| word.split_once('/')).expect("a namespace and a name");
    let mut pod = Pod { uid: "u1".into(), name: name.into(), namespace: namespace.into(), ..Pod::default() };
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "uid" => pod.uid = value.into(),
            "static" => pod.static_uid = Some(value.into()),
            "node" => pod.node = value.into(),
            "ip" => pod.ips.push(value.parse().expect("an address")),
            "host" => pod.host_network = true,
            "finished" => pod.finished = true,
            "owner" => pod.owner = Some(owner(value)),
            "app.name" => pod.app = App { name: Some(value.into()), ..pod.app },
            "app.instance" => pod.app = App { instance: Some(value.into()), ..pod.app },
            "app.version" => pod.app = App { version: Some(value.into()), ..pod.app },
            "c" => pod.containers.push(container(ContainerKind::Main, value)),
            "init" => pod.containers.push(container(ContainerKind::Init, value)),
            "ephemeral" => pod.containers.push(container(ContainerKind::Ephemeral, value)),
            _ => match key.split_once('.') {
                Some(("l", key)) => pod.labels.push((format!("k8s.pod.label.{key}").into(), value.into())),
                Some(("a", key)) => {
                    pod.annotations.push((format!("k8s.pod.annotation.{key}").into(), value.into()))
                }
                Some(("r", key)) => pod.resource.push((key.into(), value.into())),
                _ => panic!("not a property of a pod: {word}"),
            },
        }
    }
    pod
}

fn owner(text: &str) -> Owner {
    let mut parts = text.split(':');
    let kind = match parts.next() {
        Some("Deployment") => OwnerKind::Deployment,
        Some("ReplicaSet") => OwnerKind::ReplicaSet,
        Some("StatefulSet") => OwnerKind::StatefulSet,
        Some("DaemonSet") => OwnerKind::DaemonSet,
        Some("Job") => OwnerKind::Job,
        Some("CronJob") => OwnerKind::CronJob,
        _ => OwnerKind::Other,
    };
    Owner { kind, name: parts.next().unwrap_or_default().into(), through: parts.next().map(Into::into) }
}

fn container(kind: ContainerKind, text: &str) -> Container {
    let mut parts = text.split(',');
    Container {
        name: parts.next().unwrap_or_default().into(),
        image: parts.next().unwrap_or_default().into(),
        id: parts.next().map(Into::into),
        kind,
        restart_count: parts.next().map_or(0, |count| count.parse().expect("a number")),
    }
}
