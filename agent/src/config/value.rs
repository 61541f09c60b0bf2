//! From text to values: sizes, durations, switches, choices.

pub mod endpoint;
pub mod list;

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use crate::probe::PROGRAMS;

/// Why a text is no value of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// What would be one.
    pub expected: String,
    /// The nearest text that is one, where there is such a thing.
    pub nearest: Option<String>,
}

/// One of a few words.
pub trait Choice: Copy + PartialEq + 'static {
    /// Every word with its meaning.
    const ALL: &'static [(&'static str, Self)];

    /// The word for this value.
    #[must_use]
    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }
}

impl Rejected {
    /// Without a suggestion.
    pub(crate) fn expected(what: impl Into<String>) -> Self {
        Self { expected: what.into(), nearest: None }
    }

    /// With one.
    pub(crate) fn nearest(self, text: impl Into<String>) -> Self {
        Self { nearest: Some(text.into()), ..self }
    }
}

/// The one of `candidates` that `text` most likely meant.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this, two words have nothing to do with each other.
    const ALIKE: f64 = 0.7;
    let lower = text.to_ascii_lowercase();
    let scored = candidates.into_iter().map(|candidate| (strsim::jaro_winkler(&lower, candidate), candidate));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (best.0 >= ALIKE).then_some(best.1)
}

/// A word of `T`.
pub fn choice<T: Choice>(text: &str) -> Result<T, Rejected> {
    if let Some((_, value)) = T::ALL.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let words = || T::ALL.iter().map(|(word, _)| *word);
    let expected = Rejected::expected(format!("one of {}", words().collect::<Vec<_>>().join(", ")));
    Err(nearest(text, words()).map_or(expected.clone(), |word| expected.nearest(word)))
}

/// `true` or `false`, or another pair of words for them.
pub fn switch(text: &str) -> Result<bool, Rejected> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        other => {
            let expected = Rejected::expected("true or false");
            Err(match nearest(other, ["true", "false"]) {
                Some(word) => expected.nearest(word),
                None => expected,
            })
        }
    }
}

/// An address and a port.
pub fn socket_address(text: &str) -> Result<SocketAddr, Rejected> {
    text.parse().map_err(|_| {
        let rejected = Rejected::expected("an IP address and a port, such as 127.0.0.1:9440 or [::1]:9440");
        let completed = [
            format!("{text}:9440"),
            format!("[{text}]:9440"),
            format!("127.0.0.1{text}"),
            format!("127.0.0.1:{text}"),
            text.replace("localhost", "127.0.0.1"),
        ];
        match completed.into_iter().find(|text| text.parse::<SocketAddr>().is_ok()) {
            Some(completed) => rejected.nearest(completed),
            None => rejected,
        }
    })
}

/// A number within `range`.
pub fn count(text: &str, range: RangeInclusive<u64>) -> Result<u64, Rejected> {
    let expected = || Rejected::expected(format!("a number from {} to {}", range.start(), range.end()));
    let value: u64 = digits(text).ok_or_else(expected)?;
    if range.contains(&value) {
        return Ok(value);
    }
    Err(expected().nearest(value.clamp(*range.start(), *range.end()).to_string()))
}

/// Likewise, of things that are in memory.
pub fn quantity(text: &str, range: RangeInclusive<u64>) -> Result<usize, Rejected> {
    count(text, range).map(|value| usize::try_from(value).unwrap_or(usize::MAX))
}

/// A part of one: a decimal number from 0 to 1, as it is written.
pub fn ratio(text: &str) -> Result<String, Rejected> {
    let expected = || Rejected::expected("a number from 0 to 1");
    let decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match text.parse::<f64>() {
        Ok(value) if decimal && value <= 1.0 => Ok(text.to_owned()),
        Ok(_) if decimal => Err(expected().nearest("1")),
        _ => Err(expected()),
    }
}

/// The path of a file.
pub fn path(text: &str) -> Result<PathBuf, Rejected> {
    if text.is_empty() { Err(Rejected::expected("the path of a file")) } else { Ok(PathBuf::from(text)) }
}

/// A number of bytes within `range`: `4096`, `4KiB`, `2MiB`, `1GiB`.
pub fn size(text: &str, range: RangeInclusive<u64>) -> Result<u64, Rejected> {
    let expected =
        || Rejected::expected(format!("a size from {} to {}", size_text(*range.start()), size_text(*range.end())));
    let (number, unit) = number_and_unit(text);
    let number = digits(number).ok_or_else(expected)?;
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        other if !other.bytes().all(|byte| byte.is_ascii_alphabetic()) => return Err(expected()),
        other => {
            let unit = match other.to_ascii_lowercase().get(..1) {
                Some("k") => "KiB",
                Some("m") => "MiB",
                Some("g") => "GiB",
                _ => "B",
            };
            return Err(expected().nearest(format!("{number}{unit}")));
        }
    };
    let bytes = number.saturating_mul(1 << shift);
    if range.contains(&bytes) {
        return Ok(bytes);
    }
    Err(expected().nearest(size_text(bytes.clamp(*range.start(), *range.end()))))
}

