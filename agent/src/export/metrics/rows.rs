//! Families of series that are told apart by names: what two names that read alike measured is one point.

use std::{
    borrow::Cow,
    fmt,
    hash::{BuildHasher as _, RandomState},
};

use hashbrown::HashTable;

use super::{Attributes, HistogramView, Point, Points, Sink, Value};
use crate::{
    red::{Bounds, Histogram, Merge},
    semconv::{Attribute, Metric},
};

/// Sets of attributes, no two of them alike, and what was measured under each.
pub struct Rows<'a, V: Clone>(Vec<Row<'a, V>>);

struct Row<'a, V: Clone> {
    attributes: Attributes,
    start: u64,
    value: Cow<'a, V>,
}

impl<V: Clone> Row<'_, V> {
    const fn point(&self) -> Point<'_> {
        Point { attributes: &self.attributes, start: self.start }
    }
}

impl<'a, V: Clone + Merge> Rows<'a, V> {
    /// Takes measurements of the same attributes together, with the earlier of their starts. A series and a peer may bear
    /// one name for different reasons, and a page must not have a point twice.
    pub fn new(all: impl IntoIterator<Item = (Attributes, u64, &'a V)>) -> Self {
        let mut rows: Vec<Row<'a, V>> = Vec::new();
        let mut places: HashTable<usize> = HashTable::new();
        let state = RandomState::new();
        for (attributes, start, value) in all {
            let hash = state.hash_one(&attributes);
            let is_known = |place: &usize| rows.get(*place).is_some_and(|row| row.attributes == attributes);
            let known = places.find(hash, is_known).copied();
            match known.and_then(|place| rows.get_mut(place)) {
                Some(row) => {
                    row.value.to_mut().merge(value);
                    row.start = row.start.min(start);
                }
                None => {
                    let rehash = |place: &usize| rows.get(*place).map_or(0, |row| state.hash_one(&row.attributes));
                    places.insert_unique(hash, rows.len(), rehash);
                    rows.push(Row { attributes, start, value: Cow::Borrowed(value) });
                }
            }
        }
        Self(rows)
    }
}

impl<'a, V: Clone> Rows<'a, V> {
    /// Trusts that no two attribute sets are alike.
    pub fn distinct(all: impl IntoIterator<Item = (Attributes, u64, &'a V)>) -> Self {
        let rows = all.into_iter();
        Self(
            rows.map(|(attributes, start, value)| Row { attributes, start, value: Cow::Borrowed(value) })
                .collect(),
        )
    }

    /// A family with a point for each row.
    pub fn numbers(
        &self,
        metric: &'static Metric,
        value: impl Fn(&V) -> Value,
        out: &mut dyn Sink,
    ) -> fmt::Result {
        self.some_numbers(metric, |row| Some(value(row)), out)
    }

    /// A family with a point for each row that `value` has one for.
    pub fn some_numbers(
        &self,
        metric: &'static Metric,
        value: impl Fn(&V) -> Option<Value>,
        out: &mut dyn Sink,
    ) -> fmt::Result {
        let rows = || self.0.iter().filter_map(|row| Some((row.point(), value(&row.value)?)));
        family(metric, rows, out, &|points, (point, value)| points.number(point, value))
    }

    /// A family with a point for each row and each value of `attribute` that `values` has one for, in the order of
    /// `names`.
    pub fn numbers_by<const N: usize>(
        &self,
        metric: &'static Metric,
        attribute: Attribute,
        names: [&'static str; N],
        values: impl Fn(&V) -> [Option<Value>; N],
        out: &mut dyn Sink,
    ) -> fmt::Result {
        let rows = || {
            self.0.iter().flat_map(|row| {
                let present = names.into_iter().zip(values(&row.value));
                present.filter_map(move |(name, value)| Some((row, name, value?)))
            })
        };
        family(metric, rows, out, &|points, (row, name, value)| {
            let attributes = row.attributes.with(attribute, name);
            points.number(Point { attributes: &attributes, start: row.start }, value)
        })
    }

    /// A family of the histograms that observed anything.
    pub fn histograms<const N: usize>(
        &self,
        metric: &'static Metric,
        bounds: &'static Bounds<N>,
        histogram: impl Fn(&V) -> &Histogram<N>,
        out: &mut dyn Sink,
    ) -> fmt::Result {
        self.views(metric, |row| Some(HistogramView::new(bounds, histogram(row))), out)
    }

    /// A family of the views of histograms that observed anything.
    pub fn views<'b>(
        &'b self,
        metric: &'static Metric,
        view: impl Fn(&'b V) -> Option<HistogramView<'b>>,
        out: &mut dyn Sink,
    ) -> fmt::Result {
        let rows = || {
            let viewed = self.0.iter().filter_map(|row| Some((row.point(), view(&row.value)?)));
            viewed.filter(|(_, histogram)| histogram.count > 0)
        };
        family(metric, rows, out, &|points, (point, histogram)| points.histogram(point, &histogram))
    }
}

/// A family of all that `items` gives, unless that is nothing.
fn family<T, I: Iterator<Item = T>>(
    metric: &'static Metric,
    items: impl Fn() -> I,
    out: &mut dyn Sink,
    write: &dyn Fn(&mut dyn Points, T) -> fmt::Result,
) -> fmt::Result {
    if items().next().is_none() {
        return Ok(());
    }
    out.family(metric, &mut |points| items().try_for_each(|item| write(points, item)))
}

/// A count, if it is one.
pub fn some(count: u64) -> Option<Value> {
    (count > 0).then_some(Value::Integer(count))
}
