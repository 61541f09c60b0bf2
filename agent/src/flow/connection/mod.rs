//! One connection: its two streams, its parser once a protocol is recognised, and what the kernel is told of it.

mod account;
mod hints;
mod recognition;

use std::net::SocketAddr;

use redtap_ebpf::{Closed, Opened, Role, Segment, closed, segment};

pub use self::account::{Account, Progress};

use super::{
    ending::CloseReason,
    pairs::Owner,
    stream::{Fed, Stream, Window},
};
use crate::{
    decode::address,
    exchange::{self, Exchange},
    protocol::{Appetite, Class, Direction, End, Output, Parser},
    time::Nanos,
};

const FIN_RX: u8 = 1;
const FIN_TX: u8 = 2;
const ENDED_RST: u8 = 4;

/// What reads a connection.
enum Reader {
    /// Nothing yet.
    Undecided {
        /// Windows that were not recognised.
        strange: u8,
        /// Segments of which it is not known whether they are parsed or opaque.
        segments: u64,
    },
    /// The parser of its protocol.
    Protocol(Box<dyn Parser>),
    /// Nothing, for good.
    Opaque,
}

/// A connection.
pub struct Flow {
    /// Local address, once told.
    pub local: Option<SocketAddr>,
    /// Peer address, once told.
    pub peer: Option<SocketAddr>,
    /// Process that owns the socket, as far as known.
    pub pid: u32,
    /// Name of the thread that connected.
    pub comm: [u8; 16],
    /// Id of the cgroup the socket belongs to; 0: not known.
    pub cgroup: u64,
    /// What it has carried, and how much of that was told.
    pub account: Account,
    /// For the use of whoever is delivered to.
    pub tags: Tags,
    /// When the last record came.
    pub touched: Nanos,
    /// A finished exchange that waits for the acknowledgement of its answer.
    pub parked: Option<Box<Exchange>>,
    /// The flow is in the table's list of those with a parked exchange.
    pub listed: bool,
    /// The kernel was told of this flow.
    pub hinted: bool,
    rx: Stream,
    tx: Stream,
    reader: Reader,
    from_start: bool,
    first_fin: Option<Direction>,
    rst_from: Option<Direction>,
    /// A record was lost since the last received segment: a hole before the next is likely its.
    doubtful: bool,
    /// Bits of FIN and RST seen.
    ended: u8,
    version: u32,
    told: u32,
    told_skip: [u64; 2],
    bulk_since: [Option<u64>; 2],
}

impl Default for Flow {
    fn default() -> Self {
        Self {
            local: None,
            peer: None,
            pid: 0,
            comm: [0; 16],
            cgroup: 0,
            account: Account::default(),
            tags: Tags::default(),
            touched: Nanos(0),
            parked: None,
            listed: false,
            hinted: false,
            rx: Stream::default(),
            tx: Stream::default(),
            reader: Reader::Undecided { strange: 0, segments: 0 },
            from_start: false,
            first_fin: None,
            rst_from: None,
            doubtful: false,
            ended: 0,
            version: 0,
            told: 0,
            told_skip: [0; 2],
            bulk_since: [None; 2],
        }
    }
}

/// Whoever is delivered to keeps these with a connection: zero until set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// For what becomes of the connection.
    pub connection: u32,
    /// For what becomes of its exchanges.
    pub exchanges: u32,
    /// For what becomes of the stream that it has turned into.
    pub stream: u32,
    /// Nobody wants to know of it.
    pub is_ignored: bool,
    /// Whether it is known whom the peer's address stands for.
    pub translation: Translation,
}

/// Whether it is known whom a peer's address stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Translation {
    /// Nobody thought of it yet.
    #[default]
    Unasked,
    /// It was asked for.
    Asked,
    /// It stands for itself, or the one it stands for is known.
    Known,
}

