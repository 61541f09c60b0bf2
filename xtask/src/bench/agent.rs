//! The agent under measurement.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::child::{Child, bound};
use super::server::{SERVICE, free_port, get};
use super::wait;

/// A running `redtap run`.
pub struct Agent {
    child: Child,
    port: u16,
    /// From its start to its first readiness.
    pub to_ready: Duration,
}

/// Sizes in bytes.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Resident, the rings' pages counted as often as they are mapped.
    pub resident: f64,
    /// Resident, every page in equal shares among its mappings.
    pub proportional: f64,
    /// Resident and mapped once.
    pub private: f64,
}

impl Agent {
    /// Starts an agent and waits until it is ready. Its log goes to a file in `directory`.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start(redtap: &Path, directory: &Path, flags: &[&str]) -> Result<Self> {
        let port = free_port()?;
        let log = directory.join("redtap.log");
        let mut command = bound(redtap);
        command.args(["run", "--listen", &format!("127.0.0.1:{port}")]).args(flags);
        command.stderr(File::create(&log).context("cannot make the agent's log")?);
        let began = wait::now();
        let mut child = Child::spawn(&mut command)?;
        wait::until("the agent's readiness", || {
            child
                .alive()
                .with_context(|| format!("redtap run: {}", fs::read_to_string(&log).unwrap_or_default()))?;
            Ok(get(port, "/readyz").ok())
        })?;
        Ok(Self { child, port, to_ready: began.elapsed() })
    }

    /// Its metrics now.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn scrape(&self) -> Result<Scrape> {
        get(self.port, "/metrics").map(Scrape).context("no metrics of the agent")
    }

    /// Its metrics once it has told `asked` of nginx's exchanges, or what it has told in the end.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn settled(&self, asked: u64) -> Result<Scrape> {
        let settled = wait::until("the last exchanges", || {
            let scrape = self.scrape()?;
            Ok((served(&scrape) >= asked).then_some(scrape))
        });
        settled.or_else(|_| self.scrape())
    }

    /// Its memory now.
    ///
    /// # Errors
    /// When it has ended.
    pub fn memory(&self) -> Result<Memory> {
        let path = format!("/proc/{}/smaps_rollup", self.child.pid());
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let sum = |names: &[&str]| -> f64 {
            let lines = text.lines().filter_map(|line| line.split_once(':'));
            let sizes = lines.filter(|(name, _)| names.contains(name)).filter_map(|(_, size)| {
                let kib: f64 = size.trim().strip_suffix(" kB")?.parse().ok()?;
                Some(kib * 1024.0)
            });
            sizes.sum()
        };
        Ok(Memory {
            resident: sum(&["Rss"]),
            proportional: sum(&["Pss"]),
            private: sum(&["Private_Clean", "Private_Dirty"]),
        })
    }

    /// Ends it.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn stop(self) -> Result<()> {
        self.child.terminate().context("redtap run")
    }
}

/// How far the agent's number of nginx's exchanges is from nginx's own. `wrk` goes away in the middle: nginx may
/// not have read what each of its connections asked last, which the agent saw.
pub fn miscounted(scrape: &Scrape, asked: u64, in_flight: u64) -> u64 {
    let served = served(scrape);
    asked.saturating_sub(served) + served.saturating_sub(asked + in_flight)
}

fn served(scrape: &Scrape) -> u64 {
    scrape.sum("http_server_request_duration_seconds_count", &format!("service_name=\"{SERVICE}\"")) as u64
}

/// Metrics as text.
pub struct Scrape(String);

impl Scrape {
    /// Sum of a metric's series that have `label`, written as in the text; of all when it is empty.
    pub fn sum(&self, metric: &str, label: &str) -> f64 {
        let series = self.0.lines().filter_map(|line| line.strip_prefix(metric));
        let series = series.filter(|rest| rest.starts_with(['{', ' ']) && rest.contains(label));
        series.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// By how much a metric has grown.
    pub fn since(&self, before: &Self, metric: &str) -> f64 {
        self.sum(metric, "") - before.sum(metric, "")
    }
}

#[cfg(test)]
mod tests {
    use super::{Scrape, miscounted};

    #[test]
    fn series_are_summed_by_whole_name_and_label() {
        let scrape = Scrape("# TYPE a counter\na{b=\"c\"} 1\na{b=\"d\"} 2.5\na_more 8\ne 16\n".to_owned());
        assert_eq!([scrape.sum("a", ""), scrape.sum("a", "b=\"d\""), scrape.sum("e", "")], [3.5, 2.5, 16.0]);
    }

    #[test]
    fn only_what_was_in_flight_may_be_more() {
        let check = |served: u64, expected: u64| {
            let labels = "service_name=\"redtap-bench-nginx\",error_type=\"client_abort\"";
            let text = format!("http_server_request_duration_seconds_count{{{labels}}} {served}\n");
            assert_eq!(miscounted(&Scrape(text), 100, 32), expected, "{served}");
        };
        check(100, 0);
        check(132, 0);
        check(135, 3);
        check(98, 2);
    }
}
