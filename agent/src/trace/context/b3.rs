//! B3 (openzipkin/b3-propagation): in one field, and in several.

use super::{Carried, Fields, hex, ids};

/// Reads `b3`: `{trace}-{span}[-{state}[-{parent}]]`, or a state alone.
pub(super) fn parse_single(value: &[u8]) -> Option<Carried> {
    let value = value.trim_ascii();
    if let Some(sampled) = state(value) {
        return Some(Carried { ids: None, sampled: Some(sampled), random: false });
    }
    let mut parts = value.split(|byte| *byte == b'-');
    let ids = whole_ids(parts.next()?, parts.next()?)?;
    let sampled = match parts.next() {
        Some(text) => Some(state(text)?),
        None => None,
    };
    if let Some(parent) = parts.next() {
        span(parent)?;
    }
    parts.next().is_none().then_some(Carried { ids: Some(ids), sampled, random: false })
}

/// Reads the `X-B3-…` fields: both ids or neither, and a decision, which `X-B3-Flags: 1` (debug) overrides.
pub(super) fn parse_multi(fields: &Fields<'_>) -> Option<Carried> {
    let decision = match fields.b3_sampled {
        b"" => None,
        b"1" => Some(true),
        b"0" => Some(false),
        text if text.eq_ignore_ascii_case(b"true") => Some(true),
        text if text.eq_ignore_ascii_case(b"false") => Some(false),
        _ => return None,
    };
    let sampled = if fields.b3_flags == b"1" { Some(true) } else { decision };
    let ids = match (fields.b3_trace_id, fields.b3_span_id) {
        (b"", b"") => None,
        (trace, span) => Some(whole_ids(trace, span)?),
    };
    (ids.is_some() || sampled.is_some()).then_some(Carried { ids, sampled, random: false })
}

/// Accept, debug, deny.
fn state(text: &[u8]) -> Option<bool> {
    match text {
        b"1" | b"d" => Some(true),
        b"0" => Some(false),
        _ => None,
    }
}

fn whole_ids(trace: &[u8], id: &[u8]) -> Option<(opentelemetry::trace::TraceId, opentelemetry::trace::SpanId)> {
    let trace = matches!(trace.len(), 16 | 32).then(|| hex::number(trace, 32))??;
    ids(trace, span(id)?)
}

fn span(digits: &[u8]) -> Option<u64> {
    (digits.len() == 16).then(|| hex::half(digits))?
}
