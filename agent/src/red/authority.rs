//! The authority of a request (RFC 9110 §7.2): the host and port that the client meant to reach.

/// Port of an `http` authority that names none (RFC 9110 §4.2.1).
pub const DEFAULT_PORT: u16 = 80;

/// The longest host taken: that of a domain name (RFC 1035 §2.3.4), with room for its dots.
const LONGEST_HOST: usize = 255;

/// A host and its port, credentials left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// Registered name or address literal as sent, an IPv6 address without its brackets.
    pub host: &'a str,
    /// Port, if one is named.
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `[userinfo@]host[:port]` (RFC 3986 §3.2). `None` if it names no host, or is none that a client would send:
    /// better no name than one made of foreign bytes.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let text = str::from_utf8(bytes).ok()?.trim_ascii();
        let text = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
        let (host, rest) = match text.strip_prefix('[') {
            Some(literal) => literal.split_once(']')?,
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match rest {
            "" | ":" => None,
            named => Some(port(named.strip_prefix(':')?)?),
        };
        let bracketed = text.starts_with('[');
        let valid = host.bytes().all(|byte| is_host_byte(byte) || (bracketed && byte == b':'));
        (valid && !host.is_empty() && host.len() <= LONGEST_HOST).then_some(Self { host, port })
    }

    /// The port, or that of the scheme.
    #[must_use]
    pub fn port_or_default(self) -> u16 {
        self.port.unwrap_or(DEFAULT_PORT)
    }
}

/// Digits only: `u16::from_str` would take a sign.
fn port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// `unreserved / pct-encoded / sub-delims` of RFC 3986 §3.2.2.
const fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&'..=b',' | b';' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for (text, expected) in [
            ("example", Some(("example", None))),
            ("Example.COM:8080", Some(("Example.COM", Some(8080)))),
            (" example:80 ", Some(("example", Some(80)))),
            ("example:", Some(("example", None))),
            ("127.0.0.1:1", Some(("127.0.0.1", Some(1)))),
            ("[::1]", Some(("::1", None))),
            ("[2001:db8::a]:443", Some(("2001:db8::a", Some(443)))),
            ("user:secret@example:81", Some(("example", Some(81)))),
            ("a@b@[::1]:82", Some(("::1", Some(82)))),
            ("xn--bcher-kva.example", Some(("xn--bcher-kva.example", None))),
            ("", None),
            (":80", None),
            ("[]", None),
            ("[::1", None),
            ("[::1]80", None),
            ("::1", None),
            ("example:65536", None),
            ("example:+80", None),
            ("example:80x", None),
            ("exa mple", None),
            ("exa\u{0}mple", None),
            ("bücher.example", None),
            ("a/b", None),
        ] {
            let expected = expected.map(|(host, port)| Authority { host, port });
            assert_eq!(Authority::parse(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(Authority::parse(b"\xff"), None);
        assert_eq!(Authority::parse("h".repeat(LONGEST_HOST + 1).as_bytes()), None);
    }
}
