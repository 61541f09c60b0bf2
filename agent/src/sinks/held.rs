//! What waits until it is known whose it is: a pod's first requests are there before its name.

use std::{collections::VecDeque, time::Duration};

use crate::{
    exchange::{Exchange, StreamEnd},
    flow::{CloseReason, ConnectFailure, Kept, Progress},
    protocol::{dns::Lookup, tls::Handshake},
    time::Nanos,
};

/// Most that waits at once; what comes then goes out with what is known.
const LIMIT: usize = 8192;

/// How long it waits at most: longer than identity takes to give up ([`crate::identity::PATIENCE`]).
const LONGEST: Duration = Duration::from_secs(15);

/// What was told of a connection.
#[derive(Debug)]
pub enum What {
    /// A finished exchange.
    Exchange(Box<Exchange>),
    /// A stream opened.
    StreamOpened(StreamEnd),
    /// A stream ended.
    StreamClosed(StreamEnd),
    /// The connection ended; what it had carried by then.
    Closed(CloseReason, Nanos, Option<Progress>),
    /// A connect failed.
    Failed(ConnectFailure, Nanos),
    /// A TLS handshake ended.
    Handshake(Box<Handshake>),
    /// A lookup ended. It has no connection where it went by UDP.
    Lookup(Box<Lookup>),
}

/// Something that waits.
#[derive(Debug)]
pub struct Held {
    /// What.
    pub what: What,
    /// The connection that it is of.
    pub link: Option<Kept>,
    since: Nanos,
}

impl Held {
    /// Whether it has waited for too long.
    #[must_use]
    pub fn is_overdue(&self, now: Nanos) -> bool {
        now.since(self.since) >= LONGEST
    }
}

/// All that waits, in the order in which it came.
#[derive(Debug, Default)]
pub struct Waiting {
    all: VecDeque<Held>,
    refused: u64,
}

impl Waiting {
    /// Keeps something, unless there is no room, which is counted.
    pub fn keep(&mut self, what: What, link: Option<Kept>, now: Nanos) -> Result<(), What> {
        if self.all.len() >= LIMIT {
            self.refused += 1;
            return Err(what);
        }
        self.all.push_back(Held { what, link, since: now });
        Ok(())
    }

    /// Takes all out, to be gone through.
    #[must_use]
    pub fn take(&mut self) -> VecDeque<Held> {
        std::mem::take(&mut self.all)
    }

    /// Something has to wait longer.
    pub fn put_back(&mut self, held: Held) {
        self.all.push_back(held);
    }

    /// How much waits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// How much may.
    #[must_use]
    pub const fn limit(&self) -> usize {
        LIMIT
    }

    /// What did not wait for want of room.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(at: u64) -> What {
        What::Failed(ConnectFailure::Refused, Nanos(at))
    }

    fn moments(waiting: &Waiting) -> Vec<u64> {
        let moment = |held: &Held| match held.what {
            What::Failed(_, at) => at.0,
            _ => panic!("{held:?}"),
        };
        waiting.all.iter().map(moment).collect()
    }

    #[test]
    fn what_waits_keeps_its_order_and_does_not_wait_for_ever() {
        let mut waiting = Waiting::default();
        for at in 0..4 {
            waiting.keep(failed(at), None, Nanos(at)).unwrap();
        }
        let now = Nanos(1).plus(LONGEST);
        for held in waiting.take() {
            if !held.is_overdue(now) {
                waiting.put_back(held);
            }
        }
        assert_eq!(moments(&waiting), [2, 3]);
    }

    #[test]
    fn what_finds_no_room_comes_back() {
        let mut waiting = Waiting::default();
        let refused = (0..LIMIT as u64 + 3).filter(|at| waiting.keep(failed(*at), None, Nanos(0)).is_err());
        assert_eq!((refused.count(), waiting.len(), waiting.refused()), (3, LIMIT, 3));
    }
}
