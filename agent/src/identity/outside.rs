//! What identities are told from outside of the process table: cgroups by the kernel, pods and addresses by Kubernetes.

use std::{net::SocketAddr, path::Path};

use hashbrown::HashSet;
use redtap_ebpf::cgroup::PATH_LEN;

use super::{
    Identities, ServiceId,
    cgroup::WalkLimits,
    kubernetes::{self, Change, Cluster},
    remote,
};
use crate::time::Nanos;

impl Identities {
    /// Learns the cgroups that exist, from where cgroup v2 is mounted.
    ///
    /// # Errors
    /// Its root cannot be read.
    pub fn walk_cgroups(&mut self, root: &Path, now: Nanos) -> std::io::Result<usize> {
        self.cgroups.walk(root, WalkLimits::default(), now).map(|walked| walked.found)
    }

    /// Who has an address, if Kubernetes tells.
    pub fn of_address(&mut self, address: SocketAddr, now: Nanos) -> Option<ServiceId> {
        let cluster = self.cluster.as_ref()?;
        self.remote.of(address, cluster, self.naming.labels, &mut self.services, now)
    }

    /// Whether an address is a service's, and so stands for one of its endpoints.
    #[must_use]
    pub fn is_of_service(&self, address: SocketAddr) -> bool {
        let peer = self.cluster.as_ref().and_then(|cluster| remote::peer(cluster, address));
        peer.is_some_and(|peer| peer.kind == kubernetes::PeerKind::Service)
    }

    /// Whether an address is that of a pod whose sockets are watched here.
    #[must_use]
    pub fn is_pod_here(&self, address: SocketAddr) -> bool {
        let peer = self.cluster.as_ref().and_then(|cluster| remote::peer(cluster, address));
        peer.is_some_and(|peer| peer.local.is_some())
    }

    /// Whether a connection to this address, from that one, may have been begun by somebody else: it is to a pod here, and
    /// from a node, or from nobody that is known.
    #[must_use]
    pub fn may_be_masquerade(&self, local: SocketAddr, peer: SocketAddr) -> bool {
        let Some(cluster) = &self.cluster else { return false };
        let is_nobody = remote::peer(cluster, peer).is_none_or(|peer| peer.pod.is_none() && peer.node.is_some());
        is_nobody && self.is_pod_here(local)
    }

    /// Takes what Kubernetes says.
    pub fn take_change(&mut self, change: Change, now: Nanos) {
        let Some(cluster) = &mut self.cluster else { return };
        if is_of_pods(&change) {
            self.revision += 1;
        }
        cluster.apply(change, now);
    }

    /// What Kubernetes has said, where it is asked.
    #[must_use]
    pub const fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// A cgroup was made.
    pub fn cgroup_made(&mut self, id: u64, path: &[u8], time: Nanos) {
        // The id may have been another's.
        self.by_cgroup.remove(&id);
        // A path that was cut would tell of what is around it.
        if path.len() < PATH_LEN - 1 {
            self.cgroups.made(id, &String::from_utf8_lossy(path), time);
        }
    }

    /// A cgroup was removed.
    pub fn cgroup_removed(&mut self, id: u64, time: Nanos) {
        self.cgroups.removed(id, time);
    }

    /// The services that are no more since `before`, or longer.
    pub fn gone_since(&mut self, before: Nanos, now: Nanos) -> HashSet<ServiceId> {
        let Some(cluster) = &self.cluster else { return HashSet::new() };
        let services = &mut self.services;
        self.of_pods.retain(|uid, of_pod| {
            // A pod that nothing was ever said of is told by its uid alone: its services bear no name of it.
            let is_there = cluster.pod(uid).is_some() || !cluster.is_listed(kubernetes::Resource::Pods);
            if !is_there {
                of_pod.iter().for_each(|service| services.gone(*service, now));
            }
            is_there
        });
        self.services.gone_since(before)
    }

    /// Forgets those of `gone` that are not `in_use`.
    pub fn forget(&mut self, gone: &HashSet<ServiceId>, in_use: impl Fn(ServiceId) -> bool) {
        let before = self.services.len();
        self.services.forget(gone, in_use);
        if self.services.len() != before {
            self.revision += 1;
            self.remote.clear();
        }
    }
}

const fn is_of_pods(change: &Change) -> bool {
    use kubernetes::Resource::Pods;
    matches!(change, Change::Pod(_) | Change::Deleted(Pods, _) | Change::Listed(Pods) | Change::Lost(Pods))
}
