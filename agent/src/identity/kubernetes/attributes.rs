//! What is known of a container, by the names of the OpenTelemetry conventions (v1.44: `k8s`, `container`).

use super::{
    naming::Image,
    pod::{Container, OwnerKind, Pod},
};

/// Attributes that no annotation may set: what the cluster itself says of a pod is better known than that, and the
/// service's are for [`super::naming()`].
const NOT_BY_ANNOTATION: [&str; 4] = ["k8s.", "container.", "service.", "telemetry."];

/// A value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// A number.
    Number(u32),
    /// A list of this one text.
    List(&'a str),
}

/// The attributes of a container, or without one of its pod, each once, none empty.
///
/// `cluster` is the value of `k8s.cluster.name`, which no API tells; empty: not known. The labels and annotations
/// asked for are among them, and what the annotations `resource.opentelemetry.io/…` say, the service's names
/// apart.
#[must_use]
pub fn attributes<'a>(
    pod: &'a Pod,
    container: Option<&'a Container>,
    cluster: &'a str,
) -> Vec<(&'a str, Value<'a>)> {
    let mut attributes = Vec::with_capacity(16);
    let mut text = |name, value: &'a str| {
        if !value.is_empty() && !attributes.iter().any(|(known, _)| *known == name) {
            attributes.push((name, Value::Text(value)));
        }
    };
    text("k8s.cluster.name", cluster);
    text("k8s.node.name", &pod.node);
    text("k8s.namespace.name", &pod.namespace);
    text("k8s.pod.name", &pod.name);
    text("k8s.pod.uid", &pod.uid);
    if let Some(owner) = &pod.owner
        && let Some((name, through)) = names(owner.kind)
    {
        text(name, &owner.name);
        text(through, owner.through.as_deref().unwrap_or_default());
    }
    let by_annotation =
        pod.resource.iter().filter(|(name, _)| !NOT_BY_ANNOTATION.iter().any(|prefix| name.starts_with(prefix)));
    for (name, value) in pod.labels.iter().chain(&pod.annotations).chain(by_annotation) {
        text(name, value);
    }
    let Some(container) = container else { return attributes };
    let image = Image::parse(&container.image);
    text("k8s.container.name", &container.name);
    text("container.id", container.id.as_deref().unwrap_or_default());
    text("container.image.name", image.name);
    attributes.extend(image.tag.map(|tag| ("container.image.tags", Value::List(tag))));
    attributes.push(("k8s.container.restart_count", Value::Number(container.restart_count)));
    attributes
}

/// The attributes of an owner's name, and of the name of what stands between it and the pod.
const fn names(kind: OwnerKind) -> Option<(&'static str, &'static str)> {
    const REPLICASET: &str = "k8s.replicaset.name";
    const JOB: &str = "k8s.job.name";
    match kind {
        OwnerKind::Deployment => Some(("k8s.deployment.name", REPLICASET)),
        OwnerKind::ReplicaSet => Some((REPLICASET, REPLICASET)),
        OwnerKind::StatefulSet => Some(("k8s.statefulset.name", "k8s.statefulset.name")),
        OwnerKind::DaemonSet => Some(("k8s.daemonset.name", "k8s.daemonset.name")),
        OwnerKind::Job => Some((JOB, JOB)),
        OwnerKind::CronJob => Some(("k8s.cronjob.name", JOB)),
        OwnerKind::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::pod::testing, *};

    fn check(pod: &str, container: Option<usize>, cluster: &str, expected: &str) {
        let parsed = testing::pod(pod);
        let container = container.map(|index| &parsed.containers[index]);
        let told: Vec<String> = attributes(&parsed, container, cluster)
            .into_iter()
            .map(|(name, value)| match value {
                Value::Text(text) => format!("{name}={text}"),
                Value::Number(number) => format!("{name}#{number}"),
                Value::List(only) => format!("{name}=[{only}]"),
            })
            .collect();
        let expected: Vec<&str> = expected.split_whitespace().collect();
        assert_eq!(told, expected, "{pod}");
    }

    #[test]
    fn a_container_has_the_attributes_of_the_conventions() {
        let place = "k8s.namespace.name=shop k8s.pod.name=web-1 k8s.pod.uid=u1";
        let none = "container.image.name=i k8s.container.restart_count#0";
        for (pod, expected) in [
            ("shop/web-1", String::new()),
            (
                "shop/web-1 owner=Deployment:web:web-5f",
                "k8s.deployment.name=web k8s.replicaset.name=web-5f".into(),
            ),
            ("shop/web-1 owner=ReplicaSet:web-5f", "k8s.replicaset.name=web-5f".into()),
            ("shop/web-1 owner=StatefulSet:web", "k8s.statefulset.name=web".into()),
            ("shop/web-1 owner=DaemonSet:web", "k8s.daemonset.name=web".into()),
            ("shop/web-1 owner=CronJob:web:web-2", "k8s.cronjob.name=web k8s.job.name=web-2".into()),
            ("shop/web-1 owner=Job:web-2", "k8s.job.name=web-2".into()),
            ("shop/web-1 owner=Other:web", String::new()),
            (
                "shop/web-1 l.tier=gold a.team=x a.none=",
                "k8s.pod.label.tier=gold k8s.pod.annotation.team=x".into(),
            ),
            (
                "shop/web-1 r.deployment.environment.name=prod r.service.name=a r.k8s.pod.name=b r.container.id=c",
                "deployment.environment.name=prod".into(),
            ),
        ] {
            check(pod, None, "", &format!("{place} {expected}"));
            let container = format!("{pod} c=app,i");
            check(&container, Some(0), "", &format!("{place} {expected} k8s.container.name=app {none}"));
        }
        check(
            "shop/web-1 node=n1 c=app,r:5/i:2@sha256:01,abc,3",
            Some(0),
            "east",
            &format!(
                "k8s.cluster.name=east k8s.node.name=n1 {place} k8s.container.name=app container.id=abc \
                 container.image.name=r:5/i container.image.tags=[2] k8s.container.restart_count#3"
            ),
        );
    }
}
