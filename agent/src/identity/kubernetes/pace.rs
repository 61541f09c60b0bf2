//! How much the API server is asked for.

use std::time::Duration;

/// How much the API server is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long an answer may take to begin.
    pub answer: Duration,
    /// Watches of the same objects begin no sooner after one another, however they end.
    pub between_watches: Duration,
    /// The first wait after a failure; each one after it is twice as long.
    pub first_wait: Duration,
    /// The longest.
    pub longest_wait: Duration,
    /// The wait after what is forbidden.
    pub forbidden_wait: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(30),
            between_watches: Duration::from_secs(1),
            first_wait: Duration::from_millis(800),
            longest_wait: Duration::from_secs(30),
            forbidden_wait: Duration::from_secs(300),
        }
    }
}

/// Waits that grow, each with some chance in it, so that the agents of many nodes do not come back at once.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) const fn new(pace: &Pace) -> Self {
        Self { first: pace.first_wait, longest: pace.longest_wait, next: pace.first_wait }
    }

    /// Begins anew.
    pub(super) const fn reset(&mut self) {
        self.next = self.first;
    }

    /// The wait before the next attempt.
    pub(super) fn wait(&mut self) -> Duration {
        let wait = jittered(self.next);
        self.next = self.next.saturating_mul(2).min(self.longest);
        wait
    }
}

/// Three quarters of a time to five quarters.
pub(super) fn jittered(time: Duration) -> Duration {
    time.mul_f64(0.75 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_differ() {
        let mut backoff = Backoff::new(&Pace::default());
        for expected in [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0] {
            let wait = backoff.wait().as_secs_f64();
            assert!((0.75 * expected..=1.25 * expected).contains(&wait), "{wait} for {expected}");
        }
        backoff.reset();
        assert!(backoff.wait() < Duration::from_secs(2));
        let waits: Vec<_> = (0..9).map(|_| jittered(Duration::from_secs(1))).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }
}
