//! The graph of services: whose requests go to whom.

use std::time::Duration;

use hashbrown::HashMap;

use super::{
    measure::{Merge, observe},
    peer::Peer,
};
use crate::{
    exchange::Role,
    red::{DURATION, Histogram},
};

/// An edge of the graph of services; it stays for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EdgeId(u32);

/// Both ends of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestKey {
    /// Whose requests they are.
    pub client: Peer,
    /// Who answers them.
    pub server: Peer,
}

/// Requests between two ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestEdge {
    /// The ends; `None`: those of all edges beyond the limit.
    pub key: Option<RequestKey>,
    /// What was measured.
    pub stats: RequestStats,
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

/// All edges, at most a limit of them and one that takes the rest.
#[derive(Debug)]
pub struct Requests {
    limit: usize,
    all: Vec<RequestEdge>,
    index: HashMap<Option<RequestKey>, EdgeId>,
    overflowed: u64,
}

impl Requests {
    /// No edge yet.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, all: Vec::new(), index: HashMap::new(), overflowed: 0 }
    }

    /// The edge between two ends, or the one that takes it, which is counted.
    pub fn edge(&mut self, key: RequestKey) -> EdgeId {
        if let Some(id) = self.index.get(&Some(key)) {
            return *id;
        }
        if self.entries() < self.limit {
            return self.insert(Some(key));
        }
        self.overflowed += 1;
        self.index.get(&None).copied().unwrap_or_else(|| self.insert(None))
    }

    /// What was measured of an edge.
    pub fn get_mut(&mut self, id: EdgeId) -> Option<&mut RequestStats> {
        self.all.get_mut(usize::try_from(id.0).ok()?).map(|edge| &mut edge.stats)
    }

    /// All edges, in order of appearance.
    #[must_use]
    pub fn all(&self) -> &[RequestEdge] {
        &self.all
    }

    /// Edges, without the one that takes the rest.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.all.len() - usize::from(self.index.contains_key(&None))
    }

    /// Most of them.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// How often an edge was refused.
    #[must_use]
    pub const fn overflowed(&self) -> u64 {
        self.overflowed
    }

    fn insert(&mut self, key: Option<RequestKey>) -> EdgeId {
        let id = u32::try_from(self.all.len()).map_or(EdgeId::NONE, EdgeId);
        self.all.push(RequestEdge { key, stats: RequestStats::default() });
        self.index.insert(key, id);
        id
    }
}

impl EdgeId {
    /// No edge: what is told of it is nowhere.
    pub const NONE: Self = Self((1 << 31) - 2);

    /// As a number other than 0, below 2³¹.
    #[must_use]
    pub const fn tag(self) -> u32 {
        self.0 + 1
    }

    /// From that number; 0 is none.
    #[must_use]
    pub const fn from_tag(tag: u32) -> Option<Self> {
        match tag.checked_sub(1) {
            Some(place) => Some(Self(place)),
            None => None,
        }
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
