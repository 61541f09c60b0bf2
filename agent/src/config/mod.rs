//! The configuration: flags over environment over file over defaults.
//!
//! [`Setting::all`] has each setting once; the three sources are only ways to the same table. Nothing is ignored: what is
//! not understood is an error that names the key, the value, where it stands and what was probably meant. The variables
//! of the OpenTelemetry specification are weaker than all of these, and are read with its leniency.

mod changes;
mod environment;
mod error;
mod exporting;
mod load;
mod naming;
mod observing;
mod setting;
pub mod value;
mod words;
mod yaml;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

pub use self::{
    changes::{Change, Sources},
    error::{ConfigError, Origin, Warning},
    load::Given,
    setting::{Setting, Task},
    value::{Choice, Rejected, endpoint::Listen, list::Headers},
    words::{
        AppLabels, BpfLog, Kubernetes, LogFormat, NativeHistograms, OtlpProtocol, Peers, Print,
        RemoteWriteVersion, TracesSampler, Unmatched,
    },
};
use crate::{
    export::metrics::Selection,
    identity::select::{self, QueryKeys, Rules},
    net,
    protocol::http1,
    red, route,
};

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Address of the HTTP server.
    pub listen: Listen,
    /// Address of a server that tells of the agent's health alone.
    pub health_listen: Option<Listen>,
    /// TLS and authentication of the HTTP server, a file in the form of Prometheus' web configuration.
    pub web_config: Option<PathBuf>,
    /// Host and port under which others reach the HTTP server.
    pub advertise_address: Option<String>,
    /// How long a silent series is exported; zero: forever.
    pub series_ttl: Duration,
    /// Native histograms on `/metrics`.
    pub native_histograms: NativeHistograms,
    /// Created timestamps in OpenMetrics text.
    pub created_timestamps: bool,
    /// Which attributes metrics have.
    pub attributes: Selection,
    /// Names as `OTEL_PROPAGATORS` has them, in order; those that say something about requests.
    pub propagators: String,
    /// Which exchanges become spans.
    pub traces_sampler: TracesSampler,
    /// The ratio of a sampler that has one, from 0 to 1, as written.
    pub traces_sampler_arg: Option<String>,
    /// Spans a second of [`TracesSampler::ErrorsAndSlowest`].
    pub traces_budget: u32,
    /// What stands for `OTEL_EXPORTER_OTLP_ENDPOINT`; see [`Config::otel_variables`].
    pub otlp_endpoint: Option<String>,
    /// What stands for `OTEL_EXPORTER_OTLP_PROTOCOL`.
    pub otlp_protocol: Option<OtlpProtocol>,
    /// Where to write to; `None`: nowhere.
    pub remote_write_url: Option<String>,
    /// Time between two writes.
    pub remote_write_interval: Duration,
    /// Version of the protocol.
    pub remote_write_version: RemoteWriteVersion,
    /// File with `USER:PASSWORD`.
    pub remote_write_basic_auth_file: Option<PathBuf>,
    /// File with a bearer token. Not beside the other one.
    pub remote_write_bearer_token_file: Option<PathBuf>,
    /// Certificates that vouch for the receiver.
    pub remote_write_ca: Option<PathBuf>,
    /// Certificate to show the receiver; never without its key.
    pub remote_write_certificate: Option<PathBuf>,
    /// The certificate's key.
    pub remote_write_key: Option<PathBuf>,
    /// Header fields to write with.
    pub remote_write_headers: Headers,
    /// Bytes that may wait for the receiver.
    pub remote_write_queue: u64,
    /// Labels of every series written.
    pub external_labels: Vec<(String, String)>,
    /// What is printed of each exchange.
    pub print: Print,
    /// Most bytes kept of a head: a multiple of 1024 from 1024 to 65536.
    pub capture_length: u32,
    /// Bytes of each CPU's ring: a power of two.
    pub ring_size: u32,
    /// How long a request may go unanswered.
    pub request_timeout: Duration,
    /// Export the parts of a server's latency.
    pub timings: bool,
    /// Most connections followed at once.
    pub max_flows: usize,
    /// Most series of one service.
    pub series_per_service: usize,
    /// Most series in all.
    pub series_total: usize,
    /// Tell peers without a name by their address.
    pub peer_addresses: bool,
    /// Keep the graph of services and export it.
    pub service_graph: bool,
    /// Export the requests as metrics of spans, too.
    pub span_metrics: bool,
    /// Make a fingerprint of each TLS client's offer.
    pub ja4: bool,
    /// Most edges of the graph of connections, and of that of services.
    pub max_edges: usize,
    /// Most names of peers.
    pub max_names: usize,
    /// Root of the cgroup v2 hierarchy; `None`: to be found.
    pub cgroup: Option<PathBuf>,
    /// Level of the kernel side's log.
    pub bpf_log: BpfLog,
    /// Programs to do without.
    pub without_programs: Vec<&'static str>,
    /// Have the kernel measure programs.
    pub program_stats: bool,
    /// Watch the agent's own connections.
    pub include_self: bool,
    /// Give up what is not needed after set-up.
    pub confinement: bool,
    /// Whose traffic is watched.
    pub selection: select::Selection,
    /// What services are called.
    pub service_rules: Rules,
    /// Keys of queries whose values are not shown.
    pub sensitive_query: QueryKeys,
    /// Header fields that spans and printed exchanges show.
    pub capture_headers: http1::Headers,
    /// Templates are made of paths that no pattern fits.
    pub routes: bool,
    /// The user's own templates.
    pub route_patterns: Vec<route::Pattern>,
    /// What becomes of a path that has no template.
    pub route_unmatched: Unmatched,
    /// Whether Kubernetes is asked.
    pub kubernetes: Kubernetes,
    /// How to reach it; `None`: as the environment says.
    pub kubeconfig: Option<PathBuf>,
    /// The node whose pods these are; `None`: the host's name.
    pub node_name: Option<String>,
    /// What the cluster is called; empty: nothing.
    pub cluster_name: String,
    /// Whether it is asked who has which address.
    pub kubernetes_peers: Peers,
    /// Names of the pods' labels that become attributes, with `*` and `?`.
    pub kubernetes_labels: Vec<String>,
    /// Names of the pods' annotations likewise.
    pub kubernetes_annotations: Vec<String>,
    /// Whether the well-known labels name services.
    pub kubernetes_app_labels: AppLabels,
    /// Filter of the agent's log, as `tracing-subscriber` reads it.
    pub log: String,
    /// Form of the agent's log.
    pub log_format: LogFormat,
    /// Where the values came from. Two configurations are equal if their values are.
    pub sources: Sources,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Listen::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 9440))),
            health_listen: None,
            web_config: None,
            advertise_address: None,
            series_ttl: Duration::from_secs(6 * 3_600),
            native_histograms: NativeHistograms::default(),
            created_timestamps: false,
            attributes: Selection::default(),
            propagators: "tracecontext,b3,b3multi,jaeger".to_owned(),
            traces_sampler: TracesSampler::default(),
            traces_sampler_arg: None,
            traces_budget: 100,
            otlp_endpoint: None,
            otlp_protocol: None,
            remote_write_url: None,
            remote_write_interval: Duration::from_secs(15),
            remote_write_version: RemoteWriteVersion::default(),
            remote_write_basic_auth_file: None,
            remote_write_bearer_token_file: None,
            remote_write_ca: None,
            remote_write_certificate: None,
            remote_write_key: None,
            remote_write_headers: Headers::default(),
            remote_write_queue: 16 << 20,
            external_labels: Vec::new(),
            print: Print::Off,
            capture_length: 1024,
            ring_size: 2 << 20,
            request_timeout: Duration::from_secs(300),
            timings: false,
            max_flows: 131_072,
            series_per_service: 1000,
            series_total: 20_000,
            peer_addresses: false,
            service_graph: true,
            span_metrics: false,
            ja4: false,
            max_edges: 10_000,
            max_names: 16_384,
            cgroup: None,
            bpf_log: BpfLog::Off,
            without_programs: Vec::new(),
            program_stats: false,
            include_self: false,
            confinement: true,
            selection: select::Selection::default(),
            service_rules: Rules::default(),
            sensitive_query: QueryKeys::default(),
            capture_headers: http1::Headers::default(),
            routes: true,
            route_patterns: Vec::new(),
            route_unmatched: Unmatched::default(),
            kubernetes: Kubernetes::default(),
            kubeconfig: None,
            node_name: None,
            cluster_name: String::new(),
            kubernetes_peers: Peers::default(),
            kubernetes_labels: Vec::new(),
            kubernetes_annotations: Vec::new(),
            kubernetes_app_labels: AppLabels::default(),
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            sources: Sources::default(),
        }
    }
}

impl Config {
    /// What the metrics registry keeps.
    #[must_use]
    pub const fn red(&self) -> red::Options {
        red::Options {
            series_per_service: self.series_per_service,
            series_total: self.series_total,
            server_addresses: red::SERVER_ADDRESSES,
            extras: red::Extras {
                exponential: !matches!(self.native_histograms, NativeHistograms::Off),
                parts: self.timings,
            },
        }
    }

    /// What the registry of connections keeps.
    #[must_use]
    pub const fn net(&self) -> net::Options {
        net::Options {
            series_per_service: self.series_per_service,
            series_total: self.series_total,
            names: self.max_names,
            edges: self.max_edges,
            handshakes: net::HANDSHAKES,
            addresses: self.peer_addresses,
            service_graph: self.service_graph,
            span_metrics: self.span_metrics,
        }
    }
}

#[cfg(test)]
mod tests;
