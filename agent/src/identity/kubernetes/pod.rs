//! A pod of this node, as far as it matters: what it is called, who runs it, and its containers.

use std::{net::IpAddr, sync::Arc};

/// A pod of this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// Of a static pod: the UID that the kubelet gave it, which is the one in its cgroup's name. The object that
    /// the API server has is only its mirror, under a UID of its own.
    pub static_uid: Option<Arc<str>>,
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `spec.nodeName`.
    pub node: Arc<str>,
    /// The labels asked for, by their attributes' names: `k8s.pod.label.KEY`.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// The annotations asked for, by their attributes' names: `k8s.pod.annotation.KEY`.
    pub annotations: Vec<(Arc<str>, Arc<str>)>,
    /// The annotations `resource.opentelemetry.io/ATTRIBUTE`, by the attribute they are to become.
    pub resource: Vec<(Arc<str>, Arc<str>)>,
    /// The labels `app.kubernetes.io/…`.
    pub app: App,
    /// Who runs it; `None`: nobody, or it is not known yet.
    pub owner: Option<Owner>,
    /// `status.startTime`, as in the API (RFC 3339).
    pub start_time: Option<Arc<str>>,
    /// It has the node's addresses, and none of its own.
    pub host_network: bool,
    /// All its containers have ended for good (`status.phase` is `Succeeded` or `Failed`): its addresses may be
    /// another's by now.
    pub finished: bool,
    /// `status.podIPs`.
    pub ips: Vec<IpAddr>,
    /// Its containers, those that did not start yet included; then those that ended and were started anew.
    pub containers: Vec<Container>,
}

/// The well-known labels that a service may be named by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct App {
    /// `app.kubernetes.io/name`.
    pub name: Option<Arc<str>>,
    /// `app.kubernetes.io/instance`.
    pub instance: Option<Arc<str>>,
    /// `app.kubernetes.io/version`.
    pub version: Option<Arc<str>>,
}

/// The workload that a pod belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// What it is.
    pub kind: OwnerKind,
    /// Its name.
    pub name: Arc<str>,
    /// What stands between: the ReplicaSet of a Deployment, the Job of a CronJob.
    pub through: Option<Arc<str>>,
}

/// Kinds of workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnerKind {
    /// A Deployment.
    Deployment,
    /// A ReplicaSet that no Deployment made.
    ReplicaSet,
    /// A StatefulSet.
    StatefulSet,
    /// A DaemonSet.
    DaemonSet,
    /// A Job that no CronJob made.
    Job,
    /// A CronJob.
    CronJob,
    /// Anything else: the node of a static pod, a custom resource.
    Other,
}

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its name in the pod's specification.
    pub name: Arc<str>,
    /// The runtime's id of it, without the runtime's name; `None`: it did not start yet, as far as is known.
    pub id: Option<Arc<str>>,
    /// The image, as in the pod's specification.
    pub image: Arc<str>,
    /// What it is for.
    pub kind: ContainerKind,
    /// How often it was started anew.
    pub restart_count: u32,
}

/// What a container is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContainerKind {
    /// Runs before the others, or beside them as a sidecar.
    Init,
    /// What the pod is there for.
    Main,
    /// Was added to a running pod.
    Ephemeral,
}

impl Pod {
    /// The container with this id.
    #[must_use]
    pub fn container(&self, id: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.id.as_deref() == Some(id))
    }

    /// The value of an annotation `resource.opentelemetry.io/ATTRIBUTE`; an empty one is none.
    #[must_use]
    pub fn resource(&self, attribute: &str) -> Option<&str> {
        let found = self.resource.iter().find(|(name, _)| **name == *attribute);
        found.map(|(_, value)| &**value).filter(|value| !value.is_empty())
    }

    /// Bytes kept.
    pub(super) fn bytes(&self) -> usize {
        let texts = [Some(&self.uid), self.static_uid.as_ref(), Some(&self.name), Some(&self.namespace)]
            .into_iter()
            .chain([Some(&self.node), self.start_time.as_ref()])
            .chain([&self.app.name, &self.app.instance, &self.app.version].map(Option::as_ref))
            .chain([self.owner.as_ref().map(|owner| &owner.name)])
            .chain([self.owner.as_ref().and_then(|owner| owner.through.as_ref())]);
        let pairs = || self.labels.iter().chain(&self.annotations).chain(&self.resource);
        let containers = self
            .containers
            .iter()
            .flat_map(|container| [Some(&container.name), container.id.as_ref(), Some(&container.image)]);
        let texts: usize = texts.chain(containers).flatten().map(super::bytes_of).sum();
        let pairs: usize = pairs().map(|(key, value)| super::bytes_of(key) + super::bytes_of(value)).sum();
        size_of::<Self>()
            + texts
            + pairs
            + (self.labels.len() + self.annotations.len() + self.resource.len())
                * size_of::<(Arc<str>, Arc<str>)>()
            + self.ips.len() * size_of::<IpAddr>()
            + self.containers.len() * size_of::<Container>()
    }
}

#[cfg(test)]
pub(super) mod testing;
