//! The table of connections: bounded, by cookie, and the way of what their parsers finish.

use std::{net::SocketAddr, time::Duration};

use hashbrown::HashMap;
use redtap_ebpf::{Closed, Opened, Role, Segment, Totals, closed, segment, tcp};

use super::{
    connection::{Flow, Translation, Verdict},
    delivery::{Delivery, Link},
    ended::Ended,
    ending::{CloseReason, ConnectFailure},
    handover::{deliver, progress, release},
    pairs::{Owner, Pairs},
};
use crate::{
    exchange::Role as Side,
    protocol::{Class, Output},
    time::Nanos,
};

/// Bounds of the table.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at most; beyond that the longest silent of a sample is forgotten.
    pub flows: usize,
    /// An exchange without an answer for so long is told as timed out.
    pub request_timeout: Duration,
}

/// Handshake-completing payload that waits for its connection, at most so many segments of it.
const MAX_EARLY: usize = 1024;

/// How long such payload waits.
const EARLY_TIME: Duration = Duration::from_secs(2);

/// How long a finished exchange waits for the acknowledgement of its answer.
const PARK_TIME: Duration = Duration::from_millis(200);

/// A connection that ended by FIN or RST, and whose end the kernel does not tell, is kept so long for stragglers.
const ENDED_TIME: Duration = Duration::from_secs(5);

/// A connection on which nothing waits is forgotten after so long without a segment; its end may have been lost.
const IDLE_TIME: Duration = Duration::from_secs(3600);

/// Room for fewer connections than this is kept after a burst.
const ROOM: usize = 4096;

/// Connections looked at for one to forget when the table is full.
const SAMPLE: usize = 32;

/// What the table counts; never decreases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Segments taken from the rings.
    pub segments: u64,
    /// Of those, parsed.
    pub parsed: u64,
    /// Of those, opaque.
    pub opaque: u64,
    /// Handshake-completing payload whose connection never showed, or that found no room.
    pub early_unclaimed: u64,
    /// Connections that appeared.
    pub opened: u64,
    /// Connections that ended.
    pub closed: u64,
    /// Connections forgotten for want of room.
    pub evicted: u64,
}

struct Early {
    header: Segment,
    bytes: Box<[u8]>,
}

/// Connections by socket cookie.
pub struct Table {
    flows: HashMap<u64, Box<Flow>>,
    ended: Ended,
    pairs: Pairs,
    early: Vec<Early>,
    parked: Vec<u64>,
    output: Output,
    limits: Limits,
    counts: Counts,
}

impl Table {
    /// An empty table; its parsers keep what `output` says.
    #[must_use]
    pub fn new(limits: Limits, output: Output) -> Self {
        Self {
            flows: HashMap::new(),
            ended: Ended::default(),
            pairs: Pairs::default(),
            early: Vec::new(),
            parked: Vec::new(),
            output,
            limits,
            counts: Counts::default(),
        }
    }

    /// Whether a list of connections that were open before the agent is being made: until it has been entered, no end of
    /// a connection is forgotten, as the list may have it still.
    pub const fn expect_existing(&mut self, expected: bool) {
        self.ended.is_kept = expected;
    }

    /// A connection that was open before the agent came; what the kernel has told of it meanwhile stands, its end
    /// above all. `role` is told by who listens, if anybody does.
    pub fn existing(
        &mut self,
        cookie: u64,
        local: SocketAddr,
        peer: SocketAddr,
        owner: Owner,
        role: Option<Side>,
        now: Nanos,
    ) {
        if !self.flows.contains_key(&cookie) {
            if self.flows.len() >= self.limits.flows || self.ended.has(cookie) {
                return;
            }
            self.counts.opened += 1;
        }
        let flow = self.flows.entry(cookie).or_default();
        if flow.pid == 0 {
            flow.pid = owner.pid;
        }
        if flow.cgroup == 0 {
            flow.cgroup = owner.cgroup;
        }
        if flow.local.is_none() {
            (flow.local, flow.peer) = (Some(local), Some(peer));
            self.pairs.opened(local, peer, cookie, flow.owner());
        }
        flow.touched = flow.touched.max(now);
        flow.account.existing(role, now);
        self.pairs.owned(local, peer, cookie, flow.owner());
    }

