//! The graph of services: whose requests go to whom.

use std::time::Duration;

use super::{measure::observe, peer::Peer};
use crate::{
    exchange::Role,
    identity::ServiceId,
    red::{DURATION, Histogram, Merge},
    series::{Budget, Place, Series, Table},
};

/// Both ends of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestKey {
    /// Whose requests they are.
    pub client: Peer,
    /// Who answers them.
    pub server: Peer,
}

/// What was measured of the requests of an edge.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RequestStats {
    /// Requests.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// Durations as the client saw them.
    pub client_seconds: Histogram<14>,
    /// Durations as the server saw them.
    pub server_seconds: Histogram<14>,
}

/// An edge; that of overflow has no labels.
pub type RequestEdge = Series<RequestKey, RequestStats>;

/// All edges, at most a limit of them and one that takes the rest. They are nobody's: both ends are labels.
#[derive(Debug)]
pub struct Requests(Table<RequestKey, RequestStats>);

impl Requests {
    /// No edge yet.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self(Table::new(Budget { per_service: limit, total: limit }))
    }

    /// The edge between two ends, or the one that takes it, which is counted.
    pub fn edge(&mut self, key: RequestKey) -> Place {
        self.0.place(ServiceId::UNKNOWN, Role::Server, &key, || key)
    }

    /// All edges.
    #[must_use]
    pub const fn table(&self) -> &Table<RequestKey, RequestStats> {
        &self.0
    }

    /// All edges, to add to them.
    pub const fn table_mut(&mut self) -> &mut Table<RequestKey, RequestStats> {
        &mut self.0
    }
}

impl RequestStats {
    /// Takes a request in, as the end on `side` saw it; see [`super::Registry::request`].
    pub fn add(&mut self, side: Role, counts: bool, failed: bool, duration: Option<Duration>, alone: bool) {
        if counts {
            self.requests += 1;
            self.failed += u64::from(failed);
        }
        let Some(duration) = duration else { return };
        if alone || side == Role::Client {
            observe(&mut self.client_seconds, &DURATION, duration);
        }
        if alone || side == Role::Server {
            observe(&mut self.server_seconds, &DURATION, duration);
        }
    }
}

impl Merge for RequestStats {
    fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.client_seconds.merge(&other.client_seconds);
        self.server_seconds.merge(&other.server_seconds);
    }
}
