//! Explicit-bucket histograms with fixed bounds and exact sums.

use crate::semconv::Unit;

/// Upper bounds of a histogram's buckets, each inclusive, in the smallest unit: nanoseconds or bytes.
#[derive(Debug)]
pub struct Bounds<const N: usize> {
    /// Ascending.
    pub upper: [u64; N],
    /// What the bounds are exported in.
    pub unit: Unit,
}

/// A histogram of `N` bounded buckets and the one above them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram<const N: usize> {
    /// Observations in each bounded bucket, not cumulative.
    pub buckets: [u64; N],
    /// All observations.
    pub count: u64,
    /// Their sum in the smallest unit. 128 bits, since a busy host fills 64 bits of nanoseconds within days.
    pub sum: u128,
}

impl<const N: usize> Histogram<N> {
    /// Nothing observed.
    pub const EMPTY: Self = Self { buckets: [0; N], count: 0, sum: 0 };

    /// Counts `value`, given in the smallest unit of `bounds`. Gives the index of its bucket.
    pub fn observe(&mut self, bounds: &Bounds<N>, value: u64) -> usize {
        let bucket = bounds.upper.partition_point(|upper| value > *upper);
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
        }
        self.count += 1;
        self.sum += u128::from(value);
        bucket
    }
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Measurements that can be summed.
pub trait Merge {
    /// Adds those of `other`.
    fn merge(&mut self, other: &Self);
}

impl Merge for u64 {
    /// What a recording tells may be anything: a sum stays at its limit.
    fn merge(&mut self, other: &Self) {
        *self = self.saturating_add(*other);
    }
}

impl<const N: usize> Merge for Histogram<N> {
    fn merge(&mut self, other: &Self) {
        self.buckets.merge(&other.buckets);
        self.count += other.count;
        self.sum += other.sum;
    }
}

impl<T: Merge, const N: usize> Merge for [T; N] {
    fn merge(&mut self, other: &Self) {
        self.iter_mut().zip(other).for_each(|(own, other)| own.merge(other));
    }
}

/// A microsecond in nanoseconds.
pub const MICROSECOND: u64 = 1_000;
/// A millisecond in nanoseconds.
pub const MILLISECOND: u64 = 1_000 * MICROSECOND;
/// A second in nanoseconds.
pub const SECOND: u64 = 1_000 * MILLISECOND;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Request durations: the boundaries that the HTTP conventions advise.
pub static DURATION: Bounds<14> = Bounds {
    upper: [
        5 * MILLISECOND,
        10 * MILLISECOND,
        25 * MILLISECOND,
        50 * MILLISECOND,
        75 * MILLISECOND,
        100 * MILLISECOND,
        250 * MILLISECOND,
        500 * MILLISECOND,
        750 * MILLISECOND,
        SECOND,
        2_500 * MILLISECOND,
        5 * SECOND,
        7_500 * MILLISECOND,
        10 * SECOND,
    ],
    unit: Unit::Seconds,
};

/// Body sizes. The conventions advise none; a bucket of its own for the empty body, then powers of four.
pub static BODY_SIZE: Bounds<12> = Bounds {
    upper: [0, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB, 256 * MIB],
    unit: Unit::Bytes,
};

/// Parts of a latency: finer than the whole, since a part is often far below a millisecond.
pub static PART: Bounds<16> = Bounds {
    upper: [
        100 * MICROSECOND,
        250 * MICROSECOND,
        500 * MICROSECOND,
        MILLISECOND,
        2_500 * MICROSECOND,
        5 * MILLISECOND,
        10 * MILLISECOND,
        25 * MILLISECOND,
        50 * MILLISECOND,
        100 * MILLISECOND,
        250 * MILLISECOND,
        500 * MILLISECOND,
        SECOND,
        2_500 * MILLISECOND,
        5 * SECOND,
        10 * SECOND,
    ],
    unit: Unit::Seconds,
};

/// Lives of streams: from the short answer of a server that hangs up to the tunnel of a day.
pub static STREAM_DURATION: Bounds<12> = Bounds {
    upper: [
        100 * MILLISECOND,
        500 * MILLISECOND,
        SECOND,
        5 * SECOND,
        15 * SECOND,
        60 * SECOND,
        300 * SECOND,
        900 * SECOND,
        3_600 * SECOND,
        14_400 * SECOND,
        43_200 * SECOND,
        86_400 * SECOND,
    ],
    unit: Unit::Seconds,
};

#[cfg(test)]
mod tests {
    use super::*;

    static TENS: Bounds<3> = Bounds { upper: [0, 10, 20], unit: Unit::Bytes };

    #[test]
    fn a_bound_is_inside_its_bucket() {
        for (value, buckets) in [
            (0, [1, 0, 0]),
            (1, [0, 1, 0]),
            (10, [0, 1, 0]),
            (11, [0, 0, 1]),
            (20, [0, 0, 1]),
            (21, [0, 0, 0]),
            (u64::MAX, [0, 0, 0]),
        ] {
            let mut histogram = Histogram::EMPTY;
            histogram.observe(&TENS, value);
            assert_eq!(histogram, Histogram { buckets, count: 1, sum: u128::from(value) }, "{value}");
        }
    }

    #[test]
    fn sums_stay_exact_beyond_64_bits() {
        let mut histogram = Histogram::EMPTY;
        histogram.observe(&TENS, u64::MAX);
        histogram.observe(&TENS, u64::MAX);
        assert_eq!(histogram.sum, 2 * u128::from(u64::MAX));
    }

    #[test]
    fn bounds_ascend() {
        assert!(DURATION.upper.is_sorted_by(|a, b| a < b));
        assert!(BODY_SIZE.upper.is_sorted_by(|a, b| a < b));
        assert!(PART.upper.is_sorted_by(|a, b| a < b));
        assert!(STREAM_DURATION.upper.is_sorted_by(|a, b| a < b));
    }
}
