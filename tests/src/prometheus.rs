//! A real Prometheus with the configuration of `deploy/`, on a port and in a directory of its own, and its API.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::gate::{free_port, own, real};
use crate::http;
use crate::metrics::Labels;
use crate::process::{Place, Service, output, scratch};
use crate::wait;

/// Flags that `deploy/prometheus.yml` names; not the one for OTLP, whose receiver Debian's build does not have.
const FLAGS: [&str; 2] =
    ["--enable-feature=exemplar-storage,native-histograms", "--web.enable-remote-write-receiver"];

/// What the example scrapes.
const TARGET: &str = "targets: [127.0.0.1:9440]";

/// How often the example scrapes, and the tests.
const INTERVALS: [&str; 2] = ["scrape_interval: 15s", "scrape_interval: 200ms"];

/// A Prometheus; what it stored outlives a restart.
pub struct Prometheus {
    service: Option<Service>,
    directory: TempDir,
    listen: SocketAddr,
    program: &'static str,
    flags: Vec<String>,
}

/// An exemplar as the API gives it.
#[derive(Clone, Debug)]
pub struct Exemplar {
    /// Labels of its series.
    pub series: Labels,
    /// Its own, such as `trace_id`.
    pub labels: Labels,
    /// Value.
    pub value: f64,
}

/// The configuration of `deploy/`, with an agent as its target, scraped often.
#[must_use]
pub fn scraping(agent: SocketAddr) -> String {
    replaced(&example(), TARGET, &format!("targets: ['{agent}']"))
}

/// The configuration of `deploy/`, that finds its targets at an agent; `security` are lines of the job and of the
/// discovery of its targets alike.
#[must_use]
pub fn discovering(url: &str, security: &[&str]) -> String {
    let mut job = format!("targets: []\n    http_sd_configs:\n      - url: {url}\n        refresh_interval: 1s\n");
    for (indent, line) in [8, 4].into_iter().flat_map(|indent| security.iter().map(move |line| (indent, line))) {
        let _ = writeln!(job, "{:indent$}{line}", "");
    }
    let (scheme, _) = url.split_once(':').expect("a URL");
    let _ = writeln!(job, "    scheme: {scheme}");
    replaced(&example(), TARGET, &job)
}

/// The configuration of `deploy/`, that scrapes nothing.
#[must_use]
pub fn receiving() -> String {
    replaced(&example(), TARGET, "targets: []")
}

fn example() -> String {
    let example = std::fs::read_to_string(own("../deploy/prometheus.yml")).expect("an example configuration");
    let [slow, often] = INTERVALS;
    replaced(&example, slow, often)
}

fn replaced(text: &str, this: &str, by: &str) -> String {
    assert_eq!(text.matches(this).count(), 1, "{this:?} is not once in the example configuration");
    text.replace(this, by)
}

impl Prometheus {
    /// Starts one with a configuration and, beside the example's, these flags; waits until it is ready.
    ///
    /// # Panics
    /// When it does not get ready.
    #[must_use]
    pub fn start(configuration: &str, flags: &[&str]) -> Self {
        let flags = FLAGS.iter().chain(&["--log.level=warn"]).chain(flags).map(|flag| (*flag).to_owned());
        Self::launch("REDTAP_PROMETHEUS", configuration, flags.collect())
    }

    /// Starts only what of it receives OTLP, stores and answers queries, with the configuration of `deploy/`.
    ///
    /// # Panics
    /// When it does not get ready.
    #[must_use]
    pub fn taking_otlp() -> Self {
        Self::launch("REDTAP_OTLP_RECEIVER", &receiving(), Vec::new())
    }

    fn launch(program: &'static str, configuration: &str, flags: Vec<String>) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut prometheus = Self { service: None, directory: scratch(), listen, program, flags };
        std::fs::write(prometheus.directory.path().join("prometheus.yml"), configuration).expect("a file");
        prometheus.restart();
        prometheus
    }

