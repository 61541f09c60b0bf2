//! What arrives where redtap sends: a real Collector, a real Prometheus, and receivers that misbehave.

mod cardinality;
mod comparison;
mod conformance;
mod context;
mod examples;
mod failures;
mod headers;
mod listener;
mod metrics;
mod reload;
mod remote_write;
mod restarts;
mod sampling;
mod scraping;
mod spans;
