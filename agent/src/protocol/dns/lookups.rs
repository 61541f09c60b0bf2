//! Questions paired with their answers (RFC 1035 §7.3, RFC 5452 §9.1).
//!
//! An answer belongs to the query on the same socket, with the same peer, identifier, name and type. Whatever else
//! comes is nobody's: a forged answer, one to another question, one that comes late or twice.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use super::{Heard, Lookup, Message, Outcome, Transport};
use crate::{exchange::Role, protocol::Direction, time::Nanos};

/// Queries of one socket, peer and identifier that wait at a time: one, but where identifiers are used again before
/// the answer. The oldest of them goes; each message is compared with all of them.
const MAX_SAME_ID: usize = 16;

/// The socket that a message passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The socket's cookie.
    pub cookie: u64,
    /// Process that owns the socket; 0: not known.
    pub pid: u32,
    /// Id of the cgroup that it belongs to; 0: not known.
    pub cgroup: u64,
    /// Its own address, of this message.
    pub local: SocketAddr,
    /// The other side's address, of this message.
    pub peer: SocketAddr,
    /// How the message travels.
    pub transport: Transport,
}

/// Where a query waits: by socket, by whom it is exchanged with, by identifier, by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    cookie: u64,
    asks: bool,
    peer: SocketAddr,
    id: u16,
    turn: u64,
}

#[derive(Debug)]
struct Pending {
    name: Box<str>,
    kind: u16,
    pid: u32,
    cgroup: u64,
    server: SocketAddr,
    transport: Transport,
    asked: Nanos,
    attempts: u32,
}

/// Queries that wait for their answers, bounded.
#[derive(Debug)]
pub struct Lookups {
    pending: BTreeMap<Place, Pending>,
    /// The same, by age alone.
    order: BTreeMap<u64, Place>,
    next_turn: u64,
    limit: usize,
    timeout: Duration,
    evicted: u64,
}

impl Lookups {
    /// At most `limit` queries (at least one) wait at a time, each for `timeout` from when it was first asked.
    #[must_use]
    pub fn new(limit: usize, timeout: Duration) -> Self {
        Self {
            pending: BTreeMap::new(),
            order: BTreeMap::new(),
            next_turn: 0,
            limit: limit.max(1),
            timeout,
            evicted: 0,
        }
    }

    /// Takes a message; the lookup, if it answers one.
    ///
    /// A query that is sent is one of a client, a query received is one to a server here. The same query again while
    /// it waits is another attempt. An answer without a question, as servers give that could not read it, belongs to
    /// the query with its identifier if there is but one.
    pub fn heard(&mut self, from: Asker, heard: &Heard) -> Option<Lookup> {
        let message = &heard.message;
        let is_sent = heard.direction == Direction::Tx;
        let asks = is_sent != message.is_response;
        let place = Place { cookie: from.cookie, asks, peer: from.peer, id: message.id, turn: 0 };
        let found = self.find(place, message, heard.time);
        if message.is_response {
            let (place, pending) = self.remove(found?)?;
            let pid = if pending.pid == 0 { from.pid } else { pending.pid };
            let answered = Lookup {
                outcome: Outcome::Answered(message.code),
                duration: heard.time.since(pending.asked),
                addresses: message.addresses.clone(),
                truncated: message.truncated,
                pid,
                cgroup: pending.cgroup,
                ..pending.given_up(place, Duration::ZERO)
            };
            return Some(answered);
        }
        match found.and_then(|place| self.pending.get_mut(&place)) {
            Some(pending) => pending.attempts = pending.attempts.saturating_add(1),
            None if message.kind != 0 => self.insert(place, from, heard),
            None => {}
        }
        None
    }

    /// Tells every query that has waited since `timeout` before `now`.
    pub fn expire(&mut self, now: Nanos, told: &mut impl FnMut(Lookup)) {
        while let Some((_, &place)) = self.order.first_key_value()
            && self.pending.get(&place).is_none_or(|pending| pending.asked.plus(self.timeout) <= now)
        {
            let Some((place, pending)) = self.remove(place) else { break };
            told(pending.given_up(place, self.timeout));
        }
    }

    /// A socket is gone: tells what waits on it, given up `now`.
    pub fn closed(&mut self, cookie: u64, now: Nanos, told: &mut impl FnMut(Lookup)) {
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let first = Place { cookie, asks: false, peer: nowhere, id: 0, turn: 0 };
        while let Some((&place, _)) = self.pending.range(first..).next()
            && place.cookie == cookie
        {
            let Some((place, pending)) = self.remove(place) else { break };
            let waited = now.since(pending.asked).min(self.timeout);
            told(pending.given_up(place, waited));
        }
    }

    /// Queries that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// The most that may wait.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Queries that were given up for want of room, and not told; never decreases.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The query that a message repeats or answers. One that has waited too long is as good as told already.
    fn find(&self, place: Place, message: &Message, now: Nanos) -> Option<Place> {
        let mut waiting = self.same_id(place).filter(|(_, pending)| now < pending.asked.plus(self.timeout));
        if message.is_response && message.kind == 0 {
            let only = waiting.next()?;
            return waiting.next().is_none().then_some(*only.0);
        }
        let mut same = waiting.filter(|(_, pending)| pending.kind == message.kind && pending.name == message.name);
        same.next().map(|(place, _)| *place)
    }

    /// What waits for answers with one identifier, oldest first.
    fn same_id(&self, place: Place) -> impl Iterator<Item = (&Place, &Pending)> {
        self.pending.range(Place { turn: 0, ..place }..=Place { turn: u64::MAX, ..place })
    }

    fn insert(&mut self, place: Place, from: Asker, heard: &Heard) {
        let place = Place { turn: self.next_turn, ..place };
        self.next_turn += 1;
        if self.same_id(place).count() >= MAX_SAME_ID {
            let oldest = self.same_id(place).next().map(|(oldest, _)| *oldest);
            self.evict(oldest);
        }
        if self.pending.len() >= self.limit {
            let oldest = self.order.values().next().copied();
            self.evict(oldest);
        }
        let pending = Pending {
            name: heard.message.name.clone(),
            kind: heard.message.kind,
            pid: from.pid,
            cgroup: from.cgroup,
            server: if place.asks { from.peer } else { from.local },
            transport: from.transport,
            asked: heard.time,
            attempts: 1,
        };
        self.order.insert(place.turn, place);
        self.pending.insert(place, pending);
    }

    fn evict(&mut self, oldest: Option<Place>) {
        if oldest.and_then(|place| self.remove(place)).is_some() {
            self.evicted += 1;
        }
    }

    fn remove(&mut self, place: Place) -> Option<(Place, Pending)> {
        self.order.remove(&place.turn);
        self.pending.remove_entry(&place)
    }
}

impl Pending {
    /// The lookup without an answer.
    fn given_up(self, place: Place, waited: Duration) -> Lookup {
        Lookup {
            cookie: place.cookie,
            pid: self.pid,
            cgroup: self.cgroup,
            role: if place.asks { Role::Client } else { Role::Server },
            transport: self.transport,
            server: self.server,
            name: self.name,
            kind: self.kind,
            outcome: Outcome::Timeout,
            asked: self.asked,
            duration: waited,
            attempts: self.attempts,
            addresses: Vec::new(),
            truncated: false,
        }
    }
}

#[cfg(test)]
mod tests;
