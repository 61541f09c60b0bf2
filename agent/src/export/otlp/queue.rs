//! The hand-over to an exporter: bounded by what waits, and never waited for.
//!
//! What is handed over counts as waiting until it is sent or given up: the bound holds for all that an exporter keeps.

#[cfg(test)]
mod tests;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::{Instant, timeout_at},
};

use crate::export::exporter::{Exporter, reason};

/// The reader's end. It never blocks.
#[derive(Debug)]
pub struct Sender<T> {
    chunks: mpsc::Sender<Vec<T>>,
    exporter: Arc<Exporter>,
}

/// The exporter's end.
#[derive(Debug)]
pub struct Receiver<T> {
    chunks: mpsc::Receiver<Vec<T>>,
    /// Came, but did not fit into a batch yet.
    rest: VecDeque<T>,
    exporter: Arc<Exporter>,
}

/// What is to be sent together. As long as it is held, it counts as waiting.
#[derive(Debug)]
pub struct Batch<T> {
    items: Vec<T>,
    held: u64,
    exporter: Arc<Exporter>,
}

/// Both ends; no more waits than [`Exporter::limit`].
#[must_use]
pub fn queue<T>(exporter: Arc<Exporter>) -> (Sender<T>, Receiver<T>) {
    // No chunk is empty, so that there are never more of them than items.
    let limit = usize::try_from(exporter.limit()).unwrap_or(usize::MAX).clamp(1, mpsc_limit());
    let (sender, receiver) = mpsc::channel(limit);
    let other = Arc::clone(&exporter);
    (Sender { chunks: sender, exporter }, Receiver { chunks: receiver, rest: VecDeque::new(), exporter: other })
}

/// Most that a channel's semaphore counts.
const fn mpsc_limit() -> usize {
    tokio::sync::Semaphore::MAX_PERMITS
}

impl<T> Sender<T> {
    /// Hands `items` over, which is empty then. What came first has the room; the rest is counted.
    pub fn push(&mut self, items: &mut Vec<T>) {
        if items.is_empty() {
            return;
        }
        let all = count(items.len());
        let admitted = self.exporter.admit(all);
        self.exporter.dropped(reason::QUEUE_FULL, all - admitted);
        items.truncate(usize::try_from(admitted).unwrap_or(usize::MAX));
        if items.is_empty() {
            return;
        }
        let chunk = std::mem::take(items);
        if let Err(error) = self.chunks.try_send(chunk) {
            self.exporter.release(admitted);
            let reason = match error {
                TrySendError::Full(_) => reason::QUEUE_FULL,
                TrySendError::Closed(_) => reason::SHUTDOWN,
            };
            self.exporter.dropped(reason, admitted);
        }
    }
}

impl<T> Receiver<T> {
    /// The next batch: as soon as there are `max`, or `delay` after there is one. `None`: the other end is gone, and all was
    /// taken. Nothing is lost if the future is dropped.
    pub async fn recv_batch(&mut self, max: usize, delay: Duration) -> Option<Batch<T>> {
        if self.rest.is_empty() {
            let chunk = self.chunks.recv().await?;
            self.rest.extend(chunk);
        }
        let until = Instant::now() + delay;
        while self.rest.len() < max {
            match timeout_at(until, self.chunks.recv()).await {
                Ok(Some(chunk)) => self.rest.extend(chunk),
                Ok(None) | Err(_) => break,
            }
        }
        Some(self.take(max))
    }

    /// The next batch, at once; `None`: nothing is there now.
    pub fn try_batch(&mut self, max: usize) -> Option<Batch<T>> {
        while self.rest.len() < max
            && let Ok(chunk) = self.chunks.try_recv()
        {
            self.rest.extend(chunk);
        }
        (!self.rest.is_empty()).then(|| self.take(max))
    }

    /// Takes nothing more and gives up what waits.
    pub fn close(&mut self) {
        self.chunks.close();
        while let Some(batch) = self.try_batch(usize::MAX) {
            self.exporter.dropped(reason::SHUTDOWN, count(batch.items.len()));
        }
    }

    fn take(&mut self, max: usize) -> Batch<T> {
        let items: Vec<T> = self.rest.drain(..max.min(self.rest.len())).collect();
        Batch { held: count(items.len()), items, exporter: Arc::clone(&self.exporter) }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<T> Batch<T> {
    /// What is in it.
    #[must_use]
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// Frees the memory of what is in it; it counts as waiting nevertheless.
    pub fn clear(&mut self) {
        self.items = Vec::new();
    }
}

impl<T> Drop for Batch<T> {
    fn drop(&mut self) {
        self.exporter.release(self.held);
    }
}

fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}
