//! A bounded table that gives up what was not seen for longest.

use std::{
    collections::{BTreeMap, btree_map},
    hash::Hash,
};

use hashbrown::HashMap;

/// Entries by key, at most a limit of them. Which one is given up depends on the order of calls alone.
#[derive(Debug)]
pub struct Recent<K, V> {
    limit: usize,
    entries: HashMap<K, Entry<V>>,
    /// Keys by the call that saw them last.
    order: BTreeMap<u64, K>,
    calls: u64,
    evicted: u64,
}

#[derive(Debug)]
struct Entry<V> {
    seen: u64,
    value: V,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    /// Room for `limit` entries, one at least.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let limit = limit.max(1);
        Self { limit, entries: HashMap::new(), order: BTreeMap::new(), calls: 0, evicted: 0 }
    }

    /// The entry of `key`, seen now; a new one is made by `new`, at the cost of the one longest not seen if there is
    /// no room.
    pub fn see(&mut self, key: K, new: impl FnOnce() -> V) -> &mut V {
        if self.is_full_for(&key) {
            self.evict();
        }
        self.calls += 1;
        let seen = self.calls;
        let entry = self.entries.entry(key.clone()).or_insert_with(|| Entry { seen, value: new() });
        self.order.remove(&entry.seen);
        self.order.insert(seen, key);
        entry.seen = seen;
        &mut entry.value
    }

    /// Whether `key` could only be taken in at another's cost.
    #[must_use]
    pub fn is_full_for(&self, key: &K) -> bool {
        self.entries.len() >= self.limit && !self.entries.contains_key(key)
    }

    /// Gives up the entry longest not seen, which counts as evicted.
    pub fn evict(&mut self) -> Option<V> {
        let (_, key) = self.order.pop_first()?;
        let entry = self.entries.remove(&key)?;
        self.evicted += 1;
        Some(entry.value)
    }

    /// All entries, the one last seen first.
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter { order: self.order.values(), entries: &self.entries }
    }

    /// Entries now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Most entries.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Entries given up.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }
}

/// The entries of a [`Recent`].
#[derive(Debug)]
pub struct Iter<'a, K, V> {
    order: btree_map::Values<'a, u64, K>,
    entries: &'a HashMap<K, Entry<V>>,
}

impl<'a, K: Eq + Hash, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.order.next_back()?;
        Some((key, &self.entries.get(key)?.value))
    }
}

impl<'a, K: Clone + Eq + Hash, V> IntoIterator for &'a Recent<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_one_longest_not_seen_goes() {
        let mut recent = Recent::new(2);
        for key in ["a", "b", "a", "c", "c"] {
            *recent.see(key, || 0) += 1;
        }
        assert_eq!(recent.iter().collect::<Vec<_>>(), [(&"c", &2), (&"a", &2)]);
        assert_eq!((recent.len(), recent.evicted()), (2, 1));
        assert_eq!(recent.evict(), Some(2));
        assert_eq!(recent.iter().collect::<Vec<_>>(), [(&"c", &2)]);
    }

    proptest! {
        #[test]
        fn it_is_the_list_of_the_last_keys(keys in prop::collection::vec(0_u8..12, 0..80), limit in 1_usize..6) {
            let mut recent = Recent::new(limit);
            let mut model: Vec<u8> = Vec::new();
            for key in keys {
                recent.see(key, || key);
                model.retain(|known| *known != key);
                model.insert(0, key);
                model.truncate(limit);
                prop_assert_eq!(recent.iter().map(|(key, _)| *key).collect::<Vec<_>>(), model.clone());
                prop_assert_eq!(recent.order.len(), recent.entries.len());
            }
        }
    }
}
