//! The cgroups of a host by their ids: a bounded table.

use std::{
    cell::Cell,
    collections::{BTreeMap, VecDeque},
    io,
    path::Path,
    sync::Arc,
    time::Duration,
};

use hashbrown::HashMap;

use super::{
    Place,
    walk::{WalkLimits, Walked, walk},
};
use crate::{identity::Fill, time::Nanos};

/// How long a removed cgroup stays known: the last records of its sockets arrive after it is gone.
pub const REMOVED_GRACE: Duration = Duration::from_secs(10);

/// Longest path kept, in bytes (PATH_MAX); a longer one is read whole and keeps its beginning.
const MAX_PATH: usize = 4096;

/// A cgroup that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// Its path from the root of the hierarchy.
    pub path: Arc<str>,
    /// What the path says.
    pub place: Arc<Place>,
}

/// What has happened to the table; no field decreases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Cgroups told of, by events and by walks.
    pub made: u64,
    /// Ids told of again with another path: the kernel used them again, or an event was lost.
    pub reused: u64,
    /// Cgroups forgotten for want of room, removed ones included.
    pub evicted: u64,
    /// Directories that walks passed over: gone meanwhile, not to be read, or beyond their limits.
    pub passed_over: u64,
}

#[derive(Debug)]
struct Entry {
    cgroup: Cgroup,
    made: Nanos,
    removed: Option<Nanos>,
    turn: u64,
    /// Asked for since it was last spared.
    used: Cell<bool>,
}

/// Cgroups by id, which is the inode number of the directory in cgroup v2 on a 64-bit kernel (`cgroup_id`,
/// include/linux/cgroup.h).
///
/// Where there is no room, those removed go first, then the one told of longest ago, but for those that were asked
/// for meanwhile, which are spared once each time: most cgroups of a host never own a socket.
#[derive(Debug)]
pub struct Cgroups {
    entries: HashMap<u64, Entry>,
    /// Ids in the order of being forgotten.
    order: BTreeMap<u64, u64>,
    next_turn: u64,
    /// Removals in the order of being told, of entries that may have been replaced since.
    removals: VecDeque<(Nanos, u64)>,
    /// Shared by all cgroups of which their path says nothing.
    nowhere: Arc<Place>,
    limit: usize,
    counts: Counts,
}

impl Cgroups {
    /// Nothing told; room for `limit` cgroups, removed ones that are still known among them.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            next_turn: 0,
            removals: VecDeque::new(),
            nowhere: Arc::default(),
            limit: limit.max(1),
            counts: Counts::default(),
        }
    }

    /// A cgroup was made at that time, or seen then. Whatever had its id before is forgotten; a cgroup that is told of
    /// twice by the same path stays as it is.
    pub fn made(&mut self, id: u64, path: &str, at: Nanos) {
        self.sweep(at);
        self.counts.made += 1;
        if let Some(entry) = self.entries.get(&id) {
            let is_same = *entry.cgroup.path == *kept(path) && entry.removed.is_none();
            if is_same || entry.removed.unwrap_or(entry.made) > at {
                return;
            }
            self.counts.reused += 1;
            self.forget(id);
        }
        self.make_room();
        let place = Some(Place::parse(path)).filter(|place| *place != *self.nowhere);
        let place = place.map_or_else(|| Arc::clone(&self.nowhere), Arc::new);
        let turn = self.next_turn;
        self.next_turn += 1;
        self.order.insert(turn, id);
        let cgroup = Cgroup { path: kept(path).into(), place };
        self.entries.insert(id, Entry { cgroup, made: at, removed: None, turn, used: Cell::new(false) });
    }

    /// A cgroup was removed at that time; it stays known for [`REMOVED_GRACE`]. A removal older than the cgroup is of
    /// an earlier one with the same id.
    pub fn removed(&mut self, id: u64, at: Nanos) {
        self.sweep(at);
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.made > at || entry.removed.is_some() {
            return;
        }
        entry.removed = Some(at);
        if self.removals.len() >= self.limit {
            self.counts.evicted += u64::from(self.forget_oldest_removed());
        }
        self.removals.push_back((at, id));
    }

    /// The cgroup with this id, or the last that had it.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Cgroup> {
        let entry = self.entries.get(&id)?;
        entry.used.set(true);
        Some(&entry.cgroup)
    }

    /// Learns the cgroups that exist, from where cgroup v2 is mounted: for those made before anybody told of them. It
    /// reads every directory, so it is for the start. What was told of with a later time stands.
    ///
    /// # Errors
    ///
    /// `root` itself cannot be read; what happens to others is in the answer.
    pub fn walk(&mut self, root: &Path, limits: WalkLimits, at: Nanos) -> io::Result<Walked> {
        let walked = walk(root, limits, &mut |id, path| self.made(id, path, at))?;
        self.counts.passed_over += walked.passed_over;
        Ok(walked)
    }

    /// Forgets the cgroups that were removed longer than [`REMOVED_GRACE`] ago. Everything told does it; nothing is
    /// wrong if nobody else does.
    pub fn sweep(&mut self, now: Nanos) {
        while self.removals.front().is_some_and(|&(at, _)| at.plus(REMOVED_GRACE) <= now) {
            self.forget_oldest_removed();
        }
    }

    /// The cgroups in the table.
    #[must_use]
    pub fn fill(&self) -> Fill {
        Fill { entries: self.entries.len(), limit: self.limit }
    }

    /// What has happened so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Each pass spares an entry at most once: it ends at the latest when it comes round.
    fn make_room(&mut self) {
        let before = self.entries.len();
        while self.entries.len() >= self.limit && !self.removals.is_empty() {
            self.forget_oldest_removed();
        }
        while self.entries.len() >= self.limit
            && let Some((_, id)) = self.order.pop_first()
        {
            match self.entries.get_mut(&id) {
                Some(entry) if entry.used.take() => {
                    entry.turn = self.next_turn;
                    self.order.insert(self.next_turn, id);
                    self.next_turn += 1;
                }
                _ => {
                    self.entries.remove(&id);
                }
            }
        }
        self.counts.evicted += u64::try_from(before - self.entries.len()).unwrap_or(u64::MAX);
    }

    /// Whether it was still there to be forgotten.
    fn forget_oldest_removed(&mut self) -> bool {
        let Some((at, id)) = self.removals.pop_front() else { return false };
        let is_removed = self.entries.get(&id).is_some_and(|entry| entry.removed == Some(at));
        if is_removed {
            self.forget(id);
        }
        is_removed
    }

    fn forget(&mut self, id: u64) {
        if let Some(entry) = self.entries.remove(&id) {
            self.order.remove(&entry.turn);
        }
    }
}

fn kept(path: &str) -> &str {
    path.get(..path.floor_char_boundary(MAX_PATH)).unwrap_or(path)
}

#[cfg(test)]
mod tests;
