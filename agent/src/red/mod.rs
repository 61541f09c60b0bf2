//! Requests, errors, durations: exchanges become series of histograms, within a budget.
//!
//! [`Registry`] belongs to the reader thread and takes no lock. A known series costs a hash of small copies and a few
//! additions; nothing is allocated and no string is made. Exporters see a [`Snapshot`].

mod authority;
mod counts;
mod exemplar;
mod exponential;
mod histogram;
mod series;
mod servers;
mod snapshot;
mod streams;

use std::sync::Arc;

use hashbrown::HashSet;

pub use self::{
    authority::{Authority, DEFAULT_PORT},
    counts::{ExchangeCounts, ROLES},
    exemplar::Exemplar,
    exponential::{Exponential, MAX_BUCKETS},
    histogram::{
        BODY_SIZE, Bounds, DURATION, Histogram, MICROSECOND, MILLISECOND, Merge, PART, SECOND, STREAM_DURATION,
    },
    series::{Extras, Labels, Parts, Series, Stats},
    servers::{Full, Server, ServerId, Servers},
    snapshot::Snapshot,
    streams::{StreamSeries, StreamStats, Streams},
};
use crate::{
    exchange::{Exchange, Outcome, Role, StreamEnd, StreamKind},
    identity::{Service, ServiceId},
    route::RouteId,
    series::{Budget, Table},
    time::{Nanos, WallOffset},
};

/// How many different servers the clients of this host may be told apart by.
pub const SERVER_ADDRESSES: usize = 4096;

/// What a [`Registry`] keeps and how much of it.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Most series of one service, both roles together.
    pub series_per_service: usize,
    /// Most series in all; streams have as many again.
    pub series_total: usize,
    /// Most servers told apart on the client side.
    pub server_addresses: usize,
    /// What is kept of each series beyond the plain histograms.
    pub extras: Extras,
}

/// All series of this host.
#[derive(Debug)]
pub struct Registry {
    options: Options,
    exchanges: ExchangeCounts,
    requests: Table<Labels, Stats>,
    servers: Servers,
    streams: Streams,
}

impl Registry {
    /// No series yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let budget = Budget { per_service: options.series_per_service, total: options.series_total };
        Self {
            options,
            exchanges: ExchangeCounts::default(),
            requests: Table::new(budget),
            servers: Servers::new(options.server_addresses),
            streams: Streams::new(budget),
        }
    }

    /// The present, about every second. Series of which nothing was told since `silent_since` go, but for those of open
    /// streams.
    pub fn tick(&mut self, now: Nanos, wall: WallOffset, silent_since: Option<Nanos>) {
        self.requests.tick(now, wall);
        self.streams.table_mut().tick(now, wall);
        if let Some(before) = silent_since {
            self.requests.expire(before, |_| false);
            self.streams.table_mut().expire(before, |stats| stats.active() > 0);
        }
    }

    /// Series of services of `gone` go of which nothing was told since `before`, but for those of open streams.
    pub fn expire_of(&mut self, before: Nanos, gone: &HashSet<ServiceId>) {
        self.requests.expire_of(before, gone, |_| false);
        self.streams.table_mut().expire_of(before, gone, |stats| stats.active() > 0);
    }

    /// The services that any series is of.
    #[must_use]
    pub fn services_in_use(&self) -> HashSet<ServiceId> {
        let of_requests = self.requests.all().filter_map(|series| series.service);
        of_requests.chain(self.streams.table().all().filter_map(|series| series.service)).collect()
    }

    /// Takes a finished exchange in, with its route and the sampled trace it belongs to, if it has them. One that passed in part
    /// unseen is only counted: its times and sizes are not known.
    pub fn record(
        &mut self,
        exchange: &Exchange,
        service: ServiceId,
        route: Option<RouteId>,
        exemplar: Option<Exemplar>,
    ) {
        self.exchanges.add(exchange.role, exchange.outcome);
        if exchange.outcome == Outcome::Unobserved {
            return;
        }
        let place = match self.labels(exchange, route) {
            Ok(labels) => self.requests.place(service, exchange.role, &labels, || labels),
            Err(Full) => self.requests.overflow(service, exchange.role),
        };
        if let Some(stats) = self.requests.get_mut(place) {
            stats.observe(exchange, exemplar, self.options.extras);
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

    /// Measurements that went to an overflow series.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.requests.overflowed() + self.streams.table().overflowed()
    }

    /// A copy of everything. `known` must give services that differ, or their series could not be told apart.
    #[must_use]
    pub fn snapshot(&self, known: impl Fn(ServiceId) -> Arc<Service>) -> Snapshot {
        let services = self.services_in_use().into_iter().map(|service| (service, known(service))).collect();
        Snapshot {
            exchanges: self.exchanges,
            series: self.requests.all().cloned().collect(),
            streams: self.streams.table().all().cloned().collect(),
            services,
            servers: self.servers.all().to_vec(),
            routes: Vec::new(),
            overflow_series: self.requests.overflow_entries(),
            overflowed: self.overflowed(),
            series_limit: self.options.series_total,
            server_limit: self.options.server_addresses,
        }
    }

    fn labels(&mut self, exchange: &Exchange, route: Option<RouteId>) -> Result<Labels, Full> {
        let server = match exchange.role {
            Role::Server => None,
            Role::Client => self.servers.intern(&exchange.details.authority, exchange.peer)?,
        };
        Ok(Labels {
            method: exchange.method,
            status: exchange.status,
            minor_version: exchange.minor_version,
            error: exchange.error_type(),
            route,
            server,
        })
    }
}

#[cfg(test)]
mod tests;
