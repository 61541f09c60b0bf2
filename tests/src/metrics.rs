//! A scrape of `/metrics`, and the books.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::http;

/// Label names and values of a sample.
pub type Labels = BTreeMap<String, String>;

/// All samples of one scrape.
#[derive(Debug, Default)]
pub struct Scrape {
    samples: Vec<(String, Labels, f64)>,
}

impl Scrape {
    /// Scrapes an agent.
    ///
    /// # Panics
    /// When it does not answer, not with 200, or not in the text format.
    #[must_use]
    pub fn of(agent: SocketAddr) -> Self {
        let answer = http::get(agent, "/metrics").expect("an answer to a scrape");
        assert_eq!(answer.status, 200, "scrape: {}", answer.body);
        Self::parse(&answer.body)
    }

    /// Reads the Prometheus text format (0.0.4) or OpenMetrics.
    ///
    /// # Panics
    /// On a line that is neither sample nor comment.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self { samples: lines.map(|line| sample(line).unwrap_or_else(|| panic!("no sample: {line}"))).collect() }
    }

    /// The samples called `name` whose labels include `labels`.
    pub fn find<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = (&'a Labels, f64)> + 'a {
        self.samples.iter().filter_map(move |(sample, has, value)| {
            let fits = labels.iter().all(|(key, value)| has.get(*key).is_some_and(|label| label == value));
            (sample == name && fits).then_some((has, *value))
        })
    }

    /// All samples.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Labels, f64)> {
        self.samples.iter().map(|(name, labels, value)| (name.as_str(), labels, *value))
    }

    /// The sum of the samples called `name` whose labels include `labels`; 0 if there is none.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).fold(0.0, |sum, (_, value)| sum + value)
    }

    /// What the agent says that it lost of what passed, by the labels.
    #[must_use]
    pub fn dropped(&self) -> Vec<(String, f64)> {
        let all = self.find("redtap_dropped_total", &[]).filter(|(_, count)| *count > 0.0);
        all.map(|(labels, count)| (format!("{labels:?}"), count)).collect()
    }

    /// [`Scrape::sum`] of a counter.
    ///
    /// # Panics
    /// When it is no whole number.
    #[must_use]
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let sum = self.sum(name, labels);
        assert!(sum >= 0.0 && sum.fract() == 0.0, "{name} {labels:?} counts {sum}");
        format!("{sum:.0}").parse().expect("a whole number")
    }

    /// Whether there is a sample called `name`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.find(name, &[]).next().is_some()
    }

    /// Every label value of every sample, with the sample's name and the label's.
    pub fn label_values(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.samples.iter().flat_map(|(name, labels, _)| {
            labels.iter().map(move |(label, value)| (name.as_str(), label.as_str(), value.as_str()))
        })
    }

    /// Asserts that every segment is accounted for.
    ///
    /// # Panics
    /// When one is not, or one is twice.
    pub fn assert_books(&self) {
        let seen = self.count("redtap_segments_total", &[]);
        let accounted = self.count("redtap_segments_accounted_total", &[]);
        let dropped = self.count("redtap_dropped_total", &[("unit", "segment")]);
        let pending = self.count("redtap_segments_pending", &[]);
        assert_eq!(
            seen,
            accounted + dropped + pending,
            "the books do not close: {seen} segments, {accounted} accounted for, {dropped} dropped, {pending} pending"
        );
    }
}

fn sample(line: &str) -> Option<(String, Labels, f64)> {
    let name_end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = Labels::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (key, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.insert(key.to_owned(), value);
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some((name.to_owned(), labels, value))
}

/// A label value up to its closing quote, and what follows that.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                escaped => escaped,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::Scrape;

    #[test]
    fn samples_with_and_without_labels() {
        let scrape =
            Scrape::parse("# TYPE a counter\na{x=\"1\",y=\"q\\\"}\"} 3\na{x=\"2\"} 4 # {trace=\"1\"} 1\nb 0.5\n");
        assert_eq!(scrape.count("a", &[]), 7);
        assert_eq!(scrape.count("a", &[("y", "q\"}")]), 3);
        assert!((scrape.sum("b", &[]) - 0.5).abs() < f64::EPSILON);
        assert!(!scrape.has("c"));
    }

    #[test]
    #[should_panic(expected = "the books do not close: 10 segments")]
    fn a_lost_segment_is_noticed() {
        let text = "redtap_segments_total{direction=\"ingress\"} 10\nredtap_segments_accounted_total{as=\"parsed\"} 8\n\
                    redtap_dropped_total{unit=\"segment\",reason=\"x\"} 1\nredtap_dropped_total{unit=\"event\"} 1\n\
                    redtap_segments_pending 0\n";
        Scrape::parse(text).assert_books();
    }
}
