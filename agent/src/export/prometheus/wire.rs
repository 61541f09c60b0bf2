//! Protocol buffers, written in one pass and without a message in memory: a page of ten thousand histograms has a million
//! fields.

use std::iter;

use prost::encoding::encoded_len_varint;

/// How a field is written (Protocol Buffers, "Encoding: message structure"): a number in as many bytes as it needs.
const VARINT: u64 = 0;
/// Eight bytes.
const SIXTY_FOUR_BITS: u64 = 1;
/// A length, and so many bytes.
const LENGTH_DELIMITED: u64 = 2;

/// Appends a `uint32`, a `uint64` or an `enum`.
pub fn unsigned(field: u32, value: u64, bytes: &mut Vec<u8>) {
    key(field, VARINT, bytes);
    varint(value, bytes);
}

/// Appends an `sint32` or an `sint64`.
pub fn signed(field: u32, value: i64, bytes: &mut Vec<u8>) {
    unsigned(field, zigzag(value), bytes);
}

/// Appends a `double`.
pub fn double(field: u32, value: f64, bytes: &mut Vec<u8>) {
    key(field, SIXTY_FOUR_BITS, bytes);
    bytes.extend_from_slice(&value.to_le_bytes());
}

/// Appends a `string`.
pub fn string(field: u32, value: &str, bytes: &mut Vec<u8>) {
    key(field, LENGTH_DELIMITED, bytes);
    varint(length(value.len()), bytes);
    bytes.extend_from_slice(value.as_bytes());
}

/// Appends a `repeated sint64`, packed.
pub fn packed(field: u32, values: &[i64], bytes: &mut Vec<u8>) {
    message(field, bytes, |bytes| values.iter().for_each(|value| varint(zigzag(*value), bytes)));
}

/// Appends a message with what `write` appends. Its length comes before it and is known after it: there is room for a
/// short one, and a longer one makes more.
pub fn message(field: u32, bytes: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    key(field, LENGTH_DELIMITED, bytes);
    let start = bytes.len();
    bytes.push(0);
    write(bytes);
    let end = bytes.len();
    let written = length(end - start - 1);
    let room = encoded_len_varint(written);
    if room > 1 {
        bytes.resize(end + room - 1, 0);
        bytes.copy_within(start + 1..end, start + room);
    }
    for (byte, place) in digits(written).zip(bytes.iter_mut().skip(start)) {
        *place = byte;
    }
}

fn key(field: u32, kind: u64, bytes: &mut Vec<u8>) {
    varint(u64::from(field) << 3 | kind, bytes);
}

/// Appends a number, in as many bytes as it needs.
pub fn varint(value: u64, bytes: &mut Vec<u8>) {
    match u8::try_from(value) {
        Ok(short) if short < 0x80 => bytes.push(short),
        _ => bytes.extend(digits(value)),
    }
}

/// A number by seven bits, the lowest first, each byte but the last marked.
fn digits(value: u64) -> impl Iterator<Item = u8> {
    let mut rest = Some(value);
    iter::from_fn(move || {
        let value = rest?;
        let [low, ..] = value.to_le_bytes();
        rest = Some(value >> 7).filter(|rest| *rest > 0);
        Some(if rest.is_some() { low | 0x80 } else { low })
    })
}

/// A length as it is written.
#[must_use]
pub fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Small numbers of either sign as small ones (Protocol Buffers, "Encoding: signed integers").
const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}
