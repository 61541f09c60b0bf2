//! Which attributes a metric has: all, unless the configuration says otherwise.
//!
//! A list is made of patterns `METRIC:ATTRIBUTE`, separated by commas or spaces, with `*` and `?` in either half. Names are
//! OpenTelemetry's or Prometheus' (`http.server.request.duration`, `http_server_request_duration_seconds`, with or without
//! `_total`, `_info`, `_bucket`, `_count` and `_sum`). A metric that the list of inclusions names has the attributes
//! named there for it and no others; what the list of exclusions names, it has not in any case.
//!
//! Points that no longer differ are for whoever applies a [`Rule`] to add up.

use std::collections::HashMap;

use wildmatch::WildMatch;

use crate::{
    config::value::{self, Rejected},
    semconv::{self, ATTRIBUTES, Attribute, Kind, METRICS, Metric},
};

/// Patterns that a list may have: each costs a comparison with every name, once.
const MAX_PATTERNS: usize = 1_000;

/// The label of a histogram's buckets. No attribute, but a list of exclusions may name it.
const BUCKET: &str = "le";

/// What both lists say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
    /// By the Prometheus name, of those metrics that lose something.
    rules: HashMap<&'static str, Rule>,
}

/// What a metric loses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    dropped: Vec<Attribute>,
    drops_buckets: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    metric: String,
    attribute: String,
}

impl Selection {
    /// Of two lists; an empty one says nothing.
    ///
    /// # Errors
    /// If a list has a pattern that is none, or that fits no metric, or no attribute, of ours.
    pub fn parse(include: &str, exclude: &str) -> Result<Self, Rejected> {
        let mut selection = Self::default();
        selection.set_include(include)?;
        selection.set_exclude(exclude)?;
        Ok(selection)
    }

    /// Replaces the list of inclusions.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn set_include(&mut self, list: &str) -> Result<(), Rejected> {
        self.include = patterns(list)?;
        self.rules = rules(&self.include, &self.exclude);
        Ok(())
    }

    /// Replaces the list of exclusions.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn set_exclude(&mut self, list: &str) -> Result<(), Rejected> {
        self.exclude = patterns(list)?;
        self.rules = rules(&self.include, &self.exclude);
        Ok(())
    }

    /// What `metric` loses; `None`: nothing.
    #[must_use]
    pub fn of(&self, metric: &'static Metric) -> Option<Rule> {
        self.rules.get(metric.prometheus).cloned()
    }

    /// Whether no metric loses anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl Rule {
    /// Whether the metric has this attribute.
    #[must_use]
    pub fn keeps(&self, attribute: Attribute) -> bool {
        !self.dropped.contains(&attribute)
    }

    /// Whether a histogram has its buckets, and not its count and sum alone: an exclusion of `le` takes them.
    #[must_use]
    pub const fn keeps_buckets(&self) -> bool {
        !self.drops_buckets
    }
}

impl Pattern {
    fn fits_metric(&self, metric: &Metric) -> bool {
        let pattern = WildMatch::new(&self.metric);
        names(metric).iter().any(|name| pattern.matches(name))
    }

    fn fits_attribute(&self, attribute: Attribute) -> bool {
        let pattern = WildMatch::new(&self.attribute);
        pattern.matches(attribute.otel) || pattern.matches(attribute.label)
    }

    /// Only by its very name: whoever writes `*` thinks of attributes.
    fn names_buckets(&self) -> bool {
        self.attribute == BUCKET
    }
}

/// All names under which people know a metric.
fn names(metric: &Metric) -> Vec<String> {
    let suffixes: &[&str] = match metric.kind {
        Kind::Counter => &["", "_total"],
        Kind::Gauge => &[""],
        Kind::Histogram => &["", "_bucket", "_count", "_sum"],
        Kind::Info => &["", "_info"],
    };
    let prometheus = suffixes.iter().map(|suffix| format!("{}{suffix}", metric.prometheus));
    prometheus.chain(metric.otel.map(str::to_owned)).collect()
}

