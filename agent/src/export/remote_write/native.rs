//! Exponential histograms as Prometheus' native ones (OpenTelemetry specification, "Prometheus and OpenMetrics
//! compatibility", exponential histograms).

use super::proto::{BucketSpan, Histogram};
use crate::red::Exponential;

/// 2^-128: up to here Prometheus' own clients take an observation for zero.
const ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;

/// A histogram of `count` observations without a time.
pub fn histogram(exponential: &Exponential, count: u64, sum: f64) -> Histogram {
    // OpenTelemetry numbers a bucket by its lower bound, Prometheus by its upper one.
    let (positive_spans, positive_deltas) = spans(exponential.offset() + 1, exponential.buckets());
    Histogram {
        count_int: Some(count),
        sum,
        schema: exponential.scale().into(),
        zero_threshold: ZERO_THRESHOLD,
        zero_count_int: Some(exponential.zero_count()),
        positive_spans,
        positive_deltas,
        ..Histogram::default()
    }
}

/// Where the buckets are that have anything, and by how much each differs from the one before.
fn spans(first: i32, buckets: &[u64]) -> (Vec<BucketSpan>, Vec<i64>) {
    let (mut spans, mut deltas): (Vec<BucketSpan>, _) = (Vec::new(), Vec::with_capacity(buckets.len()));
    // The index that would go on the last span; of none, where the first span's offset is counted from.
    let (mut next, mut before) = (0, 0);
    for (index, count) in (first..).zip(buckets).filter(|(_, count)| **count > 0) {
        match spans.last_mut() {
            Some(last) if index == next => last.length += 1,
            _ => spans.push(BucketSpan { offset: index - next, length: 1 }),
        }
        let count = i64::try_from(*count).unwrap_or(i64::MAX);
        deltas.push(count - before);
        (next, before) = (index + 1, count);
    }
    (spans, deltas)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specification_s_example() {
        let (found, deltas) = spans(3 + 1, &[10, 0, 0, 20, 5, 2]);
        assert_eq!(found, [BucketSpan { offset: 4, length: 1 }, BucketSpan { offset: 2, length: 3 }]);
        assert_eq!(deltas, [10, 10, -15, -3]);
    }

    #[test]
    fn negative_indexes_and_none() {
        let (found, deltas) = spans(-3, &[0, 1, 2, 0, 2]);
        assert_eq!(found, [BucketSpan { offset: -2, length: 2 }, BucketSpan { offset: 1, length: 1 }]);
        assert_eq!(deltas, [1, 1, 0]);
        assert_eq!(spans(7, &[]), (vec![], vec![]));
    }

    #[test]
    fn the_threshold_is_a_power_of_two() {
        assert_eq!(ZERO_THRESHOLD, 2_f64.powi(-128));
    }
}