    /// Starts it again, after [`Prometheus::stop`].
    ///
    /// # Panics
    /// When it does not get ready.
    pub fn restart(&mut self) {
        assert!(self.service.is_none(), "Prometheus runs already");
        let path = self.directory.path();
        let mut command = Place::Host.command(&real(self.program));
        command.arg(format!("--config.file={}", path.join("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", path.join("data").display()));
        command.arg(format!("--web.listen-address={}", self.listen)).args(&self.flags);
        let service = Service::start("Prometheus", &mut command).ready_at(self.listen);
        let ready = wait::within(wait::PATIENCE * 2, || {
            http::get(self.listen, "/-/ready").ok().filter(|answer| answer.status == 200)
        });
        assert!(ready.is_some(), "Prometheus does not get ready: {}", service.log());
        self.service = Some(service);
    }

    /// Ends it in order.
    ///
    /// # Panics
    /// When it does not run, or does not end.
    pub fn stop(&mut self) {
        let mut service = self.service.take().expect("a running Prometheus");
        service.signal(Signal::TERM);
        service.ended();
    }

    /// Where it listens.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Where it takes remote write.
    #[must_use]
    pub fn write_url(&self) -> String {
        format!("http://{}/api/v1/write", self.listen)
    }

    /// Where it takes OTLP, without a signal's path.
    #[must_use]
    pub fn otlp_url(&self) -> String {
        format!("http://{}/api/v1/otlp", self.listen)
    }

    /// What it logged: warnings and errors.
    #[must_use]
    pub fn log(&self) -> String {
        self.service.as_ref().map(Service::log).unwrap_or_default()
    }

    /// The value of each series that an expression gives now.
    ///
    /// # Panics
    /// When it is not taken.
    #[must_use]
    pub fn query(&self, expression: &str) -> Vec<(Labels, f64)> {
        let data = self.api(&format!("query?query={}", percent(expression)));
        let sample = |one: &Value| {
            let value = one["value"][1].as_str().and_then(|number| number.parse().ok());
            (labels(&one["metric"]), value.unwrap_or_else(|| panic!("{expression}: no number: {one}")))
        };
        data["result"].as_array().into_iter().flatten().map(sample).collect()
    }

    /// The one value that an expression gives now, if it gives any.
    ///
    /// # Panics
    /// When it gives more than one.
    #[must_use]
    pub fn value(&self, expression: &str) -> Option<f64> {
        let all = self.query(expression);
        assert!(all.len() < 2, "{expression} gives {all:?}");
        all.first().map(|(_, value)| *value)
    }

    /// Waits until the one value that an expression gives is as wanted, and gives it.
    ///
    /// # Panics
    /// When it never is.
    pub fn until(&self, expression: &str, wanted: impl Fn(f64) -> bool) -> f64 {
        let mut last = None;
        let found = wait::within(wait::PATIENCE, || {
            last = self.value(expression);
            last.filter(|value| wanted(*value))
        });
        found.unwrap_or_else(|| panic!("waited in vain: {expression} gives {last:?}; log: {}", self.log()))
    }

    /// The native histogram that an expression gives now, if it gives one: its count and its sum.
    ///
    /// # Panics
    /// When it gives something else.
    #[must_use]
    pub fn native(&self, expression: &str) -> Option<(f64, f64)> {
        let data = self.api(&format!("query?query={}", percent(expression)));
        let histogram = &data["result"].as_array()?.first()?["histogram"][1];
        let number = |key: &str| histogram[key].as_str().and_then(|number| number.parse().ok());
        Some((number("count")?, number("sum")?))
    }

    /// The exemplars of an expression's series within the last hour.
    ///
    /// # Panics
    /// When it is not taken.
    #[must_use]
    pub fn exemplars(&self, expression: &str) -> Vec<Exemplar> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs();
        let range = format!("&start={}&end={}", now - 3600, now + 60);
        let data = self.api(&format!("query_exemplars?query={}{range}", percent(expression)));
        let mut all = Vec::new();
        for series in data.as_array().into_iter().flatten() {
            for one in series["exemplars"].as_array().into_iter().flatten() {
                let value = one["value"].as_str().and_then(|number| number.parse().ok()).expect("a number");
                all.push(Exemplar {
                    series: labels(&series["seriesLabels"]),
                    labels: labels(&one["labels"]),
                    value,
                });
            }
        }
        all
    }

    /// What it knows of a metric: type, unit and help.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn metadata(&self, metric: &str) -> Option<[String; 3]> {
        let data = self.api(&format!("metadata?metric={}", percent(metric)));
        let known = data[metric].as_array()?.first()?.clone();
        Some(["type", "unit", "help"].map(|key| known[key].as_str().unwrap_or_default().to_owned()))
    }

    /// Its targets: scrape URL, health, and the last error.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn targets(&self) -> Vec<(String, String, String)> {
        let data = self.api("targets?state=active");
        let text = |target: &Value, key: &str| target[key].as_str().unwrap_or_default().to_owned();
        let target =
            |target: &Value| (text(target, "scrapeUrl"), text(target, "health"), text(target, "lastError"));
        data["activeTargets"].as_array().into_iter().flatten().map(target).collect()
    }

    /// Waits until it has scraped a target with success.
    ///
    /// # Panics
    /// When it does not.
    pub fn until_up(&self) {
        let up = wait::within(wait::PATIENCE, || {
            let targets = self.targets();
            (!targets.is_empty() && targets.iter().all(|(_, health, _)| health == "up")).then_some(())
        });
        assert!(up.is_some(), "targets: {:?}, log: {}", self.targets(), self.log());
    }

    fn api(&self, call: &str) -> Value {
        let answer = http::get(self.listen, &format!("/api/v1/{call}")).expect("an answer of Prometheus");
        let mut value: Value =
            serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{call}: {error}: {}", answer.body));
        assert_eq!(value["status"], "success", "{call}: {}", answer.body);
        value["data"].take()
    }
}

/// What `promtool check metrics` has to say of a page in the text format; nothing is good.
///
/// # Panics
/// When it cannot be run.
#[must_use]
pub fn complaints(page: &str) -> String {
    let directory = scratch();
    let file = directory.path().join("page");
    std::fs::write(&file, page).expect("a file");
    let mut command = Command::new(real("REDTAP_PROMTOOL"));
    let input = std::fs::File::open(&file).expect("a file");
    let said = command.args(["check", "metrics"]).stdin(input).output().expect("promtool runs");
    let text = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    if said.status.success() { text } else { format!("{}: {text}", said.status) }
}

/// Checks a configuration file with promtool.
///
/// # Panics
/// When promtool refuses it.
pub fn check_configuration(file: &std::path::Path) {
    output(Command::new(real("REDTAP_PROMTOOL")).args(["check", "config"]).arg(file));
}

fn labels(value: &Value) -> Labels {
    let pairs = value.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

/// An expression as the value of a query parameter (RFC 3986 §2.1).
fn percent(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::{discovering, receiving, scraping};

    #[test]
    fn the_example_has_what_is_replaced() {
        assert!(scraping(([127, 0, 0, 1], 1).into()).contains("targets: ['127.0.0.1:1']"));
        assert!(receiving().contains("targets: []"));
        let found = discovering("https://a/http_sd", &["tls_config: {}"]);
        assert!(
            found.contains("\n    scheme: https\n") && found.matches("tls_config: {}\n").count() == 2,
            "{found}"
        );
    }
}
