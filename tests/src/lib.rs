//! Fixtures of the end-to-end tests: an agent to watch, servers and clients to be watched, and ledgers to compare.
//!
//! The tests themselves lie in `tests/`; raw conversations are data, in `cases/`; programs in other languages in
//! `programs/`.

pub mod agent;
pub mod caller;
pub mod clients;
pub mod cluster;
pub mod collector;
pub mod container;
pub mod difference;
pub mod endpoint;
pub mod exporter;
pub mod flows;
pub mod gate;
pub mod hosts;
pub mod http;
pub mod kernel;
pub mod ledger;
pub mod line;
pub mod links;
pub mod load;
pub mod metrics;
pub mod namespace;
pub mod otlp;
pub mod process;
pub mod prometheus;
pub mod raw;
pub mod redtap;
pub mod remains;
pub mod segments;
pub mod servers;
pub mod tap;
pub mod tls;
pub mod unit;
pub mod wait;
