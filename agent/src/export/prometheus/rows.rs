//! Families of series that are told apart by names: what two names that read alike measured is one sample.

use std::{
    borrow::Cow,
    fmt,
    hash::{BuildHasher as _, RandomState},
};

use hashbrown::HashTable;

use super::{
    exposition::{Exposition, HistogramView, Samples, Value},
    labels,
};
use crate::{
    net::Merge,
    red::{Bounds, Histogram},
    semconv::{Attribute, Kind, Metric},
};

/// Label sets, no two of them alike, and what was measured under each.
pub struct Rows<'a, V: Clone>(Vec<(String, Cow<'a, V>)>);

impl<'a, V: Clone + Merge> Rows<'a, V> {
    /// Takes measurements of the same label set together. A series and a peer may bear one name for different
    /// reasons, and a page must not have a sample twice.
    pub fn new(all: impl IntoIterator<Item = (String, &'a V)>) -> Self {
        let mut rows: Vec<(String, Cow<'a, V>)> = Vec::new();
        let mut places: HashTable<usize> = HashTable::new();
        let state = RandomState::new();
        for (labels, value) in all {
            let hash = state.hash_one(&labels);
            let known = places.find(hash, |place| rows.get(*place).is_some_and(|row| row.0 == labels)).copied();
            match known.and_then(|place| rows.get_mut(place)) {
                Some((_, sum)) => sum.to_mut().merge(value),
                None => {
                    let rehash = |place: &usize| rows.get(*place).map_or(0, |row| state.hash_one(&row.0));
                    places.insert_unique(hash, rows.len(), rehash);
                    rows.push((labels, Cow::Borrowed(value)));
                }
            }
        }
        Self(rows)
    }

    /// A family with a sample for each row.
    pub fn numbers(&self, metric: &Metric, value: impl Fn(&V) -> Value, out: &mut dyn Exposition) -> fmt::Result {
        self.some_numbers(metric, |row| Some(value(row)), out)
    }

    /// A family with a sample for each row that `value` has one for.
    pub fn some_numbers(
        &self,
        metric: &Metric,
        value: impl Fn(&V) -> Option<Value>,
        out: &mut dyn Exposition,
    ) -> fmt::Result {
        let rows = || self.0.iter().filter_map(|(labels, row)| Some((labels, value(row)?)));
        if rows().next().is_none() {
            return Ok(());
        }
        out.family(metric, &mut |samples| {
            rows().try_for_each(|(labels, value)| number(metric, labels, value, samples))
        })
    }

    /// A family with a sample for each row and each value of `attribute` that `values` has one for, in the order of
    /// `names`.
    pub fn numbers_by<const N: usize>(
        &self,
        metric: &Metric,
        attribute: Attribute,
        names: [&str; N],
        values: impl Fn(&V) -> [Option<Value>; N],
        out: &mut dyn Exposition,
    ) -> fmt::Result {
        if self.0.iter().all(|(_, row)| values(row).iter().all(Option::is_none)) {
            return Ok(());
        }
        out.family(metric, &mut |samples| {
            let mut set = String::new();
            for (labels, row) in &self.0 {
                for (name, value) in names.iter().zip(values(row)) {
                    let Some(value) = value else { continue };
                    set.clone_from(labels);
                    labels::push(&mut set, attribute, name);
                    number(metric, &set, value, samples)?;
                }
            }
            Ok(())
        })
    }

    /// A family of the histograms that observed anything.
    pub fn histograms<const N: usize>(
        &self,
        metric: &Metric,
        bounds: &'static Bounds<N>,
        histogram: impl Fn(&V) -> &Histogram<N>,
        out: &mut dyn Exposition,
    ) -> fmt::Result {
        let rows = || self.0.iter().filter(|(_, row)| histogram(row).count > 0);
        if rows().next().is_none() {
            return Ok(());
        }
        out.family(metric, &mut |samples| {
            rows().try_for_each(|(labels, row)| {
                samples.histogram(labels, &HistogramView::new(bounds, histogram(row)))
            })
        })
    }
}

/// A count, if it is one.
pub fn some(count: u64) -> Option<Value> {
    (count > 0).then_some(Value::Integer(count))
}

fn number(metric: &Metric, labels: &str, value: Value, samples: &mut dyn Samples) -> fmt::Result {
    match metric.kind {
        Kind::Counter => samples.counter(labels, value),
        Kind::Gauge | Kind::Histogram | Kind::Info => samples.gauge(labels, value),
    }
}
