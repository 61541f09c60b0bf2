//! What becomes of what the flow table delivers: services are named, series added to, lines printed.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use redtap_ebpf::{Datagram, Hint, UdpCounts, UdpKey, datagram};

use crate::{
    decode::address,
    exchange::{Exchange, Outcome, Role, StreamEnd},
    export::print::Printer,
    flow::{CloseReason, ConnectFailure, Delivery, Link, Owner, Progress},
    identity::{Identities, ServiceId, names::Names, owners::Owners},
    net::{self, EdgeChange, Ends, Peer, TcpKey},
    pipeline::{HintChange, Lines, Options},
    protocol::{
        Direction,
        dns::{self, Asker, Heard, Lookup, Lookups, Transport},
        tls::Handshake,
    },
    red::{self, Exemplar},
    series::Place,
    time::{Nanos, WallOffset},
    trace::{Span, Spans},
};

/// How long a connection waits for the processes at its ends to be known: that of an accepted one is, once it is read
/// from.
const OWNER_PATIENCE: Duration = Duration::from_secs(10);

/// A connection that lasted for longer counts as persistent in the graph.
const PERSISTENT: Duration = Duration::from_secs(10);

/// UDP sockets whose process is remembered.
const OWNERS: usize = 16_384;

/// Questions to name servers that wait for an answer at once, of the whole host.
const LOOKUPS: usize = 16_384;

/// How long they wait: twice what resolvers wait for by default (resolv.conf(5), `timeout`).
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// Marks a tag of an exchange's edge: the other end is on this host, and tells of the same requests.
const OTHER_END_TELLS: u32 = 1 << 31;

/// Everything behind the flow table.
pub struct Sinks {
    /// Names of processes.
    pub identities: Identities,
    /// Names of addresses, heard in passing.
    pub names: Names,
    /// Processes that use UDP sockets.
    pub owners: Owners,
    /// Metrics of requests.
    pub registry: red::Registry,
    /// Metrics of connections.
    pub net: net::Registry,
    /// Questions to name servers.
    pub lookups: Lookups,
    /// Changes to tell the kernel; the owner takes them.
    pub hints: Vec<HintChange>,
    /// Flows whose live totals the kernel may forget; the owner takes them.
    pub not_live: Vec<u64>,
    /// What was printed; the owner takes it.
    pub lines: Lines,
    /// Sampled exchanges; the owner takes them.
    pub spans: Vec<Span>,
    /// Which exchanges those are.
    pub tracing: Spans,
    /// Answers to the agent itself, which are none.
    pub own_spans: u64,
    /// The present, as the records tell it.
    pub now: Nanos,
    /// DNS messages that could not be read.
    pub messages_malformed: u64,
    printer: Option<Printer>,
    wall: WallOffset,
    /// The agent's own process, whose exchanges are left out; 0: none are.
    own_pid: u32,
    /// After which time series go of which nothing is told; zero: they never do.
    pub series_ttl: Duration,
    /// When they last went.
    expired: Nanos,
}

