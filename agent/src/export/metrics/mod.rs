//! What is exported, in which order, whatever the form: [`write()`] walks a page and tells a [`Sink`] of
//! each family and its points.
//!
//! The forms are sinks: the Prometheus formats, OTLP, remote write, and the cost that `redtap cardinality` shows. All
//! of them get the same numbers from the same one aggregation.

mod agent;
mod attributes;
mod families;
mod labels;
mod net;
mod rows;
mod selecting;
mod selection;
mod sink;
mod spans;
mod target;
mod tls;

#[cfg(test)]
mod tests;

pub use self::{
    attributes::{AttributeValue, Attributes},
    families::write,
    labels::identifying,
    selection::{Rule, Selection},
    sink::{Bucket, HistogramView, Point, Points, Sink, Value, exported},
    target::Target,
};
