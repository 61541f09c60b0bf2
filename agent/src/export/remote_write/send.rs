//! From the queue to the receiver.

use std::{
    fs, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::{
    HeaderMap, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT},
};
use tokio::time::{Instant, sleep};

use super::{
    Authorization, Options, Protocol, Version, encode,
    queue::{Item, Queue},
};
use crate::export::{
    client::{Answer, Client},
    exporter::{Exporter, reason},
    otlp::retry::retry_after,
};

/// The first wait before another attempt, and the longest, as with Prometheus itself.
const FIRST_WAIT: Duration = Duration::from_millis(30);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Longest wait that a receiver is granted.
const LONGEST_GRANTED: Duration = Duration::from_secs(600);

/// At most so often is the same said of a receiver that takes nothing.
const SAY_EVERY: Duration = Duration::from_secs(60);

const VERSION: HeaderName = HeaderName::from_static("x-prometheus-remote-write-version");
const ATTEMPT: HeaderName = HeaderName::from_static("retry-attempt");
const SAMPLES_WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS_WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS_WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

/// Whether the receiver is known to take 1.0 alone.
pub type Legacy = Arc<AtomicBool>;

/// Sends one request after the other.
pub struct Sender {
    client: Client,
    url: Uri,
    version: Version,
    authorization: Authorization,
    headers: HeaderMap,
    exporter: Arc<Exporter>,
    is_legacy: Legacy,
    /// The receiver has taken a request of 2.0.
    knows_v2: bool,
    /// Whether the last attempt failed, and when that was said.
    said: Option<Instant>,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// So many samples are written. The rest is lost for the reason.
    Settled { written: u64, reason: &'static str },
    /// Again, not before that.
    Again(Option<Duration>),
    /// Perhaps as 1.0. `is_certain` if it is clear that the receiver knows no 2.0.
    Legacy { is_certain: bool },
}

impl Sender {
    /// A sender to where the options say.
    pub fn new(client: Client, options: &Options, exporter: Arc<Exporter>) -> Self {
        Self {
            client,
            url: options.url.clone(),
            version: options.version,
            authorization: options.authorization.clone(),
            headers: options.headers.clone(),
            exporter,
            is_legacy: Arc::new(AtomicBool::new(options.version == Version::V1)),
            knows_v2: false,
            said: None,
        }
    }

    /// Whether requests are to be made in 1.0.
    pub fn is_legacy(&self) -> Legacy {
        Arc::clone(&self.is_legacy)
    }

    /// Sends all of `queue` until it is closed and empty.
    pub async fn run(&mut self, queue: &Queue) {
        while let Some(item) = queue.next().await {
            self.deliver(item).await;
        }
    }

    /// Sends one until it is settled.
    async fn deliver(&mut self, mut item: Item) {
        let mut wait = FIRST_WAIT;
        let mut attempt = 0;
        // It is tried as 1.0, which the receiver may not know either.
        let mut is_trial = false;
        if item.protocol == Protocol::V2 && self.is_legacy.load(Ordering::Relaxed) {
            item = encode::downgraded(&item);
        }
        loop {
            match self.attempt(&item, attempt).await {
                Verdict::Settled { written, reason } => {
                    if written > 0 {
                        self.exporter.sent(written);
                    }
                    if written == item.samples {
                        self.recovered();
                    } else {
                        self.exporter.dropped(reason, item.samples.saturating_sub(written));
                    }
                    if is_trial && written > 0 {
                        self.settle_on_v1();
                    }
                    return;
                }
                Verdict::Again(granted) => {
                    self.exporter.failed();
                    sleep(wait.max(granted.unwrap_or_default().min(LONGEST_GRANTED))).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                    attempt += 1;
                }
                Verdict::Legacy { is_certain } => {
                    self.exporter.failed();
                    if is_certain {
                        self.settle_on_v1();
                    }
                    item = encode::downgraded(&item);
                    (is_trial, attempt) = (!is_certain, 0);
                }
            }
        }
    }

    fn settle_on_v1(&self) {
        self.is_legacy.store(true, Ordering::Relaxed);
        tracing::info!(exporter = self.exporter.name, "the receiver knows no remote write 2.0; using 1.0");
    }

    async fn attempt(&mut self, item: &Item, attempt: u32) -> Verdict {
        let headers = match self.headers(item.protocol, attempt) {
            Ok(headers) => headers,
            Err(error) => {
                self.say(&format_args!("cannot read the file of the authorization: {error}"));
                return Verdict::Again(None);
            }
        };
        match self.client.post(&self.url, headers, item.body.clone()).await {
            Ok(answer) => self.judge(item, &answer),
            Err(error) => {
                self.say(&error);
                Verdict::Again(None)
            }
        }
    }

