//! What is known of the cluster: a table for each kind of object, bounded, and the addresses that they claim.

use std::{mem, net::IpAddr, sync::Arc, time::Duration};

use hashbrown::HashMap;

use super::{
    Change, Resource,
    addresses::{Addresses, Role, Target},
    known::{End, Known, KnownPod, KnownService, KnownSlice, ServiceNames},
    peers::{Endpoint, Node, Port, Service, Slice},
    pod::Pod,
    texts::Texts,
    uid::Uid,
};
use crate::{identity::Fill, time::Nanos};

/// How long a deleted pod is remembered: records of its last exchanges come after the news of its end.
pub const GRACE: Duration = Duration::from_secs(60);

/// Ports of a service or a slice that are heeded: the API allows a slice so many.
const MAX_PORTS: usize = 100;

/// Endpoints of a slice that are heeded: the API allows no more.
const MAX_ENDPOINTS: usize = 1000;

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Pods of this node, those deleted lately included, which make room first. The kubelet's default is 110 at a
    /// time.
    pub pods: usize,
    /// Services, slices of endpoints and nodes, together.
    pub objects: usize,
    /// Claims to addresses, which an object may make several of, and ports on nodes.
    pub addresses: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { pods: 2048, objects: 32_768, addresses: 131_072 }
    }
}

/// What has happened to the tables; no field decreases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Changes taken.
    pub changes: u64,
    /// Pods refused for want of room.
    pub pods_refused: u64,
    /// Deleted pods forgotten before their time, for want of room.
    pub pods_evicted: u64,
    /// Services, slices and nodes refused for want of room.
    pub objects_refused: u64,
    /// Addresses, endpoints and ports refused: for want of room, or because one object had too many.
    pub addresses_refused: u64,
}

/// This node's pods and the cluster's addresses, as the API server last told.
#[derive(Debug)]
pub struct Cluster {
    pub(super) pods: HashMap<Uid, KnownPod>,
    /// From the UIDs of static pods to those of their mirrors.
    mirrors: HashMap<Uid, Uid>,
    pub(super) services: HashMap<Uid, KnownService>,
    pub(super) slices: HashMap<Uid, KnownSlice>,
    pub(super) nodes: HashMap<Uid, Known<Arc<str>>>,
    pub(super) node_ports: HashMap<Port, Uid>,
    pub(super) addresses: Addresses,
    texts: Texts,
    /// The listing under way or the last, and whether there was a whole one.
    listings: [(u32, bool); Resource::ALL.len()],
    /// There was no room for a node, or for an address of one, since their listing began.
    nodes_refused: bool,
    limits: Limits,
    counts: Counts,
    revision: u64,
}

