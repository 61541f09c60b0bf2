//! Objects as they are kept: with what they claim, and when they were last seen to be there.

use std::{net::IpAddr, sync::Arc};

use super::{
    peers::{Peer, Port, Slice},
    pod::Pod,
};
use crate::time::Nanos;

/// A pod and what it claims.
#[derive(Debug)]
pub(super) struct KnownPod {
    pub(super) pod: Arc<Pod>,
    pub(super) addresses: Box<[IpAddr]>,
    /// The last listing that it was in.
    pub(super) listing: u32,
    pub(super) end: End,
}

/// Whether a pod exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It does.
    NotYet,
    /// It was not in a list, which may have been an old one.
    Missing(Nanos),
    /// It was deleted. What still tells of it is old.
    Deleted(Nanos),
}

impl KnownPod {
    pub(super) fn is_alive(&self) -> bool {
        self.end == End::NotYet && !self.pod.finished
    }

    pub(super) const fn ended(&self) -> Option<Nanos> {
        match self.end {
            End::NotYet => None,
            End::Missing(since) | End::Deleted(since) => Some(since),
        }
    }

    /// Whether the pod cannot be any more what it is said to be: neither of its ends is taken back.
    pub(super) fn is_newer_than(&self, said: &Pod) -> bool {
        matches!(self.end, End::Deleted(_)) || (self.pod.finished && !said.finished)
    }
}

/// Another object and what it claims.
#[derive(Debug)]
pub(super) struct Known<T> {
    pub(super) value: T,
    pub(super) addresses: Box<[IpAddr]>,
    pub(super) listing: u32,
}

/// What is kept of a service.
pub(super) type KnownService = Known<ServiceNames>;

/// What is kept of a [`Slice`]: its endpoints are in their claims.
pub(super) type KnownSlice = Known<Slice>;

#[derive(Debug)]
pub(super) struct ServiceNames {
    pub(super) name: Arc<str>,
    pub(super) namespace: Arc<str>,
    pub(super) ports: Box<[Port]>,
    pub(super) node_ports: Box<[Port]>,
}

impl KnownService {
    pub(super) fn peer(&self) -> Peer {
        Peer::service(Arc::clone(&self.value.name), Arc::clone(&self.value.namespace))
    }
}
