//! How exchanges, streams and connections end.

use super::{Connection, Pending, Reading};
use crate::{
    exchange::{Outcome, Role},
    protocol::{End, Output, StreamBounds, http1::chunked::Chunks},
    time::Nanos,
};

impl Connection {
    /// Whole messages may have been missed in a direction. Requests in line were asked before what was missed of
    /// that side and keep their answers; of answers that were missed nobody knows whose they were.
    pub(super) fn goes_astray(&mut self, is_request: bool, output: &mut Output) {
        self.lossy = true;
        self.astray = true;
        if is_request {
            self.missing = true;
            self.request.reading = Reading::Unframed;
            return;
        }
        self.response.reading = Reading::Unframed;
        while let Some(pending) = self.pending.pop_front() {
            self.unqueued |= !pending.request_done;
            self.give_up(pending, output);
        }
    }

    pub(super) fn give_up(&mut self, pending: Pending, output: &mut Output) {
        self.given_up += 1;
        self.finish(pending, Outcome::Unobserved, false, output);
    }

    /// Hands on what is whole at the front of the line.
    pub(super) fn hand_on(&mut self, output: &mut Output) {
        while self.pending.front().is_some_and(|front| front.request_done && front.response_done) {
            let Some(pending) = self.pending.pop_front() else { break };
            let outcome = answered_outcome(&pending);
            self.finish(pending, outcome, false, output);
        }
    }

    pub(super) fn finish(&mut self, mut pending: Pending, outcome: Outcome, by_rst: bool, output: &mut Output) {
        if pending.told {
            output.recycle(pending.exchange);
            return;
        }
        pending.exchange.outcome = outcome;
        pending.exchange.by_rst = by_rst;
        output.finished.push(pending.exchange);
    }

    pub(super) fn stream_ends(&mut self, moment: Nanos, request_end: u64, response_end: u64, output: &mut Output) {
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
    pub(super) fn server_sends_no_more(&mut self, end: &End, output: &mut Output) {
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
            if self.response.reading != Reading::UntilClose {
                self.loses_end(false);
            }
            self.answered(self.response.seen, output);
        }
        self.is_over(end, output);
    }

    /// Nothing more will be seen of the connection, which may go on: what is not whole is unobserved.
    pub(super) fn is_forgotten(&mut self, end: &End, output: &mut Output) {
        while let Some(pending) = self.pending.pop_front() {
            let whole = pending.request_done && pending.response_done;
            let outcome = if whole { answered_outcome(&pending) } else { Outcome::Unobserved };
            self.finish(pending, outcome, false, output);
        }
        let (requests, responses) = (self.requests, self.requests.other());
        self.stream_ends(end.time, end.position(requests), end.position(responses), output);
    }

    /// The connection is over: everything on it ends now, by whoever ended it.
    pub(super) fn is_over(&mut self, end: &End, output: &mut Output) {
        self.request.seen = self.request.seen.max(end.position(self.requests));
        self.response.seen = self.response.seen.max(end.position(self.requests.other()));
        match self.response.reading {
            Reading::UntilClose if end.rst.is_none() => self.answered(self.response.seen, output),
            Reading::Length(whole) if self.response.seen >= whole => {
                self.body_ends(false, whole, self.response.last, output);
            }
            _ => {}
        }
        let by_client = match (end.rst, end.first_fin) {
            (Some(direction), _) | (None, Some(direction)) => direction == self.requests,
            (None, None) => false,
        };
        let outcome = if by_client { Outcome::ClientAbort } else { Outcome::Reset };
        while let Some(mut pending) = self.pending.pop_front() {
            let ended = if pending.response_done { answered_outcome(&pending) } else { outcome };
            let exchange = &mut pending.exchange;
            if !pending.response_done {
                exchange.times.response_last = Some(end.time);
                if exchange.status.is_some() {
                    let seen = self.response.seen.saturating_sub(self.response.body);
                    exchange.response_body = (self.response.sized && !self.lost).then_some(seen);
                }
            }
            if !pending.request_done {
                let seen = self.request.seen.saturating_sub(self.request.body);
                exchange.request_body = (self.request.sized && !self.lost).then_some(seen);
            }
            let unknown =
                exchange.method.is_none() || (self.lossy && exchange.status.is_none() && !pending.response_done);
            let ended = if unknown { Outcome::Unobserved } else { ended };
            self.finish(pending, ended, end.rst.is_some(), output);
        }
        let (requests, responses) = (self.requests, self.requests.other());
        self.stream_ends(end.time, end.position(requests), end.position(responses), output);
    }

    /// Tells exchanges that have waited for an answer since before `oldest`.
    pub(super) fn time_out(&mut self, oldest: Nanos, now: Nanos, output: &mut Output) {
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
fn answered_outcome(pending: &Pending) -> Outcome {
    let exchange = &pending.exchange;
    let Some(status) = exchange.status else { return Outcome::Unobserved };
    if exchange.times.request_first.is_none() || pending.unsure {
        return Outcome::Unobserved;
    }
    match (exchange.role, status) {
        (_, 500..) | (Role::Client, 400..) => Outcome::Error,
        _ => Outcome::Ok,
    }
}
