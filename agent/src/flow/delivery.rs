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
    /// Whose socket it is.
    pub owner: Owner,
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
    other: Other<'a>,
}

/// Where it is looked up who is at the other end.
#[derive(Clone, Copy)]
enum Other<'a> {
    Pairs(&'a Pairs),
    Known(Option<Owner>),
}

/// A connection as it was, kept for later.
#[derive(Clone, Debug)]
pub struct Kept {
    cookie: u64,
    role: Option<Role>,
    local: Option<SocketAddr>,
    peer: Option<SocketAddr>,
    owner: Owner,
    opened: Nanos,
    is_new: bool,
    connect: Option<Duration>,
    round_trip: Option<Duration>,
    other: Option<Owner>,
    tags: Tags,
}

impl Kept {
    /// The connection, by what is known of its other end by now.
    #[must_use]
    pub fn link(&mut self, pairs: &Pairs) -> Link<'_> {
        let found = self.local.zip(self.peer).and_then(|(local, peer)| pairs.other_end(local, peer));
        self.other = found.or(self.other);
        Link {
            cookie: self.cookie,
            role: self.role,
            local: self.local,
            peer: self.peer,
            owner: self.owner,
            opened: self.opened,
            is_new: self.is_new,
            connect: self.connect,
            round_trip: self.round_trip,
            tags: &mut self.tags,
            other: Other::Known(self.other),
        }
    }
}

impl<'a> Link<'a> {
    pub(super) fn of(cookie: u64, flow: &'a mut Flow, pairs: &'a Pairs) -> Self {
        Self {
            cookie,
            role: flow.account.role,
            local: flow.local,
            peer: flow.peer,
            owner: flow.owner(),
            opened: flow.account.opened,
            is_new: flow.account.is_new,
            connect: flow.account.connect,
            round_trip: flow.account.round_trip(),
            tags: &mut flow.tags,
            other: Other::Pairs(pairs),
        }
    }

    /// A copy that outlives the connection.
    #[must_use]
    pub fn kept(&self) -> Kept {
        Kept {
            cookie: self.cookie,
            role: self.role,
            local: self.local,
            peer: self.peer,
            owner: self.owner,
            opened: self.opened,
            is_new: self.is_new,
            connect: self.connect,
            round_trip: self.round_trip,
            other: self.other_end(),
            tags: *self.tags,
        }
    }

    /// Who is at the other end, if that is a socket of this host that is known.
    #[must_use]
    pub fn other_end(&self) -> Option<Owner> {
        match self.other {
            Other::Pairs(pairs) => pairs.other_end(self.local?, self.peer?),
            Other::Known(owner) => owner,
        }
    }

    /// Whom the peer's address stands for, if it is known to stand for another.
    #[must_use]
    pub fn behind(&self) -> Option<SocketAddr> {
        match self.other {
            Other::Pairs(pairs) => pairs.behind(self.local?, self.peer?),
            Other::Known(_) => None,
        }
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
    /// A connection has ended; `last`: what it has carried since that was last told.
    fn closed(&mut self, reason: CloseReason, at: Nanos, last: Option<&Progress>, link: &mut Link<'_>);
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

/// Wants nothing of what is delivered.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl Delivery for Nobody {
    fn exchange(&mut self, _: &Exchange, _: &mut Link<'_>) {}
    fn stream_opened(&mut self, _: &StreamEnd, _: &mut Link<'_>) {}
    fn stream_closed(&mut self, _: &StreamEnd, _: &mut Link<'_>) {}
    fn progress(&mut self, _: &Progress, _: &mut Link<'_>, _: bool) -> bool {
        true
    }
    fn closed(&mut self, _: CloseReason, _: Nanos, _: Option<&Progress>, _: &mut Link<'_>) {}
    fn failed(&mut self, _: ConnectFailure, _: Nanos, _: &mut Link<'_>) {}
    fn handshake(&mut self, _: Box<Handshake>, _: &mut Link<'_>) {}
    fn message(&mut self, _: &Heard, _: &mut Link<'_>) {}
    fn hint(&mut self, _: u64, _: Hint, _: bool) {}
    fn forget_hint(&mut self, _: u64) {}
    fn forget_live(&mut self, _: u64) {}
}
