//! Requests in the families that Grafana's service map reads: the graph of services, and metrics of spans.

use std::fmt;

use super::{
    exposition::{Exposition, Value},
    labels,
    rows::{Rows, some},
};
use crate::{
    exchange::{Method, Role},
    export::page::Page,
    net::{self, Peer, RequestEdge},
    red::{self, DURATION, Histogram, Series},
    semconv,
};

/// Writes all of them.
pub fn write(page: &Page, out: &mut dyn Exposition) -> fmt::Result {
    service_graph(&page.net, out)?;
    if page.net.span_metrics { span_metrics(&page.red, out) } else { Ok(()) }
}

fn service_graph(net: &net::Snapshot, out: &mut dyn Exposition) -> fmt::Result {
    let rows = Rows::new(net.request_edges.iter().map(|edge| (ends(net, edge), &edge.stats)));
    rows.numbers(&semconv::SERVICE_GRAPH_REQUESTS, |stats| Value::Integer(stats.requests), out)?;
    rows.some_numbers(&semconv::SERVICE_GRAPH_FAILED, |stats| some(stats.failed), out)?;
    rows.histograms(&semconv::SERVICE_GRAPH_SERVER, &DURATION, |stats| &stats.server_seconds, out)?;
    rows.histograms(&semconv::SERVICE_GRAPH_CLIENT, &DURATION, |stats| &stats.client_seconds, out)
}

fn ends(net: &net::Snapshot, edge: &RequestEdge) -> String {
    let Some(key) = edge.key else {
        return labels::set(&[(semconv::OTEL_METRIC_OVERFLOW, "true")]);
    };
    let is_service = |peer: Peer| matches!(peer, Peer::Service(_));
    let kind = if is_service(key.client) && is_service(key.server) { "" } else { "virtual_node" };
    labels::set(&[
        (semconv::CLIENT, &net.peer(key.client)),
        (semconv::SERVER, &net.peer(key.server)),
        (semconv::CONNECTION_TYPE, kind),
    ])
}

fn span_metrics(red: &red::Snapshot, out: &mut dyn Exposition) -> fmt::Result {
    let observed = red.series.iter().filter(|series| series.duration.count > 0);
    let rows = Rows::new(observed.map(|series| (span(red, series), &series.duration)));
    rows.numbers(&semconv::SPAN_CALLS, |histogram| Value::Integer(histogram.count), out)?;
    rows.histograms(&semconv::SPAN_LATENCY, &DURATION, |histogram: &Histogram<14>| histogram, out)
}

/// The span of an HTTP request bears its method's name where no route is known (OpenTelemetry HTTP conventions, "Name").
fn span(red: &red::Snapshot, series: &Series) -> String {
    let mut set = String::new();
    if let Some(name) = series.key.service.and_then(|service| red.services.get(&service)) {
        labels::push(&mut set, semconv::SPAN_SERVICE, name);
    }
    let kind = match series.key.role {
        Role::Server => "SPAN_KIND_SERVER",
        Role::Client => "SPAN_KIND_CLIENT",
    };
    let Some(labels) = &series.key.labels else {
        labels::push(&mut set, semconv::SPAN_KIND, kind);
        labels::push(&mut set, semconv::OTEL_METRIC_OVERFLOW, "true");
        return set;
    };
    let name = match labels.method {
        Some(Method::Other) | None => "HTTP",
        Some(method) => method.as_str(),
    };
    let status = if labels.error.is_some() { "STATUS_CODE_ERROR" } else { "STATUS_CODE_UNSET" };
    labels::push(&mut set, semconv::SPAN_NAME, name);
    labels::push(&mut set, semconv::SPAN_KIND, kind);
    labels::push(&mut set, semconv::STATUS_CODE, status);
    set
}
