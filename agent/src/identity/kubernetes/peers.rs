//! What claims addresses, besides this node's pods: services, slices of their endpoints, and nodes.

use std::{net::IpAddr, sync::Arc};

use super::{pod::Pod, uid::Uid};

/// A port of a service or of its endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// What is spoken there.
    pub transport: Transport,
}

/// Transport protocols that have sockets here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP, which is meant where nothing is said.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// A Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its UID.
    pub uid: Uid,
    /// Its name.
    pub name: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// `clusterIPs`: none of a headless service.
    pub cluster_ips: Vec<IpAddr>,
    /// `externalIPs`, and those of its load balancer. Services, and nodes, may share them.
    pub external_ips: Vec<IpAddr>,
    /// Its ports.
    pub ports: Vec<Port>,
    /// Those that it has on every node.
    pub node_ports: Vec<Port>,
}

/// An EndpointSlice: some of a service's endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Its UID.
    pub uid: Uid,
    /// Its namespace, which is the service's and the pods'.
    pub namespace: Arc<str>,
    /// The service; `None`: none that is named.
    pub service: Option<Arc<str>>,
    /// The endpoints' ports; empty: any.
    pub ports: Vec<Port>,
    /// The endpoints, ready or not.
    pub endpoints: Vec<Endpoint>,
}

impl Slice {
    /// Whether the endpoints have this port.
    pub(super) fn has(&self, port: Port) -> bool {
        self.ports.is_empty() || self.ports.contains(&port)
    }
}

/// An endpoint of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address.
    pub address: IpAddr,
    /// UID and name of the pod that it is; `None`: it is something else, or outside the cluster.
    pub pod: Option<(Uid, Arc<str>)>,
    /// The node that it is on.
    pub node: Option<Arc<str>>,
}

/// A Node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its UID.
    pub uid: Uid,
    /// Its name.
    pub name: Arc<str>,
    /// Its addresses, internal and external.
    pub addresses: Vec<IpAddr>,
}

/// Who an address is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What it is.
    pub kind: PeerKind,
    /// The namespace of service and pod; a node has none.
    pub namespace: Option<Arc<str>>,
    /// The service: the one addressed, or one that the pod is behind.
    pub service: Option<Arc<str>>,
    /// The pod.
    pub pod: Option<Arc<str>>,
    /// The node that it is, or is on.
    pub node: Option<Arc<str>>,
    /// All that is known of the pod, if it is on this node.
    pub local: Option<Arc<Pod>>,
}

/// What an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerKind {
    /// A pod.
    Pod,
    /// A service: by an address of its own, by a port on a node, or by an endpoint that is no pod.
    Service,
    /// A node, or one of the pods on its network.
    Node,
}
