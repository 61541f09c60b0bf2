//! The keys of a query whose values are not to be known.

use crate::config::value::{Rejected, nearest};

/// Keys that there may be: each is compared with every key of a query.
const MAX_KEYS: usize = 128;

/// Those of the HTTP conventions (v1.44), and the two that the next version adds.
const CONVENTIONS: [&str; 7] = [
    "AWSAccessKeyId",
    "Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Goog-Signature",
    "sig",
];

/// Sensitive keys, case-sensitive: those of the conventions, unless the user has it otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryKeys(Vec<String>);

impl Default for QueryKeys {
    fn default() -> Self {
        Self(CONVENTIONS.map(str::to_owned).into())
    }
}

impl QueryKeys {
    /// Reads what the user changes of the conventions' list, with commas between: `token` is on it, too, `-sig` is not, and
    /// after `-*` there is nothing left of it, as in `-*,token` for `token` alone. Keys are as a server sees them, without
    /// percent-encoding.
    ///
    /// # Errors
    /// If one is no key, or is to be taken off the list and not on it; if there are more than 128.
    pub fn parse(text: &str) -> Result<Self, Rejected> {
        let mut keys = Self::default();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            match item.strip_prefix('-') {
                Some("*") => keys.0.clear(),
                Some(key) => keys.remove(key)?,
                None => keys.add(item)?,
            }
        }
        if keys.0.len() > MAX_KEYS {
            return Err(Rejected::expected(format!("at most {MAX_KEYS} keys")));
        }
        Ok(keys)
    }

    /// Whether the bytes of a key, percent-decoded, are one of them.
    #[must_use]
    pub fn contains(&self, key: impl Iterator<Item = u8> + Clone) -> bool {
        self.0.iter().any(|own| key.clone().eq(own.bytes()))
    }

    fn add(&mut self, key: &str) -> Result<(), Rejected> {
        let (name, rest) = key.split_at(key.find(['&', ';', '=', '#', '%']).unwrap_or(key.len()));
        if !rest.is_empty() {
            // It would be compared with what never has these, and hide nothing.
            let rejected = Rejected::expected(format!("keys without &, ;, =, # and % instead of {key:?}"));
            return Err(if name.is_empty() { rejected } else { rejected.nearest(name) });
        }
        if self.0.iter().all(|own| own != name) {
            self.0.push(name.to_owned());
        }
        Ok(())
    }

    fn remove(&mut self, key: &str) -> Result<(), Rejected> {
        let Some(index) = self.0.iter().position(|own| own == key) else {
            let rejected = Rejected::expected(format!("a key of the list instead of {key:?} after -"));
            return Err(match nearest(key, self.0.iter().map(String::as_str)) {
                Some(key) => rejected.nearest(format!("-{key}")),
                None => rejected,
            });
        };
        self.0.remove(index);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists() {
        let conventions = CONVENTIONS.join(" ");
        let without_sig = conventions.trim_end_matches(" sig");
        for (text, expected) in [
            ("", conventions.clone()),
            ("token", format!("{conventions} token")),
            (" token , session_id,, sig", format!("{conventions} token session_id")),
            ("-sig", without_sig.to_owned()),
            ("-sig,Sig", format!("{without_sig} Sig")),
            ("-*,token", "token".to_owned()),
            ("token,-*", String::new()),
        ] {
            assert_eq!(QueryKeys::parse(text).unwrap().0.join(" "), expected, "{text}");
        }
    }

    #[test]
    fn keys_are_compared_exactly() {
        let keys = QueryKeys::parse("token").unwrap();
        for (key, expected) in
            [("sig", true), ("Sig", false), ("token", true), ("tokens", false), ("toke", false), ("", false)]
        {
            assert_eq!(keys.contains(key.bytes()), expected, "{key}");
        }
    }

    #[test]
    fn what_is_no_list() {
        for (text, expected, nearest) in [
            ("token=abc", r#"keys without &, ;, =, # and % instead of "token=abc""#, Some("token")),
            ("=", r#"keys without &, ;, =, # and % instead of "=""#, None),
            ("X%2DAmz", r#"keys without &, ;, =, # and % instead of "X%2DAmz""#, Some("X")),
            ("-SIG", r#"a key of the list instead of "SIG" after -"#, Some("-sig")),
            ("-nothing", r#"a key of the list instead of "nothing" after -"#, None),
            ("-", r#"a key of the list instead of "" after -"#, None),
        ] {
            let rejected = QueryKeys::parse(text).unwrap_err();
            assert_eq!((rejected.expected.as_str(), rejected.nearest.as_deref()), (expected, nearest), "{text}");
        }
        let many: String = (0..=MAX_KEYS).map(|number| format!("key{number},")).collect();
        assert_eq!(QueryKeys::parse(&many).unwrap_err().expected, "at most 128 keys");
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "[-*,a-c=%é ]{0,40}") {
            let _ = QueryKeys::parse(&text);
        }
    }
}
