//! What Kubernetes knows of this node's pods, and of the cluster's addresses.
//!
//! Two halves, which know each other by one bounded channel of [`Change`]s: [`watch`] asks the API server, on
//! tokio; [`Cluster`] keeps what it said, on the reader's thread, and answers there. The bias: rather nobody than
//! somebody else. What the API server has not said yet, or may not say to us, is not known, and what it said holds
//! for as long as it is away.

mod access;
mod addresses;
mod attributes;
mod client;
mod convert;
mod course;
mod follow;
mod jobs;
mod kinds;
mod known;
mod naming;
mod objects;
mod owner;
mod pace;
mod peers;
mod pod;
mod resolve;
mod select;
mod status;
mod store;
mod texts;
mod uid;
pub mod watch;

use std::sync::Arc;

pub use self::{
    access::{Access, NoAccess},
    attributes::{Value, attributes},
    naming::{AppLabels, Image, Naming, naming},
    pace::Pace,
    peers::{Endpoint, Node, Peer, PeerKind, Port, Service, Slice, Transport},
    pod::{App, Container, ContainerKind, Owner, OwnerKind, Pod},
    select::Selection,
    status::{Failure, ResourceStatus, Status},
    store::{Cluster, Counts, GRACE, Limits},
    uid::Uid,
};

/// Kinds of objects that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// This node's pods.
    Pods,
    /// The cluster's services.
    Services,
    /// Their endpoints.
    EndpointSlices,
    /// The cluster's nodes.
    Nodes,
    /// Jobs that own pods of this node, for their CronJobs.
    Jobs,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pods, Self::Services, Self::EndpointSlices, Self::Nodes, Self::Jobs];

    /// As the API writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::Services => "services",
            Self::EndpointSlices => "endpointslices",
            Self::Nodes => "nodes",
            Self::Jobs => "jobs",
        }
    }

    /// Its place in [`Resource::ALL`].
    const fn index(self) -> usize {
        self as usize
    }
}

/// What [`watch`] tells [`Cluster`].
#[derive(Clone, Debug)]
pub enum Change {
    /// All objects of a kind follow, until [`Change::Listed`].
    Listing(Resource),
    /// They were all: those that were not among them exist no more.
    Listed(Resource),
    /// Objects of a kind may not be seen any more: nothing is known of them.
    Lost(Resource),
    /// A pod as it is now.
    Pod(Arc<Pod>),
    /// A service as it is now.
    Service(Box<Service>),
    /// A slice of endpoints as it is now.
    Slice(Box<Slice>),
    /// A node as it is now.
    Node(Box<Node>),
    /// An object that was deleted.
    Deleted(Resource, Uid),
}

/// Bytes of a shared text, with the two counters before it.
fn bytes_of(text: &Arc<str>) -> usize {
    text.len() + 2 * size_of::<usize>()
}
