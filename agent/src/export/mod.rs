//! The way out: `/metrics`, the other pages, and lines on standard output.

pub mod agent;
pub mod graph;
pub mod http;
pub mod page;
pub mod print;
pub mod process;
pub mod prometheus;
pub mod redact;
pub mod target;
