//! One direction of a connection, and what it decides: which bytes of a segment are new, and how much of them is
//! worth a record.

use crate::tcp::{after, at_or_after};

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
    /// Sequence number of the first byte.
    pub origin: u32,
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
        self.origin = seq;
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
            // From the position and not by addition: two CPUs may be here at once, and the later one puts it right.
            let ahead = end.wrapping_sub(self.origin).wrapping_sub(self.bytes as u32);
            if ahead < Self::MAX_WINDOW * 2 {
                self.bytes += u64::from(ahead);
            }
            self.duplicate += u64::from(offset);
            if self.hole_start != self.hole_end {
                self.out_of_order += u64::from(len - offset);
            }
            self.next = end;
            if offset == 0 || self.hole_start == self.hole_end || !after(self.hole_end, seq) {
                return Fresh::From(offset);
            }
            // A retransmission that brings missing bytes together with new ones.
            if at_or_after(self.hole_start, seq) {
                self.hole_start = self.hole_end;
            }
            return Fresh::From(0);
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

    /// The socket has everything before `seq`: what was missing before it came unseen, as pieces of one region do.
    #[inline(always)]
    pub fn settle(&mut self, seq: u32) {
        if self.hole_start != self.hole_end && at_or_after(seq, self.hole_end) {
            self.hole_start = self.hole_end;
        }
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
            // a hole filled together with new bytes, and one of which the end is
            (&[(0, 10), (20, 10), (10, 25)], &[From(0), From(0), From(0)], 35),
            (&[(0, 10), (20, 10), (15, 25), (10, 10)], &[From(0), From(0), From(0), From(0)], 40),
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
        let mut direction = at(0);
        for (seq, received) in [(0, 0), (30, 10), (20, 10), (10, 10), (40, 40), (50, 50)] {
            direction.settle(received);
            let _ = direction.advance(seq, 10);
        }
        assert_eq!((direction.bytes, direction.out_of_order), (60, 10), "the pieces came in the opposite order");
        for (segments, duplicate, out_of_order) in cases {
            let mut direction = at(0);
            for (seq, len) in *segments {
                let _ = direction.advance(*seq, *len);
            }
            assert_eq!((direction.duplicate, direction.out_of_order), (*duplicate, *out_of_order), "{segments:?}");
        }
    }
}
