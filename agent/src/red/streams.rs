//! Connections that became streams: how many, how long, how much. Never a request's latency.

use super::histogram::{Histogram, Merge, STREAM_DURATION};
use crate::{
    exchange::{Role, StreamEnd, StreamKind},
    identity::ServiceId,
    series::{Budget, Series, Table},
};

/// A series of streams of one kind.
pub type StreamSeries = Series<StreamKind, StreamStats>;

/// What was observed of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StreamStats {
    /// Streams that began.
    pub opened: u64,
    /// Streams that ended.
    pub closed: u64,
    /// Payload bytes of the ended streams, from the client and from the server.
    pub bytes: [u64; 2],
    /// Life of the ended streams.
    pub duration: Histogram<12>,
}

/// All series of streams.
#[derive(Debug)]
pub struct Streams(Table<StreamKind, StreamStats>);

impl StreamStats {
    /// Streams that began and did not end.
    #[must_use]
    pub const fn active(&self) -> u64 {
        self.opened.saturating_sub(self.closed)
    }
}

impl Streams {
    /// No stream seen.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        Self(Table::new(budget))
    }

    /// A stream began.
    pub fn opened(&mut self, kind: StreamKind, role: Role, service: ServiceId) {
        if let Some(stats) = self.stats(kind, role, service) {
            stats.opened += 1;
        }
    }

    /// A stream ended that was told of by [`Streams::opened`], of the same service.
    pub fn closed(&mut self, end: &StreamEnd, service: ServiceId) {
        let lived = u64::try_from(end.closed.since(end.opened).as_nanos()).unwrap_or(u64::MAX);
        if let Some(stats) = self.stats(end.kind, end.role, service) {
            stats.closed += 1;
            stats.bytes.merge(&[end.sent_by_client, end.sent_by_server]);
            stats.duration.observe(&STREAM_DURATION, lived);
        }
    }

    /// All series.
    #[must_use]
    pub const fn table(&self) -> &Table<StreamKind, StreamStats> {
        &self.0
    }

    /// All series, to let the silent go.
    pub const fn table_mut(&mut self) -> &mut Table<StreamKind, StreamStats> {
        &mut self.0
    }

    fn stats(&mut self, kind: StreamKind, role: Role, service: ServiceId) -> Option<&mut StreamStats> {
        let place = self.0.place(service, role, &kind, || kind);
        self.0.get_mut(place)
    }
}

impl Merge for StreamStats {
    fn merge(&mut self, other: &Self) {
        self.opened += other.opened;
        self.closed += other.closed;
        self.bytes.merge(&other.bytes);
        self.duration.merge(&other.duration);
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
        let mut streams = Streams::new(Budget { per_service: 8, total: 8 });
        streams.opened(StreamKind::WebSocket, Role::Server, ServiceId(1));
        streams.opened(StreamKind::WebSocket, Role::Server, ServiceId(1));
        streams.closed(&end(StreamKind::WebSocket), ServiceId(1));
        let all: Vec<_> = streams.table().all().map(|series| series.value).collect();
        let [stats] = all.as_slice() else { panic!("one series") };
        assert_eq!((stats.opened, stats.active(), stats.bytes), (2, 1, [10, 20]));
        assert_eq!(stats.duration.sum, 2_000_000_000);
    }

    #[test]
    fn beyond_the_limit_an_overflow_series_takes_both_ends() {
        let mut streams = Streams::new(Budget { per_service: 1, total: 1 });
        streams.opened(StreamKind::Connect, Role::Server, ServiceId(1));
        for _ in 0..8 {
            streams.opened(StreamKind::WebSocket, Role::Server, ServiceId(2));
            streams.closed(&end(StreamKind::WebSocket), ServiceId(2));
        }
        let overflow = streams.table().all().find(|series| series.labels.is_none()).unwrap();
        assert_eq!(overflow.service, Some(ServiceId(2)));
        assert_eq!((overflow.value.opened, overflow.value.active()), (8, 0));
        assert_eq!(streams.table().overflowed(), 16);
    }
}
