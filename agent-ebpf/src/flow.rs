//! The state kept with each socket, and what it decides: which bytes of a segment are new, and how much of
//! them is worth a record.

use crate::{
    COMM_LEN, Role, Totals,
    tcp::{after, at_or_after},
};

/// Bits of [`Flow::state`].
pub mod state {
    /// The `Opened` record is out.
    pub const ANNOUNCED: u32 = 1;
    /// [`super::Flow::ack_wait`] is to be compared with incoming acknowledgements.
    pub const AWAITS_ACK: u32 = 1 << 1;
    /// Received bytes wait for the application to pick them up.
    pub const AWAITS_PICKUP: u32 = 1 << 2;
    /// A record of the flow was lost since the last one that was not.
    pub const LOSS: u32 = 1 << 3;
    /// We sent FIN.
    pub const FIN_SENT: u32 = 1 << 4;
    /// We received FIN.
    pub const FIN_RECEIVED: u32 = 1 << 5;
    /// We sent RST.
    pub const RST_SENT: u32 = 1 << 6;
    /// We received RST.
    pub const RST_RECEIVED: u32 = 1 << 7;
    /// This socket connected.
    pub const ACTIVE: u32 = 1 << 8;
    /// This socket was accepted.
    pub const PASSIVE: u32 = 1 << 9;
    /// A segment longer than the capture ended in an empty line: a long head, or many short ones, whose answers
    /// may then share a segment too.
    pub const SUSPECT: u32 = 1 << 10;
    /// The cookie and the addresses are filled in.
    pub const KNOWN: u32 = 1 << 11;
    /// A SYN was sent.
    pub const SYN_SENT: u32 = 1 << 12;
    /// The handshake was completed.
    pub const ESTABLISHED: u32 = 1 << 13;
    /// The first bytes of a direction begin a TLS record.
    pub const TLS: u32 = 1 << 14;
    /// The flow has an entry in the table of live totals.
    pub const LIVE: u32 = 1 << 15;
}

/// Bits of [`Hint::flags`] and [`Flow::mode`].
pub mod hint {
    /// Not a protocol we read: nothing is shipped.
    pub const OPAQUE: u32 = 1 << 1;
    /// A byte stream follows (WebSocket, CONNECT): nothing is shipped, bytes are told at the end.
    pub const STREAM: u32 = 1 << 2;
    /// Messages follow one another without the direction turning: every byte is shipped.
    pub const FULL: u32 = 1 << 3;
    /// What looked like several messages was one with a long head.
    pub const SINGLE: u32 = 1;
    /// [`super::Hint::rx_skip_to`] is meant.
    pub const RX_SKIP: u32 = 1 << 4;
    /// [`super::Hint::tx_skip_to`] is meant.
    pub const TX_SKIP: u32 = 1 << 5;
    /// [`super::Hint::rx_bulk_at`] is meant.
    pub const RX_BULK: u32 = 1 << 6;
    /// [`super::Hint::tx_bulk_at`] is meant.
    pub const TX_BULK: u32 = 1 << 7;
    /// The bits that stay with the flow.
    pub const STICKY: u32 = OPAQUE | STREAM | FULL | SINGLE;
}

/// What user space has learnt of a flow, told to the kernel under the socket's cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Hint {
    /// Bits of the module `hint`.
    pub flags: u32,
    /// Differs from the last hint's for this flow: a hint is applied once.
    pub version: u32,
    /// Received payload before this sequence number is body.
    pub rx_skip_to: u32,
    /// Sent payload before this sequence number is body.
    pub tx_skip_to: u32,
    /// Received payload is body of unknown length until the sent side moves on from this sequence number.
    pub rx_bulk_at: u32,
    /// Sent payload is body of unknown length until the received side moves on from this sequence number.
    pub tx_bulk_at: u32,
}

