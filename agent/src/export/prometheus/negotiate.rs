//! Which format a scraper gets for its `Accept` (RFC 9110 §12.5.1; Prometheus, "Scrape protocol content negotiation").

/// A format that we write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format 0.0.4.
    Text,
    /// `io.prometheus.client.MetricFamily` messages, each after its length.
    Protobuf,
}

/// A format and the content type that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// What to write.
    pub format: Format,
    /// Value of `Content-Type`.
    pub content_type: &'static str,
}

/// How a scraper wants names that are not made of `[a-zA-Z0-9_:]` alone (Prometheus, "UTF-8 metric and label name escaping
/// schemes"). All of ours are, so that every scheme leaves them as they are; the answer names the scheme all the same.
#[derive(Clone, Copy)]
enum Escaping {
    AllowUtf8,
    Underscores,
    Dots,
    Values,
}

/// The content types of a format: without a scheme asked for, and with each.
macro_rules! content_types {
    ($($name:ident = $format:ident, $base:literal;)*) => {
        $(const fn $name(escaping: Option<Escaping>) -> Negotiated {
            let content_type = match escaping {
                None => $base,
                Some(Escaping::AllowUtf8) => concat!($base, "; escaping=allow-utf-8"),
                Some(Escaping::Underscores) => concat!($base, "; escaping=underscores"),
                Some(Escaping::Dots) => concat!($base, "; escaping=dots"),
                Some(Escaping::Values) => concat!($base, "; escaping=values"),
            };
            Negotiated { format: Format::$format, content_type }
        })*
    };
}

content_types! {
    text = Text, "text/plain; version=0.0.4; charset=utf-8";
    // 0.0.4 with names in quotes allowed, of which we have none.
    text_1 = Text, "text/plain; version=1.0.0; charset=utf-8";
    openmetrics = OpenMetrics, "application/openmetrics-text; version=1.0.0; charset=utf-8";
    // What we write is valid in the draft, too.
    openmetrics_draft = OpenMetrics, "application/openmetrics-text; version=0.0.1; charset=utf-8";
    protobuf = Protobuf,
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
}

/// The format for a request's `Accept`: the supported one of highest weight, the first of equals. Without one, or if it
/// names nothing we have, the text format: a scraper that gets something it did not ask for can still say so.
#[must_use]
pub fn negotiate(accept: Option<&str>) -> Negotiated {
    let mut best = (0, text(None));
    for entry in accept.unwrap_or_default().split(',') {
        if let Some((weight, negotiated)) = read(entry)
            && weight > best.0
        {
            best = (weight, negotiated);
        }
    }
    best.1
}

/// Weight in thousandths and format of one entry; `None` if it is none of ours.
fn read(entry: &str) -> Option<(u16, Negotiated)> {
    let mut parts = entry.split(';').map(str::trim);
    let media_type = parts.next()?.to_ascii_lowercase();
    let (mut version, mut escaping, mut weight) = (None, None, 1000);
    let (mut message, mut framing) = (None, None);
    for parameter in parts {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "version" => version = Some(value),
            "escaping" => escaping = Some(scheme(value)),
            "proto" => message = Some(value),
            "encoding" => framing = Some(value),
            "q" => weight = thousandths(value)?,
            _ => {}
        }
    }
    let negotiated = match (media_type.as_str(), version) {
        ("application/vnd.google.protobuf", _) => match (message, framing) {
            (Some("io.prometheus.client.MetricFamily"), Some("delimited")) => protobuf(escaping),
            _ => return None,
        },
        ("application/openmetrics-text", Some("1.0.0")) => openmetrics(escaping),
        ("application/openmetrics-text", None | Some("0.0.1")) => openmetrics_draft(escaping),
        ("text/plain", Some("1.0.0")) => text_1(escaping),
        ("text/plain", None | Some("0.0.4")) => text(escaping),
        ("text/*" | "*/*", _) => text(None),
        _ => return None,
    };
    Some((weight, negotiated))
}

