//! One series of the request metrics: its key, made of small copies, and its histograms.

use super::{
    histogram::{BODY_SIZE, DURATION, Histogram, PART},
    servers::ServerId,
};
use crate::{
    exchange::{ErrorType, Exchange, Method, Outcome, Role},
    identity::ServiceId,
    time::Nanos,
};

/// What tells one series from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesKey {
    /// The service that handles or sends the requests; `None`: those of all services beyond the limit of overflow series.
    pub service: Option<ServiceId>,
    /// Which family of metrics it belongs to.
    pub role: Role,
    /// The other labels; `None`: the overflow series.
    pub labels: Option<Labels>,
}

/// The labels of a series other than its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Labels {
    /// `http.request.method`, where the request's head was seen
    pub method: Option<Method>,
    /// `http.response.status_code`
    pub status: Option<u16>,
    /// `network.protocol.version`, after `1.`
    pub minor_version: u8,
    /// `error.type`
    pub error: Option<ErrorType>,
    /// `server.address` and `server.port`, of clients
    pub server: Option<ServerId>,
}

/// What was observed under one key.
#[derive(Clone, Copy, Debug)]
pub struct Series {
    /// The key.
    pub key: SeriesKey,
    /// First byte of the request to last byte of the answer, or to the end.
    pub duration: Histogram<14>,
    /// Bytes of request bodies, where known.
    pub request_body: Histogram<12>,
    /// Bytes of response bodies, where known.
    pub response_body: Histogram<12>,
    /// Place of its [`Parts`], if it has them.
    pub parts: Option<u32>,
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

impl Series {
    /// A series with nothing observed.
    #[must_use]
    pub const fn new(key: SeriesKey) -> Self {
        Self {
            key,
            duration: Histogram::EMPTY,
            request_body: Histogram::EMPTY,
            response_body: Histogram::EMPTY,
            parts: None,
        }
    }

    /// Takes an exchange in.
    pub fn observe(&mut self, exchange: &Exchange) {
        if let Some(duration) = exchange.duration() {
            self.duration.observe(&DURATION, nanoseconds(duration));
        }
        if let Some(bytes) = exchange.request_body {
            self.request_body.observe(&BODY_SIZE, bytes);
        }
        if let Some(bytes) = exchange.response_body {
            self.response_body.observe(&BODY_SIZE, bytes);
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
