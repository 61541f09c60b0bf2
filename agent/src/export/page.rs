//! The way from the reader thread to the exporters: bounded requests for an owned page.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::timeout,
};

use super::{
    agent::AgentSnapshot,
    exporter::{Exporter, ExporterView},
    metrics::{Selection, Target},
};
pub use crate::net::Want;
use crate::{
    identity::{
        Service,
        kubernetes::{ResourceStatus, Status},
    },
    net, red,
};

/// Scrapes that may be under way at once; the others wait.
pub const MAX_SCRAPES: usize = 8;

/// How long a scrape waits for the reader.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Everything that is exported, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Requests and streams.
    pub red: red::Snapshot,
    /// Connections.
    pub net: net::Snapshot,
    /// The agent's own.
    pub agent: AgentSnapshot,
    /// Start of the agent, in nanoseconds since the epoch.
    pub started: u64,
    /// What is known of this host.
    pub target: Arc<Target>,
    /// Figures of the exporters.
    pub exporters: Vec<ExporterView>,
    /// Which attributes are exported.
    pub selection: Arc<Selection>,
    /// How the watches of the Kubernetes API fare, where it is asked.
    pub kubernetes: Vec<ResourceStatus>,
}

impl Page {
    /// All services that the page speaks of, each once, by name.
    #[must_use]
    pub fn services(&self) -> Vec<&Arc<Service>> {
        let mut all: Vec<_> = self.red.services.values().chain(self.net.services.values()).collect();
        all.sort_unstable();
        all.dedup_by(|a, b| a.name == b.name && a.identifying == b.identifying);
        all
    }
}

/// What is on every page that the reader does not know of.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// Start of the agent, in nanoseconds since the epoch.
    pub started: u64,
    /// What is known of this host.
    pub target: Arc<Target>,
    /// The exporters.
    pub exporters: Vec<Arc<Exporter>>,
    /// Which attributes are exported.
    pub selection: Arc<Selection>,
    /// The watches of the Kubernetes API, where it is asked.
    pub kubernetes: Option<Arc<Status>>,
}

/// Why there is no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// The reader did not answer in time.
    #[error("the reader did not answer within {} seconds", PATIENCE.as_secs())]
    Late,
    /// The reader is gone.
    #[error("the reader has stopped")]
    Stopped,
}

/// The exporters' end.
#[derive(Clone, Debug)]
pub struct PageSource {
    requests: mpsc::Sender<PageRequest>,
    room: Arc<Semaphore>,
    ready: Arc<AtomicBool>,
    /// Never held while anybody waits, and none of the reader's business.
    outside: Arc<RwLock<Outside>>,
}

/// The reader's end.
#[derive(Debug)]
pub struct PageRequests {
    requests: mpsc::Receiver<PageRequest>,
    ready: Arc<AtomicBool>,
}

/// A request for a page; dropped, it is refused.
#[derive(Debug)]
pub struct PageRequest {
    want: Want,
    answer: oneshot::Sender<Page>,
}

/// Both ends.
#[must_use]
pub fn channel() -> (PageSource, PageRequests) {
    let (sender, receiver) = mpsc::channel(MAX_SCRAPES);
    let ready = Arc::new(AtomicBool::new(false));
    (
        PageSource {
            requests: sender,
            room: Arc::new(Semaphore::new(MAX_SCRAPES)),
            ready: Arc::clone(&ready),
            outside: Arc::default(),
        },
        PageRequests { requests: receiver, ready },
    )
}

impl PageSource {
    /// The page as the reader makes it now, with what is wanted on it. The permit is one of [`MAX_SCRAPES`]; hold it as long as the page.
    ///
    /// # Errors
    /// If the reader is gone, or there is no page within [`PATIENCE`].
    pub async fn page(&self, want: Want) -> Result<(Page, OwnedSemaphorePermit), PageError> {
        let asked = async {
            let permit = Arc::clone(&self.room).acquire_owned().await.map_err(|_| PageError::Stopped)?;
            let (answer, receiver) = oneshot::channel();
            self.requests.send(PageRequest { want, answer }).await.map_err(|_| PageError::Stopped)?;
            let mut page = receiver.await.map_err(|_| PageError::Stopped)?;
            self.complete(&mut page);
            Ok((page, permit))
        };
        timeout(PATIENCE, asked).await.map_err(|_| PageError::Late)?
    }

    /// Changes what is on every page.
    pub fn set_outside(&self, outside: Outside) {
        *self.outside.write().unwrap_or_else(PoisonError::into_inner) = outside;
    }

    fn complete(&self, page: &mut Page) {
        let outside = self.outside.read().unwrap_or_else(PoisonError::into_inner);
        page.started = outside.started;
        page.target = Arc::clone(&outside.target);
        page.selection = Arc::clone(&outside.selection);
        page.kubernetes = outside.kubernetes.as_ref().map(|status| status.snapshot()).unwrap_or_default();
        page.exporters = outside.exporters.iter().map(|exporter| exporter.view()).collect();
    }

    /// The reader has said that it observes.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) && self.is_alive()
    }

    /// The reader's end still exists.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.requests.is_closed()
    }
}

impl PageRequests {
    /// The next request that somebody still waits for, if there is one. Never blocks.
    pub fn try_recv(&mut self) -> Option<PageRequest> {
        loop {
            let request = self.requests.try_recv().ok()?;
            if !request.answer.is_closed() {
                return Some(request);
            }
        }
    }

    /// Says that programs are attached and records are read, which `/readyz` reports.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }
}

impl PageRequest {
    /// What is to be on the page.
    #[must_use]
    pub const fn want(&self) -> Want {
        self.want
    }

    /// Answers. An asker that went away meanwhile is none of the reader's concern.
    pub fn answer(self, page: Page) {
        drop(self.answer.send(page));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paused() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
    }

    #[test]
    fn a_request_is_answered() {
        let (source, mut requests) = channel();
        paused().block_on(async {
            let reader = async {
                loop {
                    if let Some(request) = requests.try_recv() {
                        assert_eq!(request.want(), Want::Graph);
                        let agent = AgentSnapshot { late: 7, ..AgentSnapshot::default() };
                        request.answer(Page { agent, ..Page::default() });
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            };
            let (page, ()) = tokio::join!(source.page(Want::Graph), reader);
            assert_eq!(page.map(|(page, _)| page.agent.late).ok(), Some(7));
        });
    }

    #[test]
    fn a_reader_that_does_not_answer_is_late_and_one_that_ended_has_stopped() {
        let (source, requests) = channel();
        paused().block_on(async {
            assert_eq!(source.page(Want::Metrics).await.err(), Some(PageError::Late));
            // The request channel fills up with what nobody takes; waiting for room is bounded likewise.
            for _ in 0..2 * MAX_SCRAPES {
                assert_eq!(source.page(Want::Metrics).await.err(), Some(PageError::Late));
            }
            drop(requests);
            assert_eq!(source.page(Want::Metrics).await.err(), Some(PageError::Stopped));
            assert!(!source.is_alive());
        });
    }

    #[test]
    fn ready_is_said_by_the_reader_and_ends_with_it() {
        let (source, requests) = channel();
        assert!(!source.is_ready());
        requests.set_ready();
        assert!(source.is_ready());
        drop(requests);
        assert!(!source.is_ready());
    }
}
