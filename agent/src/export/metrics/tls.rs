//! Families of TLS handshakes.

use std::{fmt, sync::Arc};

use super::{AttributeValue, Attributes, Point, Sink, Value, labels, rows::Rows};
use crate::{
    net::{CertificateLabels, CertificateSeries, NotAfter, Snapshot, TlsDurations, TlsLabels, TlsSeries},
    protocol::tls::{cipher_name, group_name, version_name},
    red::PART,
    semconv,
};

/// Writes all of them.
pub fn write(net: &Snapshot, started: u64, out: &mut dyn Sink) -> fmt::Result {
    let rows = Rows::new(net.tls.iter().map(|series| (handshake(net, series), series.start, &series.value)));
    rows.numbers(&semconv::TLS_HANDSHAKES, |count| Value::Integer(*count), out)?;
    if net.tls_unobserved > 0 {
        let point = Point { attributes: &Attributes::new(), start: started };
        let count = Value::Integer(net.tls_unobserved);
        out.family(&semconv::TLS_HANDSHAKES_UNOBSERVED, &mut |points| points.number(point, count))?;
    }
    let durations = net.tls_durations.iter();
    let rows = Rows::new(durations.map(|series| (duration(net, series), series.start, &series.value)));
    rows.histograms(&semconv::TLS_HANDSHAKE_DURATION, &PART, |histogram| histogram, out)?;

    let not_after = |end: &NotAfter| Value::Integer(u64::try_from(end.0).unwrap_or_default());
    let of = |of_client: bool| {
        let all = net.certificates.iter().filter_map(|series| Some((series, series.labels.as_ref()?)));
        let all = all.filter(move |(_, labels)| labels.of_client == of_client);
        Rows::new(all.map(|(series, labels)| (certificate(net, series, labels), series.start, &series.value)))
    };
    of(false).numbers(&semconv::TLS_CERTIFICATE_NOT_AFTER, not_after, out)?;
    of(true).numbers(&semconv::TLS_CLIENT_CERTIFICATE_NOT_AFTER, not_after, out)
}

fn handshake(net: &Snapshot, series: &TlsSeries) -> Attributes {
    let mut set = labels::end(net, series.service, series.role);
    let Some(labels) = &series.labels else {
        set.push(semconv::OTEL_METRIC_OVERFLOW, true);
        return set;
    };
    let TlsLabels { server, version, cipher, group, protocol, resumed, error } = labels;
    if let Some(server) = server {
        set.push(semconv::SERVER_ADDRESS, server);
    }
    if let Some(version) = version {
        set.push(semconv::TLS_PROTOCOL_VERSION, version_name(*version));
    }
    if let Some(cipher) = cipher {
        set.push(semconv::TLS_CIPHER, registered(cipher_name(*cipher), *cipher));
    }
    if let Some(group) = group {
        set.push(semconv::TLS_CURVE, registered(group_name(*group), *group));
    }
    if let Some(protocol) = protocol {
        set.push(semconv::TLS_NEXT_PROTOCOL, protocol);
    }
    if let Some(resumed) = resumed {
        set.push(semconv::TLS_RESUMED, *resumed);
    }
    if let Some(error) = error {
        set.push(semconv::ERROR_TYPE, error.to_string());
    }
    set
}

fn duration(net: &Snapshot, series: &TlsDurations) -> Attributes {
    let mut set = labels::end(net, series.service, series.role);
    match series.labels.map(|labels| labels.version) {
        Some(Some(version)) => set.push(semconv::TLS_PROTOCOL_VERSION, version_name(version)),
        Some(None) => {}
        None => set.push(semconv::OTEL_METRIC_OVERFLOW, true),
    }
    set
}

fn certificate(net: &Snapshot, series: &CertificateSeries, labels: &CertificateLabels<Arc<str>>) -> Attributes {
    let mut set = labels::end(net, series.service, series.role);
    if let Some(server) = &labels.server {
        set.push(semconv::SERVER_ADDRESS, server);
    }
    let (subject, issuer) = match labels.of_client {
        true => (semconv::TLS_CLIENT_SUBJECT, semconv::TLS_CLIENT_ISSUER),
        false => (semconv::TLS_SERVER_SUBJECT, semconv::TLS_SERVER_ISSUER),
    };
    set.push(subject, &labels.subject);
    set.push(issuer, &labels.issuer);
    set
}

/// A number by its name in a registry, else in the registry's own form.
fn registered(name: Option<&'static str>, number: u16) -> AttributeValue {
    name.map_or_else(|| format!("{number:#06x}").into(), AttributeValue::from)
}