/// A connection whose peer's address may stand for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untranslated {
    /// The socket's cookie.
    pub cookie: u64,
    /// Which end it is: a client's peer may stand for the server behind it, a server's for the client.
    pub role: exchange::Role,
    /// The socket's own address.
    pub local: SocketAddr,
    /// Its peer's.
    pub peer: SocketAddr,
}

/// What the books say of segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Segments now known to be parsed.
    pub parsed: u64,
    /// Segments now known to be opaque.
    pub opaque: u64,
}

impl Flow {
    /// Whose socket it is.
    #[must_use]
    pub const fn owner(&self) -> Owner {
        Owner { pid: self.pid, comm: self.comm, cgroup: self.cgroup }
    }

    /// The connection's addresses, role and first sequence numbers.
    pub fn opened(&mut self, opened: &Opened) {
        self.local = Some(address(opened.local, opened.local_port));
        self.peer = Some(address(opened.peer, opened.peer_port));
        if opened.pid != 0 {
            self.pid = opened.pid;
        }
        self.comm = opened.comm;
        if opened.cgroup != 0 {
            self.cgroup = opened.cgroup;
        }
        self.account.opened(opened);
        if opened.role != Role::Unknown as u8 && !self.rx.is_started() && !self.tx.is_started() {
            self.from_start = true;
            self.rx.start(opened.rx_seq);
            self.tx.start(opened.tx_seq);
        }
    }

    /// What it counts as.
    #[must_use]
    pub fn class(&self) -> Class {
        match &self.reader {
            Reader::Undecided { .. } => Class::Undecided,
            Reader::Protocol(parser) => parser.class(),
            Reader::Opaque => Class::Opaque,
        }
    }

