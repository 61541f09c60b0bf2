//! UIDs of objects, in sixteen bytes.

use std::hash::{DefaultHasher, Hash, Hasher};

const DIGITS: usize = 32;

/// The UID of an object, or the hash that the kubelet knows a static pod by.
///
/// Both are 32 hexadecimal digits. The `-` between them, which the systemd cgroup driver writes as `_`, do not
/// count. A UID that is anything else, which the API allows, goes by a hash of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid([u8; 16]);

impl Uid {
    /// The UID written as `text`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let digits = || text.chars().filter(|character| !matches!(character, '-' | '_'));
        let number =
            digits().try_fold(0_u128, |number, digit| Some(number << 4 | u128::from(digit.to_digit(16)?)));
        match number.filter(|_| digits().count() == DIGITS) {
            Some(number) => Self(number.to_be_bytes()),
            None => Self::hashed(text),
        }
    }

    fn hashed(text: &str) -> Self {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, text).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        Self((half(0) << 64 | half(1)).to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_uid_is_written_in_several_ways() {
        let uid = Uid::parse("2f1c9a4e-0b7d-4a53-9c1e-5d8f6b3a7e20");
        for (text, same) in [
            ("2f1c9a4e-0b7d-4a53-9c1e-5d8f6b3a7e20", true),
            ("2f1c9a4e_0b7d_4a53_9c1e_5d8f6b3a7e20", true),
            ("2F1C9A4E0B7D4A539C1E5D8F6B3A7E20", true),
            ("2f1c9a4e-0b7d-4a53-9c1e-5d8f6b3a7e21", false),
            ("2f1c9a4e-0b7d-4a53-9c1e-5d8f6b3a7e2", false),
            ("02f1c9a4e-0b7d-4a53-9c1e-5d8f6b3a7e20", false),
            ("2f1c9a4e-0b7d-4a53-9c1e-5d8f6b3a7e2é", false),
            ("", false),
        ] {
            assert_eq!(Uid::parse(text) == uid, same, "{text}");
        }
    }

    #[test]
    fn what_is_no_uuid_is_told_apart() {
        let texts = ["", "a", "b", "pod-1", "pod_1", "é"];
        for (index, text) in texts.iter().enumerate() {
            let same = texts.iter().position(|other| Uid::parse(other) == Uid::parse(text));
            assert_eq!(same, Some(index), "{text}");
        }
    }
}