fn rules(include: &[Pattern], exclude: &[Pattern]) -> HashMap<&'static str, Rule> {
    let all = METRICS.iter().map(|metric| (metric.prometheus, rule(metric, include, exclude)));
    all.filter(|(_, rule)| *rule != Rule::default()).collect()
}

fn rule(metric: &Metric, include: &[Pattern], exclude: &[Pattern]) -> Rule {
    let of_metric = |patterns: &'_ [Pattern]| -> Vec<Pattern> {
        patterns.iter().filter(|pattern| pattern.fits_metric(metric)).cloned().collect()
    };
    let (include, exclude) = (of_metric(include), of_metric(exclude));
    let is_dropped = |attribute: Attribute| {
        // It marks what the budget refused: without it, the rest would pass for a series like others.
        if attribute == semconv::OTEL_METRIC_OVERFLOW {
            return false;
        }
        // Whose series it is goes only when it is told to go: a list of what to keep of the rest does not mean it.
        let included = include.is_empty()
            || attribute.is_of_service()
            || include.iter().any(|pattern| pattern.fits_attribute(attribute));
        !included || exclude.iter().any(|pattern| pattern.fits_attribute(attribute))
    };
    Rule {
        dropped: ATTRIBUTES.iter().copied().filter(|attribute| is_dropped(*attribute)).collect(),
        drops_buckets: metric.kind == Kind::Histogram && exclude.iter().any(Pattern::names_buckets),
    }
}

fn patterns(list: &str) -> Result<Vec<Pattern>, Rejected> {
    let texts = list.split([',', ' ', '\n', '\t']).filter(|text| !text.is_empty());
    let patterns = texts.map(pattern).collect::<Result<Vec<_>, _>>()?;
    if patterns.len() > MAX_PATTERNS {
        return Err(Rejected::expected(format!("at most {MAX_PATTERNS} patterns")));
    }
    Ok(patterns)
}

fn pattern(text: &str) -> Result<Pattern, Rejected> {
    let Some((metric, attribute)) = text.split_once(':').filter(|(a, b)| !a.is_empty() && !b.is_empty()) else {
        let rejected = Rejected::expected("patterns METRIC:ATTRIBUTE, such as http_server_*:url_scheme");
        return Err(if text.contains(':') { rejected } else { rejected.nearest(format!("*:{text}")) });
    };
    let pattern = Pattern { metric: metric.to_owned(), attribute: attribute.to_owned() };
    if !METRICS.iter().any(|known| pattern.fits_metric(known)) {
        let known = METRICS.iter().flat_map(|known| [Some(known.prometheus), known.otel]).flatten();
        let rejected = Rejected::expected(format!("a metric of redtap's in the pattern {text:?}"));
        return Err(suggest(rejected, value::nearest(metric, known), |name| format!("{name}:{attribute}")));
    }
    let known = ATTRIBUTES.iter().any(|known| pattern.fits_attribute(*known));
    if !known && !pattern.names_buckets() {
        let known = ATTRIBUTES.iter().flat_map(|known| [known.label, known.otel]);
        let rejected = Rejected::expected(format!("an attribute of redtap's in the pattern {text:?}"));
        return Err(suggest(rejected, value::nearest(attribute, known), |name| format!("{metric}:{name}")));
    }
    Ok(pattern)
}

