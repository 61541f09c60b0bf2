//! The client's side: heads of requests, and where they end.

use super::{Connection, LONG_HEAD, MAX_PENDING, Pending, QUIET, Reading};
use crate::{
    exchange::{Method, StreamKind},
    protocol::{
        Output, Parse, Piece, Recognition,
        http1::{
            captured,
            chunked::Chunks,
            forwarded,
            head::{self, Framing, Head, Parsed, StartLine},
        },
    },
    trace::context::{self, Fields},
};

/// Requests in line whose strings are kept as they are. Of those behind them, at most [`MAX_STRING`] bytes of each
/// string are kept, lest a client who pipelines long heads fills the agent's memory with them.
const MAX_WHOLE: usize = 16;

/// See [`MAX_WHOLE`].
const MAX_STRING: usize = 512;

impl Connection {
    /// The end of a request's chunked body was missed, its answer has come, and a request line, or what can become
    /// one, is here: favours the next exchange over a body that looks like one.
    pub(super) fn next_request_begins(&self, piece: &Piece<'_>) -> bool {
        let answered = self.pending.back().is_none_or(|newest| newest.exchange.status.is_some());
        let begins = || matches!(head::recognise_known(piece.bytes), Recognition::Request | Recognition::NeedMore);
        answered && head::leading_empty_lines(piece.bytes) == 0 && begins()
    }

    pub(super) fn request_head(&mut self, piece: &Piece<'_>, output: &mut Output) -> Parse {
        if piece.bytes.len() == head::leading_empty_lines(piece.bytes) {
            return Parse::Done(piece.bytes.len());
        }
        if self.request.searched > 0 && !head::has_end(piece.bytes, self.request.searched) {
            self.request.searched = piece.bytes.len();
            return Parse::NeedMore;
        }
        let mut fields = Fields::default();
        match output.heads.read(piece.bytes, Some(&mut fields)) {
            Parsed::Whole(found, length) => {
                self.request.searched = 0;
                self.long_head |= length > LONG_HEAD;
                self.response_gives_way(output);
                self.request_begins(&found, &fields, piece, false, output);
                let body = piece.at + length as u64;
                self.request.body = body;
                self.request.sized = true;
                self.request.reading = match found.framing {
                    Framing::Absent => Reading::Length(body),
                    Framing::Length(length) => Reading::Length(body.saturating_add(length)),
                    Framing::Chunked => Reading::Chunked(Chunks::START),
                    Framing::Unclear => Reading::Unframed,
                };
                Parse::Done(length + self.body_at_hand(true, piece, output))
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

    pub(super) fn request_begins(
        &mut self,
        found: &Head<'_>,
        fields: &Fields<'_>,
        piece: &Piece<'_>,
        partial: bool,
        output: &mut Output,
    ) {
        let StartLine::Request { method: token, target } = found.start else { return };
        let mut exchange = output.blank();
        let method = Method::from_token(token);
        exchange.index = self.index;
        exchange.role = self.role();
        exchange.method = Some(method);
        exchange.minor_version = found.minor;
        let most = if self.pending.len() < MAX_WHOLE { usize::MAX } else { MAX_STRING };
        exchange.partial = partial || ((output.details || output.targets) && target.len() > most);
        exchange.times.request_first = Some(piece.first);
        let details = &mut exchange.details;
        let authority = authority(method, target).unwrap_or(found.host);
        details.authority.extend_from_slice(cut(authority, most));
        if let Some((carried, state)) = context::parse(fields, output.propagators) {
            exchange.trace = Some(carried);
            if output.details {
                state.append_to(&mut details.trace_state);
            }
        }
        if output.details || output.targets {
            details.target.extend_from_slice(cut(target, most));
        }
        if output.details {
            details.client.extend_from_slice(forwarded::client(fields).unwrap_or_default());
            details.user_agent.extend_from_slice(cut(found.user_agent, most));
            if method == Method::Other {
                details.method.extend_from_slice(token);
            }
            if let Some(headers) = &output.headers {
                let most = most.min(captured::MAX_VALUES);
                captured::keep(piece.bytes, |name| headers.request(name), most, &mut details.request_headers);
            }
        }
        self.index += 1;
        let upgrade = match found.upgrade {
            b"" => None,
            value if value.eq_ignore_ascii_case(b"websocket") => Some(StreamKind::WebSocket),
            _ => Some(StreamKind::Upgrade),
        };
        let pending = Pending { expects_continue: found.expects_continue, upgrade, ..Pending::new(exchange) };
        self.overlapping |= !self.pending.is_empty() && self.response.last > self.asked;
        self.asked = piece.first;
        if self.pending.is_empty() {
            self.lost = false;
            let quiet = piece.first.since(self.response.last) >= QUIET;
            if self.astray && (quiet || !self.overlapping) {
                (self.astray, self.missing) = (false, false);
                self.given_up = 0;
            }
        }
        self.unqueued = self.astray || self.given_up > 0 || self.pending.len() >= MAX_PENDING;
        if self.unqueued {
            self.give_up(pending, output);
            return;
        }
        self.pipelined |= !self.pending.is_empty();
        self.pending.push_back(pending);
    }

    /// The request that is being read, if it is in line.
    pub(super) fn newest(&mut self) -> Option<&mut Pending> {
        if self.unqueued { None } else { self.pending.back_mut() }
    }

    /// A request of unknown length is over, since the next one begins or its answer is whole.
    pub(super) fn request_is_over(&mut self, output: &mut Output) {
        let last = self.request.last;
        if let Some(newest) = self.newest()
            && !newest.request_done
        {
            newest.request_done = true;
            newest.exchange.times.request_last = Some(last);
        }
        self.hand_on(output);
    }

    /// Body bytes of the first request in line, as far as known.
    pub(super) fn front_body(&self) -> u64 {
        self.pending.front().and_then(|front| front.exchange.request_body).unwrap_or(0)
    }
}

fn cut(string: &[u8], most: usize) -> &[u8] {
    string.get(..most).unwrap_or(string)
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