    /// Prometheus remote write 2.0, "Required written response headers", "Retries and backoff" and "Backward and
    /// forward compatibility".
    fn judge(&mut self, item: &Item, answer: &Answer) -> Verdict {
        let written = written(&answer.headers);
        let may_fall_back = item.protocol == Protocol::V2 && self.version == Version::Auto;
        let verdict = match (answer.status, written) {
            (status, written) if status.is_success() => match (item.protocol, written) {
                (Protocol::V1, _) => Verdict::Settled { written: item.samples, reason: reason::REJECTED },
                (Protocol::V2, Some(written)) => {
                    self.knows_v2 = true;
                    Verdict::Settled { written: written.min(item.samples), reason: reason::REJECTED }
                }
                // A receiver of 1.0 that looks at no header has found nothing that it knows in the body.
                (Protocol::V2, None) if may_fall_back => Verdict::Legacy { is_certain: true },
                (Protocol::V2, None) => Verdict::Settled { written: 0, reason: reason::REFUSED },
            },
            (status, _) if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Verdict::Again(wanted(&answer.headers))
            }
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, _) if may_fall_back => Verdict::Legacy { is_certain: true },
            (StatusCode::BAD_REQUEST, None) if may_fall_back && !self.knows_v2 => {
                Verdict::Legacy { is_certain: false }
            }
            (_, written) => {
                let written = written.unwrap_or_default().min(item.samples);
                Verdict::Settled { written, reason: reason::REFUSED }
            }
        };
        let is_whole = matches!(verdict, Verdict::Settled { written, .. } if written == item.samples);
        if !is_whole && !matches!(verdict, Verdict::Legacy { .. }) {
            self.say(&format_args!("the receiver answered {}", answer.status.as_u16()));
        }
        if matches!(verdict, Verdict::Settled { reason: reason::REFUSED, .. }) && !is_whole {
            self.exporter.failed();
        }
        verdict
    }

    fn headers(&self, protocol: Protocol, attempt: u32) -> io::Result<HeaderMap> {
        let (kind, version) = match protocol {
            Protocol::V1 => ("application/x-protobuf", "0.1.0"),
            Protocol::V2 => ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"),
        };
        let mut headers = self.headers.clone();
        let agent = concat!("redtap/", env!("CARGO_PKG_VERSION"));
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(agent));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(VERSION, HeaderValue::from_static(version));
        if attempt > 0 {
            headers.insert(ATTEMPT, HeaderValue::from(attempt));
        }
        if let Some(authorization) = authorization(&self.authorization)? {
            headers.insert(AUTHORIZATION, authorization);
        }
        Ok(headers)
    }

    /// Says what is wrong, now and then.
    fn say(&mut self, what: &dyn std::fmt::Display) {
        let now = Instant::now();
        if self.said.is_none_or(|said| now - said >= SAY_EVERY) {
            self.said = Some(now);
            tracing::warn!(exporter = self.exporter.name, reason = %what, "cannot write all metrics");
        }
    }

    fn recovered(&mut self) {
        if self.said.take().is_some() {
            tracing::info!(exporter = self.exporter.name, "metrics are written again");
        }
    }
}

/// What the receiver says that it wrote of the samples and histograms; `None` if it says nothing at all.
fn written(headers: &HeaderMap) -> Option<u64> {
    let number = |name: &HeaderName| -> Option<u64> { headers.get(name)?.to_str().ok()?.trim().parse().ok() };
    let parts = [&SAMPLES_WRITTEN, &HISTOGRAMS_WRITTEN].map(number);
    let says = parts.iter().any(Option::is_some) || headers.contains_key(EXEMPLARS_WRITTEN);
    says.then(|| parts.into_iter().flatten().fold(0, u64::saturating_add))
}

/// The wait that the receiver asks for.
fn wanted(headers: &HeaderMap) -> Option<Duration> {
    #[expect(clippy::disallowed_methods, reason = "retry-after may be a date")]
    let now = SystemTime::now();
    retry_after(headers.get(RETRY_AFTER)?.to_str().ok()?, now)
}

/// The field's value, which is shown nowhere.
fn authorization(authorization: &Authorization) -> io::Result<Option<HeaderValue>> {
    let line = |path| fs::read_to_string(path).map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
    let text = match authorization {
        Authorization::None => return Ok(None),
        Authorization::Basic(path) => format!("Basic {}", STANDARD.encode(line(path)?)),
        Authorization::Bearer(path) => format!("Bearer {}", line(path)?),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| io::Error::other("it is no single line of text"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}
