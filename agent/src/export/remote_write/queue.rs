//! What waits to be written: bounded in bytes, the oldest given up first.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hyper::body::Bytes;
use tokio::sync::Notify;

use super::Protocol;
use crate::export::exporter::{Exporter, reason};

/// A request as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Which messages it has.
    pub protocol: Protocol,
    /// Snappy's block format.
    pub body: Bytes,
    /// Samples and native histograms in it.
    pub samples: u64,
}

/// Requests in the order in which they are to be written.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
    exporter: Arc<Exporter>,
    /// In bytes.
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Item>,
    /// Of all that wait, and of the one that is being written.
    bytes: usize,
    /// Bytes and samples of the one that is being written.
    taken: Option<(usize, u64)>,
    closed: bool,
}

impl Queue {
    /// An empty one of `limit` bytes. `exporter` shows its length and what it gives up.
    pub fn new(limit: usize, exporter: Arc<Exporter>) -> Self {
        Self { state: Mutex::default(), changed: Notify::new(), exporter, limit }
    }

    /// Appends one, at the cost of the oldest that wait.
    pub fn push(&self, item: Item) {
        let mut state = self.lock();
        if item.body.len() > self.limit {
            self.exporter.dropped(reason::TOO_LARGE, item.samples);
            return;
        }
        while state.bytes + item.body.len() > self.limit {
            let Some(oldest) = state.waiting.pop_front() else { break };
            state.bytes -= oldest.body.len();
            self.exporter.dropped(reason::QUEUE_FULL, oldest.samples);
        }
        state.bytes += item.body.len();
        state.waiting.push_back(item);
        self.show(&state);
        drop(state);
        self.changed.notify_one();
    }

    /// The oldest, as soon as there is one; `None` once there will be none. The one before is settled by then.
    pub async fn next(&self) -> Option<Item> {
        loop {
            {
                let mut state = self.lock();
                self.settle(&mut state);
                if let Some(item) = state.waiting.pop_front() {
                    state.taken = Some((item.body.len(), item.samples));
                    return Some(item);
                }
                if state.closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Nothing more will be appended.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Gives up all that waits, and the one that is being written.
    pub fn abandon(&self) {
        let mut state = self.lock();
        let waiting = state.waiting.drain(..).map(|item| item.samples).sum::<u64>();
        let taken = state.taken.take().map_or(0, |(_, samples)| samples);
        state.bytes = 0;
        self.exporter.dropped(reason::SHUTDOWN, waiting + taken);
        self.show(&state);
    }

    /// The one that was taken has arrived, or was given up; whoever took it has counted it.
    fn settle(&self, state: &mut State) {
        if let Some((bytes, _)) = state.taken.take() {
            state.bytes = state.bytes.saturating_sub(bytes);
            self.show(state);
        }
    }

    fn show(&self, state: &State) {
        self.exporter.set_queued(u64::try_from(state.bytes).unwrap_or(u64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(bytes: usize, samples: u64) -> Item {
        Item { protocol: Protocol::V2, body: vec![0; bytes].into(), samples }
    }

    fn queue(limit: usize) -> (Queue, Arc<Exporter>) {
        let exporter = Exporter::new("remote_write", 100);
        (Queue::new(limit, Arc::clone(&exporter)), exporter)
    }

    #[tokio::test]
    async fn the_oldest_make_room() {
        let (queue, exporter) = queue(100);
        for (bytes, samples) in [(40, 1), (40, 2), (30, 4), (101, 8), (100, 16)] {
            queue.push(item(bytes, samples));
        }
        let view = exporter.view();
        assert_eq!((view.queued, view.dropped), (100, vec![("queue_full", 7), ("too_large", 8)]));
        queue.close();
        assert_eq!(queue.next().await.map(|item| item.samples), Some(16));
        // It counts until it is settled.
        assert_eq!(exporter.view().queued, 100);
        assert_eq!(queue.next().await, None);
        assert_eq!(exporter.view().queued, 0);
    }

    #[tokio::test]
    async fn what_is_being_written_takes_room_and_is_given_up_with_the_rest() {
        let (queue, exporter) = queue(100);
        queue.push(item(60, 1));
        assert_eq!(queue.next().await.map(|item| item.samples), Some(1));
        queue.push(item(30, 2));
        queue.push(item(30, 4));
        assert_eq!(exporter.view().dropped, [("queue_full", 2)]);
        queue.abandon();
        let view = exporter.view();
        assert_eq!((view.queued, view.dropped), (0, vec![("queue_full", 2), ("shutdown", 5)]));
    }
}