impl Sinks {
    /// Nothing delivered yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            identities: options.identities,
            names: Names::new(options.names),
            owners: Owners::new(OWNERS),
            registry: options.registry,
            net: options.net,
            lookups: Lookups::new(LOOKUPS, LOOKUP_TIMEOUT),
            hints: Vec::new(),
            not_live: Vec::new(),
            lines: Lines::default(),
            spans: Vec::new(),
            tracing: options.tracing,
            own_spans: 0,
            now: Nanos(0),
            messages_malformed: 0,
            printer: options.printer,
            wall: options.wall,
            own_pid: options.own_pid,
            series_ttl: Duration::ZERO,
            expired: Nanos(0),
        }
    }

    /// About every second: the wall clock may have been set, and series may have been silent for long.
    pub fn tick(&mut self, now: Nanos, wall: WallOffset) {
        self.wall = wall;
        let ttl = self.series_ttl;
        let due = ttl > Duration::ZERO && now.since(self.expired) >= (ttl / 16).max(Duration::from_secs(1));
        if due {
            self.expired = now;
        }
        let silent_since = Nanos(now.0.saturating_sub(u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX)));
        let silent_since = due.then_some(silent_since);
        self.registry.tick(now, wall, silent_since);
        self.net.tick(now, wall, silent_since);
    }

    /// A datagram to or from a name server.
    pub fn datagram(&mut self, datagram: &Datagram, payload: &[u8]) {
        let Some(message) = dns::parse(payload) else {
            self.messages_malformed += 1;
            return;
        };
        let is_sent = datagram.flags & datagram::EGRESS != 0;
        let direction = if is_sent { Direction::Tx } else { Direction::Rx };
        let asker = Asker {
            cookie: datagram.cookie,
            pid: if datagram.pid == 0 { self.owners.of(datagram.cookie) } else { datagram.pid },
            local: address(datagram.local, datagram.local_port),
            peer: address(datagram.peer, datagram.peer_port),
            transport: Transport::Udp,
        };
        let heard = Heard { direction, time: Nanos(datagram.time), message };
        if let Some(lookup) = self.lookups.heard(asker, &heard) {
            self.looked_up(&lookup);
        }
    }

    /// Datagrams that passed between a socket and a peer since the last time.
    pub fn datagrams(&mut self, key: &UdpKey, counts: &UdpCounts) {
        let pid = if counts.pid == 0 { self.owners.of(key.cookie) } else { counts.pid };
        if self.own_pid != 0 && pid == self.own_pid {
            return;
        }
        let service = self.service(pid, &[0; 16]);
        let role = if key.is_server == 1 { Role::Server } else { Role::Client };
        let peer = self.named(address(key.peer, 0).ip());
        self.net.udp(net::UdpKey { service, role, peer, port: key.port }, counts);
    }

    /// Gives up questions that have waited for long.
    pub fn expire_lookups(&mut self, now: Nanos) {
        let mut given_up = Vec::new();
        self.lookups.expire(now, &mut |lookup| given_up.push(lookup));
        given_up.iter().for_each(|lookup| self.looked_up(lookup));
    }

    fn looked_up(&mut self, lookup: &Lookup) {
        for (address, _) in &lookup.addresses {
            self.names.learn(*address, &lookup.name, self.now);
        }
        let service = self.service(lookup.pid, &[0; 16]);
        self.net.dns(service, lookup);
    }

    fn service(&mut self, pid: u32, comm: &[u8; 16]) -> ServiceId {
        self.identities.service_of(pid, comm, self.now)
    }

    fn is_own(&self, link: &Link<'_>) -> bool {
        self.own_pid != 0 && link.owner.pid == self.own_pid
    }

    /// What a peer's address goes by.
    fn named(&mut self, address: IpAddr) -> Peer {
        let name = self.names.name(address).and_then(|name| self.net.name(&name));
        name.map_or_else(|| self.net.unnamed(address), Peer::Name)
    }

    /// What the other end of a connection goes by; `owner`: whose socket of this host it is, if it is one.
    fn other_end(&mut self, owner: Option<Owner>, peer: SocketAddr) -> Peer {
        match owner {
            Some(owner) if owner.pid != 0 => Peer::Service(self.service(owner.pid, &owner.comm)),
            _ => self.named(peer.ip()),
        }
    }

    /// Both ends of a connection, if its addresses are known.
    fn ends(&mut self, link: &Link<'_>) -> Option<Ends> {
        let (local, peer) = (link.local?, link.peer?);
        let service = self.service(link.owner.pid, &link.owner.comm);
        let other = self.other_end(link.other_end(), peer);
        // Of a connection whose beginning nobody saw, the lower port is the server's.
        let role = link.role.unwrap_or(if local.port() <= peer.port() { Role::Server } else { Role::Client });
        let this = Peer::Service(service);
        Some(match role {
            Role::Client => {
                Ends { role, service, client: local, server: peer, client_peer: this, server_peer: other }
            }
            Role::Server => {
                Ends { role, service, client: peer, server: local, client_peer: other, server_peer: this }
            }
        })
    }

    /// The series of a connection.
    fn series(&mut self, ends: &Ends, link: &mut Link<'_>) -> Place {
        if let Some(id) = Place::from_tag(link.tags.connection) {
            return id;
        }
        let peer = match ends.role {
            Role::Client => ends.server_peer,
            Role::Server => ends.client_peer,
        };
        let key = TcpKey { service: ends.service, role: ends.role, peer, port: ends.server.port() };
        let id = self.net.tcp(key);
        link.tags.connection = id.tag();
        id
    }

    /// A request passed between two services.
    fn request(&mut self, exchange: &Exchange, service: ServiceId, link: &mut Link<'_>) {
        let mut tag = link.tags.exchanges;
        let is_known = Place::from_tag(tag & !OTHER_END_TELLS).is_some_and(|edge| self.net.has_edge(edge));
        if !is_known {
            let Some(peer) = link.peer else { return };
            let owner = link.other_end();
            let other = self.other_end(owner, peer);
            let (client, server) = match exchange.role {
                Role::Client => (Peer::Service(service), other),
                Role::Server => (other, Peer::Service(service)),
            };
            tag = self.net.edge(client, server).tag() | if owner.is_some() { OTHER_END_TELLS } else { 0 };
            // Who is at the other end may become known yet.
            if owner.is_none_or(|owner| owner.pid != 0) {
                link.tags.exchanges = tag;
            }
        }
        let other_end_tells = tag & OTHER_END_TELLS != 0;
        let Some(edge) = Place::from_tag(tag & !OTHER_END_TELLS) else { return };
        let counts = exchange.role == Role::Client || !other_end_tells;
        let failed = exchange.error_type().is_some();
        self.net.request(edge, exchange.role, counts, failed, exchange.duration(), !other_end_tells);
    }
}

