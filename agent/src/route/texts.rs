//! The texts of routes, interned: a bounded table from text to a small id.

use std::sync::Arc;

use hashbrown::HashMap;

/// A route's index in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub(crate) u32);

/// The table. Nothing leaves it, since series refer to it.
#[derive(Debug)]
pub(super) struct Texts {
    all: Vec<Arc<str>>,
    index: HashMap<Arc<str>, RouteId>,
    /// Those that the limit is not for.
    fixed: usize,
    limit: usize,
}

impl Texts {
    /// Room for `limit` texts, those of `fixed` not counted.
    pub(super) fn new<'a>(limit: usize, fixed: impl IntoIterator<Item = &'a str>) -> Self {
        let mut texts = Self { all: Vec::new(), index: HashMap::new(), fixed: 0, limit: usize::MAX };
        for text in fixed {
            texts.intern(text);
        }
        (texts.fixed, texts.limit) = (texts.all.len(), limit);
        texts
    }

    /// The id of `text`; `None` for one that comes when the table is full.
    pub(super) fn intern(&mut self, text: &str) -> Option<RouteId> {
        if let Some(id) = self.index.get(text) {
            return Some(*id);
        }
        if self.is_full() {
            return None;
        }
        let id = RouteId(u32::try_from(self.all.len()).ok()?);
        let text: Arc<str> = text.into();
        self.all.push(Arc::clone(&text));
        self.index.insert(text, id);
        Some(id)
    }

    pub(super) fn all(&self) -> &[Arc<str>] {
        &self.all
    }

    /// Texts that the limit is for.
    pub(super) const fn entries(&self) -> usize {
        self.all.len() - self.fixed
    }

    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    pub(super) const fn is_full(&self) -> bool {
        self.entries() >= self.limit
    }
}

impl RouteId {
    /// This route in (a copy of) [`Routes::all`](super::Routes::all).
    #[must_use]
    pub fn of(self, routes: &[Arc<str>]) -> Option<&Arc<str>> {
        routes.get(usize::try_from(self.0).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_keeps_what_it_has() {
        let mut texts = Texts::new(2, ["/fixed", "/fixed"]);
        let ids = ["/a", "/fixed", "/b", "/c", "/a"].map(|text| texts.intern(text));
        let shown = ids.map(|id| id.and_then(|id| id.of(texts.all())).map(|text| text.to_string()));
        assert_eq!(shown.map(Option::unwrap_or_default), ["/a", "/fixed", "/b", "", "/a"]);
        assert_eq!((texts.entries(), texts.limit(), texts.all().len()), (2, 2, 3));
    }
}
