//! Where an exchange stands in its trace, and whether it becomes a span.

use opentelemetry::trace::{SpanId, TraceId};

use super::{Root, Sampler, SpanIds, context::Carried, ratio, slowest};
use crate::{
    exchange::{Exchange, Outcome, Role},
    identity::ServiceId,
    time::Nanos,
};

/// What becomes of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Its place in a trace that is sampled: what an exemplar of it names.
    pub ids: Option<SpanIds>,
    /// It is handed to the exporter as the span of these ids.
    pub export: bool,
}

impl Decision {
    /// It is in no trace that is kept.
    pub const NONE: Self = Self { ids: None, export: false };
}

/// Decides for each exchange; belongs to the reader thread, and allocates nothing while it decides.
///
/// A server span's parent is the span that its request names. A client span is that span itself: the ids its request
/// carries are its own.
///
/// Bias: whoever passes a request's fields on without adding a span of his own makes his client span bear the ids of
/// the one before; nothing on the wire tells it from that one's.
#[derive(Debug)]
pub struct Spans {
    sampler: Sampler,
    /// What `errors_and_slowest` remembers.
    memory: Option<Memory>,
    export: bool,
    random: fastrand::Rng,
    refused: u64,
}

#[derive(Debug)]
struct Memory {
    slowest: slowest::Slowest,
    budget: slowest::Budget,
}

impl Spans {
    /// Decisions by `sampler` if spans go to an exporter; if they do not, exchanges get the ids that others gave them, and
    /// no one is asked. `seed` must differ between agents, since new ids come from it.
    #[must_use]
    pub fn new(sampler: Sampler, export: bool, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        let mut spans = Self { sampler, memory: None, export, random, refused: 0 };
        spans.set(sampler, export);
        spans
    }

    /// From now on by this sampler.
    pub fn set(&mut self, sampler: Sampler, export: bool) {
        self.refused = self.refused();
        self.memory = match sampler {
            Sampler::ErrorsAndSlowest { budget, .. } if export => {
                let budget = slowest::Budget::new(budget);
                Some(Memory { slowest: slowest::Slowest::new(), budget })
            }
            _ => None,
        };
        (self.sampler, self.export) = (sampler, export);
    }

    /// Whether spans go to an exporter.
    #[must_use]
    pub const fn exports(&self) -> bool {
        self.export
    }

    /// Exchanges that `errors_and_slowest` would have kept, had its budget had room for them.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused + self.memory.as_ref().map_or(0, |memory| memory.budget.refused)
    }

    /// What becomes of an exchange of this service. One that passed in part unseen is no span: its times are not known.
    pub fn decide(&mut self, exchange: &Exchange, service: ServiceId) -> Decision {
        if exchange.outcome == Outcome::Unobserved {
            return Decision::NONE;
        }
        if !self.export {
            return Decision { ids: exchange.trace.and_then(sampled_elsewhere), export: false };
        }
        let ids = self.ids(exchange.role, exchange.trace);
        let export = self.keeps(exchange, service, ids.trace_id);
        Decision { ids: export.then_some(ids), export }
    }

    fn ids(&mut self, role: Role, carried: Option<Carried>) -> SpanIds {
        let random = carried.is_none_or(|carried| carried.random || carried.ids.is_none());
        let place = match (carried.and_then(|carried| carried.ids), role) {
            (Some((trace_id, span_id)), Role::Client) => (trace_id, span_id, None),
            (Some((trace_id, parent)), Role::Server) => (trace_id, self.span_id(), Some(parent)),
            (None, _) => (self.trace_id(), self.span_id(), None),
        };
        let (trace_id, span_id, parent) = place;
        SpanIds { trace_id, span_id, parent, random }
    }

    fn trace_id(&mut self) -> TraceId {
        TraceId::from(u128::from(self.random.u64(..)) << 64 | u128::from(self.random.u64(1..)))
    }

    fn span_id(&mut self) -> SpanId {
        SpanId::from(self.random.u64(1..))
    }

    fn keeps(&mut self, exchange: &Exchange, service: ServiceId, trace_id: TraceId) -> bool {
        let by = |root: Root| match root {
            Root::AlwaysOn => true,
            Root::AlwaysOff => false,
            Root::Ratio(ratio) => ratio.keeps(ratio::randomness(trace_id, &exchange.details.trace_state)),
        };
        match self.sampler {
            Sampler::Root(root) => by(root),
            Sampler::ParentBased(root) => {
                let decided = exchange.trace.and_then(|carried| carried.sampled);
                decided.unwrap_or_else(|| by(root))
            }
            Sampler::ErrorsAndSlowest { rest, .. } => {
                let Some(memory) = &mut self.memory else { return false };
                let now = moment(exchange);
                let failed = exchange.error_type().is_some();
                // How long failures take says nothing of what is slow.
                let duration = exchange.duration().filter(|_| !failed);
                let slow = |duration| memory.slowest.is_slow(service, exchange.role, duration, now);
                let notable = failed || duration.is_some_and(slow);
                (notable || by(Root::Ratio(rest))) && memory.budget.take(now, notable)
            }
        }
    }
}

/// The ids of a request that its sender sampled.
fn sampled_elsewhere(carried: Carried) -> Option<SpanIds> {
    let (trace_id, span_id) = carried.ids.filter(|_| carried.sampled == Some(true))?;
    Some(SpanIds { trace_id, span_id, parent: None, random: carried.random })
}

/// The last that was seen of it.
fn moment(exchange: &Exchange) -> Nanos {
    let times = &exchange.times;
    let seen = [times.request_first, times.request_last, times.response_first, times.response_last];
    seen.into_iter().flatten().max().unwrap_or_default()
}

#[cfg(test)]
mod tests;
