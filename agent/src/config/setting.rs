//! The table of settings: each key once, for the flag, the environment variable and the file alike.

use std::{path::PathBuf, time::Duration};

use super::{
    Config,
    value::{self, Rejected},
};

/// What the agent is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Watch and export.
    Run,
    /// Say what works here.
    Check,
    /// Write kernel records to a file.
    Record,
    /// Read them from one.
    Replay,
}

/// A setting. Its flag is `--` and the key with dashes, its environment variable `REDTAP_` and the key in capitals.
#[derive(Debug)]
pub struct Setting {
    /// The key in the file.
    pub key: &'static str,
    /// What stands for its value in the help; `None` for a switch, whose flag may stand alone.
    pub value_name: Option<&'static str>,
    /// One line of help.
    pub help: &'static str,
    /// The default as text, if it is a value; a switch without one is off.
    pub default: Option<&'static str>,
    /// The tasks that have its flag.
    pub tasks: &'static [Task],
    /// Takes a text as its value.
    pub set: fn(&mut Config, &str) -> Result<(), Rejected>,
}

/// Every setting.
pub static SETTINGS: &[Setting] = &[
    Setting {
        key: "listen",
        value_name: Some("ADDR:PORT"),
        help: "Where to serve /metrics, /healthz, /readyz and the status page",
        default: Some("127.0.0.1:9440"),
        tasks: &[Task::Run],
        set: |config, text| value::socket_address(text).map(|value| config.listen = value),
    },
    Setting {
        key: "print",
        value_name: Some("FORM"),
        help: "Print each finished exchange to standard output: off, json or pretty",
        default: Some("off"),
        tasks: &[Task::Run],
        set: |config, text| value::choice(text).map(|value| config.print = value),
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
    },
    Setting {
        key: "timings",
        value_name: None,
        help: "Export the parts of a server's latency (queue, first byte, transfer, acknowledgement) as histograms",
        default: None,
        tasks: &[Task::Run],
        set: |config, text| value::switch(text).map(|value| config.timings = value),
    },
    Setting {
        key: "max_flows",
        value_name: Some("N"),
        help: "Most connections followed at once; beyond it the longest idle one is given up",
        default: Some("131072"),
        tasks: &[Task::Run, Task::Replay],
        set: |config, text| count(text, 16..=16_777_216).map(|value| config.max_flows = value),
    },
    Setting {
        key: "series_per_service",
        value_name: Some("N"),
        help: "Most series of one service, for each kind of series; the rest goes to its overflow series",
        default: Some("1000"),
        tasks: &[Task::Run],
        set: |config, text| count(text, 1..=1_000_000).map(|value| config.series_per_service = value),
    },
    Setting {
        key: "series_total",
        value_name: Some("N"),
        help: "Most series of all services together, for each kind of series",
        default: Some("20000"),
        tasks: &[Task::Run],
        set: |config, text| count(text, 1..=1_000_000).map(|value| config.series_total = value),
    },
    Setting {
        key: "peer_addresses",
        value_name: None,
        help: "Tell peers without a name by their address in the metrics; else by its class, such as private or public",
        default: None,
        tasks: &[Task::Run],
        set: |config, text| value::switch(text).map(|value| config.peer_addresses = value),
    },
    Setting {
        key: "service_graph",
        value_name: None,
        help: "Export the requests between services as traces_service_graph_*, which Grafana's service map reads",
        default: Some("true"),
        tasks: &[Task::Run],
        set: |config, text| value::switch(text).map(|value| config.service_graph = value),
    },
    Setting {
        key: "span_metrics",
        value_name: None,
        help: "Export the requests as traces_spanmetrics_*, too; not beside another source of these, or they count twice",
        default: None,
        tasks: &[Task::Run],
        set: |config, text| value::switch(text).map(|value| config.span_metrics = value),
    },
    Setting {
        key: "ja4",
        value_name: None,
        help: "Make a JA4 fingerprint of what each TLS client offers",
        default: None,
        tasks: &[Task::Run, Task::Replay],
        set: |config, text| value::switch(text).map(|value| config.ja4 = value),
    },
    Setting {
        key: "max_edges",
        value_name: Some("N"),
        help: "Most edges of the graph of connections, the longest unused going first; and of the graph of services",
        default: Some("10000"),
        tasks: &[Task::Run],
        set: |config, text| count(text, 1..=1_000_000).map(|value| config.max_edges = value),
    },
    Setting {
        key: "max_names",
        value_name: Some("N"),
        help: "Most names of peers, learnt from DNS and TLS in passing",
        default: Some("16384"),
        tasks: &[Task::Run],
        set: |config, text| count(text, 1..=1_000_000).map(|value| config.max_names = value),
    },
    Setting {
        key: "cgroup",
        value_name: Some("PATH"),
        help: "Root of the cgroup v2 hierarchy to watch; found in /proc/mounts if not given",
        default: None,
        tasks: &[Task::Run, Task::Check, Task::Record],
        set: |config, text| {
            config.cgroup = Some(PathBuf::from(text));
            Ok(())
        },
    },
    Setting {
        key: "bpf_log",
        value_name: Some("LEVEL"),
        help: "Log of the kernel side: off, error, warn, info or debug; off costs nothing",
        default: Some("off"),
        tasks: &[Task::Run, Task::Record],
        set: |config, text| value::choice(text).map(|value| config.bpf_log = value),
    },
    Setting {
        key: "program_stats",
        value_name: None,
        help: "Have the kernel measure the time of eBPF programs while the agent runs",
        default: None,
        tasks: &[Task::Run, Task::Record],
        set: |config, text| value::switch(text).map(|value| config.program_stats = value),
    },
    Setting {
        key: "include_self",
        value_name: None,
        help: "Watch the agent's own connections, too",
        default: None,
        tasks: &[Task::Run, Task::Record],
        set: |config, text| value::switch(text).map(|value| config.include_self = value),
    },
    Setting {
        key: "log",
        value_name: Some("FILTER"),
        help: "What to log to standard error: a level, or directives such as redtap::flow=debug",
        default: Some("info"),
        tasks: &[Task::Run, Task::Check, Task::Record, Task::Replay],
        set: |config, text| value::log_filter(text).map(|value| config.log = value),
    },
    Setting {
        key: "log_format",
        value_name: Some("FORM"),
        help: "How to log: text or json",
        default: Some("text"),
        tasks: &[Task::Run, Task::Check, Task::Record, Task::Replay],
        set: |config, text| value::choice(text).map(|value| config.log_format = value),
    },
];

fn count(text: &str, range: std::ops::RangeInclusive<u64>) -> Result<usize, Rejected> {
    value::count(text, range).map(|value| usize::try_from(value).unwrap_or(usize::MAX))
}

impl Setting {
    /// The flag, without its dashes.
    #[must_use]
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// The environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{}{}", super::environment::PREFIX, self.key.to_ascii_uppercase())
    }

    /// The setting of `key`.
    #[must_use]
    pub fn find(key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }
}
