//! `uber-trace-id` (Jaeger's client libraries, "Propagation Format").

use super::{Carried, hex, ids};

const SAMPLED: u128 = 0x01;
const DEBUG: u128 = 0x02;

/// Reads `{trace}:{span}:{parent}:{flags}`, URL-encoded or not; zeros in front may be missing. The parent, of no use
/// to anybody, is only passed over.
pub(super) fn parse(value: &[u8]) -> Option<Carried> {
    let (trace, rest) = split(value.trim_ascii())?;
    let (span, rest) = split(rest)?;
    let (parent, flags) = split(rest)?;
    if parent.len() > 16 || !parent.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let flags = hex::number(flags, 2)?;
    let ids = ids(hex::number(trace, 32)?, hex::half(span)?)?;
    Some(Carried { ids: Some(ids), sampled: Some(flags & (SAMPLED | DEBUG) != 0), random: false })
}

/// What stands before the first colon, and after it.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr2(b':', b'%', text)?;
    let part = text.get(..at)?;
    match text.get(at..)? {
        [b':', rest @ ..] | [b'%', b'3', b'A' | b'a', rest @ ..] => Some((part, rest)),
        _ => None,
    }
}
