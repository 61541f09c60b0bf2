//! Label sets as text, the same in both formats.

use std::fmt::{self, Write};

use crate::{
    exchange::Role,
    identity::ServiceId,
    net::{self, PeerLabels},
    red,
    semconv::{self, Attribute},
};

/// Appends `name="value"` to a label set, with a comma if it is not the first.
pub fn push(set: &mut String, attribute: Attribute, value: impl fmt::Display) {
    if !set.is_empty() {
        set.push(',');
    }
    set.push_str(attribute.label);
    set.push_str("=\"");
    // Writing to a `Escaped` over a `String` cannot fail.
    let _ = write!(Escaped(set), "{value}");
    set.push('"');
}

/// A label set of a few attributes.
pub fn set(attributes: &[(Attribute, &str)]) -> String {
    let mut set = String::new();
    for (attribute, value) in attributes {
        push(&mut set, *attribute, value);
    }
    set
}

/// Escapes what a quoted label value must not hold (both formats: `\`, `"` and line feed).
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(['\\', '"', '\n']) {
            let (plain, special) = rest.split_at(at);
            self.0.push_str(plain);
            self.0.push_str(match special.as_bytes().first() {
                Some(b'\n') => "\\n",
                Some(b'"') => "\\\"",
                _ => "\\\\",
            });
            rest = special.get(1..).unwrap_or_default();
        }
        self.0.push_str(rest);
        Ok(())
    }
}

/// The label sets of all series of requests, each made once for all families.
pub struct SeriesLabels {
    text: String,
    ends: Vec<usize>,
}

impl SeriesLabels {
    /// Those of `red.series`, in that order.
    pub fn new(red: &red::Snapshot) -> Self {
        let mut all = Self { text: String::new(), ends: Vec::with_capacity(red.series.len()) };
        let mut one = String::new();
        for series in &red.series {
            one.clear();
            write_series(&mut one, red, &series.key);
            all.text.push_str(&one);
            all.ends.push(all.text.len());
        }
        all
    }

    /// That of the series at `index`.
    pub fn get(&self, index: usize) -> &str {
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(index).and_then(|end| self.text.get(start..*end)).unwrap_or_default()
    }
}

fn write_series(set: &mut String, red: &red::Snapshot, key: &red::SeriesKey) {
    if let Some(name) = key.service.and_then(|service| red.services.get(&service)) {
        push(set, semconv::SERVICE_NAME, name);
    }
    let Some(labels) = &key.labels else {
        return push(set, semconv::OTEL_METRIC_OVERFLOW, "true");
    };
    if let Some(method) = labels.method {
        push(set, semconv::HTTP_REQUEST_METHOD, method.as_str());
    }
    if let Some(status) = labels.status {
        push(set, semconv::HTTP_RESPONSE_STATUS_CODE, status);
    }
    push(set, semconv::URL_SCHEME, "http");
    if labels.method.is_some() {
        push(set, semconv::NETWORK_PROTOCOL_VERSION, format_args!("1.{}", labels.minor_version));
    }
    if let Some(error) = labels.error {
        push(set, semconv::ERROR_TYPE, error);
    }
    if let Some(server) = labels.server.and_then(|server| server.of(&red.servers)) {
        push(set, semconv::SERVER_ADDRESS, &server.address);
        push(set, semconv::SERVER_PORT, server.port);
    }
}

/// The label set of a series of streams.
pub fn stream(red: &red::Snapshot, key: &red::StreamKey) -> String {
    let mut set = String::new();
    match key.service.map(|service| red.services.get(&service)) {
        Some(Some(name)) => push(&mut set, semconv::SERVICE_NAME, name),
        Some(None) => {}
        None => push(&mut set, semconv::OTEL_METRIC_OVERFLOW, "true"),
    }
    push(&mut set, semconv::KIND, key.kind.as_str());
    push(&mut set, semconv::ROLE, key.role.as_str());
    set
}

/// The label that all series of connections begin with.
pub fn service(net: &net::Snapshot, service: Option<ServiceId>) -> String {
    let mut set = String::new();
    if let Some(name) = service.and_then(|service| net.services.get(&service)) {
        push(&mut set, semconv::SERVICE_NAME, name);
    }
    set
}

/// The labels that those begin with whose family does not say the role.
pub fn end(net: &net::Snapshot, service: Option<ServiceId>, role: Role) -> String {
    let mut set = self::service(net, service);
    push(&mut set, semconv::ROLE, role.as_str());
    set
}

/// The label set of a series of connections or datagrams.
pub fn peer<V>(net: &net::Snapshot, series: &net::Series<PeerLabels, V>) -> String {
    let mut set = end(net, series.service, series.role);
    match series.labels {
        Some(labels) => {
            push(&mut set, semconv::PEER, net.peer(labels.peer));
            push(&mut set, semconv::SERVER_PORT, labels.port);
        }
        None => push(&mut set, semconv::OTEL_METRIC_OVERFLOW, "true"),
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped() {
        for (value, expected) in [
            ("plain", r#"table="plain""#),
            ("", r#"table="""#),
            ("a\"b\\c\nd", r#"table="a\"b\\c\nd""#),
            ("\n", r#"table="\n""#),
            ("ü{}", r#"table="ü{}""#),
        ] {
            assert_eq!(set(&[(semconv::TABLE, value)]), expected);
        }
    }

    #[test]
    fn labels_are_separated_by_commas() {
        let labels = set(&[(semconv::UNIT, "a\n"), (semconv::REASON, "b")]);
        assert_eq!(labels, r#"unit="a\n",reason="b""#);
    }
}
