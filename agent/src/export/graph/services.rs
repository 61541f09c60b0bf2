//! `/api/v1/services`: the services of this host in numbers, for `redtap top` and for scripts.
//!
//! Numbers are sums since the agent started, but for `active`; a reader takes the difference of two documents.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    exchange::Role,
    net,
    red::{self, DURATION},
};

/// The name of what is beyond the limit of services.
const OVERFLOW: &str = "(overflow)";

/// The document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Services {
    /// When it was made, seconds since 1970.
    pub time: f64,
    /// When the agent started, seconds since 1970, where that is known; another value tells that it started anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<f64>,
    /// The agent's version.
    pub version: String,
    /// Upper bounds of the durations' buckets, in seconds; one more bucket is above them.
    pub bounds: Vec<f64>,
    /// By name and role.
    pub services: Vec<Service>,
}

/// A service in one of its roles.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// `service.name`
    pub name: String,
    /// It answers requests (`server`), or sends them (`client`).
    pub role: Side,
    /// Requests that ended.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// How long they took, where that is known.
    pub duration: Durations,
    /// Payload bytes it received on TCP connections.
    pub bytes_in: u64,
    /// Payload bytes it sent.
    pub bytes_out: u64,
    /// Segments it sent again.
    pub retransmits: u64,
    /// TCP connections open now.
    pub active: u64,
}

/// A histogram of durations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Durations {
    /// All of them.
    pub count: u64,
    /// Their sum in seconds.
    pub sum: f64,
    /// How many were in each bucket, not in those below it.
    pub buckets: Vec<u64>,
}

/// [`Role`] as the document has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// It answers requests.
    #[default]
    Server,
    /// It sends them.
    Client,
}

/// The services at `now`, the time since 1970, of an agent that runs since `started`.
#[must_use]
pub fn services(red: &red::Snapshot, net: &net::Snapshot, now: Duration, started: Option<Duration>) -> Services {
    let mut all = BTreeMap::new();
    add_requests(&mut all, red);
    add_connections(&mut all, net);
    Services {
        time: now.as_secs_f64(),
        started: started.map(|started| started.as_secs_f64()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        bounds: DURATION.upper.iter().map(|upper| Duration::from_nanos(*upper).as_secs_f64()).collect(),
        services: all.into_values().collect(),
    }
}

type All = BTreeMap<(String, Side), Service>;

/// The entry of a name. Several services of one name are one to whoever reads it.
fn entry<'a>(all: &'a mut All, name: Option<&str>, role: Role) -> &'a mut Service {
    let name = name.unwrap_or(OVERFLOW).to_owned();
    let role = Side::from(role);
    all.entry((name.clone(), role)).or_insert_with(|| {
        let duration = Durations { buckets: vec![0; DURATION.upper.len() + 1], ..Durations::default() };
        Service { name, role, duration, ..Service::default() }
    })
}

#[expect(clippy::cast_precision_loss, reason = "seconds for people")]
fn add_requests(all: &mut All, red: &red::Snapshot) {
    for series in &red.series {
        let name = series.service.and_then(|service| red.services.get(&service));
        let service = entry(all, name.map(|service| &*service.name), series.role);
        let duration = &series.value.duration;
        service.requests += duration.count;
        if series.labels.is_some_and(|labels| labels.error.is_some()) {
            service.errors += duration.count;
        }
        service.duration.count += duration.count;
        service.duration.sum += duration.sum as f64 / 1e9;
        let above = duration.count.saturating_sub(duration.buckets.iter().sum());
        let buckets = duration.buckets.iter().chain([&above]);
        for (sum, count) in service.duration.buckets.iter_mut().zip(buckets) {
            *sum += count;
        }
    }
}

fn add_connections(all: &mut All, net: &net::Snapshot) {
    for series in &net.tcp {
        let name = series.service.and_then(|service| net.services.get(&service));
        let service = entry(all, name.map(|service| &*service.name), series.role);
        let [sent, received] = series.value.bytes;
        service.bytes_in += received;
        service.bytes_out += sent;
        service.retransmits += series.value.retransmits;
        // Below zero only for what passes between two series as it is told.
        service.active += u64::try_from(series.value.active).unwrap_or(0);
    }
}

impl Side {
    /// As in the document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

impl From<Role> for Side {
    fn from(role: Role) -> Self {
        match role {
            Role::Server => Self::Server,
            Role::Client => Self::Client,
        }
    }
}

#[cfg(test)]
mod tests;
