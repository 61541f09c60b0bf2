//! Requests, errors, durations: exchanges become series of histograms, within a budget.
//!
//! [`Registry`] belongs to the reader thread and takes no lock. A known series costs a hash of small copies and a few
//! additions; nothing is allocated and no string is made. Exporters see a [`Snapshot`].

mod authority;
mod counts;
mod histogram;
mod series;
mod servers;
mod snapshot;
mod streams;

use std::sync::Arc;

use hashbrown::HashMap;

pub use self::{
    authority::{Authority, DEFAULT_PORT},
    counts::{ExchangeCounts, ROLES},
    histogram::{BODY_SIZE, Bounds, DURATION, Histogram, MICROSECOND, MILLISECOND, PART, SECOND, STREAM_DURATION},
    series::{Labels, Parts, Series, SeriesKey},
    servers::{Full, Server, ServerId, Servers},
    snapshot::Snapshot,
    streams::{StreamKey, StreamSeries, Streams},
};
use crate::{
    exchange::{Exchange, Outcome, Role, StreamEnd, StreamKind},
    identity::ServiceId,
};

/// How many different servers the clients of this host may be told apart by.
pub const SERVER_ADDRESSES: usize = 4096;

/// How many services may have an overflow series of their own (for each role); the others share one.
const OVERFLOW_SERIES: usize = 1024;

/// What a [`Registry`] keeps and how much of it.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Most series of one service, both roles together.
    pub series_per_service: usize,
    /// Most series in all; streams have as many again.
    pub series_total: usize,
    /// Most servers told apart on the client side.
    pub server_addresses: usize,
    /// Keep the parts of a server's latency as histograms of their own.
    pub timings: bool,
}

/// All series of this host.
#[derive(Debug)]
pub struct Registry {
    options: Options,
    exchanges: ExchangeCounts,
    all: Vec<Series>,
    parts: Vec<Parts>,
    index: HashMap<SeriesKey, usize>,
    per_service: HashMap<ServiceId, usize>,
    servers: Servers,
    streams: Streams,
    overflow_series: usize,
    overflowed: u64,
}

impl Registry {
    /// No series yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            exchanges: ExchangeCounts::default(),
            all: Vec::new(),
            parts: Vec::new(),
            index: HashMap::new(),
            per_service: HashMap::new(),
            servers: Servers::new(options.server_addresses),
            streams: Streams::new(options.series_total),
            overflow_series: 0,
            overflowed: 0,
        }
    }

    /// Takes a finished exchange in. One that passed in part unseen is only counted: its times and sizes are not known.
    pub fn record(&mut self, exchange: &Exchange, service: ServiceId) {
        self.exchanges.add(exchange.role, exchange.outcome);
        if exchange.outcome == Outcome::Unobserved {
            return;
        }
        let index = match self.key(exchange, service) {
            Ok(key) => self.index.get(&key).copied().or_else(|| self.admit(key)),
            Err(Full) => None,
        };
        let index = index.unwrap_or_else(|| self.overflow(service, exchange.role));
        let Some(series) = self.all.get_mut(index) else { return };
        series.observe(exchange);
        if let Some(parts) = series.parts.and_then(|parts| self.parts.get_mut(usize::try_from(parts).ok()?)) {
            parts.observe(exchange);
        }
    }

    /// A connection became a stream.
    pub fn stream_opened(&mut self, kind: StreamKind, role: Role, service: ServiceId) {
        self.streams.opened(kind, role, service);
    }

    /// A stream ended; `service` must be the one it was opened with.
    pub fn stream_closed(&mut self, end: &StreamEnd, service: ServiceId) {
        self.streams.closed(end, service);
    }

    /// Exchanges so far.
    #[must_use]
    pub const fn exchanges(&self) -> &ExchangeCounts {
        &self.exchanges
    }

    /// A copy of everything. `names` must give different services different names, or their series could not be
    /// told apart.
    #[must_use]
    pub fn snapshot(&self, names: impl Fn(ServiceId) -> Arc<str>) -> Snapshot {
        let of_requests = self.all.iter().filter_map(|series| series.key.service);
        let of_streams = self.streams.all().iter().filter_map(|series| series.key.service);
        let mut services = HashMap::new();
        let mut last = None;
        for service in of_requests.chain(of_streams) {
            // The series of a service mostly lie together.
            if last != Some(service) {
                services.entry(service).or_insert_with(|| names(service));
                last = Some(service);
            }
        }
        Snapshot {
            exchanges: self.exchanges,
            series: self.all.clone(),
            parts: self.parts.clone(),
            streams: self.streams.all().to_vec(),
            services,
            servers: self.servers.all().to_vec(),
            overflow_series: self.overflow_series,
            overflowed: self.overflowed + self.streams.overflowed(),
            series_limit: self.options.series_total,
            server_limit: self.options.server_addresses,
        }
    }

    fn key(&mut self, exchange: &Exchange, service: ServiceId) -> Result<SeriesKey, Full> {
        let server = match exchange.role {
            Role::Server => None,
            Role::Client => self.servers.intern(&exchange.details.authority, exchange.peer)?,
        };
        Ok(SeriesKey {
            service: Some(service),
            role: exchange.role,
            labels: Some(Labels {
                method: exchange.method,
                status: exchange.status,
                minor_version: exchange.minor_version,
                error: exchange.error_type(),
                server,
            }),
        })
    }

    /// A new series, if its service's budget and that of all services have room for it.
    #[cold]
    fn admit(&mut self, key: SeriesKey) -> Option<usize> {
        let service = key.service?;
        let used = self.per_service.get(&service).copied().unwrap_or(0);
        if used >= self.options.series_per_service
            || self.all.len() - self.overflow_series >= self.options.series_total
        {
            return None;
        }
        self.per_service.insert(service, used + 1);
        Some(self.insert(key))
    }

    /// The series that takes what the budget of `service` refused.
    #[cold]
    fn overflow(&mut self, service: ServiceId, role: Role) -> usize {
        self.overflowed += 1;
        let own = SeriesKey { service: Some(service), role, labels: None };
        let shared = SeriesKey { service: None, role, labels: None };
        if let Some(index) = self.index.get(&own) {
            return *index;
        }
        let key = if self.overflow_series < OVERFLOW_SERIES { own } else { shared };
        if let Some(index) = self.index.get(&key) {
            return *index;
        }
        self.overflow_series += 1;
        self.insert(key)
    }

    fn insert(&mut self, key: SeriesKey) -> usize {
        let index = self.all.len();
        let mut series = Series::new(key);
        if self.options.timings && key.role == Role::Server {
            series.parts = u32::try_from(self.parts.len()).ok();
            self.parts.push(Parts::default());
        }
        self.all.push(series);
        self.index.insert(key, index);
        index
    }
}

#[cfg(test)]
mod tests;
