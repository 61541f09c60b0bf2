//! Where to send what, and how, as the standard variables say (OpenTelemetry specification v1.60, "Environment variable
//! specification" and "OpenTelemetry protocol exporter").
//!
//! They are lenient as the specification wants them: an empty one counts as unset, and so does one with a senseless value,
//! after a warning. No warning quotes an endpoint or a header: either may carry a secret.

#[cfg(test)]
mod tests;
mod variables;

use std::{fmt, time::Duration};

use hyper::{HeaderMap, Uri};

use self::variables::Variables;
use super::metrics::{Histograms, Temporality};
use crate::{export::client::TlsOptions, identity::select::QueryKeys};

/// `OTEL_BSP_SCHEDULE_DELAY`.
const SCHEDULE_DELAY: Duration = Duration::from_secs(5);
/// `OTEL_BSP_EXPORT_TIMEOUT`, and `OTEL_METRIC_EXPORT_TIMEOUT`.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(30);
/// `OTEL_BSP_MAX_QUEUE_SIZE`.
const MAX_QUEUE: u64 = 2048;
/// `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`.
const MAX_BATCH: u64 = 512;
/// `OTEL_METRIC_EXPORT_INTERVAL`.
const METRIC_INTERVAL: Duration = Duration::from_secs(60);
/// `OTEL_EXPORTER_OTLP_TIMEOUT`.
const TIMEOUT: Duration = Duration::from_secs(10);
/// `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`.
const ATTRIBUTE_COUNT: u64 = 128;

/// What is exported by OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
}

/// How it is carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// Protocol buffers over HTTP/1.1.
    #[default]
    HttpProtobuf,
    /// JSON over HTTP/1.1.
    HttpJson,
}

/// What bodies are packed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Nothing.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878; not one of the specification's, but the Collector takes it.
    Zstd,
}

/// The other end for one signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// What goes there.
    pub signal: Signal,
    /// How it is carried.
    pub protocol: Protocol,
    /// With scheme and authority; for HTTP the whole URL, for gRPC its path is without meaning.
    pub endpoint: Uri,
    /// What is sent along; its values are marked as sensitive.
    pub headers: HeaderMap,
    /// What bodies are packed in.
    pub compression: Compression,
    /// How long a single attempt may take; zero: any time.
    pub timeout: Duration,
    /// Certificates.
    pub tls: TlsOptions,
}

/// What of a span's attributes is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many at most.
    pub count: usize,
    /// Characters of a text at most; `None`: all that was captured, which is bounded.
    pub length: Option<usize>,
}

/// Spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    /// Where they go.
    pub destination: Destination,
    /// How long spans are gathered for a batch.
    pub delay: Duration,
    /// How long a batch may take with all attempts; zero: as long as retrying is reasonable.
    pub export_timeout: Duration,
    /// Spans that may wait.
    pub max_queue: u64,
    /// Spans in a batch.
    pub max_batch: usize,
    /// What of their attributes is sent.
    pub limits: Limits,
    /// Keys of queries whose values are not. No variable says so.
    pub sensitive_query: QueryKeys,
}

/// Metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Where they go.
    pub destination: Destination,
    /// Time between exports.
    pub interval: Duration,
    /// How long an export may take with all attempts; zero: until the next one.
    pub export_timeout: Duration,
    /// What successive exports tell.
    pub temporality: Temporality,
    /// The form of histograms.
    pub histograms: Histograms,
}

/// What is exported; nothing, unless an endpoint or an exporter is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Spans, if they are.
    pub traces: Option<Traces>,
    /// Metrics, if they are.
    pub metrics: Option<Metrics>,
}

/// A variable that does not do what was hoped for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Its name.
    pub variable: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.variable, self.message)
    }
}

impl Signal {
    /// As variables name it.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
        }
    }

    /// The exporter's name in our own metrics.
    #[must_use]
    pub const fn exporter(self) -> &'static str {
        match self {
            Self::Traces => "otlp_traces",
            Self::Metrics => "otlp_metrics",
        }
    }

    /// What follows the base of an HTTP endpoint.
    const fn path(self) -> &'static str {
        match self {
            Self::Traces => "v1/traces",
            Self::Metrics => "v1/metrics",
        }
    }
}

impl Config {
    /// What the environment says. Of a variable given twice the last counts; others than `OTEL_…` are not looked at.
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> (Self, Vec<Warning>) {
        let mut variables = Variables::new(variables);
        let config = if variables.switch("OTEL_SDK_DISABLED") {
            Self::default()
        } else {
            Self { traces: traces(&mut variables), metrics: metrics(&mut variables) }
        };
        (config, variables.into_warnings())
    }
}

