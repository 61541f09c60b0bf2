//! Who runs a pod, from what the pod itself says.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::{
    pod::{Owner, OwnerKind},
    uid::Uid,
};

/// The label by which a Deployment tells the pods of its ReplicaSets apart, and by which these are named after it.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// What a pod's owner is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Known, or nobody.
    Owner(Option<Owner>),
    /// This Job, which may be a CronJob's.
    Job(Uid, Arc<str>),
}

/// The workload that a pod belongs to: that of the reference which says that it controls the pod.
///
/// A ReplicaSet that is called by a Deployment's name and the pod's template hash is that Deployment's: nobody is
/// asked for that.
pub(super) fn find(references: &[OwnerReference], labels: &BTreeMap<String, String>) -> Found {
    let Some(reference) = references.iter().find(|reference| reference.controller == Some(true)) else {
        return Found::Owner(None);
    };
    let group = reference.api_version.split_once('/').map_or("", |(group, _)| group);
    let name: Arc<str> = reference.name.as_str().into();
    let kind = match (group, reference.kind.as_str()) {
        ("apps", "ReplicaSet") => match deployment(&reference.name, labels) {
            Some(deployment) => {
                let owner = Owner { kind: OwnerKind::Deployment, name: deployment.into(), through: Some(name) };
                return Found::Owner(Some(owner));
            }
            None => OwnerKind::ReplicaSet,
        },
        ("batch", "Job") => return Found::Job(Uid::parse(&reference.uid), name),
        ("apps", "StatefulSet") => OwnerKind::StatefulSet,
        ("apps", "DaemonSet") => OwnerKind::DaemonSet,
        _ => OwnerKind::Other,
    };
    Found::Owner(Some(Owner { kind, name, through: None }))
}

/// The owner of a Job's pod, by the references of the Job.
pub(super) fn of_job(job: Arc<str>, cron_job: Option<Arc<str>>) -> Owner {
    match cron_job {
        Some(name) => Owner { kind: OwnerKind::CronJob, name, through: Some(job) },
        None => Owner { kind: OwnerKind::Job, name: job, through: None },
    }
}

/// The CronJob that controls a Job.
pub(super) fn cron_job(references: &[OwnerReference]) -> Option<Arc<str>> {
    let controls = |reference: &&OwnerReference| {
        reference.controller == Some(true)
            && reference.kind == "CronJob"
            && reference.api_version.starts_with("batch/")
    };
    references.iter().find(controls).map(|reference| reference.name.as_str().into())
}

fn deployment<'a>(replica_set: &'a str, labels: &BTreeMap<String, String>) -> Option<&'a str> {
    let hash = labels.get(TEMPLATE_HASH).filter(|hash| !hash.is_empty())?;
    let name = replica_set.strip_suffix(hash.as_str())?.strip_suffix('-')?;
    Some(name).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `GROUP/VERSION KIND NAME`, a `!` before it: it does not control the pod.
    fn reference(text: &str) -> OwnerReference {
        let controls = !text.starts_with('!');
        let mut words = text.trim_start_matches('!').split(' ').map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        OwnerReference {
            api_version: word(),
            kind: word(),
            name: word(),
            uid: "u".to_owned(),
            controller: Some(controls),
            block_owner_deletion: None,
        }
    }

    #[test]
    fn owners_are_found_without_asking() {
        for (references, hash, expected) in [
            (&[][..], "", "-"),
            (&["apps/v1 ReplicaSet web-5f8"], "5f8", "Deployment web via web-5f8"),
            (&["apps/v1 ReplicaSet a-b-c-5f8"], "5f8", "Deployment a-b-c via a-b-c-5f8"),
            (&["apps/v1 ReplicaSet web-5f8"], "", "ReplicaSet web-5f8"),
            (&["apps/v1 ReplicaSet web-5f8"], "5f9", "ReplicaSet web-5f8"),
            (&["apps/v1 ReplicaSet web5f8"], "5f8", "ReplicaSet web5f8"),
            (&["apps/v1 ReplicaSet -5f8"], "5f8", "ReplicaSet -5f8"),
            (&["apps/v1 ReplicaSet 5f8"], "5f8", "ReplicaSet 5f8"),
            (&["apps/v1 StatefulSet db"], "", "StatefulSet db"),
            (&["apps/v1 DaemonSet log"], "", "DaemonSet log"),
            (&["batch/v1 Job nightly-28"], "", "Job? nightly-28"),
            (&["v1 Node n1"], "", "Other n1"),
            (&["batch.volcano.sh/v1alpha1 Job train"], "", "Other train"),
            (&["apps.kruise.io/v1alpha1 StatefulSet db"], "", "Other db"),
            (&["v1 ReplicationController old"], "", "Other old"),
            (&["!apps/v1 DaemonSet a", "apps/v1 DaemonSet b"], "", "DaemonSet b"),
            (&["!apps/v1 DaemonSet a"], "", "-"),
            (&[""], "", "Other "),
        ] {
            let references: Vec<_> = references.iter().map(|text| reference(text)).collect();
            let labels = BTreeMap::from([(TEMPLATE_HASH.to_owned(), hash.to_owned())]);
            let told = match find(&references, &labels) {
                Found::Owner(None) => "-".to_owned(),
                Found::Owner(Some(Owner { kind, name, through: None })) => format!("{kind:?} {name}"),
                Found::Owner(Some(Owner { kind, name, through: Some(by) })) => format!("{kind:?} {name} via {by}"),
                Found::Job(_, name) => format!("Job? {name}"),
            };
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn a_job_is_a_cron_jobs_if_that_controls_it() {
        for (references, expected) in [
            (&[][..], None),
            (&["batch/v1 CronJob nightly"], Some("nightly")),
            (&["batch/v1beta1 CronJob nightly"], Some("nightly")),
            (&["!batch/v1 CronJob nightly"], None),
            (&["batch.example/v1 CronJob nightly"], None),
            (&["batch/v1 Job nightly"], None),
        ] {
            let references: Vec<_> = references.iter().map(|text| reference(text)).collect();
            assert_eq!(cron_job(&references).as_deref(), expected, "{references:?}");
        }
    }
}
