//! Variables as texts, and what they mean.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use hyper::{
    HeaderMap, Uri,
    header::{HeaderName, HeaderValue},
};

use super::{Protocol, Signal, Warning};

/// Most that a number may be, and in milliseconds most that a time may be: far above all that makes sense (292 million
/// years), and far below what overflows.
const MAX_NUMBER: u64 = 1 << 53;

/// All variables, and what was found wrong with those that were looked at.
pub(super) struct Variables {
    texts: BTreeMap<String, String>,
    warnings: Vec<Warning>,
}

impl Variables {
    pub(super) fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let ours = variables.into_iter().filter(|(name, _)| name.starts_with("OTEL_"));
        Self { texts: ours.collect(), warnings: Vec::new() }
    }

    /// Each warning once: a variable of all signals is looked at for each.
    pub(super) fn into_warnings(self) -> Vec<Warning> {
        self.warnings
    }

    pub(super) fn warn(&mut self, variable: &str, message: String) {
        let warning = Warning { variable: variable.to_owned(), message };
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// The text of a variable; an empty one is none.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// What `read` makes of a signal's own variable or, failing that, of the one of all signals.
    pub(super) fn of_signal<T>(
        &mut self,
        signal: Signal,
        suffix: &str,
        read: impl Fn(&mut Self, &str) -> Option<T>,
    ) -> Option<T> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{suffix}", signal.variable());
        let all = format!("OTEL_EXPORTER_OTLP_{suffix}");
        [own, all].iter().find_map(|name| self.text(name).is_some().then(|| read(self, name)).flatten())
    }

    /// What `read` makes of a variable; if nothing, `expected` is said.
    fn parsed<T>(&mut self, name: &str, expected: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = read(self.text(name)?);
        if value.is_none() {
            self.warn(name, format!("not {expected}; it is ignored"));
        }
        value
    }

    /// `true`, or anything else for false.
    pub(super) fn switch(&mut self, name: &str) -> bool {
        let value = self.parsed(name, "true or false", |text| match text.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        });
        value.unwrap_or(false)
    }

    pub(super) fn number(&mut self, name: &str) -> Option<u64> {
        self.parsed(name, "a whole number", |text| text.parse().ok().filter(|number| *number <= MAX_NUMBER))
    }

    pub(super) fn positive(&mut self, name: &str) -> Option<u64> {
        let read = |text: &str| text.parse().ok().filter(|number| (1..=MAX_NUMBER).contains(number));
        self.parsed(name, "a whole number above zero", read)
    }

    pub(super) fn milliseconds(&mut self, name: &str) -> Option<Duration> {
        self.number(name).map(Duration::from_millis)
    }

    pub(super) fn path(&mut self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    /// One of a few words, in any case.
    pub(super) fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let expected = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        self.parsed(name, &format!("one of {expected}"), |text| {
            words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value)
        })
    }

    /// An absolute URL; for gRPC the scheme may be missing and is `scheme` then.
    pub(super) fn endpoint(&mut self, name: &str, protocol: Protocol, scheme: &str) -> Option<Uri> {
        let expected = "an http or https url without credentials";
        self.parsed(name, expected, |text| {
            let with_scheme = format!("{scheme}://{text}");
            let whole = protocol != Protocol::Grpc || text.contains("://");
            let uri: Uri = if whole { text } else { &with_scheme }.parse().ok()?;
            let authority = uri.authority()?;
            let port = authority.as_str() == authority.host() || authority.port_u16().is_some();
            let valid = port && !authority.host().is_empty() && !authority.as_str().contains('@');
            (valid && matches!(uri.scheme_str(), Some("http" | "https"))).then_some(uri)
        })
    }

    /// `key=value,…` as W3C Baggage has it, values percent-encoded. A pair that is none is left out.
    pub(super) fn headers(&mut self, name: &str) -> Option<HeaderMap> {
        let text = self.text(name)?;
        let mut headers = HeaderMap::new();
        let mut broken = 0_u32;
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            match header(pair) {
                Some((key, value)) => drop(headers.append(key, value)),
                None => broken += 1,
            }
        }
        if broken > 0 {
            self.warn(name, format!("{broken} of its entries are no key=value; they are left out"));
        }
        Some(headers)
    }
}

fn header(pair: &str) -> Option<(HeaderName, HeaderValue)> {
    let (key, value) = pair.split_once('=')?;
    let name = HeaderName::from_bytes(&percent_decoded(key.trim())?).ok()?;
    let mut value = HeaderValue::from_bytes(&percent_decoded(value.trim())?).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

/// The bytes of percent-encoded text (RFC 3986 §2.1); `None` if a `%` is not followed by two digits.
fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || u8::try_from(char::from(bytes.next()?).to_digit(16)?).ok();
                digit()? << 4 | digit()?
            }
            plain => plain,
        });
    }
    Some(decoded)
}
