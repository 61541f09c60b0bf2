//! Addresses by the names they were looked up under.
//!
//! The bias: rather no name than a wrong or a strange one. An address that serves many names goes by the one asked
//! for last; names outlive their time to live, for connections do.

use std::{
    cell::Cell,
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use hashbrown::HashMap;

use crate::time::Nanos;

/// The longest name in text (RFC 1035 §2.3.4: 255 bytes with a length before each label and the root's).
const MAX_NAME: usize = 253;

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    learned: Nanos,
    turn: u64,
    /// Asked for since it was last spared.
    used: Cell<bool>,
}

/// The names of addresses, bounded: where there is no room, the one that was learned longest ago goes, but for those
/// that were asked for meanwhile, which are spared once each time.
#[derive(Debug)]
pub struct Names {
    entries: HashMap<IpAddr, Entry>,
    /// Addresses in the order of being forgotten.
    order: BTreeMap<u64, IpAddr>,
    next_turn: u64,
    limit: usize,
    evicted: u64,
}

impl Names {
    /// At most `limit` addresses have names; at least one.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { entries: HashMap::new(), order: BTreeMap::new(), next_turn: 0, limit: limit.max(1), evicted: 0 }
    }

    /// An answer of the time `now` gave an address for a name. The newest answer wins, whatever the order they are
    /// told in.
    ///
    /// Nothing is learned of addresses that are nobody's own (loopback, unspecified, multicast, broadcast), nor of
    /// names that no host has: of more than 253 bytes, with bytes other than letters, digits, `-`, `_` and `.`, or
    /// that are addresses themselves.
    pub fn learn(&mut self, address: IpAddr, name: &str, now: Nanos) {
        let address = address.to_canonical();
        let name = name.strip_suffix('.').unwrap_or(name);
        if !is_of_one_host(address) || !is_host_name(name) {
            return;
        }
        match self.entries.get(&address) {
            Some(entry) if now < entry.learned => return,
            Some(entry) => {
                self.order.remove(&entry.turn);
            }
            None => self.make_room(),
        }
        let turn = self.next_turn;
        self.next_turn += 1;
        self.order.insert(turn, address);
        let entry = self.entries.entry(address).or_insert_with(|| Entry {
            name: name.to_ascii_lowercase().into(),
            learned: now,
            turn,
            used: Cell::new(false),
        });
        entry.learned = now;
        entry.turn = turn;
        if !entry.name.eq_ignore_ascii_case(name) {
            entry.name = name.to_ascii_lowercase().into();
        }
    }

    /// The name of an address.
    #[must_use]
    pub fn name(&self, address: IpAddr) -> Option<Arc<str>> {
        let entry = self.entries.get(&address.to_canonical())?;
        entry.used.set(true);
        Some(Arc::clone(&entry.name))
    }

    /// Addresses that have names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The most that may have.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Addresses forgotten for want of room; never decreases.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Each pass spares an entry at most once: it ends at the latest when it comes round.
    fn make_room(&mut self) {
        while self.entries.len() >= self.limit
            && let Some((_, address)) = self.order.pop_first()
        {
            match self.entries.get_mut(&address) {
                Some(entry) if entry.used.take() => {
                    entry.turn = self.next_turn;
                    self.order.insert(self.next_turn, address);
                    self.next_turn += 1;
                }
                _ => {
                    self.entries.remove(&address);
                    self.evicted += 1;
                }
            }
        }
    }
}

fn is_of_one_host(address: IpAddr) -> bool {
    !(address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address == Ipv4Addr::BROADCAST)
}

fn is_host_name(name: &str) -> bool {
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty()
        && name.len() <= MAX_NAME
        && name.bytes().all(is_usual)
        && !name.starts_with('.')
        && name.parse::<IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{MAX_NAME, Names};
    use crate::time::Nanos;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// The names of `addresses` in a table of so many that learns `answers` (address, name), one a nanosecond.
    fn check(limit: usize, answers: &[(&str, &str)], expected: &[(&str, Option<&str>)]) {
        let mut names = Names::new(limit);
        for (time, (at, name)) in (0..).zip(answers) {
            names.learn(address(at), name, Nanos(time));
            assert!(names.len() <= names.limit());
            assert_eq!(names.len(), names.order.len());
        }
        for (at, name) in expected {
            assert_eq!(names.name(address(at)).as_deref(), *name, "{at} after {answers:?}");
        }
    }

    #[test]
    fn the_newest_answer_wins() {
        check(9, &[("192.0.2.1", "a.example"), ("192.0.2.1", "B.example.")], &[("192.0.2.1", Some("b.example"))]);
        check(9, &[("::ffff:192.0.2.1", "a")], &[("192.0.2.1", Some("a")), ("::ffff:192.0.2.1", Some("a"))]);
        let mut names = Names::new(9);
        names.learn(address("192.0.2.1"), "newer", Nanos(5));
        names.learn(address("192.0.2.1"), "older", Nanos(4));
        assert_eq!(names.name(address("192.0.2.1")).as_deref(), Some("newer"));
    }

    #[test]
    fn nothing_is_learned_of_what_is_no_host() {
        let nobodys =
            ["127.0.0.1", "127.8.0.1", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "224.0.0.1", "ff02::1"];
        for at in nobodys.into_iter().chain(["255.255.255.255"]) {
            check(9, &[(at, "a.example")], &[(at, None)]);
        }
        let longest = "a".repeat(MAX_NAME);
        let longer = "a".repeat(MAX_NAME + 1);
        check(9, &[("192.0.2.1", &longest)], &[("192.0.2.1", Some(&longest))]);
        for name in ["", ".", "a b", "a\n", "a\0", "a\\007", "ä", "\u{202e}a", "a\"", "192.0.2.7", ".a", &longer]
        {
            check(9, &[("192.0.2.1", name)], &[("192.0.2.1", None)]);
        }
    }

    #[test]
    fn what_was_learned_longest_ago_goes_first() {
        let answers = [("10.0.0.1", "a"), ("10.0.0.2", "b"), ("10.0.0.1", "a"), ("10.0.0.3", "c")];
        check(2, &answers, &[("10.0.0.1", Some("a")), ("10.0.0.2", None), ("10.0.0.3", Some("c"))]);
        check(0, &answers, &[("10.0.0.1", None), ("10.0.0.3", Some("c"))]);
    }

    #[test]
    fn what_is_asked_for_is_spared_once() {
        let mut names = Names::new(2);
        let learn = |names: &mut Names, last: u8| names.learn([10, 0, 0, last].into(), "a", Nanos(0));
        let held = |names: &Names| {
            (1..9).filter(|last| names.entries.contains_key(&IpAddr::from([10, 0, 0, *last]))).collect::<Vec<u8>>()
        };
        learn(&mut names, 1);
        learn(&mut names, 2);
        assert!(names.name(address("10.0.0.1")).is_some());
        learn(&mut names, 3);
        assert_eq!(held(&names), [1, 3]);
        learn(&mut names, 4);
        assert_eq!(held(&names), [3, 4]);
        assert!(names.name(address("10.0.0.3")).is_some() && names.name(address("10.0.0.4")).is_some());
        learn(&mut names, 5);
        assert_eq!((held(&names), names.evicted()), (vec![4, 5], 3));
    }
}
