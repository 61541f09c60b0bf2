//! Which process uses a UDP socket, as last told: a bounded table.

use std::collections::VecDeque;

use hashbrown::HashMap;

/// Processes by socket cookie; the one told first is forgotten first.
#[derive(Debug)]
pub struct Owners {
    pids: HashMap<u64, u32>,
    order: VecDeque<u64>,
    limit: usize,
}

impl Owners {
    /// Nothing told; at most `limit` sockets.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { pids: HashMap::new(), order: VecDeque::new(), limit: limit.max(1) }
    }

    /// The socket is used by this process.
    pub fn learn(&mut self, cookie: u64, pid: u32) {
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
            owners.learn(cookie, pid);
        }
        assert_eq!([1, 2, 3, 4].map(|cookie| owners.of(cookie)), [0, 20, 30, 0]);
        assert_eq!(owners.len(), 2);
    }
}
