//! The exporters' own thread: what is sent, rather than asked for.

use std::{io, path::Path, sync::Arc, thread, time::Duration};

use hyper::{HeaderMap, Uri, header::HeaderName, http::HeaderValue};
use tokio::{
    runtime::{Builder, Handle},
    sync::{
        mpsc::{Receiver, channel},
        oneshot, watch,
    },
    task::JoinHandle,
};

use super::Error;
use crate::{
    config::{Config, Kubernetes, NativeHistograms, Peers, RemoteWriteVersion},
    export::{
        client::TlsOptions,
        exporter::Exporter,
        metrics::Target,
        otlp::{self, Shutdown, client::GRACE, config::Warning, queue},
        page::{Outside, PageSource},
        remote_write,
        resource::Resource,
    },
    identity::{kubernetes, select::keys_of_pods},
    trace::Span,
};

/// What Kubernetes has said and the reader has not taken yet, at most.
const CHANGES: usize = 1024;

/// How much longer than its own time an exporter is waited for.
const SLACK: Duration = Duration::from_secs(1);

/// What OTLP is to do, as the environment and the configuration say.
pub struct Otlp {
    /// The exporters.
    pub config: otlp::config::Config,
    warnings: Vec<Warning>,
}

impl Otlp {
    /// Reads the `OTEL_…` variables.
    pub fn new(config: &Config) -> Self {
        let (config, warnings) = otlp::config::Config::from_variables(config.otel_variables());
        Self { config, warnings }
    }

    /// Whether exponential histograms are asked for.
    pub fn is_exponential(&self) -> bool {
        let metrics = self.config.metrics.as_ref();
        metrics.is_some_and(|metrics| metrics.histograms == otlp::metrics::Histograms::Exponential)
    }
}

/// A running exporter.
struct Task {
    exporter: Arc<Exporter>,
    stop: watch::Sender<bool>,
    handle: JoinHandle<()>,
}

/// How Kubernetes is asked, and who takes what it says.
pub struct Watch {
    /// Where, and as whom.
    pub access: kubernetes::Access,
    /// What for.
    pub options: kubernetes::watch::Options,
    /// The way to the reader.
    pub changes: tokio::sync::mpsc::Sender<kubernetes::Change>,
}

impl Watch {
    /// What `config` asks for; nothing where there is no cluster.
    ///
    /// # Errors
    /// If it asks for one and there is none, or for what cannot be.
    pub fn of(config: &Config) -> Result<Option<(Self, Receiver<kubernetes::Change>)>, Error> {
        if config.kubernetes == Kubernetes::Off {
            return Ok(None);
        }
        let access = kubernetes::Access::find(config.kubeconfig.clone(), |name| std::env::var_os(name));
        let Some(access) = access else {
            return match config.kubernetes {
                Kubernetes::On => Err(Error::NoCluster),
                _ => Ok(None),
            };
        };
        let [labels, annotations] = keys_of_pods(&config.selection, &config.service_rules);
        let options = kubernetes::watch::Options {
            node: kubernetes::watch::node_name(config.node_name.as_deref()),
            peers: match config.kubernetes_peers {
                Peers::Services => kubernetes::watch::Peers::Services,
                Peers::Off => kubernetes::watch::Peers::Off,
            },
            selection: kubernetes::Selection::new(
                config.kubernetes_labels.iter().map(String::as_str).chain(labels),
                config.kubernetes_annotations.iter().map(String::as_str).chain(annotations),
            ),
            ..kubernetes::watch::Options::default()
        };
        let (changes, receiver) = channel(CHANGES);
        Ok(Some((Self { access, options, changes }, receiver)))
    }
}

/// All running exporters, and what they share.
pub struct Exporters {
    /// Of a thread that is not the HTTP server's: neither waits for the other's encoding.
    runtime: Handle,
    /// Ends that thread, once it is dropped.
    _end: oneshot::Sender<()>,
    source: PageSource,
    resource: Arc<Resource>,
    outside: Outside,
    traces: Option<Task>,
    metrics: Option<Task>,
    remote_write: Option<Task>,
}

