//! What becomes of what the flow table delivers: it is told whose it is, series are added to, lines printed. What nobody can
//! name yet waits.

mod delivery;
mod held;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use redtap_ebpf::{Datagram, UdpCounts, UdpKey, datagram};

use self::held::Waiting;
use crate::{
    decode::address,
    exchange::{Exchange, Role},
    export::{print::Printer, target::Target},
    flow::{Link, Owner, Untranslated},
    identity::{Identities, Identity, ServiceId, Who, names::Names, owners::Owners},
    net::{self, Ends, Peer, TcpKey},
    pipeline::{HintChange, Lines, Options},
    protocol::{
        Direction,
        dns::{self, Asker, Heard, Lookups, Transport},
    },
    red::{self, Exemplar},
    route::{RouteId, Routes},
    series::Place,
    time::{Nanos, WallOffset},
    trace::{Span, Spans},
};

/// How long the series of a service that is no more are exported: several scrapes.
const GONE_SERIES: Duration = Duration::from_secs(300);

/// How often they are looked for.
const CLEAR_EVERY: Duration = Duration::from_secs(30);

/// UDP sockets whose process is remembered.
const OWNERS: usize = 16_384;

/// Questions to name servers that wait for an answer at once, of the whole host.
const LOOKUPS: usize = 16_384;

/// How long they wait: twice what resolvers wait for by default (resolv.conf(5), `timeout`).
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// Marks a tag of an exchange's edge: the other end is on this host, and tells of the same requests.
const OTHER_END_TELLS: u32 = 1 << 31;

/// The side of a connection that this end is on. Of one whose beginning nobody saw, the lower port is the server's.
fn role(link: &Link<'_>) -> Option<Role> {
    let (local, peer) = (link.local?, link.peer?);
    let of_ports = if local.port() <= peer.port() { Role::Server } else { Role::Client };
    Some(link.role.unwrap_or(of_ports))
}

/// The peer's address, or that of the client which is known to stand behind it. A server's stays: whoever is behind a
/// service's address, that is who was asked.
fn begun_by(role: Role, link: &Link<'_>, peer: SocketAddr) -> SocketAddr {
    match role {
        Role::Client => peer,
        Role::Server => link.behind().unwrap_or(peer),
    }
}

