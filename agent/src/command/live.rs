//! What `run`, `record` and `check` share: from the configuration to attached programs and a pipeline.

use std::path::PathBuf;

use tracing_subscriber::EnvFilter;
use wildmatch::WildMatch;

use super::Error;
use crate::{
    config::{AppLabels, BpfLog, Choice as _, Config, LogFormat, Unmatched},
    export::print::Printer,
    flow::{Limits, Table},
    identity::{self, Identities, Naming, ProcSource, host, kubernetes},
    net,
    pipeline::{self, Pipeline},
    probe::{self, Ends, Probes},
    protocol::Output,
    red,
    route::{self, Routes},
    time::WallOffset,
    trace::{Propagators, Sampler, Spans},
};

/// Changes what is logged.
pub struct LogFilter(Box<dyn Fn(EnvFilter) + Send + Sync>);

impl LogFilter {
    /// As `config` says from now on.
    pub fn set(&self, config: &Config) {
        (self.0)(filter(config));
    }
}

fn filter(config: &Config) -> EnvFilter {
    EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Where the agent's log goes: standard error.
pub fn start_log(config: &Config) -> LogFilter {
    use std::io::IsTerminal;
    // A line that cannot be written, as on a full disk, is lost. Saying so would go the same way, and there panic.
    let builder = tracing_subscriber::fmt().with_env_filter(filter(config)).log_internal_errors(false);
    let builder = builder.with_writer(std::io::stderr);
    // A second initialisation, as in tests, keeps the first.
    match config.log_format {
        LogFormat::Text => {
            let ansi = std::io::stderr().is_terminal();
            let builder = builder.with_ansi(ansi).with_target(false).with_filter_reloading();
            let handle = builder.reload_handle();
            let _ = builder.try_init();
            LogFilter(Box::new(move |filter| drop(handle.reload(filter))))
        }
        LogFormat::Json => {
            let builder = builder.json().with_filter_reloading();
            let handle = builder.reload_handle();
            let _ = builder.try_init();
            LogFilter(Box::new(move |filter| drop(handle.reload(filter))))
        }
    }
}

/// Which exchanges become spans, where they are exported.
pub fn sampler(config: &Config) -> Sampler {
    let sampler = Sampler::parse(config.traces_sampler.word(), config.traces_sampler_arg.as_deref());
    // The settings were checked when they were read.
    sampler.unwrap_or_default().with_budget(config.traces_budget)
}

/// What a pipeline is made of beside its configuration.
pub struct Parts {
    /// Names of processes.
    pub identities: Identities,
    /// Prints each exchange.
    pub printer: Option<Printer>,
    /// Which exchanges become spans.
    pub tracing: Spans,
    /// The wall clock's distance from the records' clock.
    pub wall: WallOffset,
    /// Process whose exchanges are left out; 0: none.
    pub own_pid: u32,
    /// Exponential histograms are asked for.
    pub is_exponential: bool,
}

/// The root of the cgroup v2 hierarchy.
pub fn cgroup(config: &Config) -> Result<PathBuf, Error> {
    let mounts =
        std::fs::read_to_string(host::MOUNT_TABLE).map_err(Error::io(format!("read {}", host::MOUNT_TABLE)))?;
    host::cgroup2_root(config.cgroup.as_deref(), &mounts).ok_or(Error::NoCgroup)
}

/// Loads and attaches.
pub fn load(config: &Config) -> Result<(Probes, Ends), Error> {
    let cpus = host::cpu_count_possible().map_err(Error::io("count the CPUs"))?;
    let options = probe::Options {
        cgroup: cgroup(config)?,
        capture_length: config.capture_length,
        ring_bytes: config.ring_size,
        cpus,
        log_level: match config.bpf_log {
            BpfLog::Off => 0,
            BpfLog::Error => 1,
            BpfLog::Warn => 2,
            BpfLog::Info => 3,
            BpfLog::Debug => 4,
        },
        flows: u32::try_from(config.max_flows).unwrap_or(u32::MAX),
        ephemeral_low: host::ephemeral_low(),
        measure: config.program_stats,
        without: config.without_programs.clone(),
    };
    Ok(Probes::load(&options)?)
}

/// A pipeline for this configuration.
pub fn pipeline(config: &Config, parts: Parts) -> Pipeline {
    let Parts { identities, printer, tracing, wall, own_pid, is_exponential } = parts;
    let table = table(config, printer.is_some() || tracing.exports());
    let mut red = config.red();
    red.extras.exponential |= is_exponential;
    let options = pipeline::Options {
        identities,
        registry: red::Registry::new(red),
        net: net::Registry::new(config.net()),
        names: config.max_names,
        routes: routes(config),
        printer,
        tracing,
        wall,
        own_pid,
    };
    Pipeline::new(options, table)
}

/// A table of connections for this configuration, and whether details of each exchange are kept, to be printed or exported.
pub fn table(config: &Config, details: bool) -> Table {
    let limits = Limits { flows: config.max_flows, request_timeout: config.request_timeout };
    let output = Output::new(details)
        .with_fingerprints(config.ja4)
        .with_headers(&config.capture_headers)
        .with_targets(
            config.routes || !config.route_patterns.is_empty() || config.route_unmatched != Unmatched::Omit,
        )
        .with_propagators(Propagators::parse(&config.propagators).unwrap_or_default());
    Table::new(limits, output)
}

/// What names services, by this configuration, where `source` tells of processes.
pub fn identities(config: &Config, source: impl ProcSource + Send + 'static) -> Identities {
    let naming = Naming {
        rules: config.service_rules.clone(),
        selection: config.selection.clone(),
        labels: match config.kubernetes_app_labels {
            AppLabels::Ignore => kubernetes::AppLabels::Ignored,
            AppLabels::Heed => kubernetes::AppLabels::Heeded,
        },
        shown: {
            let labels = config.kubernetes_labels.iter().map(|key| format!("k8s.pod.label.{key}"));
            let annotations = config.kubernetes_annotations.iter().map(|key| format!("k8s.pod.annotation.{key}"));
            labels.chain(annotations).map(|name| WildMatch::new(&name)).collect()
        },
        cluster: config.cluster_name.as_str().into(),
        ..Naming::default()
    };
    Identities::new(Box::new(source), identity::Limits::default()).with_naming(naming)
}

/// What makes templates of paths.
fn routes(config: &Config) -> Routes {
    Routes::new(route::Options {
        patterns: config.route_patterns.clone(),
        heuristic: config.routes,
        unmatched: match config.route_unmatched {
            Unmatched::Omit => route::Unmatched::Omit,
            Unmatched::Wildcard => route::Unmatched::Wildcard,
        },
        ..route::Options::default()
    })
}
