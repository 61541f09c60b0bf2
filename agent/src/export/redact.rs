//! What a query, and an address in a header field, must not give away: the values of keys that the HTTP conventions call sensitive,
//! and credentials.

use std::{borrow::Cow, ops::Range};

use crate::{identity::select::QueryKeys, semconv::REDACTED};

/// The pieces of `query`, in order, with each sensitive value as [`REDACTED`]. Their bytes are those of the query but for
/// the values: `sig=abc&a=b` gives `sig=`, `REDACTED`, `&`, `a=b`.
///
/// Bias: rather too much is hidden than too little. A key counts as sensitive with its characters percent-encoded,
/// too, and one after a `;` hides all up to the next `&`, since servers differ in whether `;` separates.
pub fn query<'a>(query: &'a [u8], keys: &'a QueryKeys) -> impl Iterator<Item = &'a [u8]> {
    let pairs = query.split(|byte| *byte == b'&').enumerate();
    pairs.flat_map(move |(index, pair)| {
        let separator: &[u8] = if index == 0 { b"" } else { b"&" };
        let (shown, hidden): (&[u8], &[u8]) = match value_of_sensitive(pair, keys) {
            Some(value) => (pair.get(..value).unwrap_or_default(), REDACTED),
            None => (pair, b""),
        };
        [separator, shown, hidden].into_iter().filter(|piece| !piece.is_empty())
    })
}

/// The value of a header field, with what an address in it must not give away as [`REDACTED`]: sensitive values of its query and of
/// its fragment, and who is to be let in (`https://user:password@host`).
///
/// Bias: what stands behind a `?` or a `#` is taken for a query, whichever field it is.
#[must_use]
pub fn value<'a>(value: &'a [u8], keys: &QueryKeys) -> Cow<'a, [u8]> {
    let mut parts = value.split_inclusive(|byte| matches!(byte, b'?' | b'#'));
    let before = parts.next().unwrap_or_default();
    let user = user_information(before);
    if user.is_none() && before.len() == value.len() {
        return Cow::Borrowed(value);
    }
    let mut shown = Vec::with_capacity(value.len());
    match user.and_then(|user| before.get(..user.start).zip(before.get(user.end..))) {
        Some((scheme, host)) => {
            [scheme, REDACTED, host].into_iter().for_each(|piece| shown.extend_from_slice(piece))
        }
        None => shown.extend_from_slice(before),
    }
    for part in parts {
        let (text, mark) = match part {
            [text @ .., b'?' | b'#'] => (text, part.get(text.len()..).unwrap_or_default()),
            text => (text, b"".as_slice()),
        };
        query(text, keys).chain([mark]).for_each(|piece| shown.extend_from_slice(piece));
    }
    Cow::Owned(shown)
}

/// Where the user information of an address stands (RFC 3986 §3.2.1).
fn user_information(address: &[u8]) -> Option<Range<usize>> {
    let start = memchr::memmem::find(address, b"//")? + 2;
    let authority = address.get(start..)?;
    let end = memchr::memchr(b'/', authority).unwrap_or(authority.len());
    let at = memchr::memrchr(b'@', authority.get(..end)?)?;
    Some(start..start + at)
}

/// Where the value of the first sensitive key begins.
fn value_of_sensitive(pair: &[u8], keys: &QueryKeys) -> Option<usize> {
    let mut start = 0;
    for parameter in pair.split(|byte| *byte == b';') {
        if let Some(equals) = parameter.iter().position(|byte| *byte == b'=')
            && parameter.get(..equals).is_some_and(|key| keys.contains(decoded(key)))
        {
            return Some(start + equals + 1);
        }
        start += parameter.len() + 1;
    }
    None
}

/// The bytes of percent-encoded text; a `%` without two digits stands for itself.
fn decoded(text: &[u8]) -> impl Iterator<Item = u8> + Clone {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (first, mut after) = rest.split_first()?;
        let mut byte = *first;
        if let ([high, low, tail @ ..], b'%') = (after, first)
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            byte = high << 4 | low;
            after = tail;
        }
        rest = after;
        Some(byte)
    })
}

fn digit(byte: u8) -> Option<u8> {
    u8::try_from(char::from(byte).to_digit(16)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensitive_values_are_replaced() {
        for (text, expected) in [
            ("", ""),
            ("a=b", "a=b"),
            ("sig=abc&a=b", "sig=REDACTED&a=b"),
            ("a=b&sig=abc", "a=b&sig=REDACTED"),
            ("sig=", "sig=REDACTED"),
            ("sig", "sig"),
            ("sig&a", "sig&a"),
            ("sig=a=b", "sig=REDACTED"),
            ("sig=a&sig=b", "sig=REDACTED&sig=REDACTED"),
            ("Sig=a&SIG=b&signature=c", "Sig=a&SIG=b&signature=c"),
            ("xsig=a&sigx=b", "xsig=a&sigx=b"),
            ("Signature=s&AWSAccessKeyId=k&Expires=1", "Signature=REDACTED&AWSAccessKeyId=REDACTED&Expires=1"),
            (
                "X-Amz-Signature=a&X-Amz-Credential=b%2Fc&X-Amz-Security-Token=d&X-Amz-Date=e",
                "X-Amz-Signature=REDACTED&X-Amz-Credential=REDACTED&X-Amz-Security-Token=REDACTED&X-Amz-Date=e",
            ),
            ("X-Goog-Signature=a&X-Goog-Date=b", "X-Goog-Signature=REDACTED&X-Goog-Date=b"),
            ("X%2DAmz%2dSignature=a", "X%2DAmz%2dSignature=REDACTED"),
            ("s%69g=a&s%6=b&%=c", "s%69g=REDACTED&s%6=b&%=c"),
            ("a=b;sig=c;d=e&f=g", "a=b;sig=REDACTED&f=g"),
            ("&&sig=a&&", "&&sig=REDACTED&&"),
            ("=sig", "=sig"),
        ] {
            let redacted = query(text.as_bytes(), &QueryKeys::default()).collect::<Vec<_>>().concat();
            assert_eq!(String::from_utf8_lossy(&redacted), expected, "{text}");
        }
    }

    #[test]
    fn addresses_in_values_give_nothing_away() {
        for (text, expected) in [
            ("", ""),
            ("abc", "abc"),
            ("sig=abc", "sig=abc"),
            ("https://a/b?c=d", "https://a/b?c=d"),
            ("https://a/b?sig=secret&c=d", "https://a/b?sig=REDACTED&c=d"),
            ("/b?c=d#sig=secret", "/b?c=d#sig=REDACTED"),
            ("/b?sig=secret#c", "/b?sig=REDACTED#c"),
            ("/b??sig=secret", "/b??sig=REDACTED"),
            ("https://u:secret@a/b", "https://REDACTED@a/b"),
            ("https://u:secret@x@a?sig=secret", "https://REDACTED@a?sig=REDACTED"),
            ("//secret@a", "//REDACTED@a"),
            ("https://a/b@c", "https://a/b@c"),
            ("me@example", "me@example"),
            ("?", "?"),
            ("0; url=https://a/?sig=secret", "0; url=https://a/?sig=REDACTED"),
        ] {
            let shown = value(text.as_bytes(), &QueryKeys::default());
            assert_eq!(String::from_utf8_lossy(&shown), expected, "{text}");
        }
    }
}
