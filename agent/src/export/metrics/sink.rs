//! What a form must be able to take.

use std::fmt;

use super::Attributes;
use crate::{
    red::{Bounds, Exemplar, Exponential, Histogram},
    semconv::{Metric, Unit},
};

/// A form of the metrics in the making.
pub trait Sink {
    /// Takes a family: its head, then the points that `points` tells of. Families come one after the other, each once,
    /// and with a point at least.
    ///
    /// # Errors
    /// When nothing more can be taken: the reader of the form went away.
    fn family(
        &mut self,
        metric: &'static Metric,
        points: &mut dyn FnMut(&mut dyn Points) -> fmt::Result,
    ) -> fmt::Result;
}

/// The points of one family. No two have the same attributes.
pub trait Points {
    /// A counter's, a gauge's or an info's (whose value is 1).
    ///
    /// # Errors
    /// As [`Sink::family`].
    fn number(&mut self, point: Point<'_>, value: Value) -> fmt::Result;

    /// A histogram's. All of a family have the same bounds.
    ///
    /// # Errors
    /// As [`Sink::family`].
    fn histogram(&mut self, point: Point<'_>, histogram: &HistogramView<'_>) -> fmt::Result;
}

/// Which point of a family it is.
#[derive(Clone, Copy, Debug)]
pub struct Point<'a> {
    /// Its attributes. `service.name`, where there is one, comes first and says whose point it is; one without is the
    /// agent's own.
    pub attributes: &'a Attributes,
    /// Since when it is counted, in nanoseconds since the epoch.
    pub start: u64,
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A count.
    Integer(u64),
    /// A quantity.
    Float(f64),
}

impl Value {
    /// As the formats have it that know nothing else.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the formats know no integers beyond 53 bits")]
    pub const fn as_f64(self) -> f64 {
        match self {
            Self::Integer(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

/// A histogram of any number of buckets.
#[derive(Clone, Copy, Debug)]
pub struct HistogramView<'a> {
    upper: &'static [u64],
    unit: Unit,
    /// Observations in each bounded bucket, not cumulative.
    buckets: &'a [u64],
    /// All observations.
    pub count: u64,
    /// Their sum, in the unit of the family.
    pub sum: f64,
    /// The same observations by powers of a base, where they are kept like that, too.
    pub exponential: Option<&'a Exponential>,
    /// One for each bucket, the one above all bounds last, or none at all.
    exemplars: &'a [Option<Exemplar>],
}

impl<'a> HistogramView<'a> {
    /// A view of `histogram`, which was observed with `bounds`.
    #[must_use]
    pub fn new<const N: usize>(bounds: &'static Bounds<N>, histogram: &'a Histogram<N>) -> Self {
        Self {
            upper: &bounds.upper,
            unit: bounds.unit,
            buckets: &histogram.buckets,
            count: histogram.count,
            sum: exported(bounds.unit, histogram.sum),
            exponential: None,
            exemplars: &[],
        }
    }

    /// With what is kept beside it.
    #[must_use]
    pub const fn with(mut self, exponential: Option<&'a Exponential>, exemplars: &'a [Option<Exemplar>]) -> Self {
        self.exponential = exponential;
        self.exemplars = exemplars;
        self
    }

    /// Upper bound in the unit of the family, own observations and exemplar of each bounded bucket.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket<'a>> {
        let (unit, exemplars) = (self.unit, self.exemplars);
        let all = self.upper.iter().zip(self.buckets).enumerate();
        all.map(move |(index, (upper, count))| Bucket {
            upper: exported(unit, u128::from(*upper)),
            count: *count,
            exemplar: exemplars.get(index).and_then(Option::as_ref),
        })
    }

    /// The bucket above all bounds.
    #[must_use]
    pub fn above(&self) -> Bucket<'a> {
        let bounded: u64 = self.buckets.iter().sum();
        let exemplar = self.exemplars.get(self.upper.len()).and_then(Option::as_ref);
        Bucket { upper: f64::INFINITY, count: self.count.saturating_sub(bounded), exemplar }
    }

    /// An exemplar's value in the unit of the family.
    #[must_use]
    pub fn exemplar_value(&self, exemplar: &Exemplar) -> f64 {
        exported(self.unit, u128::from(exemplar.value))
    }
}

/// A bucket of a [`HistogramView`].
#[derive(Clone, Copy, Debug)]
pub struct Bucket<'a> {
    /// Its upper bound, which is inside.
    pub upper: f64,
    /// Observations in it alone.
    pub count: u64,
    /// One of them, with its trace.
    pub exemplar: Option<&'a Exemplar>,
}

/// A sum or a bound, kept in the smallest unit, in the unit that it is exported in.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "the formats know no integers beyond 53 bits in sums and bounds")]
pub fn exported(unit: Unit, value: u128) -> f64 {
    match unit {
        Unit::Seconds => value as f64 / 1e9,
        Unit::Bytes | Unit::One => value as f64,
    }
}

/// A histogram's measurements on their own.
#[derive(Clone, Debug)]
pub struct OwnedHistogram {
    upper: &'static [u64],
    unit: Unit,
    buckets: Vec<u64>,
    count: u64,
    sum: f64,
    exponential: Option<Exponential>,
    exemplars: Vec<Option<Exemplar>>,
}

impl OwnedHistogram {
    /// A copy of what is viewed.
    #[must_use]
    pub fn of(view: &HistogramView<'_>) -> Self {
        Self {
            upper: view.upper,
            unit: view.unit,
            buckets: view.buckets.to_vec(),
            count: view.count,
            sum: view.sum,
            exponential: view.exponential.cloned(),
            exemplars: view.exemplars.to_vec(),
        }
    }

    /// Adds what is viewed; of two exemplars the newer stays.
    pub fn merge(&mut self, view: &HistogramView<'_>) {
        self.buckets.iter_mut().zip(view.buckets).for_each(|(own, other)| *own += other);
        self.count += view.count;
        self.sum += view.sum;
        match (&mut self.exponential, view.exponential) {
            (Some(own), Some(other)) => own.merge(other),
            (own, other) => *own = own.take().or_else(|| other.cloned()),
        }
        if self.exemplars.is_empty() {
            self.exemplars = view.exemplars.to_vec();
        }
        for (own, other) in self.exemplars.iter_mut().zip(view.exemplars) {
            *own = [*own, *other].into_iter().flatten().max_by_key(|exemplar| exemplar.at);
        }
    }

    /// A view of it, with its bounds or without: then all lies in the bucket above them.
    #[must_use]
    pub fn view(&self, bounds: bool) -> HistogramView<'_> {
        HistogramView {
            upper: if bounds { self.upper } else { &[] },
            unit: self.unit,
            buckets: if bounds { &self.buckets } else { &[] },
            count: self.count,
            sum: self.sum,
            exponential: self.exponential.as_ref(),
            exemplars: if bounds { &self.exemplars } else { &[] },
        }
    }
}
