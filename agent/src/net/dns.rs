//! DNS lookups: how long, by name and failure.

use std::{fmt, sync::Arc};

use hashbrown::Equivalent;

use super::{measure::observe, peer::LONGEST_NAME, text::cut};
use crate::{
    exchange::Role,
    identity::ServiceId,
    protocol::dns::{Lookup, Outcome, code_name},
    red::{DURATION, Exponential, Histogram, Merge},
    series::{Budget, Series, Table},
};

/// The labels of a series of lookups other than its service and role; `N` is text, owned or borrowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DnsLabels<N> {
    /// `dns.question.name`, of clients; empty: the root.
    pub name: Option<N>,
    /// `error.type`; `None`: answered without error.
    pub error: Option<DnsError>,
}

/// How a lookup failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DnsError {
    /// With this response code.
    Code(u16),
    /// Without an answer.
    Timeout,
}

/// Durations of lookups.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DnsStats {
    /// By fixed bounds.
    pub duration: Histogram<14>,
    /// By powers of a base, in seconds.
    pub exponential: Exponential,
}

/// A series of lookups and their durations.
pub type DnsSeries = Series<DnsLabels<Arc<str>>, DnsStats>;

/// All series of lookups.
#[derive(Debug)]
pub struct Dns(Table<DnsLabels<Arc<str>>, DnsStats>);

impl Equivalent<DnsLabels<Arc<str>>> for DnsLabels<&str> {
    fn equivalent(&self, owned: &DnsLabels<Arc<str>>) -> bool {
        self.name == owned.name.as_deref() && self.error == owned.error
    }
}

impl Dns {
    /// No series yet.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        Self(Table::new(budget))
    }

    /// Takes a lookup in.
    pub fn record(&mut self, service: ServiceId, lookup: &Lookup) {
        let labels = DnsLabels {
            name: (lookup.role == Role::Client).then(|| cut(&lookup.name, LONGEST_NAME)),
            error: DnsError::of(lookup.outcome),
        };
        let owned = || DnsLabels { name: labels.name.map(Arc::from), error: labels.error };
        let place = self.0.place(service, lookup.role, &labels, owned);
        if let Some(stats) = self.0.get_mut(place) {
            observe(&mut stats.duration, &DURATION, lookup.duration);
            stats.exponential.observe(lookup.duration.as_secs_f64());
        }
    }

    /// All series.
    #[must_use]
    pub const fn table(&self) -> &Table<DnsLabels<Arc<str>>, DnsStats> {
        &self.0
    }

    /// All series, to let the silent go.
    pub const fn table_mut(&mut self) -> &mut Table<DnsLabels<Arc<str>>, DnsStats> {
        &mut self.0
    }
}

impl Merge for DnsStats {
    fn merge(&mut self, other: &Self) {
        self.duration.merge(&other.duration);
        self.exponential.merge(&other.exponential);
    }
}

impl DnsError {
    /// That of a lookup, if it failed.
    #[must_use]
    pub const fn of(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::Answered(0) => None,
            Outcome::Answered(code) => Some(Self::Code(code)),
            Outcome::Timeout => Some(Self::Timeout),
        }
    }
}

impl fmt::Display for DnsError {
    /// The value of `error.type`: the code's name in lower case.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => formatter.write_str(&code_name(*code)),
            Self::Timeout => formatter.write_str("timeout"),
        }
    }
}
