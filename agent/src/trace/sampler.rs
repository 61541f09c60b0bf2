//! Which exchanges become spans: the samplers that OpenTelemetry names, and one of ours.

use super::{Ratio, Rejected};

/// Of all spans that are neither failed nor slow, how many `errors_and_slowest` keeps unless it is told.
const REST: &str = "0.01";

/// Spans a second that `errors_and_slowest` keeps at most, unless it is told.
const BUDGET: u32 = 100;

/// A sampler that asks nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// Everything is kept.
    AlwaysOn,
    /// Nothing is.
    AlwaysOff,
    /// What is of a ratio of all traces.
    Ratio(Ratio),
}

/// How it is decided whether an exchange becomes a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampler {
    /// Whatever the caller decided.
    Root(Root),
    /// As the caller decided, and otherwise by this.
    ParentBased(Root),
    /// All that failed and the slowest of each service, whatever the caller decided, and a ratio of the rest.
    ErrorsAndSlowest {
        /// What is kept of the rest.
        rest: Ratio,
        /// Spans a second, at most.
        budget: u32,
    },
}

impl Sampler {
    /// Every name that [`Sampler::parse`] knows.
    pub const NAMES: [&str; 7] = [
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
        "errors_and_slowest",
    ];

    /// Reads a sampler as `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` have it. `arg` is the ratio from 0 to 1 of
    /// those that have one (1 unless told), and of the rest for `errors_and_slowest` (0.01); others do not look at it.
    ///
    /// # Errors
    /// On a name that is not in [`Sampler::NAMES`], and on a ratio that is none.
    pub fn parse(name: &str, arg: Option<&str>) -> Result<Self, Rejected> {
        let ratio = |default| Ratio::parse(arg.filter(|arg| !arg.trim().is_empty()).unwrap_or(default));
        Ok(match name {
            "always_on" => Self::Root(Root::AlwaysOn),
            "always_off" => Self::Root(Root::AlwaysOff),
            "traceidratio" => Self::Root(Root::Ratio(ratio("1")?)),
            "parentbased_always_on" => Self::ParentBased(Root::AlwaysOn),
            "parentbased_always_off" => Self::ParentBased(Root::AlwaysOff),
            "parentbased_traceidratio" => Self::ParentBased(Root::Ratio(ratio("1")?)),
            "errors_and_slowest" => Self::ErrorsAndSlowest { rest: ratio(REST)?, budget: BUDGET },
            _ => return Err(Rejected::one_of(&Self::NAMES)),
        })
    }

    /// The same, with this many spans a second for `errors_and_slowest`; others have no budget.
    #[must_use]
    pub const fn with_budget(self, spans: u32) -> Self {
        match self {
            Self::ErrorsAndSlowest { rest, .. } => Self::ErrorsAndSlowest { rest, budget: spans },
            other => other,
        }
    }
}

impl Default for Sampler {
    /// `parentbased_always_on`.
    fn default() -> Self {
        Self::ParentBased(Root::AlwaysOn)
    }
}
