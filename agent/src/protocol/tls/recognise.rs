//! Telling TLS from other protocols by its first bytes.

use crate::protocol::Recognition;

/// The longest record in the clear (RFC 8446 §5.1).
const MAX_PLAINTEXT: u16 = 1 << 14;

/// The shortest body of a `ClientHello`: version, random, no session, one cipher suite, one compression method.
const MIN_HELLO: u16 = 2 + 32 + 1 + 4 + 2;

/// Whether a direction begins with a record that begins a `ClientHello`.
///
/// A request if it does, whatever follows; never a response. The form of SSL 2.0 (RFC 5246 appendix E.2) is not
/// recognised: nothing has sent it for long, and its two bytes before the type could be anything.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Recognition {
    const HANDSHAKE: u8 = 22;
    let length = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    // Each byte, and what stood before it, as far as the record reaches.
    let agrees = |place: usize, byte: u8| match (place, bytes) {
        (0, _) => byte == HANDSHAKE,
        (1 | 9, _) => byte == 3,
        (2 | 10, _) => byte <= 4,
        (3, _) => length(byte, 0) <= MAX_PLAINTEXT,
        (4, [_, _, _, high, ..]) => (1..=MAX_PLAINTEXT).contains(&length(*high, byte)),
        (5, _) => byte == super::record::kind::CLIENT_HELLO,
        // Longer than 64 KiB.
        (6, _) => byte == 0,
        (8, [_, _, _, _, _, _, _, high, ..]) => length(*high, byte) >= MIN_HELLO,
        _ => true,
    };
    let in_record = match bytes {
        [_, _, _, high, low, ..] => usize::from(length(*high, *low)),
        _ => usize::MAX,
    };
    let known = LOOKED_AT.min(in_record.saturating_add(RECORD_HEADER));
    if !bytes.iter().take(known).enumerate().all(|(place, byte)| agrees(place, *byte)) {
        return Recognition::No;
    }
    if bytes.len() < known { Recognition::NeedMore } else { Recognition::Request }
}

const RECORD_HEADER: usize = 5;

/// Record header, message header and version.
const LOOKED_AT: usize = RECORD_HEADER + 4 + 2;
