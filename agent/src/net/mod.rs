//! Connections: what passes on them, how well, between whom.
//!
//! [`Registry`] belongs to the reader thread and takes no lock. What is told often finds its series by a place that was
//! given once, and adds to it. Every table is bounded, and says how full it is and what it had no room for.
//! Exporters see a [`Snapshot`].

mod dns;
mod edges;
mod handshakes;
mod measure;
mod peer;
mod recent;
mod requests;
mod snapshot;
mod tcp;
mod text;
mod tls;
mod udp;

use std::{net::IpAddr, sync::Arc, time::Duration};

use hashbrown::{HashMap, HashSet};
use redtap_ebpf::{Totals, udp::UdpCounts};

use self::{
    dns::Dns,
    edges::{Edge, EdgeKey, Edges},
    handshakes::Handshakes,
    peer::Names,
    recent::Recent,
    requests::Requests,
    tcp::Tcp,
    tls::Tls,
};
pub use self::{
    dns::{DnsError, DnsLabels, DnsSeries, DnsStats},
    edges::{EdgeChange, Ends},
    handshakes::HANDSHAKE_BYTES,
    measure::{CONNECT, LIFE, ROUND_TRIP},
    peer::{AddressClass, LONGEST_NAME, NameId, Peer},
    requests::{RequestEdge, RequestKey, RequestStats},
    snapshot::{EdgeView, HandshakeView, RequestEdgeView, Snapshot, TableUse, Want},
    tcp::{
        CLOSE_REASONS, CONNECT_FAILURES, CloseReason, ConnectFailure, Failures, PeerLabels, TcpKey, TcpSeries,
        TcpStats,
    },
    tls::{
        CertificateLabels, CertificateSeries, NotAfter, TlsDurations, TlsError, TlsLabels, TlsSeries,
        VersionLabels,
    },
    udp::{UdpKey, UdpSeries, UdpStats},
};
use crate::{
    exchange::Role,
    identity::{Service, ServiceId},
    protocol::{dns::Lookup, tls::Handshake},
    series::{Budget, Place, Table},
    time::{Nanos, WallOffset},
};

/// How many TLS handshakes are kept whole: as many as a page of them is read for.
pub const HANDSHAKES: usize = 4096;

/// What a [`Registry`] keeps and how much of it.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Most series of one service in one table, both roles together.
    pub series_per_service: usize,
    /// Most series in one table.
    pub series_total: usize,
    /// Most names of peers.
    pub names: usize,
    /// Most edges of the graph of connections, and of that of services.
    pub edges: usize,
    /// Most TLS handshakes kept whole.
    pub handshakes: usize,
    /// Tell peers without a name by their address rather than by its class.
    pub addresses: bool,
    /// Keep the graph of services.
    pub service_graph: bool,
    /// Export the requests as metrics of spans, too.
    pub span_metrics: bool,
}

/// All series and graphs of this host's connections.
#[derive(Debug)]
pub struct Registry {
    options: Options,
    names: Names,
    tcp: Tcp,
    udp: Table<PeerLabels, UdpStats>,
    dns: Dns,
    tls: Tls,
    edges: Edges,
    handshakes: Handshakes,
    requests: Requests,
}