impl Sinks {
    /// Makes a span of an exchange, if it is sampled. Gives what ties its measurement to the trace.
    /// What a server answers to the agent itself is none, and counted: each export would be cause for another.
    fn trace(&mut self, exchange: &Exchange, service: ServiceId, link: &Link<'_>) -> Option<Exemplar> {
        let asked_by = link.other_end().map(|owner| owner.pid).filter(|_| exchange.role == Role::Server);
        if self.own_pid != 0 && asked_by == Some(self.own_pid) {
            self.own_spans += u64::from(self.tracing.exports());
            return None;
        }
        let decision = self.tracing.decide(exchange, service);
        let ids = decision.ids?;
        if decision.export {
            self.spans.push(Span {
                ids,
                exchange: exchange.clone(),
                service: self.identities.name_arc(service),
                executable: self.identities.executable(exchange.pid),
                wall: self.wall,
            });
        }
        let value = u64::try_from(exchange.duration()?.as_nanos()).unwrap_or(u64::MAX);
        let at = self.wall.epoch(exchange.times.response_last?);
        Some(Exemplar { trace_id: ids.trace_id, span_id: ids.span_id, value, at })
    }
}

impl Delivery for Sinks {
    fn exchange(&mut self, exchange: &Exchange, link: &mut Link<'_>) {
        if self.is_own(link) {
            return;
        }
        let service = self.service(exchange.pid, &link.owner.comm);
        let exemplar = self.trace(exchange, service, link);
        self.registry.record(exchange, service, exemplar);
        if exchange.outcome != Outcome::Unobserved {
            self.request(exchange, service, link);
        }
        if let Some(printer) = &mut self.printer {
            let name = if service == ServiceId::UNKNOWN { "" } else { self.identities.name(service) };
            // Writing to memory does not fail.
            let _ = printer.exchange(exchange, name, self.wall, &mut self.lines.bytes);
            self.lines.count += 1;
        }
    }

    fn stream_opened(&mut self, stream: &StreamEnd, link: &mut Link<'_>) {
        let service = self.service(stream.pid, &link.owner.comm);
        self.registry.stream_opened(stream.kind, stream.role, service);
    }

    fn stream_closed(&mut self, stream: &StreamEnd, link: &mut Link<'_>) {
        let service = self.service(stream.pid, &link.owner.comm);
        self.registry.stream_closed(stream, service);
        if let Some(printer) = &mut self.printer {
            let name = if service == ServiceId::UNKNOWN { "" } else { self.identities.name(service) };
            // Writing to memory does not fail.
            let _ = printer.stream(stream, name, self.wall, &mut self.lines.bytes);
            self.lines.count += 1;
        }
    }

