//! Spans as OTLP has them (opentelemetry-proto v1.11, trace.proto), by the HTTP conventions (v1.44).

mod attributes;
#[cfg(test)]
mod tests;
mod wire;

use std::{collections::BTreeMap, sync::Arc};

use hyper::body::Bytes;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource as ResourceMessage,
    trace::v1::{ResourceSpans, ScopeSpans, span::SpanKind, status::StatusCode},
};
use prost::Message as _;

use self::{attributes::attributes, wire::Message};
use super::config::Limits;
use crate::{
    exchange::{Method, Role, Times},
    export::resource::Resource,
    identity::{Service, select::QueryKeys},
    semconv,
    time::Nanos,
    trace::Span,
};

/// Longest request in protocol buffers: what the Collector takes by gRPC unless told otherwise.
pub const MAX_REQUEST: usize = 4 << 20;

/// Flags of a span (trace.proto `SpanFlags`): those of W3C Trace Context, level 2, and whether the parent is another
/// process's.
const SAMPLED: u32 = 0x01;
const RANDOM: u32 = 0x02;
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// The name of the instrumentation scope.
const SCOPE: &str = "redtap";

/// Which attributes and names are meant.
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// Room for a resource with what is around it; most take less.
const RESOURCE: usize = 1024;

/// Fields of `trace.proto` and `trace_service.proto`.
mod field {
    pub(super) const RESOURCE_SPANS: u32 = 1;
    pub(super) const SCOPE_SPANS: u32 = 2;
    pub(super) const SPANS: u32 = 2;

    pub(super) const TRACE_ID: u32 = 1;
    pub(super) const SPAN_ID: u32 = 2;
    pub(super) const TRACE_STATE: u32 = 3;
    pub(super) const PARENT_SPAN_ID: u32 = 4;
    pub(super) const NAME: u32 = 5;
    pub(super) const KIND: u32 = 6;
    pub(super) const START: u32 = 7;
    pub(super) const END: u32 = 8;
    pub(super) const ATTRIBUTES: u32 = 9;
    pub(super) const DROPPED_ATTRIBUTES: u32 = 10;
    pub(super) const STATUS: u32 = 15;
    pub(super) const FLAGS: u32 = 16;

    pub(super) const STATUS_CODE: u32 = 3;
}

/// What a resource is of, beside the host: a service, and one of its processes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Owner<'a> {
    service: &'a Service,
    pid: u32,
    vpid: Option<u32>,
    executable: &'a str,
}

/// An `ExportTraceServiceRequest` as it goes out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// In protocol buffers.
    pub bytes: Bytes,
    /// Spans in it.
    pub spans: u64,
}

/// Makes requests of spans.
#[derive(Debug)]
pub struct Encoder {
    resource: Arc<Resource>,
    limits: Limits,
    keys: QueryKeys,
    max_request: usize,
}

impl Encoder {
    /// An encoder for spans of one host, which shows no values of `keys` in queries.
    #[must_use]
    pub const fn new(resource: Arc<Resource>, limits: Limits, keys: QueryKeys) -> Self {
        Self { resource, limits, keys, max_request: MAX_REQUEST }
    }