impl Registry {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let budget = Budget { per_service: options.series_per_service, total: options.series_total };
        Self {
            options,
            names: Names::new(options.names),
            tcp: Tcp::new(budget),
            udp: Table::new(budget),
            dns: Dns::new(budget),
            tls: Tls::new(budget),
            edges: Recent::new(options.edges),
            handshakes: Handshakes::new(options.handshakes),
            requests: Requests::new(options.edges),
        }
    }

    /// The id of a peer's name; `None` if it is empty or overlong, or the table of names is full.
    pub fn name(&mut self, name: &str) -> Option<NameId> {
        self.names.intern(name)
    }

    /// A peer of which nothing but its address is known: the address, if addresses are asked for, else its class.
    #[must_use]
    pub fn unnamed(&self, address: IpAddr) -> Peer {
        match self.options.addresses {
            true => Peer::Address(address.to_canonical()),
            false => Peer::Class(AddressClass::of(address)),
        }
    }

    /// The present, about every second. Series of which nothing was told since `silent_since` go, but for those of open
    /// connections.
    pub fn tick(&mut self, now: Nanos, wall: WallOffset, silent_since: Option<Nanos>) {
        self.tcp.table_mut().tick(now, wall);
        self.udp.tick(now, wall);
        self.dns.table_mut().tick(now, wall);
        self.requests.table_mut().tick(now, wall);
        self.tls.tick(now, wall, silent_since);
        if let Some(before) = silent_since {
            self.tcp.table_mut().expire(before, |stats| stats.active != 0);
            self.udp.expire(before, |_| false);
            self.dns.table_mut().expire(before, |_| false);
            self.requests.table_mut().expire(before, |_| false);
        }
    }

    /// Series of services of `gone` go of which nothing was told since `before`, but for those of open connections.
    pub fn expire_of(&mut self, before: Nanos, gone: &HashSet<ServiceId>) {
        self.tcp.table_mut().expire_of(before, gone, |stats| stats.active != 0);
        self.udp.expire_of(before, gone, |_| false);
        self.dns.table_mut().expire_of(before, gone, |_| false);
        self.tls.expire_of(before, gone);
    }

    /// The series of a connection, or the overflow series that takes it. It stays as long as the connection is counted as
    /// active: ask once for each.
    pub fn tcp(&mut self, key: TcpKey) -> Place {
        self.tcp.series(&key)
    }

    /// A connection came about; `handshake` is the time from its SYN, where this end sent that.
    pub fn tcp_opened(&mut self, id: Place, handshake: Option<Duration>) {
        if let Some(stats) = self.tcp.get_mut(id) {
            stats.open(handshake);
        }
    }

    /// What passed on a connection since the last time; of `delta` the smoothed round-trip time is not read, but
    /// `rtt`, a measurement of it.
    pub fn tcp_progress(&mut self, id: Place, delta: &Totals, rtt: Option<Duration>) {
        if let Some(stats) = self.tcp.get_mut(id) {
            stats.progress(delta, rtt);
        }
    }

    /// More or fewer connections are open.
    pub fn tcp_active(&mut self, id: Place, change: i64) {
        if let Some(stats) = self.tcp.get_mut(id) {
            stats.active += change;
        }
    }

    /// A connection ended.
    pub fn tcp_closed(&mut self, id: Place, reason: CloseReason, lasted: Option<Duration>) {
        if let Some(stats) = self.tcp.get_mut(id) {
            stats.close(reason, lasted);
        }
    }

    /// A connection did not come about; `after` is the time from its SYN.
    pub fn tcp_failed(&mut self, id: Place, cause: ConnectFailure, after: Option<Duration>) {
        if let Some(stats) = self.tcp.get_mut(id) {
            stats.fail(cause, after);
        }
    }

    /// Datagrams that passed since the last time.
    pub fn udp(&mut self, key: UdpKey, counts: &UdpCounts) {
        let labels = PeerLabels { peer: key.peer, port: key.port };
        let place = self.udp.place(key.service, key.role, &labels, || labels);
        if let Some(stats) = self.udp.get_mut(place) {
            stats.add(counts);
        }
    }

    /// A lookup that ended.
    pub fn dns(&mut self, service: ServiceId, lookup: &Lookup) {
        self.dns.record(service, lookup);
    }

    /// A TLS handshake that ended `at` nanoseconds since 1970.
    pub fn tls(&mut self, ends: &Ends, handshake: Handshake, at: u64) {
        let server = match ends.server_peer {
            Peer::Name(name) => name.of(self.names.all()).map(|name| &**name),
            Peer::Service(_) | Peer::Class(_) | Peer::Address(_) => None,
        };
        self.tls.record(ends.service, ends.role, server, &handshake);
        self.handshakes.keep(ends, handshake, at);
    }

    /// Something happened on a connection: for the graph of connections. Where both ends are observed, both may tell.
    pub fn connection(&mut self, ends: &Ends, change: &EdgeChange) {
        self.edges.see(EdgeKey::of(ends), || Edge::new(ends)).add(ends, change);
    }

    /// The edge of the graph of services between two ends, or the one that takes it; [`Place::NONE`] if there is no such
    /// graph.
    pub fn edge(&mut self, client: Peer, server: Peer) -> Place {
        match self.options.service_graph {
            true => self.requests.edge(RequestKey { client, server }),
            false => Place::NONE,
        }
    }

    /// Whether an edge is still there, or never is.
    #[must_use]
    pub fn has_edge(&self, edge: Place) -> bool {
        !self.options.service_graph || self.requests.table().contains(edge)
    }

    /// A request on an edge, as the end on `side` saw it. Where both ends see it, one of them `counts`: its request
    /// and failure are those of the edge. `alone`: the other end does not see it, so its duration stands for both.
    pub fn request(
        &mut self,
        edge: Place,
        side: Role,
        counts: bool,
        failed: bool,
        duration: Option<Duration>,
        alone: bool,
    ) {
        if let Some(stats) = self.requests.table_mut().get_mut(edge) {
            stats.add(side, counts, failed, duration, alone);
        }
    }

    /// A copy of what is wanted. `known` must give services that differ.
    #[must_use]
    pub fn snapshot(&self, known: impl Fn(ServiceId) -> Arc<Service>, want: Want) -> Snapshot {
        let mut snapshot = Snapshot {
            tcp: self.tcp.table().all().cloned().collect(),
            udp: self.udp.all().cloned().collect(),
            dns: self.dns.table().all().cloned().collect(),
            tls: self.tls.handshakes().cloned().collect(),
            tls_durations: self.tls.durations().cloned().collect(),
            certificates: self.tls.certificates().cloned().collect(),
            tls_unobserved: self.tls.unobserved(),
            request_edges: self.requests.table().all().cloned().collect(),
            services: self.services(known, want),
            names: self.names.all().to_vec(),
            tables: self.tables(),
            span_metrics: self.options.span_metrics,
            ..Snapshot::default()
        };
        if want == Want::Graph {
            for (key, edge) in &self.edges {
                snapshot.push_edge(key, edge);
            }
            for (key, kept) in self.handshakes.kept() {
                snapshot.push_handshake(key, kept);
            }
            snapshot.join_requests();
        }
        snapshot
    }

    /// How full the tables are.
    #[must_use]
    pub fn tables(&self) -> Vec<TableUse> {
        let (tcp, dns, edges, requests) = (self.tcp.table(), self.dns.table(), &self.edges, self.requests.table());
        let (names, kept) = (&self.names, self.handshakes.kept());
        [
            ("peer_names", (names.all().len(), names.limit(), names.refused())),
            ("tcp_series", (tcp.entries(), tcp.limit(), tcp.overflowed())),
            ("udp_series", (self.udp.entries(), self.udp.limit(), self.udp.overflowed())),
            ("dns_series", (dns.entries(), dns.limit(), dns.overflowed())),
            ("tls_series", self.tls.usage()),
            ("edges", (edges.len(), edges.limit(), edges.evicted())),
            ("handshakes", (kept.len(), kept.limit(), kept.evicted())),
            ("request_edges", (requests.entries(), requests.limit(), requests.overflowed())),
        ]
        .map(|(name, (entries, limit, overflowed))| TableUse { name, entries, limit, overflowed })
        .to_vec()
    }

    /// All services that a snapshot speaks of.
    fn services(&self, known: impl Fn(ServiceId) -> Arc<Service>, want: Want) -> HashMap<ServiceId, Arc<Service>> {
        self.services_spoken_of(want).into_iter().map(|service| (service, known(service))).collect()
    }

    /// The services that anything speaks of, the graph included.
    #[must_use]
    pub fn services_in_use(&self) -> HashSet<ServiceId> {
        self.services_spoken_of(Want::Graph)
    }

    fn services_spoken_of(&self, want: Want) -> HashSet<ServiceId> {
        let mut services = HashSet::new();
        let mut add = |service: Option<ServiceId>| services.extend(service);
        let of = |peer: Peer| match peer {
            Peer::Service(service) => Some(service),
            Peer::Name(_) | Peer::Class(_) | Peer::Address(_) => None,
        };
        self.tcp.table().all().for_each(|series| add(series.service));
        self.udp.all().for_each(|series| add(series.service));
        self.dns.table().all().for_each(|series| add(series.service));
        self.tls.handshakes().for_each(|series| add(series.service));
        self.tls.durations().for_each(|series| add(series.service));
        self.tls.certificates().for_each(|series| add(series.service));
        let connections = self.tcp.table().all().filter_map(|series| series.labels);
        let datagrams = self.udp.all().filter_map(|series| series.labels);
        connections.chain(datagrams).for_each(|labels| add(of(labels.peer)));
        let requests = self.requests.table().all().filter_map(|edge| edge.labels);
        requests.for_each(|key| [key.client, key.server].into_iter().for_each(|peer| add(of(peer))));
        if want == Want::Graph {
            let edges = self.edges.iter().map(|(_, edge)| [edge.client, edge.server]);
            let kept = self.handshakes.kept().iter().map(|(_, kept)| [kept.client, kept.server]);
            edges.chain(kept).flatten().for_each(|peer| add(of(peer)));
        }
        services
    }
}

#[cfg(test)]
mod tests;
