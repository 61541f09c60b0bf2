//! A question to a name server and what became of it.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use crate::{exchange::Role, time::Nanos};

/// How the question travelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP.
    #[default]
    Udp,
    /// TCP.
    Tcp,
}

/// How a lookup ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The response code of the answer (RFC 1035 §4.1.1, extended by RFC 6891 §6.1.3).
    Answered(u16),
    /// No answer in time, or the socket was gone before one came.
    Timeout,
}

/// A lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The socket's cookie.
    pub cookie: u64,
    /// Process that owns the socket; 0: not known.
    pub pid: u32,
    /// Id of the cgroup that it belongs to; 0: not known.
    pub cgroup: u64,
    /// Client: this host asked; server: this host was asked.
    pub role: Role,
    /// How the question travelled.
    pub transport: Transport,
    /// The name server.
    pub server: SocketAddr,
    /// The name asked for, lower case, without the final dot.
    pub name: Box<str>,
    /// The type asked for (QTYPE).
    pub kind: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// When it was first asked.
    pub asked: Nanos,
    /// From there to the answer, or to the moment it was given up.
    pub duration: Duration,
    /// How often it was asked; 1: once.
    pub attempts: u32,
    /// Addresses answered, with their times to live, in seconds.
    pub addresses: Vec<(IpAddr, u32)>,
    /// The answer was truncated (TC).
    pub truncated: bool,
}
