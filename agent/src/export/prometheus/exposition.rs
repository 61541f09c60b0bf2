//! What a format must be able to write.

use std::fmt;

use crate::{
    red::{Bounds, Histogram},
    semconv::{Metric, Unit},
};

/// A page in the making.
pub trait Exposition {
    /// Writes the head of a family, then what `samples` gives.
    ///
    /// # Errors
    /// Those of the sink.
    fn family(&mut self, metric: &Metric, samples: &mut dyn FnMut(&mut dyn Samples) -> fmt::Result)
    -> fmt::Result;
}

/// The samples of one family. `labels` is a label set without its braces, values escaped; it may be empty.
pub trait Samples {
    /// One sample of a counter.
    fn counter(&mut self, labels: &str, value: Value) -> fmt::Result;
    /// One sample of a gauge.
    fn gauge(&mut self, labels: &str, value: Value) -> fmt::Result;
    /// One info.
    fn info(&mut self, labels: &str) -> fmt::Result;
    /// Buckets, sum and count of a histogram. All histograms of a family have the same bounds.
    fn histogram(&mut self, labels: &str, histogram: &HistogramView<'_>) -> fmt::Result;
}

/// A sample's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A count.
    Integer(u64),
    /// A quantity.
    Float(f64),
}

/// A histogram of any number of buckets.
#[derive(Clone, Copy, Debug)]
pub struct HistogramView<'a> {
    upper: &'static [u64],
    unit: Unit,
    buckets: &'a [u64],
    /// All observations.
    pub count: u64,
    /// Their sum, in the unit of the family.
    pub sum: f64,
}

impl<'a> HistogramView<'a> {
    /// A view of `histogram`, which was observed with `bounds`.
    pub fn new<const N: usize>(bounds: &'static Bounds<N>, histogram: &'a Histogram<N>) -> Self {
        Self {
            upper: &bounds.upper,
            unit: bounds.unit,
            buckets: &histogram.buckets,
            count: histogram.count,
            sum: exported(bounds.unit, histogram.sum),
        }
    }

    /// Upper bound, in the unit of the family, and own observations of each bounded bucket.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let unit = self.unit;
        let upper = self.upper.iter().map(move |upper| exported(unit, u128::from(*upper)));
        upper.zip(self.buckets.iter().copied())
    }
}

/// A sum or a bound, kept in the smallest unit, in the unit that it is exported in.
#[expect(clippy::cast_precision_loss, reason = "the formats know no integers beyond 53 bits in sums and bounds")]
pub fn exported(unit: Unit, value: u128) -> f64 {
    match unit {
        Unit::Seconds => value as f64 / 1e9,
        Unit::Bytes | Unit::One => value as f64,
    }
}
