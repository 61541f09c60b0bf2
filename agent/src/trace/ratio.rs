//! Which traces a ratio of all keeps: the same ones everywhere.

use opentelemetry::trace::TraceId;

use super::Rejected;

/// Bits of a trace's randomness (OpenTelemetry specification, "TraceState: Probability Sampling"; W3C level 2 §3.2.2.3).
const BITS: u32 = 56;

/// A ratio of all traces, as the threshold that a trace's randomness must reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio(u64);

impl Ratio {
    /// Every trace.
    pub const ALL: Self = Self(0);

    /// Reads a number from 0 to 1.
    ///
    /// # Errors
    /// On everything else.
    pub fn parse(text: &str) -> Result<Self, Rejected> {
        let ratio = text.trim().parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        let ratio = ratio.ok_or_else(|| Rejected { expected: "a number from 0 to 1".to_owned() })?;
        Ok(Self((1 << BITS) - kept(ratio)))
    }

    /// Whether a trace of this randomness is kept.
    #[must_use]
    pub const fn keeps(self, randomness: u64) -> bool {
        randomness >= self.0
    }
}

/// Of 2^56 traces, how many a ratio from 0 to 1 keeps, rounded down.
fn kept(ratio: f64) -> u64 {
    /// Bits of the fraction (IEEE 754 §3.4, binary64).
    const FRACTION: u64 = 52;
    /// The biased exponent of what is whole when it is multiplied by 2^56.
    const WHOLE: u64 = 1023 + FRACTION - BITS as u64;
    let bits = ratio.abs().to_bits();
    let exponent = bits >> FRACTION;
    let significand = bits & ((1 << FRACTION) - 1) | 1 << FRACTION;
    match exponent.checked_sub(WHOLE) {
        Some(shift) => significand << shift,
        None => significand.checked_shr(u32::try_from(WHOLE - exponent).unwrap_or(u32::MAX)).unwrap_or(0),
    }
}

/// A trace's randomness: what its `tracestate` says (`ot=rv:…`), or the last seven bytes of its id.
pub(super) fn randomness(trace: TraceId, trace_state: &[u8]) -> u64 {
    let [_, _, _, _, _, _, _, _, _, last @ ..] = trace.to_bytes();
    let of_id = || last.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    explicit(trace_state).unwrap_or_else(of_id)
}

/// The `rv` of the member `ot`: exactly 14 hexadecimal digits in lower case.
fn explicit(trace_state: &[u8]) -> Option<u64> {
    let member = trace_state.split(|byte| *byte == b',').find_map(|member| member.strip_prefix(b"ot="))?;
    let digits = member.split(|byte| *byte == b';').find_map(|entry| entry.strip_prefix(b"rv:"))?;
    let valid = digits.len() == 14 && digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let text = std::str::from_utf8(digits).ok().filter(|_| valid)?;
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_a_threshold() {
        for (text, threshold) in [
            ("1", 0),
            ("1.0", 0),
            ("0", 1 << 56),
            ("0.5", 1 << 55),
            ("0.25", 3 << 54),
            (" 0.1 ", (1 << 56) - 7_205_759_403_792_794),
            ("0.000000000000001", (1 << 56) - 72),
            ("1e-16", (1 << 56) - 7),
            ("1e-17", 1 << 56),
            ("5e-324", 1 << 56),
        ] {
            assert_eq!(Ratio::parse(text), Ok(Ratio(threshold)), "{text}");
        }
        for text in ["", "-0.1", "1.01", "NaN", "inf", "half", "50%"] {
            assert!(Ratio::parse(text).is_err(), "{text}");
        }
        assert!(Ratio::ALL.keeps(0));
        assert!(!Ratio(1 << 56).keeps((1 << 56) - 1));
    }

    #[test]
    fn randomness_is_the_ids_unless_the_state_has_one() {
        let trace = TraceId::from(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
        let of_id = 0x0a_0b0c_0d0e_0f10;
        for (state, expected) in [
            ("", of_id),
            ("ot=rv:00000000000001", 1),
            ("a=b,ot=th:8;rv:ffffffffffffff,c=d", 0xff_ffff_ffff_ffff),
            ("ot=rv:1", of_id),
            ("ot=rv:0000000000000G", of_id),
            ("ot=rv:0000000000000A", of_id),
            ("ot=th:8", of_id),
            ("not=rv:00000000000001", of_id),
        ] {
            assert_eq!(randomness(trace, state.as_bytes()), expected, "{state}");
        }
    }
}
