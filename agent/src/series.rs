//! Series within a budget: so many for each service, so many in all, and overflow series for what is refused. A series
//! that nothing was told of for long goes, and makes room.

use std::hash::Hash;

use hashbrown::{Equivalent, HashMap, HashSet};

use crate::{
    exchange::Role,
    identity::ServiceId,
    time::{Nanos, WallOffset},
};

/// How many overflow series a table may have that are of one service and role; the other services share one for
/// each role.
pub const OVERFLOW_SERIES: usize = 1024;

/// Most series that a [`Place`] can tell apart, those of overflow included.
pub const MAX_SERIES: usize = (1 << SLOT_BITS) - 1;

const SLOT_BITS: u32 = 20;
const GENERATION_BITS: u32 = 10;

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
    /// Since when they are taken, in nanoseconds since the epoch: the table's last tick before the first.
    pub start: u64,
    /// The table's last tick before it was last told of.
    touched: Nanos,
}

/// Where a series is, as long as it is there: of one that has gone, nothing is found, whatever took its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place(u32);

/// Series of one kind.
#[derive(Debug)]
pub struct Table<K, V> {
    budget: Budget,
    slots: Vec<Slot<K, V>>,
    free: Vec<usize>,
    index: HashMap<Key<K>, usize>,
    per_service: HashMap<ServiceId, usize>,
    overflow: HashMap<(Option<ServiceId>, Role), usize>,
    overflowed: u64,
    now: Nanos,
    epoch: u64,
}

#[derive(Debug)]
struct Slot<K, V> {
    /// How often the slot was taken again.
    generation: u32,
    series: Option<Series<K, V>>,
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

impl Place {
    /// No place: nothing is found there.
    pub const NONE: Self = Self((1 << SLOT_BITS) - 1);

    /// As a number other than 0, below 2³¹.
    #[must_use]
    pub const fn tag(self) -> u32 {
        self.0 + 1
    }

    /// From that number; 0 is none.
    #[must_use]
    pub const fn from_tag(tag: u32) -> Option<Self> {
        match tag.checked_sub(1) {
            Some(place) => Some(Self(place)),
            None => None,
        }
    }

    fn of(slot: usize, generation: u32) -> Self {
        match u32::try_from(slot) {
            Ok(slot) if slot < Self::NONE.0 => Self(generation << SLOT_BITS | slot),
            _ => Self::NONE,
        }
    }

    const fn slot(self) -> usize {
        (self.0 & Self::NONE.0) as usize
    }

