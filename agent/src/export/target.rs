//! The four forms of a request target (RFC 9112 §3.2), taken apart.

use crate::exchange::Method;

/// A request target's path and query as sent, without credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target<'a> {
    /// `url.path`; `None` for an authority-form, which has none.
    pub path: Option<&'a [u8]>,
    /// `url.query`, without the question mark; not redacted yet.
    pub query: Option<&'a [u8]>,
}

impl<'a> Target<'a> {
    /// Takes `target` apart. What is none of the four forms is a path: it is what the client asked for.
    #[must_use]
    pub fn parse(method: Method, target: &'a [u8]) -> Self {
        if target.is_empty() || method == Method::Connect {
            return Self::default();
        }
        let origin = match after_scheme(target) {
            None => target,
            Some(rest) => {
                // The authority, where credentials may be, is left out.
                let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
                rest.get(end.unwrap_or(rest.len())..).unwrap_or_default()
            }
        };
        let (path, query) = match origin.iter().position(|byte| *byte == b'?') {
            Some(mark) => (origin.get(..mark).unwrap_or_default(), origin.get(mark + 1..)),
            None => (origin, None),
        };
        let path = match (path, method, query) {
            // RFC 9112 §3.2.4: what the last proxy makes of an OPTIONS without a path.
            (b"", Method::Options, None) => b"*",
            // RFC 9110 §4.2.3: an empty path is the same as this.
            (b"", _, _) => b"/",
            _ => path,
        };
        Self { path: Some(path), query }
    }
}

/// What follows the `scheme://` of an absolute-form (RFC 3986 §3.1).
fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    let colon = target.iter().position(|byte| *byte == b':')?;
    let (scheme, rest) = target.split_at(colon);
    let valid = scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let starts = scheme.first().is_some_and(u8::is_ascii_alphabetic);
    (valid && starts).then(|| rest.strip_prefix(b"://")).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form() {
        for (method, target, path, query) in [
            (Method::Get, "/", Some("/"), None),
            (Method::Get, "/a/b?c=d&e", Some("/a/b"), Some("c=d&e")),
            (Method::Get, "/a?", Some("/a"), Some("")),
            (Method::Get, "/a?b?c", Some("/a"), Some("b?c")),
            (Method::Get, "/a://b", Some("/a://b"), None),
            (Method::Get, "http://example", Some("/"), None),
            (Method::Get, "http://example?a", Some("/"), Some("a")),
            (Method::Get, "http://user:secret@example:81/a?b=c", Some("/a"), Some("b=c")),
            (Method::Get, "HTTP://example/a", Some("/a"), None),
            (Method::Get, "http://user:se", Some("/"), None),
            (Method::Options, "*", Some("*"), None),
            (Method::Options, "http://example", Some("*"), None),
            (Method::Options, "http://example/", Some("/"), None),
            (Method::Connect, "example:443", None, None),
            (Method::Get, "", None, None),
            (Method::Get, "a", Some("a"), None),
            (Method::Get, "?a=b", Some("/"), Some("a=b")),
            (Method::Other, "1http://a/b", Some("1http://a/b"), None),
        ] {
            let expected = Target { path: path.map(str::as_bytes), query: query.map(str::as_bytes) };
            assert_eq!(Target::parse(method, target.as_bytes()), expected, "{target:?}");
        }
    }
}
