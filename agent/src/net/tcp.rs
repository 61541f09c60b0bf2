//! TCP connections: how many, how they end, what passes on them and how well.

use std::time::Duration;

use redtap_ebpf::Totals;

use super::{
    measure::{CONNECT, LIFE, ROUND_TRIP, observe},
    peer::Peer,
};
pub use crate::flow::{CLOSE_REASONS, CONNECT_FAILURES, CloseReason, ConnectFailure};
use crate::{
    exchange::Role,
    identity::ServiceId,
    red::{Histogram, Merge},
    series::{Budget, Place, Series, Table},
};

/// Which series a connection belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TcpKey {
    /// The service at this end.
    pub service: ServiceId,
    /// Client: this end connected; server: it accepted.
    pub role: Role,
    /// The other end.
    pub peer: Peer,
    /// The server's port.
    pub port: u16,
}

/// The labels of a series of connections, or of datagrams, other than its service and role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerLabels {
    /// The other end.
    pub peer: Peer,
    /// The server's port.
    pub port: u16,
}

/// What was measured of the connections of a series. Pairs are `[sent, received]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TcpStats {
    /// Connections that came about.
    pub opened: u64,
    /// Connections that ended, by [`CLOSE_REASONS`].
    pub closed: [u64; CLOSE_REASONS.len()],
    /// Connections open now.
    pub active: i64,
    /// SYN to the completed handshake, of clients.
    pub connect: Histogram<16>,
    /// Lives of ended connections.
    pub life: Histogram<12>,
    /// Smoothed round-trip times, one for each time the kernel told it.
    pub round_trip: Histogram<16>,
    /// Distinct payload bytes.
    pub bytes: [u64; 2],
    /// Segments with payload, repeated ones included.
    pub segments: [u64; 2],
    /// Segments sent again.
    pub retransmits: u64,
    /// Payload bytes that had passed before.
    pub duplicate: [u64; 2],
    /// Payload bytes received before bytes that precede them.
    pub out_of_order: u64,
    /// Nanoseconds for which a receive window was full: the peer's, this end's.
    pub window_full: [u64; 2],
    /// Connects that failed, if any did.
    pub failures: Option<Box<Failures>>,
}

/// Connects that failed, by [`CONNECT_FAILURES`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Failures {
    /// How many.
    pub count: [u64; CONNECT_FAILURES.len()],
    /// SYN to the failure, where it was seen.
    pub after: [Histogram<16>; CONNECT_FAILURES.len()],
}

/// A series of connections.
pub type TcpSeries = Series<PeerLabels, TcpStats>;

/// All series of connections.
#[derive(Debug)]
pub struct Tcp(Table<PeerLabels, TcpStats>);

impl Tcp {
    /// No series yet.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        Self(Table::new(budget))
    }

    /// The series of `key`, or the overflow series that takes it.
    pub fn series(&mut self, key: &TcpKey) -> Place {
        let labels = PeerLabels { peer: key.peer, port: key.port };
        self.0.place(key.service, key.role, &labels, || labels)
    }

    /// The measurements of a series.
    pub fn get_mut(&mut self, place: Place) -> Option<&mut TcpStats> {
        self.0.get_mut(place)
    }

    /// All series.
    #[must_use]
    pub const fn table(&self) -> &Table<PeerLabels, TcpStats> {
        &self.0
    }

    /// All series, to let the silent go.
    pub const fn table_mut(&mut self) -> &mut Table<PeerLabels, TcpStats> {
        &mut self.0
    }
}

impl TcpStats {
    /// A connection came about.
    pub fn open(&mut self, connect: Option<Duration>) {
        self.opened += 1;
        if let Some(connect) = connect {
            observe(&mut self.connect, &CONNECT, connect);
        }
    }

    /// What passed since the last time.
    pub fn progress(&mut self, delta: &Totals, round_trip: Option<Duration>) {
        self.bytes.merge(&[delta.tx_bytes, delta.rx_bytes]);
        self.segments.merge(&[u64::from(delta.tx_segments), u64::from(delta.rx_segments)]);
        self.retransmits.merge(&u64::from(delta.retransmits));
        self.duplicate.merge(&[delta.tx_duplicate, delta.rx_duplicate]);
        self.out_of_order.merge(&delta.rx_out_of_order);
        self.window_full.merge(&[delta.tx_full_ns, delta.rx_full_ns]);
        if let Some(round_trip) = round_trip {
            observe(&mut self.round_trip, &ROUND_TRIP, round_trip);
        }
    }

    /// A connect failed.
    pub fn fail(&mut self, cause: ConnectFailure, after: Option<Duration>) {
        let failures = self.failures.get_or_insert_default();
        failures.count[cause as usize] += 1;
        if let Some(after) = after {
            observe(&mut failures.after[cause as usize], &CONNECT, after);
        }
    }

    /// A connection ended.
    pub fn close(&mut self, reason: CloseReason, lasted: Option<Duration>) {
        self.closed[reason as usize] += 1;
        if let Some(lasted) = lasted {
            observe(&mut self.life, &LIFE, lasted);
        }
    }
}

impl Merge for TcpStats {
    fn merge(&mut self, other: &Self) {
        if let Some(failures) = &other.failures {
            self.failures.get_or_insert_default().merge(failures);
        }
        self.opened += other.opened;
        self.closed.merge(&other.closed);
        self.active += other.active;
        self.connect.merge(&other.connect);
        self.life.merge(&other.life);
        self.round_trip.merge(&other.round_trip);
        self.bytes.merge(&other.bytes);
        self.segments.merge(&other.segments);
        self.retransmits.merge(&other.retransmits);
        self.duplicate.merge(&other.duplicate);
        self.out_of_order.merge(&other.out_of_order);
        self.window_full.merge(&other.window_full);
    }
}

impl Merge for Failures {
    fn merge(&mut self, other: &Self) {
        self.count.merge(&other.count);
        self.after.merge(&other.after);
    }
}

impl CloseReason {
    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fin => "fin",
            Self::RstSent => "rst_sent",
            Self::RstReceived => "rst_received",
            Self::Timeout => "timeout",
            Self::Unknown => "unknown",
        }
    }
}

impl ConnectFailure {
    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::Reset => "reset",
            Self::Aborted => "aborted",
            Self::Other => "other",
        }
    }
}

// The tables are indexed by discriminant.
const _: () = {
    let mut index = 0;
    while index < CLOSE_REASONS.len() {
        assert!(CLOSE_REASONS[index] as usize == index);
        index += 1;
    }
    index = 0;
    while index < CONNECT_FAILURES.len() {
        assert!(CONNECT_FAILURES[index] as usize == index);
        index += 1;
    }
};
