//! One direction of a connection as a stream of bytes: positions from sequence numbers, windows put in order,
//! what is missing told to the parser.

use crate::{
    protocol::{Direction, Output, Parse, Parser, Piece},
    time::Nanos,
};

/// Segments that arrived ahead of a hole are kept until it fills; beyond this many the hole is given up.
const MAX_HELD: usize = 32;

/// The longest message head that is put together from several segments; longer ones are told as partial. The
/// same as the longest capture of one segment.
pub const MAX_HEAD: usize = redtap_ebpf::MAX_CAPTURE as usize;

/// A captured window of a segment.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// Sequence number of the segment's first payload byte.
    pub seq: u32,
    /// Where in the segment the window begins.
    pub offset: u32,
    /// Payload bytes of the whole segment.
    pub length: u32,
    /// The captured bytes.
    pub bytes: &'a [u8],
    /// When the segment passed.
    pub time: Nanos,
}

impl Window<'_> {
    /// Another window of the same segment may follow: a full record, and the segment does not end with it.
    #[must_use]
    pub fn may_go_on(&self) -> bool {
        let captured = self.bytes.len() as u64;
        captured >= u64::from(redtap_ebpf::WINDOW) && captured + u64::from(self.offset) < u64::from(self.length)
    }
}

/// A window that waits for a hole before it to fill.
pub struct Held {
    seq: u32,
    offset: u32,
    length: u32,
    time: Nanos,
    bytes: Box<[u8]>,
}

impl Held {
    /// The window, not before `filled`: the moment from which on its bytes can be read.
    #[must_use]
    pub fn window(&self, filled: Nanos) -> Window<'_> {
        Window {
            seq: self.seq,
            offset: self.offset,
            length: self.length,
            bytes: &self.bytes,
            time: self.time.max(filled),
        }
    }
}

/// One direction.
#[derive(Default)]
pub struct Stream {
    /// Position of the first byte seen.
    origin: u64,
    /// Position of the first byte the parser has not used.
    next: u64,
    /// Position after the last byte known to have passed.
    end: u64,
    /// The parser needs nothing before this position.
    skip_to: u64,
    /// Bytes from `next` on that the parser wants to see again.
    buffer: Vec<u8>,
    /// When the first byte of `buffer` passed.
    first: Nanos,
    held: Vec<Held>,
    started: bool,
}

/// What feeding a window led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// The parser goes on.
    Parsed,
    /// The parser says that this is not its protocol.
    Invalid,
}

impl Stream {
    /// Begins the stream at a sequence number. Positions start beyond 2³², so that every sequence number within
    /// half the space before them has one too.
    pub fn start(&mut self, seq: u32) {
        self.started = true;
        self.next = (1 << 32) | u64::from(seq);
        self.origin = self.next;
        self.end = self.next;
        self.skip_to = self.next;
    }

    /// Whether a position is known.
    #[must_use]
    pub const fn is_started(&self) -> bool {
        self.started
    }

    /// Position after the last byte known to have passed.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// Bytes known to have passed.
    #[must_use]
    pub const fn passed(&self) -> u64 {
        self.end.saturating_sub(self.origin)
    }

    /// Position before which the parser needs nothing.
    #[must_use]
    pub const fn skip_to(&self) -> u64 {
        self.skip_to
    }

    /// The bytes the parser has not used, while no parser is chosen.
    #[must_use]
    pub fn unused(&self) -> &[u8] {
        &self.buffer
    }

    /// The position of a sequence number, the nearest to what has passed.
    #[must_use]
    pub fn position(&self, seq: u32) -> u64 {
        let low = self.end as u32;
        let distance = seq.wrapping_sub(low).cast_signed();
        self.end.saturating_add_signed(i64::from(distance))
    }

    /// The window reaches beyond what is contiguous, and what is missing was never seen to pass.
    #[must_use]
    pub fn leaves_hole(&self, window: &Window<'_>) -> bool {
        let at = self.position(window.seq) + u64::from(window.offset);
        at > self.end && at > self.skip_to
    }

    /// Keeps a window until the hole before it fills; `false`: no room, the hole is to be given up.
    pub fn hold(&mut self, window: &Window<'_>) -> bool {
        if self.held.len() >= MAX_HELD {
            return false;
        }
        self.held.push(Held {
            seq: window.seq,
            offset: window.offset,
            length: window.length,
            time: window.time,
            bytes: window.bytes.into(),
        });
        true
    }