impl Exporters {
    /// Starts what `config` and `otlp` ask for. Gives where spans are handed over, if they are exported.
    pub fn start(
        config: &Config,
        otlp: Otlp,
        source: PageSource,
        started: u64,
    ) -> Result<(Self, Option<queue::Sender<Span>>), Error> {
        for warning in &otlp.warnings {
            tracing::warn!(variable = warning.variable, "{}", warning.message);
        }
        let variables = config.otel_variables();
        let (resource, ignored) = Resource::detect(Path::new("/"), |name| variables.get(name).cloned());
        if let Some(ignored) = ignored {
            tracing::warn!("{ignored}");
        }
        let resource = Arc::new(resource);
        let (end, ended) = oneshot::channel();
        let runtime = runtime(ended).map_err(Error::io("start the exporters' thread"))?;
        let target = Arc::new(Target::new(Arc::clone(&resource)));
        let outside =
            Outside { started, target, exporters: Vec::new(), selection: Arc::default(), kubernetes: None };
        let mut exporters = Self {
            runtime,
            _end: end,
            source,
            resource,
            outside,
            traces: None,
            metrics: None,
            remote_write: None,
        };
        let spans = otlp.config.traces.map(|traces| {
            exporters
                .start_traces(otlp::config::Traces { sensitive_query: config.sensitive_query.clone(), ..traces })
        });
        if let Some(metrics) = otlp.config.metrics {
            exporters.start_metrics(metrics);
        }
        exporters.configure(config, true);
        Ok((exporters, spans))
    }

    /// Asks Kubernetes, for as long as anybody takes the changes. Gives how that fares.
    pub fn watch(&mut self, watch: Watch) -> Arc<kubernetes::Status> {
        let status = Arc::new(kubernetes::Status::default());
        self.outside.kubernetes = Some(Arc::clone(&status));
        self.source.set_outside(self.outside.clone());
        self.runtime.spawn(kubernetes::watch::run(
            watch.access,
            watch.options,
            watch.changes,
            Arc::clone(&status),
        ));
        status
    }

    /// Takes up what of a configuration can change while the agent runs, remote write only if that `resends`. What it was
    /// sending is given a moment to arrive.
    pub fn configure(&mut self, config: &Config, resends: bool) {
        if resends {
            self.remote_write = None;
            match remote_write_options(config) {
                Ok(Some(options)) => self.start_remote_write(options),
                Ok(None) => {}
                Err(reason) => tracing::error!(reason, "remote write is off"),
            }
        }
        self.outside.selection = Arc::new(config.attributes.clone());
        let tasks = [&self.traces, &self.metrics, &self.remote_write].into_iter().flatten();
        self.outside.exporters = tasks.map(|task| Arc::clone(&task.exporter)).collect();
        self.source.set_outside(self.outside.clone());
    }