/// One direction of a connection, by sequence numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Direction {
    /// Distinct payload bytes up to the highest position seen; those missing below it are on their way.
    pub bytes: u64,
    /// Payload bytes that were seen before.
    pub duplicate: u64,
    /// Payload bytes that came before bytes that precede them.
    pub out_of_order: u64,
    /// Sequence number after the highest byte seen.
    pub next: u32,
    /// First byte not seen below `next`; equal to `hole_end` where nothing is missing.
    pub hole_start: u32,
    /// End of the region below `next` that may have bytes missing.
    pub hole_end: u32,
    /// Payload before this sequence number is body, if [`Direction::SKIP`].
    pub skip_to: u32,
    /// The other direction's `next` at which bulk was granted, if [`Direction::BULK`].
    pub bulk_at: u32,
    /// [`Direction::STARTED`], [`Direction::SKIP`], [`Direction::BULK`].
    pub flags: u32,
}

/// Which bytes of a segment were not seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fresh {
    /// None.
    Duplicate,
    /// Those from this offset on.
    From(u32),
}

/// How a segment is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ship {
    /// Its position alone: it lies inside a body.
    Body,
    /// Its last bytes and its time: it ends a push inside a body.
    Mark,
    /// The payload from this offset on, up to the capture length.
    Head(u32),
}

/// A segment inside a body that ends a push is shipped as its last bytes, so that the end of a chunked body
/// (`0 CRLF CRLF`, RFC 9112 §7.1) can be told.
pub const MARK_LEN: u32 = 8;

impl Direction {
    /// `next` is meaningful.
    pub const STARTED: u32 = 1;
    /// `skip_to` is meaningful.
    pub const SKIP: u32 = 2;
    /// `bulk_at` is meaningful.
    pub const BULK: u32 = 4;
    /// How far ahead of the highest byte seen a segment may lie and still be of this connection: the largest
    /// window TCP can offer (RFC 7323 §2.3). What lies further was not sent by the peer.
    pub const MAX_WINDOW: u32 = 1 << 30;

    /// Begins the direction at sequence number `seq`.
    #[inline(always)]
    pub fn start(&mut self, seq: u32) {
        self.next = seq;
        self.hole_start = seq;
        self.hole_end = seq;
        self.flags = Self::STARTED;
    }

    /// Takes note of `len` > 0 payload bytes at `seq` and tells which of them are new.
    ///
    /// One region of missing bytes is remembered, from the first hole to the end of the last. Bytes inside it
    /// count as new even if some were seen, so that no late byte is ever taken for a retransmission; user space
    /// has the exact positions.
    #[inline(always)]
    pub fn advance(&mut self, seq: u32, len: u32) -> Fresh {
        if self.flags & Self::STARTED == 0 {
            self.start(seq);
        }
        let end = seq.wrapping_add(len);
        if after(end, self.next) {
            if after(seq, self.next) {
                if after(seq, self.next.wrapping_add(Self::MAX_WINDOW)) {
                    return Fresh::Duplicate;
                }
                if self.hole_start == self.hole_end {
                    self.hole_start = self.next;
                }
                self.hole_end = seq;
            }
            let offset = if after(self.next, seq) { self.next.wrapping_sub(seq) } else { 0 };
            self.bytes += u64::from(end.wrapping_sub(self.next));
            self.duplicate += u64::from(offset);
            if self.hole_start != self.hole_end {
                self.out_of_order += u64::from(len - offset);
            }
            self.next = end;
            return Fresh::From(offset);
        }
        if self.hole_start == self.hole_end || !after(end, self.hole_start) || !after(self.hole_end, seq) {
            self.duplicate += u64::from(len);
            return Fresh::Duplicate;
        }
        if at_or_after(self.hole_start, seq) {
            self.hole_start = if after(end, self.hole_end) { self.hole_end } else { end };
        }
        Fresh::From(0)
    }

