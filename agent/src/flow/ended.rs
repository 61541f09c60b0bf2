//! Connections that have ended: a record that another CPU wrote late does not bring them back.

use std::{collections::VecDeque, time::Duration};

use hashbrown::HashMap;

use crate::time::Nanos;

/// How long an end is remembered: a program that was interrupted between its clock and its ring is not longer.
const MEMORY: Duration = Duration::from_secs(2);

/// When connections ended, lately.
#[derive(Default)]
pub struct Ended {
    moments: HashMap<u64, Nanos>,
    order: VecDeque<(Nanos, u64)>,
}

impl Ended {
    /// A connection ended then; its socket may make another.
    pub fn note(&mut self, cookie: u64, moment: Nanos) {
        self.moments.insert(cookie, moment);
        self.order.push_back((moment, cookie));
    }

    /// Whether a record of this time is of a connection that has ended since.
    #[must_use]
    pub fn is_late(&self, cookie: u64, time: Nanos) -> bool {
        self.moments.get(&cookie).is_some_and(|ended| time <= *ended)
    }

    /// Forgets those of long ago.
    pub fn expire(&mut self, now: Nanos) {
        while let Some((moment, cookie)) = self.order.front()
            && now.since(*moment) >= MEMORY
        {
            if self.moments.get(cookie) == Some(moment) {
                self.moments.remove(cookie);
            }
            self.order.pop_front();
        }
        if self.order.is_empty() {
            (self.moments, self.order) = (HashMap::new(), VecDeque::new());
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
}
