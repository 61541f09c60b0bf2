//! Which header fields are kept of messages: those asked for by name, and no others.

use std::sync::Arc;

use crate::{
    config::value::{Rejected, nearest},
    semconv::REDACTED,
};

/// A field whose name has one of these in it carries what lets others in, as far as its name tells. The bias: rather too
/// much is hidden than too little.
const SECRETS: [&str; 15] = [
    "access-key",
    "api-key",
    "api_key",
    "apikey",
    "assertion",
    "auth-key",
    "authorization",
    "cookie",
    "credential",
    "jwt",
    "password",
    "secret",
    "session",
    "signature",
    "token",
];

/// The header fields that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    request: Vec<Header>,
    response: Vec<Header>,
}

/// A header field that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    name: Arc<str>,
    is_redacted: bool,
}

impl Headers {
    /// Most that may be asked for: each is compared with every field of a message.
    pub const MOST: usize = 128;

    /// Reads a list of names, with commas or spaces between them: `x-request-id` is kept of requests and responses,
    /// `request:x-request-id` and `response:cache-control` of these alone. Of a field that carries secrets by its name, such
    /// as `authorization`, it is kept that it was there, and [`REDACTED`] for its value, unless an exclamation mark stands
    /// after its name: `x-csrf-token!`. Of a name that is there twice the first counts.
    ///
    /// # Errors
    /// If one is no name of a header field (RFC 9110 §5.1); if there are more than 128.
    pub fn parse(text: &str) -> Result<Self, Rejected> {
        let mut headers = Self::default();
        for item in text.split([',', ' ', '\n', '\t']).filter(|item| !item.is_empty()) {
            let (sides, name) = match item.split_once(':') {
                None => ([true, true], item),
                Some(("request", name)) => ([true, false], name),
                Some(("response", name)) => ([false, true], name),
                Some((other, name)) => {
                    let rejected = Rejected::expected(format!("request: or response: instead of {other:?}"));
                    return Err(match nearest(other, ["request", "response"]) {
                        Some(side) => rejected.nearest(format!("{side}:{name}")),
                        None => rejected,
                    });
                }
            };
            let header = Header::read(name)?;
            for (side, is_meant) in [&mut headers.request, &mut headers.response].into_iter().zip(sides) {
                if is_meant && side.iter().all(|other| other.name != header.name) {
                    side.push(header.clone());
                }
            }
        }
        if headers.request.len().max(headers.response.len()) > Self::MOST {
            return Err(Rejected::expected(format!("at most {} header fields", Self::MOST)));
        }
        Ok(headers)
    }

    /// Whether none is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.request.is_empty() && self.response.is_empty()
    }

    /// The one of requests with this name, in any case, if it is kept.
    #[must_use]
    pub fn request(&self, name: &[u8]) -> Option<&Header> {
        find(&self.request, name)
    }

    /// Likewise of responses.
    #[must_use]
    pub fn response(&self, name: &[u8]) -> Option<&Header> {
        find(&self.response, name)
    }
}

fn find<'a>(headers: &'a [Header], name: &[u8]) -> Option<&'a Header> {
    headers.iter().find(|header| header.name.as_bytes().eq_ignore_ascii_case(name))
}

impl Header {
    fn read(text: &str) -> Result<Self, Rejected> {
        let (name, is_forced) = match text.strip_suffix('!') {
            Some(name) => (name, true),
            None => (text, false),
        };
        if name.is_empty() || !name.bytes().all(is_of_name) {
            let expected = "whole names of header fields such as x-request-id or response:cache-control";
            return Err(Rejected::expected(format!("{expected} instead of {text:?}")));
        }
        let name = name.to_ascii_lowercase();
        let is_redacted = !is_forced && SECRETS.iter().any(|secret| name.contains(secret));
        Ok(Self { name: name.into(), is_redacted })
    }

    /// Its name in lower case, as in `http.request.header.NAME`.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What is kept of a value.
    #[must_use]
    pub const fn value<'a>(&self, value: &'a [u8]) -> &'a [u8] {
        if self.is_redacted { REDACTED } else { value }
    }
}