    fn progress(&mut self, progress: &Progress, link: &mut Link<'_>, at_end: bool) -> bool {
        if self.is_own(link) {
            return true;
        }
        let unknown = link.owner.pid == 0 || link.other_end().is_some_and(|owner| owner.pid == 0);
        if unknown && !at_end && self.now.since(link.opened) < OWNER_PATIENCE {
            return false;
        }
        let Some(ends) = self.ends(link) else { return at_end };
        let id = self.series(&ends, link);
        let opened = progress.is_first && link.is_new;
        if opened {
            self.net.tcp_opened(id, link.connect.filter(|_| ends.role == Role::Client));
        }
        if progress.is_first {
            self.net.tcp_active(id, 1);
        }
        let carried = &progress.carried;
        let has_moved = carried.rx_bytes > 0 || carried.tx_bytes > 0;
        self.net.tcp_progress(id, carried, link.round_trip.filter(|_| has_moved));
        let (sent, received) = match ends.role {
            Role::Client => (carried.tx_bytes, carried.rx_bytes),
            Role::Server => (carried.rx_bytes, carried.tx_bytes),
        };
        let change = EdgeChange {
            opened: u64::from(progress.is_first),
            sent,
            received,
            retransmits: u64::from(carried.retransmits),
            at: self.wall.epoch(self.now),
            ..EdgeChange::default()
        };
        self.net.connection(&ends, &change);
        true
    }

    fn closed(&mut self, reason: CloseReason, at: Nanos, link: &mut Link<'_>) {
        let mut given_up = Vec::new();
        self.lookups.closed(link.cookie, at, &mut |lookup| given_up.push(lookup));
        given_up.iter().for_each(|lookup| self.looked_up(lookup));
        let Some(id) = Place::from_tag(link.tags.connection) else { return };
        let lasted = at.since(link.opened);
        self.net.tcp_active(id, -1);
        self.net.tcp_closed(id, reason, link.is_new.then_some(lasted));
        if let Some(ends) = self.ends(link) {
            let change = EdgeChange {
                closed: 1,
                persistent: u64::from(lasted > PERSISTENT),
                lasted,
                at: self.wall.epoch(at),
                ..EdgeChange::default()
            };
            self.net.connection(&ends, &change);
        }
    }

    fn failed(&mut self, cause: ConnectFailure, at: Nanos, link: &mut Link<'_>) {
        if self.is_own(link) {
            return;
        }
        let Some(ends) = self.ends(link) else { return };
        let id = self.series(&ends, link);
        self.net.tcp_failed(id, cause, Some(at.since(link.opened)));
    }

    fn handshake(&mut self, handshake: Box<Handshake>, link: &mut Link<'_>) {
        if self.is_own(link) {
            return;
        }
        if let (Role::Client, Some(peer), Some(name)) = (handshake.role, link.peer, &handshake.server_name) {
            self.names.learn(peer.ip(), name, self.now);
        }
        if let Some(ends) = self.ends(link) {
            let at = self.wall.epoch(self.now);
            self.net.tls(&Ends { role: handshake.role, ..ends }, *handshake, at);
        }
    }

    fn message(&mut self, heard: &Heard, link: &mut Link<'_>) {
        let (Some(local), Some(peer)) = (link.local, link.peer) else { return };
        let transport = Transport::Tcp;
        let asker = Asker { cookie: link.cookie, pid: link.owner.pid, local, peer, transport };
        if let Some(lookup) = self.lookups.heard(asker, heard) {
            self.looked_up(&lookup);
        }
    }

    fn hint(&mut self, cookie: u64, hint: Hint, first: bool) {
        self.hints.push(HintChange::Set(cookie, hint, first));
    }

    fn forget_hint(&mut self, cookie: u64) {
        self.hints.push(HintChange::Forget(cookie));
    }

    fn forget_live(&mut self, cookie: u64) {
        self.not_live.push(cookie);
    }
}
