//! TCP connections: how many, how they end, what passes on them and how well.

use std::time::Duration;

use redtap_ebpf::Totals;

use super::{
    budget::{Budget, Series, Table},
    measure::{CONNECT, LIFE, Merge, ROUND_TRIP, observe},
    peer::Peer,
};
pub use crate::flow::{CLOSE_REASONS, CONNECT_FAILURES, CloseReason, ConnectFailure};
use crate::{exchange::Role, identity::ServiceId, red::Histogram};

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

/// A series of connections; it stays for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesId(u32);

impl SeriesId {
    /// As a number other than 0.
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

/// What was measured of the connections of a series. Pairs are `[sent, received]`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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
    /// Place of its [`Failures`], if there are any.
    pub failures: Option<u32>,
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
pub struct Tcp {
    series: Table<PeerLabels, TcpStats>,
    failures: Vec<Failures>,
}

impl Tcp {
    /// No series yet.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        Self { series: Table::new(budget), failures: Vec::new() }
    }

    /// The series of `key`, or the overflow series that takes it.
    pub fn series(&mut self, key: &TcpKey) -> SeriesId {
        let labels = PeerLabels { peer: key.peer, port: key.port };
        let place = self.series.place(key.service, key.role, &labels, || labels);
        SeriesId(u32::try_from(place).unwrap_or(u32::MAX))
    }

    /// The measurements of a series.
    pub fn get_mut(&mut self, id: SeriesId) -> Option<&mut TcpStats> {
        self.series.get_mut(usize::try_from(id.0).ok()?)
    }

    /// A connect failed.
    pub fn failed(&mut self, id: SeriesId, cause: ConnectFailure, after: Option<Duration>) {
        let next = u32::try_from(self.failures.len()).ok();
        let Some(stats) = self.get_mut(id) else { return };
        let is_first = stats.failures.is_none();
        let place = stats.failures.or(next);
        stats.failures = place;
        if is_first {
            self.failures.push(Failures::default());
        }
        let place = place.and_then(|place| usize::try_from(place).ok());
        let Some(failures) = place.and_then(|place| self.failures.get_mut(place)) else { return };
        failures.count[cause as usize] += 1;
        if let Some(after) = after {
            observe(&mut failures.after[cause as usize], &CONNECT, after);
        }
    }

    /// All series.
    #[must_use]
    pub const fn table(&self) -> &Table<PeerLabels, TcpStats> {
        &self.series
    }

    /// Failures of the series that have any; [`TcpStats::failures`] is a place in it.
    #[must_use]
    pub fn failures(&self) -> &[Failures] {
        &self.failures
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

    /// A connection ended.
    pub fn close(&mut self, reason: CloseReason, lasted: Option<Duration>) {
        self.closed[reason as usize] += 1;
        if let Some(lasted) = lasted {
            observe(&mut self.life, &LIFE, lasted);
        }
    }
}

impl Merge for TcpStats {
    /// Failures, which lie apart, excepted.
    fn merge(&mut self, other: &Self) {
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
