//! A connection: two directions of messages, requests paired with answers in order (RFC 9112 §9.3.2).
//!
//! ```text
//!              head read              body read
//! Reading::Head ────────> Length/Chunked ───────> Head     (framing known: messages follow one another)
//!      │  └─────────────> Unframed ─────────────> Head     (until the other side speaks, or the end)
//!      │  └─────────────> UntilClose                       (until the server's FIN)
//!      └─ 101, 2xx to CONNECT ──> Tunnel                   (until the end)
//! ```

mod ending;
mod parser;
mod request;
mod response;

use std::{collections::VecDeque, time::Duration};

use super::{
    chunked::{Chunks, Progress},
    head::{self},
};
use crate::{
    exchange::{Exchange, Role, StreamKind},
    protocol::{Direction, Output, Parse, Piece, Recognition},
    time::Nanos,
};

/// Requests without an answer that are remembered on one connection; RFC 9112 §9.3.2 sets no limit, servers stop
/// reading long before.
const MAX_PENDING: usize = 4096;

/// After so long without an answer, none is believed to be on its way that was asked for unseen.
const QUIET: Duration = Duration::from_secs(1);

/// What the next bytes of a direction are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// The head of a message.
    Head,
    /// A body up to this stream position.
    Length(u64),
    /// Either that body or, since an `Expect: 100-continue` was answered with a final status, the next head.
    Declined(u64),
    /// A chunked body.
    Chunked(Chunks),
    /// A body that ends with the connection.
    UntilClose,
    /// Bytes of unknown meaning, until the other side speaks or a head is recognised.
    Unframed,
    /// Not HTTP any more.
    Tunnel,
}

/// One direction.
#[derive(Clone, Copy, Debug)]
struct Side {
    reading: Reading,
    /// Stream position of the body's first byte.
    body: u64,
    /// That position is known: the end of the head was seen.
    sized: bool,
    /// Stream position where bytes came back after the last gap, or were seen first.
    resumed: u64,
    /// Stream position after the last byte that passed.
    seen: u64,
    /// When it passed.
    last: Nanos,
    /// Bytes of an unfinished head that hold no end of it.
    searched: usize,
}

/// A request on its way.
struct Pending {
    exchange: Box<Exchange>,
    /// The request's last byte was seen.
    request_done: bool,
    /// The answer's last byte was seen.
    response_done: bool,
    /// The request asked for `100-continue`.
    expects_continue: bool,
    /// What an `Upgrade` would lead to.
    upgrade: Option<StreamKind>,
    /// Already told as timed out: an answer that comes now is nobody's.
    told: bool,
    /// Where its answer ended was lost.
    unsure: bool,
}

impl Pending {
    fn new(exchange: Box<Exchange>) -> Self {
        Self {
            exchange,
            request_done: false,
            response_done: false,
            expects_continue: false,
            upgrade: None,
            told: false,
            unsure: false,
        }
    }
}

/// A stream the connection has become, or carries as a response body.
struct OpenStream {
    kind: StreamKind,
    opened: Nanos,
    request_from: u64,
    response_from: u64,
}

/// An HTTP/1 connection as seen from one of its sockets.
pub struct Connection {
    /// The direction requests take.
    requests: Direction,
    request: Side,
    response: Side,
    pending: VecDeque<Pending>,
    stream: Option<OpenStream>,
    index: u64,
    /// Bytes were lost, or the connection is older than the agent: an answer without a request is one whose
    /// request was not seen.
    lossy: bool,
    /// Records were lost since the exchanges in line began.
    lost: bool,
    /// Requests have followed one another without an answer between.
    pipelined: bool,
    /// A request's head was longer than the default capture.
    long_head: bool,
    /// The request that is being read is not in line: it has been told.
    unqueued: bool,
    /// Requests told as unobserved whose answers may yet come.
    given_up: u64,
    /// The answer that is being read is none to a request in line.
    nobodys: bool,
    /// Requests or answers are missing: whose answer comes next is known only when all that were asked have come.
    astray: bool,
    /// Requests are missing: among the answers may be theirs.
    missing: bool,
    /// Requests were seen to begin while some answers had come and others had not: that all have come cannot be told
    /// from a new request.
    overlapping: bool,
    /// When the last request began.
    asked: Nanos,
}

/// A head of this length was captured only because it looked like many.
const LONG_HEAD: usize = 1024;

impl Connection {
    /// A connection whose requests take this direction; `from_start` if its first bytes were seen.
    #[must_use]
    pub fn new(requests: Direction, from_start: bool) -> Self {
        let reading = if from_start { Reading::Head } else { Reading::Unframed };
        let side = Side { reading, body: 0, sized: false, resumed: 0, seen: 0, last: Nanos(0), searched: 0 };
        Self {
            requests,
            request: side,
            response: side,
            pending: VecDeque::new(),
            stream: None,
            index: 0,
            lossy: !from_start,
            lost: false,
            pipelined: false,
            long_head: false,
            unqueued: false,
            given_up: 0,
            nobodys: false,
            astray: false,
            missing: false,
            overlapping: false,
            asked: Nanos(0),
        }
    }

    /// The side of the conversation that the observed socket is on.
    #[must_use]
    pub const fn role(&self) -> Role {
        match self.requests {
            Direction::Rx => Role::Server,
            Direction::Tx => Role::Client,
        }
    }

