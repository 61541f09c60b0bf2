//! Native histograms (Prometheus, "Native histograms") out of base-2 exponential ones: the same buckets, counted from their
//! upper bounds instead of their lower ones, and written as runs of those that are not empty.

use crate::{export::metrics::HistogramView, red::Exponential};

/// The resolutions that Prometheus knows (`schema`).
const SCHEMAS: std::ops::RangeInclusive<i8> = -4..=8;

/// What counts as zero, where nothing else is said: 2^-128, as Prometheus' own client library has it.
pub const ZERO_THRESHOLD: f64 = f64::from_bits((1023 - 128) << 52);

/// The native form of `view`, if it has one that Prometheus takes: of a resolution that it knows, and with as many
/// observations in the buckets as there are in all, without which it refuses the histogram.
#[must_use]
pub fn of<'a>(view: &HistogramView<'a>) -> Option<&'a Exponential> {
    let exponential = view.exponential.filter(|exponential| SCHEMAS.contains(&exponential.scale()))?;
    let all = exponential.buckets().iter().sum::<u64>() + exponential.zero_count();
    (all == view.count).then_some(exponential)
}

/// The buckets of a native histogram that are not empty.
#[derive(Debug, Default)]
pub struct Runs {
    /// Of each run: how far its first bucket is from the end of the run before (for the first run, the bucket's index), and
    /// how many buckets it has.
    pub spans: Vec<(i32, u32)>,
    /// Observations in each bucket, as differences to the bucket before.
    pub deltas: Vec<i64>,
}

impl Runs {
    /// Becomes those of `exponential`.
    pub fn fill(&mut self, exponential: &Exponential) {
        self.spans.clear();
        self.deltas.clear();
        // Bucket i has what lies in (base^i, base^(i+1)] in OpenTelemetry, and in (base^(i-1), base^i] in Prometheus.
        let first = exponential.offset().saturating_add(1);
        let (mut end, mut before) = (0, 0);
        for (index, count) in (first..).zip(exponential.buckets()).filter(|(_, count)| **count > 0) {
            match self.spans.last_mut() {
                Some((_, length)) if index == end => *length += 1,
                _ => self.spans.push((index - end, 1)),
            }
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            self.deltas.push(count - before);
            (end, before) = (index + 1, count);
        }
        if self.spans.is_empty() {
            // Says that the histogram is native, of which nothing else is a sign yet.
            self.spans.push((0, 0));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exponential(values: &[f64]) -> Exponential {
        let mut exponential = Exponential::default();
        values.iter().for_each(|value| exponential.observe(*value));
        exponential
    }

    fn runs(values: &[f64]) -> Runs {
        // What is left of a histogram before.
        let mut runs = Runs { spans: vec![(9, 1)], deltas: vec![7] };
        runs.fill(&exponential(values));
        runs
    }

    /// The buckets again, as a reader of spans and deltas gets them: upper bound and count.
    fn read(runs: &Runs, base: f64) -> Vec<(f64, i64)> {
        let mut deltas = runs.deltas.iter();
        let (mut index, mut count, mut buckets) = (0, 0, Vec::new());
        for (offset, length) in &runs.spans {
            index += offset;
            for _ in 0..*length {
                count += deltas.next().unwrap();
                buckets.push((base.powi(index), count));
                index += 1;
            }
        }
        assert_eq!(deltas.next(), None);
        buckets
    }

    /// The example of the OpenTelemetry specification ("Prometheus and OpenMetrics compatibility"): offset 3, counts 10, 0,
    /// 0, 20, 5, 2.
    #[test]
    fn buckets_become_runs() {
        let bucket = |index: i32, count: usize| vec![2_f64.powf((f64::from(index) + 0.5) / 8.0); count];
        let runs = runs(&[bucket(3, 10), bucket(6, 20), bucket(7, 5), bucket(8, 2)].concat());
        assert_eq!(runs.spans, [(4, 1), (2, 3)]);
        assert_eq!(runs.deltas, [10, 10, -15, -3]);
    }

    #[test]
    fn one_without_observations_is_native_still() {
        for values in [&[][..], &[0.0, 0.0]] {
            let runs = runs(values);
            assert_eq!((runs.spans, runs.deltas), (vec![(0, 0)], vec![]), "{values:?}");
        }
        assert_eq!(ZERO_THRESHOLD, 2_f64.powi(-128));
    }

    #[test]
    fn a_first_run_may_lie_anywhere() {
        for (value, expected) in [(1.0, (0, 1)), (0.5, (-8, 1)), (2.0, (8, 1)), (1.05, (1, 1))] {
            assert_eq!(runs(&[value]).spans, [expected], "{value}");
        }
    }

    proptest! {
        #[test]
        fn every_value_is_below_its_bound(values in prop::collection::vec(1e-9_f64..1e9, 1..60)) {
            let base = 2_f64.powf(2_f64.powi(-i32::from(exponential(&values).scale())));
            let buckets = read(&runs(&values), base);
            prop_assert_eq!(buckets.iter().map(|(_, count)| *count).sum::<i64>(), i64::try_from(values.len()).unwrap());
            for (upper, count) in buckets {
                let (low, high) = (upper / base * 0.999_999, upper * 1.000_001);
                let within = values.iter().filter(|value| low < **value && **value <= high).count();
                prop_assert!(count > 0 && within >= usize::try_from(count).unwrap(), "{upper}: {count}");
            }
        }
    }
}
