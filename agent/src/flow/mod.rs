//! Connections by socket cookie: which segments belong to which stream, and which protocol reads it.

mod connection;
mod delivery;
mod ended;
mod ending;
mod handover;
mod pairs;
mod stream;
mod table;

#[cfg(test)]
mod tests;

pub use connection::{Flow, Progress, Tags, Translation, Untranslated, Verdict};
pub use delivery::{Delivery, Kept, Link, Nobody};
pub use ending::{CLOSE_REASONS, CONNECT_FAILURES, CloseReason, ConnectFailure};
pub use pairs::{Owner, Pairs};
pub use stream::{Stream, Window};
pub use table::{Counts, Limits, Table};