/// The server's port; 0: the addresses are not known.
fn server_port(link: &Link<'_>) -> u16 {
    let server = match role(link) {
        Some(Role::Server) => link.local,
        Some(Role::Client) => link.peer,
        None => None,
    };
    server.map_or(0, |server| server.port())
}

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
    /// Templates of paths.
    pub routes: Routes,
    /// Whether connection tracking can be asked.
    pub translates: bool,
    /// Connections of which it is to be asked whom the peer's address stands for: cookie, local and peer address; the owner takes
    /// them.
    pub untranslated: Vec<Untranslated>,
    /// What waits until it is known whose it is.
    waiting: Waiting,
    printer: Option<Printer>,
    wall: WallOffset,
    /// The agent's own process, whose exchanges are left out; 0: none are.
    own_pid: u32,
    /// After which time series go of which nothing is told; zero: they never do.
    pub series_ttl: Duration,
    /// Tables of series of which it was said that they overflow.
    overflowing: Vec<&'static str>,
    /// When they last went.
    expired: Nanos,
    /// When the series of services that are no more last did.
    cleared: Nanos,
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
            routes: options.routes,
            translates: false,
            untranslated: Vec::new(),
            waiting: Waiting::default(),
            printer: options.printer,
            wall: options.wall,
            own_pid: options.own_pid,
            series_ttl: Duration::ZERO,
            overflowing: Vec::new(),
            expired: Nanos(0),
            cleared: Nanos(0),
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
        let ago = |time: Duration| Nanos(now.0.saturating_sub(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)));
        let silent_since = due.then(|| ago(ttl));
        self.registry.tick(now, wall, silent_since);
        self.net.tick(now, wall, silent_since);
        if now.since(self.cleared) >= CLEAR_EVERY {
            self.cleared = now;
            self.forget_gone(ago(GONE_SERIES));
        }
        self.say_what_overflows();
    }

    /// Says once of each table of series that its budget is spent.
    fn say_what_overflows(&mut self) {
        let requests = ("series", self.registry.overflowed());
        let others = self.net.tables().into_iter().map(|table| (table.name, table.overflowed));
        for (table, overflowed) in others.filter(|(name, _)| name.ends_with("_series")).chain([requests]) {
            if overflowed > 0 && !self.overflowing.contains(&table) {
                self.overflowing.push(table);
                tracing::warn!(
                    table,
                    "the budget of series is spent, and what is new goes to overflow series; redtap cardinality tells what \
                     the series are, --series-per-service and --series-total how many there may be"
                );
            }
        }
    }

    /// Services that are no more leave their series to be scraped for a while, and then go with them.
    fn forget_gone(&mut self, before: Nanos) {
        let gone = self.identities.gone_since(before, self.now);
        if gone.is_empty() {
            return;
        }
        self.registry.expire_of(before, &gone);
        self.net.expire_of(before, &gone);
        let mut in_use = self.registry.services_in_use();
        in_use.extend(self.net.services_in_use());
        gone.iter().filter(|service| !in_use.contains(*service)).for_each(|service| self.routes.forget(*service));
        self.identities.forget(&gone, |service| in_use.contains(&service));
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
            cgroup: datagram.cgroup,
            local: address(datagram.local, datagram.local_port),
            peer: address(datagram.peer, datagram.peer_port),
            transport: Transport::Udp,
        };
        let heard = Heard { direction, time: Nanos(datagram.time), message };
        if let Some(lookup) = self.lookups.heard(asker, &heard) {
            self.looked_up(lookup);
        }
    }

    /// What waits until it is known whose it is.
    #[must_use]
    pub const fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// Datagrams that passed between a socket and a peer since the last time.
    pub fn datagrams(&mut self, key: &UdpKey, counts: &UdpCounts) {
        let pid = if counts.pid == 0 { self.owners.of(key.cookie) } else { counts.pid };
        if self.own_pid != 0 && pid == self.own_pid {
            return;
        }
        let identity = self.identify(Owner { pid, ..Owner::default() });
        if !self.identities.watches(identity, key.port) {
            return;
        }
        let role = if key.is_server == 1 { Role::Server } else { Role::Client };
        let peer = self.named(SocketAddr::new(address(key.peer, 0).ip(), key.port));
        self.net.udp(net::UdpKey { service: identity.service, role, peer, port: key.port }, counts);
    }

    /// Gives up questions that have waited for long.
    pub fn expire_lookups(&mut self, now: Nanos) {
        let mut given_up = Vec::new();
        self.lookups.expire(now, &mut |lookup| given_up.push(lookup));
        given_up.into_iter().for_each(|lookup| self.looked_up(lookup));
    }

    fn identify(&mut self, owner: Owner) -> Identity {
        let Owner { pid, comm, cgroup } = owner;
        self.identities.identify(&Who { pid, comm, cgroup }, self.now)
    }

    fn is_own(&self, owner: Owner) -> bool {
        self.own_pid != 0 && owner.pid == self.own_pid
    }

    /// Whose a connection is, unless nobody wants to know of it: then the kernel is told so with its next record.
    fn whose(&mut self, link: &mut Link<'_>) -> Option<Identity> {
        if link.tags.is_ignored {
            return None;
        }
        let identity = self.identify(link.owner);
        // Nothing of the agent's own, whatever is asked for; of the rest, what is known to be not wanted.
        link.tags.is_ignored = self.is_own(link.owner) || !self.identities.watches(identity, server_port(link));
        (!link.tags.is_ignored).then_some(identity)
    }

    /// What a peer's address goes by.
    fn named(&mut self, address: SocketAddr) -> Peer {
        if let Some(service) = self.identities.of_address(address, self.now) {
            return Peer::Service(service);
        }
        let address = address.ip();
        let name = self.names.name(address).and_then(|name| self.net.name(&name));
        name.map_or_else(|| self.net.unnamed(address), Peer::Name)
    }

    /// What the other end of a connection goes by; `owner`: whose socket of this host it is, if it is one.
    fn other_end(&mut self, owner: Option<Owner>, peer: SocketAddr) -> Peer {
        let identity = owner.map(|owner| self.identify(owner));
        match identity.filter(|identity| identity.service != ServiceId::UNKNOWN) {
            Some(identity) => Peer::Service(identity.service),
            None => self.named(peer),
        }
    }

    /// Both ends of a connection, if its addresses are known.
    fn ends(&mut self, link: &Link<'_>) -> Option<Ends> {
        let (local, peer) = (link.local?, link.peer?);
        let role = role(link)?;
        let service = self.identify(link.owner).service;
        let other = self.other_end(link.other_end(), begun_by(role, link, peer));
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
            let other = self.other_end(owner, begun_by(exchange.role, link, peer));
            let (client, server) = match exchange.role {
                Role::Client => (Peer::Service(service), other),
                Role::Server => (other, Peer::Service(service)),
            };
            tag = self.net.edge(client, server).tag() | if owner.is_some() { OTHER_END_TELLS } else { 0 };
            // Who is at the other end may become known yet.
            if owner.is_none_or(|owner| self.identify(owner).is_known()) {
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
    /// The template of a request's path, on the server's side.
    fn route(&mut self, exchange: &Exchange, service: ServiceId) -> Option<RouteId> {
        let method = exchange.method.filter(|_| exchange.role == Role::Server)?;
        let path = Target::parse(method, &exchange.details.target).path?;
        let name = &self.identities.service(service).name;
        // Of paths that are none of the service's, and of cut ones, nothing is to be learnt.
        match exchange.partial || matches!(exchange.status, Some(404 | 405)) {
            true => self.routes.known(service, name, path),
            false => self.routes.of(service, name, path),
        }
    }

    /// Makes a span of an exchange, if it is sampled. Gives what ties its measurement to the trace.
    /// What a server answers to the agent itself is none, and counted: each export would be cause for another.
    fn trace(
        &mut self,
        exchange: &Exchange,
        service: ServiceId,
        route: Option<RouteId>,
        link: &Link<'_>,
    ) -> Option<Exemplar> {
        if self.own_pid != 0
            && self.tracing.exports()
            && exchange.role == Role::Server
            && link.other_end().is_some_and(|owner| owner.pid == self.own_pid)
        {
            self.own_spans += 1;
            return None;
        }
        let decision = self.tracing.decide(exchange, service);
        let ids = decision.ids?;
        if decision.export {
            self.spans.push(Span {
                ids,
                exchange: exchange.clone(),
                service: Arc::clone(self.identities.service(service)),
                route: route.and_then(|route| route.of(self.routes.all())).cloned(),
                executable: self.identities.executable(exchange.pid),
                vpid: self.identities.vpid(exchange.pid),
                wall: self.wall,
            });
        }
        let value = u64::try_from(exchange.duration()?.as_nanos()).unwrap_or(u64::MAX);
        let at = self.wall.epoch(exchange.times.response_last?);
        Some(Exemplar { trace_id: ids.trace_id, span_id: ids.span_id, value, at })
    }
}
