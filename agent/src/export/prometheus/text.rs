//! What both text formats have in common: label sets, numbers, and the way to the reader in large pieces.

use std::{fmt, io::Write as _};

use memchr::memchr3;

use super::Out;
use crate::export::metrics::{AttributeValue, Attributes, Value};

/// Bytes gathered before they go out: one call and one copy for a hundred lines, all of it still in the first caches.
pub const PIECE: usize = 16 << 10;

/// Appends `name="value"` for each attribute, separated by commas; nothing for none.
pub fn labels(attributes: &Attributes, text: &mut Vec<u8>) {
    for (index, (attribute, value)) in attributes.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        text.extend_from_slice(attribute.label.as_bytes());
        text.extend_from_slice(b"=\"");
        match value {
            AttributeValue::Static(value) => escaped(value.as_bytes(), text),
            AttributeValue::Shared(value) => escaped(value.as_bytes(), text),
            AttributeValue::Integer(value) => {
                text.extend_from_slice(itoa::Buffer::new().format(*value).as_bytes())
            }
            AttributeValue::Bool(value) => text.extend_from_slice(if *value { b"true" } else { b"false" }),
        }
        text.push(b'"');
    }
}

/// Escapes what a quoted label value must not hold (both formats: `\`, `"` and line feed).
fn escaped(value: &[u8], text: &mut Vec<u8>) {
    let mut rest = value;
    while let Some((plain, [special, after @ ..])) =
        memchr3(b'\\', b'"', b'\n', rest).and_then(|at| rest.split_at_checked(at))
    {
        text.extend_from_slice(plain);
        text.extend_from_slice(&[b'\\', if *special == b'\n' { b'n' } else { *special }]);
        rest = after;
    }
    text.extend_from_slice(rest);
}

/// Appends a sample's value.
///
/// # Errors
/// None; writing to memory does not fail.
pub fn value(value: Value, text: &mut Vec<u8>) -> fmt::Result {
    match value {
        Value::Integer(value) => integer(value, text),
        Value::Float(value) => return float(value, text),
    }
    Ok(())
}

/// Appends a count.
pub fn integer(value: u64, text: &mut Vec<u8>) {
    text.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a quantity, with as many digits as tell it from its neighbours.
///
/// # Errors
/// As [`value`].
pub fn float(value: f64, text: &mut Vec<u8>) -> fmt::Result {
    match value {
        f64::INFINITY => text.extend_from_slice(b"+Inf"),
        f64::NEG_INFINITY => text.extend_from_slice(b"-Inf"),
        _ => return write!(text, "{value}").map_err(|_| fmt::Error),
    }
    Ok(())
}

/// Appends a time given in nanoseconds since the epoch, as seconds with milliseconds (OpenMetrics 1.0, "Timestamps").
pub fn seconds(nanoseconds: u64, text: &mut Vec<u8>) {
    let milliseconds = nanoseconds / 1_000_000;
    integer(milliseconds / 1_000, text);
    // Three digits, whatever they are, after one that is left out.
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(1_000 + milliseconds % 1_000).get(1..).unwrap_or_default();
    text.push(b'.');
    text.extend_from_slice(digits.as_bytes());
}

/// Appends an id of a trace or a span in lower case hexadecimal.
pub fn hexadecimal(id: &[u8], text: &mut Vec<u8>) {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    /// Those of a trace, the longer of the two.
    const MOST: usize = 32;
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
    let mut digits = [0; MOST];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(id) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    text.extend_from_slice(digits.get(..2 * id.len()).unwrap_or(&digits));
}

/// A bound in canonical form (OpenMetrics 1.0, "Considerations: canonical numbers"): what Go's `%g` gives, and `.0` after
/// what would look like an integer. Prometheus itself writes the bounds that it gets in messages like that, so that the
/// label does not depend on the format.
#[must_use]
pub fn bound(upper: f64) -> String {
    /// From which power of ten on `%g` uses an exponent.
    const LARGE: i32 = 6;
    /// To which power of ten it uses none.
    const SMALL: i32 = -4;
    let scientific = format!("{upper:e}");
    let parts = scientific.split_once('e');
    match parts.and_then(|(digits, exponent)| Some((digits, exponent.parse::<i32>().ok()?))) {
        Some((digits, exponent)) if !(SMALL..LARGE).contains(&exponent) => format!("{digits}e{exponent:+03}"),
        _ => {
            let mut plain = upper.to_string();
            if !plain.contains('.') {
                plain.push_str(".0");
            }
            plain
        }
    }
}

/// Text on its way out.
pub struct Pieces<'a> {
    /// What has not gone out yet.
    pub text: Vec<u8>,
    out: &'a mut dyn Out,
}