    /// The peer's address of a connection, which may have ended by now, stands for another; `None`: for itself.
    pub fn translated(&mut self, cookie: u64, local: SocketAddr, peer: SocketAddr, behind: Option<SocketAddr>) {
        if let Some(flow) = self.flows.get_mut(&cookie) {
            flow.tags.translation = Translation::Known;
        }
        if let Some(behind) = behind {
            self.pairs.translated(local, peer, cookie, behind);
        }
    }

    /// Who is at the ends of connections.
    #[must_use]
    pub const fn ends(&self) -> &Pairs {
        &self.pairs
    }

    /// Takes a window of a segment.
    pub fn segment(&mut self, header: &Segment, bytes: &[u8], delivery: &mut impl Delivery) {
        let first = header.flags & segment::FIRST != 0 && header.length > 0;
        self.counts.segments += u64::from(first);
        if header.cookie >> 63 == 1 {
            if header.length > 0 {
                self.keep_early(header, bytes);
            }
            return;
        }
        let flow = match self.flows.get_mut(&header.cookie) {
            Some(flow) => flow,
            None if self.ended.is_late(header.cookie, Nanos(header.time)) => {
                self.counts.opaque += u64::from(first);
                return;
            }
            None => {
                self.make_room(Nanos(header.time), delivery);
                self.counts.opened += 1;
                self.flows.entry(header.cookie).or_default()
            }
        };
        if header.acked != 0 {
            release(flow, Some(Nanos(header.acked)), header.cookie, &mut self.output, &self.pairs, delivery);
        }
        let owner = flow.owner();
        let verdict = flow.segment(header, bytes, &mut self.output);
        count(&mut self.counts, verdict);
        if flow.owner() != owner
            && let (Some(local), Some(peer)) = (flow.local, flow.peer)
        {
            self.pairs.owned(local, peer, header.cookie, flow.owner());
        }
        if let Some(hint) = flow.hint() {
            delivery.hint(header.cookie, hint, !flow.hinted);
            flow.hinted = true;
        }
        deliver(header.cookie, flow, &mut self.output, &mut self.parked, &self.pairs, delivery);
    }

    /// A connection appears; payload that came before its socket is claimed.
    pub fn opened(&mut self, opened: &Opened, delivery: &mut impl Delivery) {
        if self.ended.is_late(opened.cookie, Nanos(opened.time)) {
            return;
        }
        if !self.flows.contains_key(&opened.cookie) {
            self.make_room(Nanos(opened.time), delivery);
            self.counts.opened += 1;
        }
        let flow = self.flows.entry(opened.cookie).or_default();
        flow.touched = Nanos(opened.time);
        flow.opened(opened);
        if let (Some(local), Some(peer)) = (flow.local, flow.peer) {
            self.pairs.opened(local, peer, opened.cookie, flow.owner());
        }
        if opened.role == Role::Passive as u8 && !self.early.is_empty() {
            self.claim_early(opened, delivery);
        }
    }

    /// A connection ends, or a connect fails.
    pub fn closed(&mut self, closed: &Closed, delivery: &mut impl Delivery) {
        if closed.flags & closed::LIVE != 0 {
            delivery.forget_live(closed.cookie);
        }
        let Some(mut flow) = self.flows.remove(&closed.cookie) else { return };
        let acked = (closed.acked != 0).then_some(Nanos(closed.acked));
        release(&mut flow, acked, closed.cookie, &mut self.output, &self.pairs, delivery);
        let verdict = flow.closed(closed, &mut self.output);
        let ended = match ConnectFailure::of(closed) {
            Some(cause) if flow.account.role == Some(Side::Client) => Fate::Failed(cause),
            _ => Fate::Closed(CloseReason::of(closed)),
        };
        self.ended.note(closed.cookie, Nanos(closed.time));
        self.finish(closed.cookie, &mut flow, verdict, ended, Nanos(closed.time), delivery);
    }