fn traces(variables: &mut Variables) -> Option<Traces> {
    let destination = destination(variables, Signal::Traces)?;
    let max_queue = variables.positive("OTEL_BSP_MAX_QUEUE_SIZE").unwrap_or(MAX_QUEUE);
    let named = variables.positive("OTEL_BSP_MAX_EXPORT_BATCH_SIZE");
    if named.is_some_and(|batch| batch > max_queue) {
        let message = format!("more than the queue holds; {max_queue} counts");
        variables.warn("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", message);
    }
    let count = variables
        .number("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT")
        .or_else(|| variables.number("OTEL_ATTRIBUTE_COUNT_LIMIT"))
        .unwrap_or(ATTRIBUTE_COUNT);
    let length = variables
        .number("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")
        .or_else(|| variables.number("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"));
    Some(Traces {
        destination,
        delay: variables.milliseconds("OTEL_BSP_SCHEDULE_DELAY").unwrap_or(SCHEDULE_DELAY),
        export_timeout: variables.milliseconds("OTEL_BSP_EXPORT_TIMEOUT").unwrap_or(EXPORT_TIMEOUT),
        max_queue,
        max_batch: size(named.unwrap_or(MAX_BATCH).min(max_queue)),
        limits: Limits { count: size(count), length: length.map(size) },
        sensitive_query: QueryKeys::default(),
    })
}

fn metrics(variables: &mut Variables) -> Option<Metrics> {
    let destination = destination(variables, Signal::Metrics)?;
    let interval = variables.positive("OTEL_METRIC_EXPORT_INTERVAL").map(Duration::from_millis);
    let temporality = variables.word(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        // What `lowmemory` says of synchronous instruments is all that is left of it here: no instrument is asynchronous.
        &[
            ("cumulative", Temporality::Cumulative),
            ("delta", Temporality::Delta),
            ("lowmemory", Temporality::Delta),
        ],
    );
    let histograms = variables.word(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        &[
            ("explicit_bucket_histogram", Histograms::Explicit),
            ("base2_exponential_bucket_histogram", Histograms::Exponential),
        ],
    );
    Some(Metrics {
        destination,
        interval: interval.unwrap_or(METRIC_INTERVAL),
        export_timeout: variables.milliseconds("OTEL_METRIC_EXPORT_TIMEOUT").unwrap_or(EXPORT_TIMEOUT),
        temporality: temporality.unwrap_or_default(),
        histograms: histograms.unwrap_or_default(),
    })
}

/// Where a signal goes; `None`: nowhere.
fn destination(variables: &mut Variables, signal: Signal) -> Option<Destination> {
    let named = exporter(variables, signal)?;
    let protocol = variables.of_signal(signal, "PROTOCOL", |variables, name| {
        let words = [
            ("grpc", Protocol::Grpc),
            ("http/protobuf", Protocol::HttpProtobuf),
            ("http/json", Protocol::HttpJson),
        ];
        variables.word(name, &words)
    });
    let protocol = protocol.unwrap_or_default();
    let endpoint = endpoint(variables, signal, protocol).or_else(|| {
        let local = match protocol {
            Protocol::Grpc => "http://localhost:4317".to_owned(),
            Protocol::HttpProtobuf | Protocol::HttpJson => format!("http://localhost:4318/{}", signal.path()),
        };
        local.parse().ok().filter(|_| named == Named::Explicitly)
    })?;
    let compression = variables.of_signal(signal, "COMPRESSION", |variables, name| {
        let words = [("none", Compression::None), ("gzip", Compression::Gzip), ("zstd", Compression::Zstd)];
        variables.word(name, &words)
    });
    let timeout = variables.of_signal(signal, "TIMEOUT", Variables::milliseconds);
    let mut file = |suffix| variables.of_signal(signal, suffix, |variables, name| variables.path(name));
    let tls =
        TlsOptions { ca: file("CERTIFICATE"), certificate: file("CLIENT_CERTIFICATE"), key: file("CLIENT_KEY") };
    Some(Destination {
        signal,
        protocol,
        endpoint,
        headers: variables.of_signal(signal, "HEADERS", Variables::headers).unwrap_or_default(),
        compression: compression.unwrap_or_default(),
        timeout: timeout.unwrap_or(TIMEOUT),
        tls,
    })
}

/// How an exporter came to be wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    /// By its name: it has a default endpoint.
    Explicitly,
    /// Not at all; an endpoint does that.
    No,
}

/// What `OTEL_{TRACES,METRICS}_EXPORTER` says of OTLP; `None`: that it is not wanted.
fn exporter(variables: &mut Variables, signal: Signal) -> Option<Named> {
    let variable = format!("OTEL_{}_EXPORTER", signal.variable());
    let Some(text) = variables.text(&variable) else { return Some(Named::No) };
    let text = text.to_owned();
    let mut named = None;
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match word {
            "otlp" => named = Some(Named::Explicitly),
            // What Prometheus reads is always there.
            "none" | "prometheus" => {}
            _ => variables.warn(&variable, "only otlp and none are supported".to_owned()),
        }
    }
    named
}

/// The endpoint that is given, if any.
fn endpoint(variables: &mut Variables, signal: Signal, protocol: Protocol) -> Option<Uri> {
    let insecure = variables.of_signal(signal, "INSECURE", |variables, name| Some(variables.switch(name)));
    let scheme = if insecure == Some(true) { "http" } else { "https" };
    let own = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.variable());
    if let Some(uri) = variables.endpoint(&own, protocol, scheme) {
        return Some(uri);
    }
    let base = variables.endpoint("OTEL_EXPORTER_OTLP_ENDPOINT", protocol, scheme)?;
    if protocol == Protocol::Grpc {
        return Some(base);
    }
    let query = base.query().map_or(String::new(), |query| format!("?{query}"));
    let path = format!("{}/{}{query}", base.path().trim_end_matches('/'), signal.path());
    let mut parts = base.into_parts();
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// A number that is not larger than anything here.
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
