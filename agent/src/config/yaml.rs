//! The configuration file: one YAML mapping from keys to single values, or to lists where a setting is one.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::{
    error::{ConfigError, Origin},
    setting::Setting,
    value,
};

/// A file longer than this is none of ours.
const LONGEST: u64 = 1 << 20;

/// As much of a line that is not understood is shown.
const SHOWN: usize = 80;

/// A setting that the file makes.
#[derive(Debug)]
pub struct Entry {
    /// Which.
    pub setting: &'static Setting,
    /// Its value as written.
    pub value: String,
    /// Line of the value, from 1.
    pub line: u64,
}

/// Reads the file at `path`.
///
/// # Errors
/// [`ConfigError::Unreadable`].
pub fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    let length = file.take(LONGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(length).is_ok_and(|length| length <= LONGEST) {
        return Ok(text);
    }
    Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 1 MiB")))
}

/// The settings that `text` makes, in its order; `path` is for messages.
///
/// # Errors
/// [`ConfigError::Syntax`] if it is no such mapping, [`ConfigError::UnknownKey`].
pub fn parse(text: &str, path: &Path) -> Result<Vec<Entry>, ConfigError> {
    let origin = |line| Origin::File(path.to_owned(), line);
    let Pairs(mut pairs) = serde_saphyr::from_str(text).map_err(|error| {
        let line = error.location().map_or(1, |location| location.line());
        let written = usize::try_from(line).ok().and_then(|line| text.lines().nth(line.checked_sub(1)?));
        let written: String = written.unwrap_or_default().trim().chars().take(SHOWN).collect();
        let message = message(&error);
        ConfigError::Syntax {
            origin: origin(line),
            message: format!("not a mapping from keys to single values: {message}, in {written:?}"),
        }
    })?;
    pairs.sort_unstable_by_key(|pair| pair.key.referenced.line());
    let mut entries = Vec::with_capacity(pairs.len());
    for Pair { key, value } in pairs {
        let line = key.referenced.line();
        let Some(setting) = Setting::find(&key.value) else {
            let keys = Setting::all().map(|setting| setting.key);
            let nearest = value::nearest(&key.value.replace('-', "_"), keys);
            return Err(ConfigError::UnknownKey {
                origin: origin(line),
                nearest: nearest.map(str::to_owned),
                key: key.value,
            });
        };
        let (value, line) = value.map_or((String::new(), line), |value| (value.value, value.referenced.line()));
        entries.push(Entry { setting, value, line });
    }
    Ok(entries)
}

/// The file's mapping.
struct Pairs(Vec<Pair>);

struct Pair {
    key: Spanned<String>,
    value: Option<Spanned<String>>,
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Mapping;

        impl<'de> Visitor<'de> for Mapping {
            type Value = Pairs;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(key) = map.next_key::<Spanned<String>>()? {
                    let value = match Setting::find(&key.value) {
                        Some(Setting { list: Some(separator), .. }) => {
                            let list = map.next_value::<Option<Spanned<List>>>()?;
                            list.map(|list| Spanned {
                                value: list.value.0.join(separator),
                                referenced: list.referenced,
                                defined: list.defined,
                            })
                        }
                        Some(_) => map.next_value()?,
                        None => map.next_value::<IgnoredAny>().map(|_| None)?,
                    };
                    pairs.push(Pair { key, value });
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Mapping)
    }
}

/// A sequence of texts, or a text.
struct List(Vec<String>);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;

        impl<'de> Visitor<'de> for Texts {
            type Value = List;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text or a list of texts")
            }

            fn visit_str<E>(self, text: &str) -> Result<List, E> {
                Ok(List(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<List, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = sequence.next_element::<String>()? {
                    texts.push(text);
                }
                Ok(List(texts))
            }
        }

        deserializer.deserialize_any(Texts)
    }
}

/// The library's message on one line, without the place, which we name ourselves.
fn message(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let text = text.lines().next().unwrap_or_default();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        match parse(text, Path::new("redtap.yaml")) {
            Ok(entries) => {
                let entries = entries.iter();
                let entries =
                    entries.map(|entry| format!("{}={:?}@{}", entry.setting.key, entry.value, entry.line));
                entries.collect::<Vec<_>>().join(" ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn files() {
        for (text, expected) in [
            ("", ""),
            ("# nothing\n", ""),
            ("listen: 0.0.0.0:9440\n", r#"listen="0.0.0.0:9440"@1"#),
            (
                "print: off\n\ntimings: true\nmax_flows: 100\n",
                r#"print="off"@1 timings="true"@3 max_flows="100"@4"#,
            ),
            ("capture_length: '4KiB'\n", r#"capture_length="4KiB"@1"#),
            ("log:\n", r#"log=""@1"#),
            ("---\nprint: json\n...\n", r#"print="json"@2"#),
            (
                "print: json\ncapture_lenght: 4096\n",
                r#"redtap.yaml:2: unknown key "capture_lenght"; the nearest is "capture_length""#,
            ),
            ("ring-size: 1\n", r#"redtap.yaml:1: unknown key "ring-size"; the nearest is "ring_size""#),
            ("zzz: 1\n", r#"redtap.yaml:1: unknown key "zzz""#),
            ("external_labels: a=b\n", r#"external_labels="a=b"@1"#),
            ("external_labels: [a=b, c=1]\n", r#"external_labels="a=b,c=1"@1"#),
            (
                "exclude_attributes:\n  - '*:url_scheme'\n  - http_*:server_port\nlog: info\n",
                r#"exclude_attributes="*:url_scheme,http_*:server_port"@2 log="info"@4"#,
            ),
            ("include_attributes: []\n", r#"include_attributes=""@1"#),
            ("include_attributes:\n", r#"include_attributes=""@1"#),
            ("zzz: {a: [b]}\n", r#"redtap.yaml:1: unknown key "zzz""#),
            ("config: a\n", r#"redtap.yaml:1: unknown key "config"; the nearest is "web_config""#),
        ] {
            assert_eq!(show(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_mapping_names_its_line() {
        for (text, line) in [
            ("- listen\n", 1),
            ("print: json\nlog: [a, b]\n", 2),
            ("print: json\nlog: {a: b}\n", 2),
            ("print: json\nexternal_labels: {a: b}\n", 2),
            ("print: json\nexternal_labels: 5\n", 2),
            ("external_labels: [[a]]\n", 1),
            ("print: json\nprint: off\n", 2),
            ("print: 'json\n", 1),
            ("print: json\n\tlog: info\n", 1),
            ("print: json\n---\nlog: info\n", 3),
        ] {
            let shown = show(text);
            let expected = format!("redtap.yaml:{line}: not a mapping from keys to single values: ");
            assert!(shown.starts_with(&expected), "{text:?}: {shown}");
        }
    }
}