    /// Whether nothing waits on it.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        match &self.reader {
            Reader::Protocol(parser) => parser.is_idle(),
            Reader::Undecided { .. } | Reader::Opaque => true,
        }
    }

    /// Whether FIN went both ways, or RST one.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.ended & ENDED_RST != 0 || self.ended & (FIN_RX | FIN_TX) == FIN_RX | FIN_TX
    }

    /// Bytes of payload and of unfinished exchanges that are kept.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        let parser = match &self.reader {
            Reader::Protocol(connection) => connection.kept_bytes(),
            Reader::Undecided { .. } | Reader::Opaque => 0,
        };
        self.rx.kept_bytes() + self.tx.kept_bytes() + parser
    }

    /// Segments whose place in the books waits for a verdict.
    #[must_use]
    pub const fn undecided_segments(&self) -> u64 {
        match self.reader {
            Reader::Undecided { segments, .. } => segments,
            Reader::Protocol(_) | Reader::Opaque => 0,
        }
    }

    /// Takes a window of a segment.
    pub fn segment(&mut self, header: &Segment, bytes: &[u8], output: &mut Output) -> Verdict {
        let direction = if header.flags & segment::EGRESS != 0 { Direction::Tx } else { Direction::Rx };
        let time = Nanos(header.time);
        self.touched = time;
        if header.pid != 0 {
            self.pid = header.pid;
        }
        if header.cgroup != 0 {
            self.cgroup = header.cgroup;
        }
        self.account.segment(header);
        output.counters = self.account.counters();
        if header.flags & segment::LOSS != 0 {
            self.note_loss();
            self.doubtful = true;
        }
        if header.picked_up != 0
            && let Reader::Protocol(connection) = &mut self.reader
        {
            connection.picked_up(Nanos(header.picked_up));
        }
        let mut verdict = Verdict::default();
        if header.length > 0 {
            let window = Window { seq: header.seq, offset: header.offset, length: header.length, bytes, time };
            let counted = u64::from(header.flags & segment::FIRST != 0);
            verdict = self.payload(direction, &window, counted, output);
        }
        if header.flags & (segment::FIN | segment::RST) != 0 {
            self.half_ends(direction, header, output);
        }
        verdict
    }

    fn payload(
        &mut self,
        direction: Direction,
        window: &Window<'_>,
        counted: u64,
        output: &mut Output,
    ) -> Verdict {
        let stream = match direction {
            Direction::Rx => &mut self.rx,
            Direction::Tx => &mut self.tx,
        };
        if !stream.is_started() {
            stream.start(window.seq);
        }
        match &mut self.reader {
            Reader::Opaque => {
                stream.reaches(window.seq, window.length);
                Verdict { parsed: 0, opaque: counted }
            }
            Reader::Undecided { segments, .. } => {
                *segments += counted;
                self.undecided(direction, window, output)
            }
            Reader::Protocol(connection) => {
                let (stream, other) = match direction {
                    Direction::Rx => (&mut self.rx, &mut self.tx),
                    Direction::Tx => (&mut self.tx, &mut self.rx),
                };
                other.settle(direction.other(), &mut **connection, output);
                if self.doubtful {
                    other.give_up_rest(direction.other(), &mut **connection, output);
                }
                if other.holds() {
                    other.release(direction.other(), &mut **connection, output);
                }
                let hole = direction == Direction::Rx
                    && !self.doubtful
                    && stream.leaves_hole(window)
                    && connection.appetite(direction) == Appetite::Bytes;
                if hole && stream.hold(window) {
                    return Verdict { parsed: counted, opaque: 0 };
                }
                let mut fed = Fed::Parsed;
                if hole {
                    fed = stream.release(direction, &mut **connection, output);
                }
                if fed == Fed::Parsed {
                    fed = stream.feed(direction, window, &mut **connection, output);
                }
                if fed == Fed::Invalid {
                    self.reader = Reader::Opaque;
                }
                self.doubtful &= direction == Direction::Tx;
                Verdict { parsed: counted, opaque: 0 }
            }
        }
    }

    const fn stream(&mut self, direction: Direction) -> &mut Stream {
        match direction {
            Direction::Rx => &mut self.rx,
            Direction::Tx => &mut self.tx,
        }
    }

    /// Records of the connection were lost.
    pub fn note_loss(&mut self) {
        match &mut self.reader {
            Reader::Protocol(connection) => connection.note_loss(),
            Reader::Undecided { .. } => self.from_start = false,
            Reader::Opaque => {}
        }
    }

    /// FIN or RST. A RST is believed at once only where the kernel does not tell of the end: anybody can forge one
    /// that the socket then ignores.
    fn half_ends(&mut self, direction: Direction, header: &Segment, output: &mut Output) {
        let is_fin = header.flags & segment::FIN != 0;
        if is_fin && self.first_fin.is_none() {
            self.first_fin = Some(direction);
        }
        if !is_fin {
            self.rst_from.get_or_insert(direction);
        }
        self.ended |= match (is_fin, direction) {
            (false, _) => ENDED_RST,
            (true, Direction::Rx) => FIN_RX,
            (true, Direction::Tx) => FIN_TX,
        };
        let stream = self.stream(direction);
        // The number of a RST that follows a FIN is one beyond the stream.
        if is_fin && stream.is_started() {
            stream.reaches(header.seq, header.length);
        }
        let mut end = self.end(Nanos(header.time));
        let Reader::Protocol(connection) = &mut self.reader else { return };
        if !is_fin {
            if !self.from_start {
                end.rst = Some(direction);
                connection.close(&end, output);
            }
            return;
        }
        let stream = if direction == Direction::Rx { &self.rx } else { &self.tx };
        if connection.is_from_server(direction) && !stream.holds() {
            connection.server_closes(&end, output);
        } else if !self.from_start && self.ended & (FIN_RX | FIN_TX) == FIN_RX | FIN_TX {
            connection.close(&end, output);
        }
    }

    fn end(&self, time: Nanos) -> End {
        End { time, first_fin: self.first_fin, rst: None, rx_end: self.rx.end(), tx_end: self.tx.end() }
    }

    /// The kernel tells the connection's end.
    pub fn closed(&mut self, closed: &Closed, output: &mut Output) -> Verdict {
        if closed.flags & closed::LOSS != 0 {
            self.note_loss();
        }
        if closed.pid != 0 {
            self.pid = closed.pid;
        }
        let mut end = self.end(Nanos(closed.time));
        if self.rx.is_started() {
            end.rx_end = end.rx_end.max(self.rx.position(closed.rx_next));
        }
        if self.tx.is_started() {
            end.tx_end = end.tx_end.max(self.tx.position(closed.tx_next));
        }
        end.first_fin = end.first_fin.or(match closed.flags {
            flags if flags & closed::FIN_SENT != 0 => Some(Direction::Tx),
            flags if flags & closed::FIN_RECEIVED != 0 => Some(Direction::Rx),
            _ => None,
        });
        end.rst = match closed.flags {
            flags if flags & closed::RST_RECEIVED != 0 => Some(Direction::Rx),
            flags if flags & closed::RST_SENT != 0 => Some(Direction::Tx),
            // A socket that closes with neither of them seen was broken off at this end: its RST comes after the
            // state changes, or not at all. Not so where the peer has vanished.
            _ if end.first_fin.is_none() && closed.unanswered == 0 => Some(Direction::Tx),
            _ => None,
        };
        let _ = self.account.totals(&closed.totals);
        self.ends(&end, closed.picked_up, output)
    }

    /// What it has carried since that was last told, if anything.
    #[must_use]
    pub fn progress(&mut self) -> Option<Progress> {
        self.account.streams(self.rx.passed(), self.tx.passed());
        self.account.progress()
    }

    /// How it ended, as far as FIN and RST tell.
    #[must_use]
    pub const fn ended_by(&self) -> CloseReason {
        match (self.ended & ENDED_RST != 0, self.ended & (FIN_RX | FIN_TX)) {
            (true, _) => match self.rst_from {
                Some(Direction::Tx) => CloseReason::RstSent,
                _ => CloseReason::RstReceived,
            },
            (false, 0) => CloseReason::Unknown,
            (false, _) => CloseReason::Fin,
        }
    }

    /// The connection is forgotten, or the agent stops: what waits on it ends as it is.
    pub fn forgotten(&mut self, now: Nanos, output: &mut Output) -> Verdict {
        self.note_loss();
        let end = self.end(now);
        if let Reader::Protocol(connection) = &mut self.reader {
            self.rx.release(Direction::Rx, &mut **connection, output);
            connection.abandon(&end, output);
        }
        let verdict = Verdict { parsed: 0, opaque: self.undecided_segments() };
        self.reader = Reader::Opaque;
        verdict
    }

    fn ends(&mut self, end: &End, picked_up: u64, output: &mut Output) -> Verdict {
        let verdict = Verdict { parsed: 0, opaque: self.undecided_segments() };
        if let Reader::Protocol(connection) = &mut self.reader {
            if picked_up != 0 {
                connection.picked_up(Nanos(picked_up));
            }
            self.rx.settle(Direction::Rx, &mut **connection, output);
            self.tx.settle(Direction::Tx, &mut **connection, output);
            self.rx.release(Direction::Rx, &mut **connection, output);
            connection.close(end, output);
        }
        self.reader = Reader::Opaque;
        verdict
    }

    /// Tells exchanges that have waited for an answer since before `oldest`, and gives holes up that did not fill.
    pub fn expire(&mut self, oldest: Nanos, now: Nanos, output: &mut Output) {
        if let Reader::Protocol(connection) = &mut self.reader {
            if self.rx.holds() && now.since(self.touched) > HOLD_TIME {
                self.rx.release(Direction::Rx, &mut **connection, output);
            }
            connection.expire(oldest, now, output);
        }
    }
}

/// How long a hole may stay open before what waits behind it is read without it; a retransmission takes at least
/// 200 ms (`TCP_RTO_MIN`, include/net/tcp.h).
const HOLD_TIME: std::time::Duration = std::time::Duration::from_secs(2);
