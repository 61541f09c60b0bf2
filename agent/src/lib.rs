//! redtap's user-space agent as a library; the binary is a thin shell over it.
//!
//! Data flows one way: `probe` (kernel) → `merge` → `decode` → `flow` → `protocol` → `exchange` → `red` → `export`;
//! `pipeline` ties the synchronous part together, `identity` names what it sees. See ARCHITECTURE.md.

pub mod cli;
pub mod command;
pub mod config;
pub mod confine;
pub mod decode;
pub mod exchange;
pub mod export;
pub mod flow;
pub mod identity;
pub mod merge;
pub mod net;
pub mod pipeline;
pub mod probe;
pub mod protocol;
pub mod reader;
pub mod record;
pub mod red;
pub mod route;
pub mod semconv;
pub mod series;
pub mod sinks;
#[cfg(test)]
mod testing;
pub mod time;
pub mod trace;
