//! Connections that have ended: a record that another CPU wrote late does not bring them back.

use std::{collections::VecDeque, time::Duration};

use hashbrown::HashMap;

use crate::time::Nanos;

/// How long an end is remembered: a program that was interrupted between its clock and its ring is not longer.
const MEMORY: Duration = Duration::from_secs(2);

/// Ends remembered at most; the oldest are forgotten first.
const LIMIT: usize = 65_536;

/// When connections ended, lately.
#[derive(Default)]
pub struct Ended {
    moments: HashMap<u64, Nanos>,
    order: VecDeque<(Nanos, u64)>,
    /// Nothing is forgotten for its age: who asks may have looked long ago.
    pub is_kept: bool,
}

impl Ended {
    /// A connection ended then; its socket may make another.
    pub fn note(&mut self, cookie: u64, moment: Nanos) {
        self.moments.insert(cookie, moment);
        self.order.push_back((moment, cookie));
        if self.order.len() > LIMIT {
            self.forget_oldest();
        }
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has(&self, cookie: u64) -> bool {
        self.moments.contains_key(&cookie)
    }

    /// Whether a record of this time is of a connection that has ended since.
    #[must_use]
    pub fn is_late(&self, cookie: u64, time: Nanos) -> bool {
        self.moments.get(&cookie).is_some_and(|ended| time <= *ended)
    }

    /// Forgets those of long ago.
    pub fn expire(&mut self, now: Nanos) {
        if self.is_kept {
            return;
        }
        while self.order.front().is_some_and(|(moment, _)| now.since(*moment) >= MEMORY) {
            self.forget_oldest();
        }
        if self.order.is_empty() {
            (self.moments, self.order) = (HashMap::new(), VecDeque::new());
        }
    }

    fn forget_oldest(&mut self) {
        let Some((moment, cookie)) = self.order.pop_front() else { return };
        if self.moments.get(&cookie) == Some(&moment) {
            self.moments.remove(&cookie);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_late_is_told_from_what_comes_anew() {
        let mut ended = Ended::default();
        ended.note(1, Nanos(100));
        for (cookie, time, late) in [(1, 99, true), (1, 100, true), (1, 101, false), (2, 99, false)] {
            assert_eq!(ended.is_late(cookie, Nanos(time)), late, "{cookie} at {time}");
        }
        ended.note(1, Nanos(200));
        ended.expire(Nanos(100).plus(MEMORY));
        assert!(ended.is_late(1, Nanos(150)));
        ended.expire(Nanos(200).plus(MEMORY));
        assert!(!ended.is_late(1, Nanos(150)));
    }

    #[test]
    fn is_bounded_even_while_nothing_is_forgotten_for_its_age() {
        let mut ended = Ended { is_kept: true, ..Ended::default() };
        let ends = LIMIT as u64 + 10;
        for cookie in 0..ends {
            ended.note(cookie, Nanos(cookie));
        }
        ended.expire(Nanos(u64::MAX));
        assert_eq!((ended.order.len(), ended.moments.len()), (LIMIT, LIMIT));
        assert!(!ended.has(9) && ended.has(10) && ended.has(ends - 1));
        ended.is_kept = false;
        ended.expire(Nanos(u64::MAX));
        assert!(!ended.has(ends - 1));
    }
}