impl Cluster {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            pods: HashMap::new(),
            mirrors: HashMap::new(),
            services: HashMap::new(),
            slices: HashMap::new(),
            nodes: HashMap::new(),
            node_ports: HashMap::new(),
            addresses: Addresses::new(limits.addresses),
            texts: Texts::new(),
            listings: [(0, false); Resource::ALL.len()],
            nodes_refused: false,
            limits,
            counts: Counts::default(),
            revision: 0,
        }
    }

    /// Takes a change. `now` is when a pod that exists no more is held to have ended.
    pub fn apply(&mut self, change: Change, now: Nanos) {
        self.counts.changes += 1;
        let is_news = match change {
            Change::Listing(resource) => self.begin_listing(resource),
            Change::Listed(resource) => {
                self.forget_unlisted(resource, now);
                self.listings[resource.index()].1 = true;
                true
            }
            Change::Lost(resource) => {
                self.begin_listing(resource);
                self.forget_unlisted(resource, now);
                self.listings[resource.index()].1 = false;
                true
            }
            Change::Pod(pod) => self.put_pod(pod),
            Change::Service(service) => self.put_service(*service),
            Change::Slice(slice) => self.put_slice(*slice),
            Change::Node(node) => self.put_node(*node),
            Change::Deleted(Resource::Pods, uid) => self.end_pod(uid, End::Deleted(now)),
            Change::Deleted(resource, uid) => self.remove(resource, uid),
        };
        self.revision += u64::from(is_news);
    }

    /// Forgets the pods that were deleted longer than [`GRACE`] ago.
    pub fn sweep(&mut self, now: Nanos) {
        self.forget_pods(|_, known| known.ended().is_some_and(|ended| ended.plus(GRACE) <= now));
    }

    /// A pod of this node by its UID, as the API has it or as the kubelet names its cgroup by it. One that was
    /// deleted is known for [`GRACE`] more.
    #[must_use]
    pub fn pod(&self, uid: &str) -> Option<&Arc<Pod>> {
        let uid = Uid::parse(uid);
        let known = self.pods.get(&uid).or_else(|| self.pods.get(self.mirrors.get(&uid)?))?;
        Some(&known.pod)
    }

    /// All pods of this node, in no order, those deleted lately included.
    pub fn pods(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.pods.values().map(|known| &known.pod)
    }

    /// Grows with every change that is news: what was answered before may be answered otherwise since.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether all objects of a kind were listed.
    #[must_use]
    pub const fn is_listed(&self, resource: Resource) -> bool {
        self.listings[resource.index()].1
    }

    /// Whether every node's addresses are known.
    pub(super) const fn knows_all_nodes(&self) -> bool {
        self.is_listed(Resource::Nodes) && !self.nodes_refused
    }

    /// Objects of a kind, and the most there may be. Services, slices and nodes share their limit; jobs are not
    /// kept here.
    #[must_use]
    pub fn objects(&self, resource: Resource) -> Fill {
        let (entries, limit) = match resource {
            Resource::Pods => (self.pods.len(), self.limits.pods),
            Resource::Services => (self.services.len(), self.limits.objects),
            Resource::EndpointSlices => (self.slices.len(), self.limits.objects),
            Resource::Nodes => (self.nodes.len(), self.limits.objects),
            Resource::Jobs => (0, 0),
        };
        Fill { entries, limit }
    }

    /// Claims to addresses.
    #[must_use]
    pub const fn addresses(&self) -> Fill {
        Fill { entries: self.addresses.len(), limit: self.addresses.limit() }
    }

    /// What has happened so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        let addresses_refused = self.counts.addresses_refused + self.addresses.refused();
        Counts { addresses_refused, ..self.counts }
    }

    /// An estimate of the bytes kept. It looks at everything: for a scrape, not for the hot path.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let of_addresses = |addresses: &[IpAddr]| size_of_val(addresses);
        let pods: usize = self.pods.values().map(|known| known.pod.bytes() + of_addresses(&known.addresses)).sum();
        let services = self.services.values().map(|known| {
            let ports = known.value.ports.len() + known.value.node_ports.len();
            super::bytes_of(&known.value.name) + of_addresses(&known.addresses) + ports * size_of::<Port>()
        });
        let slices = self
            .slices
            .values()
            .map(|known| of_addresses(&known.addresses) + known.value.ports.capacity() * size_of::<Port>());
        let nodes = self.nodes.values().map(|known| of_addresses(&known.addresses));
        let tables = table_bytes(&self.pods) + table_bytes(&self.mirrors) + table_bytes(&self.services);
        let tables = tables + table_bytes(&self.slices) + table_bytes(&self.nodes) + table_bytes(&self.node_ports);
        let objects = pods + services.sum::<usize>() + slices.sum::<usize>() + nodes.sum::<usize>();
        tables + objects + self.addresses.bytes() + self.texts.bytes()
    }

    /// A kind's objects that are not told of again from now on are not listed. That alone changes nothing.
    const fn begin_listing(&mut self, resource: Resource) -> bool {
        let (listing, _) = &mut self.listings[resource.index()];
        *listing = listing.wrapping_add(1);
        if matches!(resource, Resource::Nodes) {
            self.nodes_refused = false;
        }
        false
    }

    fn put_pod(&mut self, pod: Arc<Pod>) -> bool {
        let uid = Uid::parse(&pod.uid);
        let listing = self.listings[Resource::Pods.index()].0;
        let before = match self.pods.get_mut(&uid) {
            Some(known) if known.is_newer_than(&pod) => return false,
            Some(known) if known.end == End::NotYet && known.pod == pod => {
                known.listing = listing;
                return false;
            }
            Some(known) => mem::take(&mut known.addresses),
            None => Box::default(),
        };
        if !self.pods.contains_key(&uid) && !self.make_room_for(&pod) {
            self.counts.pods_refused += 1;
            return false;
        }
        let has_addresses = !pod.host_network && !pod.finished;
        let own = pod.ips.iter().filter(|_| has_addresses).map(|ip| (*ip, Role::Pod));
        let addresses = self.addresses.replace((Resource::Pods, uid), &before, own);
        let mirror = pod.static_uid.as_deref().map(Uid::parse);
        let before = self.pods.insert(uid, KnownPod { pod, addresses, listing, end: End::NotYet });
        if let Some(before) = before {
            forget_mirror(&mut self.mirrors, uid, &before.pod);
        }
        if let Some(fixed) = mirror {
            self.mirrors.insert(fixed, uid);
        }
        true
    }

    /// Those that were deleted go first, the earliest first of all; then, but not for one of their like, those
    /// that have ended: a node may be full of pods that were evicted from it.
    fn make_room_for(&mut self, pod: &Pod) -> bool {
        if self.pods.len() < self.limits.pods {
            return true;
        }
        let ended = self.pods.iter().filter_map(|(uid, known)| Some((known.ended()?, *uid))).min();
        let finished = || self.pods.iter().find(|(_, known)| known.pod.finished).map(|(uid, _)| *uid);
        let evicted = ended.map(|(_, uid)| uid).or_else(|| finished().filter(|_| !pod.finished));
        if let Some(evicted) = evicted {
            self.counts.pods_evicted += 1;
            self.forget_pods(|uid, _| uid == evicted);
        }
        self.pods.len() < self.limits.pods
    }

    /// A pod is no more: it loses its addresses now, and is remembered for a while.
    fn end_pod(&mut self, uid: Uid, end: End) -> bool {
        let Some(known) = self.pods.get_mut(&uid) else { return false };
        known.end = match (known.end, end) {
            (End::Missing(since), End::Deleted(_)) => End::Deleted(since),
            (End::NotYet, end) => end,
            (earlier, _) => earlier,
        };
        let addresses = mem::take(&mut known.addresses);
        self.addresses.replace((Resource::Pods, uid), &addresses, []);
        true
    }

    fn forget_pods(&mut self, which: impl Fn(Uid, &KnownPod) -> bool) {
        let (addresses, mirrors) = (&mut self.addresses, &mut self.mirrors);
        self.pods.retain(|&uid, known| {
            let forget = which(uid, known);
            if forget {
                addresses.replace((Resource::Pods, uid), &known.addresses, []);
                forget_mirror(mirrors, uid, &known.pod);
            }
            !forget
        });
    }

    fn put_service(&mut self, mut service: Service) -> bool {
        if !self.has_room_for(Resource::Services, service.uid) {
            return false;
        }
        let uid = service.uid;
        let listing = self.listings[Resource::Services.index()].0;
        self.cut(&mut service.ports, MAX_PORTS);
        self.cut(&mut service.node_ports, MAX_PORTS);
        let before = self.services.remove(&uid).map(|known| {
            self.give_back_node_ports(uid, &known);
            known.addresses
        });
        let cluster = service.cluster_ips.into_iter().map(|ip| (ip, Role::Cluster));
        let external = service.external_ips.into_iter().map(|ip| (ip, Role::External));
        let addresses = self.addresses.replace(
            (Resource::Services, uid),
            &before.unwrap_or_default(),
            cluster.chain(external),
        );
        for port in &service.node_ports {
            if self.node_ports.len() < self.limits.addresses || self.node_ports.contains_key(port) {
                self.node_ports.insert(*port, uid);
            } else {
                self.counts.addresses_refused += 1;
            }
        }
        let value = ServiceNames {
            name: self.texts.share(&service.name),
            namespace: self.texts.share(&service.namespace),
            ports: service.ports.into(),
            node_ports: service.node_ports.into(),
        };
        self.services.insert(uid, Known { value, addresses, listing });
        true
    }

    fn give_back_node_ports(&mut self, uid: Uid, known: &KnownService) {
        for port in &known.value.node_ports {
            if self.node_ports.get(port) == Some(&uid) {
                self.node_ports.remove(port);
            }
        }
    }

    fn put_slice(&mut self, mut slice: Slice) -> bool {
        if !self.has_room_for(Resource::EndpointSlices, slice.uid) {
            return false;
        }
        let listing = self.listings[Resource::EndpointSlices.index()].0;
        let mut endpoints = mem::take(&mut slice.endpoints);
        self.cut(&mut endpoints, MAX_ENDPOINTS);
        // Without all its ports a slice would say less than it does, or, without any, more.
        self.cut(&mut slice.ports, MAX_PORTS);
        slice.ports.shrink_to_fit();
        slice.namespace = self.texts.share(&slice.namespace);
        slice.service = slice.service.map(|service| self.texts.share(&service));
        let before = self.slices.remove(&slice.uid).map(|known| known.addresses).unwrap_or_default();
        let texts = &mut self.texts;
        let claims = endpoints.into_iter().map(|Endpoint { address, pod, node }| {
            let target = pod.map(|(uid, name)| Target { uid, name, node: node.map(|node| texts.share(&node)) });
            (address, Role::Endpoint(target))
        });
        let addresses = self.addresses.replace((Resource::EndpointSlices, slice.uid), &before, claims);
        self.slices.insert(slice.uid, Known { value: slice, addresses, listing });
        true
    }

    fn put_node(&mut self, node: Node) -> bool {
        if !self.has_room_for(Resource::Nodes, node.uid) {
            self.nodes_refused = true;
            return false;
        }
        let refused = self.addresses.refused();
        let listing = self.listings[Resource::Nodes.index()].0;
        // Nodes tell of themselves all the time, and rarely anything that is kept.
        if let Some(known) = self.nodes.get_mut(&node.uid)
            && *known.value == *node.name
            && *known.addresses == *node.addresses
        {
            known.listing = listing;
            return false;
        }
        let before = self.nodes.remove(&node.uid).map(|known| known.addresses).unwrap_or_default();
        let claims = node.addresses.into_iter().map(|ip| (ip, Role::Node));
        let addresses = self.addresses.replace((Resource::Nodes, node.uid), &before, claims);
        self.nodes_refused |= self.addresses.refused() > refused;
        self.nodes.insert(node.uid, Known { value: self.texts.share(&node.name), addresses, listing });
        true
    }

    fn has_room_for(&mut self, resource: Resource, uid: Uid) -> bool {
        let known = match resource {
            Resource::Services => self.services.contains_key(&uid),
            Resource::EndpointSlices => self.slices.contains_key(&uid),
            Resource::Nodes => self.nodes.contains_key(&uid),
            Resource::Pods | Resource::Jobs => false,
        };
        let has_room = known || self.services.len() + self.slices.len() + self.nodes.len() < self.limits.objects;
        self.counts.objects_refused += u64::from(!has_room);
        has_room
    }

    fn cut<T>(&mut self, list: &mut Vec<T>, most: usize) {
        self.counts.addresses_refused += u64::try_from(list.len().saturating_sub(most)).unwrap_or(u64::MAX);
        list.truncate(most);
    }

    fn remove(&mut self, resource: Resource, uid: Uid) -> bool {
        let addresses = match resource {
            Resource::Services => self.services.remove(&uid).map(|known| {
                self.give_back_node_ports(uid, &known);
                known.addresses
            }),
            Resource::EndpointSlices => self.slices.remove(&uid).map(|known| known.addresses),
            Resource::Nodes => self.nodes.remove(&uid).map(|known| known.addresses),
            Resource::Pods | Resource::Jobs => None,
        };
        let Some(addresses) = addresses else { return false };
        self.addresses.replace((resource, uid), &addresses, []);
        true
    }

    /// What the last listing of a kind did not have exists no more.
    fn forget_unlisted(&mut self, resource: Resource, now: Nanos) {
        let (current, _) = self.listings[resource.index()];
        let unlisted: Vec<Uid> = match resource {
            Resource::Pods => unlisted(&self.pods, |known| known.listing == current),
            Resource::Services => unlisted(&self.services, |known| known.listing == current),
            Resource::EndpointSlices => unlisted(&self.slices, |known| known.listing == current),
            Resource::Nodes => unlisted(&self.nodes, |known| known.listing == current),
            Resource::Jobs => Vec::new(),
        };
        for uid in unlisted {
            match resource {
                Resource::Pods => self.end_pod(uid, End::Missing(now)),
                _ => self.remove(resource, uid),
            };
        }
    }
}

fn forget_mirror(mirrors: &mut HashMap<Uid, Uid>, uid: Uid, pod: &Pod) {
    if let Some(fixed) = pod.static_uid.as_deref().map(Uid::parse)
        && mirrors.get(&fixed) == Some(&uid)
    {
        mirrors.remove(&fixed);
    }
}

fn unlisted<T>(objects: &HashMap<Uid, T>, is_listed: impl Fn(&T) -> bool) -> Vec<Uid> {
    objects.iter().filter(|(_, known)| !is_listed(known)).map(|(uid, _)| *uid).collect()
}

/// Bytes of a table: an entry, and one byte that tells whether it is one.
fn table_bytes<K, V>(table: &HashMap<K, V>) -> usize {
    table.capacity() * (size_of::<(K, V)>() + 1)
}

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