    /// What the kernel says that a connection has carried, of which no record tells. `false`: the connection is not
    /// known.
    pub fn live(&mut self, cookie: u64, totals: &Totals, now: Nanos) -> bool {
        let Some(flow) = self.flows.get_mut(&cookie) else { return false };
        if flow.account.totals(totals) {
            flow.touched = now;
        }
        true
    }

    /// Tells what connections have carried since the last time.
    pub fn tell_progress(&mut self, delivery: &mut impl Delivery) {
        for (cookie, flow) in &mut self.flows {
            progress(*cookie, flow, false, &self.pairs, delivery);
        }
    }

    /// Tells what has waited long enough at `now`: finished exchanges without an acknowledgement, requests without
    /// an answer; forgets what has ended. To be called several times a second.
    pub fn sweep(&mut self, now: Nanos, delivery: &mut impl Delivery) {
        let (flows, output, pairs) = (&mut self.flows, &mut self.output, &self.pairs);
        self.parked.retain(|cookie| {
            let Some(flow) = flows.get_mut(cookie) else { return false };
            let ripe = flow
                .parked
                .as_ref()
                .is_none_or(|parked| parked.times.response_last.is_none_or(|last| now.since(last) >= PARK_TIME));
            if ripe {
                flow.listed = false;
                release(flow, None, *cookie, output, pairs, delivery);
            }
            !ripe
        });
    }

    /// The slower part of the sweep, over all connections: to be called about once a second.
    pub fn expire(&mut self, now: Nanos, delivery: &mut impl Delivery) {
        let timeout = u64::try_from(self.limits.request_timeout.as_nanos()).unwrap_or(u64::MAX);
        let oldest = Nanos(now.0.saturating_sub(timeout));
        let mut ended = Vec::new();
        for (cookie, flow) in &mut self.flows {
            flow.expire(oldest, now, &mut self.output);
            deliver(*cookie, flow, &mut self.output, &mut self.parked, &self.pairs, delivery);
            progress(*cookie, flow, false, &self.pairs, delivery);
            let silent = now.since(flow.touched);
            if (flow.has_ended() && silent > ENDED_TIME) || (flow.is_idle() && silent > IDLE_TIME) {
                ended.push(*cookie);
            }
        }
        for cookie in ended {
            self.forget(cookie, now, delivery);
        }
        self.pairs.expire(now);
        self.ended.expire(now);
        if self.flows.capacity() > ROOM.max(self.flows.len() * 4) {
            self.flows.shrink_to(self.flows.len() * 2);
        }
        let unclaimed = &mut self.counts.early_unclaimed;
        self.early.retain(|early| {
            let waits = now.since(Nanos(early.header.time)) < EARLY_TIME;
            *unclaimed += u64::from(!waits && early.header.flags & segment::FIRST != 0);
            waits
        });
    }

    /// The agent stops: everything that waits is told as it is.
    pub fn stop(&mut self, delivery: &mut impl Delivery) {
        let cookies: Vec<u64> = self.flows.keys().copied().collect();
        for cookie in cookies {
            if let Some(flow) = self.flows.get_mut(&cookie) {
                release(flow, None, cookie, &mut self.output, &self.pairs, delivery);
                progress(cookie, flow, true, &self.pairs, delivery);
            }
        }
    }

