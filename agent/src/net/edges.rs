//! The graph of connections: who connected to whom, by address, and what passed.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{peer::Peer, recent::Recent};
use crate::{exchange::Role, identity::ServiceId, red::Merge};

/// Both ends of a connection, as the observed one sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Side that the observed end is on.
    pub role: Role,
    /// Its service.
    pub service: ServiceId,
    /// The end that connected.
    pub client: SocketAddr,
    /// The end that accepted.
    pub server: SocketAddr,
    /// What is known of the client.
    pub client_peer: Peer,
    /// What is known of the server.
    pub server_peer: Peer,
}

/// What happened on a connection since the last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EdgeChange {
    /// Connections that came about.
    pub opened: u64,
    /// Connections that ended.
    pub closed: u64,
    /// Connections that turned out to be used for long.
    pub persistent: u64,
    /// Payload bytes from the client.
    pub sent: u64,
    /// Payload bytes from the server.
    pub received: u64,
    /// Life of the connections that ended.
    pub lasted: Duration,
    /// Segments that the observed end sent again.
    pub retransmits: u64,
    /// When, in nanoseconds since 1970.
    pub at: u64,
}

/// What tells one edge from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EdgeKey {
    /// Address of the end that connected.
    pub client: IpAddr,
    /// Address of the end that accepted.
    pub server: IpAddr,
    /// Its port.
    pub port: u16,
}

/// An edge. Both ends may be observed, and each tells of the same connections: what they told is kept apart.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    /// What is known of the client.
    pub client: Peer,
    /// What is known of the server.
    pub server: Peer,
    told: [EdgeCounts; 2],
}

/// Connections of an edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EdgeCounts {
    /// Connections that came about.
    pub opened: u64,
    /// Connections that ended.
    pub closed: u64,
    /// Connections open now.
    pub active: u64,
    /// Connections that turned out to be used for long.
    pub persistent: u64,
    /// Payload bytes from the client.
    pub sent: u64,
    /// Payload bytes from the server.
    pub received: u64,
    /// Life of the ended connections, summed.
    pub lasted: Duration,
    /// The longest of them.
    pub longest: Duration,
    /// Segments sent again, by the observed ends.
    pub retransmits: u64,
    /// When something last happened, in nanoseconds since 1970.
    pub at: u64,
}

/// All edges.
pub type Edges = Recent<EdgeKey, Edge>;

impl EdgeKey {
    /// That of a connection; IPv4-mapped addresses are the IPv4 addresses that they map.
    #[must_use]
    pub fn of(ends: &Ends) -> Self {
        Self {
            client: ends.client.ip().to_canonical(),
            server: ends.server.ip().to_canonical(),
            port: ends.server.port(),
        }
    }
}

impl Edge {
    /// Nothing happened on it yet.
    #[must_use]
    pub fn new(ends: &Ends) -> Self {
        Self { client: ends.client_peer, server: ends.server_peer, told: Default::default() }
    }

    /// Takes in what an end tells. The newest name is the one, unless less is known than was before.
    pub fn add(&mut self, ends: &Ends, change: &EdgeChange) {
        for (known, told) in [(&mut self.client, ends.client_peer), (&mut self.server, ends.server_peer)] {
            if told.rank() >= known.rank() {
                *known = told;
            }
        }
        self.told[ends.role as usize].add(change);
    }

    /// What both ends told, as one: an end that was observed later, or lost track, knows less than the other. What was
    /// sent again is what either sent again.
    #[must_use]
    pub fn counts(&self) -> EdgeCounts {
        let [server, client] = self.told;
        EdgeCounts {
            opened: server.opened.max(client.opened),
            closed: server.closed.max(client.closed),
            active: server.active.max(client.active),
            persistent: server.persistent.max(client.persistent),
            sent: server.sent.max(client.sent),
            received: server.received.max(client.received),
            lasted: server.lasted.max(client.lasted),
            longest: server.longest.max(client.longest),
            retransmits: server.retransmits.saturating_add(client.retransmits),
            at: server.at.max(client.at),
        }
    }
}

impl EdgeCounts {
    /// A connection whose beginning is not among the opened (its edge was given up meanwhile) is not among the active.
    fn add(&mut self, change: &EdgeChange) {
        self.opened += change.opened;
        self.closed += change.closed;
        self.active = (self.active + change.opened).saturating_sub(change.closed);
        self.persistent += change.persistent;
        self.sent.merge(&change.sent);
        self.received.merge(&change.received);
        self.lasted = self.lasted.saturating_add(change.lasted);
        self.longest = self.longest.max(change.lasted);
        self.retransmits.merge(&change.retransmits);
        self.at = self.at.max(change.at);
    }
}
