//! What a request says of its trace: W3C Trace Context, B3 and Jaeger headers.
//!
//! Parsers take a field's value and allocate nothing. What is not valid is as if it were not there; the next format
//! in order is asked then.

mod b3;
mod fields;
mod hex;
mod jaeger;
mod propagators;
mod trace_parent;
mod trace_state;

#[cfg(test)]
mod tests;

use opentelemetry::trace::{SpanId, TraceId};

pub use self::{
    fields::{Fields, TRACE_STATES},
    propagators::{Format, Propagators},
    trace_state::{MAX_TRACE_STATE, TraceState},
};

/// What was carried, and is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Trace and calling span; `None`: only a decision was carried (`b3: 0`).
    pub ids: Option<(TraceId, SpanId)>,
    /// Whether the caller samples the trace; `None`: it left the decision to others.
    pub sampled: Option<bool>,
    /// The caller says that the trace id is random (W3C level 2).
    pub random: bool,
}

/// What the fields of a request carry in the first format, in `order`, of which they carry something valid, and the
/// `tracestate` that goes with it.
#[must_use]
pub fn parse<'f>(fields: &'f Fields<'f>, order: Propagators) -> Option<(Carried, TraceState<'f>)> {
    if fields.tell_nothing() {
        return None;
    }
    order.formats().find_map(|format| match format {
        Format::TraceContext => {
            let carried = fields.trace_parent().and_then(trace_parent::parse)?;
            Some((carried, TraceState::of(fields)))
        }
        Format::B3 => {
            let carried = b3::parse_single(fields.b3).or_else(|| b3::parse_multi(fields))?;
            Some((carried, TraceState::default()))
        }
        Format::Jaeger => Some((jaeger::parse(fields.uber_trace_id)?, TraceState::default())),
    })
}

/// Both ids, unless one is zero: those are invalid in every format.
fn ids(trace: u128, span: u64) -> Option<(TraceId, SpanId)> {
    (trace != 0 && span != 0).then(|| (TraceId::from(trace), SpanId::from(span)))
}
