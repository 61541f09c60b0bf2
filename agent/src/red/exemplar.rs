//! An observation with the trace that it belongs to.

use opentelemetry::trace::{SpanId, TraceId};

/// One observation of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// The trace, which is sampled.
    pub trace_id: TraceId,
    /// A span of it.
    pub span_id: SpanId,
    /// What was observed, in the smallest unit of the histogram's bounds.
    pub value: u64,
    /// When, in nanoseconds since the epoch.
    pub at: u64,
}

/// The later of two, the second if they are of one moment. Exchanges come in no order of time, and Prometheus takes no
/// exemplar that is older than the last of the same series.
#[must_use]
pub fn later(first: Option<Exemplar>, second: Option<Exemplar>) -> Option<Exemplar> {
    [first, second].into_iter().flatten().max_by_key(|exemplar| exemplar.at)
}