    /// Requests of at most [`MAX_REQUEST`] bytes with `spans` in their order, grouped by resource in each, and how many spans are
    /// in none because one alone is longer.
    #[must_use]
    pub fn requests(&self, spans: &[Span]) -> (Vec<Request>, u64) {
        let mut requests = Vec::new();
        let mut too_large = 0;
        let mut parts = vec![spans];
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let request = self.request(part);
            if request.bytes.len() <= self.max_request {
                requests.push(request);
            } else if part.len() == 1 {
                too_large += 1;
            } else {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            }
        }
        (requests, too_large)
    }

    fn request(&self, spans: &[Span]) -> Request {
        // Fields of a message may come in any order, and in pieces: what is of all spans first, then the spans.
        let scope = InstrumentationScope {
            name: SCOPE.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let schema_url = SCHEMA_URL.to_owned();
        let scope = ScopeSpans { scope: Some(scope), schema_url, ..ScopeSpans::default() }.encode_to_vec();
        let mut by_owner = BTreeMap::<Owner<'_>, Vec<u8>>::new();
        let mut message = Vec::new();
        for span in spans {
            message.clear();
            write(span, &self.keys, self.limits, &mut message);
            let all = by_owner.entry(owner(span)).or_insert_with(|| scope.clone());
            Message::new(all).pieces(field::SPANS, &[&message]);
        }
        let mut bytes = Vec::with_capacity(by_owner.values().map(|spans| spans.len() + RESOURCE).sum());
        for (owner, spans) in by_owner {
            let (resource, schema_url) = (Some(self.resource(&owner)), SCHEMA_URL.to_owned());
            let mut head = ResourceSpans { resource, schema_url, ..ResourceSpans::default() }.encode_to_vec();
            Message::new(&mut head).open(field::SCOPE_SPANS, spans.len());
            Message::new(&mut bytes).pieces(field::RESOURCE_SPANS, &[&head, &spans]);
        }
        Request { bytes: bytes.into(), spans: u64::try_from(spans.len()).unwrap_or(u64::MAX) }
    }

    fn resource(&self, owner: &Owner<'_>) -> ResourceMessage {
        let text = |key: &str, value: &str| key_value(key, Value::StringValue(value.to_owned()));
        let mut attributes = Vec::new();
        if owner.pid != 0 {
            attributes.push(key_value(semconv::PROCESS_PID.otel, Value::IntValue(owner.pid.into())));
        }
        if let Some(vpid) = owner.vpid {
            attributes.push(key_value(semconv::PROCESS_VPID.otel, Value::IntValue(vpid.into())));
        }
        if let Some(name) = owner.executable.rsplit('/').next().filter(|name| !name.is_empty()) {
            attributes.push(text(semconv::PROCESS_EXECUTABLE_NAME.otel, name));
        }
        if owner.executable.starts_with('/') {
            attributes.push(text(semconv::PROCESS_EXECUTABLE_PATH.otel, owner.executable));
        }
        let mut all: Vec<_> =
            self.resource.of(owner.service).iter().map(|(key, value)| text(key, value)).collect();
        all.retain(|known| !attributes.iter().any(|own: &KeyValue| own.key == known.key));
        all.append(&mut attributes);
        ResourceMessage { attributes: all, ..ResourceMessage::default() }
    }
}

/// One attribute of a resource.
fn key_value(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn owner(span: &Span) -> Owner<'_> {
    Owner { service: &span.service, pid: span.exchange.pid, vpid: span.vpid, executable: &span.executable }
}

/// Appends a span's fields.
fn write(span: &Span, keys: &QueryKeys, limits: Limits, bytes: &mut Vec<u8>) {
    let (ids, exchange, route) = (&span.ids, &span.exchange, span.route.as_deref());
    let (start, end) = bounds(&exchange.times);
    let random = if ids.random { RANDOM } else { 0 };
    let remote = if ids.parent.is_some() { HAS_IS_REMOTE | IS_REMOTE } else { 0 };
    let kind = match exchange.role {
        Role::Server => SpanKind::Server,
        Role::Client => SpanKind::Client,
    };
    let mut message = Message::new(bytes);
    message.pieces(field::TRACE_ID, &[&ids.trace_id.to_bytes()]);
    message.pieces(field::SPAN_ID, &[&ids.span_id.to_bytes()]);
    message.text(field::TRACE_STATE, String::from_utf8_lossy(&exchange.details.trace_state).as_bytes());
    if let Some(parent) = ids.parent {
        message.pieces(field::PARENT_SPAN_ID, &[&parent.to_bytes()]);
    }
    message.fixed32(field::FLAGS, SAMPLED | random | remote);
    // The method, and the route where there is one; a path must not stand there.
    let method = match exchange.method {
        Some(Method::Other) | None => "HTTP",
        Some(method) => method.as_str(),
    };
    let separator = route.map_or("", |_| " ");
    message.pieces(field::NAME, &[method, separator, route.unwrap_or_default()].map(str::as_bytes));
    message.integer(field::KIND, kind as u32);
    message.fixed64(field::START, span.wall.epoch(start));
    message.fixed64(field::END, span.wall.epoch(end));
    let dropped = attributes(exchange, route, keys, limits, &mut message);
    message.integer(field::DROPPED_ATTRIBUTES, dropped);
    if exchange.error_type().is_some() {
        let mut status = Vec::new();
        Message::new(&mut status).integer(field::STATUS_CODE, StatusCode::Error as u32);
        message.pieces(field::STATUS, &[&status]);
    }
}

/// From the first byte of the request to the last of the answer, or to the last that was seen.
fn bounds(times: &Times) -> (Nanos, Nanos) {
    let all = [
        times.request_first,
        times.request_last,
        times.picked_up,
        times.response_first,
        times.response_last,
        times.acknowledged,
    ];
    let start = times.request_first.or_else(|| all.into_iter().flatten().min()).unwrap_or_default();
    let end = times.response_last.or_else(|| all.into_iter().flatten().max()).unwrap_or_default();
    (start, end.max(start))
}
