//! Who has an address of the cluster, as a service.

use std::{net::SocketAddr, sync::Arc};

use hashbrown::HashMap;

use super::{
    kubernetes::{AppLabels, Cluster, Peer, Port, Transport, naming},
    service::{Service, ServiceId, Services},
};
use crate::{semconv, time::Nanos};

/// Answers remembered.
const LIMIT: usize = 8192;

/// Answers, for as long as the cluster stays as it is.
#[derive(Debug, Default)]
pub struct Remote {
    known: HashMap<SocketAddr, Option<ServiceId>>,
    revision: u64,
}

impl Remote {
    /// The service that an address belongs to.
    pub fn of(
        &mut self,
        address: SocketAddr,
        cluster: &Cluster,
        labels: AppLabels,
        services: &mut Services,
        now: Nanos,
    ) -> Option<ServiceId> {
        if self.revision != cluster.revision() || self.known.len() >= LIMIT {
            self.known.clear();
            self.revision = cluster.revision();
        }
        if let Some(known) = self.known.get(&address) {
            return *known;
        }
        let service = peer(cluster, address).and_then(|peer| service(&peer, labels));
        let id = service.map(|service| {
            let id = services.intern(service);
            // It is nobody here: it stays for as long as anything refers to it.
            services.gone(id, now);
            id
        });
        let id = id.filter(|id| *id != ServiceId::UNKNOWN);
        self.known.insert(address, id);
        id
    }

    /// Forgets all answers.
    pub fn clear(&mut self) {
        self.known.clear();
    }
}

/// Who has an address.
pub fn peer(cluster: &Cluster, address: SocketAddr) -> Option<Peer> {
    cluster.peer(address.ip(), Port { number: address.port(), transport: Transport::Tcp })
}

/// A peer by its best name: what a pod of this node goes by, its service's, its pod's, its node's.
fn service(peer: &Peer, labels: AppLabels) -> Option<Service> {
    let local = peer.local.as_ref().map(|pod| naming(pod, None, labels).name);
    let known = [&peer.service, &peer.pod, &peer.node].into_iter().flatten().map(|name| &**name);
    let name = local.into_iter().chain(known).find(|name| !name.is_empty())?;
    let namespace = peer.namespace.iter().map(|namespace| (semconv::K8S_NAMESPACE_NAME, Arc::clone(namespace)));
    Some(Service { identifying: namespace.collect(), ..Service::named(name) })
}
