//! The state kept with each socket, and what user space tells of it.

use core::mem::offset_of;

use crate::{COMM_LEN, Direction, Opened, Role, Totals, words::clear};

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
    /// Nobody wants to know of the flow: nothing is looked at any more.
    pub const IGNORED: u32 = 1 << 8;
    /// The bits that stay with the flow.
    pub const STICKY: u32 = OPAQUE | STREAM | FULL | SINGLE | IGNORED;
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
    /// Name of the thread that connected.
    pub comm: [u8; COMM_LEN],
    /// Local port.
    pub local_port: u16,
    /// Peer's port.
    pub peer_port: u16,
    /// 4 or 6: the socket's address family.
    pub family: u8,
}

// They are copied word by word, from the one to the other.
const _: () = assert!(
    offset_of!(Flow, local).is_multiple_of(8)
        && offset_of!(Flow, peer).is_multiple_of(8)
        && offset_of!(Flow, comm).is_multiple_of(8)
        && offset_of!(Opened, local).is_multiple_of(8)
        && offset_of!(Opened, peer).is_multiple_of(8)
        && offset_of!(Opened, comm).is_multiple_of(8)
);

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
        // SAFETY: integers, all of them.
        unsafe {
            clear(&mut self.rx);
            clear(&mut self.tx);
            clear(&mut self.rx_full_since);
            clear(&mut self.tx_full_since);
            clear(&mut self.rx_full_ns);
            clear(&mut self.tx_full_ns);
            clear(&mut self.picked_up);
            clear(&mut self.acked);
            clear(&mut self.opened_at);
            clear(&mut self.connect_ns);
        }
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
