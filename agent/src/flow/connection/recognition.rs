//! What a connection is, told by how it begins.

use super::{Flow, Parser, Verdict};
use crate::{
    flow::stream::{Fed, MAX_HEAD, Window},
    protocol::{
        Direction, Output, Recognition,
        http1::{self, Connection},
    },
    time::Nanos,
};

/// Bytes of a direction that are looked at before a connection from its start is taken for another protocol.
const MAX_UNDECIDED: usize = MAX_HEAD;

/// Windows without a recognisable head after which a connection seen from its middle is taken for another
/// protocol.
const MAX_STRANGE: u8 = 16;

impl Flow {
    /// Looks for a protocol's beginning, in order: a beginning that is overtaken is waited for.
    pub(super) fn undecided(&mut self, direction: Direction, window: &Window<'_>, output: &mut Output) -> Verdict {
        let hole = direction == Direction::Rx
            && self.from_start
            && !self.doubtful
            && self.stream(direction).leaves_hole(window);
        if hole && self.stream(direction).hold(window) {
            return Verdict::default();
        }
        let mut verdict = self.recognise(direction, window, output);
        while !window.may_go_on()
            && let Some(held) = self.stream(direction).filled()
        {
            let next = self.payload(direction, &held.window(window.time), 0, output);
            verdict.parsed += next.parsed;
            verdict.opaque += next.opaque;
        }
        verdict
    }

    /// Looks for a protocol's beginning.
    fn recognise(&mut self, direction: Direction, window: &Window<'_>, output: &mut Output) -> Verdict {
        // The other side spoke and is answered: what it said is all there is to tell it by.
        if let Some(verdict) = self.adopt_partial(direction.other(), window.time, output) {
            self.payload(direction, window, 0, output);
            return verdict;
        }
        let from_start = self.from_start;
        let stream = self.stream(direction);
        let alone = http1::recognise_known(window.bytes);
        if !from_start && !stream.unused().is_empty() && alone.is_some_head() {
            stream.restart(window);
        }
        if !stream.keep(window, MAX_UNDECIDED) {
            if let Some(verdict) = self.adopt_partial(direction, window.time, output) {
                self.payload(direction, window, 0, output);
                return verdict;
            }
            if from_start && self.stream(direction).unused().len() >= MAX_UNDECIDED {
                return self.becomes_opaque();
            }
            self.from_start = false;
            let stream = self.stream(direction);
            stream.restart(window);
            stream.keep(window, MAX_UNDECIDED);
        }
        // Without what stood before, a first word may be the rest of one.
        let recognise = if self.from_start { http1::recognise } else { http1::recognise_known };
        match recognise(self.stream(direction).unused()) {
            Recognition::NeedMore => Verdict::default(),
            Recognition::Request => self.adopt(direction, window.time, output),
            Recognition::Response => self.adopt(direction.other(), window.time, output),
            Recognition::No => self.strange(direction, window),
        }
    }

    /// A head that is longer than what was captured of it begins one side.
    fn adopt_partial(&mut self, direction: Direction, now: Nanos, output: &mut Output) -> Option<Verdict> {
        let requests = match http1::recognise_partial(self.stream(direction).unused()) {
            Recognition::Request => direction,
            Recognition::Response => direction.other(),
            Recognition::NeedMore | Recognition::No => return None,
        };
        Some(self.adopt(requests, now, output))
    }

    /// It is HTTP/1, and requests take this direction.
    fn adopt(&mut self, requests: Direction, now: Nanos, output: &mut Output) -> Verdict {
        let parsed = self.undecided_segments();
        let mut connection = Connection::new(requests, self.from_start);
        for direction in [requests, requests.other()] {
            if self.stream(direction).replay(direction, &mut connection, output, now) == Fed::Invalid {
                self.parser = Parser::Opaque;
                return Verdict { parsed, opaque: 0 };
            }
        }
        self.parser = Parser::Http1(Box::new(connection));
        Verdict { parsed, opaque: 0 }
    }

    /// The window begins no message.
    fn strange(&mut self, direction: Direction, window: &Window<'_>) -> Verdict {
        let stream = self.stream(direction);
        stream.restart(window);
        stream.skip_window(window);
        if self.from_start {
            return self.becomes_opaque();
        }
        if let Parser::Undecided { strange, .. } = &mut self.parser {
            *strange += 1;
            if *strange >= MAX_STRANGE {
                return self.becomes_opaque();
            }
        }
        Verdict::default()
    }

    fn becomes_opaque(&mut self) -> Verdict {
        let opaque = self.undecided_segments();
        self.parser = Parser::Opaque;
        self.rx.forget();
        self.tx.forget();
        Verdict { parsed: 0, opaque }
    }
}
