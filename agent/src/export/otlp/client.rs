//! One request and its way to the server, with all that may happen on it, whatever the protocol.

#[cfg(test)]
mod tests;

use std::{error::Error, sync::Arc, time::Duration};

use fastrand::Rng;
use hyper::body::Bytes;
use opentelemetry_proto::tonic::collector::{
    metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
    trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
};
use prost::Message as _;
use serde::de::DeserializeOwned;
use tokio::{
    select,
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    config::{Destination, Protocol},
    grpc, http,
    metrics::count_points,
    retry::{self, Backoff},
    spans,
};
use crate::export::{
    client::ClientError,
    exporter::{Exporter, reason},
};

/// Who we say we are (OTLP exporter specification, "User Agent").
pub const USER_AGENT: &str =
    concat!("redtap/", env!("CARGO_PKG_VERSION"), " OTel-OTLP-Exporter-Rust/", env!("CARGO_PKG_VERSION"));

/// How long exporters may take to get rid of what they have once the agent is to end.
pub const GRACE: Duration = Duration::from_secs(5);

/// Longest wait between attempts once the agent is to end, but for one that the server asked for.
const LAST_WAITS: Duration = Duration::from_millis(500);

/// Warnings of the same kind are this far apart.
const QUIET: Duration = Duration::from_secs(60);

/// Characters of a server's message that are shown.
const QUOTED: usize = 200;

/// A request of OTLP.
pub trait Export {
    /// What a server answers.
    type Answer: prost::Message + DeserializeOwned + Default + 'static;

    /// Where gRPC takes it.
    const PATH: &'static str;

    /// Spans or data points in it.
    fn items(&self) -> u64;

    /// In protocol buffers.
    fn protobuf(&self) -> Bytes;

    /// For JSON.
    ///
    /// # Errors
    /// When it is none of what the protocol defines.
    fn json(&self) -> serde_json::Result<serde_json::Value>;

    /// What the server says about a request that it took.
    fn accepted(answer: Self::Answer) -> Accepted;
}

/// Taken by the server, the rejected items excepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Spans or data points that it did not take.
    pub rejected: u64,
    /// Why, or a warning.
    pub message: String,
}

/// Not taken. The texts have nothing in them that was exported, unless the server quotes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may be taken later.
    Again {
        /// Not earlier than that, says the server.
        after: Option<Duration>,
        /// What happened.
        error: String,
        /// There was no answer: it may be the connection, or the certificates.
        broken: bool,
    },
    /// It never will be.
    Final {
        /// What the server says.
        error: String,
    },
}

/// What became of a request in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server took it; counted as sent, and what it rejected as that.
    Delivered,
    /// The server will not take it.
    Refused,
    /// Its time was over.
    Expired,
    /// The agent's time was over.
    Shutdown,
}

impl Outcome {
    /// Why it is lost, if it is.
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Delivered => None,
            Self::Refused => Some(reason::REFUSED),
            Self::Expired => Some(reason::EXPIRED),
            Self::Shutdown => Some(reason::SHUTDOWN),
        }
    }
}

/// The agent's end, as an exporter learns of it.
#[derive(Clone, Debug)]
pub struct Shutdown {
    asked: watch::Receiver<bool>,
    grace: Duration,
    by: Option<Instant>,
}

impl Shutdown {
    /// The end is near once `asked` says `true`, or its sender is gone; `grace` later it is there.
    #[must_use]
    pub const fn new(asked: watch::Receiver<bool>, grace: Duration) -> Self {
        Self { asked, grace, by: None }
    }

    /// Ready once it is near.
    pub async fn near(&mut self) {
        // An error is a sender that is gone.
        let _ = self.asked.wait_for(|asked| *asked).await;
        self.by.get_or_insert_with(|| Instant::now() + self.grace);
    }

    /// Ready once it is there.
    pub async fn over(&mut self) {
        self.near().await;
        if let Some(by) = self.by {
            sleep_until(by).await;
        }
    }
}

/// The way to one server, by one of the protocols.
#[derive(Clone, Debug)]
enum Client {
    Grpc(Box<grpc::Client>),
    Http(Box<http::Client>),
}

impl Client {
    fn new(destination: &Destination) -> Result<Self, ClientError> {
        match destination.protocol {
            Protocol::Grpc => grpc::Client::new(destination).map(Box::new).map(Self::Grpc),
            Protocol::HttpProtobuf | Protocol::HttpJson => {
                http::Client::new(destination).map(Box::new).map(Self::Http)
            }
        }
    }

    async fn export<R: Export>(&self, request: &R) -> Result<Accepted, Failure> {
        match self {
            Self::Grpc(client) => client.export(request).await,
            Self::Http(client) => client.export(request).await,
        }
    }
}

/// Successive requests to one server.
#[derive(Debug)]
pub struct Session {
    destination: Destination,
    exporter: Arc<Exporter>,
    client: Option<Client>,
    backoff: Backoff,
    pause: Option<Pause>,
    failing: bool,
    warned: Option<Instant>,
}

/// No attempt before it is over, whichever request it is for.
#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Instant,
    /// The server asked for it.
    asked: bool,
}

impl Session {
    /// A way to `destination`; nothing is opened yet.
    #[must_use]
    pub fn new(destination: Destination, exporter: Arc<Exporter>) -> Self {
        let backoff = Backoff::new(retry::INITIAL, Rng::new());
        Self { destination, exporter, client: None, backoff, pause: None, failing: false, warned: None }
    }

