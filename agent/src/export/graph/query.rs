//! The parameters of a request for a graph.

use std::time::{Duration, SystemTime};

use regex::{Regex, RegexBuilder};

/// Memory that a compiled pattern may take, and its cache likewise: far more than a list of names needs.
const PATTERN_BYTES: usize = 1 << 20;

/// How deep a pattern may nest.
const PATTERN_DEPTH: u32 = 50;

/// Longest value that is repeated in a message.
const QUOTED: usize = 100;

/// What to show of a graph. The default shows all of it.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Only what was last seen after this moment.
    from: Option<SystemTime>,
    /// Only what was last seen before this moment.
    to: Option<SystemTime>,
    /// Either end's namespace matches.
    namespace: Option<Regex>,
    /// An address or a name of either end matches.
    include: Option<Regex>,
    /// No address and no name of either end matches.
    exclude: Option<Regex>,
    /// What the numbers are about.
    pub statistic: Statistic,
}

/// What the numbers of k8spacket's graph are about: `stats-type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Statistic {
    /// `connection`: how many connections, how many of them long.
    #[default]
    Connection,
    /// `bytes`: how much goes each way.
    Bytes,
    /// `duration`: how long connections last.
    Duration,
}

/// A parameter's value is none that it can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parameter {name} is {value:?}, which is not {expected}")]
pub struct Invalid {
    /// The parameter.
    pub name: &'static str,
    /// Its value, cut if it is long.
    pub value: String,
    /// What it should be, and what is wrong with it if that can be told.
    pub expected: String,
}

/// What a [`Query`] looks at.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// When it was last seen.
    pub last_seen: SystemTime,
    /// Namespaces of both ends.
    pub namespaces: [&'a str; 2],
    /// Addresses and names of both ends.
    pub texts: [&'a str; 4],
}

impl Query {
    /// Takes the query part of a URL apart. Parameters that nobody knows are passed over (Grafana adds its own), empty
    /// ones are as if not given, and the first of several counts.
    ///
    /// # Errors
    /// [`Invalid`], for the first value that is.
    pub fn parse(text: Option<&str>) -> Result<Self, Invalid> {
        let parameters: Vec<_> = form_urlencoded::parse(text.unwrap_or_default().as_bytes()).collect();
        let get = |name: &'static str| {
            let (_, value) = parameters.iter().find(|(key, _)| key == name)?;
            (!value.is_empty()).then_some((name, &**value))
        };
        Ok(Self {
            from: get("from").map(moment).transpose()?,
            to: get("to").map(moment).transpose()?,
            namespace: get("namespace").map(pattern).transpose()?,
            include: get("include").map(pattern).transpose()?,
            exclude: get("exclude").map(pattern).transpose()?,
            statistic: get("stats-type").map(statistic).transpose()?.unwrap_or_default(),
        })
    }

    /// Whether to show it.
    #[must_use]
    pub fn admits(&self, subject: &Subject<'_>) -> bool {
        self.admits_time(subject.last_seen) && self.admits_text(subject)
    }

    /// Whether to show it, going by names and addresses alone.
    #[must_use]
    pub fn admits_text(&self, subject: &Subject<'_>) -> bool {
        let any = |pattern: &Regex, texts: &[&str]| texts.iter().any(|text| pattern.is_match(text));
        self.namespace.as_ref().is_none_or(|pattern| any(pattern, &subject.namespaces))
            && self.include.as_ref().is_none_or(|pattern| any(pattern, &subject.texts))
            && !self.exclude.as_ref().is_some_and(|pattern| any(pattern, &subject.texts))
    }

    /// Whether to show what was last seen at `moment`, going by that alone.
    #[must_use]
    pub fn admits_time(&self, moment: SystemTime) -> bool {
        self.from.is_none_or(|from| moment > from) && self.to.is_none_or(|to| moment < to)
    }

    /// Whether it goes by names or addresses at all.
    #[must_use]
    pub const fn has_patterns(&self) -> bool {
        self.namespace.is_some() || self.include.is_some() || self.exclude.is_some()
    }
}

fn moment((name, value): (&'static str, &str)) -> Result<SystemTime, Invalid> {
    let parsed = value.parse().ok().and_then(|milliseconds: i64| {
        let distance = Duration::from_millis(milliseconds.unsigned_abs());
        if milliseconds < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(distance)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(distance)
        }
    });
    parsed.ok_or_else(|| Invalid::new(name, value, "a time in milliseconds since 1970"))
}

