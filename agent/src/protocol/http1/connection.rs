//! A connection: two directions of messages, requests paired with answers in order (RFC 9112 §9.3.2).
//!
//! ```text
//!              head read              body read
//! Reading::Head ────────> Length/Chunked ───────> Head     (framing known: messages follow one another)
//!      │  └─────────────> Unframed ─────────────> Head     (until the other side speaks, or the end)
//!      │  └─────────────> UntilClose                       (until the server's FIN)
//!      └─ 101, 2xx to CONNECT ──> Tunnel                   (until the end)
//! ```

use std::collections::VecDeque;

use super::{
    chunked::{Chunks, Progress},
    head::{self, Framing, Head, Parsed, StartLine},
};
use crate::{
    exchange::{Exchange, Method, Outcome, Role, StreamKind},
    protocol::{Appetite, Direction, End, Output, Parse, Piece, Recognition, StreamBounds},
    time::Nanos,
};

/// Requests without an answer that are remembered on one connection; RFC 9112 §9.3.2 sets no limit, servers stop
/// reading long before.
const MAX_PENDING: usize = 4096;

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
    /// Requests have followed one another without an answer between.
    pipelined: bool,
    /// A request's head was longer than the default capture.
    long_head: bool,
}

/// A head of this length was captured only because it looked like many.
const LONG_HEAD: usize = 1024;

