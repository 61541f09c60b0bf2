//! What `run`, `record` and `check` share: from the configuration to attached programs and a pipeline.

use std::path::PathBuf;

use super::Error;
use crate::{
    config::{BpfLog, Config, LogFormat},
    export::print::Printer,
    flow::{Limits, Table},
    identity::{self, Identities, host},
    net,
    pipeline::{self, Pipeline},
    probe::{self, Ends, Probes},
    protocol::Output,
    red,
    time::WallOffset,
};

/// Where the agent's log goes: standard error.
pub fn start_log(config: &Config) {
    use std::io::IsTerminal;
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second initialisation, as in tests, keeps the first.
    let _ = match config.log_format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
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
    };
    Ok(Probes::load(&options)?)
}

/// A pipeline for this configuration.
pub fn pipeline(
    config: &Config,
    identities: Identities,
    printer: Option<Printer>,
    wall: WallOffset,
    own_pid: u32,
) -> Pipeline {
    let limits = Limits { flows: config.max_flows, request_timeout: config.request_timeout };
    let output = Output::new(printer.is_some()).with_fingerprints(config.ja4);
    let options = pipeline::Options {
        identities,
        registry: red::Registry::new(config.red()),
        net: net::Registry::new(config.net()),
        names: config.max_names,
        printer,
        wall,
        own_pid,
    };
    Pipeline::new(options, Table::new(limits, output))
}

/// Names of this host's processes.
pub fn identities() -> Identities {
    Identities::new(Box::new(identity::Proc::new()), identity::Limits::default())
}