    /// Decides how a segment with new bytes from offset `from` is told of.
    ///
    /// `other_next` is the other direction's [`Direction::next`]; `ends_push` whether the segment carries PSH or
    /// FIN.
    #[inline(always)]
    pub fn ship(&mut self, seq: u32, len: u32, from: u32, other_next: u32, ends_push: bool) -> Ship {
        if self.flags & Self::SKIP != 0 {
            let end = seq.wrapping_add(len);
            if after(self.skip_to, end) {
                return if ends_push && self.flags & Self::BULK != 0 { Ship::Mark } else { Ship::Body };
            }
            self.flags &= !Self::SKIP;
            if self.skip_to == end {
                return Ship::Mark;
            }
            if after(self.skip_to, seq) {
                let offset = self.skip_to.wrapping_sub(seq);
                return Ship::Head(if offset > from { offset } else { from });
            }
        }
        if self.flags & Self::BULK != 0 {
            if other_next == self.bulk_at {
                return if ends_push { Ship::Mark } else { Ship::Body };
            }
            self.flags &= !Self::BULK;
        }
        Ship::Head(from)
    }
}

/// What is kept with a socket (`BPF_MAP_TYPE_SK_STORAGE`): born with its first payload or its handshake, freed
/// with the socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Flow {
    /// Received.
    pub rx: Direction,
    /// Sent.
    pub tx: Direction,
    /// The socket's cookie.
    pub cookie: u64,
    /// Id of the cgroup the socket belongs to; 0: not known.
    pub cgroup: u64,
    /// When the application last picked bytes up, not yet told.
    pub picked_up: u64,
    /// When the peer acknowledged what was sent, not yet told.
    pub acked: u64,
    /// When connect was called or the handshake completed.
    pub opened_at: u64,
    /// From SYN to the completed handshake, in ns.
    pub connect_ns: u64,
    /// Since when this end has told its peer to stop; 0: it has not.
    pub rx_full_since: u64,
    /// Since when the peer has told this end to stop; 0: it has not.
    pub tx_full_since: u64,
    /// Time for which this end had, in ns, the present one not included.
    pub rx_full_ns: u64,
    /// Time for which the peer had, likewise.
    pub tx_full_ns: u64,
    /// Epoch of the hints table when it was last looked into.
    pub hint_epoch: u64,
    /// Local address, network order, IPv4 mapped.
    pub local: [u8; 16],
    /// Peer's address, network order, IPv4 mapped.
    pub peer: [u8; 16],
    /// Process that connected or last read; 0: not known.
    pub pid: u32,
    /// Thread that did.
    pub tid: u32,
    /// Sequence number whose acknowledgement is awaited.
    pub ack_wait: u32,
    /// Bits of the module `state`.
    pub state: u32,
    /// Sticky bits of the module `hint`.
    pub mode: u32,
    /// Version of the last hint applied.
    pub hint_version: u32,
    /// First sequence number received.
    pub rx_seq: u32,
    /// First sequence number sent.
    pub tx_seq: u32,
    /// Segments with payload received, as the socket counts them.
    pub rx_segments: u32,
    /// Segments with payload sent, likewise.
    pub tx_segments: u32,
    /// Segments sent again.
    pub retransmits: u32,
    /// Smoothed round-trip time, in microseconds.
    pub srtt_us: u32,
    /// Local port.
    pub local_port: u16,
    /// Peer's port.
    pub peer_port: u16,
    /// 4 or 6: the socket's address family.
    pub family: u8,
    /// Name of the thread that connected.
    pub comm: [u8; COMM_LEN],
}

impl Flow {
    /// Which end opened the connection.
    #[inline(always)]
    #[must_use]
    pub const fn role(&self) -> Role {
        if self.state & state::ACTIVE != 0 {
            Role::Active
        } else if self.state & state::PASSIVE != 0 {
            Role::Passive
        } else {
            Role::Unknown
        }
    }

