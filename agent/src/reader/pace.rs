//! How often the reader looks into the rings.

use std::time::Duration;

use crate::time::Nanos;

/// The longest the rings are left alone: a program wakes the reader before if a ring has filled beyond its high-water mark, or if
/// a process uses the network that may be gone soon.
pub const LONGEST: Duration = Duration::from_millis(20);

/// The shortest, however much passes.
const SHORTEST: Duration = Duration::from_millis(2);

/// Records that a turn is to take. Who needs the processor meanwhile waits for it a third of a millisecond, and the records are
/// still in its caches.
const BATCH: u128 = 512;

/// The time from one turn to the next: as long as a [`BATCH`] takes to come.
#[derive(Debug)]
pub struct Pace {
    began: Nanos,
    interval: Duration,
}

impl Pace {
    /// Nothing is known yet of how much passes.
    #[must_use]
    pub const fn new(now: Nanos) -> Self {
        Self { began: now, interval: LONGEST }
    }

    /// A turn that began now took so many records.
    pub fn took(&mut self, records: u64, now: Nanos) {
        let since = now.since(std::mem::replace(&mut self.began, now));
        let nanos = since.as_nanos() * BATCH / u128::from(records.max(1));
        self.interval = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).clamp(SHORTEST, LONGEST);
    }

    /// How long to leave the rings alone now.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_passes_the_sooner_it_is_looked_at() {
        let mut pace = Pace::new(Nanos(0));
        let mut now = Duration::ZERO;
        for (after, records, expected) in [
            (20_000, 0, 20_000),
            (20_000, 512, 20_000),
            (20_000, 1_024, 10_000),
            (10_000, 1_024, 5_000),
            (5_000, 512, 5_000),
            (5_000, 50_000, 2_000),
            (0, 1, 2_000),
            (2_000, 128, 8_000),
            (500_000_000, 1, 20_000),
        ] {
            now += Duration::from_micros(after);
            pace.took(records, Nanos(u64::try_from(now.as_nanos()).unwrap()));
            assert_eq!(pace.interval(), Duration::from_micros(expected), "{records} records in {after} us");
        }
    }
}