    /// Connections of each class.
    #[must_use]
    pub fn classes(&self) -> [(&'static str, u64); 6] {
        let mut classes = [("undecided", 0), ("http", 0), ("opaque", 0), ("stream", 0), ("tls", 0), ("dns", 0)];
        for flow in self.flows.values() {
            classes[match flow.class() {
                Class::Undecided => 0,
                Class::Http1 => 1,
                Class::Opaque => 2,
                Class::Stream => 3,
                Class::Tls => 4,
                Class::Dns => 5,
            }]
            .1 += 1;
        }
        classes
    }

    /// Address pairs of sockets that are remembered.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// Connections in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Bytes of payload and of unfinished exchanges that are kept, of all connections.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        let early = self.early.iter().map(|early| size_of::<Early>() + early.bytes.len());
        self.flows.values().map(|flow| flow.kept_bytes()).sum::<usize>() + early.sum::<usize>()
    }

    /// Connections the table holds at most.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limits.flows
    }

    /// What was counted.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    fn keep_early(&mut self, header: &Segment, bytes: &[u8]) {
        if self.early.len() >= MAX_EARLY {
            self.counts.early_unclaimed += u64::from(header.flags & segment::FIRST != 0);
            return;
        }
        self.early.push(Early { header: *header, bytes: bytes.into() });
    }

    fn claim_early(&mut self, opened: &Opened, delivery: &mut impl Delivery) {
        let [.., a, b, c, d] = opened.peer;
        let low = u32::from_ne_bytes([a, b, c, d]);
        let key = tcp::early_cookie(low, opened.peer_port, opened.local_port);
        while let Some(index) = self.early.iter().position(|early| early.header.cookie == key) {
            let early = self.early.remove(index);
            // Counted when it came; here it only takes its place.
            self.counts.segments -= u64::from(early.header.flags & segment::FIRST != 0);
            self.segment(&Segment { cookie: opened.cookie, ..early.header }, &early.bytes, delivery);
        }
    }

    fn make_room(&mut self, now: Nanos, delivery: &mut impl Delivery) {
        if self.flows.len() < self.limits.flows {
            return;
        }
        let oldest =
            self.flows.iter().take(SAMPLE).min_by_key(|(_, flow)| flow.touched).map(|(cookie, _)| *cookie);
        if let Some(cookie) = oldest {
            self.counts.evicted += 1;
            self.forget(cookie, now, delivery);
        }
    }

    fn forget(&mut self, cookie: u64, now: Nanos, delivery: &mut impl Delivery) {
        let Some(mut flow) = self.flows.remove(&cookie) else { return };
        release(&mut flow, None, cookie, &mut self.output, &self.pairs, delivery);
        let verdict = flow.forgotten(now, &mut self.output);
        let ended = Fate::Closed(flow.ended_by());
        self.finish(cookie, &mut flow, verdict, ended, now, delivery);
    }

    /// The last of a connection that is out of the table.
    fn finish(
        &mut self,
        cookie: u64,
        flow: &mut Flow,
        verdict: Verdict,
        ended: Fate,
        now: Nanos,
        delivery: &mut impl Delivery,
    ) {
        self.counts.closed += 1;
        count(&mut self.counts, verdict);
        if flow.hinted {
            delivery.forget_hint(cookie);
        }
        deliver(cookie, flow, &mut self.output, &mut self.parked, &self.pairs, delivery);
        release(flow, None, cookie, &mut self.output, &self.pairs, delivery);
        match ended {
            Fate::Failed(cause) => delivery.failed(cause, now, &mut Link::of(cookie, flow, &self.pairs)),
            Fate::Closed(reason) => {
                let last = flow.progress();
                delivery.closed(reason, now, last.as_ref(), &mut Link::of(cookie, flow, &self.pairs));
            }
        }
        if let (Some(local), Some(peer)) = (flow.local, flow.peer) {
            self.pairs.closed(local, peer, now);
        }
    }
}

/// What became of a connection.
enum Fate {
    Closed(CloseReason),
    Failed(ConnectFailure),
}

fn count(counts: &mut Counts, verdict: Verdict) {
    counts.parsed += verdict.parsed;
    counts.opaque += verdict.opaque;
}