    /// The connection is over, and told; the socket may make another.
    #[inline(always)]
    pub fn reset(&mut self) {
        self.rx = Direction::default();
        self.tx = Direction::default();
        (self.rx_full_since, self.rx_full_ns) = (0, 0);
        (self.tx_full_since, self.tx_full_ns) = (0, 0);
        (self.picked_up, self.acked) = (0, 0);
        (self.opened_at, self.connect_ns) = (0, 0);
        self.state = 0;
        self.mode = 0;
    }

    /// What it has carried until `now`.
    #[inline(always)]
    #[must_use]
    pub fn totals(&self, now: u64) -> Totals {
        Totals {
            rx_bytes: self.rx.bytes,
            tx_bytes: self.tx.bytes,
            rx_duplicate: self.rx.duplicate,
            tx_duplicate: self.tx.duplicate,
            rx_out_of_order: self.rx.out_of_order,
            rx_full_ns: self.rx_full_ns + since(self.rx_full_since, now),
            tx_full_ns: self.tx_full_ns + since(self.tx_full_since, now),
            rx_segments: self.rx_segments,
            tx_segments: self.tx_segments,
            retransmits: self.retransmits,
            srtt_us: self.srtt_us,
        }
    }

    /// An end advertises a receive window: `ours`, or the peer's. A window of zero stops the other end's sending
    /// (RFC 9293 §3.8.6). Whether it has closed or opened.
    #[inline(always)]
    pub fn window(&mut self, ours: bool, is_zero: bool, clock: impl FnOnce() -> u64) -> bool {
        let (full_since, full_ns) = if ours {
            (&mut self.rx_full_since, &mut self.rx_full_ns)
        } else {
            (&mut self.tx_full_since, &mut self.tx_full_ns)
        };
        if is_zero == (*full_since != 0) {
            return false;
        }
        let now = clock();
        *full_ns += since(*full_since, now);
        *full_since = if is_zero { now } else { 0 };
        true
    }

    /// Applies a hint that was not applied yet.
    #[inline(always)]
    pub fn apply(&mut self, hint: &Hint) {
        if hint.version == self.hint_version {
            return;
        }
        self.hint_version = hint.version;
        self.mode |= hint.flags & hint::STICKY;
        if self.mode & hint::FULL != 0 {
            self.rx.flags &= !Direction::BULK;
            self.tx.flags &= !Direction::BULK;
        }
        if hint.flags & hint::RX_SKIP != 0 {
            self.rx.skip_to = hint.rx_skip_to;
            self.rx.flags |= Direction::SKIP;
        }
        if hint.flags & hint::TX_SKIP != 0 {
            self.tx.skip_to = hint.tx_skip_to;
            self.tx.flags |= Direction::SKIP;
        }
        if hint.flags & hint::RX_BULK != 0 {
            self.rx.bulk_at = hint.rx_bulk_at;
            self.rx.flags |= Direction::BULK;
        }
        if hint.flags & hint::TX_BULK != 0 {
            self.tx.bulk_at = hint.tx_bulk_at;
            self.tx.flags |= Direction::BULK;
        }
    }
}

