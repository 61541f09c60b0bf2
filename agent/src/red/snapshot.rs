//! What the reader hands to the exporters: a copy of all series, owned and on its own.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{counts::ExchangeCounts, series::Series, servers::Server, streams::StreamSeries};
use crate::identity::{Service, ServiceId};

/// All request and stream metrics at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Exchanges by role and outcome.
    pub exchanges: ExchangeCounts,
    /// Series of requests, overflow series among them.
    pub series: Vec<Series>,
    /// Series of streams.
    pub streams: Vec<StreamSeries>,
    /// The services of all series.
    pub services: HashMap<ServiceId, Arc<Service>>,
    /// Servers that clients talk to; a [`super::ServerId`] is a place in it.
    pub servers: Vec<Server>,
    /// Templates of paths; a [`RouteId`](crate::route::RouteId) is a place in it.
    pub routes: Vec<Arc<str>>,
    /// How many of `series` are overflow series.
    pub overflow_series: usize,
    /// Measurements that an overflow series took.
    pub overflowed: u64,
    /// Limit of the series that are none of overflow.
    pub series_limit: usize,
    /// Limit of `servers`.
    pub server_limit: usize,
}