/// What tokens are made of (RFC 9110 §5.6.2), but for `*`: whoever writes it means more than one field.
const fn is_of_name(byte: u8) -> bool {
    let is_mark = matches!(
        byte,
        b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
    );
    byte.is_ascii_alphanumeric() || is_mark
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is kept of `value` of the field `name` in requests and in responses.
    fn kept(list: &str, name: &str) -> [Option<String>; 2] {
        let headers = Headers::parse(list).unwrap();
        let name = name.as_bytes();
        [headers.request(name), headers.response(name)].map(|header| {
            let header = header?;
            Some(format!("{}: {}", header.name(), String::from_utf8_lossy(header.value(b"value"))))
        })
    }

    #[test]
    fn what_is_kept() {
        for (list, name, request, response) in [
            ("", "x-request-id", None, None),
            ("X-Request-ID", "x-request-id", Some("x-request-id: value"), Some("x-request-id: value")),
            ("x-request-id", "X-REQUEST-ID", Some("x-request-id: value"), Some("x-request-id: value")),
            ("x-request-id", "x-request", None, None),
            ("request:x-a, response:x-b", "x-a", Some("x-a: value"), None),
            ("request:x-a,response:x-b", "x-b", None, Some("x-b: value")),
            ("request:x-a\nresponse:x-a", "x-a", Some("x-a: value"), Some("x-a: value")),
            ("request:Authorization", "authorization", Some("authorization: REDACTED"), None),
            ("request:authorization!", "authorization", Some("authorization: value"), None),
            ("x-a!", "x-a", Some("x-a: value"), Some("x-a: value")),
            (
                "authorization response:authorization!",
                "authorization",
                Some("authorization: REDACTED"),
                Some("authorization: REDACTED"),
            ),
            (
                "response:authorization! authorization",
                "authorization",
                Some("authorization: REDACTED"),
                Some("authorization: value"),
            ),
        ] {
            assert_eq!(kept(list, name), [request, response].map(|text| text.map(str::to_owned)), "{list} {name}");
        }
    }

    #[test]
    fn what_lets_others_in_is_hidden() {
        for (name, is_hidden) in [
            ("authorization", true),
            ("proxy-authorization", true),
            ("cookie", true),
            ("set-cookie", true),
            ("x-api-key", true),
            ("apikey", true),
            ("x-auth-token", true),
            ("x-amz-security-token", true),
            ("x-csrf-token", true),
            ("x-goog-iap-jwt-assertion", true),
            ("x-hub-signature-256", true),
            ("x-session-id", true),
            ("x-request-id", false),
            ("x-forwarded-for", false),
            ("cache-control", false),
            ("idempotency-key", false),
            ("www-authenticate", false),
            ("traceparent", false),
        ] {
            let [request, _] = kept(name, name);
            assert_eq!(request.is_some_and(|text| text.ends_with("REDACTED")), is_hidden, "{name}");
        }
    }

    #[test]
    fn what_is_no_list() {
        let names = "whole names of header fields such as x-request-id or response:cache-control instead of ";
        for (list, expected, nearest) in [
            ("x-*", format!(r#"{names}"x-*""#), None),
            ("a(b)", format!(r#"{names}"a(b)""#), None),
            ("request:", format!(r#"{names}"""#), None),
            ("!", format!(r#"{names}"!""#), None),
            ("größe", format!(r#"{names}"größe""#), None),
            ("x-a:x-b", r#"request: or response: instead of "x-a""#.to_owned(), None),
            ("requests:x-b", r#"request: or response: instead of "requests""#.to_owned(), Some("request:x-b")),
        ] {
            let rejected = Headers::parse(list).unwrap_err();
            assert_eq!((rejected.expected, rejected.nearest.as_deref()), (expected, nearest), "{list}");
        }
        let many: String = (0..=Headers::MOST).map(|number| format!("x-{number},")).collect();
        assert_eq!(Headers::parse(&many).unwrap_err().expected, "at most 128 header fields");
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in ".{0,60}", name in prop::collection::vec(any::<u8>(), 0..20)) {
            if let Ok(headers) = Headers::parse(&text) {
                let _ = headers.request(&name);
            }
        }
    }
}
