//! From an address to who it is.

use std::{net::IpAddr, sync::Arc};

use super::{
    addresses::{Claim, Role, Target},
    known::{KnownService, KnownSlice},
    peers::{Peer, PeerKind, Port},
    pod::Pod,
    store::Cluster,
    uid::Uid,
};

impl Cluster {
    /// Who has this address, asked for because of a connection to or from this port of it.
    ///
    /// First a pod that has the address: one of this node says so itself, others are in slices of endpoints. Where
    /// the address is a node's, or may be because not all nodes are known, an endpoint counts by its port alone,
    /// for there are many pods at such an address. Then a service, by its own addresses, or by its ports on
    /// addresses that are shared and on nodes. Then a node.
    ///
    /// Of several pods said to have an address, it is the one that was seen to have it last, and none of this node
    /// that has ended. Of several services before the pod, it is the one with this port, and the first by name.
    #[must_use]
    pub fn peer(&self, address: IpAddr, port: Port) -> Option<Peer> {
        let address = address.to_canonical();
        let claims = self.addresses.of(address);
        let own = newest(claims, |claim| matches!(claim.role, Role::Pod) && self.living(claim.object.1).is_some());
        let node = newest(claims, |claim| matches!(claim.role, Role::Node));
        let is_shared = own.is_none() && (node.is_some() || !self.knows_all_nodes());
        let question = Question { cluster: self, claims, address, port, is_shared };
        question.pod(own).or_else(|| question.service()).or_else(|| question.node(node?))
    }

    /// A pod of this node that has not ended.
    pub(super) fn living(&self, uid: Uid) -> Option<&Arc<Pod>> {
        self.pods.get(&uid).filter(|known| known.is_alive()).map(|known| &known.pod)
    }
}

struct Question<'a> {
    cluster: &'a Cluster,
    claims: &'a [Claim],
    address: IpAddr,
    port: Port,
    /// The address may be that of several pods.
    is_shared: bool,
}

/// The pod that has an address.
#[derive(Clone, Copy)]
enum Holder<'a> {
    Local(Uid),
    Endpoint(&'a KnownSlice, &'a Target),
    Nobody,
}

impl<'a> Question<'a> {
    fn pod(&self, own: Option<&'a Claim>) -> Option<Peer> {
        let holder = self.holder(own);
        let before = self.slice_before(holder);
        let service = before.and_then(|slice| slice.value.service.clone());
        match holder {
            Holder::Local(uid) => Some(Peer { service, ..Peer::local(self.cluster.living(uid)?) }),
            Holder::Endpoint(slice, target) => Some(match self.cluster.living(target.uid) {
                Some(pod) => Peer { service, ..Peer::local(pod) },
                None => Peer {
                    kind: PeerKind::Pod,
                    namespace: Some(Arc::clone(&slice.value.namespace)),
                    service,
                    pod: Some(Arc::clone(&target.name)),
                    node: target.node.clone(),
                    local: None,
                },
            }),
            Holder::Nobody => Some(Peer::service(service?, Arc::clone(&before?.value.namespace))),
        }
    }

    fn holder(&self, own: Option<&'a Claim>) -> Holder<'a> {
        let pods = self.endpoints().filter_map(|(claim, slice, target)| Some((claim, slice, target?)));
        let newest =
            pods.filter(|(_, slice, target)| self.is_at(slice, target)).max_by_key(|(claim, ..)| claim.turn);
        match (own, newest) {
            (Some(own), Some((claim, ..))) if own.turn > claim.turn => Holder::Local(own.object.1),
            (_, Some((_, slice, target))) => Holder::Endpoint(slice, target),
            (Some(own), None) => Holder::Local(own.object.1),
            (None, None) => Holder::Nobody,
        }
    }

    /// Whether a slice is to be believed that a pod has the address: of one of this node, more is known than it
    /// says.
    fn is_at(&self, slice: &KnownSlice, target: &Target) -> bool {
        let names_port = slice.value.ports.contains(&self.port);
        match self.cluster.pods.get(&target.uid) {
            Some(known) => {
                let has_address = known.pod.ips.contains(&self.address);
                known.is_alive() && has_address && (names_port || !known.pod.host_network)
            }
            None => names_port || !self.is_shared,
        }
    }

    /// The slice whose service is before the holder, or before what is no pod.
    fn slice_before(&self, holder: Holder<'_>) -> Option<&'a KnownSlice> {
        let holder = match holder {
            Holder::Local(uid) => Some(uid),
            Holder::Endpoint(_, target) => Some(target.uid),
            Holder::Nobody => None,
        };
        let before = self.endpoints().filter(|(_, slice, target)| match target {
            Some(target) => holder == Some(target.uid),
            // All that is known of it are these ports.
            None => slice.value.ports.contains(&self.port) || (!self.is_shared && slice.value.has(self.port)),
        });
        let named = before.filter(|(_, slice, _)| slice.value.service.is_some());
        let first = named.min_by_key(|(_, slice, target)| {
            (!slice.value.has(self.port), target.is_none(), &slice.value.service)
        });
        first.map(|(_, slice, _)| slice)
    }

    fn endpoints(&self) -> impl Iterator<Item = (&'a Claim, &'a KnownSlice, Option<&'a Target>)> {
        self.claims.iter().filter_map(|claim| match &claim.role {
            Role::Endpoint(target) => Some((claim, self.cluster.slices.get(&claim.object.1)?, target.as_ref())),
            _ => None,
        })
    }

    fn service(&self) -> Option<Peer> {
        let services = &self.cluster.services;
        let has_port = |uid: &Uid| services.get(uid).is_some_and(|known| known.value.ports.contains(&self.port));
        let claim = newest(self.claims, |claim| match claim.role {
            Role::Cluster => true,
            Role::External => has_port(&claim.object.1),
            _ => false,
        });
        services.get(&claim?.object.1).map(KnownService::peer)
    }

    fn node(&self, claim: &Claim) -> Option<Peer> {
        let name = Arc::clone(&self.cluster.nodes.get(&claim.object.1)?.value);
        let service = self.cluster.node_ports.get(&self.port).and_then(|uid| self.cluster.services.get(uid));
        let peer = service.map_or_else(Peer::node, KnownService::peer);
        Some(Peer { node: Some(name), ..peer })
    }
}

fn newest(claims: &[Claim], wanted: impl Fn(&Claim) -> bool) -> Option<&Claim> {
    claims.iter().filter(|claim| wanted(claim)).max_by_key(|claim| claim.turn)
}

impl Peer {
    fn local(pod: &Arc<Pod>) -> Self {
        Self {
            kind: PeerKind::Pod,
            namespace: Some(Arc::clone(&pod.namespace)),
            service: None,
            pod: Some(Arc::clone(&pod.name)),
            node: Some(Arc::clone(&pod.node)),
            local: Some(Arc::clone(pod)),
        }
    }

    pub(super) const fn service(name: Arc<str>, namespace: Arc<str>) -> Self {
        Self {
            kind: PeerKind::Service,
            namespace: Some(namespace),
            service: Some(name),
            pod: None,
            node: None,
            local: None,
        }
    }

    const fn node() -> Self {
        Self { kind: PeerKind::Node, namespace: None, service: None, pod: None, node: None, local: None }
    }
}

#[cfg(test)]
mod tests;
