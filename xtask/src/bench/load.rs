//! Those who ask nginx, and what they find.

use anyhow::{Context as _, Result, bail, ensure};

use super::child::bound;
use super::server::{Server, WRK};
use crate::process::output;
use crate::workspace;

/// Connections of `wrk` and `paced-load`.
const CONNECTIONS: u64 = 32;

/// A way to ask.
#[derive(Clone, Copy)]
pub enum Load {
    /// As fast as it goes, on connections that stay.
    KeepAlive,
    /// The same at a given rate (requests a second).
    Paced { rate: f64 },
    /// As fast as it goes, a connection for each request.
    Churn,
    /// One large file again and again, on one connection.
    Bulk,
}

/// What a run achieved.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measure {
    /// Requests a second; bytes a second of [`Load::Bulk`].
    pub rate: f64,
    /// Median latency in seconds; 0 of [`Load::Bulk`], as the others.
    pub p50: f64,
    /// 99th percentile of latency in seconds.
    pub p99: f64,
    /// 99.9th percentile of latency in seconds.
    pub p999: f64,
}

impl Load {
    /// How many connections it has at a time.
    pub fn connections(self) -> u64 {
        match self {
            Self::KeepAlive | Self::Paced { .. } | Self::Churn => CONNECTIONS,
            Self::Bulk => 1,
        }
    }

    /// Runs it for `seconds`.
    ///
    /// # Errors
    /// When not every answer was good.
    pub fn run(self, server: &Server, seconds: u32) -> Result<Measure> {
        let url = format!("http://127.0.0.1:{}", server.port());
        let text = match self {
            Self::Bulk => {
                let mut curl = bound("curl");
                curl.args(["--silent", "--fail", "--output", "/dev/null"]);
                curl.args([
                    "--write-out",
                    "%{size_download} %{time_total}\\n",
                    &format!("{url}/bulk?[1-{seconds}]"),
                ]);
                return bulk(&output(&mut curl)?);
            }
            Self::Paced { rate } => {
                let mut paced = bound(workspace::built("debug", "paced-load")?);
                paced.arg(format!("127.0.0.1:{}", server.port()));
                output(paced.args([CONNECTIONS.to_string(), rate.to_string(), seconds.to_string()]))?
            }
            Self::KeepAlive | Self::Churn => {
                let mut wrk = bound("wrk");
                wrk.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s"), "-s"]);
                wrk.arg(server.directory().join(WRK));
                if matches!(self, Self::Churn) {
                    wrk.args(["-H", "Connection: close"]);
                }
                output(wrk.arg(format!("{url}/")))?
            }
        };
        if text.contains("Socket errors") || text.contains("Non-2xx") {
            bail!("not every answer was good: {text}");
        }
        measure(&text).with_context(|| format!("cannot read what the load says: {text}"))
    }
}

/// Bytes a second, from lines of bytes and seconds.
fn bulk(text: &str) -> Result<Measure> {
    let (mut bytes, mut seconds) = (0.0, 0.0);
    for (size, time) in text.lines().filter_map(|line| line.split_once(' ')) {
        bytes += size.parse::<f64>().context("no size from curl")?;
        seconds += time.parse::<f64>().context("no time from curl")?;
    }
    ensure!(seconds > 0.0, "curl fetched nothing: {text}");
    Ok(Measure { rate: bytes / seconds, ..Measure::default() })
}

/// What `wrk`, with the script that it runs, and `paced-load` say.
fn measure(text: &str) -> Option<Measure> {
    let after = |label: &str| text.lines().find_map(|line| line.strip_prefix(label)?.trim().parse::<f64>().ok());
    let latency = |percentile: &str| Some(after(&format!("percentile {percentile} (us): "))? * 1e-6);
    Some(Measure {
        rate: after("Requests/sec:")?,
        p50: latency("50")?,
        p99: latency("99")?,
        p999: latency("99.9")?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Measure, bulk, measure};

    #[test]
    fn what_the_clients_print_is_read() {
        let wrk = "  Thread Stats   Avg\n    Latency   430.22us\n  9 requests in 1.00s\nRequests/sec:  71234.50\n\
                   percentile 50 (us): 412\npercentile 99 (us): 1250\npercentile 99.9 (us): 20301\n";
        let Some(Measure { rate, p50, p99, p999 }) = measure(wrk) else { panic!("not read") };
        assert_eq!([rate, p50 * 1e6, p99 * 1e6, p999 * 1e6].map(f64::round), [71235.0, 412.0, 1250.0, 20301.0]);
        assert_eq!(measure("Requests/sec: 1\npercentile 50 (us): 1\npercentile 99 (us): 1\n"), None);
        assert_eq!(bulk("100 0.5\n200 1.0").map(|measure| measure.rate).ok(), Some(200.0));
        assert!(bulk("").is_err());
    }
}
