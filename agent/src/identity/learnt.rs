//! What is learnt later of what is asked for now, and how long it is waited for.
//!
//! ```text
//!  asked for ──> waiting ──(answer)──> known
//!                   └─(patience over, somebody had to do without)──> given up ──(answer)──> known, too late
//! ```
//!
//! What came too late tells no more than what it is: whatever was decided without it stays.

use std::{collections::VecDeque, hash::Hash, time::Duration};

use hashbrown::HashMap;

use super::Fill;
use crate::time::Nanos;

/// How long it is waited for at most. A look into a file takes less than a millisecond, unless its disk or its network is in
/// trouble.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// How many forgotten keys the order may hold whatever is known.
const SLACK: usize = 64;

/// What is known of a key now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding<V> {
    /// What it is.
    pub value: Option<V>,
    /// It may decide about other things: nobody had to do without it.
    pub in_time: bool,
    /// More may become known.
    pub is_pending: bool,
    /// Until when it is worth waiting for.
    pub until: Option<Nanos>,
}

impl<V> Finding<V> {
    /// Nothing more will become known than this.
    pub const fn settled(value: Option<V>) -> Self {
        Self { value, in_time: true, is_pending: false, until: None }
    }

    /// The same of another value.
    pub fn map<W>(self, change: impl FnOnce(V) -> W) -> Finding<W> {
        let Self { value, in_time, is_pending, until } = self;
        Finding { value: value.map(change), in_time, is_pending, until }
    }

    /// The value, unless it came too late to decide anything.
    pub const fn deciding(&self) -> Option<&V> {
        if self.in_time { self.value.as_ref() } else { None }
    }
}

#[derive(Debug)]
enum State<V> {
    /// Since when, and whether somebody was found who looks.
    Waiting(Nanos, bool),
    /// Likewise, but somebody had to do without it.
    GivenUp(bool),
    Known(Option<V>),
    TooLate(Option<V>),
}

/// Values by keys, bounded; the one that was asked for first is forgotten first.
#[derive(Debug)]
pub struct Learnt<K, V> {
    all: HashMap<K, State<V>>,
    order: VecDeque<K>,
    limit: usize,
}

impl<K: Clone + Eq + Hash, V: Clone> Learnt<K, V> {
    /// Nothing learnt; room for `limit` keys.
    pub fn new(limit: usize) -> Self {
        Self { all: HashMap::new(), order: VecDeque::new(), limit: limit.max(1) }
    }

    /// What is known of a key. `ask` sees to it that it is learnt, and says whether it could; it is called again if not.
    pub fn of(&mut self, key: &K, now: Nanos, ask: impl FnOnce() -> bool) -> Finding<V> {
        if !self.all.contains_key(key) {
            self.make_room();
            self.order.push_back(key.clone());
            self.all.insert(key.clone(), State::Waiting(now, false));
        }
        let Some(state) = self.all.get_mut(key) else { return Finding::settled(None) };
        if let State::Waiting(_, is_asked) | State::GivenUp(is_asked) = state
            && !*is_asked
        {
            *is_asked = ask();
        }
        if let State::Waiting(since, is_asked) = state
            && now.since(*since) >= PATIENCE
        {
            *state = State::GivenUp(*is_asked);
        }
        match state {
            State::Waiting(since, _) => {
                Finding { value: None, in_time: true, is_pending: true, until: Some(since.plus(PATIENCE)) }
            }
            State::GivenUp(_) => Finding { value: None, in_time: false, is_pending: true, until: None },
            State::Known(value) => Finding::settled(value.clone()),
            State::TooLate(value) => Finding { in_time: false, ..Finding::settled(value.clone()) },
        }
    }

    /// An answer is here; one that nobody remembers to have asked for is passed over.
    pub fn learn(&mut self, key: &K, value: Option<V>) {
        let Some(state) = self.all.get_mut(key) else { return };
        *state = match state {
            State::Waiting(..) | State::Known(_) => State::Known(value),
            State::GivenUp(_) | State::TooLate(_) => State::TooLate(value),
        };
    }

