//! DNS lookups: how long, by name and failure.

use std::{fmt, sync::Arc};

use hashbrown::Equivalent;

use super::{
    budget::{Budget, Series, Table},
    measure::observe,
    peer::LONGEST_NAME,
    text::cut,
};
use crate::{
    exchange::Role,
    identity::ServiceId,
    protocol::dns::{Lookup, Outcome, code_name},
    red::{DURATION, Histogram},
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

/// A series of lookups and their durations.
pub type DnsSeries = Series<DnsLabels<Arc<str>>, Histogram<14>>;

/// All series of lookups.
#[derive(Debug)]
pub struct Dns(Table<DnsLabels<Arc<str>>, Histogram<14>>);

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
        if let Some(histogram) = self.0.get_mut(place) {
            observe(histogram, &DURATION, lookup.duration);
        }
    }

    /// All series.
    #[must_use]
    pub const fn table(&self) -> &Table<DnsLabels<Arc<str>>, Histogram<14>> {
        &self.0
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
