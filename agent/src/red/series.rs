//! A series of the request metrics: its labels, made of small copies, and its histograms.

use std::hash::{Hash, Hasher};

use super::{
    exemplar::{self, Exemplar},
    exponential::Exponential,
    histogram::{BODY_SIZE, DURATION, Histogram, Merge, PART},
    servers::ServerId,
};
use crate::{
    exchange::{ErrorType, Exchange, Method, Outcome, Role},
    route::RouteId,
    series,
    time::Nanos,
};

/// The labels of a series other than its service and role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels {
    /// `http.request.method`, where the request's head was seen
    pub method: Option<Method>,
    /// `http.response.status_code`
    pub status: Option<u16>,
    /// `network.protocol.version`, after `1.`
    pub minor_version: u8,
    /// `error.type`
    pub error: Option<ErrorType>,
    /// `http.route`, of servers
    pub route: Option<RouteId>,
    /// `server.address` and `server.port`, of clients
    pub server: Option<ServerId>,
}

impl Hash for Labels {
    /// Of every request: what most tells labels apart, in two words.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let method = self.method.map_or(u8::MAX, |method| method as u8);
        let status = self.status.unwrap_or_default().to_ne_bytes();
        state.write_u32(u32::from_ne_bytes([method, self.minor_version, status[0], status[1]]));
        let route = self.route.map_or(u32::MAX, |route| route.0);
        let server = self.server.map_or(u32::MAX, |server| server.0);
        state.write_u64(u64::from(route) << 32 | u64::from(server));
    }
}

/// A series of requests.
pub type Series = series::Series<Labels, Stats>;

/// What was observed of the requests of a series.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// First byte of the request to last byte of the answer, or to the end.
    pub duration: Histogram<14>,
    /// The same in seconds, by powers of a base, where those are kept.
    pub exponential: Exponential,
    /// The last sampled request of each bucket of `duration`, if there was any.
    pub exemplars: Option<Box<[Option<Exemplar>; 15]>>,
    /// Bytes of request bodies, where known.
    pub request_body: Histogram<12>,
    /// Bytes of response bodies, where known.
    pub response_body: Histogram<12>,
    /// A server's latency in its parts, where those are kept.
    pub parts: Option<Box<Parts>>,
}

/// What a [`Stats`] keeps beyond the plain histograms.
#[derive(Clone, Copy, Debug)]
pub struct Extras {
    /// Exponential histograms.
    pub exponential: bool,
    /// Parts of a server's latency.
    pub parts: bool,
}

/// A server's latency in its parts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts {
    /// First byte of the request to the application's read.
    pub queue: Histogram<16>,
    /// The application's read to the first byte of the answer.
    pub first_byte: Histogram<16>,
    /// First byte of the answer to its last.
    pub transfer: Histogram<16>,
    /// Last byte of the answer to its acknowledgement.
    pub acknowledgement: Histogram<16>,
}

impl Stats {
    /// Takes an exchange in, and the trace it belongs to, if that is sampled.
    pub fn observe(&mut self, exchange: &Exchange, exemplar: Option<Exemplar>, extras: Extras) {
        if let Some(duration) = exchange.duration() {
            let bucket = self.duration.observe(&DURATION, nanoseconds(duration));
            if extras.exponential {
                self.exponential.observe(duration.as_secs_f64());
            }
            if let Some(exemplar) = exemplar
                && let Some(place) = self.exemplars.get_or_insert_default().get_mut(bucket)
            {
                *place = exemplar::later(*place, Some(exemplar));
            }
        }
        if let Some(bytes) = exchange.request_body {
            self.request_body.observe(&BODY_SIZE, bytes);
        }
        if let Some(bytes) = exchange.response_body {
            self.response_body.observe(&BODY_SIZE, bytes);
        }
        if extras.parts && exchange.role == Role::Server {
            self.parts.get_or_insert_default().observe(exchange);
        }
    }

    /// The exemplars of `duration`, one for each of its buckets, or none at all.
    #[must_use]
    pub fn exemplars(&self) -> &[Option<Exemplar>] {
        self.exemplars.as_ref().map_or(&[], |exemplars| &exemplars[..])
    }
}

impl Merge for Stats {
    /// Of two exemplars, the later one stays.
    fn merge(&mut self, other: &Self) {
        self.duration.merge(&other.duration);
        self.exponential.merge(&other.exponential);
        self.request_body.merge(&other.request_body);
        self.response_body.merge(&other.response_body);
        if let Some(theirs) = &other.exemplars {
            let own = self.exemplars.get_or_insert_default();
            own.iter_mut().zip(theirs.iter()).for_each(|(own, theirs)| *own = exemplar::later(*own, *theirs));
        }
        if let Some(theirs) = &other.parts {
            let own = self.parts.get_or_insert_default();
            own.queue.merge(&theirs.queue);
            own.first_byte.merge(&theirs.first_byte);
            own.transfer.merge(&theirs.transfer);
            own.acknowledgement.merge(&theirs.acknowledgement);
        }
    }
}

impl Parts {
    /// Takes those parts of an exchange in of which both ends were seen. An answer that broke off has no transfer.
    pub fn observe(&mut self, exchange: &Exchange) {
        let times = &exchange.times;
        observe(&mut self.queue, times.request_first, times.picked_up);
        observe(&mut self.first_byte, times.picked_up, times.response_first);
        if matches!(exchange.outcome, Outcome::Ok | Outcome::Error) {
            observe(&mut self.transfer, times.response_first, times.response_last);
            observe(&mut self.acknowledgement, times.response_last, times.acknowledged);
        }
    }
}

fn observe(part: &mut Histogram<16>, from: Option<Nanos>, to: Option<Nanos>) {
    if let (Some(from), Some(to)) = (from, to) {
        part.observe(&PART, nanoseconds(to.since(from)));
    }
}

fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