impl<'a> Pieces<'a> {
    /// Nothing yet.
    pub fn new(out: &'a mut dyn Out) -> Self {
        Self { text: Vec::with_capacity(2 * PIECE), out }
    }

    /// Lets a piece go once there is enough for one.
    ///
    /// # Errors
    /// Those of the reader's end.
    pub fn flow(&mut self) -> fmt::Result {
        if self.text.len() < PIECE { Ok(()) } else { self.flush() }
    }

    /// Lets go what there is.
    ///
    /// # Errors
    /// As [`Pieces::flow`].
    pub fn flush(&mut self) -> fmt::Result {
        self.out.write(&self.text)?;
        self.text.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        red::{BODY_SIZE, DURATION, PART, STREAM_DURATION},
        semconv,
    };

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut text = Vec::new();
        write(&mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn values_of_labels_are_escaped() {
        for (value, expected) in [
            ("plain", r#"table="plain""#),
            ("", r#"table="""#),
            ("a\"b\\c\nd", r#"table="a\"b\\c\nd""#),
            ("\n", r#"table="\n""#),
            ("\\", r#"table="\\""#),
            ("ü{}=,\t", "table=\"ü{}=,\t\""),
        ] {
            let attributes = Attributes::of([(semconv::TABLE, value.to_owned())]);
            assert_eq!(written(|text| labels(&attributes, text)), expected);
        }
    }

    #[test]
    fn labels_are_separated_by_commas() {
        let mut attributes = Attributes::of([(semconv::UNIT, "a\n"), (semconv::REASON, "b")]);
        attributes.push(semconv::SERVER_PORT, 8080_u16);
        attributes.push(semconv::OTEL_METRIC_OVERFLOW, true);
        let expected = r#"unit="a\n",reason="b",server_port="8080",otel_metric_overflow="true""#;
        assert_eq!(written(|text| labels(&attributes, text)), expected);
        assert_eq!(written(|text| labels(&Attributes::new(), text)), "");
    }

    #[test]
    fn bounds_are_canonical() {
        for (upper, expected) in [
            (0.0, "0.0"),
            (0.005, "0.005"),
            (0.0001, "0.0001"),
            (0.000_05, "5e-05"),
            (0.000_012_5, "1.25e-05"),
            (1.0, "1.0"),
            (2.5, "2.5"),
            (10.0, "10.0"),
            (86_400.0, "86400.0"),
            (262_144.0, "262144.0"),
            (999_999.5, "999999.5"),
            (1e6, "1e+06"),
            (1_048_576.0, "1.048576e+06"),
            (268_435_456.0, "2.68435456e+08"),
            (1e100, "1e+100"),
        ] {
            assert_eq!(bound(upper), expected);
        }
    }

    #[test]
    fn bounds_read_as_what_they_are() {
        let all = [&DURATION.upper[..], &BODY_SIZE.upper, &PART.upper, &STREAM_DURATION.upper].concat();
        for upper in all {
            for upper in [upper as f64, upper as f64 / 1e9] {
                assert_eq!(bound(upper).parse(), Ok(upper));
            }
        }
    }

    #[test]
    fn numbers_are_those_of_the_formats() {
        for (number, expected) in [
            (Value::Integer(u64::MAX), "18446744073709551615"),
            (Value::Float(0.1 + 0.2), "0.30000000000000004"),
            (Value::Float(3.0), "3"),
            (Value::Float(f64::NAN), "NaN"),
            (Value::Float(f64::INFINITY), "+Inf"),
            (Value::Float(f64::NEG_INFINITY), "-Inf"),
        ] {
            assert_eq!(written(|text| value(number, text).unwrap()), expected);
        }
        assert_eq!(written(|text| seconds(1_720_000_000_012_999_999, text)), "1720000000.012");
        assert_eq!(written(|text| hexadecimal(&[0x4b, 0xf9, 0x00, 0xa0], text)), "4bf900a0");
    }
}
