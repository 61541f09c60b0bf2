//! Requests in the families that Grafana's service map reads: the graph of services, and metrics of spans.

use std::fmt;

use super::{
    Attributes, HistogramView, Sink, Value,
    rows::{Rows, some},
};
use crate::{
    exchange::{Method, Role},
    export::page::Page,
    net::{self, Peer, RequestEdge},
    red::{self, DURATION, Series, Stats},
    semconv,
};

/// Writes all of them.
pub fn write(page: &Page, out: &mut dyn Sink) -> fmt::Result {
    service_graph(&page.net, out)?;
    if page.net.span_metrics { span_metrics(&page.red, out) } else { Ok(()) }
}

fn service_graph(net: &net::Snapshot, out: &mut dyn Sink) -> fmt::Result {
    let rows = Rows::new(net.request_edges.iter().map(|edge| (ends(net, edge), edge.start, &edge.value)));
    rows.numbers(&semconv::SERVICE_GRAPH_REQUESTS, |stats| Value::Integer(stats.requests), out)?;
    rows.some_numbers(&semconv::SERVICE_GRAPH_FAILED, |stats| some(stats.failed), out)?;
    rows.histograms(&semconv::SERVICE_GRAPH_SERVER, &DURATION, |stats| &stats.server_seconds, out)?;
    rows.histograms(&semconv::SERVICE_GRAPH_CLIENT, &DURATION, |stats| &stats.client_seconds, out)
}

fn ends(net: &net::Snapshot, edge: &RequestEdge) -> Attributes {
    let mut all = Attributes::new();
    let Some(key) = edge.labels else {
        all.push(semconv::OTEL_METRIC_OVERFLOW, true);
        return all;
    };
    let is_service = |peer: Peer| matches!(peer, Peer::Service(_));
    all.push(semconv::CLIENT, net.peer(key.client));
    all.push(semconv::SERVER, net.peer(key.server));
    let is_whole = is_service(key.client) && is_service(key.server);
    for (attribute, peer) in [(semconv::CLIENT_NAMESPACE, key.client), (semconv::SERVER_NAMESPACE, key.server)] {
        if let Some(namespace) = net.peer_namespace(peer) {
            all.push(attribute, namespace);
        }
    }
    all.push(semconv::CONNECTION_TYPE, if is_whole { "" } else { "virtual_node" });
    all
}

fn span_metrics(red: &red::Snapshot, out: &mut dyn Sink) -> fmt::Result {
    let observed = red.series.iter().filter(|series| series.value.duration.count > 0);
    let rows = Rows::new(observed.map(|series| (span(red, series), series.start, &series.value)));
    rows.numbers(&semconv::SPAN_CALLS, |stats| Value::Integer(stats.duration.count), out)?;
    let view = |stats| -> Option<HistogramView<'_>> {
        let stats: &Stats = stats;
        Some(HistogramView::new(&DURATION, &stats.duration).with(Some(&stats.exponential), stats.exemplars()))
    };
    rows.views(&semconv::SPAN_LATENCY, view, out)
}

/// The span of an HTTP request bears its method's name, and its route where that is known (OpenTelemetry HTTP conventions,
/// "Name").
fn span(red: &red::Snapshot, series: &Series) -> Attributes {
    let mut all = Attributes::new();
    if let Some(service) = series.service.and_then(|service| red.services.get(&service)) {
        all.push(semconv::SPAN_SERVICE, &service.name);
    }
    let kind = match series.role {
        Role::Server => "SPAN_KIND_SERVER",
        Role::Client => "SPAN_KIND_CLIENT",
    };
    let Some(labels) = &series.labels else {
        all.push(semconv::SPAN_KIND, kind);
        all.push(semconv::OTEL_METRIC_OVERFLOW, true);
        return all;
    };
    let method = match labels.method {
        Some(Method::Other) | None => "HTTP",
        Some(method) => method.as_str(),
    };
    let status = if labels.error.is_some() { "STATUS_CODE_ERROR" } else { "STATUS_CODE_UNSET" };
    match labels.route.and_then(|route| route.of(&red.routes)) {
        Some(route) => all.push(semconv::SPAN_NAME, format!("{method} {route}")),
        None => all.push(semconv::SPAN_NAME, method),
    }
    all.push(semconv::SPAN_KIND, kind);
    all.push(semconv::STATUS_CODE, status);
    all
}