/// From `start` to `now`, in ns; 0 where there was no start.
#[inline(always)]
const fn since(start: u64, now: u64) -> u64 {
    if start == 0 { 0 } else { now.saturating_sub(start) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seq: u32) -> Direction {
        let mut direction = Direction::default();
        direction.start(seq);
        direction
    }

    #[test]
    fn positions_advance_once() {
        use Fresh::{Duplicate, From};
        // (segments as (seq, len), what each brings, distinct bytes in the end)
        type Case = (&'static [(u32, u32)], &'static [Fresh], u64);
        let cases: &[Case] = &[
            (&[(0, 10), (10, 5)], &[From(0), From(0)], 15),
            (&[(0, 10), (0, 10)], &[From(0), Duplicate], 10),
            (&[(0, 10), (5, 10)], &[From(0), From(5)], 15),
            // a hole, filled
            (&[(0, 10), (20, 10), (10, 10), (10, 10)], &[From(0), From(0), From(0), Duplicate], 30),
            // a hole filled from its end: shipped, and the beginning still is
            (&[(0, 10), (30, 10), (20, 10), (10, 10)], &[From(0), From(0), From(0), From(0)], 40),
            // two holes are one region
            (&[(0, 10), (20, 10), (40, 10), (30, 10)], &[From(0), From(0), From(0), From(0)], 50),
            // a keep-alive probe repeats the last byte
            (&[(0, 10), (9, 1)], &[From(0), Duplicate], 10),
            // far out of any window
            (&[(0, 10), (0x6000_0000, 10)], &[From(0), Duplicate], 10),
        ];
        for base in [0_u32, 1000, u32::MAX - 12] {
            for (segments, expected, bytes) in cases {
                let mut direction = at(base);
                let got: [Option<Fresh>; 4] = core::array::from_fn(|i| {
                    segments.get(i).map(|(seq, len)| direction.advance(base.wrapping_add(*seq), *len))
                });
                for (i, expected) in expected.iter().enumerate() {
                    assert_eq!(got[i], Some(*expected), "base {base} {segments:?} [{i}]");
                }
                assert_eq!(direction.bytes, *bytes, "base {base} {segments:?}");
            }
        }
    }

    #[test]
    fn a_known_body_is_silent_to_its_end() {
        let mut direction = at(100);
        direction.skip_to = 1100;
        direction.flags |= Direction::SKIP;
        assert_eq!(direction.ship(100, 500, 0, 0, true), Ship::Body);
        // the body ends inside this segment: the next message begins at offset 500
        assert_eq!(direction.ship(600, 600, 0, 0, true), Ship::Head(500));
        assert_eq!(direction.ship(1200, 10, 0, 0, true), Ship::Head(0));
        direction.skip_to = 1300;
        direction.flags |= Direction::SKIP;
        assert_eq!(direction.ship(1210, 90, 0, 0, false), Ship::Mark);
        assert_eq!(direction.ship(1300, 90, 0, 0, false), Ship::Head(0));
    }

    #[test]
    fn bulk_ends_when_the_other_side_speaks() {
        let mut direction = at(0);
        direction.bulk_at = 7;
        direction.flags |= Direction::BULK;
        assert_eq!(direction.ship(0, 100, 0, 7, false), Ship::Body);
        assert_eq!(direction.ship(100, 100, 0, 7, true), Ship::Mark);
        assert_eq!(direction.ship(200, 100, 0, 8, true), Ship::Head(0));
        assert_eq!(direction.ship(300, 100, 0, 7, true), Ship::Head(0));
    }

    #[test]
    fn repeated_and_early_bytes_are_told_apart() {
        // (segments, duplicate, out of order)
        type Case = (&'static [(u32, u32)], u64, u64);
        let cases: &[Case] = &[
            (&[(0, 10), (10, 10)], 0, 0),
            (&[(0, 10), (0, 10)], 10, 0),
            (&[(0, 10), (5, 10)], 5, 0),
            (&[(0, 10), (20, 10), (30, 5), (10, 10), (35, 5)], 0, 15),
        ];
        for (segments, duplicate, out_of_order) in cases {
            let mut direction = at(0);
            for (seq, len) in *segments {
                let _ = direction.advance(*seq, *len);
            }
            assert_eq!((direction.duplicate, direction.out_of_order), (*duplicate, *out_of_order), "{segments:?}");
        }
    }

    #[test]
    fn a_closed_window_counts_until_it_opens() {
        let mut flow = Flow::default();
        for (now, is_zero) in [(10, false), (100, true), (150, true), (300, false), (1000, true)] {
            let _ = flow.window(true, is_zero, || now);
        }
        assert_eq!(flow.totals(1005).rx_full_ns, 205);
        assert_eq!(flow.totals(1005).tx_full_ns, 0);
    }
}
