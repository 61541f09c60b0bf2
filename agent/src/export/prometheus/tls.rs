//! Families of TLS handshakes.

use std::{fmt, sync::Arc};

use super::{
    exposition::{Exposition, Value},
    labels,
    rows::Rows,
};
use crate::{
    net::{CertificateLabels, CertificateSeries, NotAfter, Snapshot, TlsDurations, TlsLabels, TlsSeries},
    protocol::tls::{cipher_name, group_name, version_name},
    red::{Histogram, PART},
    semconv,
};

/// Writes all of them.
pub fn write(net: &Snapshot, out: &mut dyn Exposition) -> fmt::Result {
    let rows = Rows::new(net.tls.iter().map(|series| (handshake(net, series), &series.value)));
    rows.numbers(&semconv::TLS_HANDSHAKES, |count| Value::Integer(*count), out)?;
    if net.tls_unobserved > 0 {
        let rows = Rows::new([(String::new(), &net.tls_unobserved)]);
        rows.numbers(&semconv::TLS_HANDSHAKES_UNOBSERVED, |count| Value::Integer(*count), out)?;
    }
    let rows = Rows::new(net.tls_durations.iter().map(|series| (duration(net, series), &series.value)));
    rows.histograms(&semconv::TLS_HANDSHAKE_DURATION, &PART, |histogram: &Histogram<16>| histogram, out)?;

    let not_after = |end: &NotAfter| Value::Integer(u64::try_from(end.0).unwrap_or_default());
    let of = |of_client: bool| {
        let all = net.certificates.iter().filter_map(|series| Some((series, series.labels.as_ref()?)));
        let all = all.filter(move |(_, labels)| labels.of_client == of_client);
        Rows::new(all.map(|(series, labels)| (certificate(net, series, labels), &series.value)))
    };
    of(false).numbers(&semconv::TLS_CERTIFICATE_NOT_AFTER, not_after, out)?;
    of(true).numbers(&semconv::TLS_CLIENT_CERTIFICATE_NOT_AFTER, not_after, out)
}

fn handshake(net: &Snapshot, series: &TlsSeries) -> String {
    let mut set = labels::end(net, series.service, series.role);
    let Some(labels) = &series.labels else {
        labels::push(&mut set, semconv::OTEL_METRIC_OVERFLOW, "true");
        return set;
    };
    let TlsLabels { server, version, cipher, group, protocol, resumed, error } = labels;
    if let Some(server) = server {
        labels::push(&mut set, semconv::SERVER_ADDRESS, server);
    }
    if let Some(version) = version {
        labels::push(&mut set, semconv::TLS_PROTOCOL_VERSION, version_name(*version));
    }
    if let Some(cipher) = cipher {
        labels::push(&mut set, semconv::TLS_CIPHER, Registered(cipher_name(*cipher), *cipher));
    }
    if let Some(group) = group {
        labels::push(&mut set, semconv::TLS_CURVE, Registered(group_name(*group), *group));
    }
    if let Some(protocol) = protocol {
        labels::push(&mut set, semconv::TLS_NEXT_PROTOCOL, protocol);
    }
    if let Some(resumed) = resumed {
        labels::push(&mut set, semconv::TLS_RESUMED, resumed);
    }
    if let Some(error) = error {
        labels::push(&mut set, semconv::ERROR_TYPE, error);
    }
    set
}

fn duration(net: &Snapshot, series: &TlsDurations) -> String {
    let mut set = labels::end(net, series.service, series.role);
    match series.labels.map(|labels| labels.version) {
        Some(Some(version)) => labels::push(&mut set, semconv::TLS_PROTOCOL_VERSION, version_name(version)),
        Some(None) => {}
        None => labels::push(&mut set, semconv::OTEL_METRIC_OVERFLOW, "true"),
    }
    set
}

fn certificate(net: &Snapshot, series: &CertificateSeries, labels: &CertificateLabels<Arc<str>>) -> String {
    let mut set = labels::end(net, series.service, series.role);
    if let Some(server) = &labels.server {
        labels::push(&mut set, semconv::SERVER_ADDRESS, server);
    }
    let (subject, issuer) = match labels.of_client {
        true => (semconv::TLS_CLIENT_SUBJECT, semconv::TLS_CLIENT_ISSUER),
        false => (semconv::TLS_SERVER_SUBJECT, semconv::TLS_SERVER_ISSUER),
    };
    labels::push(&mut set, subject, &labels.subject);
    labels::push(&mut set, issuer, &labels.issuer);
    set
}

/// A number by its name in a registry, else in the registry's own form.
struct Registered(Option<&'static str>, u16);

impl fmt::Display for Registered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "{:#06x}", self.1),
        }
    }
}