fn suggest(rejected: Rejected, nearest: Option<&str>, pattern: impl Fn(&str) -> String) -> Rejected {
    match nearest {
        Some(nearest) => rejected.nearest(pattern(nearest)),
        None => rejected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semconv::{
        DROPPED, HTTP_CLIENT_REQUEST_DURATION, HTTP_REQUEST_METHOD, HTTP_SERVER_REQUEST_DURATION,
        OTEL_METRIC_OVERFLOW, REASON, SERVER_ADDRESS, SERVER_PORT, SERVICE_NAME, TABLE, TABLE_ENTRIES, TCP_BYTES,
        URL_SCHEME,
    };

    /// Which of a few attributes `metric` keeps, by their labels.
    fn kept(include: &str, exclude: &str, metric: &'static Metric) -> String {
        let attributes =
            [SERVICE_NAME, HTTP_REQUEST_METHOD, URL_SCHEME, SERVER_ADDRESS, SERVER_PORT, OTEL_METRIC_OVERFLOW];
        let selection = Selection::parse(include, exclude).unwrap();
        let rule = selection.of(metric);
        let kept = attributes.iter().filter(|attribute| rule.as_ref().is_none_or(|rule| rule.keeps(**attribute)));
        kept.map(|attribute| attribute.label).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_kept() {
        const ALL: &str =
            "service_name http_request_method url_scheme server_address server_port otel_metric_overflow";
        let (server, client) = (&HTTP_SERVER_REQUEST_DURATION, &HTTP_CLIENT_REQUEST_DURATION);
        let without = |label: &str| ALL.replace(&format!("{label} "), "");
        for (include, exclude, metric, expected) in [
            ("", "", server, ALL.to_owned()),
            ("", "http_server_*:url_scheme", server, without("url_scheme")),
            ("", "http_server_*:url_scheme", client, ALL.to_owned()),
            ("", "http.server.request.duration:url.scheme", server, without("url_scheme")),
            ("", "http_server_request_duration_seconds_bucket:url.scheme", server, without("url_scheme")),
            ("", "*:service.name", server, without("service_name")),
            ("", "*:url_scheme", client, without("url_scheme")),
            ("", "*:*", client, "otel_metric_overflow".to_owned()),
            ("", "*:otel.metric.overflow", client, ALL.to_owned()),
            (
                "",
                "http_client*:server_????,\n  *:server.address",
                client,
                "service_name http_request_method url_scheme otel_metric_overflow".to_owned(),
            ),
            ("http_client*:server.*", "", server, ALL.to_owned()),
            (
                "http_client*:server.*",
                "",
                client,
                "service_name server_address server_port otel_metric_overflow".to_owned(),
            ),
            (
                "http_client*:server.*",
                "*:server_port *:service_name",
                client,
                "server_address otel_metric_overflow".to_owned(),
            ),
        ] {
            assert_eq!(kept(include, exclude, metric), expected, "{include:?} {exclude:?}");
        }
    }

    #[test]
    fn the_agents_own_labels_and_buckets() {
        let selection =
            Selection::parse("", "redtap_table_*:table redtap_dropped_total:reason http_*:le").unwrap();
        assert_eq!(selection.of(&TABLE_ENTRIES).map(|rule| rule.keeps(TABLE)), Some(false));
        assert_eq!(selection.of(&DROPPED).map(|rule| rule.keeps(REASON)), Some(false));
        assert_eq!(selection.of(&HTTP_SERVER_REQUEST_DURATION).map(|rule| rule.keeps_buckets()), Some(false));
        assert_eq!(selection.of(&TCP_BYTES), None);
        let all = Selection::parse("", "*:*").unwrap();
        assert_eq!(all.of(&HTTP_SERVER_REQUEST_DURATION).map(|rule| rule.keeps_buckets()), Some(true));
    }

    #[test]
    fn what_is_no_list() {
        for (list, expected, nearest) in [
            (
                "url_scheme",
                "patterns METRIC:ATTRIBUTE, such as http_server_*:url_scheme".to_owned(),
                Some("*:url_scheme"),
            ),
            (":url_scheme", "patterns METRIC:ATTRIBUTE, such as http_server_*:url_scheme".to_owned(), None),
            (
                "*:url_schema",
                r#"an attribute of redtap's in the pattern "*:url_schema""#.to_owned(),
                Some("*:url_scheme"),
            ),
            (
                "redtap_tpc_bytes:peer",
                r#"a metric of redtap's in the pattern "redtap_tpc_bytes:peer""#.to_owned(),
                Some("redtap_tcp_bytes:peer"),
            ),
            ("*:a:b", r#"an attribute of redtap's in the pattern "*:a:b""#.to_owned(), None),
        ] {
            let rejected = Selection::parse("", list).unwrap_err();
            assert_eq!((rejected.expected, rejected.nearest.as_deref()), (expected, nearest), "{list}");
        }
        let long = "*:url_scheme ".repeat(MAX_PATTERNS + 1);
        assert_eq!(Selection::parse(&long, "").unwrap_err().expected, "at most 1000 patterns");
    }
}
