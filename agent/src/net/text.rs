//! Text from outside, cut to the length of a label.

/// The beginning of `text`, at most `length` bytes, whole characters only.
#[must_use]
pub fn cut(text: &str, length: usize) -> &str {
    text.get(..text.floor_char_boundary(length)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn characters_stay_whole() {
        assert_eq!(["", "abc", "abcd", "abü"].map(|text| cut(text, 3)), ["", "abc", "abc", "ab"]);
    }
}
