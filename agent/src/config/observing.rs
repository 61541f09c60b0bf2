//! The settings of what is observed, and of the agent itself.

use std::{path::PathBuf, time::Duration};

use super::{
    setting::{BLANK, Setting, Task},
    value,
};

/// In the order of the help.
pub(super) static OBSERVING: &[Setting] = &[
    Setting {
        key: "print",
        value_name: Some("FORM"),
        help: "Print each finished exchange to standard output: off, json or pretty",
        default: Some("off"),
        set: |config, text| value::choice(text).map(|value| config.print = value),
        ..BLANK
    },
    Setting {
        key: "capture_length",
        value_name: Some("BYTES"),
        help: "Most bytes kept of a message's head, 1KiB to 64KiB; rounded up to whole KiB",
        default: Some("1KiB"),
        tasks: &[Task::Run, Task::Record],
        set: |config, text| {
            let bytes = value::size(text, 1024..=65_536)?.next_multiple_of(1024);
            config.capture_length = u32::try_from(bytes).unwrap_or(u32::MAX);
            Ok(())
        },
        ..BLANK
    },
    Setting {
        key: "ring_size",
        value_name: Some("BYTES"),
        help: "Size of each CPU's ring buffer, a power of two",
        default: Some("2MiB"),
        tasks: &[Task::Run, Task::Record],
        set: |config, text| {
            let bytes = value::power_of_two(text, 64 << 10..=1 << 30)?;
            config.ring_size = u32::try_from(bytes).unwrap_or(u32::MAX);
            Ok(())
        },
        ..BLANK
    },
    Setting {
        key: "request_timeout",
        value_name: Some("DURATION"),
        help: "How long a request may go unanswered before it counts as timed out",
        default: Some("5m"),
        tasks: &[Task::Run, Task::Replay],
        set: |config, text| {
            let range = Duration::from_millis(100)..=Duration::from_secs(86_400);
            value::duration(text, range).map(|value| config.request_timeout = value)
        },
        ..BLANK
    },
    Setting {
        key: "timings",
        help: "Export the parts of a server's latency (queue, first byte, transfer, acknowledgement) as histograms",
        set: |config, text| value::switch(text).map(|value| config.timings = value),
        ..BLANK
    },
    Setting {
        key: "max_flows",
        value_name: Some("N"),
        help: "Most connections followed at once; beyond it the longest idle one is given up",
        default: Some("131072"),
        tasks: &[Task::Run, Task::Replay],
        set: |config, text| value::quantity(text, 16..=16_777_216).map(|value| config.max_flows = value),
        ..BLANK
    },
    Setting {
        key: "series_per_service",
        value_name: Some("N"),
        help: "Most series of one service, for each kind of series; the rest goes to its overflow series",
        default: Some("1000"),
        set: |config, text| value::quantity(text, 1..=1_000_000).map(|value| config.series_per_service = value),
        ..BLANK
    },
    Setting {
        key: "series_total",
        value_name: Some("N"),
        help: "Most series of all services together, for each kind of series",
        default: Some("20000"),
        set: |config, text| value::quantity(text, 1..=1_000_000).map(|value| config.series_total = value),
        ..BLANK
    },
    Setting {
        key: "peer_addresses",
        help: "Tell peers without a name by their address in the metrics; else by its class, such as private or public",
        set: |config, text| value::switch(text).map(|value| config.peer_addresses = value),
        ..BLANK
    },
    Setting {
        key: "service_graph",
        help: "Export the requests between services as traces_service_graph_*, which Grafana's service map reads",
        default: Some("true"),
        set: |config, text| value::switch(text).map(|value| config.service_graph = value),
        ..BLANK
    },
    Setting {
        key: "span_metrics",
        help: "Export the requests as traces_spanmetrics_*, too; not beside another source of these, or they count twice",
        set: |config, text| value::switch(text).map(|value| config.span_metrics = value),
        ..BLANK
    },
    Setting {
        key: "ja4",
        help: "Make a JA4 fingerprint of what each TLS client offers",
        tasks: &[Task::Run, Task::Replay],
        set: |config, text| value::switch(text).map(|value| config.ja4 = value),
        ..BLANK
    },
    Setting {
        key: "max_edges",
        value_name: Some("N"),
        help: "Most edges of the graph of connections, the longest unused going first; and of the graph of services",
        default: Some("10000"),
        set: |config, text| value::quantity(text, 1..=1_000_000).map(|value| config.max_edges = value),
        ..BLANK
    },
    Setting {
        key: "max_names",
        value_name: Some("N"),
        help: "Most names of peers, learnt from DNS and TLS in passing",
        default: Some("16384"),
        set: |config, text| value::quantity(text, 1..=1_000_000).map(|value| config.max_names = value),
        ..BLANK
    },
    Setting {
        key: "cgroup",
        value_name: Some("PATH"),
        help: "Root of the cgroup v2 hierarchy to watch; found in /proc/mounts if not given",
        tasks: &[Task::Run, Task::Check, Task::Record],
        set: |config, text| {
            config.cgroup = Some(PathBuf::from(text));
            Ok(())
        },
        ..BLANK
    },
    Setting {
        key: "bpf_log",
        value_name: Some("LEVEL"),
        help: "Log of the kernel side: off, error, warn, info or debug; off costs nothing",
        default: Some("off"),
        tasks: &[Task::Run, Task::Record],
        set: |config, text| value::choice(text).map(|value| config.bpf_log = value),
        ..BLANK
    },
    Setting {
        key: "without_programs",
        value_name: Some("NAME,…"),
        help: "Programs to do without, as redtap check names them: for a kernel on which one does harm",
        tasks: &[Task::Run, Task::Check, Task::Record],
        set: |config, text| value::programs(text).map(|value| config.without_programs = value),
        ..BLANK
    },
    Setting {
        key: "program_stats",
        help: "Have the kernel measure the time of eBPF programs while the agent runs",
        tasks: &[Task::Run, Task::Record],
        set: |config, text| value::switch(text).map(|value| config.program_stats = value),
        ..BLANK
    },
    Setting {
        key: "include_self",
        help: "Watch the agent's own connections, too",
        tasks: &[Task::Run, Task::Record],
        set: |config, text| value::switch(text).map(|value| config.include_self = value),
        ..BLANK
    },
    Setting {
        key: "confinement",
        help: "Give up the privileges and system calls that are not needed once all is set up",
        default: Some("true"),
        tasks: &[Task::Run, Task::Record],
        set: |config, text| value::switch(text).map(|value| config.confinement = value),
        ..BLANK
    },
    Setting {
        key: "log",
        value_name: Some("FILTER"),
        help: "What to log to standard error: a level, or directives such as redtap::flow=debug",
        default: Some("info"),
        tasks: &[Task::Run, Task::Check, Task::Record, Task::Replay],
        set: |config, text| value::log_filter(text).map(|value| config.log = value),
        live: true,
        ..BLANK
    },
    Setting {
        key: "log_format",
        value_name: Some("FORM"),
        help: "How to log: text or json",
        default: Some("text"),
        tasks: &[Task::Run, Task::Check, Task::Record, Task::Replay],
        set: |config, text| value::choice(text).map(|value| config.log_format = value),
        ..BLANK
    },
];
