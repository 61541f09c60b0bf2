//! What was measured, against the design's bars.

use anyhow::{Result, bail};

use super::agent::Memory;
use super::load::Measure;
use super::table::{Bar, Row, row};

/// A percentile of a run's latency, in seconds.
type Percentile = fn(&Measure) -> f64;

const P50: Percentile = |measure| measure.p50;
const P99: Percentile = |measure| measure.p99;
const P999: Percentile = |measure| measure.p999;

/// Two runs of one load.
pub struct Pair {
    /// The first.
    pub unwatched: Measure,
    /// The second.
    pub watched: Measure,
}

/// All that was measured; times in seconds, sizes in bytes.
#[derive(Default)]
pub struct Outcome {
    /// Pairs of keep-alive load at saturation.
    pub keep_alive: Vec<Pair>,
    /// Pairs of keep-alive load at half of that.
    pub paced: Vec<Pair>,
    /// Pairs with a connection for each request.
    pub churn: Vec<Pair>,
    /// Pairs of a large transfer.
    pub bulk: Vec<Pair>,
    /// CPU time of the agent an exchange.
    pub agent: Vec<f64>,
    /// CPU time of the programs an exchange.
    pub programs: Vec<f64>,
    /// Memory of an agent that has just started.
    pub idle: Vec<Memory>,
    /// Memory of an agent after its load.
    pub loaded: Vec<Memory>,
    /// From start to readiness.
    pub start: Vec<f64>,
    /// From a program's start to its first exchange on the page.
    pub first: Vec<f64>,
    /// Replayed exchanges a second, the best last.
    pub replayed: Vec<f64>,
    /// Requests that nginx told in watched runs.
    pub served: u64,
    /// What the agents told to have lost.
    pub dropped: u64,
    /// The most that an agent's number was from nginx's in one run.
    pub miscounted: u64,
}

impl Outcome {
    /// The table.
    pub fn rows(&self) -> Vec<Row> {
        let each = |pairs: &[Pair], value: fn(&Pair) -> f64| pairs.iter().map(value).collect::<Vec<f64>>();
        let rate = |pair: &Pair| pair.watched.rate / pair.unwatched.rate;
        let base = |pair: &Pair| pair.unwatched.rate;
        let p99_ratio = |pair: &Pair| pair.watched.p99 / pair.unwatched.p99;
        let micros = |values: &[f64]| values.iter().map(|value| value * 1e6).collect::<Vec<f64>>();
        let megabytes = |values: &[Memory], of: fn(&Memory) -> f64| {
            values.iter().map(|memory| of(memory) / 1e6).collect::<Vec<f64>>()
        };
        let both: Vec<f64> =
            self.agent.iter().zip(&self.programs).map(|(agent, programs)| agent + programs).collect();
        let resident = |values: &[Memory]| megabytes(values, |memory| memory.resident);
        let proportional = |values: &[Memory]| megabytes(values, |memory| memory.proportional);
        let private = |values: &[Memory]| megabytes(values, |memory| memory.private);
        let (none, zero) = (Bar::None, Bar::AtMost(0.0));
        let keep_alive = &self.keep_alive;
        let best = self.replayed.last().copied();
        vec![
            row("keep-alive, unwatched: requests/s", &each(keep_alive, base), 0, none),
            row("keep-alive, both ends watched: of unwatched", &each(keep_alive, rate), 3, Bar::AtLeast(0.85)),
            row("  p50 added (µs)", &added(keep_alive, P50), 0, none),
            row("  p99 added (µs)", &added(keep_alive, P99), 0, none),
            row("  p99.9 added (µs)", &added(keep_alive, P999), 0, none),
            row("half load, unwatched: requests/s", &each(&self.paced, base), 0, none),
            row("  p50 added (µs)", &added(&self.paced, P50), 0, none),
            row("  p99 added (µs)", &added(&self.paced, P99), 0, none),
            row("  p99.9 added (µs)", &added(&self.paced, P999), 0, none),
            row("  p99: of unwatched", &each(&self.paced, p99_ratio), 3, Bar::AtMost(1.03)),
            row("new connections, unwatched: connections/s", &each(&self.churn, base), 0, none),
            row("new connections: of unwatched", &each(&self.churn, rate), 3, none),
            row("bulk, unwatched: MB/s", &each(&self.bulk, |pair| pair.unwatched.rate / 1e6), 0, none),
            row("bulk: of unwatched", &each(&self.bulk, rate), 3, Bar::AtLeast(0.95)),
            row("CPU of the agent an exchange (µs)", &micros(&self.agent), 2, none),
            row("CPU of the programs an exchange (µs)", &micros(&self.programs), 2, none),
            row("CPU of both an exchange (µs)", &micros(&both), 2, Bar::AtMost(1.0)),
            row("memory idle, resident (MB)", &resident(&self.idle), 1, Bar::AtMost(20.0)),
            row("  proportional (rings are mapped twice)", &proportional(&self.idle), 1, none),
            row("  private", &private(&self.idle), 1, none),
            row("memory after load, resident (MB)", &resident(&self.loaded), 1, none),
            row("  proportional", &proportional(&self.loaded), 1, none),
            row("  private", &private(&self.loaded), 1, none),
            row("start to first metric (s)", &self.start, 3, Bar::AtMost(1.0)),
            row("exec to first attributed exchange on the page (s)", &self.first, 3, none),
            row("replayed on one core, best of 3: exchanges/s", best.as_slice(), 0, Bar::AtLeast(2e6)),
            row("requests to nginx while watched", &[self.served as f64], 0, none),
            row("  most that the agent's count was off in a run", &[self.miscounted as f64], 0, zero),
            row("  dropped", &[self.dropped as f64], 0, zero),
        ]
    }

