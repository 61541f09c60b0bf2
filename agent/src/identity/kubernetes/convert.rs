//! From objects of the API to what is kept of them.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use kube::core::ObjectMeta;

use super::{
    objects::{
        ContainerSpec, ContainerStatus, NodeObject, PodIp, PodObject, PortSpec, ServiceObject, SliceObject,
    },
    peers::{Endpoint, Node, Port, Service, Slice, Transport},
    pod::{App, Container, ContainerKind, Owner, Pod},
    select::{self, Selection, cut},
    uid::Uid,
};

/// What a mirror says of its static pod: the UID that the kubelet gave it.
const CONFIG_MIRROR: &str = "kubernetes.io/config.mirror";

/// Containers of a pod that are heeded. The API has no limit but the size of an object.
const MAX_CONTAINERS: usize = 100;

/// Addresses of one object that are heeded.
const MAX_ADDRESSES: usize = 100;

/// The UID of an object; `None`: it has none, which no server says.
pub(super) fn uid(meta: &ObjectMeta) -> Option<Uid> {
    meta.uid.as_deref().filter(|uid| !uid.is_empty()).map(Uid::parse)
}

/// A pod, with the owner that was found for it.
pub(super) fn pod(object: &PodObject, owner: Option<Owner>, selection: &Selection) -> Option<Pod> {
    let meta = &object.metadata;
    let none = BTreeMap::new();
    let labels = meta.labels.as_ref().unwrap_or(&none);
    let annotations = meta.annotations.as_ref().unwrap_or(&none);
    let status = &object.status;
    let app = |name: &str| labels.get(&format!("app.kubernetes.io/{name}")).map(|value| cut(value));
    Some(Pod {
        uid: text(meta.uid.as_ref()).filter(|uid| !uid.is_empty())?,
        static_uid: annotations.get(CONFIG_MIRROR).filter(|uid| !uid.is_empty()).map(|uid| cut(uid)),
        name: text(meta.name.as_ref())?,
        namespace: text(meta.namespace.as_ref()).unwrap_or_default(),
        node: cut(&object.spec.node_name),
        labels: selection.labels(labels),
        annotations: selection.annotations(annotations),
        resource: select::resource(annotations),
        app: App { name: app("name"), instance: app("instance"), version: app("version") },
        owner,
        start_time: text(status.start_time.as_ref()),
        host_network: object.spec.host_network,
        finished: matches!(status.phase.as_str(), "Succeeded" | "Failed"),
        ips: pod_ips(status.pod_ip.as_ref(), &status.pod_ips),
        containers: containers(object),
    })
}

fn pod_ips(first: Option<&String>, all: &[PodIp]) -> Vec<IpAddr> {
    // Before IPv6 beside IPv4 there was only the first.
    let all = all.iter().filter_map(|ip| ip.ip.as_ref());
    let mut ips = addresses(first.into_iter().chain(all));
    ips.dedup();
    ips
}

fn containers(object: &PodObject) -> Vec<Container> {
    let (spec, status) = (&object.spec, &object.status);
    let of = [
        (ContainerKind::Init, &spec.init_containers, &status.init_container_statuses),
        (ContainerKind::Main, &spec.containers, &status.container_statuses),
        (ContainerKind::Ephemeral, &spec.ephemeral_containers, &status.ephemeral_container_statuses),
    ];
    let with_status = of.into_iter().flat_map(|(kind, specs, statuses)| {
        let status_of = |spec: &ContainerSpec| statuses.iter().find(|status| status.name == spec.name);
        specs.iter().map(move |spec| (kind, spec, status_of(spec)))
    });
    let with_status: Vec<_> = with_status.take(MAX_CONTAINERS).collect();
    let present = with_status.iter().map(|(kind, spec, status)| {
        let id = status.and_then(|status| id(status.container_id.as_ref()));
        container(*kind, spec, id, restarts(*status))
    });
    let ended = with_status.iter().filter_map(|(kind, spec, status)| {
        let ended = id((*status)?.last_state.terminated.container_id.as_ref())?;
        // Until it is started anew, the one that ended last is also the present one.
        let is_present = id((*status)?.container_id.as_ref()).is_some_and(|present| present == ended);
        (!is_present).then(|| container(*kind, spec, Some(ended), restarts(*status).saturating_sub(1)))
    });
    present.chain(ended).collect()
}