/// A size that is a power of two.
pub fn power_of_two(text: &str, range: RangeInclusive<u64>) -> Result<u64, Rejected> {
    let bytes = size(text, range.clone()).map_err(|rejected| Rejected {
        expected: format!("{} that is a power of two", rejected.expected),
        ..rejected
    })?;
    if bytes.is_power_of_two() {
        return Ok(bytes);
    }
    let nearest = bytes.next_power_of_two().min(*range.end());
    let expected =
        format!("a size from {} to {} that is a power of two", size_text(*range.start()), size_text(*range.end()));
    Err(Rejected { expected, nearest: Some(size_text(nearest)) })
}

/// A duration within `range`: `1500ms`, `30s`, `5m`, `2h`.
pub fn duration(text: &str, range: RangeInclusive<Duration>) -> Result<Duration, Rejected> {
    let expected = || {
        let (least, most) = (duration_text(*range.start()), duration_text(*range.end()));
        Rejected::expected(format!("a duration from {least} to {most}"))
    };
    let (number, unit) = number_and_unit(text);
    let number = digits(number).ok_or_else(expected)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        other => {
            let lower = other.to_ascii_lowercase();
            let unit = match lower.as_str() {
                unit if unit.starts_with("ms") || unit.starts_with("mil") => "ms",
                unit if unit.starts_with('m') => "m",
                unit if unit.starts_with('h') => "h",
                _ => "s",
            };
            return Err(expected().nearest(format!("{number}{unit}")));
        }
    };
    let duration = Duration::from_millis(number.saturating_mul(milliseconds));
    if range.contains(&duration) {
        return Ok(duration);
    }
    Err(expected().nearest(duration_text(duration.clamp(*range.start(), *range.end()))))
}

/// A duration within `range`, or 0 for no end.
pub fn duration_or_zero(text: &str, range: RangeInclusive<Duration>) -> Result<Duration, Rejected> {
    if matches!(number_and_unit(text), ("0", "" | "ms" | "s" | "m" | "h")) {
        return Ok(Duration::ZERO);
    }
    let rejected = |rejected: Rejected| Rejected { expected: format!("{}, or 0", rejected.expected), ..rejected };
    duration(text, range).map_err(rejected)
}

/// Names of programs that can be done without.
pub fn programs(text: &str) -> Result<Vec<&'static str>, Rejected> {
    let names = || PROGRAMS.iter().filter(|program| !program.required).map(|program| program.name);
    let known = |word: &str| {
        let expected = || Rejected::expected(names().collect::<Vec<_>>().join(", "));
        names().find(|name| *name == word).ok_or_else(|| match nearest(word, names()) {
            Some(name) => expected().nearest(text.replacen(word, name, 1)),
            None => expected(),
        })
    };
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(known).collect()
}

/// A filter of log messages: a level, or directives as `tracing-subscriber` reads them.
pub fn log_filter(text: &str) -> Result<String, Rejected> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let expected = || {
        Rejected::expected(
            "a level (off, error, warn, info, debug, trace) or directives such as redtap::flow=debug",
        )
    };
    for directive in text.split(',').map(str::trim) {
        // A word alone would be read as the name of a module, and switch the log off without a word.
        let level = directive.rsplit_once('=').map_or(directive, |(_, level)| level);
        if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
            let prefix = directive.strip_suffix(level).unwrap_or_default();
            return Err(match nearest(level, LEVELS) {
                Some(level) => expected().nearest(text.replacen(directive, &format!("{prefix}{level}"), 1)),
                None => expected(),
            });
        }
    }
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(expected()),
    }
}

