//! What the measurements of one host have in common: the attributes that OTLP calls a resource, and Prometheus
//! `target_info`.

#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    identity::{Service, attributes},
    semconv,
};

/// `telemetry.sdk.name`: `opentelemetry` is reserved for the official ones.
pub const SDK_NAME: &str = "redtap";

/// `service.name` of the agent, unless it is given another.
pub const AGENT_SERVICE: &str = "redtap";

/// Attributes of a service; those of the host cannot be called so.
const OF_A_SERVICE: [&str; 2] = ["service.name", "service.instance.id"];

/// What is known of the host and of the agent. One for the life of the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// `service.name` of what is the agent's own.
    pub agent_service: Arc<str>,
    /// Attributes of all, of the host and the operating system, in order: `host.name`, `host.id`, `host.arch`,
    /// `os.type`, `os.description`, `telemetry.*`, and those of `OTEL_RESOURCE_ATTRIBUTES`. No name twice, none of
    /// a service, no value empty.
    pub common: Vec<(Arc<str>, Arc<str>)>,
    /// `host.name`; the first half of `service.instance.id`.
    pub host: Arc<str>,
}

/// Why a variable is not heeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// `OTEL_RESOURCE_ATTRIBUTES` is not a list of `key=value`, percent-encoded. Nothing of it holds
    /// (OpenTelemetry specification, resource SDK).
    #[error(
        "OTEL_RESOURCE_ATTRIBUTES is no list of key=value, separated by commas and percent-encoded; it is ignored"
    )]
    Attributes,
}

impl Resource {
    /// What `root`, which is `/`, says of the host, and `variables`, which are the environment's, of both.
    ///
    /// `OTEL_RESOURCE_ATTRIBUTES` comes before what is detected. `OTEL_SERVICE_NAME`, or else `service.name`
    /// there, names the agent. An empty variable is none.
    #[must_use]
    pub fn detect(root: &Path, variables: impl Fn(&str) -> Option<String>) -> (Self, Option<Ignored>) {
        let variable = |name| variables(name).filter(|value| !value.is_empty());
        let given = variable("OTEL_RESOURCE_ATTRIBUTES").map(|list| attributes(&list).ok_or(Ignored::Attributes));
        let (given, ignored) = match given {
            None => (Vec::new(), None),
            Some(Ok(given)) => (given, None),
            Some(Err(ignored)) => (Vec::new(), Some(ignored)),
        };
        let named = given.iter().rfind(|(key, _)| key == "service.name").map(|(_, value)| value.clone());
        let agent_service = variable("OTEL_SERVICE_NAME").or(named).filter(|name| !name.is_empty());

        let mut common: Vec<(Arc<str>, Arc<str>)> = Vec::new();
        let detected = detected(root).into_iter().map(|(key, value)| (key.to_owned(), value));
        for (key, value) in detected.chain(given) {
            if value.is_empty() || OF_A_SERVICE.contains(&key.as_str()) {
                continue;
            }
            match common.iter_mut().find(|(known, _)| **known == *key) {
                Some((_, known)) => *known = value.into(),
                None => common.push((key.into(), value.into())),
            }
        }
        let host = common.iter().find(|(key, _)| &**key == "host.name").map(|(_, value)| Arc::clone(value));
        let resource = Self {
            agent_service: agent_service.unwrap_or_else(|| AGENT_SERVICE.to_owned()).into(),
            common,
            host: host.unwrap_or_else(|| "localhost".into()),
        };
        (resource, ignored)
    }

    /// `service.instance.id` of a service that has none of its own: what is measured of all its processes on this host is
    /// one instance.
    #[must_use]
    pub fn instance(&self, service: &str) -> String {
        format!("{}:{service}", self.host)
    }

    /// All that is known of a service and of its host, no name twice: what is the service's own comes first.
    #[must_use]
    pub fn of(&self, service: &Service) -> Vec<(&str, Arc<str>)> {
        let mut all = vec![(semconv::SERVICE_NAME.otel, Arc::clone(&service.name))];
        let own = service.identifying.iter().chain(&service.descriptive);
        all.extend(own.map(|(attribute, value)| (attribute.otel, Arc::clone(value))));
        if service.get(semconv::SERVICE_INSTANCE_ID).is_none() {
            all.push((semconv::SERVICE_INSTANCE_ID.otel, self.instance(&service.name).into()));
        }
        for (key, value) in &self.common {
            if !all.iter().any(|(own, _)| **own == **key) {
                all.push((key, Arc::clone(value)));
            }
        }
        all
    }
}

/// What the system says of itself; the conventions' names. A value that is not known is empty.
fn detected(root: &Path) -> [(&'static str, String); 12] {
    let line = |path: &str| read(root.join(path)).lines().next().unwrap_or_default().trim().to_owned();
    let release = Some(read(root.join("etc/os-release"))).filter(|text| !text.is_empty());
    let release = release.unwrap_or_else(|| read(root.join("usr/lib/os-release")));
    let version = || env!("CARGO_PKG_VERSION").to_owned();
    [
        ("host.name", line("proc/sys/kernel/hostname")),
        ("host.id", line("etc/machine-id")),
        ("host.arch", architecture().to_owned()),
        ("os.type", "linux".to_owned()),
        ("os.name", field(&release, "NAME")),
        ("os.version", field(&release, "VERSION_ID")),
        ("os.description", field(&release, "PRETTY_NAME")),
        ("telemetry.sdk.name", SDK_NAME.to_owned()),
        ("telemetry.sdk.language", "rust".to_owned()),
        ("telemetry.sdk.version", version()),
        ("telemetry.distro.name", SDK_NAME.to_owned()),
        ("telemetry.distro.version", version()),
    ]
}

/// A file's text, as far as it is a text; empty if there is none.
fn read(path: PathBuf) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// `host.arch`.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

/// A field of os-release(5): a shell's assignment, of which we know the quotes.
fn field(release: &str, name: &str) -> String {
    let value = release.lines().rev().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
    let value = value.unwrap_or_default();
    let quoted = |quote| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote));
    match quoted('"') {
        Some(value) => unescaped(value),
        None => quoted('\'').unwrap_or(value).to_owned(),
    }
}

fn unescaped(quoted: &str) -> String {
    let mut characters = quoted.chars();
    let next = || match characters.next()? {
        '\\' => characters.next(),
        plain => Some(plain),
    };
    std::iter::from_fn(next).collect()
}
