//! OTLP, the way to OpenTelemetry Collectors and whatever else speaks it: spans as they come, metrics every now and then.
//!
//! Either signal has a task of its own, with a client of its own, so that neither waits for the other. What waits is
//! bounded ([`queue`]), what is lost is counted ([`Exporter`]), and a server that is away costs nothing but that.

pub mod client;
pub mod config;
pub mod grpc;
pub mod http;
pub mod metrics;
pub mod queue;
pub mod retry;
pub mod spans;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod tls;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{
    select,
    time::{Instant, MissedTickBehavior, interval_at},
};

pub use self::client::Shutdown;
use self::{
    client::{Export as _, Outcome, Session},
    config::{Metrics, Traces},
    queue::{Batch, Receiver},
};
use super::{
    exporter::{Exporter, reason},
    page::{PageSource, Want},
    resource::Resource,
};
use crate::trace::Span;

/// How long it makes sense to try the same batch again, if no limit is set.
const LONGEST: Duration = Duration::from_secs(60);

/// Sends the spans of `receiver` until its other end is gone or the agent ends; then what waits is sent as far as there is
/// time, and the rest is counted.
///
/// Whoever hands spans over should have ended before `shutdown` is near: what comes later is counted as lost.
pub async fn run_traces(
    config: Traces,
    resource: Arc<Resource>,
    mut receiver: Receiver<Span>,
    exporter: Arc<Exporter>,
    mut shutdown: Shutdown,
) {
    let encoder = spans::Encoder::new(resource, config.limits, config.sensitive_query);
    let within = if config.export_timeout.is_zero() { LONGEST } else { config.export_timeout };
    let mut session = Session::new(config.destination, Arc::clone(&exporter));
    loop {
        let batch = select! {
            biased;
            () = shutdown.near() => receiver.try_batch(config.max_batch),
            batch = receiver.recv_batch(config.max_batch, config.delay) => batch,
        };
        let Some(batch) = batch else { break };
        send(batch, &encoder, &mut session, &exporter, Instant::now() + within, &mut shutdown).await;
    }
    receiver.close();
}

/// Sends a batch, which waits as long as it takes.
async fn send(
    mut batch: Batch<Span>,
    encoder: &spans::Encoder,
    session: &mut Session,
    exporter: &Exporter,
    deadline: Instant,
    shutdown: &mut Shutdown,
) {
    let (requests, too_large) = encoder.requests(batch.items());
    batch.clear();
    exporter.dropped(reason::TOO_LARGE, too_large);
    for request in requests {
        let outcome = session.deliver(&request, deadline, shutdown).await;
        if let Some(reason) = outcome.reason() {
            exporter.dropped(reason, request.items());
        }
    }
}

/// Sends the metrics of `source` once an interval, and a last time when the agent is to end: `source` should still answer
/// then.
pub async fn run_metrics(
    config: Metrics,
    resource: Arc<Resource>,
    source: PageSource,
    exporter: Arc<Exporter>,
    mut shutdown: Shutdown,
) {
    let within = if config.export_timeout.is_zero() { config.interval } else { config.export_timeout };
    let mut metrics = Collection {
        encoder: metrics::Encoder::new(resource, config.temporality, config.histograms),
        keeps_what_failed: config.temporality == metrics::Temporality::Delta,
        session: Session::new(config.destination, Arc::clone(&exporter)),
        source,
        exporter,
    };
    let mut ticks = interval_at(Instant::now() + config.interval, config.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_last = select! {
            biased;
            () = shutdown.near() => true,
            _ = ticks.tick() => false,
        };
        metrics.export(Instant::now() + within, &mut shutdown).await;
        if is_last {
            break;
        }
    }
}

/// Metrics, from where they are to where they go.
struct Collection {
    encoder: metrics::Encoder,
    /// Differences that did not arrive are part of the next ones; of totals the next ones tell all anew.
    keeps_what_failed: bool,
    session: Session,
    source: PageSource,
    exporter: Arc<Exporter>,
}

impl Collection {
    /// Sends all there is to tell now.
    async fn export(&mut self, deadline: Instant, shutdown: &mut Shutdown) {
        let page = select! {
            biased;
            page = self.source.page(Want::Metrics) => page,
            () = shutdown.over() => return,
        };
        let (page, permit) = match page {
            Ok(page) => page,
            Err(error) => {
                self.exporter.failed();
                tracing::debug!(exporter = self.exporter.name, %error, "there are no metrics to export");
                return;
            }
        };
        #[expect(clippy::disallowed_methods, reason = "points bear the time they were taken at")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let requests = self.encoder.encode(&page, u64::try_from(now.as_nanos()).unwrap_or(u64::MAX));
        drop((page, permit));
        let mut waiting: u64 = requests.iter().map(|request| request.items()).sum();
        self.exporter.set_queued(waiting);
        for (index, request) in requests.into_iter().enumerate() {
            let items = request.items();
            match self.session.deliver(&request, deadline, shutdown).await {
                Outcome::Delivered => self.encoder.delivered_part(index),
                outcome => {
                    if outcome == Outcome::Refused {
                        // Differences that a server does not want once it will not want later, among others.
                        self.encoder.delivered_part(index);
                    }
                    if let Some(reason) = outcome.reason()
                        && (outcome == Outcome::Refused || !self.keeps_what_failed || outcome == Outcome::Shutdown)
                    {
                        self.exporter.dropped(reason, items);
                    }
                }
            }
            waiting -= items;
            self.exporter.set_queued(waiting);
        }
    }
}
