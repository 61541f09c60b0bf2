//! What every exporter shows of itself, and the bounded hand-over to it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// Why something is given up: the values of `reason`.
pub mod reason {
    /// There was no room for it.
    pub const QUEUE_FULL: &str = "queue_full";
    /// The other end took the rest of what it came with, and not it (OTLP's partial success).
    pub const REJECTED: &str = "rejected";
    /// The other end's answer was final.
    pub const REFUSED: &str = "refused";
    /// It was tried for too long.
    pub const EXPIRED: &str = "expired";
    /// The agent ended.
    pub const SHUTDOWN: &str = "shutdown";
    /// On its own it is longer than what the other end takes.
    pub const TOO_LARGE: &str = "too_large";
}

/// Figures of one exporter, written by it, and by whoever hands over to it, and read for each page.
#[derive(Debug)]
pub struct Exporter {
    /// Its name, such as `otlp_traces`.
    pub name: &'static str,
    queued: AtomicU64,
    limit: AtomicU64,
    sent: AtomicU64,
    failed: AtomicU64,
    /// In milliseconds since the epoch; 0: never.
    last_success: AtomicU64,
    /// Rarely touched: an entry is made when something is lost.
    dropped: Mutex<BTreeMap<&'static str, u64>>,
}

/// The figures at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExporterView {
    /// Its name.
    pub name: &'static str,
    /// What waits to be sent: spans, data points or samples.
    pub queued: u64,
    /// Most that may wait.
    pub limit: u64,
    /// What arrived.
    pub sent: u64,
    /// Attempts to send that failed, those tried again included.
    pub failed: u64,
    /// What was given up, by reason.
    pub dropped: Vec<(&'static str, u64)>,
    /// When something last arrived, in milliseconds since the epoch; 0: never.
    pub last_success: u64,
}

impl Exporter {
    /// An exporter that has done nothing yet.
    #[must_use]
    pub fn new(name: &'static str, limit: u64) -> Arc<Self> {
        Arc::new(Self {
            name,
            queued: AtomicU64::new(0),
            limit: AtomicU64::new(limit),
            sent: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            last_success: AtomicU64::new(0),
            dropped: Mutex::new(BTreeMap::new()),
        })
    }

    /// So much waits now.
    pub fn set_queued(&self, queued: u64) {
        self.queued.store(queued, Ordering::Relaxed);
    }

    /// Makes room for up to `count` more that wait, within the limit, and says for how many.
    pub fn admit(&self, count: u64) -> u64 {
        let admitted = |queued| count.min(self.limit().saturating_sub(queued));
        let update = |queued| Some(queued + admitted(queued));
        self.queued.fetch_update(Ordering::Relaxed, Ordering::Relaxed, update).map_or(0, admitted)
    }

    /// So many of those admitted wait no longer.
    pub fn release(&self, count: u64) {
        self.queued.fetch_sub(count, Ordering::Relaxed);
    }

    /// Most that may wait.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// So much more arrived, just now.
    pub fn sent(&self, count: u64) {
        self.sent.fetch_add(count, Ordering::Relaxed);
        #[expect(clippy::disallowed_methods, reason = "when it was, for people; nothing depends on it")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_success.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// An attempt failed.
    pub fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// So much is given up.
    pub fn dropped(&self, reason: &'static str, count: u64) {
        if count > 0 {
            let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
            *dropped.entry(reason).or_default() += count;
        }
    }

    /// The figures now.
    #[must_use]
    pub fn view(&self) -> ExporterView {
        let dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        ExporterView {
            name: self.name,
            queued: self.queued.load(Ordering::Relaxed),
            limit: self.limit(),
            sent: self.sent.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            dropped: dropped.iter().map(|(reason, count)| (*reason, *count)).collect(),
            last_success: self.last_success.load(Ordering::Relaxed),
        }
    }
}
