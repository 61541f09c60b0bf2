//! What a process says of itself in its environment, by OpenTelemetry's variables.

use std::borrow::Cow;

use super::service::{MAX_SERVICE_NAME, cut};

/// Attributes kept of one process, and the longest key and value in bytes: they come from strangers.
const MAX_ATTRIBUTES: usize = 32;
const MAX_KEY: usize = 128;

/// What an environment says of the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// `OTEL_SERVICE_NAME`, else `service.name` within `OTEL_RESOURCE_ATTRIBUTES`.
    pub name: Option<String>,
    /// The other attributes of `OTEL_RESOURCE_ATTRIBUTES`, no key twice, no value empty.
    pub attributes: Vec<(String, String)>,
}

impl Declared {
    /// Reads an environment (`NAME=value`, each ended by NUL, as in `/proc/PID/environ`).
    ///
    /// OpenTelemetry specification, general SDK configuration and resource SDK; an empty value is as good as none, and of a
    /// variable that occurs twice the first counts, as for getenv(3). A last variable without its NUL was cut and does not count.
    #[must_use]
    pub fn read(environment: &[u8]) -> Self {
        let mut service_name = None;
        let mut list = None;
        for variable in environment.split_inclusive(|&byte| byte == 0) {
            let Some(variable) = variable.strip_suffix(&[0]) else { continue };
            if let Some(value) = variable.strip_prefix(b"OTEL_SERVICE_NAME=") {
                service_name = service_name.or(Some(value));
            } else if let Some(value) = variable.strip_prefix(b"OTEL_RESOURCE_ATTRIBUTES=") {
                list = list.or(Some(value));
            }
        }
        let direct = service_name.map(|value| String::from_utf8_lossy(value).trim().to_owned());
        let listed = list.and_then(|list| attributes(std::str::from_utf8(list).ok()?)).unwrap_or_default();
        let mut declared = Self { name: direct.filter(|name| !name.is_empty()), attributes: Vec::new() };
        let mut named = None;
        // Of a key that occurs twice the last counts.
        for (key, value) in listed.into_iter().filter(|(key, _)| key.len() <= MAX_KEY) {
            let value = cut(&value, MAX_SERVICE_NAME).to_owned();
            if key == "service.name" {
                named = Some(value);
                continue;
            }
            declared.attributes.retain(|(known, _)| *known != key);
            if !value.is_empty() && declared.attributes.len() < MAX_ATTRIBUTES {
                declared.attributes.push((key, value));
            }
        }
        declared.name = declared.name.or(named.filter(|name| !name.is_empty()));
        declared
    }

    /// The value of an attribute.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str())
    }
}

/// The pairs of an `OTEL_RESOURCE_ATTRIBUTES` value: `key=value` between commas, keys and values percent-encoded. As the
/// specification wants it, an error anywhere discards the whole value: `None`.
#[must_use]
pub fn attributes(list: &str) -> Option<Vec<(String, String)>> {
    let members = list.split(',').map(str::trim).filter(|member| !member.is_empty());
    let pair = |member: &str| {
        let (key, value) = member.split_once('=')?;
        let (key, value) = (percent_decode(key.trim())?, percent_decode(value.trim())?);
        (!key.is_empty()).then(|| (key.into_owned(), value.into_owned()))
    };
    members.map(pair).collect()
}

/// Percent-decoding (RFC 3986 §2.1) that refuses what is malformed or not UTF-8.
fn percent_decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (digits, tail) = rest.split_first_chunk::<2>()?;
        decoded.push(hex_digit(digits[0])? << 4 | hex_digit(digits[1])?);
        rest = tail;
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_name_services() {
        for (environment, expected) in [
            ("", None),
            ("PATH=/bin\0HOME=/\0", None),
            ("OTEL_SERVICE_NAME=cart\0", Some("cart")),
            ("OTEL_SERVICE_NAME= cart \0", Some("cart")),
            ("OTEL_SERVICE_NAME=a%20b\0", Some("a%20b")),
            ("OTEL_SERVICE_NAME=first\0OTEL_SERVICE_NAME=second\0", Some("first")),
            ("OTEL_SERVICE_NAME=\0OTEL_RESOURCE_ATTRIBUTES=service.name=b\0", Some("b")),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=b\0OTEL_SERVICE_NAME=a\0", Some("a")),
            ("OTEL_RESOURCE_ATTRIBUTES=a=1,service.name=cart,b=2\0", Some("cart")),
            ("OTEL_RESOURCE_ATTRIBUTES= a = 1 , service.name = cart ,\0", Some("cart")),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=a%2Cb%3dc%20d\0", Some("a,b=c d")),
            ("OTEL_RESOURCE_ATTRIBUTES=service%2Ename=x\0", Some("x")),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=a=b\0", Some("a=b")),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=a,service.name=b\0", Some("b")),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=%C3%A9t%C3%A9\0", Some("été")),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=\0", None),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=a,b\0", None),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=a,b=%\0", None),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=a%2\0", None),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=a%zz\0", None),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=%ff\0", None),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name.x=a\0", None),
            ("XOTEL_SERVICE_NAME=a\0", None),
            ("OTEL_SERVICE_NAME=cut", None),
            ("A=1\0OTEL_SERVICE_NAME=cut", None),
        ] {
            assert_eq!(Declared::read(environment.as_bytes()).name.as_deref(), expected, "{environment:?}");
        }
    }

    #[test]
    fn environments_tell_more_than_names() {
        for (list, expected) in [
            ("", ""),
            ("service.name=a", ""),
            ("service.namespace=shop,service.version=1.2", "service.namespace=shop service.version=1.2"),
            ("a=1,a=2,b=", "a=2"),
            ("a=%41%2c", "a=A,"),
            ("a=1,b", ""),
            ("=1", ""),
        ] {
            let declared = Declared::read(format!("OTEL_RESOURCE_ATTRIBUTES={list}\0").as_bytes());
            let pairs: Vec<_> = declared.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
            assert_eq!(pairs.join(" "), expected, "{list}");
        }
        let long = format!("OTEL_RESOURCE_ATTRIBUTES={}=1,b={}\0", "k".repeat(200), "v".repeat(1000));
        let declared = Declared::read(long.as_bytes());
        assert_eq!(declared.attributes.len(), 1);
        assert_eq!(declared.get("b").map(str::len), Some(MAX_SERVICE_NAME));
        let many: Vec<_> = (0..100).map(|number| format!("k{number}=1")).collect();
        let many = format!("OTEL_RESOURCE_ATTRIBUTES={}\0", many.join(","));
        assert_eq!(Declared::read(many.as_bytes()).attributes.len(), MAX_ATTRIBUTES);
    }
}
