//! What a pod's containers are called as services (OpenTelemetry conventions, "Specify resource attributes using
//! Kubernetes annotations" and the rules beside it).

use std::borrow::Cow;

use super::pod::{Container, OwnerKind, Pod};

/// Whether services are named by the well-known labels. The conventions want that to be the user's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AppLabels {
    /// They name nothing.
    #[default]
    Ignored,
    /// `app.kubernetes.io/instance` or else `name` come before the owner's name, `version` before the image's.
    Heeded,
}

/// A container as a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming<'a> {
    /// `service.name`.
    pub name: &'a str,
    /// `service.namespace`.
    pub namespace: &'a str,
    /// `service.version`.
    pub version: Option<Cow<'a, str>>,
    /// `service.instance.id`; `None`: which container it is would have to be known.
    pub instance: Option<Cow<'a, str>>,
}

/// Names a container of a pod; without one, what can be said of the pod as a whole.
///
/// `service.name`: annotation, label, Deployment, ReplicaSet, StatefulSet, DaemonSet, CronJob, Job, pod,
/// container. The first that is not empty counts, as for all the others.
#[must_use]
pub fn naming<'a>(pod: &'a Pod, container: Option<&'a Container>, labels: AppLabels) -> Naming<'a> {
    let label = |label: &'a Option<std::sync::Arc<str>>| match labels {
        AppLabels::Heeded => label.as_deref().filter(|value| !value.is_empty()),
        AppLabels::Ignored => None,
    };
    let owner = pod.owner.as_ref().filter(|owner| owner.kind != OwnerKind::Other);
    let name = pod
        .resource("service.name")
        .or_else(|| label(&pod.app.instance))
        .or_else(|| label(&pod.app.name))
        .or_else(|| owner.map(|owner| &*owner.name).filter(|name| !name.is_empty()))
        .or_else(|| Some(&*pod.name).filter(|name| !name.is_empty()))
        .or_else(|| container.map(|container| &*container.name));
    let version = pod.resource("service.version").or_else(|| label(&pod.app.version)).map(Cow::Borrowed);
    let instance = pod.resource("service.instance.id").map(Cow::Borrowed);
    Naming {
        name: name.unwrap_or_default(),
        namespace: pod.resource("service.namespace").unwrap_or(&pod.namespace),
        version: version.or_else(|| Image::parse(&container?.image).version()),
        instance: instance.or_else(|| Some(format!("{}.{}.{}", pod.namespace, pod.name, container?.name).into())),
    }
}

/// A reference to an image, taken apart: `NAME[:TAG][@DIGEST]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image<'a> {
    /// With the registry and its port.
    pub name: &'a str,
    /// What stands after the name's colon.
    pub tag: Option<&'a str>,
    /// `ALGORITHM:HEX`.
    pub digest: Option<&'a str>,
}

impl<'a> Image<'a> {
    /// Takes a reference apart, as the OCI distribution specification and Docker write them.
    #[must_use]
    pub fn parse(reference: &'a str) -> Self {
        let (named, digest) = match reference.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (reference, None),
        };
        // A colon before a slash is that of a port.
        let (name, tag) = match named.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (named, None),
        };
        let given = |part: Option<&'a str>| part.filter(|part| !part.is_empty());
        Self { name, tag: given(tag), digest: given(digest) }
    }

    /// What the conventions take for a service's version: `TAG@DIGEST`, the digest, or the tag.
    #[must_use]
    pub fn version(&self) -> Option<Cow<'a, str>> {
        match (self.tag, self.digest) {
            (Some(tag), Some(digest)) => Some(format!("{tag}@{digest}").into()),
            (tag, digest) => digest.or(tag).map(Cow::Borrowed),
        }
    }
}

#[cfg(test)]
mod tests;
