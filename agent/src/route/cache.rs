//! What became of the paths seen lately.
//!
//! Four places to a set, chosen by a hash that differs from run to run. A path that was asked for again is spared
//! as long as its set has another: paths that come once, however many, push out one another and not those that are
//! in use. Paths are compared as a whole, so equal hashes do no harm.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use super::Answer;
use crate::identity::ServiceId;

/// Bytes of the longest path remembered; a longer one is looked at each time.
pub(super) const MAX_PATH: usize = 256;

const SETS: usize = 1024;
const WAYS: usize = 4;

/// The answers. Those of an earlier epoch do not count.
#[derive(Debug)]
pub(super) struct Cache {
    hasher: DefaultHashBuilder,
    sets: Vec<[Place; WAYS]>,
}

#[derive(Debug)]
struct Place {
    service: ServiceId,
    epoch: u64,
    path: Vec<u8>,
    answer: Answer,
    /// Asked for again.
    is_used: bool,
}

/// How much there is to lose.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Void,
    Once,
    Used,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self::with_sets(SETS)
    }

    pub(super) fn with_sets(sets: usize) -> Self {
        let empty = || Place {
            service: ServiceId(0),
            epoch: 0,
            path: Vec::new(),
            answer: Answer::Unmatched,
            is_used: false,
        };
        let sets = (0..sets.max(1)).map(|_| std::array::from_fn(|_| empty())).collect();
        Self { hasher: DefaultHashBuilder::default(), sets }
    }

    /// The answer for a path, if it is remembered.
    pub(super) fn get(&mut self, service: ServiceId, epoch: u64, path: &[u8]) -> Option<Answer> {
        let set = self.set(service, path)?;
        let place = set.iter_mut().find(|place| place.is(service, epoch, path))?;
        place.is_used = true;
        Some(place.answer)
    }

    /// Remembers an answer.
    pub(super) fn put(&mut self, service: ServiceId, epoch: u64, path: &[u8], answer: Answer) {
        let Some(set) = self.set(service, path).filter(|_| path.len() <= MAX_PATH) else { return };
        if set.iter().all(|place| place.worth(epoch) == Worth::Used) {
            set.iter_mut().for_each(|place| place.is_used = false);
        }
        let Some(place) = set.iter_mut().min_by_key(|place| place.worth(epoch)) else { return };
        place.service = service;
        place.epoch = epoch;
        place.path.clear();
        place.path.reserve_exact(path.len());
        place.path.extend_from_slice(path);
        place.answer = answer;
        place.is_used = false;
    }

    /// Bytes of the paths remembered.
    #[cfg(test)]
    pub(super) fn kept_bytes(&self) -> usize {
        self.sets.iter().flatten().map(|place| place.path.capacity()).sum()
    }

    fn set(&mut self, service: ServiceId, path: &[u8]) -> Option<&mut [Place; WAYS]> {
        let hash = self.hasher.hash_one((service.0, path));
        let sets = u64::try_from(self.sets.len()).ok()?;
        self.sets.get_mut(usize::try_from(hash.checked_rem(sets)?).ok()?)
    }
}

impl Place {
    fn worth(&self, epoch: u64) -> Worth {
        match self.is_used {
            _ if self.epoch != epoch => Worth::Void,
            true => Worth::Used,
            false => Worth::Once,
        }
    }

    fn is(&self, service: ServiceId, epoch: u64, path: &[u8]) -> bool {
        self.epoch == epoch && self.service == service && self.path == path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::RouteId;

    const SERVICE: ServiceId = ServiceId(1);

    #[test]
    fn an_answer_is_that_of_its_path_service_and_epoch() {
        let mut cache = Cache::with_sets(1);
        cache.put(SERVICE, 1, b"/a", Answer::Route(RouteId(7)));
        for (service, epoch, path, expected) in [
            (SERVICE, 1, "/a", Some(Answer::Route(RouteId(7)))),
            (SERVICE, 1, "/b", None),
            (SERVICE, 1, "/a/", None),
            (SERVICE, 2, "/a", None),
            (ServiceId(2), 1, "/a", None),
        ] {
            assert_eq!(cache.get(service, epoch, path.as_bytes()), expected, "{service:?} {epoch} {path}");
        }
        let long = [b'/'; MAX_PATH + 1];
        cache.put(SERVICE, 1, &long, Answer::Refused);
        assert_eq!(cache.get(SERVICE, 1, &long), None);
    }

    #[test]
    fn paths_in_use_outlive_paths_that_come_once() {
        let mut cache = Cache::new();
        let in_use: Vec<_> = (0..1000).map(|number| format!("/in/use/{number}")).collect();
        let known = |cache: &mut Cache| {
            in_use.iter().filter(|path| cache.get(SERVICE, 1, path.as_bytes()).is_some()).count()
        };
        for path in &in_use {
            cache.put(SERVICE, 1, path.as_bytes(), Answer::Unmatched);
        }
        let before = known(&mut cache);
        for number in 0..100_000 {
            cache.put(SERVICE, 1, format!("/once/{number}").as_bytes(), Answer::Refused);
        }
        let after = known(&mut cache);
        assert!(before > 900 && after * 10 > before * 9, "{before} {after}");
        assert!(cache.kept_bytes() < 32 * SETS * WAYS);
    }
}
