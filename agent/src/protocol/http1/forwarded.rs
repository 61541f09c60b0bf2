//! Who asked, as proxies tell it: the first hop of `Forwarded` (RFC 7239) or of `X-Forwarded-For`.

use std::net::IpAddr;

use crate::trace::context::Fields;

/// Bytes of the longest name of a client; an IPv6 address has 45 at the most.
const MAX_CLIENT: usize = 64;

/// The client's address without port, brackets and quotes, or the word that stands for it (RFC 7239 §6.3).
///
/// Bias: believes what the request says, as the conventions do for `client.address`. Nothing else of its text passes.
pub fn client<'a>(fields: &Fields<'a>) -> Option<&'a [u8]> {
    let first = first_element(fields.forwarded);
    let forwarded = parameters(first).find_map(|parameter| {
        let (name, value) = parameter.split_at_checked(memchr::memchr(b'=', parameter)?)?;
        name.trim_ascii().eq_ignore_ascii_case(b"for").then(|| node(value.get(1..)?))
    });
    forwarded.flatten().or_else(|| node(first_element(fields.x_forwarded_for)))
}

/// What stands before the first comma outside quotes.
fn first_element(list: &[u8]) -> &[u8] {
    list.get(..end(list, b',')).unwrap_or_default()
}

/// What stands between semicolons outside quotes.
fn parameters(element: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(element);
    std::iter::from_fn(move || {
        let (parameter, behind) = rest?.split_at_checked(end(rest?, b';'))?;
        rest = behind.get(1..);
        Some(parameter)
    })
}

/// Where `separator` stands outside quotes, or the end.
fn end(text: &[u8], separator: u8) -> usize {
    let mut quoted = false;
    let found = text.iter().position(|byte| {
        quoted ^= *byte == b'"';
        *byte == separator && !quoted
    });
    found.unwrap_or(text.len())
}

/// An address or an obfuscated identifier, with or without a port (RFC 7239 §6); `unknown` tells of nobody.
fn node(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    let value = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
    let name = match value {
        [b'[', rest @ ..] => rest.get(..memchr::memchr(b']', rest)?)?,
        // More than one colon are those of an address.
        _ => match memchr::memchr(b':', value) {
            Some(colon) if memchr::memrchr(b':', value) == Some(colon) => value.get(..colon)?,
            _ => value,
        },
    };
    let is_word =
        |word: &[u8]| word.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    let valid = match name {
        [b'_', word @ ..] => !word.is_empty() && is_word(word),
        address => std::str::from_utf8(address).is_ok_and(|text| text.parse::<IpAddr>().is_ok()),
    };
    (valid && name.len() <= MAX_CLIENT).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hop_is_the_client() {
        let long = format!("_{}", "a".repeat(63));
        let too_long = format!("_{}", "a".repeat(64));
        for (forwarded, x_forwarded_for, expected) in [
            ("", "", ""),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "", "192.0.2.60"),
            ("proto=http; FOR=192.0.2.60", "10.0.0.1", "192.0.2.60"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "", "2001:db8:cafe::17"),
            ("for=\"[2001:db8:cafe::17]\", for=192.0.2.1", "", "2001:db8:cafe::17"),
            ("for=\"192.0.2.43:47011\"", "", "192.0.2.43"),
            ("for=192.0.2.43, for=198.51.100.17", "", "192.0.2.43"),
            ("for=_gazonk", "", "_gazonk"),
            ("for=\"_SEVKISEK:_port\"", "", "_SEVKISEK"),
            ("ext=\"a;for=1.1.1.1,b\";for=2.2.2.2", "", "2.2.2.2"),
            ("for=unknown", "", ""),
            ("for=unknown", "10.0.0.1", "10.0.0.1"),
            ("proto=https, for=192.0.2.1", "", ""),
            ("for=example.org", "", ""),
            ("for=\"<script>\"", "", ""),
            ("for=_<script>", "", ""),
            ("for=_", "", ""),
            ("for=", "", ""),
            ("for", "", ""),
            ("for=\"", "", ""),
            ("", "203.0.113.195, 2001:db8:85a3::1, 198.51.100.178", "203.0.113.195"),
            ("", "2001:db8:85a3:8d3:1319:8a2e:370:7348", "2001:db8:85a3:8d3:1319:8a2e:370:7348"),
            ("", "[2001:db8::1]:1234", "2001:db8::1"),
            ("", " 203.0.113.195:8080 ", "203.0.113.195"),
            ("", "::ffff:10.0.0.1", "::ffff:10.0.0.1"),
            ("", "fe80::1%eth0", ""),
            ("", "[::1", ""),
            ("", "999.0.0.1", ""),
            ("", "localhost", ""),
            ("", "unknown, 10.0.0.1", ""),
            ("", ", 10.0.0.1", ""),
            ("", &long, &long),
            ("", &too_long, ""),
        ] {
            let fields = Fields {
                forwarded: forwarded.as_bytes(),
                x_forwarded_for: x_forwarded_for.as_bytes(),
                ..Fields::default()
            };
            let found = client(&fields).unwrap_or_default();
            assert_eq!(String::from_utf8_lossy(found), expected, "{forwarded:?} {x_forwarded_for:?}");
        }
    }
}