    const fn generation(self) -> u32 {
        self.0 >> SLOT_BITS
    }
}

impl<K: Clone + Eq + Hash, V: Default> Table<K, V> {
    /// No series yet.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        Self {
            budget,
            slots: Vec::new(),
            free: Vec::new(),
            index: HashMap::new(),
            per_service: HashMap::new(),
            overflow: HashMap::new(),
            overflowed: 0,
            now: Nanos::default(),
            epoch: 0,
        }
    }

    /// The present, to be told about every second: series that begin take it for their start.
    pub const fn tick(&mut self, now: Nanos, wall: WallOffset) {
        self.now = now;
        self.epoch = wall.epoch(now);
    }

    /// Lets those series go that nothing was told of since `before`, unless they are `in_use`.
    pub fn expire(&mut self, before: Nanos, in_use: impl Fn(&V) -> bool) {
        self.expire_if(|series| series.touched < before && !in_use(&series.value));
    }

    /// Likewise, but only those of `services`.
    pub fn expire_of(&mut self, before: Nanos, services: &HashSet<ServiceId>, in_use: impl Fn(&V) -> bool) {
        let is_of = |series: &Series<K, V>| series.service.is_some_and(|service| services.contains(&service));
        self.expire_if(|series| series.touched < before && is_of(series) && !in_use(&series.value));
    }

    fn expire_if(&mut self, is_over: impl Fn(&Series<K, V>) -> bool) {
        for slot in 0..self.slots.len() {
            let Some(Slot { generation, series: place }) = self.slots.get_mut(slot) else { return };
            let Some(series) = place.take_if(|series| is_over(series)) else {
                continue;
            };
            *generation = (*generation + 1) % (1 << GENERATION_BITS);
            self.free.push(slot);
            self.forget(series);
        }
    }

    /// The place of a series, or of the overflow series that takes it, which is counted. Allocates nothing for a series
    /// it knows; `owned` makes the labels of one it does not.
    pub fn place<Q>(&mut self, service: ServiceId, role: Role, labels: &Q, owned: impl FnOnce() -> K) -> Place
    where
        Q: Hash + Equivalent<K>,
    {
        self.admitted(service, role, labels, owned).unwrap_or_else(|| self.overflow_place(service, role))
    }

    /// Likewise, but what the budget refuses is only counted: for values that cannot be summed.
    pub fn admitted<Q>(
        &mut self,
        service: ServiceId,
        role: Role,
        labels: &Q,
        owned: impl FnOnce() -> K,
    ) -> Option<Place>
    where
        Q: Hash + Equivalent<K>,
    {
        if let Some(slot) = self.index.get(&Borrowed { service, role, labels }) {
            return Some(self.at(*slot));
        }
        let used = self.per_service.get(&service).copied().unwrap_or(0);
        if used >= self.budget.per_service || self.entries() >= self.budget.total {
            self.overflowed += 1;
            return None;
        }
        self.per_service.insert(service, used + 1);
        let labels = owned();
        let slot = self.insert(Some(service), role, Some(labels.clone()));
        self.index.insert(Key { service, role, labels }, slot);
        Some(self.at(slot))
    }

    /// The series that takes what something else than the budget refused, which is counted.
    pub fn overflow(&mut self, service: ServiceId, role: Role) -> Place {
        self.overflowed += 1;
        self.overflow_place(service, role)
    }

    #[cold]
    fn overflow_place(&mut self, service: ServiceId, role: Role) -> Place {
        if let Some(slot) = self.overflow.get(&(Some(service), role)) {
            return self.at(*slot);
        }
        let service = (self.overflow.len() < OVERFLOW_SERIES).then_some(service);
        if let Some(slot) = self.overflow.get(&(service, role)) {
            return self.at(*slot);
        }
        let slot = self.insert(service, role, None);
        self.overflow.insert((service, role), slot);
        self.at(slot)
    }

    /// The measurements at a place, which are about to be told of; `None`: the series has gone.
    pub fn get_mut(&mut self, place: Place) -> Option<&mut V> {
        let now = self.now;
        let slot = self.slots.get_mut(place.slot())?;
        let series = slot.series.as_mut().filter(|_| slot.generation == place.generation())?;
        series.touched = now;
        Some(&mut series.value)
    }

    /// Whether the series at a place is still there.
    #[must_use]
    pub fn contains(&self, place: Place) -> bool {
        let slot = self.slots.get(place.slot());
        slot.is_some_and(|slot| slot.series.is_some() && slot.generation == place.generation())
    }

    /// All series.
    pub fn all(&self) -> impl Iterator<Item = &Series<K, V>> {
        self.slots.iter().filter_map(|slot| slot.series.as_ref())
    }

    /// Series that are none of overflow.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.slots.len() - self.free.len() - self.overflow.len()
    }

    /// Series of overflow.
    #[must_use]
    pub fn overflow_entries(&self) -> usize {
        self.overflow.len()
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

    fn at(&self, slot: usize) -> Place {
        self.slots.get(slot).map_or(Place::NONE, |found| Place::of(slot, found.generation))
    }

    fn insert(&mut self, service: Option<ServiceId>, role: Role, labels: Option<K>) -> usize {
        let (start, touched) = (self.epoch, self.now);
        let series = Some(Series { service, role, labels, value: V::default(), start, touched });
        match self.free.pop() {
            Some(slot) => {
                if let Some(free) = self.slots.get_mut(slot) {
                    free.series = series;
                }
                slot
            }
            None => {
                self.slots.push(Slot { generation: 0, series });
                self.slots.len() - 1
            }
        }
    }

    fn forget(&mut self, series: Series<K, V>) {
        let Series { service, role, labels, .. } = series;
        let (Some(service), Some(labels)) = (service, labels) else {
            self.overflow.remove(&(service, role));
            return;
        };
        self.index.remove(&Key { service, role, labels });
        if let Some(used) = self.per_service.get_mut(&service) {
            *used -= 1;
            if *used == 0 {
                self.per_service.remove(&service);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMY: Budget = Budget { per_service: 9, total: 9 };

    fn place(table: &mut Table<u16, u64>, service: u32, labels: u16) -> Place {
        table.place(ServiceId(service), Role::Server, &labels, || labels)
    }

    fn count(table: &mut Table<u16, u64>, service: u32, role: Role, labels: u16) {
        let place = table.place(ServiceId(service), role, &labels, || labels);
        *table.get_mut(place).unwrap() += 1;
    }

    #[test]
    fn the_silent_go_and_come_back_as_new() {
        let mut table = Table::new(ROOMY);
        let second = |seconds: u64| Nanos(seconds * 1_000_000_000);
        table.tick(second(1), WallOffset(5));
        count(&mut table, 1, Role::Server, 1);
        count(&mut table, 1, Role::Server, 2);
        let silent = place(&mut table, 1, 1);
        table.tick(second(9), WallOffset(5));
        count(&mut table, 1, Role::Server, 2);
        table.expire(second(5), |_| false);
        assert_eq!((table.entries(), table.contains(silent)), (1, false));
        assert_eq!(table.get_mut(silent), None);
        count(&mut table, 1, Role::Server, 3);
        assert_eq!(table.get_mut(silent), None, "another series has its slot");
        count(&mut table, 1, Role::Server, 1);
        let mut all: Vec<_> =
            table.all().map(|series| (series.labels.unwrap(), series.value, series.start)).collect();
        all.sort_unstable();
        assert_eq!(all, [(1, 1, 9_000_000_005), (2, 2, 1_000_000_005), (3, 1, 9_000_000_005)]);
    }

    #[test]
    fn what_is_in_use_stays_and_what_goes_makes_room() {
        let mut table = Table::new(Budget { per_service: 1, total: 1 });
        count(&mut table, 1, Role::Server, 1);
        count(&mut table, 2, Role::Server, 1);
        table.expire(Nanos(1), |value| *value == 1);
        assert_eq!((table.entries(), table.overflow_entries()), (1, 1));
        table.expire(Nanos(1), |_| false);
        assert_eq!((table.entries(), table.overflow_entries(), table.all().count()), (0, 0, 0));
        count(&mut table, 2, Role::Server, 1);
        assert_eq!(
            table.all().map(|series| (series.service, series.labels)).collect::<Vec<_>>(),
            [(Some(ServiceId(2)), Some(1))]
        );
    }

    #[test]
    fn tags_are_places() {
        for place in [Place::of(0, 0), Place::of(7, 3), Place::of(MAX_SERIES - 1, 1023), Place::NONE] {
            assert_eq!(Place::from_tag(place.tag()), Some(place));
            assert!((1..1 << 31).contains(&place.tag()));
        }
        assert_eq!(Place::from_tag(0), None);
        assert_eq!(Place::of(MAX_SERIES, 0), Place::NONE);
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
            let all = table.all().filter(|series| series.service == Some(ServiceId(service)));
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
        let shared: Vec<_> = table.all().filter(|series| series.service.is_none()).collect();
        assert_eq!(
            shared.iter().map(|series| (series.role, series.value)).collect::<Vec<_>>(),
            [(Role::Server, 10), (Role::Client, 1)]
        );
        assert_eq!((table.all().count(), table.entries()), (OVERFLOW_SERIES + 2, 0));
    }

    #[test]
    fn what_cannot_be_summed_is_refused_and_counted() {
        let mut table = Table::<u16, u64>::new(Budget { per_service: 1, total: 1 });
        let mut admitted = |labels| table.admitted(ServiceId(1), Role::Client, &labels, || labels);
        let [first, second, again] = [admitted(1), admitted(2), admitted(1)];
        assert!(first.is_some() && first == again && second.is_none());
        assert_eq!((table.all().count(), table.overflowed()), (1, 1));
    }
}