    fn read(&mut self, is_request: bool, piece: &Piece<'_>, output: &mut Output) -> Parse {
        let length = piece.bytes.len();
        let reading = if is_request { self.request.reading } else { self.response.reading };
        match reading {
            Reading::Tunnel | Reading::UntilClose => Parse::Done(length),
            Reading::Head if is_request => self.request_head(piece, output),
            Reading::Head => self.response_head(piece, output),
            // An answer to who knows what, which another follows instead of a body: it was to HEAD.
            Reading::Length(_) | Reading::Chunked(Chunks::START)
                if !is_request
                    && piece.at == self.response.body
                    && self.answers_unknown()
                    && head::recognise_known(piece.bytes) == Recognition::Response =>
            {
                self.answered(piece.at, output);
                Parse::Done(0)
            }
            Reading::Length(end) if piece.at >= end => {
                self.body_ends(is_request, end, piece.first, output);
                Parse::Done(0)
            }
            Reading::Length(end) => Parse::Skip(end),
            Reading::Declined(end) => match head::recognise_known(piece.bytes) {
                Recognition::NeedMore => Parse::NeedMore,
                Recognition::Request => {
                    self.body_ends(true, piece.at, piece.first, output);
                    Parse::Done(0)
                }
                Recognition::Response | Recognition::No => {
                    self.request.reading = Reading::Length(end);
                    Parse::Done(0)
                }
            },
            Reading::Chunked(Chunks::Lost) if is_request && self.next_request_begins(piece) => {
                if head::recognise(piece.bytes) == Recognition::NeedMore {
                    return Parse::NeedMore;
                }
                self.loses_end(true);
                self.body_ends(true, piece.at, self.request.last, output);
                Parse::Done(0)
            }
            Reading::Chunked(mut chunks) => {
                let progress = chunks.advance(piece);
                let side = if is_request { &mut self.request } else { &mut self.response };
                side.reading = Reading::Chunked(chunks);
                match progress {
                    Progress::Open(parse) => parse,
                    Progress::Complete(used) => {
                        if chunks == Chunks::Lost {
                            self.loses_end(is_request);
                        }
                        self.body_ends(is_request, piece.at + used as u64, piece.last, output);
                        Parse::Done(used)
                    }
                }
            }
            Reading::Unframed => self.resynchronise(is_request, piece, output),
        }
    }

    /// On a pipelined connection a chunked body is missing bytes: whole messages may have been among them.
    fn others_may_follow(&mut self, is_request: bool, output: &mut Output) {
        if is_request {
            self.request.sized = false;
            self.astray = true;
        } else {
            self.lost = true;
            self.answered_by_now(output);
            self.goes_astray(false, output);
        }
    }

    /// Looks for a head where bytes have no known meaning. Where it is not known what stood before them, they may be
    /// the rest of a word, so that a method must be a known one.
    fn resynchronise(&mut self, is_request: bool, piece: &Piece<'_>, output: &mut Output) -> Parse {
        if piece.bytes.len() == head::leading_empty_lines(piece.bytes) {
            return Parse::Done(piece.bytes.len());
        }
        let side = if is_request { &self.request } else { &self.response };
        let resumes = piece.at == side.resumed || side.seen == 0;
        let recognise = if resumes { head::recognise_known } else { head::recognise };
        match (recognise(piece.bytes), is_request) {
            (Recognition::Request, true) => {
                self.request_is_over(output);
                self.request.reading = Reading::Head;
                Parse::Done(0)
            }
            (Recognition::Response, false) => {
                if self.pending.front().is_some_and(|front| front.exchange.status.is_some()) {
                    self.answered_by_now(output);
                }
                self.response.reading = Reading::Head;
                Parse::Done(0)
            }
            (Recognition::NeedMore, _)
                if !piece.ends_segment || head::recognise_known(piece.bytes) == Recognition::NeedMore =>
            {
                Parse::NeedMore
            }
            _ => Parse::Done(piece.bytes.len()),
        }
    }

    /// Takes the body of the message whose head was just read, if all of it is there, and tells its length: most bodies come with
    /// their heads, and are asked for no more then.
    fn body_at_hand(&mut self, is_request: bool, piece: &Piece<'_>, output: &mut Output) -> usize {
        let side = if is_request { &self.request } else { &self.response };
        let (Reading::Length(end), begin) = (side.reading, side.body) else { return 0 };
        if end > piece.end() || (!is_request && self.answers_unknown()) {
            return 0;
        }
        self.body_ends(is_request, end, piece.last, output);
        usize::try_from(end - begin).unwrap_or_default()
    }

    /// A message's last byte has passed, at stream position `end`.
    fn body_ends(&mut self, is_request: bool, end: u64, moment: Nanos, output: &mut Output) {
        if !is_request {
            self.response.last = self.response.last.max(moment);
            self.answered(end, output);
            return;
        }
        self.request.reading = Reading::Head;
        let size = end.saturating_sub(self.request.body);
        let (last, sized) = (self.request.last.max(moment), self.request.sized);
        if let Some(newest) = self.newest() {
            newest.request_done = true;
            newest.exchange.request_body = sized.then_some(size);
            newest.exchange.times.request_last = Some(last);
        }
        self.hand_on(output);
    }

    /// The answer to the first exchange in line has ended, wherever that was: behind what was seen, unless its end
    /// was lost.
    fn answered_by_now(&mut self, output: &mut Output) {
        self.loses_end(false);
        self.answered(self.response.seen, output);
    }

    /// A message of which bytes are missing is taken to end here: if records were lost, it may have ended before.
    fn loses_end(&mut self, is_request: bool) {
        if !self.lost {
            return;
        }
        if is_request {
            self.request.sized = false;
            return;
        }
        self.response.sized = false;
        if let Some(front) = self.pending.front_mut() {
            front.unsure = true;
        }
    }
}
