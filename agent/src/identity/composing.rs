//! What is known of whoever owns a socket, put together: from its process, its cgroup, its pod and what files say, to its service.

use redtap_ebpf::COMM_LEN;

use super::{
    Identities, Identity, PATIENCE, Process, ServiceId,
    cgroup::Place,
    entry::Known,
    is_telling,
    kubernetes::{Container, Pod},
    learnt::Finding,
    naming::Facts,
    process::comm_name,
    runtime, select,
};
use crate::time::Nanos;

impl Identities {
    /// Puts together what is known.
    pub(super) fn compose(
        &mut self,
        process: Option<&Process>,
        comm: &[u8; COMM_LEN],
        path: &str,
        first: Nanos,
        now: Nanos,
    ) -> Known {
        let place = Place::parse(path);
        // A child that was gone before it could be looked at is what its container, or its unit, runs.
        let leader = if process.is_none() && is_telling(&place) { self.source.leader(path, now) } else { None };
        let process = process.or(leader.as_ref());
        let pod = self.cluster.as_ref().zip(place.pod_uid.as_ref()).and_then(|(cluster, uid)| cluster.pod(uid));
        let pod = pod.cloned();
        let container = pod.as_ref().and_then(|pod| container_of(pod, place.container_id.as_deref()?));
        let waits = self.cluster.is_some() && place.pod_uid.is_some() && container.is_none();
        let language = process.map_or(Finding::settled(None), |process| self.inspection.language(process, now));
        let engine_name = self.inspection.name(&place, now);
        let is_declared = process.is_some_and(|process| process.declared.name.is_some());
        let heeded = select::heeded(&self.naming.selection, &self.naming.rules);
        let awaited = [
            waits.then(|| first.plus(PATIENCE)),
            language.until.filter(|_| heeded.language),
            engine_name.until.filter(|_| heeded.container || !is_declared),
        ];
        let settles = awaited.into_iter().flatten().filter(|until| now < *until).min();
        let is_complete = settles.is_none();
        let is_pending = language.is_pending || engine_name.is_pending;
        let thread = comm_name(comm);
        let facts = Facts {
            process,
            language: language.map(runtime::Language::as_str),
            thread: &thread,
            cgroup: path,
            place: &place,
            pod: pod.as_deref(),
            container,
            engine_name,
            is_complete,
        };
        let (service, watched) = self.naming.of(&facts);
        let service = self.services.intern(service);
        if let Some(uid) = place.pod_uid.filter(|_| service != ServiceId::UNKNOWN) {
            self.of_pods.entry(uid).or_default().insert(service);
        }
        Known {
            identity: Identity { service, is_settled: is_complete, watch: self.watches.of(watched) },
            settles: settles.unwrap_or(now),
            findings: is_pending.then_some(self.inspection.revision()),
            revision: (pod.is_some() || waits).then_some(self.revision),
        }
    }
}

/// The container of a pod with this id. Until the kubelet has told its id, the only one there is.
fn container_of<'a>(pod: &'a Pod, id: &str) -> Option<&'a Container> {
    pod.container(id).or(match pod.containers.as_slice() {
        [only] => Some(only),
        _ => None,
    })
}
