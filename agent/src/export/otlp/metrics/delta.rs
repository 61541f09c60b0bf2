//! Differences to what arrived last.

use hashbrown::HashMap;

use super::points::Total;
use crate::{
    export::metrics::{Attributes, Point},
    semconv::Metric,
};

/// A point, whatever its value: its family's name and its attributes.
type Key = (&'static str, Attributes);

/// What arrived of each counted point. As many as the series that the page has.
#[derive(Debug, Default)]
pub struct Deltas {
    known: HashMap<Key, Known>,
    /// Counts pages, so that points which are on none any more are forgotten.
    page: u64,
    /// The states that hold once a request has arrived, by its index.
    pending: Vec<Vec<(Key, State)>>,
}

#[derive(Debug)]
struct Known {
    state: State,
    page: u64,
}

/// What a point had come to.
#[derive(Clone, Debug)]
pub struct State {
    /// Since when it was counted; another start is another count.
    start: u64,
    /// When, in nanoseconds since the epoch.
    at: u64,
    total: Total,
}

impl Deltas {
    /// A page begins; what is pending of the one before did not arrive.
    pub fn begin(&mut self) {
        self.page += 1;
        self.pending.clear();
    }

    /// A page ended: what was not on it is forgotten.
    pub fn end(&mut self) {
        let page = self.page;
        self.known.retain(|_, known| known.page == page);
    }

    /// Since when and by how much `total` is more than what arrived; all of it, if nothing of that count did.
    /// `None`, if it is no more.
    pub fn difference(&mut self, metric: &Metric, point: Point<'_>, total: &Total) -> Option<(u64, Total)> {
        let whole = || (point.start, total.clone());
        let known = self.known.get_mut(&Borrowed((metric.prometheus, point.attributes)));
        let (start, difference) = known.map_or_else(whole, |known| {
            known.page = self.page;
            let continued = known.state.start == point.start;
            let difference = continued.then(|| total.since(&known.state.total)).flatten();
            difference.map_or_else(whole, |difference| (known.state.at, difference))
        });
        (!difference.is_nothing()).then_some((start, difference))
    }

    /// The request of that index has the difference up to `total`.
    pub fn stage(&mut self, request: usize, metric: &Metric, point: Point<'_>, at: u64, total: Total) {
        if self.pending.len() <= request {
            self.pending.resize_with(request + 1, Vec::new);
        }
        if let Some(pending) = self.pending.get_mut(request) {
            let key = (metric.prometheus, point.attributes.clone());
            pending.push((key, State { start: point.start, at, total }));
        }
    }

    /// A request arrived.
    pub fn commit(&mut self, request: usize) {
        for (key, state) in self.pending.get_mut(request).map(std::mem::take).unwrap_or_default() {
            self.known.insert(key, Known { state, page: self.page });
        }
    }

    /// All requests arrived.
    pub fn commit_all(&mut self) {
        (0..self.pending.len()).for_each(|request| self.commit(request));
    }
}

/// A [`Key`] that is looked for.
#[derive(Hash)]
struct Borrowed<'a>((&'static str, &'a Attributes));

impl hashbrown::Equivalent<Key> for Borrowed<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.0 == (key.0, &key.1)
    }
}
