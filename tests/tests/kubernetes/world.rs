//! What all stories share: the cluster, and the agent in it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use redtap_tests::cluster::attribution::Attribution;
use redtap_tests::cluster::{Cluster, Guard};
use redtap_tests::gate::real;

use crate::agent::Agent;

/// Statuses that mean nothing to clients and servers, and are nobody else's.
const STATUSES: [std::ops::RangeInclusive<u16>; 2] = [230..=299, 320..=399];

/// A cluster with an agent.
pub struct World {
    /// The cluster.
    pub cluster: Cluster,
    /// The agent.
    pub agent: Agent,
    given: AtomicUsize,
    sum: Mutex<Attribution>,
    guard: Guard,
}

impl World {
    /// Brings everything up; says once why it cannot.
    pub fn new() -> Option<Self> {
        Self::begin().inspect_err(|error| eprintln!("{error:#}")).ok()
    }

    fn begin() -> Result<Self> {
        let cluster = Cluster::called("test")?;
        let guard = Guard::over("test")?;
        cluster.up()?;
        cluster.make_workload()?;
        cluster.import_image(&real("REDTAP_IMAGE"))?;
        let agent = Agent::deploy(&cluster).map_err(|error| error.context(cluster.last_words()))?;
        Ok(Self { cluster, agent, given: AtomicUsize::new(0), sum: Mutex::default(), guard })
    }

    /// A status that no answer had before.
    ///
    /// # Panics
    /// When there are no more.
    pub fn status(&self) -> u16 {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        STATUSES.into_iter().flatten().nth(number).expect("a status that was not given")
    }

    /// Adds a story's numbers to those of all.
    pub fn add(&self, attribution: &Attribution) {
        *self.sum.lock().expect("nobody panics meanwhile") += attribution;
    }

    /// Tells the numbers of all, and brings everything down.
    ///
    /// # Errors
    /// When something of the cluster is left.
    pub fn end(self) -> Result<()> {
        let sum = self.sum.into_inner().expect("nobody panicked meanwhile");
        println!("exchanges of all stories, each end for itself: {sum}");
        self.guard.down()
    }
}
