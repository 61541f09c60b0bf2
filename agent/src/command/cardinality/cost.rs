//! What metrics and labels cost, counted in series.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

use serde::Serialize;

use super::page::{Family, Page, Text};
use crate::{export::metrics::Selection, semconv::OTEL_METRIC_OVERFLOW};

/// The label of a histogram's buckets.
pub const BUCKET: &str = "le";

/// What a page costs.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Series on the page, which are its lines.
    pub series: usize,
    /// Sets of attributes: a histogram has several series for each.
    pub sets: usize,
    /// The dearest metric first.
    pub metrics: Vec<MetricCost>,
    /// Labels of all metrics, that first without which the most is saved.
    pub labels: Vec<LabelCost>,
    /// Labels that say the same on every series that they are on.
    pub constant: Vec<Constant>,
    /// Labels that tell nothing once another is told.
    pub redundant: Vec<Redundant>,
}

/// What a metric costs.
#[derive(Debug, Serialize)]
pub struct MetricCost {
    /// Name of its family.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Its series.
    pub series: usize,
    /// Its sets of attributes.
    pub sets: usize,
    /// Its labels, that first without which the most is saved.
    pub labels: Vec<LabelCost>,
}

/// What a label costs, on one metric or on all.
#[derive(Debug, Serialize)]
pub struct LabelCost {
    /// Its name.
    pub label: String,
    /// Metrics that have it.
    pub metrics: usize,
    /// How many values it has.
    pub values: usize,
    /// Series that are not there without it.
    pub saves: usize,
    /// What `exclude_attributes` has to say for it; none where it is not redtap's, or has to stay.
    pub exclude: Option<String>,
}

/// A label with one value.
#[derive(Debug, Serialize)]
pub struct Constant {
    /// Its name.
    pub label: String,
    /// Its value.
    pub value: String,
    /// Metrics that have it, and more than one set of attributes.
    pub metrics: usize,
}

/// A label whose value follows from another's.
#[derive(Debug, Serialize)]
pub struct Redundant {
    /// The label that tells.
    pub label: String,
    /// The one that follows from it.
    pub follows: String,
    /// Whether the first follows from the second, too.
    pub identical: bool,
    /// Metrics where it is so; it is nowhere otherwise.
    pub metrics: usize,
    /// Series that are not there without both.
    pub saves_both: usize,
}

/// A family's attribute sets: the labels of its series without that of buckets.
type Sets = HashSet<Vec<(Text, Text)>>;

impl Report {
    /// Counts.
    pub fn new(page: &Page) -> Self {
        let bucket = page.find(BUCKET);
        let families: Vec<_> = page.families.iter().filter(|family| !family.series.is_empty()).collect();
        let all_sets: Vec<Sets> = families.iter().map(|family| sets(family, bucket)).collect();
        let mut metrics: Vec<_> =
            families.iter().zip(&all_sets).map(|(family, sets)| metric(page, family, sets.len())).collect();
        let labels = labels(page, &metrics);
        metrics.sort_by_key(|metric| Reverse(metric.series));
        let informative: Vec<_> = families
            .iter()
            .zip(&all_sets)
            .filter(|(family, sets)| family.kind != "info" && sets.len() > 1)
            .collect();
        let informative: Vec<_> = informative.into_iter().map(|(family, sets)| (*family, sets)).collect();
        Self {
            series: families.iter().map(|family| family.series.len()).sum(),
            sets: all_sets.iter().map(HashSet::len).sum(),
            constant: constant(page, &informative),
            redundant: redundant(page, &informative),
            metrics,
            labels,
        }
    }

    /// Keeps so many rows of each list.
    pub fn truncate(&mut self, rows: usize) {
        self.metrics.truncate(rows);
        self.labels.truncate(rows);
        self.constant.truncate(rows);
        self.redundant.truncate(rows);
        self.metrics.iter_mut().for_each(|metric| metric.labels.truncate(rows));
    }
}

fn sets(family: &Family, bucket: Option<Text>) -> Sets {
    family.series.iter().map(|series| without(&series.labels, &[bucket])).collect()
}

fn without(labels: &[(Text, Text)], names: &[Option<Text>]) -> Vec<(Text, Text)> {
    labels.iter().filter(|(name, _)| !names.contains(&Some(*name))).copied().collect()
}

/// Series that the family has fewer once it lacks these labels: those that differ in nothing else become one.
fn saved(family: &Family, names: &[Option<Text>]) -> usize {
    if !family.series.iter().any(|series| series.labels.iter().any(|(name, _)| names.contains(&Some(*name)))) {
        return 0;
    }
    let left: HashSet<_> =
        family.series.iter().map(|series| (series.name, without(&series.labels, names))).collect();
    family.series.len().saturating_sub(left.len())
}

fn metric(page: &Page, family: &Family, sets: usize) -> MetricCost {
    let mut values: BTreeMap<Text, HashSet<Text>> = BTreeMap::new();
    for (name, value) in family.series.iter().flat_map(|series| &series.labels) {
        values.entry(*name).or_default().insert(*value);
    }
    let labels = values.iter().map(|(name, values)| {
        let label = page.text(*name).to_owned();
        let exclude = exclusion(&family.name, &label);
        LabelCost { label, metrics: 1, values: values.len(), saves: saved(family, &[Some(*name)]), exclude }
    });
    let mut labels: Vec<_> = labels.collect();
    sort(&mut labels);
    MetricCost { name: family.name.clone(), kind: family.kind.clone(), series: family.series.len(), sets, labels }
}