fn container(kind: ContainerKind, spec: &ContainerSpec, id: Option<Arc<str>>, restart_count: u32) -> Container {
    Container { name: cut(&spec.name), id, image: cut(&spec.image), kind, restart_count }
}

fn restarts(status: Option<&ContainerStatus>) -> u32 {
    status.and_then(|status| u32::try_from(status.restart_count).ok()).unwrap_or_default()
}

/// `RUNTIME://ID`.
fn id(url: Option<&String>) -> Option<Arc<str>> {
    let url = url?;
    let id = url.split_once("://").map_or(url.as_str(), |(_, id)| id);
    (!id.is_empty()).then(|| cut(id))
}

/// A service.
pub(super) fn service(object: &ServiceObject) -> Option<Service> {
    let spec = &object.spec;
    let mut cluster_ips = addresses(spec.cluster_ip.iter().chain(&spec.cluster_ips));
    cluster_ips.dedup();
    let ingress = object.status.load_balancer.ingress.iter().filter_map(|ingress| ingress.ip.as_ref());
    Some(Service {
        uid: uid(&object.metadata)?,
        name: text(object.metadata.name.as_ref())?,
        namespace: text(object.metadata.namespace.as_ref()).unwrap_or_default(),
        cluster_ips,
        external_ips: addresses(spec.external_ips.iter().chain(ingress)),
        ports: ports(&spec.ports, |port| port.port),
        node_ports: ports(&spec.ports, |port| port.node_port),
    })
}

/// A slice of endpoints. Those whose addresses are names have none.
pub(super) fn slice(object: &SliceObject) -> Option<Slice> {
    let meta = &object.metadata;
    let service = meta.labels.as_ref().and_then(|labels| labels.get("kubernetes.io/service-name"));
    // A port without a number is every port.
    let is_any = object.ports.iter().any(|port| port.port.is_none());
    let ports = if is_any { Vec::new() } else { ports(&object.ports, |port| port.port) };
    let only_others = ports.is_empty() && !is_any && !object.ports.is_empty();
    let endpoints = object.endpoints.iter().flat_map(|endpoint| {
        let target = endpoint.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"));
        let pod = target.and_then(|target| {
            let uid = target.uid.as_deref().filter(|uid| !uid.is_empty())?;
            Some((Uid::parse(uid), text(target.name.as_ref())?))
        });
        let node = text(endpoint.node_name.as_ref());
        addresses(&endpoint.addresses).into_iter().map(move |address| Endpoint {
            address,
            pod: pod.clone(),
            node: node.clone(),
        })
    });
    Some(Slice {
        uid: uid(meta)?,
        namespace: text(meta.namespace.as_ref()).unwrap_or_default(),
        // With none but ports of SCTP, the service is none that TCP or UDP reaches.
        service: text(service).filter(|service| !service.is_empty() && !only_others),
        ports,
        endpoints: endpoints.collect(),
    })
}

/// A node.
pub(super) fn node(object: &NodeObject) -> Option<Node> {
    Some(Node {
        uid: uid(&object.metadata)?,
        name: text(object.metadata.name.as_ref())?,
        addresses: addresses(object.status.addresses.iter().filter_map(|address| address.address.as_ref())),
    })
}

fn text(text: Option<&String>) -> Option<Arc<str>> {
    text.map(|text| cut(text))
}

/// The addresses among these texts: names and `None` are none.
fn addresses<'a>(texts: impl IntoIterator<Item = &'a String>) -> Vec<IpAddr> {
    texts.into_iter().filter_map(|text| text.parse().ok()).take(MAX_ADDRESSES).collect()
}

fn ports(specs: &[PortSpec], number: impl Fn(&PortSpec) -> Option<i64>) -> Vec<Port> {
    let port = |spec: &PortSpec| {
        let transport = match spec.protocol.as_deref() {
            None | Some("TCP") => Transport::Tcp,
            Some("UDP") => Transport::Udp,
            Some(_) => return None,
        };
        let number = u16::try_from(number(spec)?).ok().filter(|number| *number != 0)?;
        Some(Port { number, transport })
    };
    specs.iter().filter_map(port).collect()
}

#[cfg(test)]
mod tests;
