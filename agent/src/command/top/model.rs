//! Rows out of documents: rates are differences of two of them.

use std::cmp::Ordering;

use hashbrown::HashMap;
use serde::Serialize;

use super::Column;
use crate::export::graph::services::{Durations, Service, Services, Side};

/// How far two times of start may lie apart and still be one: the kernel's own idea of it moves with the wall clock.
const SAME_START: f64 = 1.5;

/// A service in one of its roles, over the time between two documents.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Name of the service.
    pub name: String,
    /// What it is in it.
    pub role: Side,
    /// TCP connections open now.
    pub active: u64,
    /// What takes two documents to tell.
    #[serde(flatten)]
    pub change: Option<Change>,
}

/// What happened between two documents.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Requests a second.
    pub rate: f64,
    /// Part of them that failed, 0 to 1; `None`: there were none.
    pub errors: Option<f64>,
    /// Median of their durations.
    pub p50: Option<Quantile>,
    /// 95th percentile.
    pub p95: Option<Quantile>,
    /// 99th percentile.
    pub p99: Option<Quantile>,
    /// Bytes received a second.
    #[serde(rename = "in")]
    pub bytes_in: f64,
    /// Bytes sent a second.
    #[serde(rename = "out")]
    pub bytes_out: f64,
    /// Segments sent again a second.
    pub retransmits: f64,
}

/// A quantile of durations in seconds, as far as the histogram tells it.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub enum Quantile {
    /// About this.
    At(f64),
    /// More than this, the last bound.
    Above(f64),
}

/// The rows of `current`; changes are those since `previous`, where both are of the same run of the agent.
#[must_use]
pub fn rows(previous: Option<&Services>, current: &Services) -> Vec<Row> {
    let previous = previous.filter(|previous| continues(previous, current));
    let known = previous.iter().flat_map(|previous| &previous.services);
    let known: HashMap<_, _> = known.map(|service| ((service.name.as_str(), service.role), service)).collect();
    let nothing = Service::default();
    let row = |service: &Service| {
        let before = known.get(&(service.name.as_str(), service.role)).copied().unwrap_or(&nothing);
        let change = previous
            .and_then(|previous| Change::between(before, service, current.time - previous.time, &current.bounds));
        Row { name: service.name.clone(), role: service.role, active: service.active, change }
    };
    current.services.iter().map(row).collect()
}

/// Both are of one run of one agent, in this order.
fn continues(previous: &Services, current: &Services) -> bool {
    let same_start = match (previous.started, current.started) {
        (Some(before), Some(now)) => (before - now).abs() < SAME_START,
        _ => true,
    };
    same_start && current.time > previous.time && previous.bounds == current.bounds
}

impl Change {
    /// `None`: a counter went back.
    #[expect(clippy::cast_precision_loss, reason = "rates for people")]
    fn between(before: &Service, now: &Service, seconds: f64, bounds: &[f64]) -> Option<Self> {
        let grown = |before: u64, now: u64| now.checked_sub(before);
        let requests = grown(before.requests, now.requests)?;
        let errors = grown(before.errors, now.errors)?;
        let buckets = grown_buckets(&before.duration, &now.duration)?;
        let rate = |before: u64, now: u64| Some(grown(before, now)? as f64 / seconds);
        let quantile = |part: f64| quantile(part, bounds, &buckets);
        Some(Self {
            rate: requests as f64 / seconds,
            errors: (requests > 0).then(|| errors as f64 / requests as f64),
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
            bytes_in: rate(before.bytes_in, now.bytes_in)?,
            bytes_out: rate(before.bytes_out, now.bytes_out)?,
            retransmits: rate(before.retransmits, now.retransmits)?,
        })
    }
}

fn grown_buckets(before: &Durations, now: &Durations) -> Option<Vec<u64>> {
    let before = before.buckets.iter().copied().chain(std::iter::repeat(0));
    now.buckets.iter().zip(before).map(|(now, before)| now.checked_sub(before)).collect()
}

/// The quantile of a histogram by linear interpolation within its bucket, whose lowest is taken to begin at zero, as
/// Prometheus' `histogram_quantile` does. `None`: nothing was observed.
#[expect(clippy::cast_precision_loss, reason = "interpolated anyway")]
fn quantile(part: f64, bounds: &[f64], buckets: &[u64]) -> Option<Quantile> {
    let count: u64 = buckets.iter().sum();
    if count == 0 {
        return None;
    }
    let rank = part * count as f64;
    let mut below = 0.0;
    let mut lower = 0.0;
    for (upper, bucket) in bounds.iter().zip(buckets) {
        let observed = *bucket as f64;
        if observed > 0.0 && below + observed >= rank {
            return Some(Quantile::At(lower + (upper - lower) * (rank - below) / observed));
        }
        below += observed;
        lower = *upper;
    }
    Some(Quantile::Above(lower))
}

/// Sorts: the largest first, names from a on; what is not known comes last.
pub fn sort(rows: &mut [Row], column: Column) {
    let key = |row: &Row| row.change.as_ref().and_then(|change| change.key(column));
    rows.sort_by(|a, b| {
        let names = || (&a.name, a.role).cmp(&(&b.name, b.role));
        // `None` is less than any value, so that it is last in this order.
        let values = key(b).partial_cmp(&key(a)).unwrap_or(Ordering::Equal);
        values.then_with(names)
    });
}

impl Change {
    /// What is compared in a column; `None` for names, too.
    fn key(&self, column: Column) -> Option<f64> {
        match column {
            Column::Rate => Some(self.rate),
            Column::Errors => self.errors,
            Column::P50 => self.p50.map(Quantile::key),
            Column::P95 => self.p95.map(Quantile::key),
            Column::P99 => self.p99.map(Quantile::key),
            Column::In => Some(self.bytes_in),
            Column::Out => Some(self.bytes_out),
            Column::Retransmits => Some(self.retransmits),
            Column::Name => None,
        }
    }
}

impl Quantile {
    fn key(self) -> f64 {
        match self {
            Self::At(seconds) => seconds,
            Self::Above(_) => f64::INFINITY,
        }
    }
}

impl Serialize for Quantile {
    /// A number of seconds, or a text such as `>10s`.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::At(seconds) => serializer.serialize_f64(*seconds),
            Self::Above(seconds) => serializer.collect_str(&format_args!(">{seconds}s")),
        }
    }
}

/// Whether a row is shown: its name or its role has `filter` in it, whatever the case.
#[must_use]
pub fn is_shown(row: &Row, filter: &str) -> bool {
    let filter = filter.to_lowercase();
    row.name.to_lowercase().contains(&filter) || row.role.as_str().contains(&filter)
}

#[cfg(test)]
pub(super) mod tests;
