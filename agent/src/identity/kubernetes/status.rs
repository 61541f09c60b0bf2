//! How the watch of the API server fares, for metrics and pages: written by the watch, read by anybody.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::{Resource, store::Cluster};
use crate::time::Nanos;

/// Requests in a row without an answer after which the API server counts as away: a connection that breaks is no
/// news if the next one holds.
const MISSES: u64 = 2;

/// Why a request or a watch came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// 403: the role lacks a verb on a resource.
    Forbidden,
    /// 401: the credentials are not valid, or not any more.
    Unauthorized,
    /// No connection, or no answer in time.
    Unreachable,
    /// 410: the version to go on from is not kept any more.
    Expired,
    /// What was answered cannot be read.
    Decode,
    /// Any other status that is no success.
    Refused,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Forbidden, Self::Unauthorized, Self::Unreachable, Self::Expired, Self::Decode, Self::Refused];

    /// As a label has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::Unauthorized => "unauthorized",
            Self::Unreachable => "unreachable",
            Self::Expired => "expired",
            Self::Decode => "decode",
            Self::Refused => "refused",
        }
    }
}

/// How the watch of one kind of object fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceStatus {
    /// The kind.
    pub resource: Resource,
    /// It is asked for. Jobs are only where a pod belongs to one.
    pub wanted: bool,
    /// All objects were listed, and changes come since, or will again when the server is back.
    pub synced: bool,
    /// We may not, and it is given up but for a try now and then.
    pub forbidden: bool,
    /// The server does not answer.
    pub away: bool,
    /// Objects known.
    pub objects: usize,
    /// When something was last told of one.
    pub last_event: Option<Nanos>,
    /// HTTP requests made.
    pub requests: u64,
    /// What failed, by why.
    pub failures: [(Failure, u64); Failure::ALL.len()],
}

/// The state of all watches. One for the life of the agent.
#[derive(Debug, Default)]
pub struct Status {
    resources: [State; Resource::ALL.len()],
    /// Resources that get no answers.
    away: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    wanted: AtomicBool,
    synced: AtomicBool,
    forbidden: AtomicBool,
    away: AtomicBool,
    complained: AtomicBool,
    objects: AtomicUsize,
    /// Zero: none.
    last_event: AtomicU64,
    requests: AtomicU64,
    /// Without an answer since the last one.
    misses: AtomicU64,
    failures: [AtomicU64; Failure::ALL.len()],
}

impl Status {
    /// How each of them fares, in the order of [`Resource::ALL`].
    #[must_use]
    pub fn snapshot(&self) -> Vec<ResourceStatus> {
        let of = |resource: Resource| {
            let state = self.of(resource);
            ResourceStatus {
                resource,
                wanted: state.wanted.load(Relaxed),
                synced: state.synced.load(Relaxed),
                forbidden: state.forbidden.load(Relaxed),
                away: state.away.load(Relaxed),
                objects: state.objects.load(Relaxed),
                last_event: Some(Nanos(state.last_event.load(Relaxed))).filter(|time| time.0 > 0),
                requests: state.requests.load(Relaxed),
                failures: Failure::ALL.map(|failure| (failure, state.failures[failure as usize].load(Relaxed))),
            }
        };
        Resource::ALL.map(of).into()
    }

