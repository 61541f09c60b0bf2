//! What `errors_and_slowest` remembers: how long the requests of each service take, and how many spans it has given out.

use std::time::Duration;

use hashbrown::HashMap;

use crate::{exchange::Role, identity::ServiceId, time::Nanos};

/// Services and roles whose durations are kept apart; all beyond them are one. Their memory, 1 KiB for each, is used as
/// they come.
const MAX_TRACKED: usize = 1024;

/// Below this many, nobody knows what is slow.
const FEW: u32 = 100;

/// From this many on, a minute that has passed counts half. A service of few requests forgets none.
const ENOUGH: u32 = 1000;

/// Buckets of each doubling: a bound is right within an eighth.
const STEPS_LOG2: u32 = 3;

/// The first doubling, in nanoseconds: from 1 µs.
const FIRST: u32 = 10;

/// One doubling after the last: up to 275 s.
const LAST: u32 = 38;

const BUCKETS: usize = ((LAST - FIRST) << STEPS_LOG2) as usize;

/// Durations by service and role.
#[derive(Debug)]
pub(super) struct Slowest {
    tracked: Vec<Durations>,
    index: HashMap<(ServiceId, Role), usize>,
    /// Of all others.
    shared: Durations,
}

impl Slowest {
    /// Nothing seen yet. Nothing is allocated after this.
    pub(super) fn new() -> Self {
        Self {
            tracked: Vec::with_capacity(MAX_TRACKED),
            index: HashMap::with_capacity(MAX_TRACKED),
            shared: Durations::default(),
        }
    }

    /// Takes a duration in, and tells whether it is longer than those of 99 in a hundred before it.
    ///
    /// Bias: one as long as they are, within an eighth, is not.
    pub(super) fn is_slow(&mut self, service: ServiceId, role: Role, duration: Duration, now: Nanos) -> bool {
        let known = self.index.get(&(service, role)).copied();
        let index = known.unwrap_or_else(|| {
            if self.tracked.len() < MAX_TRACKED {
                self.index.insert((service, role), self.tracked.len());
                self.tracked.push(Durations { halved: now, ..Durations::default() });
            }
            self.index.get(&(service, role)).copied().unwrap_or(usize::MAX)
        });
        self.tracked.get_mut(index).unwrap_or(&mut self.shared).is_slow(duration, now)
    }
}

/// Durations of a service in one role, of the last minutes.
#[derive(Clone, Debug)]
struct Durations {
    buckets: [u32; BUCKETS],
    count: u32,
    /// The bucket that 99 in a hundred lie in or below.
    slow_above: usize,
    /// At which count to look for it again.
    look_again: u32,
    /// When the past was last halved.
    halved: Nanos,
}

impl Default for Durations {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], count: 0, slow_above: BUCKETS, look_again: FEW, halved: Nanos(0) }
    }
}

impl Durations {
    fn is_slow(&mut self, duration: Duration, now: Nanos) -> bool {
        self.forget(now);
        let bucket = bucket(duration);
        let is_slow = bucket > self.slow_above;
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
        }
        self.count += 1;
        if self.count >= self.look_again {
            self.look();
        }
        is_slow
    }

    fn forget(&mut self, now: Nanos) {
        const MINUTE: Duration = Duration::from_secs(60);
        if now.since(self.halved) < MINUTE && self.count < u32::MAX {
            return;
        }
        self.halved = now;
        if self.count >= ENOUGH {
            self.buckets.iter_mut().for_each(|count| *count /= 2);
            self.count = self.buckets.iter().sum();
            self.look();
        }
    }

    /// Once for every sixteenth more of them.
    fn look(&mut self) {
        let above = self.count / 100;
        let mut seen = 0;
        let from_top = self.buckets.iter().rposition(|count| {
            seen += count;
            seen > above
        });
        self.slow_above = from_top.unwrap_or(BUCKETS);
        self.look_again = self.count.saturating_add(self.count / 16).saturating_add(1).max(FEW);
    }
}

fn bucket(duration: Duration) -> usize {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).max(1 << FIRST);
    let doubling = nanos.ilog2();
    let step = nanos >> (doubling - STEPS_LOG2) & ((1 << STEPS_LOG2) - 1);
    let bucket = (u64::from(doubling - FIRST) << STEPS_LOG2) + step;
    usize::try_from(bucket).unwrap_or(usize::MAX).min(BUCKETS - 1)
}

/// So many spans a second, a second's worth of them at once at the most.
#[derive(Debug)]
pub(super) struct Budget {
    /// Nanoseconds that a span uses up; `None`: there are none.
    each: Option<u64>,
    /// Up to when the budget is used.
    used: Nanos,
    /// What it had no room for.
    pub(super) refused: u64,
}

impl Budget {
    pub(super) fn new(spans: u32) -> Self {
        Self { each: SECOND.checked_div(spans.into()), used: Nanos(0), refused: 0 }
    }

    /// Takes a span out, unless it is used up. What is not `notable` gets at most half of it, so that failures find room.
    pub(super) fn take(&mut self, now: Nanos, notable: bool) -> bool {
        let share = if notable { SECOND } else { SECOND / 2 };
        let used = self.used.max(now);
        let room = self.each.is_some_and(|each| used.0 - now.0 <= share.saturating_sub(each));
        match self.each.filter(|_| room) {
            Some(each) => self.used = Nanos(used.0.saturating_add(each)),
            None => self.refused += 1,
        }
        room
    }
}

const SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn of(service: u32) -> (ServiceId, Role) {
        (ServiceId(service), Role::Server)
    }

    fn slow(slowest: &mut Slowest, (service, role): (ServiceId, Role), duration: Duration, at: u64) -> bool {
        slowest.is_slow(service, role, duration, Nanos(at * SECOND))
    }

    #[test]
    fn what_takes_longer_than_others_of_its_service_is_slow() {
        let mut slowest = Slowest::new();
        assert!(!slow(&mut slowest, of(1), 1000 * MILLISECOND, 1), "the first of all");
        for number in 0..200_u32 {
            let duration = MILLISECOND * (10 + number % 10);
            assert!(!slow(&mut slowest, of(1), duration, 1), "{number}");
        }
        assert!(slow(&mut slowest, of(1), 30 * MILLISECOND, 1));
        assert!(!slow(&mut slowest, of(1), 19 * MILLISECOND, 1));
        assert!(!slow(&mut slowest, of(2), 30 * MILLISECOND, 1), "of another service");
        let (service, _) = of(1);
        assert!(!slow(&mut slowest, (service, Role::Client), 30 * MILLISECOND, 1), "of the other role");
    }

    #[test]
    fn of_requests_alike_none_is_slow() {
        let mut slowest = Slowest::new();
        for number in 0..10_000 {
            assert!(!slow(&mut slowest, of(1), 5 * MILLISECOND, number / 10), "{number}");
        }
    }

    #[test]
    fn about_one_in_a_hundred_is_slow() {
        let mut slowest = Slowest::new();
        let mut random = fastrand::Rng::with_seed(1);
        let mut count = 0;
        for number in 0..100_000 {
            let duration = Duration::from_secs_f64(0.001 / (random.f64() + 1e-9));
            count += u32::from(slow(&mut slowest, of(1), duration, number / 1000));
        }
        assert!((500..=1500).contains(&count), "{count}");
    }

    #[test]
    fn a_service_that_became_slower_is_slow_for_minutes_only() {
        let mut slowest = Slowest::new();
        (0..10_000).for_each(|_| assert!(!slow(&mut slowest, of(1), MILLISECOND, 1)));
        let late =
            (0..10_000).filter(|number| slow(&mut slowest, of(1), 9 * MILLISECOND, 2 + number / 40)).count();
        assert!((1..1500).contains(&late), "{late}");
        assert!(!slow(&mut slowest, of(1), 9 * MILLISECOND, 400));
    }

    #[test]
    fn a_rare_service_is_not_forgotten() {
        let mut slowest = Slowest::new();
        (0..200).for_each(|minute| assert!(!slow(&mut slowest, of(1), MILLISECOND, 60 * minute)));
        assert!(slow(&mut slowest, of(1), 9 * MILLISECOND, 60 * 200));
    }

    #[test]
    fn services_beyond_the_limit_share() {
        let mut slowest = Slowest::new();
        for service in 0..2 * u32::try_from(MAX_TRACKED).unwrap() {
            assert!(!slow(&mut slowest, of(service), MILLISECOND, 1));
        }
        assert_eq!((slowest.tracked.len(), slowest.index.len()), (MAX_TRACKED, MAX_TRACKED));
        assert_eq!(slowest.tracked.capacity(), MAX_TRACKED);
        assert!(slow(&mut slowest, of(u32::MAX), 9 * MILLISECOND, 1));
        assert!(!slow(&mut slowest, of(0), 9 * MILLISECOND, 1), "it has its own, and few");
    }

    #[test]
    fn every_duration_has_a_bucket() {
        let mut last = 0;
        for nanos in (0..64).flat_map(|shift| [1_u64 << shift, (1 << shift) + (1 << shift >> 1)]) {
            let bucket = bucket(Duration::from_nanos(nanos));
            assert!((last..BUCKETS).contains(&bucket), "{nanos}");
            last = bucket;
        }
        assert_eq!((bucket(Duration::ZERO), bucket(Duration::MAX)), (0, BUCKETS - 1));
    }

    #[test]
    fn a_budget_is_so_many_a_second_and_half_of_it_for_the_rest() {
        for (spans, at_once, rest_at_once) in [(0, 0, 0), (1, 1, 1), (2, 2, 1), (10, 10, 5), (1000, 1000, 500)] {
            for (notable, expected) in [(true, at_once), (false, rest_at_once)] {
                let mut budget = Budget::new(spans);
                let at_once = (0..5000).filter(|_| budget.take(Nanos(7 * SECOND), notable)).count();
                assert_eq!((at_once, budget.refused), (expected, 5000 - expected as u64), "{spans} {notable}");
                let each_milli =
                    (7_000..17_000_u64).filter(|milli| budget.take(Nanos(milli * 1_000_000), notable));
                let sustained = usize::try_from(spans).unwrap() * 10;
                assert!((sustained.saturating_sub(1)..=sustained).contains(&each_milli.count()), "{spans}");
            }
        }
    }

    #[test]
    fn failures_find_room_behind_the_rest() {
        let mut budget = Budget::new(100);
        let rest = (0..1000).filter(|_| budget.take(Nanos(SECOND), false)).count();
        let failures = (0..1000).filter(|_| budget.take(Nanos(SECOND), true)).count();
        assert_eq!((rest, failures), (50, 50));
    }
}
