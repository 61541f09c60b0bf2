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
