//! How connections are measured: buckets, and sums of measurements.

use std::time::Duration;

use crate::{
    red::{Bounds, Histogram, MICROSECOND, MILLISECOND, SECOND},
    semconv::Unit,
};

/// Round-trip times: from loopback to a satellite.
pub static ROUND_TRIP: Bounds<16> = Bounds {
    upper: [
        25 * MICROSECOND,
        50 * MICROSECOND,
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
    ],
    unit: Unit::Seconds,
};

/// Connects that came about or failed: from a round trip to the SYN that is repeated for two minutes (`tcp_syn_retries`,
/// tcp(7)).
pub static CONNECT: Bounds<16> = Bounds {
    upper: [
        100 * MICROSECOND,
        500 * MICROSECOND,
        MILLISECOND,
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
        15 * SECOND,
        60 * SECOND,
        180 * SECOND,
    ],
    unit: Unit::Seconds,
};

/// Lives of connections: from the health check to the tunnel of a day.
pub static LIFE: Bounds<12> = Bounds {
    upper: [
        MILLISECOND,
        10 * MILLISECOND,
        100 * MILLISECOND,
        SECOND,
        5 * SECOND,
        15 * SECOND,
        60 * SECOND,
        300 * SECOND,
        900 * SECOND,
        3_600 * SECOND,
        14_400 * SECOND,
        86_400 * SECOND,
    ],
    unit: Unit::Seconds,
};

/// Counts a duration.
pub fn observe<const N: usize>(histogram: &mut Histogram<N>, bounds: &Bounds<N>, duration: Duration) {
    histogram.observe(bounds, u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_ascend() {
        assert!(ROUND_TRIP.upper.is_sorted_by(|a, b| a < b));
        assert!(CONNECT.upper.is_sorted_by(|a, b| a < b));
        assert!(LIFE.upper.is_sorted_by(|a, b| a < b));
    }
}