    /// Sends the metrics of this moment, which the source must still have, and all that waits, as far as there is time.
    pub fn stop(&mut self) {
        let tasks = [self.traces.take(), self.metrics.take(), self.remote_write.take()];
        let tasks: Vec<_> = tasks.into_iter().flatten().collect();
        for task in &tasks {
            task.stop.send_replace(true);
        }
        let (done, finished) = std::sync::mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            for task in tasks {
                // A panic was told of already.
                let _ = task.handle.await;
            }
            // The receiver has waited long enough.
            let _ = done.send(());
        });
        // All have the same time, and have it together.
        if finished.recv_timeout(GRACE + SLACK).is_err() {
            tracing::warn!("the exporters did not end in time");
        }
    }

    fn start_traces(&mut self, traces: otlp::config::Traces) -> queue::Sender<Span> {
        let destination = &traces.destination;
        tracing::info!(endpoint = %Shown(&destination.endpoint), protocol = ?destination.protocol, "exporting spans");
        let exporter = Exporter::new("otlp_traces", traces.max_queue);
        let (sender, receiver) = queue::queue(Arc::clone(&exporter));
        let resource = Arc::clone(&self.resource);
        let figures = Arc::clone(&exporter);
        self.traces =
            Some(self.spawn(exporter, |shutdown| otlp::run_traces(traces, resource, receiver, figures, shutdown)));
        sender
    }

    fn start_metrics(&mut self, metrics: otlp::config::Metrics) {
        let destination = &metrics.destination;
        tracing::info!(endpoint = %Shown(&destination.endpoint), protocol = ?destination.protocol, "exporting metrics");
        let exporter = Exporter::new("otlp_metrics", 0);
        let (resource, source) = (Arc::clone(&self.resource), self.source.clone());
        let figures = Arc::clone(&exporter);
        self.metrics =
            Some(self.spawn(exporter, |shutdown| otlp::run_metrics(metrics, resource, source, figures, shutdown)));
    }

    fn start_remote_write(&mut self, options: remote_write::Options) {
        tracing::info!(url = %Shown(&options.url), "writing metrics remotely");
        let exporter = Exporter::new("remote_write", u64::try_from(options.queue_bytes).unwrap_or(u64::MAX));
        let (resource, source) = (Arc::clone(&self.resource), self.source.clone());
        let figures = Arc::clone(&exporter);
        self.remote_write = Some(self.spawn(exporter, |shutdown| async {
            if let Err(error) = remote_write::run(options, resource, source, figures, shutdown).await {
                tracing::error!(%error, "remote write is off");
            }
        }));
    }

    fn spawn<F: Future<Output = ()> + Send + 'static>(
        &self,
        exporter: Arc<Exporter>,
        run: impl FnOnce(Shutdown) -> F,
    ) -> Task {
        let (stop, asked) = watch::channel(false);
        let handle = self.runtime.spawn(run(Shutdown::new(asked, GRACE)));
        Task { exporter, stop, handle }
    }
}

/// A thread that runs what is spawned there, until `ended`.
fn runtime(ended: oneshot::Receiver<()>) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().max_blocking_threads(2).enable_all().build()?;
    let handle = runtime.handle().clone();
    let run = move || {
        // An error is a sender that was dropped, which is the way to end it.
        let _ = runtime.block_on(ended);
        runtime.shutdown_background();
    };
    thread::Builder::new().name("redtap-export".to_owned()).spawn(run)?;
    Ok(handle)
}

/// An address without what may be a secret in it.
struct Shown<'a>(&'a Uri);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        let host = authority.rsplit('@').next().unwrap_or_default();
        write!(formatter, "{}://{host}{}", self.0.scheme_str().unwrap_or("http"), self.0.path())
    }
}

/// What the settings say of remote write; `None`: nothing.
fn remote_write_options(config: &Config) -> Result<Option<remote_write::Options>, &'static str> {
    let Some(url) = &config.remote_write_url else { return Ok(None) };
    let url: Uri = url.parse().map_err(|_| "the address is no url")?;
    let mut headers = HeaderMap::new();
    for (name, value) in config.remote_write_headers.iter() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a header has no valid name")?;
        headers.insert(name, HeaderValue::from_str(value).map_err(|_| "a header has no valid value")?);
    }
    let authorization = match (&config.remote_write_basic_auth_file, &config.remote_write_bearer_token_file) {
        (Some(file), _) => remote_write::Authorization::Basic(file.clone()),
        (None, Some(file)) => remote_write::Authorization::Bearer(file.clone()),
        (None, None) => remote_write::Authorization::None,
    };
    let version = match config.remote_write_version {
        RemoteWriteVersion::Auto => remote_write::Version::Auto,
        RemoteWriteVersion::One => remote_write::Version::V1,
        RemoteWriteVersion::Two => remote_write::Version::V2,
    };
    Ok(Some(remote_write::Options {
        url,
        interval: config.remote_write_interval,
        timeout: remote_write::TIMEOUT,
        version,
        authorization,
        headers,
        tls: TlsOptions {
            ca: config.remote_write_ca.clone(),
            certificate: config.remote_write_certificate.clone(),
            key: config.remote_write_key.clone(),
        },
        queue_bytes: usize::try_from(config.remote_write_queue).unwrap_or(usize::MAX),
        external_labels: config.external_labels.clone(),
        native: config.native_histograms != NativeHistograms::Off,
        classic_too: config.native_histograms == NativeHistograms::Beside,
    }))
}
