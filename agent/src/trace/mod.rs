//! Spans: which trace a request belongs to, whether it is kept, and what is handed to the exporter of it.

pub mod context;
mod ratio;
mod sampler;
mod slowest;
mod span;
mod spans;

pub use self::{
    context::Propagators,
    ratio::Ratio,
    sampler::{Root, Sampler},
    span::{Span, SpanIds},
    spans::{Decision, Spans},
};

/// Why a text is no value of a setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct Rejected {
    /// What would be one.
    pub expected: String,
}

impl Rejected {
    fn one_of(names: &[&str]) -> Self {
        Self { expected: format!("one of {}", names.join(", ")) }
    }
}
