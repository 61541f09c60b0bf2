//! The attributes of each kind of series.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{AttributeValue, Attributes};
use crate::{
    exchange::Role,
    identity::{Service, ServiceId},
    net::{self, PeerLabels},
    red, semconv,
};

/// Those of a series of requests.
pub fn request(red: &red::Snapshot, series: &red::Series) -> Attributes {
    let mut all = service(&red.services, series.service);
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
    if let Some(route) = labels.route.and_then(|route| route.of(&red.routes)) {
        all.push(semconv::HTTP_ROUTE, route);
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
    let mut all = service(&red.services, series.service);
    match series.labels {
        Some(kind) => all.push(semconv::KIND, kind.as_str()),
        None => all.push(semconv::OTEL_METRIC_OVERFLOW, true),
    }
    all.push(semconv::ROLE, series.role.as_str());
    all
}

/// The attributes that all series of a service begin with.
fn service(known: &HashMap<ServiceId, Arc<Service>>, id: Option<ServiceId>) -> Attributes {
    id.and_then(|id| known.get(&id)).map(|service| identifying(service)).unwrap_or_default()
}

/// What tells a service from all others.
pub fn identifying(service: &Service) -> Attributes {
    let name = [(semconv::SERVICE_NAME, &service.name)].into_iter();
    Attributes::of(name.chain(service.identifying.iter().map(|(attribute, value)| (*attribute, value))))
}

/// What the series of connections begin with whose family says the role.
pub fn of(net: &net::Snapshot, id: Option<ServiceId>) -> Attributes {
    service(&net.services, id)
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
            if let Some(namespace) = net.peer_namespace(labels.peer) {
                all.push(semconv::PEER_NAMESPACE, namespace);
            }
            all.push(semconv::SERVER_PORT, labels.port);
        }
        None => all.push(semconv::OTEL_METRIC_OVERFLOW, true),
    }
    all
}
