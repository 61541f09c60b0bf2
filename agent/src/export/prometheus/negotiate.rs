//! Which format a scraper gets for its `Accept` (RFC 9110 §12.5.1; Prometheus, "Content negotiation").

/// A format that we write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format 0.0.4.
    Text,
}

/// A format and the content type that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// What to write.
    pub format: Format,
    /// Value of `Content-Type`.
    pub content_type: &'static str,
}

const TEXT: Negotiated =
    Negotiated { format: Format::Text, content_type: "text/plain; version=0.0.4; charset=utf-8" };
const TEXT_ESCAPED: Negotiated = Negotiated {
    format: Format::Text,
    content_type: "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
};
const OPENMETRICS: Negotiated = Negotiated {
    format: Format::OpenMetrics,
    content_type: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};
const OPENMETRICS_ESCAPED: Negotiated = Negotiated {
    format: Format::OpenMetrics,
    content_type: "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
};
/// What we write is valid in the draft that Prometheus calls 0.0.1, too.
const OPENMETRICS_DRAFT: Negotiated = Negotiated {
    format: Format::OpenMetrics,
    content_type: "application/openmetrics-text; version=0.0.1; charset=utf-8",
};

/// The format for a request's `Accept`: the supported one of highest weight, the first of equals. Without one, or if it
/// names nothing we have, the text format: a scraper that gets something it did not ask for can still say so.
#[must_use]
pub fn negotiate(accept: Option<&str>) -> Negotiated {
    let mut best = (0, TEXT);
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
    let (mut version, mut escaping, mut weight) = (None, false, 1000);
    for parameter in parts {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "version" => version = Some(value),
            "escaping" => escaping = true,
            "q" => weight = thousandths(value)?,
            _ => {}
        }
    }
    let negotiated = match (media_type.as_str(), version) {
        ("application/openmetrics-text", Some("1.0.0")) if escaping => OPENMETRICS_ESCAPED,
        ("application/openmetrics-text", Some("1.0.0")) => OPENMETRICS,
        ("application/openmetrics-text", None | Some("0.0.1")) => OPENMETRICS_DRAFT,
        ("text/plain", None | Some("0.0.4")) if escaping => TEXT_ESCAPED,
        ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => TEXT,
        _ => return None,
    };
    Some((weight, negotiated))
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

    const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
        application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
        text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    const PROMETHEUS_3_NATIVE: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
        encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
        text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    const PROMETHEUS_2: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
        text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

    #[test]
    fn the_heaviest_supported_entry_wins() {
        for (accept, expected) in [
            (None, TEXT),
            (Some(""), TEXT),
            (Some("*/*"), TEXT),
            (Some("text/html"), TEXT),
            (Some(PROMETHEUS_3), OPENMETRICS_ESCAPED),
            (Some(PROMETHEUS_3_NATIVE), OPENMETRICS_ESCAPED),
            (Some(PROMETHEUS_2), OPENMETRICS),
            (Some("application/openmetrics-text"), OPENMETRICS_DRAFT),
            (Some("application/openmetrics-text; version=2.0.0"), TEXT),
            (Some("Application/OpenMetrics-Text; Version=\"1.0.0\""), OPENMETRICS),
            (Some("text/plain;q=0.9, application/openmetrics-text;version=1.0.0;q=0.8"), TEXT),
            (Some("text/plain;q=0.8, application/openmetrics-text;version=1.0.0;q=0.801"), OPENMETRICS),
            (Some("text/plain;q=0.5, application/openmetrics-text;version=1.0.0;q=0.5"), TEXT),
            (Some("application/openmetrics-text;version=1.0.0;q=0"), TEXT),
            (Some("application/openmetrics-text;version=1.0.0;q=1.000"), OPENMETRICS),
            (Some("application/openmetrics-text;version=1.0.0;q=1.1, text/plain"), TEXT),
            (Some("application/openmetrics-text;version=1.0.0;q=x, text/plain;q=0.1"), TEXT),
            (Some("text/plain;version=0.0.4;escaping=values"), TEXT_ESCAPED),
            (Some("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8"), TEXT),
        ] {
            assert_eq!(negotiate(accept), expected, "{accept:?}");
        }
    }
}
