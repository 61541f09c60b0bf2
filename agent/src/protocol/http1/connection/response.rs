//! The server's side: heads of answers, the bodies behind them, and what a connection becomes by them.

use super::{Connection, OpenStream, Pending, Reading};
use crate::{
    exchange::{Method, Outcome, StreamKind},
    protocol::{
        Output, Parse, Piece, StreamBounds,
        http1::{
            captured,
            chunked::Chunks,
            head::{self, Framing, Head, Parsed, StartLine},
        },
    },
    time::Nanos,
};

impl Connection {
    /// A response's head goes on beyond what was captured, and perhaps further answers with it.
    pub(super) fn partial_response(&mut self, found: &Head<'_>, piece: &Piece<'_>, to: u64, output: &mut Output) {
        self.response.sized = false;
        self.response.body = to;
        let StartLine::Response(status) = found.start else { return };
        self.response_begins(found, status, piece, true, output);
        if self.response.reading != Reading::Tunnel {
            self.response.reading = Reading::Unframed;
        }
        if self.missing || self.pending.len() > 1 {
            self.answered(self.response.seen, output);
            self.goes_astray(false, output);
        }
    }

    /// The answer that is being read is to a request that was not seen.
    pub(super) fn answers_unknown(&self) -> bool {
        self.nobodys || self.pending.front().is_some_and(|front| front.exchange.method.is_none())
    }

    /// A new request is here: an answer whose end cannot be told by its framing has ended before it.
    pub(super) fn response_gives_way(&mut self, output: &mut Output) {
        // An answer to who knows what, of which nothing has come but its head: it was to HEAD.
        let framed = matches!(self.response.reading, Reading::Length(_) | Reading::Chunked(Chunks::START));
        if self.answers_unknown() && framed && self.response.seen <= self.response.body {
            self.answered(self.response.body, output);
        }
        let unframed = matches!(self.response.reading, Reading::Unframed | Reading::Chunked(Chunks::Lost));
        if !unframed || self.pending.len() > 1 {
            return;
        }
        if self.pending.front().is_some_and(|front| front.exchange.status.is_some()) {
            self.answered_by_now(output);
        } else if let Some(pending) = self.pending.pop_front() {
            self.finish(pending, Outcome::Unobserved, false, output);
        }
        self.response.reading = Reading::Head;
    }

    pub(super) fn response_head(&mut self, piece: &Piece<'_>, output: &mut Output) -> Parse {
        if piece.bytes.len() == head::leading_empty_lines(piece.bytes) {
            return Parse::Done(piece.bytes.len());
        }
        if self.response.searched > 0 && !head::has_end(piece.bytes, self.response.searched) {
            self.response.searched = piece.bytes.len();
            return Parse::NeedMore;
        }
        match output.heads.read(piece.bytes, None) {
            Parsed::Whole(found, length) => {
                self.response.searched = 0;
                self.response.body = piece.at + length as u64;
                self.response.sized = true;
                if let StartLine::Response(status) = found.start {
                    self.response_begins(&found, status, piece, false, output);
                } else {
                    self.response.reading = Reading::Unframed;
                }
                Parse::Done(length + self.body_at_hand(false, piece, output))
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

    pub(super) fn response_begins(
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
        let body = self.response.body;
        self.nobodys = self.pending.is_empty() && self.given_up > 0;
        if self.nobodys {
            self.given_up -= 1;
            let bodiless = matches!(status, 204 | 304);
            self.response.reading = if bodiless { Reading::Head } else { framed(found.framing, body) };
            return;
        }
        if self.pending.is_empty() {
            self.unasked(output);
        }
        // No answer begins before its request, and no request has two.
        let asked = |front: &&mut Pending| {
            !front.response_done && front.exchange.times.request_first.is_none_or(|first| first <= piece.first)
        };
        let Some(front) = self.pending.front_mut().filter(asked) else {
            // An answer nobody asked for, such as a 408 before closing: it has no exchange.
            self.response.reading = Reading::Unframed;
            return;
        };
        let exchange = &mut front.exchange;
        exchange.status = Some(status);
        exchange.partial |= partial;
        exchange.times.response_first = Some(piece.first);
        if let Some(headers) = &output.headers {
            let kept = &mut exchange.details.response_headers;
            captured::keep(piece.bytes, |name| headers.response(name), captured::MAX_VALUES, kept);
        }
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
        self.response.reading = if bodiless { Reading::Length(body) } else { framed(found.framing, body) };
        if !bodiless && found.event_stream {
            exchange.stream = Some(StreamKind::ServerSentEvents);
            self.opens_event_stream(piece.last, output);
        } else if self.response.reading == Reading::Length(body) {
            self.body_ends(false, body, piece.last, output);
        }
    }

    /// An answer without a request: after a loss, one whose request was not seen.
    pub(super) fn unasked(&mut self, output: &mut Output) {
        if !self.lossy {
            return;
        }
        let mut exchange = output.blank();
        exchange.index = self.index;
        exchange.role = self.role();
        exchange.minor_version = 1;
        self.index += 1;
        self.pending.push_back(Pending { request_done: true, ..Pending::new(exchange) });
    }

    /// The first exchange in line ends here, and what follows on the connection is not HTTP.
    pub(super) fn becomes_stream(&mut self, kind: StreamKind, moment: Nanos, output: &mut Output) {
        self.stream = Some(OpenStream {
            kind,
            opened: moment,
            request_from: self.request.body + self.front_body(),
            response_from: self.response.body,
        });
        self.response.last = moment;
        self.answered(self.response.body, output);
        self.request.reading = Reading::Tunnel;
        self.response.reading = Reading::Tunnel;
        self.tell_opened(output);
    }

    /// The first exchange in line ends with its head; the body is a stream of events.
    pub(super) fn opens_event_stream(&mut self, moment: Nanos, output: &mut Output) {
        let (reading, body) = (self.response.reading, self.response.body);
        self.response.last = moment;
        self.answered(body, output);
        self.stream = Some(OpenStream {
            kind: StreamKind::ServerSentEvents,
            opened: moment,
            request_from: self.request.seen,
            response_from: body,
        });
        self.tell_opened(output);
        self.response.reading = reading;
        if reading == Reading::Length(body) {
            self.body_ends(false, body, moment, output);
        }
    }

    pub(super) fn tell_opened(&self, output: &mut Output) {
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
    pub(super) fn answered(&mut self, end: u64, output: &mut Output) {
        let (first, last, sized) = (self.response.body, self.response.last, self.response.sized);
        self.response.reading = Reading::Head;
        if let Some(stream) = &self.stream
            && stream.kind == StreamKind::ServerSentEvents
        {
            self.stream_ends(last, self.request.seen, end, output);
            return;
        }
        if std::mem::take(&mut self.nobodys) {
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
                    front.exchange.request_body = (self.request.sized && !self.lost).then_some(size);
                    front.request_done = true;
                    front.exchange.times.request_last = Some(self.request.last);
                    self.request.reading = Reading::Head;
                }
                _ => {}
            }
        }
        self.hand_on(output);
    }
}

/// What a response's body is by its fields, when it may have one and begins at this position.
const fn framed(framing: Framing, body: u64) -> Reading {
    match framing {
        Framing::Length(length) => Reading::Length(body.saturating_add(length)),
        Framing::Chunked => Reading::Chunked(Chunks::START),
        Framing::Absent => Reading::UntilClose,
        Framing::Unclear => Reading::Unframed,
    }
}