    /// Forgets a key that nobody will ask for again.
    pub fn forget(&mut self, key: &K) {
        self.all.remove(key);
        // Its place in the order goes with those of others, so that each costs a constant.
        if self.order.len() > 2 * self.all.len() + SLACK {
            self.order.retain(|key| self.all.contains_key(key));
        }
    }

    /// The keys in the table.
    pub fn fill(&self) -> Fill {
        Fill { entries: self.all.len(), limit: self.limit }
    }

    fn make_room(&mut self) {
        while self.all.len() >= self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays steps and gives what was found by each `?`: `SECOND ?KEY` asks, with `!` behind it where nobody looks; `=KEY VALUE` is an
    /// answer.
    fn play(steps: &str, limit: usize) -> String {
        let mut learnt = Learnt::<String, String>::new(limit);
        let mut found = Vec::new();
        for step in steps.split(", ") {
            let (first, second) = step.split_once(' ').unwrap();
            if let Some(key) = first.strip_prefix('=') {
                learnt.learn(&key.to_owned(), Some(second.to_owned()).filter(|value| value != "-"));
                continue;
            }
            let key = second.trim_matches(['?', '!']).to_owned();
            let now = Nanos(first.parse::<u64>().unwrap() * 1_000_000_000);
            let mut asked = "";
            let finding = learnt.of(&key, now, || {
                asked = "asked ";
                !second.ends_with('!')
            });
            let value = finding.value.unwrap_or_else(|| "-".to_owned());
            let late = if finding.in_time { "" } else { " late" };
            let pending = if finding.is_pending { " pending" } else { "" };
            let until =
                finding.until.map(|until| format!(" until {}", until.0 / 1_000_000_000)).unwrap_or_default();
            found.push(format!("{asked}{value}{late}{pending}{until}"));
        }
        found.join(", ")
    }

    #[test]
    fn what_is_forgotten_takes_no_room() {
        let mut learnt = Learnt::<u32, u32>::new(4);
        for key in 0..1000 {
            learnt.of(&key, Nanos(0), || true);
            learnt.learn(&key, Some(key));
            if key != 1 {
                learnt.forget(&key);
            }
        }
        assert_eq!(learnt.fill().entries, 1);
        assert_eq!(learnt.of(&1, Nanos(0), || false), Finding::settled(Some(1)));
        assert!(learnt.order.len() <= SLACK + 2, "{}", learnt.order.len());
    }

    #[test]
    fn histories() {
        for (what, steps, expected) in [
            ("waited for and known", "1 ?a, 2 ?a, =a x, 2 ?a", "asked - pending until 3, - pending until 3, x"),
            ("known not to be there", "1 ?a, =a -, 9 ?a", "asked - pending until 3, -"),
            ("known before anybody had to do without", "1 ?a, =a x, 9 ?a", "asked - pending until 3, x"),
            ("too late", "1 ?a, 3 ?a, =a x, 4 ?a", "asked - pending until 3, - late pending, x late"),
            ("told again", "1 ?a, =a x, =a y, 4 ?a", "asked - pending until 3, y"),
            (
                "nobody looks at first",
                "1 ?a!, 2 ?a, 2 ?a",
                "asked - pending until 3, asked - pending until 3, - pending until 3",
            ),
            (
                "nobody looks until it is too late",
                "1 ?a!, 4 ?a, 5 ?a",
                "asked - pending until 3, asked - late pending, - late pending",
            ),
            ("nobody asked", "=a x, 1 ?a", "asked - pending until 3"),
            (
                "the first goes first",
                "1 ?a, 1 ?b, 1 ?c, =b x, 1 ?b, 1 ?a",
                "asked - pending until 3, asked - pending until 3, asked - pending until 3, x, asked - pending until 3",
            ),
        ] {
            assert_eq!(play(steps, 2), expected, "{what}");
        }
    }

    #[test]
    fn there_are_never_more_than_there_is_room_for() {
        let mut learnt = Learnt::<u32, ()>::new(3);
        for key in 0..100 {
            learnt.of(&key, Nanos(0), || true);
            assert_eq!(learnt.fill(), Fill { entries: (key as usize + 1).min(3), limit: 3 });
            assert_eq!(learnt.order.len(), learnt.all.len());
        }
    }
}
