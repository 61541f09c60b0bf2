//! The attributes of each kind of series.

use std::sync::Arc;

use super::{AttributeValue, Attributes};
use crate::{
    exchange::Role,
    identity::ServiceId,
    net::{self, PeerLabels},
    red, semconv,
};

/// Those of a series of requests.
pub fn request(red: &red::Snapshot, series: &red::Series) -> Attributes {
    let mut all = service(red.services.get(&series.service.unwrap_or(ServiceId::UNKNOWN)), series.service);
    let Some(labels) = &series.labels else {
        all.push(semconv::OTEL_METRIC_OVERFLOW, true);
        return all;
    };
    if let Some(method) = labels.method {
        all.push(semconv::HTTP_REQUEST_METHOD, method.as_str());
    }
    if let Some(status) = labels.status {
        all.push(semconv::HTTP_RESPONSE_STATUS_CODE, status);
    }
    all.push(semconv::URL_SCHEME, "http");
    if labels.method.is_some() {
        all.push(semconv::NETWORK_PROTOCOL_VERSION, version(labels.minor_version));
    }
    if let Some(error) = labels.error {
        all.push(semconv::ERROR_TYPE, error.to_string());
    }
    if let Some(server) = labels.server.and_then(|server| server.of(&red.servers)) {
        all.push(semconv::SERVER_ADDRESS, &server.address);
        all.push(semconv::SERVER_PORT, server.port);
    }
    all
}

fn version(minor: u8) -> AttributeValue {
    match minor {
        0 => "1.0".into(),
        1 => "1.1".into(),
        minor => format!("1.{minor}").into(),
    }
}

/// Those of a series of streams.
pub fn stream(red: &red::Snapshot, series: &red::StreamSeries) -> Attributes {
    let mut all = service(red.services.get(&series.service.unwrap_or(ServiceId::UNKNOWN)), series.service);
    match series.labels {
        Some(kind) => all.push(semconv::KIND, kind.as_str()),
        None => all.push(semconv::OTEL_METRIC_OVERFLOW, true),
    }
    all.push(semconv::ROLE, series.role.as_str());
    all
}

/// The attribute that all series of a service begin with.
fn service(name: Option<&Arc<str>>, service: Option<ServiceId>) -> Attributes {
    let mut all = Attributes::new();
    if let Some(name) = name.filter(|_| service.is_some()) {
        all.push(semconv::SERVICE_NAME, name);
    }
    all
}

/// What the series of connections begin with whose family says the role.
pub fn of(net: &net::Snapshot, id: Option<ServiceId>) -> Attributes {
    service(id.and_then(|id| net.services.get(&id)), id)
}

/// What those begin with whose family does not.
pub fn end(net: &net::Snapshot, id: Option<ServiceId>, role: Role) -> Attributes {
    let mut all = of(net, id);
    all.push(semconv::ROLE, role.as_str());
    all
}

/// Those of a series of connections or datagrams.
pub fn peer<V>(net: &net::Snapshot, series: &crate::series::Series<PeerLabels, V>) -> Attributes {
    let mut all = end(net, series.service, series.role);
    match series.labels {
        Some(labels) => {
            all.push(semconv::PEER, net.peer(labels.peer));
            all.push(semconv::SERVER_PORT, labels.port);
        }
        None => all.push(semconv::OTEL_METRIC_OVERFLOW, true),
    }
    all
}
