//! A real OpenTelemetry Collector with the configuration of `deploy/`, on ports and in a directory of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::gate::{free_port, own, real};
use crate::http;
use crate::otlp::{self, Point, Span};
use crate::process::{Place, Service, scratch};
use crate::tls::Certificates;
use crate::wait;

/// How its receivers are secured.
#[derive(Clone, Copy)]
pub enum Security<'a> {
    /// Not at all.
    Plain,
    /// By a certificate of its own, `server` of these.
    Tls(&'a Certificates),
    /// By one of the client's as well, which `ca` of these has signed.
    Mutual(&'a Certificates),
}

/// A Collector; what it wrote outlives a restart.
pub struct Collector {
    service: Option<Service>,
    directory: TempDir,
    grpc: u16,
    http: u16,
    health: u16,
}

impl Collector {
    /// Starts one, and waits until it says that it is healthy.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn start(security: Security<'_>) -> Self {
        Self::start_with(security, None)
    }

    /// Starts one that passes metrics on to a Prometheus too.
    ///
    /// # Panics
    /// When it does not get ready.
    #[must_use]
    pub fn before(prometheus: SocketAddr) -> Self {
        Self::start_with(Security::Plain, Some(prometheus))
    }

    fn start_with(security: Security<'_>, prometheus: Option<SocketAddr>) -> Self {
        let [grpc, http, health] = [free_port(), free_port(), free_port()];
        let mut collector = Self { service: None, directory: scratch(), grpc, http, health };
        std::fs::write(collector.overrides(), collector.differences(security, prometheus)).expect("a file");
        collector.restart();
        collector
    }

    /// What is different from the configuration of `deploy/`.
    fn differences(&self, security: Security<'_>, prometheus: Option<SocketAddr>) -> String {
        let Self { grpc, http, health, .. } = self;
        let directory = self.directory.path().display();
        let tls = match security {
            Security::Plain => String::new(),
            Security::Tls(own) | Security::Mutual(own) => {
                let (certificate, key) = (own.certificate("server"), own.key("server"));
                format!(", tls: {{cert_file: {}, key_file: {}", certificate.display(), key.display())
            }
        };
        let tls = match security {
            Security::Plain => tls,
            Security::Tls(_) => tls + "}",
            Security::Mutual(own) => format!("{tls}, client_ca_file: {}}}", own.certificate("ca").display()),
        };
        let (passed, endpoint) = match prometheus {
            Some(address) => (", otlphttp/prometheus", format!("http://{address}/api/v1/otlp")),
            None => ("", "http://127.0.0.1:1/unused".to_owned()),
        };
        format!(
            "extensions: {{health_check: {{endpoint: '127.0.0.1:{health}'}}}}\n\
             receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{grpc}'{tls}}}, \
             http: {{endpoint: '127.0.0.1:{http}'{tls}}}}}}}}}\n\
             processors: {{batch: {{timeout: 10ms}}}}\n\
             exporters:\n  file/traces: {{path: {directory}/traces.json, flush_interval: 5ms}}\n  \
             file/metrics: {{path: {directory}/metrics.json, flush_interval: 5ms}}\n  \
             otlphttp/prometheus: {{endpoint: '{endpoint}'}}\n\
             service:\n  telemetry: {{metrics: {{level: none}}, logs: {{level: warn}}}}\n  \
             pipelines: {{metrics: {{exporters: [file/metrics{passed}]}}}}\n"
        )
    }

    fn overrides(&self) -> PathBuf {
        self.directory.path().join("overrides.yaml")
    }

    /// Starts it again, after [`Collector::kill`] or [`Collector::stop`].
    ///
    /// # Panics
    /// When it does not get ready.
    pub fn restart(&mut self) {
        assert!(self.service.is_none(), "the Collector runs already");
        let mut command = Place::Host.command(&real("REDTAP_COLLECTOR"));
        command.arg("--config").arg(own("../deploy/collector.yaml")).arg("--config").arg(self.overrides());
        let service = Service::start("the Collector", &mut command).ready_at(loopback(self.health));
        let healthy = wait::within(wait::PATIENCE, || {
            http::get(loopback(self.health), "/").ok().filter(|answer| answer.status == 200)
        });
        assert!(healthy.is_some(), "the Collector does not get ready: {}", service.log());
        self.service = Some(service);
    }

    /// Kills it, without a chance to write what it has.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Ends it in order: all that it has is written.
    ///
    /// # Panics
    /// When it does not run, or does not end.
    pub fn stop(&mut self) {
        self.end(Signal::TERM);
    }

    fn end(&mut self, signal: Signal) {
        let mut service = self.service.take().expect("a running Collector");
        service.signal(signal);
        service.ended();
    }

    /// What it logs: warnings, and the debug exporter's summaries.
    #[must_use]
    pub fn log(&self) -> String {
        self.service.as_ref().map(Service::log).unwrap_or_default()
    }

    /// The URL of its gRPC receiver.
    #[must_use]
    pub fn grpc(&self, security: Security<'_>) -> String {
        format!("{}://127.0.0.1:{}", scheme(security), self.grpc)
    }

    /// The URL of its HTTP receiver, without a signal's path.
    #[must_use]
    pub fn http(&self, security: Security<'_>) -> String {
        format!("{}://127.0.0.1:{}", scheme(security), self.http)
    }

    /// The spans that it wrote so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        otlp::spans(&self.file("traces.json"))
    }

    /// The data points that it wrote so far.
    #[must_use]
    pub fn points(&self) -> Vec<Point> {
        otlp::points(&self.file("metrics.json"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Waits until `condition` gives something of the spans written so far.
    ///
    /// # Panics
    /// When it does not; `what` is what was waited for.
    pub fn until_spans<T>(&self, what: &str, condition: impl Fn(&[Span]) -> Option<T>) -> T {
        let file = self.file("traces.json");
        let mut looked_at = Watch::default();
        let found = wait::within(wait::PATIENCE, || looked_at.grown(&file).then(|| condition(&self.spans()))?);
        found.unwrap_or_else(|| {
            panic!("waited in vain for {what}; {} spans, log: {}", self.spans().len(), self.log())
        })
    }

    /// Waits until `condition` gives something of the data points written so far.
    ///
    /// # Panics
    /// When it does not; `what` is what was waited for.
    pub fn until_points<T>(&self, what: &str, condition: impl Fn(&[Point]) -> Option<T>) -> T {
        let file = self.file("metrics.json");
        let mut looked_at = Watch::default();
        let found = wait::within(wait::PATIENCE, || looked_at.grown(&file).then(|| condition(&self.points()))?);
        found.unwrap_or_else(|| {
            panic!("waited in vain for {what}; {} points, log: {}", self.points().len(), self.log())
        })
    }
}

/// Reads a file again only when it has grown.
#[derive(Default)]
struct Watch(Option<u64>);

impl Watch {
    fn grown(&mut self, file: &Path) -> bool {
        let length = std::fs::metadata(file).map_or(0, |file| file.len());
        self.0.replace(length) != Some(length)
    }
}

fn scheme(security: Security<'_>) -> &'static str {
    match security {
        Security::Plain => "http",
        Security::Tls(_) | Security::Mutual(_) => "https",
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