/// The pattern, where it is one.
fn exclusion(metric: &str, label: &str) -> Option<String> {
    let pattern = format!("{metric}:{label}");
    let valid = label != OTEL_METRIC_OVERFLOW.label && Selection::parse("", &pattern).is_ok();
    valid.then_some(pattern)
}

/// Sums over all metrics.
fn labels(page: &Page, metrics: &[MetricCost]) -> Vec<LabelCost> {
    let mut sums: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for cost in metrics.iter().flat_map(|metric| &metric.labels) {
        let (count, saves) = sums.entry(&cost.label).or_default();
        (*count, *saves) = (*count + 1, *saves + cost.saves);
    }
    let mut values: HashMap<&str, HashSet<Text>> = HashMap::new();
    for (name, value) in page.families.iter().flat_map(|family| &family.series).flat_map(|series| &series.labels) {
        values.entry(page.text(*name)).or_default().insert(*value);
    }
    let labels = sums.into_iter().map(|(label, (metrics, saves))| LabelCost {
        label: label.to_owned(),
        metrics,
        values: values.get(label).map_or(0, HashSet::len),
        saves,
        exclude: exclusion("*", label),
    });
    let mut labels: Vec<_> = labels.collect();
    sort(&mut labels);
    labels
}

fn sort(labels: &mut [LabelCost]) {
    labels.sort_by(|a, b| b.saves.cmp(&a.saves).then(b.values.cmp(&a.values)).then(a.label.cmp(&b.label)));
}

fn value_of(set: &[(Text, Text)], label: Text) -> Option<Text> {
    set.iter().find(|(name, _)| *name == label).map(|(_, value)| *value)
}

fn names(sets: &Sets) -> BTreeSet<Text> {
    sets.iter().flatten().map(|(name, _)| *name).collect()
}

/// The one value that the label has on all sets; `None` if it has several, or is not on all.
fn only_value(sets: &Sets, label: Text) -> Option<Text> {
    let mut values = sets.iter().map(|set| value_of(set, label));
    let first = values.next()??;
    values.all(|value| value == Some(first)).then_some(first)
}

fn constant(page: &Page, families: &[(&Family, &Sets)]) -> Vec<Constant> {
    let mut found: BTreeMap<Text, Option<(Text, usize)>> = BTreeMap::new();
    for (_, sets) in families {
        for label in names(sets) {
            let only = only_value(sets, label);
            let known = found.entry(label).or_insert_with(|| only.map(|value| (value, 0)));
            *known = match (*known, only) {
                (Some((value, metrics)), Some(only)) if value == only => Some((value, metrics + 1)),
                _ => None,
            };
        }
    }
    let found = found.into_iter().filter_map(|(label, found)| Some((label, found?)));
    let constants = found.map(|(label, (value, metrics))| Constant {
        label: page.text(label).to_owned(),
        value: page.text(value).to_owned(),
        metrics,
    });
    let mut constants: Vec<_> = constants.collect();
    constants.sort_by(|a, b| b.metrics.cmp(&a.metrics).then(a.label.cmp(&b.label)));
    constants
}

/// How often the value of one label told that of another, over all metrics that have both.
#[derive(Default)]
struct Evidence {
    metrics: usize,
    /// In one metric at least, a value came up again, and the other label had the same value again.
    again: bool,
    refuted: bool,
}

fn redundant(page: &Page, families: &[(&Family, &Sets)]) -> Vec<Redundant> {
    let mut pairs: BTreeMap<(Text, Text), Evidence> = BTreeMap::new();
    for (_, sets) in families {
        let varying: Vec<_> = names(sets).into_iter().filter(|label| only_value(sets, *label).is_none()).collect();
        for a in &varying {
            for b in varying.iter().filter(|b| *b != a) {
                let evidence = pairs.entry((*a, *b)).or_default();
                evidence.metrics += 1;
                match follows(sets, *a, *b) {
                    Some(again) => evidence.again |= again,
                    None => evidence.refuted = true,
                }
            }
        }
    }
    let holds = |a, b| pairs.get(&(a, b)).filter(|evidence| evidence.again && !evidence.refuted);
    let mut found = Vec::new();
    for &(a, b) in pairs.keys() {
        let Some(evidence) = holds(a, b) else { continue };
        let identical = holds(b, a).is_some();
        // Of two that follow from one another, the pair is told once.
        if identical && page.text(a) > page.text(b) {
            continue;
        }
        found.push(Redundant {
            label: page.text(a).to_owned(),
            follows: page.text(b).to_owned(),
            identical,
            metrics: evidence.metrics,
            saves_both: families.iter().map(|(family, _)| saved(family, &[Some(a), Some(b)])).sum(),
        });
    }
    found.sort_by(|a, b| {
        let order = b.identical.cmp(&a.identical).then(b.saves_both.cmp(&a.saves_both));
        order.then(a.label.cmp(&b.label)).then(a.follows.cmp(&b.follows))
    });
    found
}

/// Whether each value of `a` comes with one value of `b`; and if so, whether a value of `a` came more than once, so that it
/// is more than an accident. A label that is missing has that as its value.
fn follows(sets: &Sets, a: Text, b: Text) -> Option<bool> {
    let mut known: HashMap<Option<Text>, Option<Text>> = HashMap::new();
    let mut again = false;
    for set in sets {
        let (from, to) = (value_of(set, a), value_of(set, b));
        match known.insert(from, to) {
            Some(before) if before != to => return None,
            Some(_) => again |= from.is_some(),
            None => {}
        }
    }
    Some(again)
}