    /// A segment without captured payload shows how far the stream has come; one that lies where no window can is
    /// not believed.
    pub fn reaches(&mut self, seq: u32, length: u32) {
        let end = self.position(seq) + u64::from(length);
        if end - self.end.min(end) < u64::from(redtap_ebpf::Direction::MAX_WINDOW) {
            self.end = self.end.max(end);
        }
    }

    /// Whether windows wait for a hole to fill.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Hands a window to the parser, with what was kept and is contiguous now.
    pub fn feed(
        &mut self,
        direction: Direction,
        window: &Window<'_>,
        parser: &mut dyn Parser,
        output: &mut Output,
    ) -> Fed {
        let mut fed = self.feed_one(direction, window, parser, output);
        while fed == Fed::Parsed
            && !window.may_go_on()
            && let Some(held) = self.filled()
        {
            fed = self.feed_one(direction, &held.window(window.time), parser, output);
        }
        fed
    }

    /// Gives a hole up: what waited is handed to the parser as it is.
    pub fn release(&mut self, direction: Direction, parser: &mut dyn Parser, output: &mut Output) -> Fed {
        let mut fed = Fed::Parsed;
        while fed == Fed::Parsed
            && let Some((_, index)) = self.earliest_held()
        {
            let held = self.held.swap_remove(index);
            fed = self.feed_one(direction, &held.window(Nanos(0)), parser, output);
        }
        fed
    }

    /// The first window that waited, if no hole lies before it any more.
    pub fn filled(&mut self) -> Option<Held> {
        let (at, index) = self.earliest_held()?;
        (at <= self.end).then(|| self.held.swap_remove(index))
    }

    /// The position of the first window that waits, and its place among them.
    fn earliest_held(&self) -> Option<(u64, usize)> {
        let places = self.held.iter().enumerate();
        places.map(|(index, held)| (self.position(held.seq) + u64::from(held.offset), index)).min()
    }

