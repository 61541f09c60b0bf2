//! Series within a budget: so many for each service, so many in all, and overflow series for what is refused.

use std::hash::Hash;

use hashbrown::{Equivalent, HashMap};

use crate::{exchange::Role, identity::ServiceId};

/// How many overflow series a table may have that are of one service and role; the other services share one for
/// each role.
pub const OVERFLOW_SERIES: usize = 1024;

/// How many series a table may have.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Of one service, both roles together.
    pub per_service: usize,
    /// In all, those of overflow apart.
    pub total: usize,
}

/// What was measured under one set of labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Series<K, V> {
    /// The service at this end; `None`: those of all services beyond [`OVERFLOW_SERIES`].
    pub service: Option<ServiceId>,
    /// Side of the conversation that this end is on.
    pub role: Role,
    /// The other labels; `None`: the overflow series.
    pub labels: Option<K>,
    /// The measurements.
    pub value: V,
}

/// Series of one kind. A series stays for good, so its place may be kept.
#[derive(Debug)]
pub struct Table<K, V> {
    budget: Budget,
    all: Vec<Series<K, V>>,
    index: HashMap<Key<K>, usize>,
    per_service: HashMap<ServiceId, usize>,
    overflow: HashMap<(Option<ServiceId>, Role), usize>,
    overflowed: u64,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key<K> {
    service: ServiceId,
    role: Role,
    labels: K,
}

/// [`Key`] with borrowed labels; hashes alike.
#[derive(Hash)]
struct Borrowed<'a, Q> {
    service: ServiceId,
    role: Role,
    labels: &'a Q,
}

impl<K, Q: Equivalent<K>> Equivalent<Key<K>> for Borrowed<'_, Q> {
    fn equivalent(&self, key: &Key<K>) -> bool {
        self.service == key.service && self.role == key.role && self.labels.equivalent(&key.labels)
    }
}

impl<K: Clone + Eq + Hash, V: Default> Table<K, V> {
    /// No series yet.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        Self {
            budget,
            all: Vec::new(),
            index: HashMap::new(),
            per_service: HashMap::new(),
            overflow: HashMap::new(),
            overflowed: 0,
        }
    }

    /// The place of a series, or of the overflow series that takes it, which is counted. Allocates nothing for a series
    /// it knows; `owned` makes the labels of one it does not.
    pub fn place<Q>(&mut self, service: ServiceId, role: Role, labels: &Q, owned: impl FnOnce() -> K) -> usize
    where
        Q: Hash + Equivalent<K>,
    {
        self.admitted(service, role, labels, owned).unwrap_or_else(|| self.overflow(service, role))
    }

    /// Likewise, but what the budget refuses is only counted: for values that cannot be summed.
    pub fn admitted<Q>(
        &mut self,
        service: ServiceId,
        role: Role,
        labels: &Q,
        owned: impl FnOnce() -> K,
    ) -> Option<usize>
    where
        Q: Hash + Equivalent<K>,
    {
        if let Some(place) = self.index.get(&Borrowed { service, role, labels }) {
            return Some(*place);
        }
        let used = self.per_service.get(&service).copied().unwrap_or(0);
        if used >= self.budget.per_service || self.entries() >= self.budget.total {
            self.overflowed += 1;
            return None;
        }
        self.per_service.insert(service, used + 1);
        let labels = owned();
        let place = self.push(Some(service), role, Some(labels.clone()));
        self.index.insert(Key { service, role, labels }, place);
        Some(place)
    }

    /// The measurements at a place.
    pub fn get_mut(&mut self, place: usize) -> Option<&mut V> {
        self.all.get_mut(place).map(|series| &mut series.value)
    }

    /// All series, in order of appearance.
    #[must_use]
    pub fn all(&self) -> &[Series<K, V>] {
        &self.all
    }

    /// Series that are none of overflow.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.all.len() - self.overflow.len()
    }

    /// Most of them.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.budget.total
    }

    /// How often the budget refused.
    #[must_use]
    pub const fn overflowed(&self) -> u64 {
        self.overflowed
    }

    #[cold]
    fn overflow(&mut self, service: ServiceId, role: Role) -> usize {
        if let Some(place) = self.overflow.get(&(Some(service), role)) {
            return *place;
        }
        let service = (self.overflow.len() < OVERFLOW_SERIES).then_some(service);
        if let Some(place) = self.overflow.get(&(service, role)) {
            return *place;
        }
        let place = self.push(service, role, None);
        self.overflow.insert((service, role), place);
        place
    }

    fn push(&mut self, service: Option<ServiceId>, role: Role, labels: Option<K>) -> usize {
        self.all.push(Series { service, role, labels, value: V::default() });
        self.all.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(table: &mut Table<u16, u64>, service: u32, role: Role, labels: u16) {
        let place = table.place(ServiceId(service), role, &labels, || labels);
        *table.get_mut(place).unwrap() += 1;
    }

    #[test]
    fn budgets_hold_and_nothing_is_lost() {
        let mut table = Table::new(Budget { per_service: 4, total: 6 });
        for service in 1..=3 {
            for labels in 0..10 {
                count(&mut table, service, Role::Server, labels);
                count(&mut table, service, Role::Server, labels);
            }
        }
        let of = |service: u32, overflow: bool| -> u64 {
            let all = table.all().iter().filter(|series| series.service == Some(ServiceId(service)));
            all.filter(|series| series.labels.is_none() == overflow).map(|series| series.value).sum()
        };
        assert_eq!([of(1, false), of(2, false), of(3, false)], [8, 4, 0]);
        assert_eq!([of(1, true), of(2, true), of(3, true)], [12, 16, 20]);
        assert_eq!((table.entries(), table.overflowed()), (6, 48));
    }

    #[test]
    fn services_beyond_the_overflow_series_share_one_for_each_role() {
        let mut table = Table::new(Budget { per_service: 9, total: 0 });
        let services = u32::try_from(OVERFLOW_SERIES).unwrap() + 10;
        for service in 0..services {
            count(&mut table, service, Role::Server, 0);
        }
        count(&mut table, services, Role::Client, 0);
        let shared: Vec<_> = table.all().iter().filter(|series| series.service.is_none()).collect();
        assert_eq!(
            shared.iter().map(|series| (series.role, series.value)).collect::<Vec<_>>(),
            [(Role::Server, 10), (Role::Client, 1)]
        );
        assert_eq!((table.all().len(), table.entries()), (OVERFLOW_SERIES + 2, 0));
    }

    #[test]
    fn what_cannot_be_summed_is_refused_and_counted() {
        let mut table = Table::<u16, u64>::new(Budget { per_service: 1, total: 1 });
        let mut admitted = |labels| table.admitted(ServiceId(1), Role::Client, &labels, || labels);
        assert_eq!([admitted(1), admitted(2), admitted(1)], [Some(0), None, Some(0)]);
        assert_eq!((table.all().len(), table.overflowed()), (1, 1));
    }
}
