//! Connections by socket cookie: which segments belong to which stream, and which protocol reads it.

mod connection;
mod stream;
mod table;

#[cfg(test)]
mod tests;

pub use connection::{Class, Flow, Verdict};
pub use stream::{Stream, Window};
pub use table::{Counts, Delivery, Limits, Table};