    /// Sends a request, as often as it takes until `deadline` or the agent's end.
    pub async fn deliver<R: Export>(
        &mut self,
        request: &R,
        deadline: Instant,
        shutdown: &mut Shutdown,
    ) -> Outcome {
        let pausing = shutdown.clone();
        let outcome = select! {
            biased;
            outcome = self.attempts(request, pausing) => outcome,
            () = shutdown.over() => Outcome::Shutdown,
            () = sleep_until(deadline) => Outcome::Expired,
        };
        if outcome == Outcome::Expired {
            self.warn("given up: tried for too long", "no success in time");
        }
        outcome
    }

    async fn attempts<R: Export>(&mut self, request: &R, mut shutdown: Shutdown) -> Outcome {
        loop {
            if let Some(pause) = self.pause {
                pause.pass(&mut shutdown).await;
                self.pause = None;
            }
            match self.attempt(request).await {
                Ok(accepted) => {
                    self.delivered(request.items(), &accepted);
                    return Outcome::Delivered;
                }
                Err(Failure::Final { error }) => {
                    self.exporter.failed();
                    self.backoff.reset();
                    self.warn("given up: the server refuses it", &error);
                    return Outcome::Refused;
                }
                Err(Failure::Again { after, error, broken }) => {
                    self.exporter.failed();
                    let wait = self.backoff.wait(after);
                    self.pause = Some(Pause { until: Instant::now() + wait, asked: after.is_some() });
                    if broken && self.is_worth_opening_anew() {
                        self.client = None;
                    }
                    if !self.failing {
                        self.failing = true;
                        tracing::warn!(exporter = self.exporter.name, error, "export fails, and is tried again");
                    } else {
                        tracing::debug!(exporter = self.exporter.name, error, "export fails");
                    }
                }
            }
        }
    }

    /// Certificates may have been replaced, and a connection of HTTP/2 may be dead without having said so.
    fn is_worth_opening_anew(&self) -> bool {
        self.destination.protocol == Protocol::Grpc || self.destination.endpoint.scheme_str() == Some("https")
    }

    async fn attempt<R: Export>(&mut self, request: &R) -> Result<Accepted, Failure> {
        let client = match &self.client {
            Some(client) => client,
            None => {
                let failed =
                    |error: ClientError| Failure::Again { after: None, error: error.to_string(), broken: true };
                self.client.insert(Client::new(&self.destination).map_err(failed)?)
            }
        };
        client.export(request).await
    }

    fn delivered(&mut self, items: u64, accepted: &Accepted) {
        let rejected = accepted.rejected.min(items);
        self.exporter.sent(items - rejected);
        self.exporter.dropped(reason::REJECTED, rejected);
        self.backoff.reset();
        if self.failing {
            self.failing = false;
            tracing::info!(exporter = self.exporter.name, "export works again");
        }
        if rejected > 0 {
            self.warn("the server rejects some", &accepted.message);
        } else if !accepted.message.is_empty() {
            self.warn("the server warns", &accepted.message);
        }
    }

    /// Says it, unless something was said a moment ago.
    fn warn(&mut self, what: &'static str, error: &str) {
        let now = Instant::now();
        if self.warned.is_none_or(|warned| now.duration_since(warned) >= QUIET) {
            self.warned = Some(now);
            tracing::warn!(exporter = self.exporter.name, error = quoted(error), "{what}");
        }
    }
}

impl Pause {
    /// Waits for its end. The agent's end makes it shorter, unless the server asked for it.
    async fn pass(self, shutdown: &mut Shutdown) {
        if self.asked {
            return sleep_until(self.until).await;
        }
        select! {
            () = sleep_until(self.until) => {}
            () = shutdown.near() => sleep(LAST_WAITS.min(self.until.saturating_duration_since(Instant::now()))).await,
        }
    }
}

/// What of a foreign text is fit for a log.
#[must_use]
pub fn quoted(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(QUOTED).collect()
}

/// An error with what it came from, without repetition.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    quoted(&text)
}

/// What a server says, from a count that is negative only by mistake.
fn accepted(partial: Option<(i64, String)>) -> Accepted {
    let (rejected, message) = partial.unwrap_or_default();
    Accepted { rejected: u64::try_from(rejected).unwrap_or_default(), message }
}

impl Export for spans::Request {
    type Answer = ExportTraceServiceResponse;

    const PATH: &'static str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

    fn items(&self) -> u64 {
        self.spans
    }

    fn protobuf(&self) -> Bytes {
        self.bytes.clone()
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        let message = ExportTraceServiceRequest::decode(&*self.bytes);
        serde_json::to_value(message.map_err(<serde_json::Error as serde::ser::Error>::custom)?)
    }

    fn accepted(answer: Self::Answer) -> Accepted {
        accepted(answer.partial_success.map(|partial| (partial.rejected_spans, partial.error_message)))
    }
}

impl Export for ExportMetricsServiceRequest {
    type Answer = ExportMetricsServiceResponse;

    const PATH: &'static str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

    fn items(&self) -> u64 {
        count_points(self)
    }

    fn protobuf(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    fn json(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(self)
    }

    fn accepted(answer: Self::Answer) -> Accepted {
        accepted(answer.partial_success.map(|partial| (partial.rejected_data_points, partial.error_message)))
    }
}
