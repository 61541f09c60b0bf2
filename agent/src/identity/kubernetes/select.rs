//! Which labels and annotations of pods are kept.

use std::{collections::BTreeMap, sync::Arc};

use wildmatch::WildMatch;

/// Labels of one pod that are kept, and annotations as well; those after them, in the order of their keys, are
/// not.
const MAX_CHOSEN: usize = 64;

/// Bytes of a value that are kept: an annotation may have 256 KiB.
const MAX_VALUE: usize = 1024;

/// Patterns of keys: `*` is any text, `?` any character.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    labels: Vec<WildMatch>,
    annotations: Vec<WildMatch>,
}

impl Selection {
    /// The labels and the annotations whose keys match one of these each.
    #[must_use]
    pub fn new<'a>(
        labels: impl IntoIterator<Item = &'a str>,
        annotations: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self {
            labels: labels.into_iter().map(WildMatch::new).collect(),
            annotations: annotations.into_iter().map(WildMatch::new).collect(),
        }
    }

    pub(super) fn labels(&self, of: &BTreeMap<String, String>) -> Vec<(Arc<str>, Arc<str>)> {
        chosen(of, "k8s.pod.label.", |key| matches(&self.labels, key).then_some(key))
    }

    pub(super) fn annotations(&self, of: &BTreeMap<String, String>) -> Vec<(Arc<str>, Arc<str>)> {
        chosen(of, "k8s.pod.annotation.", |key| matches(&self.annotations, key).then_some(key))
    }
}

/// The annotations that set attributes of the resource, by the attributes' names.
pub(super) fn resource(annotations: &BTreeMap<String, String>) -> Vec<(Arc<str>, Arc<str>)> {
    chosen(annotations, "", |key| {
        key.strip_prefix("resource.opentelemetry.io/").filter(|attribute| !attribute.is_empty())
    })
}

fn matches(patterns: &[WildMatch], key: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(key))
}

fn chosen(
    of: &BTreeMap<String, String>,
    prefix: &str,
    choose: impl Fn(&str) -> Option<&str>,
) -> Vec<(Arc<str>, Arc<str>)> {
    let chosen =
        of.iter().filter_map(|(key, value)| Some((format!("{prefix}{}", choose(key)?).into(), cut(value))));
    chosen.take(MAX_CHOSEN).collect()
}

/// A value, or its beginning.
pub(super) fn cut(value: &str) -> Arc<str> {
    value.get(..value.floor_char_boundary(MAX_VALUE)).unwrap_or(value).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(keys: &[&str]) -> BTreeMap<String, String> {
        keys.iter().map(|key| ((*key).to_owned(), format!("of {key}"))).collect()
    }

    #[test]
    fn keys_are_chosen_by_name_and_pattern() {
        let keys = ["app", "app.kubernetes.io/name", "tier", "team/owner"];
        for (patterns, expected) in [
            (&[][..], &[][..]),
            (&["tier"], &["tier"]),
            (&["app*"], &["app", "app.kubernetes.io/name"]),
            (&["t???", "team/*"], &["team/owner", "tier"]),
            (&["*"], &["app", "app.kubernetes.io/name", "team/owner", "tier"]),
            (&["Tier", "none", ""], &[]),
        ] {
            let selection = Selection::new(patterns.iter().copied(), patterns.iter().copied());
            let named = |prefix: &str| -> Vec<(Arc<str>, Arc<str>)> {
                let pair = |key: &&str| (format!("{prefix}{key}").into(), format!("of {key}").into());
                expected.iter().map(pair).collect()
            };
            assert_eq!(selection.labels(&map(&keys)), named("k8s.pod.label."), "{patterns:?}");
            assert_eq!(selection.annotations(&map(&keys)), named("k8s.pod.annotation."), "{patterns:?}");
        }
    }

    #[test]
    fn attributes_are_set_by_annotations() {
        let annotations =
            ["resource.opentelemetry.io/service.name", "resource.opentelemetry.io/", "resource/x", "a"];
        let resource = resource(&map(&annotations));
        assert_eq!(resource, [("service.name".into(), "of resource.opentelemetry.io/service.name".into())]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let many: BTreeMap<_, _> = (0..1000).map(|number| (format!("k{number:04}"), "é".repeat(4000))).collect();
        let labels = Selection::new(["*"], []).labels(&many);
        assert_eq!(labels.len(), MAX_CHOSEN);
        assert!(labels.iter().all(|(_, value)| value.len() == MAX_VALUE));
        assert_eq!(&*labels[0].0, "k8s.pod.label.k0000");
    }
}
