//! Sockets of containers: whose they are as it becomes known, and that none is given to another.

use std::sync::Arc;

use super::*;
use crate::{
    identity::kubernetes::{
        Change, Container, ContainerKind, Limits as ClusterLimits, Owner, OwnerKind, Pod, Resource, Uid,
    },
    semconv,
};

const POD: &str = "2f1c9a4e-0b7d-4a53-9c1e-5d8f6b3a7e20";
const OTHER_POD: &str = "2f1c9a4e-0b7d-4a53-9c1e-5d8f6b3a7e21";

fn id(digit: char) -> String {
    String::from(digit).repeat(64)
}

fn path(pod: &str, container: char) -> String {
    format!("/kubepods/burstable/pod{pod}/{}", id(container))
}

fn container(name: &str, id: Option<String>) -> Container {
    let kind = ContainerKind::Main;
    Container { name: name.into(), id: id.map(Into::into), image: "shop/web:1.2".into(), kind, restart_count: 0 }
}

fn pod(uid: &str, name: &str, containers: Vec<Container>) -> Change {
    let owner = Owner { kind: OwnerKind::Deployment, name: "web".into(), through: Some("web-5f".into()) };
    Change::Pod(Arc::new(Pod {
        uid: uid.into(),
        name: name.into(),
        namespace: "shop".into(),
        owner: Some(owner),
        containers,
        ..Pod::default()
    }))
}

/// A host that runs containers of pods, with Kubernetes to ask.
fn node(host: &Host) -> Identities {
    identities(host, 100, 100).with_cluster(Cluster::new(ClusterLimits::default()))
}

/// What tells the service from others, as text, and whether that is all.
fn told(identities: &mut Identities, who: Who, second: u64) -> String {
    let identity = identities.identify(&who, seconds(second));
    let service = identities.service(identity.service);
    let pairs = service.identifying.iter().map(|(attribute, value)| format!(" {}={value}", attribute.label));
    let settled = if identity.is_settled { "" } else { " ?" };
    format!("{}{}{settled}", service.name, pairs.collect::<String>())
}

fn of(pid: u32, cgroup: u64) -> Who {
    Who { pid, cgroup, ..Who::default() }
}

const KNOWN: &str = "web service_namespace=shop k8s_namespace_name=shop k8s_deployment_name=web k8s_pod_name=web-1 \
                     k8s_container_name=app";

#[test]
fn a_container_waits_for_its_name_and_gets_it() {
    let host = Host::default();
    host.runs_in(5, "nginx", &path(POD, 'a'));
    let mut identities = node(&host);
    identities.cgroup_made(77, path(POD, 'a').as_bytes(), Nanos(1));
    assert_eq!(told(&mut identities, of(5, 77), 1), "nginx ?");
    // A socket that nobody has read from yet.
    assert_eq!(told(&mut identities, of(0, 77), 1), "unknown_service ?");
    identities.take_change(
        pod(POD, "web-1", vec![container("app", Some(id('a'))), container("side", None)]),
        seconds(2),
    );
    assert_eq!(told(&mut identities, of(5, 77), 2), KNOWN);
    assert_eq!(told(&mut identities, of(0, 77), 2), KNOWN);
    let service = identities.identify(&of(5, 77), seconds(2)).service;
    let service = identities.service(service);
    for (attribute, value) in [
        (semconv::SERVICE_INSTANCE_ID, "shop.web-1.app".to_owned()),
        (semconv::SERVICE_VERSION, "1.2".to_owned()),
        (semconv::K8S_REPLICASET_NAME, "web-5f".to_owned()),
        (semconv::K8S_POD_UID, POD.to_owned()),
        (semconv::CONTAINER_ID, id('a')),
    ] {
        assert_eq!(service.get(attribute).map(|value| &**value), Some(value.as_str()), "{}", attribute.otel);
    }
}

#[test]
fn the_only_container_of_a_pod_needs_no_id_and_one_of_several_does() {
    let host = Host::default();
    host.runs_in(5, "nginx", &path(POD, 'a'));
    host.runs_in(6, "nginx", &path(OTHER_POD, 'b'));
    let mut identities = node(&host);
    identities.take_change(pod(POD, "web-1", vec![container("app", None)]), seconds(1));
    identities
        .take_change(pod(OTHER_POD, "web-2", vec![container("app", None), container("side", None)]), seconds(1));
    assert_eq!(told(&mut identities, of(5, 0), 2), KNOWN);
    let without = "web service_namespace=shop k8s_namespace_name=shop k8s_deployment_name=web k8s_pod_name=web-2";
    assert_eq!(told(&mut identities, of(6, 0), 2), format!("{without} ?"));
    let ended = 2 + PATIENCE.as_secs();
    assert_eq!(told(&mut identities, of(6, 0), ended), without, "what is known has to do");
    identities.take_change(
        pod(OTHER_POD, "web-2", vec![container("app", None), container("side", Some(id('b')))]),
        seconds(ended),
    );
    assert_eq!(told(&mut identities, of(6, 0), ended), format!("{without} k8s_container_name=side"));
}

