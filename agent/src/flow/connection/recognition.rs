//! What a connection is, told by how it begins.

use std::net::SocketAddr;

use super::{Flow, Reader, Verdict};
use crate::{
    flow::stream::{Fed, MAX_HEAD, Window},
    protocol::{Direction, Output, PROTOCOLS, Protocol, Recognition, Sight, http1, recognise},
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
        let port = |address: Option<SocketAddr>| address.map_or(0, |address| address.port());
        let ports = [port(self.local), port(self.peer)];
        let from_start = self.from_start;
        let sight = Sight { bytes: self.stream(direction).unused(), from_start, ports };
        match recognise(&sight) {
            (Recognition::Request, Some(protocol)) => self.adopt(protocol, direction, window.time, output),
            (Recognition::Response, Some(protocol)) => {
                self.adopt(protocol, direction.other(), window.time, output)
            }
            (Recognition::NeedMore, _) => Verdict::default(),
            _ => self.strange(direction, window),
        }
    }

    /// A head that is longer than what was captured of it begins one side.
    fn adopt_partial(&mut self, direction: Direction, now: Nanos, output: &mut Output) -> Option<Verdict> {
        let requests = match http1::recognise_partial(self.stream(direction).unused()) {
            Recognition::Request => direction,
            Recognition::Response => direction.other(),
            Recognition::NeedMore | Recognition::No => return None,
        };
        let [http1, ..] = &PROTOCOLS;
        Some(self.adopt(http1, requests, now, output))
    }

    /// It is of this protocol, and requests take this direction.
    fn adopt(&mut self, protocol: &Protocol, requests: Direction, now: Nanos, output: &mut Output) -> Verdict {
        let parsed = self.undecided_segments();
        let mut parser = (protocol.parser)(requests, self.from_start, output);
        for direction in [requests, requests.other()] {
            if self.stream(direction).replay(direction, &mut *parser, output, now) == Fed::Invalid {
                self.reader = Reader::Opaque;
                return Verdict { parsed, opaque: 0 };
            }
        }
        self.reader = Reader::Protocol(parser);
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
        if let Reader::Undecided { strange, .. } = &mut self.reader {
            *strange += 1;
            if *strange >= MAX_STRANGE {
                return self.becomes_opaque();
            }
        }
        Verdict::default()
    }

    fn becomes_opaque(&mut self) -> Verdict {
        let opaque = self.undecided_segments();
        self.reader = Reader::Opaque;
        self.rx.forget();
        self.tx.forget();
        Verdict { parsed: 0, opaque }
    }
}
