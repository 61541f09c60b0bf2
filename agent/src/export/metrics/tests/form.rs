//! What holds for every page, whatever is on it.

use super::*;

/// A page with every family.
fn page() -> Page {
    Page { net: net::snapshot(), ..super::page() }
}

/// The samples of a page, labels in order.
fn samples(page: &str) -> std::collections::BTreeSet<String> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.map(|line| {
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
        let labels = labels.strip_suffix("\"}").unwrap_or_default();
        let mut labels: Vec<&str> = labels.split("\",").collect();
        labels.sort_unstable();
        format!("{name} {labels:?} {}", value.parse::<f64>().unwrap())
    });
    samples.collect()
}

#[test]
fn both_formats_have_the_same_samples() {
    let (text, openmetrics) = (encode(&page(), Format::Text), encode(&page(), Format::OpenMetrics));
    assert_eq!(samples(&text), samples(&openmetrics));
}

/// What every reader relies on: no family twice, its samples together, no sample twice, numbers where numbers belong.
#[test]
fn pages_are_well_formed() {
    for format in [Format::Text, Format::OpenMetrics] {
        let text = encode(&page(), format);
        let mut families = std::collections::HashSet::new();
        let mut samples = std::collections::HashSet::new();
        let mut family = String::new();
        assert_eq!(text.ends_with("# EOF\n"), format == Format::OpenMetrics);
        for line in text.lines().filter(|line| *line != "# EOF") {
            if let Some(comment) = line.strip_prefix("# ") {
                let (kind, rest) = comment.split_once(' ').unwrap();
                let (name, _) = rest.split_once(' ').unwrap();
                if kind == "HELP" {
                    assert!(families.insert(name.to_owned()), "{line}");
                    family = name.to_owned();
                }
                assert_eq!(name, family, "{line}");
                continue;
            }
            let (sample, value) = line.rsplit_once(' ').unwrap();
            assert!(sample.starts_with(&family), "{line} is not of {family}");
            assert!(value.parse::<f64>().is_ok_and(|value| value >= 0.0), "{line}");
            assert!(samples.insert(sample.to_owned()), "{line} twice");
        }
    }
}

#[test]
fn the_books_close_as_they_are_written() {
    let text = encode(&page(), Format::Text);
    let sum = |start: &str| -> u64 {
        let lines = text.lines().filter(|line| line.starts_with(start));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
    };
    let parts = sum("redtap_segments_accounted_total{")
        + sum("redtap_dropped_total{unit=\"segment\"")
        + sum("redtap_segments_pending ");
    assert_eq!(sum("redtap_segments_total{"), parts);
    assert_ne!(parts, 0);
}
