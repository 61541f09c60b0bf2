//! Numbers in hexadecimal digits.

/// Digits of either case, as many as fit; `None` for none or too many of them, and for any other byte.
pub(super) fn number(digits: &[u8], most: usize) -> Option<u128> {
    if digits.is_empty() || digits.len() > most.min(32) {
        return None;
    }
    digits.iter().try_fold(0_u128, |number, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(number << 4 | u128::from(digit))
    })
}

/// Exactly `length` digits, none of them in upper case.
pub(super) fn lower(digits: &[u8], length: usize) -> Option<u128> {
    let upper = digits.iter().any(u8::is_ascii_uppercase);
    (digits.len() == length && !upper).then(|| number(digits, length))?
}

/// At most sixteen digits of either case.
pub(super) fn half(digits: &[u8]) -> Option<u64> {
    number(digits, 16).and_then(|number| u64::try_from(number).ok())
}