impl Connection {
    /// A connection whose requests take this direction; `from_start` if its first bytes were seen.
    #[must_use]
    pub fn new(requests: Direction, from_start: bool) -> Self {
        let reading = if from_start { Reading::Head } else { Reading::Unframed };
        let side = Side { reading, body: 0, sized: false, seen: 0, last: Nanos(0), searched: 0 };
        Self {
            requests,
            request: side,
            response: side,
            pending: VecDeque::new(),
            stream: None,
            index: 0,
            lossy: !from_start,
            pipelined: false,
            long_head: false,
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

    /// What the next bytes of a direction are.
    #[must_use]
    pub fn appetite(&self, direction: Direction) -> Appetite {
        let side = if direction == self.requests { &self.request } else { &self.response };
        match side.reading {
            Reading::Tunnel => Appetite::Nothing,
            Reading::UntilClose | Reading::Chunked(Chunks::Lost) => Appetite::Bulk,
            _ => Appetite::Bytes,
        }
    }

    /// Whether requests were seen to follow one another without an answer between.
    #[must_use]
    pub const fn is_pipelined(&self) -> bool {
        self.pipelined
    }

    /// Whether a single request's head was long.
    #[must_use]
    pub const fn has_long_head(&self) -> bool {
        self.long_head
    }

    /// Whether a direction is the server's.
    #[must_use]
    pub fn is_from_server(&self, direction: Direction) -> bool {
        direction != self.requests
    }

    /// Exchanges that wait for an answer or for their request's end.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The stream the connection has become.
    #[must_use]
    pub fn stream_kind(&self) -> Option<StreamKind> {
        self.stream.as_ref().map(|stream| stream.kind)
    }

    /// Bytes of the connection were lost to us.
    pub fn note_loss(&mut self) {
        self.lossy = true;
    }

    /// The application has read from the socket: every request that had arrived by then is in its hands.
    pub fn picked_up(&mut self, moment: Nanos) {
        for pending in &mut self.pending {
            let times = &mut pending.exchange.times;
            if times.picked_up.is_none() && times.request_first.is_some_and(|first| first <= moment) {
                times.picked_up = Some(moment);
            }
        }
    }

    /// Goes over a piece of a direction.
    pub fn parse(&mut self, direction: Direction, piece: &Piece<'_>, output: &mut Output) -> Parse {
        let is_request = direction == self.requests;
        let side = if is_request { &mut self.request } else { &mut self.response };
        side.seen = side.seen.max(piece.end());
        side.last = side.last.max(piece.last);
        let length = piece.bytes.len();
        let reading = side.reading;
        match reading {
            Reading::Tunnel | Reading::UntilClose => Parse::Done(length),
            Reading::Head if is_request => self.request_head(piece, output),
            Reading::Head => self.response_head(piece, output),
            Reading::Length(end) if piece.at >= end => {
                self.body_ends(is_request, end, piece.first, output);
                Parse::Done(0)
            }
            Reading::Length(end) => Parse::Skip(end),
            Reading::Declined(end) => match head::recognise(piece.bytes) {
                Recognition::NeedMore => Parse::NeedMore,
                Recognition::Request => {
                    self.body_ends(true, piece.at, piece.first, output);
                    Parse::Done(0)
                }
                _ => {
                    self.request.reading = Reading::Length(end);
                    Parse::Done(0)
                }
            },
            Reading::Chunked(Chunks::Lost) if is_request && self.next_request_begins(piece) => {
                self.request_is_over(output);
                self.request.reading = Reading::Head;
                Parse::Done(0)
            }
            Reading::Chunked(mut chunks) => {
                let progress = chunks.advance(piece);
                let side = if is_request { &mut self.request } else { &mut self.response };
                side.reading = Reading::Chunked(chunks);
                match progress {
                    Progress::Open(parse) => parse,
                    Progress::Complete(used) => {
                        self.body_ends(is_request, piece.at + used as u64, piece.last, output);
                        Parse::Done(used)
                    }
                }
            }
            Reading::Unframed => self.resynchronise(is_request, piece, output),
        }
    }

    /// Bytes of a direction will never be seen: those behind `piece`, the last that were and are not parsed,
    /// up to `to`.
    pub fn gap(&mut self, direction: Direction, piece: &Piece<'_>, to: u64, output: &mut Output) {
        let is_request = direction == self.requests;
        let side = if is_request { &mut self.request } else { &mut self.response };
        side.seen = side.seen.max(to);
        match side.reading {
            Reading::Chunked(mut chunks) => {
                chunks.gap(to);
                side.reading = Reading::Chunked(chunks);
            }
            Reading::Head => {
                side.searched = 0;
                match head::parse_partial(piece.bytes) {
                    Some(found) if is_request => {
                        self.request_begins(&found, piece, true, output);
                        self.request.reading = Reading::Unframed;
                        self.request.sized = false;
                    }
                    Some(found) => {
                        if let StartLine::Response(status) = found.start {
                            self.response_begins(&found, status, piece, true, output);
                        }
                        self.response.reading = Reading::Unframed;
                        self.response.sized = false;
                    }
                    None => {
                        self.lossy = true;
                        if is_request {
                            self.request.reading = Reading::Unframed;
                        } else {
                            self.response.reading = Reading::Unframed;
                            self.give_up_pipelined(output);
                        }
                    }
                }
            }
            Reading::Declined(end) => side.reading = Reading::Length(end),
            Reading::Length(_) | Reading::UntilClose | Reading::Unframed | Reading::Tunnel => {}
        }
    }

    /// The end of a request's chunked body was missed, its answer has come, and a request line is here: favours the
    /// next exchange over a body that looks like one.
    fn next_request_begins(&self, piece: &Piece<'_>) -> bool {
        let answered = self.pending.back().is_none_or(|newest| newest.exchange.status.is_some());
        answered && head::recognise(piece.bytes) == Recognition::Request
    }

    /// Among several unanswered requests nobody knows which one's answer was in a gap.
    fn give_up_pipelined(&mut self, output: &mut Output) {
        if self.pending.len() > 1 {
            while let Some(pending) = self.pending.pop_front() {
                self.finish(pending, Outcome::Unobserved, false, output);
            }
        }
    }

    /// Looks for a head where bytes have no known meaning.
    fn resynchronise(&mut self, is_request: bool, piece: &Piece<'_>, output: &mut Output) -> Parse {
        match (head::recognise(piece.bytes), is_request) {
            (Recognition::Request, true) => {
                self.request_is_over(output);
                self.request.reading = Reading::Head;
                Parse::Done(0)
            }
            (Recognition::Response, false) => {
                if self.pending.front().is_some_and(|front| front.exchange.status.is_some()) {
                    self.answered(self.response.seen, output);
                }
                self.response.reading = Reading::Head;
                Parse::Done(0)
            }
            (Recognition::NeedMore, _) if !piece.ends_segment => Parse::NeedMore,
            _ => Parse::Done(piece.bytes.len()),
        }
    }

    fn request_head(&mut self, piece: &Piece<'_>, output: &mut Output) -> Parse {
        if piece.bytes.len() == head::leading_empty_lines(piece.bytes) {
            return Parse::Done(piece.bytes.len());
        }
        if self.request.searched > 0 && !head::has_end(piece.bytes, self.request.searched) {
            self.request.searched = piece.bytes.len();
            return Parse::NeedMore;
        }
        match head::parse(piece.bytes) {
            Parsed::Whole(found, length) => {
                self.request.searched = 0;
                self.long_head |= length > LONG_HEAD;
                self.response_gives_way(output);
                self.request_begins(&found, piece, false, output);
                let body = piece.at + length as u64;
                self.request.body = body;
                self.request.sized = true;
                let last = piece.last;
                match found.framing {
                    Framing::Absent | Framing::Length(0) => self.body_ends(true, body, last, output),
                    Framing::Length(length) => {
                        self.request.reading = Reading::Length(body.saturating_add(length));
                    }
                    Framing::Chunked => self.request.reading = Reading::Chunked(Chunks::START),
                    Framing::Unclear => self.request.reading = Reading::Unframed,
                }
                Parse::Done(length)
            }
            Parsed::NeedMore => {
                self.request.searched = piece.bytes.len();
                Parse::NeedMore
            }
            Parsed::Invalid => {
                self.lossy = true;
                self.request.searched = 0;
                self.request.reading = Reading::Unframed;
                Parse::Done(piece.bytes.len())
            }
        }
    }

    fn request_begins(&mut self, found: &Head<'_>, piece: &Piece<'_>, partial: bool, output: &mut Output) {
        let StartLine::Request { method: token, target } = found.start else { return };
        let mut exchange = output.blank();
        let method = Method::from_token(token);
        exchange.index = self.index;
        exchange.role = self.role();
        exchange.method = Some(method);
        exchange.minor_version = found.minor;
        exchange.partial = partial;
        exchange.times.request_first = Some(piece.first);
        let details = &mut exchange.details;
        let authority = authority(method, target).unwrap_or(found.host);
        details.authority.extend_from_slice(authority);
        if output.details {
            details.target.extend_from_slice(target);
            details.user_agent.extend_from_slice(found.user_agent);
            if method == Method::Other {
                details.method.extend_from_slice(token);
            }
        }
        self.index += 1;
        let upgrade = match found.upgrade {
            b"" => None,
            value if value.eq_ignore_ascii_case(b"websocket") => Some(StreamKind::WebSocket),
            _ => Some(StreamKind::Upgrade),
        };
        let pending = Pending {
            exchange,
            request_done: false,
            response_done: false,
            expects_continue: found.expects_continue,
            upgrade,
            told: false,
        };
        if self.pending.len() >= MAX_PENDING {
            self.finish(pending, Outcome::Unobserved, false, output);
            return;
        }
        self.pipelined |= !self.pending.is_empty();
        self.pending.push_back(pending);
    }

    /// A request's last byte has passed, at stream position `end`.
    fn body_ends(&mut self, is_request: bool, end: u64, moment: Nanos, output: &mut Output) {
        if !is_request {
            self.response.last = self.response.last.max(moment);
            self.answered(end, output);
            return;
        }
        self.request.reading = Reading::Head;
        let size = end.saturating_sub(self.request.body);
        if let Some(newest) = self.pending.back_mut() {
            newest.request_done = true;
            newest.exchange.request_body = Some(size);
            newest.exchange.times.request_last = Some(self.request.last.max(moment));
        }
        self.hand_on(output);
    }

    /// A request of unknown length is over, since the next one begins or its answer is whole.
    fn request_is_over(&mut self, output: &mut Output) {
        let last = self.request.last;
        if let Some(newest) = self.pending.back_mut()
            && !newest.request_done
        {
            newest.request_done = true;
            newest.exchange.times.request_last = Some(last);
        }
        self.hand_on(output);
    }

    /// A new request is here: an answer whose end cannot be told by its framing has ended before it.
    fn response_gives_way(&mut self, output: &mut Output) {
        let unframed =
            matches!(self.response.reading, Reading::Unframed | Reading::Chunked(Chunks::Lost));
        if !unframed || self.pending.len() > 1 {
            return;
        }
        if self.pending.front().is_some_and(|front| front.exchange.status.is_some()) {
            self.answered(self.response.seen, output);
        } else if let Some(pending) = self.pending.pop_front() {
            self.finish(pending, Outcome::Unobserved, false, output);
        }
        self.response.reading = Reading::Head;
    }

    fn response_head(&mut self, piece: &Piece<'_>, output: &mut Output) -> Parse {
        if piece.bytes.len() == head::leading_empty_lines(piece.bytes) {
            return Parse::Done(piece.bytes.len());
        }
        if self.response.searched > 0 && !head::has_end(piece.bytes, self.response.searched) {
            self.response.searched = piece.bytes.len();
            return Parse::NeedMore;
        }
        match head::parse(piece.bytes) {
            Parsed::Whole(found, length) => {
                self.response.searched = 0;
                self.response.body = piece.at + length as u64;
                self.response.sized = true;
                if let StartLine::Response(status) = found.start {
                    self.response_begins(&found, status, piece, false, output);
                } else {
                    self.response.reading = Reading::Unframed;
                }
                Parse::Done(length)
            }
            Parsed::NeedMore => {
                self.response.searched = piece.bytes.len();
                Parse::NeedMore
            }
            Parsed::Invalid => {
                self.lossy = true;
                self.response.searched = 0;
                self.response.reading = Reading::Unframed;
                Parse::Done(piece.bytes.len())
            }
        }
    }

    fn response_begins(
        &mut self,
        found: &Head<'_>,
        status: u16,
        piece: &Piece<'_>,
        partial: bool,
        output: &mut Output,
    ) {
        if (100..200).contains(&status) && status != 101 {
            return;
        }
        if self.pending.is_empty() {
            self.unasked(output);
        }
        let Some(front) = self.pending.front_mut() else {
            // An answer nobody asked for, such as a 408 before closing: it has no exchange.
            self.response.reading = Reading::Unframed;
            return;
        };
        let exchange = &mut front.exchange;
        exchange.status = Some(status);
        exchange.partial |= partial;
        exchange.times.response_first = Some(piece.first);
        let method = exchange.method;
        if status == 101 || (method == Some(Method::Connect) && (200..300).contains(&status)) {
            let kind = match method {
                Some(Method::Connect) if status != 101 => StreamKind::Connect,
                _ => front.upgrade.unwrap_or(StreamKind::Upgrade),
            };
            exchange.stream = Some(kind);
            self.becomes_stream(kind, piece.last, output);
            return;
        }
        let bodiless = method == Some(Method::Head) || matches!(status, 204 | 304);
        let body = self.response.body;
        self.response.reading = match found.framing {
            _ if bodiless => Reading::Length(body),
            Framing::Length(length) => Reading::Length(body.saturating_add(length)),
            Framing::Chunked => Reading::Chunked(Chunks::START),
            Framing::Absent => Reading::UntilClose,
            Framing::Unclear => Reading::Unframed,
        };
        if !bodiless && found.event_stream {
            exchange.stream = Some(StreamKind::ServerSentEvents);
            self.opens_event_stream(piece.last, output);
        } else if self.response.reading == Reading::Length(body) {
            self.body_ends(false, body, piece.last, output);
        }
    }

    /// An answer without a request: after a loss, one whose request was not seen.
    fn unasked(&mut self, output: &mut Output) {
        if !self.lossy {
            return;
        }
        let mut exchange = output.blank();
        exchange.index = self.index;
        exchange.role = self.role();
        exchange.minor_version = 1;
        self.index += 1;
        self.pending.push_back(Pending {
            exchange,
            request_done: true,
            response_done: false,
            expects_continue: false,
            upgrade: None,
            told: false,
        });
    }

    /// The first exchange in line ends here, and what follows on the connection is not HTTP.
    fn becomes_stream(&mut self, kind: StreamKind, moment: Nanos, output: &mut Output) {
        self.stream = Some(OpenStream {
            kind,
            opened: moment,
            request_from: self.request.body,
            response_from: self.response.body,
        });
        self.response.last = moment;
        self.answered(self.response.body, output);
        self.request.reading = Reading::Tunnel;
        self.response.reading = Reading::Tunnel;
        self.tell_opened(output);
    }

    /// The first exchange in line ends with its head; the body is a stream of events.
    fn opens_event_stream(&mut self, moment: Nanos, output: &mut Output) {
        let reading = self.response.reading;
        self.stream = Some(OpenStream {
            kind: StreamKind::ServerSentEvents,
            opened: moment,
            request_from: self.request.seen,
            response_from: self.response.body,
        });
        self.response.last = moment;
        self.answered(self.response.body, output);
        self.response.reading = reading;
        self.tell_opened(output);
    }

    fn tell_opened(&self, output: &mut Output) {
        if let Some(stream) = &self.stream {
            output.opened.push(StreamBounds {
                kind: stream.kind,
                role: self.role(),
                opened: stream.opened,
                closed: stream.opened,
                sent_by_client: 0,
                sent_by_server: 0,
            });
        }
    }

    /// The answer to the first exchange in line, or the stream that is its body, is whole at stream position `end`.
    fn answered(&mut self, end: u64, output: &mut Output) {
        let (first, last, sized) = (self.response.body, self.response.last, self.response.sized);
        self.response.reading = Reading::Head;
        if let Some(stream) = &self.stream
            && stream.kind == StreamKind::ServerSentEvents
            && end > stream.response_from
        {
            self.stream_ends(last, self.request.seen, end, output);
            return;
        }
        let alone = self.pending.len() == 1;
        let Some(front) = self.pending.front_mut() else { return };
        front.response_done = true;
        front.exchange.times.response_last = Some(last);
        if front.exchange.stream.is_none() && sized {
            front.exchange.response_body = Some(end.saturating_sub(first));
        }
        if !front.request_done && alone {
            match self.request.reading {
                Reading::Length(end) if front.expects_continue && self.request.seen <= self.request.body => {
                    self.request.reading = Reading::Declined(end);
                }
                Reading::Unframed | Reading::Chunked(Chunks::Lost) => {
                    let size = self.request.seen.saturating_sub(self.request.body);
                    front.exchange.request_body = self.request.sized.then_some(size);
                    front.request_done = true;
                    front.exchange.times.request_last = Some(self.request.last);
                    self.request.reading = Reading::Head;
                }
                _ => {}
            }
        }
        self.hand_on(output);
    }

    /// Hands on what is whole at the front of the line.
    fn hand_on(&mut self, output: &mut Output) {
        while self.pending.front().is_some_and(|front| front.request_done && front.response_done) {
            let Some(pending) = self.pending.pop_front() else { break };
            let outcome = answered_outcome(&pending.exchange);
            self.finish(pending, outcome, false, output);
        }
    }

    fn finish(&mut self, mut pending: Pending, outcome: Outcome, by_rst: bool, output: &mut Output) {
        if pending.told {
            output.recycle(pending.exchange);
            return;
        }
        pending.exchange.outcome = outcome;
        pending.exchange.by_rst = by_rst;
        output.finished.push(pending.exchange);
    }

    fn stream_ends(&mut self, moment: Nanos, request_end: u64, response_end: u64, output: &mut Output) {
        let Some(stream) = self.stream.take() else { return };
        output.closed.push(StreamBounds {
            kind: stream.kind,
            role: self.role(),
            opened: stream.opened,
            closed: moment,
            sent_by_client: request_end.saturating_sub(stream.request_from),
            sent_by_server: response_end.saturating_sub(stream.response_from),
        });
    }

    /// The server will send no more: what lasted until then is whole, what waits for an answer gets none. A tunnel
    /// goes on in the other direction.
    pub fn server_closes(&mut self, end: &End, output: &mut Output) {
        if self.request.reading == Reading::Tunnel {
            return;
        }
        let position = end.position(self.requests.other());
        self.response.seen = self.response.seen.max(position);
        let lasted = matches!(
            self.response.reading,
            Reading::UntilClose | Reading::Unframed | Reading::Chunked(Chunks::Lost)
        );
        let has_status = self.pending.front().is_some_and(|front| front.exchange.status.is_some());
        if lasted && (has_status || self.stream.is_some()) {
            self.answered(self.response.seen, output);
        }
        self.close(end, output);
    }

    /// The connection is over: everything on it ends now, by whoever ended it.
    pub fn close(&mut self, end: &End, output: &mut Output) {
        self.request.seen = self.request.seen.max(end.position(self.requests));
        self.response.seen = self.response.seen.max(end.position(self.requests.other()));
        if end.rst.is_none() && matches!(self.response.reading, Reading::UntilClose) {
            self.answered(self.response.seen, output);
        }
        let by_client = match (end.rst, end.first_fin) {
            (Some(direction), _) | (None, Some(direction)) => direction == self.requests,
            (None, None) => false,
        };
        let outcome = if by_client { Outcome::ClientAbort } else { Outcome::Reset };
        while let Some(mut pending) = self.pending.pop_front() {
            let exchange = &mut pending.exchange;
            let ended = if pending.response_done { answered_outcome(exchange) } else { outcome };
            if !pending.response_done {
                exchange.times.response_last = Some(end.time);
                if exchange.status.is_some() {
                    let seen = self.response.seen.saturating_sub(self.response.body);
                    exchange.response_body = self.response.sized.then_some(seen);
                }
            }
            if !pending.request_done {
                let seen = self.request.seen.saturating_sub(self.request.body);
                exchange.request_body = self.request.sized.then_some(seen);
            }
            let unknown = self.lossy && exchange.status.is_none() && !pending.response_done;
            let ended = if unknown { Outcome::Unobserved } else { ended };
            self.finish(pending, ended, end.rst.is_some(), output);
        }
        let (requests, responses) = (self.requests, self.requests.other());
        self.stream_ends(end.time, end.position(requests), end.position(responses), output);
    }

    /// Tells exchanges that have waited for an answer since before `oldest`.
    pub fn expire(&mut self, oldest: Nanos, now: Nanos, output: &mut Output) {
        for pending in &mut self.pending {
            let times = &pending.exchange.times;
            let waits = times.response_first.is_none() && !pending.told;
            let since = times.request_last.or(times.request_first);
            if waits && pending.request_done && since.is_some_and(|since| since < oldest) {
                pending.told = true;
                let mut exchange = output.blank();
                exchange.clone_from(&pending.exchange);
                exchange.outcome = if self.lossy { Outcome::Unobserved } else { Outcome::Timeout };
                exchange.times.response_last = Some(now);
                output.finished.push(exchange);
            }
        }
    }
}

/// How an answered exchange ended: by its status, for its role (OpenTelemetry HTTP conventions, span status).
fn answered_outcome(exchange: &Exchange) -> Outcome {
    let Some(status) = exchange.status else { return Outcome::Unobserved };
    if exchange.times.request_first.is_none() {
        return Outcome::Unobserved;
    }
    match (exchange.role, status) {
        (_, 500..) | (Role::Client, 400..) => Outcome::Error,
        _ => Outcome::Ok,
    }
}

/// The authority of an absolute-form or authority-form target (RFC 9112 §§3.2.2, 3.2.3), without user information.
fn authority(method: Method, target: &[u8]) -> Option<&[u8]> {
    if method == Method::Connect {
        return Some(target);
    }
    if target.starts_with(b"/") {
        return None;
    }
    let scheme = memchr::memmem::find(target, b"://")?;
    let rest = target.get(scheme + 3..)?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    let host = memchr::memrchr(b'@', authority).map_or(0, |at| at + 1);
    authority.get(host..)
}
