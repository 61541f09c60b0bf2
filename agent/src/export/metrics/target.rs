//! `target_info`: what is known of each service beyond its measurements.

use std::{fmt, sync::Arc};

use super::{Attributes, Point, Sink, Value};
use crate::{
    export::{page::Page, resource::Resource},
    semconv::{self, Attribute},
};

/// The attributes that all services of this host share, with their names as labels.
#[derive(Clone, Debug, Default)]
pub struct Target {
    common: Vec<(Attribute, Arc<str>)>,
    resource: Arc<Resource>,
}

impl Target {
    /// Those of `resource`. Names that the user gave become static: make one for the life of the agent.
    #[must_use]
    pub fn new(resource: Arc<Resource>) -> Self {
        let common = resource.common.iter();
        let common = common.map(|(name, value)| (attribute(name), Arc::clone(value))).collect();
        Self { common, resource }
    }
}

/// The attribute of a name that the conventions or the user gave.
fn attribute(name: &str) -> Attribute {
    let known = semconv::ATTRIBUTES.iter().find(|attribute| attribute.otel == name);
    known.copied().unwrap_or_else(|| Attribute { otel: kept(name.to_owned()), label: kept(label(name)) })
}

fn kept(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// A label's name (OpenTelemetry specification, "Prometheus and OpenMetrics compatibility", metric attributes).
fn label(name: &str) -> String {
    let mut label = String::with_capacity(name.len());
    for character in name.chars() {
        let character = if character.is_ascii_alphanumeric() { character } else { '_' };
        if character != '_' || !label.ends_with('_') {
            label.push(character);
        }
    }
    match label.chars().next() {
        Some(first) if first.is_ascii_digit() => format!("key_{label}"),
        Some('_') => format!("key{label}"),
        _ => label,
    }
}

/// Writes the family.
pub fn write(page: &Page, out: &mut dyn Sink) -> fmt::Result {
    let mut names: Vec<_> = page.red.services.values().chain(page.net.services.values()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Ok(());
    }
    out.family(&semconv::TARGET, &mut |points| {
        names.iter().try_for_each(|name| {
            let mut all = Attributes::of([(semconv::SERVICE_NAME, *name)]);
            all.push(semconv::SERVICE_INSTANCE_ID, page.target.resource.instance(name));
            page.target.common.iter().for_each(|(attribute, value)| all.push(*attribute, value));
            points.number(Point { attributes: &all, start: page.started }, Value::Integer(1))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
