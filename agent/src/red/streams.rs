//! Connections that became streams: how many, how long, how much. Never a request's latency.

use hashbrown::HashMap;

use super::histogram::{Histogram, STREAM_DURATION};
use crate::{
    exchange::{Role, StreamEnd, StreamKind},
    identity::ServiceId,
};

/// What tells one series of streams from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamKey {
    /// The service at this end; `None`: those beyond the limit.
    pub service: Option<ServiceId>,
    /// Side of the connection that this end is.
    pub role: Role,
    /// Kind of stream.
    pub kind: StreamKind,
}

/// What was observed under one key.
#[derive(Clone, Copy, Debug)]
pub struct StreamSeries {
    /// The key.
    pub key: StreamKey,
    /// Streams that began.
    pub opened: u64,
    /// Streams that ended.
    pub closed: u64,
    /// Payload bytes of the ended streams, from the client and from the server.
    pub bytes: [u64; 2],
    /// Life of the ended streams.
    pub duration: Histogram<12>,
}

/// All series of streams, at most a limit of them besides the overflow ones.
#[derive(Debug)]
pub struct Streams {
    limit: usize,
    all: Vec<StreamSeries>,
    index: HashMap<StreamKey, usize>,
    overflowed: u64,
}

impl StreamSeries {
    /// Streams that began and did not end.
    #[must_use]
    pub const fn active(&self) -> u64 {
        self.opened.saturating_sub(self.closed)
    }
}

impl Streams {
    /// No stream seen; at most `limit` series.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, all: Vec::new(), index: HashMap::new(), overflowed: 0 }
    }

    /// A stream began.
    pub fn opened(&mut self, kind: StreamKind, role: Role, service: ServiceId) {
        if let Some(series) = self.series(StreamKey { service: Some(service), role, kind }) {
            series.opened += 1;
        }
    }

    /// A stream ended that was told of by [`Streams::opened`], of the same service.
    pub fn closed(&mut self, end: &StreamEnd, service: ServiceId) {
        let key = StreamKey { service: Some(service), role: end.role, kind: end.kind };
        let lived = u64::try_from(end.closed.since(end.opened).as_nanos()).unwrap_or(u64::MAX);
        if let Some(series) = self.series(key) {
            series.closed += 1;
            series.bytes[0] += end.sent_by_client;
            series.bytes[1] += end.sent_by_server;
            series.duration.observe(&STREAM_DURATION, lived);
        }
    }

    /// All series, in order of appearance.
    #[must_use]
    pub fn all(&self) -> &[StreamSeries] {
        &self.all
    }

    /// Openings and endings that went to an overflow series.
    #[must_use]
    pub const fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// The series of `key`, or the one that takes it. What is refused once is refused always, so that both ends of a
    /// stream's life fall into one series.
    fn series(&mut self, key: StreamKey) -> Option<&mut StreamSeries> {
        let index = match self.index.get(&key) {
            Some(index) => *index,
            None if self.all.len() < self.limit => self.insert(key),
            None => {
                self.overflowed += 1;
                let overflow = StreamKey { service: None, ..key };
                match self.index.get(&overflow) {
                    Some(index) => *index,
                    None => self.insert(overflow),
                }
            }
        };
        self.all.get_mut(index)
    }

    fn insert(&mut self, key: StreamKey) -> usize {
        let index = self.all.len();
        self.all.push(StreamSeries { key, opened: 0, closed: 0, bytes: [0; 2], duration: Histogram::EMPTY });
        self.index.insert(key, index);
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Nanos;

    fn end(kind: StreamKind) -> StreamEnd {
        StreamEnd {
            cookie: 1,
            role: Role::Server,
            kind,
            opened: Nanos(1_000),
            closed: Nanos(2_000_001_000),
            sent_by_client: 10,
            sent_by_server: 20,
            pid: 0,
        }
    }

    #[test]
    fn a_stream_is_active_until_it_ends() {
        let mut streams = Streams::new(8);
        streams.opened(StreamKind::WebSocket, Role::Server, ServiceId(1));
        streams.opened(StreamKind::WebSocket, Role::Server, ServiceId(1));
        streams.closed(&end(StreamKind::WebSocket), ServiceId(1));
        let [series] = streams.all() else { panic!("one series") };
        assert_eq!((series.opened, series.active(), series.bytes), (2, 1, [10, 20]));
        assert_eq!(series.duration.sum, 2_000_000_000);
    }

    #[test]
    fn beyond_the_limit_an_overflow_series_takes_both_ends() {
        let mut streams = Streams::new(1);
        streams.opened(StreamKind::Connect, Role::Server, ServiceId(1));
        for service in 2..10 {
            streams.opened(StreamKind::WebSocket, Role::Server, ServiceId(service));
            streams.closed(&end(StreamKind::WebSocket), ServiceId(service));
        }
        let [_, overflow] = streams.all() else { panic!("two series") };
        assert_eq!(overflow.key.service, None);
        assert_eq!((overflow.opened, overflow.active()), (8, 0));
        assert_eq!(streams.overflowed(), 16);
    }
}