fn pattern((name, value): (&'static str, &str)) -> Result<Regex, Invalid> {
    let mut builder = RegexBuilder::new(value);
    builder.size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES).nest_limit(PATTERN_DEPTH);
    builder.build().map_err(|error| {
        // The text is a drawing of several lines; what is wrong is said in the last one.
        let text = error.to_string();
        let reason = text.lines().next_back().unwrap_or_default().trim_start_matches("error: ");
        Invalid::new(name, value, format!("a regular expression that can be used: {}", lower_first(reason)))
    })
}

fn statistic((name, value): (&'static str, &str)) -> Result<Statistic, Invalid> {
    match value {
        "connection" => Ok(Statistic::Connection),
        "bytes" => Ok(Statistic::Bytes),
        "duration" => Ok(Statistic::Duration),
        _ => Err(Invalid::new(name, value, "connection, bytes or duration")),
    }
}

fn lower_first(text: &str) -> String {
    let mut characters = text.trim_end_matches('.').chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

impl Invalid {
    fn new(name: &'static str, value: &str, expected: impl Into<String>) -> Self {
        let mut quoted: String = value.chars().take(QUOTED).collect();
        if quoted.len() < value.len() {
            quoted.push('…');
        }
        Self { name, value: quoted, expected: expected.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)
    }

    #[test]
    fn what_is_shown() {
        let subject = Subject {
            last_seen: at(5_000),
            namespaces: ["shop", "default"],
            texts: ["10.0.0.1", "web", "10.0.0.2", "cart+db"],
        };
        for (query, shown) in [
            (None, true),
            (Some(""), true),
            (Some("from=4999&to=5001"), true),
            (Some("from=5000"), false),
            (Some("to=5000"), false),
            (Some("from=&to=&namespace=&include=&exclude=&stats-type="), true),
            (Some("from=-1&var-x=(&refId=A&refId"), true),
            (Some("namespace=^shop$"), true),
            (Some("namespace=^def"), true),
            (Some("namespace=other"), false),
            (Some("include=WEB"), false),
            (Some("include=(?i)WEB"), true),
            (Some("include=^10%5C.0%5C.0%5C.2$"), true),
            (Some("include=cart%5C%2B"), true),
            (Some("include=a+b"), false),
            (Some("exclude=cart"), false),
            (Some("exclude=none"), true),
            (Some("include=web&exclude=web"), false),
            (Some("include=web&include=none"), true),
        ] {
            assert_eq!(Query::parse(query).unwrap().admits(&subject), shown, "{query:?}");
        }
    }

    #[test]
    fn what_is_not_valid() {
        let long = format!("to={}", "9".repeat(200));
        let nested = format!("include={}", "(".repeat(60) + &")".repeat(60));
        let long_quoted = format!("{}…", "9".repeat(100));
        for (query, name, value, expected) in [
            ("from=now-1h", "from", "now-1h", "a time in milliseconds since 1970"),
            ("from=1.5", "from", "1.5", "a time in milliseconds since 1970"),
            (long.as_str(), "to", long_quoted.as_str(), "a time in milliseconds since 1970"),
            ("include=a%28", "include", "a(", "a regular expression that can be used: unclosed group"),
            (
                "exclude=*",
                "exclude",
                "*",
                "a regular expression that can be used: repetition operator missing expression",
            ),
            (
                "namespace=(a{1000}){1000}",
                "namespace",
                "(a{1000}){1000}",
                "a regular expression that can be used: compiled regex exceeds size limit of 1048576 bytes",
            ),
            ("stats-type=Bytes", "stats-type", "Bytes", "connection, bytes or duration"),
        ] {
            let invalid = Query::parse(Some(query)).unwrap_err();
            assert_eq!(
                invalid,
                Invalid { name, value: value.to_owned(), expected: expected.to_owned() },
                "{query}"
            );
        }
        assert_eq!(Query::parse(Some(&nested)).unwrap_err().name, "include");
        assert_eq!(
            Query::parse(Some("include=a%28%0Ab")).unwrap_err().to_string(),
            "parameter include is \"a(\\nb\", which is not a regular expression that can be used: unclosed group"
        );
    }
}