/// A size in the largest unit that it is whole in.
fn size_text(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.into_iter().find(|(shift, _)| bytes != 0 && bytes.is_multiple_of(1 << shift));
    whole.map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

fn duration_text(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let whole = units.into_iter().find(|(unit, _)| milliseconds != 0 && milliseconds.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{milliseconds}ms"), |(unit, name)| format!("{}{name}", milliseconds / unit))
}

fn number_and_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

/// Digits only: `u64::from_str` would take a sign. What does not fit is the largest number.
fn digits(text: &str) -> Option<u64> {
    let valid = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show<T: std::fmt::Debug>(result: Result<T, Rejected>) -> String {
        match result {
            Ok(value) => format!("{value:?}"),
            Err(Rejected { nearest: Some(nearest), .. }) => format!("nearest {nearest}"),
            Err(Rejected { nearest: None, .. }) => "rejected".to_owned(),
        }
    }

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("4096", "4096"),
            ("4096B", "4096"),
            ("4KiB", "4096"),
            ("4 KiB", "4096"),
            ("1MiB", "1048576"),
            ("4KB", "nearest 4KiB"),
            ("4k", "nearest 4KiB"),
            ("2mb", "nearest 2MiB"),
            ("4096x", "nearest 4096B"),
            ("1000", "nearest 1KiB"),
            ("2GiB", "nearest 1MiB"),
            ("99999999999999999999", "nearest 1MiB"),
            ("", "rejected"),
            ("KiB", "rejected"),
            ("-1", "rejected"),
            ("+4096", "rejected"),
            ("1.5KiB", "rejected"),
        ] {
            assert_eq!(show(size(text, 1024..=1 << 20)), expected, "{text}");
        }
    }

    #[test]
    fn powers_of_two() {
        for (text, expected) in [
            ("2MiB", "2097152"),
            ("3MiB", "nearest 4MiB"),
            ("5000", "nearest 8KiB"),
            ("2KiB", "nearest 4KiB"),
            ("1GiB", "nearest 64MiB"),
            ("60MiB", "nearest 64MiB"),
        ] {
            assert_eq!(show(power_of_two(text, 4096..=64 << 20)), expected, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, expected) in [
            ("1500ms", "1.5s"),
            ("30s", "30s"),
            ("5m", "300s"),
            ("2h", "7200s"),
            ("30", "nearest 30s"),
            ("30sec", "nearest 30s"),
            ("5min", "nearest 5m"),
            ("1msec", "nearest 1ms"),
            ("0s", "nearest 1ms"),
            ("100h", "nearest 24h"),
            ("s", "rejected"),
            ("five minutes", "rejected"),
        ] {
            let range = Duration::from_millis(1)..=Duration::from_secs(86_400);
            assert_eq!(show(duration(text, range)), expected, "{text}");
        }
        for (text, expected) in
            [("0", "0ns"), ("0s", "0ns"), ("6h", "21600s"), ("500ms", "nearest 1s"), ("6", "nearest 6s")]
        {
            let range = Duration::from_secs(1)..=Duration::from_secs(86_400);
            assert_eq!(show(duration_or_zero(text, range)), expected, "{text}");
        }
    }

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("127.0.0.1:9440", "127.0.0.1:9440"),
            ("[::1]:1", "[::1]:1"),
            ("0.0.0.0", "nearest 0.0.0.0:9440"),
            ("::1", "nearest [::1]:9440"),
            (":9440", "nearest 127.0.0.1:9440"),
            ("9440", "nearest 127.0.0.1:9440"),
            ("localhost:9440", "nearest 127.0.0.1:9440"),
            ("example:99999", "rejected"),
        ] {
            assert_eq!(show(socket_address(text)), expected, "{text}");
        }
    }

    #[test]
    fn switches_and_counts() {
        for (text, expected) in [
            ("true", "true"),
            ("false", "false"),
            ("yes", "true"),
            ("off", "false"),
            ("True", "true"),
            ("1", "true"),
            ("flase", "nearest false"),
            ("7", "rejected"),
        ] {
            assert_eq!(show(switch(text)), expected, "{text}");
        }
        for (text, expected) in [("1", "1"), ("0", "nearest 1"), ("11", "nearest 10"), ("x", "rejected")] {
            assert_eq!(show(count(text, 1..=10)), expected, "{text}");
        }
        for (text, expected) in [
            ("0", "\"0\""),
            ("0.25", "\"0.25\""),
            ("1.0", "\"1.0\""),
            (".5", "\".5\""),
            ("1.01", "nearest 1"),
            ("25", "nearest 1"),
            ("", "rejected"),
            (".", "rejected"),
            ("nan", "rejected"),
            ("-0.1", "rejected"),
            ("1e-3", "rejected"),
        ] {
            assert_eq!(show(ratio(text)), expected, "{text}");
        }
    }

    #[test]
    fn log_filters() {
        for (text, expected) in [
            ("info", "\"info\""),
            ("WARN", "\"WARN\""),
            ("info,redtap::flow=debug", "\"info,redtap::flow=debug\""),
            ("inof", "nearest info"),
            ("info,redtap=debgu", "nearest info,redtap=debug"),
            ("redtap", "rejected"),
            ("", "rejected"),
        ] {
            assert_eq!(show(log_filter(text)), expected, "{text}");
        }
    }
}
