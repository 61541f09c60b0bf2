//! Who talks to whom, as JSON documents: pure functions of what a page holds, without clock and network.
//!
//! [`nodegraph`] and [`tls`] have the shapes of k8spacket's API, so that its Grafana dashboards work; [`flat`] is for
//! Grafana's Infinity data source, [`services`] for `redtap top`. `docs/graph.md` describes them to their readers.

pub mod flat;
pub mod nodegraph;
pub mod query;
pub mod services;
mod text;
pub mod tls;

pub use self::query::{Invalid, Query, Statistic};

#[cfg(test)]
mod testing;