#[test]
fn without_kubernetes_nobody_waits() {
    let host = Host::default();
    host.runs_in(5, "nginx", &path(POD, 'a'));
    let mut identities = identities(&host, 100, 100);
    assert_eq!(told(&mut identities, of(5, 0), 1), "nginx");
    let service = identities.identify(&of(5, 0), seconds(1)).service;
    assert_eq!(identities.service(service).get(semconv::CONTAINER_ID).map(|id| id.len()), Some(64));
}

#[test]
fn a_pid_that_another_container_has_by_now_is_looked_at_again() {
    let host = Host::default();
    host.runs_in(5, "nginx", &path(POD, 'a'));
    let mut identities = node(&host);
    identities.cgroup_made(77, path(POD, 'a').as_bytes(), Nanos(1));
    identities.cgroup_made(78, path(OTHER_POD, 'b').as_bytes(), Nanos(1));
    identities.take_change(pod(POD, "web-1", vec![container("app", Some(id('a')))]), seconds(1));
    identities.take_change(pod(OTHER_POD, "web-2", vec![container("app", Some(id('b')))]), seconds(1));
    assert_eq!(told(&mut identities, of(5, 77), 1), KNOWN);
    let others = KNOWN.replace("web-1", "web-2");
    // It was passed on: who reads from it is still the first.
    assert_eq!(told(&mut identities, of(5, 78), 2), KNOWN);
    assert_eq!(told(&mut identities, of(5, 77), 2), KNOWN);
    host.runs_in(5, "curl", &path(OTHER_POD, 'b'));
    assert_eq!(told(&mut identities, of(5, 78), 3), others);
}

#[test]
fn a_pod_that_is_gone_takes_its_services_along() {
    let host = Host::default();
    host.runs_in(5, "nginx", &path(POD, 'a'));
    let mut identities = node(&host);
    for resource in Resource::ALL {
        identities.take_change(Change::Listing(resource), seconds(1));
        identities.take_change(Change::Listed(resource), seconds(1));
    }
    identities.take_change(pod(POD, "web-1", vec![container("app", Some(id('a')))]), seconds(1));
    let service = identities.identify(&of(5, 0), seconds(1)).service;
    assert_eq!(identities.gone_since(seconds(1), seconds(1)), HashSet::new());
    identities.take_change(Change::Deleted(Resource::Pods, Uid::parse(POD)), seconds(2));
    assert_eq!(told(&mut identities, of(5, 0), 3), KNOWN, "its last exchanges come late");
    let later = 2 + kubernetes::GRACE.as_secs();
    identities.sweep(seconds(later));
    assert_eq!(identities.gone_since(seconds(later), seconds(later)), HashSet::from_iter([service]));
    let gone = identities.gone_since(seconds(later), seconds(later));
    identities.forget(&gone, |_| false);
    assert!(identities.service(service).is_unknown());
}

#[test]
fn the_users_rules_come_before_everything() {
    let host = Host::default();
    host.runs_in(5, "nginx", &path(POD, 'a'));
    let rules = "namespace=shop -> {container}-of-{owner},version=9; executable=nginx -> never";
    let naming = Naming { rules: select::Rules::parse(rules).unwrap(), ..Naming::default() };
    let mut identities = node(&host).with_naming(naming);
    identities.take_change(pod(POD, "web-1", vec![container("app", Some(id('a')))]), seconds(1));
    assert_eq!(told(&mut identities, of(5, 0), 1), KNOWN.replacen("web", "app-of-web", 1));
}

#[test]
fn who_is_not_selected_is_not_watched() {
    let host = Host::default();
    host.runs_in(5, "nginx", &path(POD, 'a'));
    host.runs_in(6, "sshd", "/system.slice/ssh.service");
    let selection = select::Selection {
        include: select::Selector::list("namespace=shop;unit=ssh,port=22").unwrap(),
        exclude: select::Selector::list("pod=web-*,port=9000-9999").unwrap(),
    };
    let mut identities = node(&host).with_naming(Naming { selection, ..Naming::default() });
    identities.take_change(pod(POD, "web-1", vec![container("app", Some(id('a')))]), seconds(1));
    for (pid, port, is_watched) in [(5, 80, true), (5, 9090, false), (6, 22, true), (6, 80, false)] {
        let identity = identities.identify(&of(pid, 0), seconds(1));
        assert_eq!(identities.watches(identity, port), is_watched, "{pid} {port}");
    }
}
