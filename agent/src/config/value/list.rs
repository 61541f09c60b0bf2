//! Values that are lists: pairs of names and values, and words.

use std::fmt;

use hyper::header::{HeaderName, HeaderValue};

use super::{Rejected, nearest};
use crate::route::Pattern;

/// Pairs that a list may have.
const MAX_PAIRS: usize = 128;

/// Header fields, whose values may be secrets: [`fmt::Debug`] shows the names alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Names in lower case with their values, in the order given.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Patterns of routes that a list may have: each is compared with every path that is not known.
const MAX_PATTERNS: usize = 256;

/// Patterns of routes, `[SERVICE:]PATTERN,…`.
pub fn patterns(text: &str) -> Result<Vec<Pattern>, Rejected> {
    let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
    let patterns = texts.map(|text| Pattern::parse(text).map_err(|error| Rejected::expected(error.to_string())));
    let patterns = patterns.collect::<Result<Vec<_>, _>>()?;
    if patterns.len() > MAX_PATTERNS {
        return Err(Rejected::expected(format!("at most {MAX_PATTERNS} patterns")));
    }
    Ok(patterns)
}

/// Header fields, `NAME=VALUE,…`, as `OTEL_EXPORTER_OTLP_HEADERS` has them.
pub fn headers(text: &str) -> Result<Headers, Rejected> {
    let expected = || Rejected::expected("header fields as NAME=VALUE,NAME=VALUE");
    let mut headers = Vec::new();
    for (name, value) in pairs(text).ok_or_else(expected)? {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| expected())?;
        HeaderValue::from_str(&value).map_err(|_| expected())?;
        headers.push((name.as_str().to_owned(), value));
    }
    Ok(Headers(headers))
}

/// Labels, `NAME=VALUE,…`, each name once (Prometheus, "Data model").
pub fn labels(text: &str) -> Result<Vec<(String, String)>, Rejected> {
    let expected =
        || Rejected::expected("labels as NAME=VALUE,NAME=VALUE, each name once and without __ before it");
    let pairs = pairs(text).ok_or_else(expected)?;
    for (index, (name, _)) in pairs.iter().enumerate() {
        let mut bytes = name.bytes();
        let begins = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        let goes_on = bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let again = pairs.iter().take(index).any(|(earlier, _)| earlier == name);
        if !begins || !goes_on || name.starts_with("__") || again {
            return Err(expected());
        }
    }
    Ok(pairs)
}

/// What a list of pairs shows: names, no values.
pub fn names_alone(text: &str) -> String {
    let names = text.split(',').map(|pair| match pair.split_once('=') {
        Some((name, _)) => format!("{}=REDACTED", name.trim()),
        None => "REDACTED".to_owned(),
    });
    names.collect::<Vec<_>>().join(",")
}

/// The names of `OTEL_PROPAGATORS` that say something about requests, in the order given, as a list of them. `baggage`
/// tells of no trace, and `none` of nothing: both are accepted and left out.
pub fn propagators(text: &str) -> Result<String, Rejected> {
    const KNOWN: [&str; 6] = ["tracecontext", "b3", "b3multi", "jaeger", "baggage", "none"];
    let mut names = Vec::new();
    for name in text.split([',', ' ']).filter(|name| !name.is_empty()) {
        if !KNOWN.contains(&name) {
            let expected = Rejected::expected(format!("a list of {}", KNOWN.join(", ")));
            return Err(match nearest(name, KNOWN) {
                Some(known) => expected.nearest(known),
                None => expected,
            });
        }
        if !matches!(name, "baggage" | "none") && !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names.join(","))
}

/// `a=b,c=d` with values percent-decoded; `None` if it is not that.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let texts = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let pairs: Vec<_> = texts.take(MAX_PAIRS + 1).map(pair).collect::<Option<_>>()?;
    (pairs.len() <= MAX_PAIRS).then_some(pairs)
}

fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    Some((name.trim().to_owned(), decoded(value.trim())?))
}

/// RFC 3986 §2.1.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok().filter(|digits| !digits.starts_with('+'))?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show<T: fmt::Debug>(result: Result<T, Rejected>) -> String {
        match result {
            Ok(value) => format!("{value:?}"),
            Err(Rejected { nearest: Some(nearest), .. }) => format!("nearest {nearest}"),
            Err(Rejected { nearest: None, .. }) => "rejected".to_owned(),
        }
    }

    #[test]
    fn header_fields() {
        for (text, expected) in [
            ("", Some(vec![])),
            ("X-Scope-OrgID=tenant", Some(vec![("x-scope-orgid", "tenant")])),
            (" a = b , c=d%2Ce%3D ", Some(vec![("a", "b"), ("c", "d,e=")])),
            ("a=b=c", Some(vec![("a", "b=c")])),
            ("a", None),
            ("a b=c", None),
            ("a=%0a", None),
            ("a=%+1", None),
            ("a=%f", None),
            ("=b", None),
        ] {
            let parsed = headers(text).ok();
            let parsed = parsed.as_ref().map(|headers| headers.iter().collect::<Vec<_>>());
            assert_eq!(parsed, expected, "{text}");
        }
        let headers = headers("Authorization=Bearer%20secret,b=c").unwrap();
        assert_eq!(format!("{headers:?}"), r#"{"authorization", "b"}"#);
        assert_eq!(
            names_alone("Authorization=Bearer%20secret, b=c,secret"),
            "Authorization=REDACTED,b=REDACTED,REDACTED"
        );
    }

    #[test]
    fn labels_and_their_names() {
        for (text, expected) in [
            ("cluster=eu-1,_a=%C3%A9", r#"[("cluster", "eu-1"), ("_a", "é")]"#),
            ("", "[]"),
            ("a=", r#"[("a", "")]"#),
            ("__a=b", "rejected"),
            ("a.b=c", "rejected"),
            ("1a=c", "rejected"),
            ("a=b,a=c", "rejected"),
            ("a=%ff", "rejected"),
        ] {
            assert_eq!(show(labels(text)), expected, "{text}");
        }
        let many: Vec<_> = (0..=MAX_PAIRS).map(|number| format!("a{number}=b")).collect();
        assert_eq!(show(labels(&many.join(","))), "rejected");
    }

    #[test]
    fn names_of_propagators() {
        for (text, expected) in [
            ("tracecontext,baggage", r#""tracecontext""#),
            ("b3 b3multi, tracecontext,b3", r#""b3,b3multi,tracecontext""#),
            ("none", r#""""#),
            ("tracecontex", "nearest tracecontext"),
            ("xray", "rejected"),
        ] {
            assert_eq!(show(propagators(text)), expected, "{text}");
        }
    }
}