/// A scheme by its name; one we do not know is the one that every reader understands.
fn scheme(name: &str) -> Escaping {
    match name {
        // The latter is the spelling of the page on content negotiation.
        "allow-utf-8" | "allow-utf8" => Escaping::AllowUtf8,
        "dots" => Escaping::Dots,
        "values" => Escaping::Values,
        _ => Escaping::Underscores,
    }
}

/// A weight (RFC 9110 §12.4.2: at most three decimals) in thousandths.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semconv::{ATTRIBUTES, METRICS};

    const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
        application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
        text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    const PROMETHEUS_3_NATIVE: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
        encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
        application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
        text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    const PROMETHEUS_2: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
        text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    const DRAFT: &str = "application/openmetrics-text; version=0.0.1; charset=utf-8";
    const PROTOBUF: &str =
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

    #[test]
    fn the_heaviest_supported_entry_wins() {
        for (accept, expected) in [
            ("", TEXT),
            ("*/*", TEXT),
            ("text/html", TEXT),
            (PROMETHEUS_3, &format!("{OPENMETRICS}; escaping=allow-utf-8")),
            (PROMETHEUS_3_NATIVE, PROTOBUF),
            (PROMETHEUS_2, OPENMETRICS),
            ("application/openmetrics-text", DRAFT),
            ("application/openmetrics-text; version=2.0.0", TEXT),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"", OPENMETRICS),
            ("text/plain;q=0.9, application/openmetrics-text;version=1.0.0;q=0.8", TEXT),
            ("text/plain;q=0.8, application/openmetrics-text;version=1.0.0;q=0.801", OPENMETRICS),
            ("text/plain;q=0.5, application/openmetrics-text;version=1.0.0;q=0.5", TEXT),
            ("application/openmetrics-text;version=1.0.0;q=0", TEXT),
            ("application/openmetrics-text;version=1.0.0;q=1.000", OPENMETRICS),
            ("application/openmetrics-text;version=1.0.0;q=1.1, text/plain", TEXT),
            ("application/openmetrics-text;version=1.0.0;q=x, text/plain;q=0.1", TEXT),
            ("text/plain;version=0.0.4;escaping=values", &format!("{TEXT}; escaping=values")),
            ("text/plain;version=1.0.0", "text/plain; version=1.0.0; charset=utf-8"),
            ("application/openmetrics-text;version=1.0.0;escaping=dots", &format!("{OPENMETRICS}; escaping=dots")),
            (
                "application/openmetrics-text;version=1.0.0;escaping=x",
                &format!("{OPENMETRICS}; escaping=underscores"),
            ),
            ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", TEXT),
            ("application/vnd.google.protobuf", TEXT),
            ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text", TEXT),
            ("application/vnd.google.protobuf;proto=a.Message;encoding=delimited", TEXT),
            (
                "application/vnd.google.protobuf; Proto=io.prometheus.client.MetricFamily; \
                 encoding=\"delimited\"; escaping=underscores; q=0.7, text/plain;q=0.5",
                &format!("{PROTOBUF}; escaping=underscores"),
            ),
            (&format!("{PROTOBUF};q=0, application/openmetrics-text;version=1.0.0;q=0.1"), OPENMETRICS),
        ] {
            let negotiated = negotiate(Some(accept));
            let format = match expected {
                _ if expected.starts_with(PROTOBUF) => Format::Protobuf,
                _ if expected.starts_with("text/") => Format::Text,
                _ => Format::OpenMetrics,
            };
            assert_eq!(negotiated.content_type, expected, "{accept:?}");
            assert_eq!(negotiated.format, format, "{accept:?}");
        }
        assert_eq!(negotiate(None).content_type, TEXT);
    }

    /// A name of the legacy set is the same in every scheme, as in Prometheus' own library.
    #[test]
    fn no_name_needs_escaping() {
        let metrics = METRICS.iter().map(|metric| metric.prometheus);
        for name in metrics.chain(ATTRIBUTES.iter().map(|attribute| attribute.label)) {
            assert!(name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_'), "{name}");
            assert!(name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_'), "{name}");
        }
    }
}
