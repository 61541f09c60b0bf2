//! The way out: `/metrics` and the other pages, OTLP, remote write, and lines on standard output.

pub mod agent;
pub mod client;
pub mod exporter;
pub mod graph;
pub mod http;
pub mod metrics;
pub mod otlp;
pub mod page;
pub mod print;
pub mod process;
pub mod prometheus;
pub mod redact;
pub mod remote_write;
pub mod resource;
pub mod target;