    /// Fails when an exchange was lost or made up: no number above is worth anything then.
    ///
    /// # Errors
    /// With what was lost.
    pub fn verdict(&self) -> Result<()> {
        if self.dropped > 0 || self.miscounted > 0 {
            bail!("THE AGENT LOST COUNT: {} dropped, off by {} in a run", self.dropped, self.miscounted);
        }
        Ok(())
    }
}

/// By how many µs a percentile is higher in the watched run of each pair: neighbours in time are compared, not the
/// rounds' medians, between which the host may have changed.
fn added(pairs: &[Pair], percentile: Percentile) -> Vec<f64> {
    pairs.iter().map(|pair| (percentile(&pair.watched) - percentile(&pair.unwatched)) * 1e6).collect()
}

#[cfg(test)]
mod tests {
    use super::super::table;
    use super::{Bar, Measure, P50, P99, P999, Pair, Percentile, added, row};

    /// A pair of latencies in µs at the percentiles 50, 99 and 99.9.
    fn pair(unwatched: [f64; 3], watched: [f64; 3]) -> Pair {
        let measure = |[p50, p99, p999]: [f64; 3]| Measure {
            rate: 1.0,
            p50: p50 * 1e-6,
            p99: p99 * 1e-6,
            p999: p999 * 1e-6,
        };
        Pair { unwatched: measure(unwatched), watched: measure(watched) }
    }

    #[test]
    fn what_is_added_is_the_median_of_the_differences_of_pairs() {
        // The host was slow in the second round: the difference of the medians is 80 at the first percentile.
        let pairs = [
            pair([100.0, 300.0, 900.0], [110.0, 330.0, 1000.0]),
            pair([900.0, 2000.0, 9000.0], [905.0, 1990.0, 9300.0]),
            pair([100.0, 400.0, 900.0], [180.0, 420.0, 850.0]),
        ];
        let check = |percentile: Percentile, differences: [f64; 3], median: &str| {
            let added = added(&pairs, percentile);
            assert_eq!(added.iter().map(|value| value.round()).collect::<Vec<_>>(), differences);
            let text = table::text(&[row("added", &added, 0, Bar::None)]);
            assert_eq!(text.lines().last().and_then(|line| line.split_whitespace().nth(1)), Some(median));
        };
        check(P50, [10.0, 5.0, 80.0], "10");
        check(P99, [30.0, -10.0, 20.0], "20");
        check(P999, [100.0, 300.0, -50.0], "100");
    }

    #[test]
    fn no_rounds_add_nothing() {
        assert!(added(&[], P999).is_empty());
    }
}
