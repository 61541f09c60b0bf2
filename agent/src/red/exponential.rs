//! Base-2 exponential histograms (OpenTelemetry metrics data model, "ExponentialHistogram"), which are Prometheus' native
//! ones: buckets without bounds to choose, each wider than the one before by the same factor.

/// Buckets to begin with: eight for each doubling, so that a quantile is right within 4.5 %.
const SCALE: i8 = 3;

/// Most buckets; a histogram that needs more halves its resolution.
pub const MAX_BUCKETS: usize = 160;

/// Upper bounds, as factors of a power of two, of the buckets of a doubling: 2^(k/8).
const STEPS: [f64; 7] = [
    1.090_507_732_665_257_7,
    1.189_207_115_002_721,
    1.296_839_554_651_009_6,
    std::f64::consts::SQRT_2,
    1.542_210_825_407_940_7,
    1.681_792_830_507_429,
    1.834_008_086_409_342_4,
];

/// A histogram of positive values in the exported unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exponential {
    /// By how many halvings the resolution is below [`SCALE`].
    halvings: i8,
    /// Index of the first bucket: bucket `i` has what lies in `(base^i, base^(i+1)]`.
    offset: i32,
    buckets: Vec<u64>,
    zero_count: u64,
}

impl Exponential {
    /// Counts a value; one that is not above zero goes to the bucket of zero.
    pub fn observe(&mut self, value: f64) {
        if value <= 0.0 || !value.is_finite() {
            self.zero_count += 1;
            return;
        }
        let index = index(value);
        // As nearly always.
        let place = usize::try_from((index >> self.halvings) - self.offset);
        if let Some(bucket) = place.ok().and_then(|place| self.buckets.get_mut(place)) {
            *bucket += 1;
            return;
        }
        loop {
            let at = index >> self.halvings;
            if self.buckets.is_empty() {
                self.offset = at;
                self.buckets.push(1);
                return;
            }
            let last = self.offset + self.len() - 1;
            let (low, high) = (at.min(self.offset), at.max(last));
            if usize::try_from(high - low).is_ok_and(|span| span < MAX_BUCKETS) {
                let room = usize::try_from(self.offset - low).unwrap_or_default();
                self.buckets.splice(..0, std::iter::repeat_n(0, room));
                self.offset = low;
                let place = usize::try_from(at - low).unwrap_or_default();
                if place >= self.buckets.len() {
                    self.buckets.resize(place + 1, 0);
                }
                if let Some(bucket) = self.buckets.get_mut(place) {
                    *bucket += 1;
                }
                return;
            }
            self.halve();
        }
    }

    /// The scale: the base is 2^(2^-scale).
    #[must_use]
    pub const fn scale(&self) -> i8 {
        SCALE - self.halvings
    }

    /// Index of the first of [`Exponential::buckets`].
    #[must_use]
    pub const fn offset(&self) -> i32 {
        self.offset
    }

    /// Observations in each bucket.
    #[must_use]
    pub fn buckets(&self) -> &[u64] {
        &self.buckets
    }

    /// Observations of zero.
    #[must_use]
    pub const fn zero_count(&self) -> u64 {
        self.zero_count
    }

    /// Whether nothing was observed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.buckets.is_empty() && self.zero_count == 0
    }

    /// Adds the observations of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.zero_count += other.zero_count;
        let mut other = other.clone();
        while self.halvings < other.halvings {
            self.halve();
        }
        while other.halvings < self.halvings {
            other.halve();
        }
        if other.buckets.is_empty() {
            return;
        }
        if self.buckets.is_empty() {
            (self.offset, self.buckets) = (other.offset, other.buckets);
            return;
        }
        loop {
            let low = self.offset.min(other.offset);
            let high = (self.offset + self.len()).max(other.offset + other.len());
            let Ok(span) = usize::try_from(high - low) else { return };
            if span <= MAX_BUCKETS {
                let mut all = vec![0; span];
                for part in [&*self, &other] {
                    let from = usize::try_from(part.offset - low).unwrap_or_default();
                    all.iter_mut().skip(from).zip(&part.buckets).for_each(|(sum, count)| *sum += count);
                }
                (self.offset, self.buckets) = (low, all);
                return;
            }
            self.halve();
            other.halve();
        }
    }

    fn len(&self) -> i32 {
        i32::try_from(self.buckets.len()).unwrap_or(i32::MAX)
    }

    /// Takes each two neighbours together.
    fn halve(&mut self) {
        let offset = self.offset >> 1;
        let mut halved: Vec<u64> = Vec::with_capacity(self.buckets.len() / 2 + 1);
        for (index, count) in (self.offset..).zip(&self.buckets) {
            let place = usize::try_from((index >> 1) - offset).unwrap_or_default();
            match halved.get_mut(place) {
                Some(bucket) => *bucket += count,
                None => halved.push(*count),
            }
        }
        self.halvings += 1;
        (self.offset, self.buckets) = (offset, halved);
    }
}

/// The bucket of a positive value at [`SCALE`].
fn index(value: f64) -> i32 {
    // IEEE 754: value = mantissa × 2^exponent, 1 ≤ mantissa < 2. Subnormal values are below any time we can measure.
    let bits = value.to_bits();
    let exponent = i32::try_from((bits >> 52) & 0x7ff).unwrap_or_default() - 1023;
    let mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    let steps = STEPS.iter().filter(|step| mantissa > **step).count();
    let within = i32::try_from(steps).unwrap_or_default();
    // An upper bound is inside its bucket: a power of two ends the doubling below it.
    if mantissa == 1.0 { exponent * 8 - 1 } else { exponent * 8 + within }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Exponential {
        let mut histogram = Exponential::default();
        values.iter().for_each(|value| histogram.observe(*value));
        histogram
    }

    #[test]
    fn a_bound_is_inside_its_bucket() {
        for (value, expected) in
            [(1.0, -1), (1.000_001, 0), (2.0, 7), (STEPS[0], 0), (1.1, 1), (0.5, -9), (0.51, -8), (4.0, 15)]
        {
            assert_eq!(index(value), expected, "{value}");
        }
    }

    #[test]
    fn a_wide_range_costs_resolution_not_memory() {
        let histogram = of(&[1e-9, 1.0, 1e9]);
        assert!(histogram.buckets().len() <= MAX_BUCKETS);
        assert_eq!((histogram.scale(), histogram.buckets().iter().sum::<u64>()), (1, 3));
        assert_eq!(of(&[0.0, -1.0, f64::NAN]).zero_count(), 3);
    }

    proptest! {
        #[test]
        fn every_value_lies_in_its_bucket(value in 1e-9_f64..1e6) {
            let histogram = of(&[value]);
            let base = (2.0_f64).powf((2.0_f64).powi(-i32::from(histogram.scale())));
            let (low, high) = (base.powi(histogram.offset()), base.powi(histogram.offset() + 1));
            prop_assert!(low * 0.999_999 < value && value <= high * 1.000_001, "{low} < {value} <= {high}");
        }

        #[test]
        fn a_sum_of_parts_is_the_whole(a in prop::collection::vec(1e-9_f64..1e9, 0..40), b in prop::collection::vec(1e-9_f64..1e9, 0..40)) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            let whole = of(&[a, b].concat());
            prop_assert_eq!(merged.scale(), whole.scale());
            let trimmed = |histogram: &Exponential| {
                let pairs = (histogram.offset()..).zip(histogram.buckets().to_vec());
                pairs.filter(|(_, count)| *count > 0).collect::<Vec<_>>()
            };
            prop_assert_eq!(trimmed(&merged), trimmed(&whole));
        }
    }
}
