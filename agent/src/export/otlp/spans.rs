//! Spans as OTLP has them (opentelemetry-proto v1.11, trace.proto), by the HTTP conventions (v1.44).

mod attributes;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{InstrumentationScope, KeyValue, any_value::Value},
    resource::v1::Resource as ResourceMessage,
    trace::v1::{ResourceSpans, ScopeSpans, Span as SpanMessage, Status, span::SpanKind, status::StatusCode},
};
use prost::Message as _;

use self::attributes::{attributes, key_value};
use super::config::Limits;
use crate::{
    exchange::{Exchange, Method, Role, Times},
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

/// What a resource is of, beside the host: a service, and one of its processes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Owner<'a> {
    service: &'a Service,
    pid: u32,
    vpid: Option<u32>,
    executable: &'a str,
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
    pub fn requests(&self, spans: &[Span]) -> (Vec<ExportTraceServiceRequest>, u64) {
        let mut requests = Vec::new();
        let mut too_large = 0;
        let mut parts = vec![spans];
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let request = self.request(part);
            if request.encoded_len() <= self.max_request {
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

    fn request(&self, spans: &[Span]) -> ExportTraceServiceRequest {
        let mut by_owner = BTreeMap::<Owner<'_>, Vec<SpanMessage>>::new();
        for span in spans {
            by_owner.entry(owner(span)).or_default().push(message(span, &self.keys, self.limits));
        }
        let scope = InstrumentationScope {
            name: SCOPE.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let of_owner = |(owner, spans)| ResourceSpans {
            resource: Some(self.resource(&owner)),
            scope_spans: vec![ScopeSpans { scope: Some(scope.clone()), spans, schema_url: SCHEMA_URL.to_owned() }],
            schema_url: SCHEMA_URL.to_owned(),
        };
        ExportTraceServiceRequest { resource_spans: by_owner.into_iter().map(of_owner).collect() }
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

fn owner(span: &Span) -> Owner<'_> {
    Owner { service: &span.service, pid: span.exchange.pid, vpid: span.vpid, executable: &span.executable }
}

fn message(span: &Span, keys: &QueryKeys, limits: Limits) -> SpanMessage {
    let (ids, exchange) = (&span.ids, &span.exchange);
    let (attributes, dropped_attributes_count) = attributes(exchange, span.route.as_deref(), keys, limits);
    let (start, end) = bounds(&exchange.times);
    let random = if ids.random { RANDOM } else { 0 };
    let remote = if ids.parent.is_some() { HAS_IS_REMOTE | IS_REMOTE } else { 0 };
    SpanMessage {
        trace_id: ids.trace_id.to_bytes().to_vec(),
        span_id: ids.span_id.to_bytes().to_vec(),
        trace_state: String::from_utf8_lossy(&exchange.details.trace_state).into_owned(),
        parent_span_id: ids.parent.map(|parent| parent.to_bytes().to_vec()).unwrap_or_default(),
        flags: SAMPLED | random | remote,
        name: name(exchange, span.route.as_deref()),
        kind: match exchange.role {
            Role::Server => SpanKind::Server,
            Role::Client => SpanKind::Client,
        }
        .into(),
        start_time_unix_nano: span.wall.epoch(start),
        end_time_unix_nano: span.wall.epoch(end),
        attributes,
        dropped_attributes_count,
        status: exchange.error_type().map(|_| Status { message: String::new(), code: StatusCode::Error.into() }),
        ..SpanMessage::default()
    }
}

/// The method, and the route where there is one; a path must not stand there.
fn name(exchange: &Exchange, route: Option<&str>) -> String {
    let method = match exchange.method {
        Some(Method::Other) | None => "HTTP",
        Some(method) => method.as_str(),
    };
    route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"))
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