    /// Whether everything that is wanted is known, or may not be. Nothing is before the watch begins.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let is_settled = |state: &State| state.synced.load(Relaxed) || state.forbidden.load(Relaxed);
        let mut wanted = self.resources.iter().filter(|state| state.wanted.load(Relaxed)).peekable();
        wanted.peek().is_some() && wanted.all(is_settled)
    }

    /// Notes how many objects a cluster has of each kind: for whoever has both, now and then.
    pub fn count(&self, cluster: &Cluster) {
        for resource in [Resource::Pods, Resource::Services, Resource::EndpointSlices, Resource::Nodes] {
            self.counted(resource, cluster.objects(resource).entries);
        }
    }

    pub(super) fn counted(&self, resource: Resource, objects: usize) {
        self.of(resource).objects.store(objects, Relaxed);
    }

    pub(super) fn wants(&self, resource: Resource) {
        self.of(resource).wanted.store(true, Relaxed);
    }

    pub(super) fn synced(&self, resource: Resource) {
        self.of(resource).synced.store(true, Relaxed);
    }

    pub(super) fn event(&self, resource: Resource, now: Nanos) {
        self.of(resource).last_event.store(now.0, Relaxed);
    }

    pub(super) fn requested(&self, resource: Resource) {
        self.of(resource).requests.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self, resource: Resource, failure: Failure) {
        self.of(resource).failures[failure as usize].fetch_add(1, Relaxed);
    }

    /// A request was answered, be it by a refusal. Whether the server was away until now.
    pub(super) fn answered(&self, resource: Resource) -> bool {
        let state = self.of(resource);
        state.misses.store(0, Relaxed);
        state.away.swap(false, Relaxed) && self.away.fetch_sub(1, Relaxed) == 1
    }

    /// A request was not answered. Whether the server is away from now on.
    pub(super) fn missed(&self, resource: Resource) -> bool {
        let state = self.of(resource);
        state.misses.fetch_add(1, Relaxed) + 1 >= MISSES
            && !state.away.swap(true, Relaxed)
            && self.away.fetch_add(1, Relaxed) == 0
    }

    /// It may not be seen. Whether that is news.
    pub(super) fn forbids(&self, resource: Resource) -> bool {
        let state = self.of(resource);
        state.synced.store(false, Relaxed);
        !state.forbidden.swap(true, Relaxed)
    }

    /// It may be seen. Whether that is news.
    pub(super) fn allows(&self, resource: Resource) -> bool {
        self.of(resource).forbidden.swap(false, Relaxed)
    }

    /// There is something to complain about. Whether it was not complained of yet.
    pub(super) fn complains(&self, resource: Resource) -> bool {
        !self.of(resource).complained.swap(true, Relaxed)
    }

    /// There is nothing to complain about any more.
    pub(super) fn is_content(&self, resource: Resource) {
        self.of(resource).complained.store(false, Relaxed);
    }

    fn of(&self, resource: Resource) -> &State {
        &self.resources[resource.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_lost_once_and_back_once() {
        let status = Status::default();
        let (pods, nodes) = (Resource::Pods, Resource::Nodes);
        let told: Vec<bool> = [
            status.missed(pods),
            status.missed(nodes),
            status.answered(nodes),
            status.missed(pods),
            status.missed(nodes),
            status.missed(nodes),
            status.missed(pods),
            status.answered(pods),
            status.answered(pods),
            status.answered(nodes),
            status.answered(nodes),
        ]
        .into();
        let news = |index: usize| [3, 9].contains(&index);
        assert_eq!(told, (0..told.len()).map(news).collect::<Vec<_>>());
        assert!(status.snapshot().iter().all(|resource| !resource.away));
    }

    #[test]
    fn ready_is_what_is_known_or_may_not_be() {
        let status = Status::default();
        assert!(!status.is_ready());
        status.wants(Resource::Pods);
        status.wants(Resource::Nodes);
        status.synced(Resource::Pods);
        assert!(!status.is_ready());
        assert!(status.forbids(Resource::Nodes) && !status.forbids(Resource::Nodes));
        assert!(status.is_ready());
        assert!(status.allows(Resource::Nodes) && !status.allows(Resource::Nodes));
        assert!(!status.is_ready());
    }

    #[test]
    fn a_snapshot_has_what_was_counted() {
        let status = Status::default();
        status.requested(Resource::Services);
        status.failed(Resource::Services, Failure::Expired);
        status.event(Resource::Services, Nanos(7));
        status.counted(Resource::Services, 3);
        let snapshot = status.snapshot();
        assert_eq!(snapshot.iter().map(|status| status.resource).collect::<Vec<_>>(), Resource::ALL);
        let services = &snapshot[Resource::Services.index()];
        assert_eq!((services.requests, services.objects, services.last_event), (1, 3, Some(Nanos(7))));
        let failed = |(failure, count): &(Failure, u64)| (*count > 0).then_some(*failure);
        assert_eq!(services.failures.iter().filter_map(failed).collect::<Vec<_>>(), [Failure::Expired]);
        assert_eq!(snapshot[Resource::Pods.index()].last_event, None);
    }
}
