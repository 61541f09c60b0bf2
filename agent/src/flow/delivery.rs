//! What the table hands on, and to whom.

use std::{net::SocketAddr, time::Duration};

use redtap_ebpf::Hint;

use super::{
    connection::{Flow, Progress, Tags},
    ending::{CloseReason, ConnectFailure},
    pairs::{Owner, Pairs},
};
use crate::{
    exchange::{Exchange, Role, StreamEnd},
    protocol::{dns::Heard, tls::Handshake},
    time::Nanos,
};

/// A connection, as whoever is delivered to sees it.
pub struct Link<'a> {
    /// The socket's cookie.
    pub cookie: u64,
    /// Which end opened it; `None`: not known.
    pub role: Option<Role>,
    /// Local address, once told.
    pub local: Option<SocketAddr>,
    /// Peer address, once told.
    pub peer: Option<SocketAddr>,
    /// The process that owns the socket.
    pub owner: Owner,
    /// Id of the cgroup the socket belongs to; 0: not known.
    pub cgroup: u64,
    /// When its handshake was completed, or it was first seen.
    pub opened: Nanos,
    /// Its opening was seen.
    pub is_new: bool,
    /// From SYN to the completed handshake, where this end connected.
    pub connect: Option<Duration>,
    /// The smoothed round-trip time, if it is known.
    pub round_trip: Option<Duration>,
    /// The deliverer's own notes.
    pub tags: &'a mut Tags,
    pairs: &'a Pairs,
}

impl<'a> Link<'a> {
    pub(super) fn of(cookie: u64, flow: &'a mut Flow, pairs: &'a Pairs) -> Self {
        Self {
            cookie,
            role: flow.account.role,
            local: flow.local,
            peer: flow.peer,
            owner: Owner { pid: flow.pid, comm: flow.comm },
            cgroup: flow.cgroup,
            opened: flow.account.opened,
            is_new: flow.account.is_new,
            connect: flow.account.connect,
            round_trip: flow.account.round_trip(),
            tags: &mut flow.tags,
            pairs,
        }
    }

    /// Who is at the other end, if that is a socket of this host that is known.
    #[must_use]
    pub fn other_end(&self) -> Option<Owner> {
        self.pairs.other_end(self.local?, self.peer?)
    }
}

/// Who reads what the table delivers.
pub trait Delivery {
    /// A finished exchange, with all that is known of its connection.
    fn exchange(&mut self, exchange: &Exchange, link: &mut Link<'_>);
    /// A stream opened.
    fn stream_opened(&mut self, stream: &StreamEnd, link: &mut Link<'_>);
    /// A stream ended.
    fn stream_closed(&mut self, stream: &StreamEnd, link: &mut Link<'_>);
    /// A connection is open and has carried this since the last time; `false`: too early to tell whose it is, to be
    /// asked again. `at_end`: for the last time.
    fn progress(&mut self, progress: &Progress, link: &mut Link<'_>, at_end: bool) -> bool;
    /// A connection has ended.
    fn closed(&mut self, reason: CloseReason, at: Nanos, link: &mut Link<'_>);
    /// A connect has failed.
    fn failed(&mut self, cause: ConnectFailure, at: Nanos, link: &mut Link<'_>);
    /// A TLS handshake has ended.
    fn handshake(&mut self, handshake: Box<Handshake>, link: &mut Link<'_>);
    /// A DNS message has passed.
    fn message(&mut self, heard: &Heard, link: &mut Link<'_>);
    /// The kernel should know this of a flow; `first` if it was told nothing of it before.
    fn hint(&mut self, cookie: u64, hint: Hint, first: bool);
    /// The kernel need not know of this flow any more.
    fn forget_hint(&mut self, cookie: u64);
    /// There may be live totals of this flow, which has ended, in the kernel.
    fn forget_live(&mut self, cookie: u64);
}
