//! DNS (RFC 1035): messages, and questions with what became of them.

mod codes;
mod connection;
mod lookup;
mod lookups;
mod message;

use super::Direction;
use crate::time::Nanos;

pub use codes::{code_name, kind_name};
pub use connection::Connection;
pub use lookup::{Lookup, Outcome, Transport};
pub use lookups::{Asker, Lookups};
pub use message::{parse, recognise};

/// The port that name servers listen on (RFC 1035 §4.2).
pub const PORT: u16 = 53;

/// What of a DNS message matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its identifier.
    pub id: u16,
    /// It is an answer.
    pub is_response: bool,
    /// Response code, extended by EDNS (RFC 6891 §6.1.3).
    pub code: u16,
    /// It was cut to fit a datagram (TC).
    pub truncated: bool,
    /// The name of its question, lower case, without the final dot; empty: the root, or there is no question.
    pub name: Box<str>,
    /// The type of its question (QTYPE); 0: there is none.
    pub kind: u16,
    /// Addresses it answers with, and their times to live, in seconds.
    pub addresses: Vec<(std::net::IpAddr, u32)>,
}

/// A DNS message that passed on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The way it went.
    pub direction: Direction,
    /// When its last byte passed.
    pub time: Nanos,
    /// What it says.
    pub message: Message,
}

#[cfg(test)]
mod tests;
