use std::collections::HashSet;

use super::*;

/// The translation of the OpenTelemetry specification, without its `_total`.
fn translated(otel: &str, unit: Unit) -> String {
    let mut name = otel.replace('.', "_");
    if let Some(suffix) = unit.suffix()
        && !name.split('_').any(|token| token == suffix)
    {
        name = format!("{name}_{suffix}");
    }
    name
}

#[test]
fn prometheus_names_are_the_translated_ones() {
    for metric in METRICS {
        if let Some(otel) = metric.otel {
            assert_eq!(metric.prometheus, translated(otel, metric.unit));
        }
        if let Some(suffix) = metric.unit.suffix() {
            assert!(metric.prometheus.ends_with(&format!("_{suffix}")), "{}", metric.prometheus);
        }
    }
}

#[test]
fn labels_are_the_translated_ones() {
    for attribute in ATTRIBUTES {
        let own = attribute.otel.strip_prefix("redtap.");
        assert_eq!(attribute.label, own.unwrap_or(attribute.otel).replace('.', "_"));
    }
}

#[test]
fn names_are_given_once() {
    let metrics: HashSet<_> = METRICS.iter().map(|metric| metric.prometheus).collect();
    assert_eq!(metrics.len(), METRICS.len());
    let labels: HashSet<_> = ATTRIBUTES.iter().map(|attribute| attribute.label).collect();
    assert_eq!(labels.len(), ATTRIBUTES.len());
}

#[test]
fn names_become_labels() {
    for (name, expected) in [
        ("host.name", "host_name"),
        ("deployment.environment.name", "deployment_environment_name"),
        ("a..b-c", "a_b_c"),
        ("1st", "key_1st"),
        (".hidden", "key_hidden"),
        ("größe", "gr_e"),
    ] {
        assert_eq!(label(name), expected, "{name}");
    }
}
