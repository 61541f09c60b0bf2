//! The configuration: flags over environment over file over defaults.
//!
//! [`SETTINGS`] has each setting once; the three sources are only ways to the same table. Nothing is ignored: what is not
//! understood is an error that names the key, the value, where it stands and what was probably meant.

mod environment;
mod error;
mod setting;
pub mod value;
mod yaml;

use std::{
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

pub use self::{
    error::{ConfigError, Origin},
    setting::{SETTINGS, Setting, Task},
    value::{Choice, Rejected},
};
use crate::{net, red};

/// What `--print` prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Print {
    /// Nothing.
    #[default]
    Off,
    /// A JSON object a line.
    Json,
    /// Aligned lines for people.
    Pretty,
}

/// How much the kernel side logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum BpfLog {
    /// Nothing; the verifier removes the code.
    #[default]
    Off,
    /// What must not happen.
    Error,
    /// And what costs data.
    Warn,
    /// And what is rare.
    Info,
    /// And what is not.
    Debug,
}

/// How the agent logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Address of the HTTP server.
    pub listen: SocketAddr,
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
    /// Have the kernel measure programs.
    pub program_stats: bool,
    /// Watch the agent's own connections.
    pub include_self: bool,
    /// Filter of the agent's log, as `tracing-subscriber` reads it.
    pub log: String,
    /// Form of the agent's log.
    pub log_format: LogFormat,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9440)),
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
            program_stats: false,
            include_self: false,
            log: "info".to_owned(),
            log_format: LogFormat::Text,
        }
    }
}

/// The flags that were given: settings with their values as written, and the configuration file.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Settings.
    pub settings: Vec<(&'static Setting, String)>,
    /// `--config`.
    pub config: Option<PathBuf>,
}

impl Config {
    /// Merges `flags`, the environment's `variables` and the configuration file that either names.
    ///
    /// # Errors
    /// [`ConfigError`], on the first thing that is not understood.
    pub fn load(
        flags: &Given,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let environment = environment::parse(variables)?;
        let path = flags.config.clone().or_else(|| environment.config.as_ref().map(PathBuf::from));
        let file = path.map(|path| yaml::read(&path).map(|text| (path, text))).transpose()?;
        let file = file.as_ref().map(|(path, text)| (path.as_path(), text.as_str()));
        Self::merge(flags, &environment.settings, file)
    }

    /// From the weakest source to the strongest, each overwriting what came before. A bad value in a weak source
    /// is an error although a stronger one would replace it.
    fn merge(
        flags: &Given,
        environment: &[(&'static Setting, String)],
        file: Option<(&Path, &str)>,
    ) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        if let Some((path, text)) = file {
            for entry in yaml::parse(text, path)? {
                config.set(entry.setting, &entry.value, || Origin::File(path.to_owned(), entry.line))?;
            }
        }
        for (setting, value) in environment {
            config.set(setting, value, || Origin::Environment(setting.variable()))?;
        }
        for (setting, value) in &flags.settings {
            config.set(setting, value, || Origin::Flag(format!("--{}", setting.flag())))?;
        }
        Ok(config)
    }

    fn set(
        &mut self,
        setting: &'static Setting,
        value: &str,
        origin: impl FnOnce() -> Origin,
    ) -> Result<(), ConfigError> {
        (setting.set)(self, value).map_err(|rejected| ConfigError::BadValue {
            origin: origin(),
            key: setting.key,
            value: value.to_owned(),
            rejected,
        })
    }

    /// What the metrics registry keeps.
    #[must_use]
    pub const fn red(&self) -> red::Options {
        red::Options {
            series_per_service: self.series_per_service,
            series_total: self.series_total,
            server_addresses: red::SERVER_ADDRESSES,
            timings: self.timings,
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

impl Choice for Print {
    const ALL: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("json", Self::Json), ("pretty", Self::Pretty)];
}

impl Choice for BpfLog {
    const ALL: &'static [(&'static str, Self)] = &[
        ("off", Self::Off),
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
    ];
}

impl Choice for LogFormat {
    const ALL: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(settings: &[(&str, &str)]) -> Vec<(&'static Setting, String)> {
        let settings = settings.iter();
        settings.map(|(key, value)| (Setting::find(key).unwrap(), (*value).to_owned())).collect()
    }

    fn merge(flags: &[(&str, &str)], environment: &[(&str, &str)], file: &str) -> Result<Config, ConfigError> {
        let flags = Given { settings: given(flags), config: None };
        Config::merge(&flags, &given(environment), Some((Path::new("a.yaml"), file)))
    }

    #[test]
    fn the_default_texts_are_the_defaults() {
        let mut config = Config::default();
        for setting in SETTINGS {
            if let Some(default) = setting.default {
                config.set(setting, default, || Origin::Flag(setting.flag())).unwrap();
            }
            if setting.value_name.is_none() && setting.default.is_none() {
                config.set(setting, "false", || Origin::Flag(setting.flag())).unwrap();
            }
        }
        assert_eq!(config, Config::default());
    }

    #[test]
    fn the_stronger_source_wins() {
        let file = "max_flows: 100\nlog: warn\ncapture_length: 1025\ntimings: true\nservice_graph: false\n";
        let config = merge(&[("max_flows", "300")], &[("max_flows", "200"), ("log", "error")], file).unwrap();
        let expected = Config {
            max_flows: 300,
            log: "error".to_owned(),
            capture_length: 2048,
            timings: true,
            service_graph: false,
            ..Config::default()
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn bad_values_name_key_value_and_place() {
        for (flags, environment, file, expected) in [
            (
                [("print", "jsn")].as_slice(),
                [].as_slice(),
                "",
                r#"--print: "jsn" is no value for print: expected one of off, json, pretty; the nearest is "json""#,
            ),
            (
                &[],
                &[("capture_length", "128KiB")],
                "",
                r#"environment variable REDTAP_CAPTURE_LENGTH: "128KiB" is no value for capture_length: expected a size from 1KiB to 64KiB; the nearest is "64KiB""#,
            ),
            (
                &[],
                &[],
                "log: info\nring_size: 3MiB\n",
                r#"a.yaml:2: "3MiB" is no value for ring_size: expected a size from 64KiB to 1GiB that is a power of two; the nearest is "4MiB""#,
            ),
            (
                &[],
                &[],
                "request_timeout: 30\n",
                r#"a.yaml:1: "30" is no value for request_timeout: expected a duration from 100ms to 24h; the nearest is "30s""#,
            ),
            (&[], &[], "timings: maybe\n", r#"a.yaml:1: "maybe" is no value for timings: expected true or false"#),
        ] {
            let error = merge(flags, environment, file).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn the_file_is_the_one_that_flag_or_variable_names() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (weak, strong) = (write("weak.yaml", "max_flows: 100\n"), write("strong.yaml", "max_flows: 200\n"));
        let variables = [(OsString::from("REDTAP_CONFIG"), weak.into_os_string())];
        let flags = Given { settings: Vec::new(), config: Some(strong) };
        assert_eq!(Config::load(&Given::default(), variables.clone()).unwrap().max_flows, 100);
        assert_eq!(Config::load(&flags, variables).unwrap().max_flows, 200);

        let missing = Given { settings: Vec::new(), config: Some(folder.path().join("missing.yaml")) };
        assert!(matches!(Config::load(&missing, []), Err(ConfigError::Unreadable { .. })));
        let long = write("long.yaml", &"#".repeat(2 << 20));
        let long = Given { settings: Vec::new(), config: Some(long) };
        assert!(matches!(Config::load(&long, []), Err(ConfigError::Unreadable { .. })));
    }
}
