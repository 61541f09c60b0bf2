//! A span as the reader hands it on: the exchange, and who and what it belongs to. Its attributes are made where it is
//! exported.

use std::sync::Arc;

use opentelemetry::trace::{SpanId, TraceId};

use crate::{exchange::Exchange, identity::Service, time::WallOffset};

/// Where a span stands in its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanIds {
    /// The trace.
    pub trace_id: TraceId,
    /// The span itself.
    pub span_id: SpanId,
    /// The calling span, in another process; `None`: this is the first of its trace, as far as was seen.
    pub parent: Option<SpanId>,
    /// The trace id is random (W3C level 2).
    pub random: bool,
}

/// A sampled exchange.
#[derive(Clone, Debug)]
pub struct Span {
    /// Where it stands.
    pub ids: SpanIds,
    /// What it is.
    pub exchange: Exchange,
    /// Whose it is.
    pub service: Arc<Service>,
    /// `http.route`, where it has one.
    pub route: Option<Arc<str>>,
    /// Path of the executable, or its name alone; empty: not known.
    pub executable: Arc<str>,
    /// The process's pid in its own pid namespace, where that is another.
    pub vpid: Option<u32>,
    /// To the wall clock, from the exchange's times.
    pub wall: WallOffset,
}
