//! Protocol buffers written as they go out (protobuf.dev, "Encoding"): a span of thirty attributes is a hundred small messages,
//! each of which prost would have allocated, and measured once for every message around it.

/// How the value of a field is written.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;
const FIXED32: u32 = 5;

/// Fields of `common.proto`.
const KEY: u32 = 1;
const VALUE: u32 = 2;
const TEXT: u32 = 1;
const TRUTH: u32 = 2;
const INTEGER: u32 = 3;
const DOUBLE: u32 = 4;
const ARRAY: u32 = 5;
const ELEMENT: u32 = 1;

/// A value of an attribute (`AnyValue`).
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// `string_value`
    Text(&'a str),
    /// `int_value`
    Integer(i64),
    /// `double_value`
    Double(f64),
    /// `bool_value`
    Truth(bool),
    /// `array_value` of texts.
    Texts(&'a [&'a str]),
}

/// Appends the fields of one message.
#[derive(Debug)]
pub struct Message<'a> {
    bytes: &'a mut Vec<u8>,
}

impl<'a> Message<'a> {
    /// The message that `bytes` are of so far.
    pub const fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes }
    }

    /// A field of bytes, a text or a message, in `pieces`.
    pub fn pieces(&mut self, number: u32, pieces: &[&[u8]]) {
        self.open(number, pieces.iter().map(|piece| piece.len()).sum());
        pieces.iter().for_each(|piece| self.bytes.extend_from_slice(piece));
    }

    /// The same in one piece; what is empty is left out.
    pub fn text(&mut self, number: u32, text: &[u8]) {
        if !text.is_empty() {
            self.pieces(number, &[text]);
        }
    }

    /// An integer or an enumeration; zero is left out.
    pub fn integer(&mut self, number: u32, value: u32) {
        if value != 0 {
            self.varint(tag(number, VARINT));
            self.varint(value.into());
        }
    }

    /// Four bytes; zero is left out.
    pub fn fixed32(&mut self, number: u32, value: u32) {
        if value != 0 {
            self.varint(tag(number, FIXED32));
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Eight bytes; zero is left out.
    pub fn fixed64(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.varint(tag(number, FIXED64));
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// An attribute (`KeyValue`).
    pub fn attribute(&mut self, number: u32, key: &str, value: Value<'_>) {
        let length = value.length();
        self.open(number, field(KEY, key.len()) + field(VALUE, length));
        self.pieces(KEY, &[key.as_bytes()]);
        self.open(VALUE, length);
        self.any(value);
    }

    /// The field of an `AnyValue`, which is there even if it is empty.
    fn any(&mut self, value: Value<'_>) {
        match value {
            Value::Text(text) => self.pieces(TEXT, &[text.as_bytes()]),
            Value::Integer(value) => {
                self.varint(tag(INTEGER, VARINT));
                self.varint(value.cast_unsigned());
            }
            Value::Double(value) => {
                self.varint(tag(DOUBLE, FIXED64));
                self.bytes.extend_from_slice(&value.to_le_bytes());
            }
            Value::Truth(value) => {
                self.varint(tag(TRUTH, VARINT));
                self.varint(value.into());
            }
            Value::Texts(texts) => {
                self.open(ARRAY, texts_length(texts));
                for text in texts {
                    let value = Value::Text(text);
                    self.open(ELEMENT, value.length());
                    self.any(value);
                }
            }
        }
    }

    /// What comes before so many bytes of a field.
    pub fn open(&mut self, number: u32, length: usize) {
        self.varint(tag(number, LENGTH));
        self.varint(length as u64);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

impl Value<'_> {
    /// Bytes of the `AnyValue`.
    fn length(self) -> usize {
        match self {
            Self::Text(text) => field(TEXT, text.len()),
            Self::Integer(value) => varint_length(tag(INTEGER, VARINT)) + varint_length(value.cast_unsigned()),
            Self::Double(_) => varint_length(tag(DOUBLE, FIXED64)) + size_of::<f64>(),
            Self::Truth(_) => varint_length(tag(TRUTH, VARINT)) + 1,
            Self::Texts(texts) => field(ARRAY, texts_length(texts)),
        }
    }
}

/// Bytes of an `ArrayValue`.
fn texts_length(texts: &[&str]) -> usize {
    texts.iter().map(|text| field(ELEMENT, Value::Text(text).length())).sum()
}

/// Bytes of a field of so many bytes.
const fn field(number: u32, length: usize) -> usize {
    varint_length(tag(number, LENGTH)) + varint_length(length as u64) + length
}

/// What a field begins with.
const fn tag(number: u32, kind: u32) -> u64 {
    (number << 3 | kind) as u64
}

/// Seven bits go into each byte, and zero takes one.
const fn varint_length(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_what_is_written() {
        for shift in 0..64 {
            for value in [1 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let mut bytes = Vec::new();
                Message::new(&mut bytes).varint(value);
                assert_eq!(
                    (bytes.len(), prost::decode_length_delimiter(&bytes[..]).unwrap() as u64),
                    (varint_length(value), value)
                );
            }
        }
    }
}