    /// Bytes of segments that are kept.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        let held = self.held.iter().map(|held| size_of::<Held>() + held.bytes.len());
        self.buffer.capacity() + held.sum::<usize>()
    }

    /// Gives its memory back: nothing will be read from it any more.
    pub fn forget(&mut self) {
        self.buffer = Vec::new();
        self.held = Vec::new();
    }

    /// The other side speaks: bytes that passed uncaptured will not come any more.
    pub fn settle(&mut self, direction: Direction, parser: &mut dyn Parser, output: &mut Output) {
        let captured = self.next + self.buffer.len() as u64;
        if self.end > captured && self.end > self.skip_to {
            self.gap(direction, self.end, parser, output);
        }
    }

    /// The other side speaks after a loss: the rest of what the parser has begun to read will not come any more.
    pub fn give_up_rest(&mut self, direction: Direction, parser: &mut dyn Parser, output: &mut Output) {
        if !self.buffer.is_empty() {
            let captured = self.next + self.buffer.len() as u64;
            self.gap(direction, captured, parser, output);
        }
    }

    fn gap(&mut self, direction: Direction, to: u64, parser: &mut dyn Parser, output: &mut Output) {
        let buffer = std::mem::take(&mut self.buffer);
        let piece =
            Piece { at: self.next, bytes: &buffer, first: self.first, last: self.first, ends_segment: false };
        parser.gap(direction, &piece, to, output);
        self.next = to;
    }

    fn feed_one(
        &mut self,
        direction: Direction,
        window: &Window<'_>,
        parser: &mut dyn Parser,
        output: &mut Output,
    ) -> Fed {
        let segment = self.position(window.seq);
        let segment_end = segment + u64::from(window.length);
        let mut at = segment + u64::from(window.offset);
        let mut bytes = window.bytes;
        let window_end = at + bytes.len() as u64;
        self.end = self.end.max(segment_end);

        if self.skip_to > self.next + self.buffer.len() as u64 {
            if self.end < self.skip_to {
                return Fed::Parsed;
            }
            // The body ends in this segment, wherever the captured window lies.
            self.buffer.clear();
            self.next = self.skip_to;
            let piece =
                Piece { at: self.next, bytes: &[], first: window.time, last: window.time, ends_segment: false };
            if parser.parse(direction, &piece, output) == Parse::Invalid {
                return Fed::Invalid;
            }
        }
        let contiguous = self.next + self.buffer.len() as u64;
        if window_end <= contiguous {
            return Fed::Parsed;
        }
        if at > contiguous {
            self.gap(direction, at, parser, output);
        } else {
            let known = usize::try_from(contiguous - at).unwrap_or(usize::MAX);
            bytes = bytes.get(known..).unwrap_or_default();
            at = contiguous;
        }
        debug_assert_eq!(at, self.next + self.buffer.len() as u64);
        self.pump(direction, bytes, window.time, window_end == segment_end, parser, output)
    }

    /// Calls the parser until it has used what is there.
    fn pump(
        &mut self,
        direction: Direction,
        fresh: &[u8],
        time: Nanos,
        ends_segment: bool,
        parser: &mut dyn Parser,
        output: &mut Output,
    ) -> Fed {
        let buffered = !self.buffer.is_empty();
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut first = if buffered { self.first } else { time };
        if buffered {
            buffer.extend_from_slice(fresh);
        }
        let all: &[u8] = if buffered { &buffer } else { fresh };
        let mut used = 0;
        loop {
            let bytes = all.get(used..).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            let piece = Piece { at: self.next, bytes, first, last: time, ends_segment };
            match parser.parse(direction, &piece, output) {
                Parse::Done(count) => {
                    used += count;
                    self.next += count as u64;
                    // What is left came with the newest segment.
                    if count > 0 {
                        first = time;
                    }
                }
                Parse::Skip(to) => {
                    self.skip_to = to;
                    let left = bytes.len() as u64;
                    if to > self.next + left && to > self.end {
                        self.next += left;
                        used = all.len();
                        break;
                    }
                    // The segment reaches there, although not what was captured of it.
                    let skipped = usize::try_from(to - self.next).unwrap_or(usize::MAX);
                    used += skipped.min(bytes.len());
                    self.next = to;
                    let at_end = Piece { at: to, bytes: &[], first: time, last: time, ends_segment: false };
                    if parser.parse(direction, &at_end, output) == Parse::Invalid {
                        return Fed::Invalid;
                    }
                }
                Parse::NeedMore if bytes.len() < MAX_HEAD => break,
                Parse::NeedMore => {
                    let piece = Piece { at: self.next, bytes, first, last: time, ends_segment };
                    let to = piece.end();
                    parser.gap(direction, &piece, to, output);
                    self.next = to;
                    used = all.len();
                    break;
                }
                Parse::Invalid => return Fed::Invalid,
            }
        }
        let rest = all.get(used..).unwrap_or_default();
        if !rest.is_empty() {
            self.first = first;
            if buffered {
                buffer.drain(..used);
                self.buffer = buffer;
            } else {
                self.buffer = rest.to_vec();
            }
        }
        Fed::Parsed
    }

    /// Adds bytes while no parser is chosen; `false` beyond so many.
    pub fn keep(&mut self, window: &Window<'_>, limit: usize) -> bool {
        let segment = self.position(window.seq);
        let at = segment + u64::from(window.offset);
        let contiguous = self.next + self.buffer.len() as u64;
        self.end = self.end.max(segment + u64::from(window.length));
        if at > contiguous || self.buffer.len() >= limit {
            return false;
        }
        let known = usize::try_from(contiguous - at).unwrap_or(usize::MAX);
        if self.buffer.is_empty() {
            self.first = window.time;
        }
        self.buffer.extend_from_slice(window.bytes.get(known..).unwrap_or_default());
        true
    }

    /// Hands the bytes that were kept to the parser that has been chosen.
    pub fn replay(
        &mut self,
        direction: Direction,
        parser: &mut dyn Parser,
        output: &mut Output,
        now: Nanos,
    ) -> Fed {
        let kept = std::mem::take(&mut self.buffer);
        if kept.is_empty() {
            return Fed::Parsed;
        }
        let first = self.first;
        let ends_segment = self.next + kept.len() as u64 == self.end;
        let time = if first == Nanos(0) { now } else { now.max(first) };
        // The first byte's time is kept, by handing it over as the beginning of a buffer.
        let (head, rest) = kept.split_at(1);
        self.buffer = head.to_vec();
        self.first = first;
        self.pump(direction, rest, time, ends_segment, parser, output)
    }

    /// Moves on to where bytes with a known position begin again.
    pub fn restart(&mut self, window: &Window<'_>) {
        let at = self.position(window.seq) + u64::from(window.offset);
        self.buffer.clear();
        self.next = at;
        self.skip_to = at;
    }

    /// Passes over a window that begins nothing.
    pub fn skip_window(&mut self, window: &Window<'_>) {
        let end = self.position(window.seq) + u64::from(window.length);
        self.buffer.clear();
        self.end = self.end.max(end);
        self.next = self.end;
        self.skip_to = self.end;
    }
}
