//! Which process uses a UDP socket, as last told: a bounded table.

use std::{collections::VecDeque, time::Duration};

use hashbrown::HashMap;

use crate::time::Nanos;

/// How long the owner of a socket that has ended is known: what passed last is counted later.
const GRACE: Duration = Duration::from_secs(10);

/// Processes by socket cookie; sockets that have ended are forgotten, and the one told first where there are too many.
#[derive(Debug)]
pub struct Owners {
    pids: HashMap<u64, u32>,
    order: VecDeque<u64>,
    ended: VecDeque<(Nanos, u64)>,
    limit: usize,
}

impl Owners {
    /// Nothing told; at most `limit` sockets.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { pids: HashMap::new(), order: VecDeque::new(), ended: VecDeque::new(), limit: limit.max(1) }
    }

    /// The socket is used by this process; 0: it has ended.
    pub fn learn(&mut self, cookie: u64, pid: u32, now: Nanos) {
        if pid == 0 {
            if self.pids.contains_key(&cookie) {
                self.ended.push_back((now, cookie));
            }
            if self.ended.len() > self.limit
                && let Some((_, oldest)) = self.ended.pop_front()
            {
                self.pids.remove(&oldest);
            }
            return;
        }
        if self.pids.insert(cookie, pid).is_some() {
            return;
        }
        self.order.push_back(cookie);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.pids.remove(&oldest);
        }
    }

    /// Forgets the sockets that ended a while ago.
    pub fn sweep(&mut self, now: Nanos) {
        while let Some((time, cookie)) = self.ended.front().copied()
            && now.since(time) >= GRACE
        {
            self.ended.pop_front();
            self.pids.remove(&cookie);
        }
        if self.pids.len() < self.order.len() {
            self.order.retain(|cookie| self.pids.contains_key(cookie));
        }
    }

    /// The process that uses a socket; 0: not known.
    #[must_use]
    pub fn of(&self, cookie: u64) -> u32 {
        self.pids.get(&cookie).copied().unwrap_or(0)
    }

    /// Sockets known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pids.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pids.is_empty()
    }

    /// The most it holds.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_owner_of_the_newest_sockets_is_known() {
        let mut owners = Owners::new(2);
        for (cookie, pid) in [(1, 10), (2, 20), (1, 11), (3, 30)] {
            owners.learn(cookie, pid, Nanos(0));
        }
        assert_eq!([1, 2, 3, 4].map(|cookie| owners.of(cookie)), [0, 20, 30, 0]);
        assert_eq!(owners.len(), 2);
    }

    #[test]
    fn a_socket_that_has_ended_is_forgotten_after_a_while() {
        let mut owners = Owners::new(2);
        let second = |number: u64| Nanos(number * 1_000_000_000);
        owners.learn(1, 10, second(0));
        owners.learn(2, 20, second(0));
        for cookie in [1, 1, 7] {
            owners.learn(cookie, 0, second(1));
        }
        owners.sweep(second(10));
        assert_eq!([1, 2].map(|cookie| owners.of(cookie)), [10, 20]);
        owners.sweep(second(11));
        assert_eq!([1, 2].map(|cookie| owners.of(cookie)), [0, 20]);
        assert!(owners.ended.is_empty());
        // Its place is free.
        owners.learn(3, 30, second(12));
        assert_eq!([2, 3].map(|cookie| owners.of(cookie)), [20, 30]);
    }
}
