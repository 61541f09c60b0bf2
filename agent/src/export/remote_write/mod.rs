//! Prometheus remote write, for hosts that nobody can scrape: 2.0, and 1.0 where a receiver knows no other.
//!
//! Once an interval a page becomes requests ([`build`]), always of 2.0; one of 1.0 is made from that ([`legacy`]).
//! They wait in a [`queue`] that is bounded in bytes, and are sent one after the other, so that no series' samples
//! overtake each other.

mod build;
mod encode;
mod known;
mod legacy;
mod native;
mod number;
mod proto;
mod queue;
mod send;
mod symbols;
#[cfg(test)]
mod tests;

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hyper::{HeaderMap, Uri};
use tokio::{
    join, select,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

use self::{
    build::{Builder, Histograms},
    queue::Queue,
    send::{Legacy, Sender},
};
use super::{
    client::{Client, ClientError, TlsOptions},
    exporter::Exporter,
    metrics,
    otlp::Shutdown,
    page::{Page, PageSource, Want},
    resource::Resource,
};

/// `job` of all series, unless an external label says otherwise.
pub const JOB: &str = "redtap";

/// How long a receiver may take to answer, as with Prometheus itself.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// What goes where, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to: absolute, http or https.
    pub url: Uri,
    /// Time between two pages.
    pub interval: Duration,
    /// How long a receiver may take to answer; zero: any time.
    pub timeout: Duration,
    /// Which messages.
    pub version: Version,
    /// Who writes.
    pub authorization: Authorization,
    /// Further fields of each request. Those of the protocol come before them.
    pub headers: HeaderMap,
    /// Certificates.
    pub tls: TlsOptions,
    /// Most bytes that wait, as they go over the wire.
    pub queue_bytes: usize,
    /// Labels of every series that has none of that name itself.
    pub external_labels: Vec<(String, String)>,
    /// Histograms as native ones, where they are kept.
    pub native: bool,
    /// With native ones, classic ones as well.
    pub classic_too: bool,
}

/// Which version of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// 2.0, or 1.0 with a receiver that knows no other.
    #[default]
    Auto,
    /// 1.0.
    V1,
    /// 2.0.
    V2,
}

/// What a receiver is shown. Files are read for each request, so that they may change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Authorization {
    /// Nothing.
    #[default]
    None,
    /// A file of one line, `USER:PASSWORD`.
    Basic(PathBuf),
    /// A file of one line, the token.
    Bearer(PathBuf),
}

/// The messages of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `prometheus.WriteRequest`.
    V1,
    /// `io.prometheus.write.v2.Request`.
    V2,
}

/// Writes the metrics of `source` once an interval, and a last time when the agent is to end, until then trying
/// again what a receiver that is away did not take. `exporter` shows the queue in bytes, and what was sent or lost
/// in samples, of which a native histogram is one.
///
/// # Errors
/// If the files of the TLS options are unusable.
pub async fn run(
    options: Options,
    resource: Arc<Resource>,
    source: PageSource,
    exporter: Arc<Exporter>,
    mut shutdown: Shutdown,
) -> Result<(), ClientError> {
    let client = Client::new(&options.tls, options.timeout)?;
    let queue = Queue::new(options.queue_bytes, Arc::clone(&exporter));
    let mut sender = Sender::new(client, &options, Arc::clone(&exporter));
    let writer = Writer {
        builder: builder(&options, &resource),
        source,
        queue: &queue,
        is_legacy: sender.is_legacy(),
        exporter: &exporter,
    };
    let written = writer.run(options.interval, shutdown.clone());
    let work = async { join!(written, sender.run(&queue)) };
    select! {
        _ = work => {}
        () = shutdown.over() => {}
    }
    queue.abandon();
    Ok(())
}

/// A builder whose series have the external labels, `job` and `instance`.
fn builder(options: &Options, resource: &Resource) -> Builder {
    let external =
        options.external_labels.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
    let own = [("job".into(), JOB.into()), ("instance".into(), Arc::clone(&resource.host))];
    let histograms = Histograms { native: options.native, classic_too: options.classic_too };
    Builder::new(external.chain(own).collect(), histograms)
}

/// From the pages into the queue.
struct Writer<'a> {
    builder: Builder,
    source: PageSource,
    queue: &'a Queue,
    is_legacy: Legacy,
    exporter: &'a Exporter,
}

impl Writer<'_> {
    async fn run(mut self, every: Duration, mut shutdown: Shutdown) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_last = select! {
                biased;
                () = shutdown.near() => true,
                _ = ticks.tick() => false,
            };
            match self.source.page(Want::Metrics).await {
                Ok((page, permit)) => {
                    if self.write(page).await.is_none() {
                        break;
                    }
                    drop(permit);
                }
                Err(error) => {
                    self.exporter.failed();
                    tracing::debug!(exporter = self.exporter.name, %error, "there are no metrics to write");
                }
            }
            if is_last {
                break;
            }
        }
        self.queue.close();
    }

    /// Takes a page to the queue. `None` if the runtime is about to end.
    async fn write(&mut self, page: Page) -> Option<()> {
        #[expect(clippy::disallowed_methods, reason = "samples bear the time they were taken at")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let protocol = if self.is_legacy.load(Ordering::Relaxed) { Protocol::V1 } else { Protocol::V2 };
        let mut builder = std::mem::take(&mut self.builder);
        // Thousands of series take their time, in which others want to go on.
        let built = spawn_blocking(move || {
            let messages = builder.build(now, |sink| metrics::write(&page, sink));
            let items: Vec<_> = messages.iter().map(|message| encode::item(message, protocol)).collect();
            (builder, items)
        });
        let (builder, items) = built.await.ok()?;
        self.builder = builder;
        items.into_iter().for_each(|item| self.queue.push(item));
        Some(())
    }
}
