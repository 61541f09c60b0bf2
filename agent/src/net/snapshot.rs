//! What the reader hands to the exporters: a copy, owned and on its own, names given.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hashbrown::HashMap;

use super::{
    dns::DnsSeries,
    edges::{Edge, EdgeKey},
    handshakes::{HandshakeKey, Kept},
    peer::Peer,
    requests::{RequestEdge, RequestStats},
    tcp::TcpSeries,
    tls::{CertificateSeries, TlsDurations, TlsSeries},
    udp::UdpSeries,
};
use crate::{
    identity::{Service, ServiceId},
    protocol::tls::Handshake,
    red::{Histogram, Merge},
};

/// What a snapshot is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Want {
    /// The metrics.
    #[default]
    Metrics,
    /// The graph as well: edges, handshakes, and requests between services.
    Graph,
}

/// Everything of connections at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Series of connections.
    pub tcp: Vec<TcpSeries>,
    /// Series of datagrams.
    pub udp: Vec<UdpSeries>,
    /// Series of lookups.
    pub dns: Vec<DnsSeries>,
    /// Counts of TLS handshakes.
    pub tls: Vec<TlsSeries>,
    /// Durations of TLS handshakes.
    pub tls_durations: Vec<TlsDurations>,
    /// Certificates seen.
    pub certificates: Vec<CertificateSeries>,
    /// TLS handshakes that passed in part unseen.
    pub tls_unobserved: u64,
    /// Edges of the graph of services.
    pub request_edges: Vec<RequestEdge>,
    /// All services above.
    pub services: HashMap<ServiceId, Arc<Service>>,
    /// Names of peers; a [`super::NameId`] is a place in it.
    pub names: Vec<Arc<str>>,
    /// How full the tables are.
    pub tables: Vec<TableUse>,
    /// The requests are to be exported as metrics of spans, too.
    pub span_metrics: bool,
    /// The graph of connections, the one last seen first; only for [`Want::Graph`].
    pub edges: Vec<EdgeView>,
    /// The last TLS handshakes, the last one first; only for [`Want::Graph`].
    pub handshakes: Vec<HandshakeView>,
    /// The graph of services, ends of one name taken together, without the edge that takes the rest; only for
    /// [`Want::Graph`].
    pub requests: Vec<RequestEdgeView>,
}

/// How full a bounded table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableUse {
    /// Its name.
    pub name: &'static str,
    /// Entries now.
    pub entries: usize,
    /// Most entries it may have.
    pub limit: usize,
    /// What it had no room for: measurements that went to an overflow series, names refused, entries given up.
    pub overflowed: u64,
}

/// An edge of the graph of connections.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeView {
    /// Address of the end that connected.
    pub client: IpAddr,
    /// Address of the end that accepted.
    pub server: IpAddr,
    /// Its port.
    pub port: u16,
    /// Name of the client, else the class of its address or the address.
    pub client_name: Arc<str>,
    /// Name of the server, likewise.
    pub server_name: Arc<str>,
    /// `client_name` is a name.
    pub client_is_named: bool,
    /// `server_name` is a name.
    pub server_is_named: bool,
    /// Connections that came about.
    pub opened: u64,
    /// Connections that ended.
    pub closed: u64,
    /// Connections that turned out to be used for long.
    pub persistent: u64,
    /// Connections open now.
    pub active: u64,
    /// Payload bytes from the client.
    pub sent: u64,
    /// Payload bytes from the server.
    pub received: u64,
    /// Life of the ended connections, summed.
    pub lasted: Duration,
    /// The longest of them.
    pub longest: Duration,
    /// Segments sent again.
    pub retransmits: u64,
    /// When something last happened on it.
    pub last_seen: SystemTime,
}

/// A TLS handshake, and how many there were like it: of the same client and server, for the same name.
#[derive(Clone, Debug, PartialEq)]
pub struct HandshakeView {
    /// A number of its own, which it keeps.
    pub id: u64,
    /// Address of the client.
    pub client: IpAddr,
    /// Address and port of the server.
    pub server: SocketAddr,
    /// Name of the client, else the class of its address or the address.
    pub client_name: Arc<str>,
    /// Name of the server, likewise.
    pub server_name: Arc<str>,
    /// The last one.
    pub handshake: Arc<Handshake>,
    /// When it ended.
    pub last_seen: SystemTime,
    /// How many.
    pub count: u64,
}

/// An edge of the graph of services.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestEdgeView {
    /// Whose requests they are.
    pub client: Arc<str>,
    /// Who answers them.
    pub server: Arc<str>,
    /// Requests.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// Durations as the client saw them; [`crate::red::DURATION`] has its bounds.
    pub client_seconds: Histogram<14>,
    /// Durations as the server saw them, likewise.
    pub server_seconds: Histogram<14>,
}

impl Snapshot {
    /// The text of a peer.
    #[must_use]
    pub fn peer(&self, peer: Peer) -> Arc<str> {
        let known = match peer {
            Peer::Service(service) => self.services.get(&service).map(|service| &service.name),
            Peer::Name(name) => name.of(&self.names),
            Peer::Class(class) => return class.as_str().into(),
            Peer::Address(address) => return address.to_canonical().to_string().into(),
        };
        known.cloned().unwrap_or_default()
    }

    /// The namespace of a peer, if it is a service that has one.
    #[must_use]
    pub fn peer_namespace(&self, peer: Peer) -> Option<Arc<str>> {
        let Peer::Service(service) = peer else { return None };
        self.services.get(&service)?.namespace().cloned()
    }

    /// Adds an edge of the graph of connections.
    pub(super) fn push_edge(&mut self, key: &EdgeKey, edge: &Edge) {
        let counts = edge.counts();
        self.edges.push(EdgeView {
            client: key.client,
            server: key.server,
            port: key.port,
            client_name: self.peer(edge.client),
            server_name: self.peer(edge.server),
            client_is_named: edge.client.is_named(),
            server_is_named: edge.server.is_named(),
            opened: counts.opened,
            closed: counts.closed,
            persistent: counts.persistent,
            active: counts.active,
            sent: counts.sent,
            received: counts.received,
            lasted: counts.lasted,
            longest: counts.longest,
            retransmits: counts.retransmits,
            last_seen: wall(counts.at),
        });
    }

    /// Adds a handshake.
    pub(super) fn push_handshake(&mut self, key: &HandshakeKey, kept: &Kept) {
        self.handshakes.push(HandshakeView {
            id: kept.id,
            client: key.client,
            server: key.server,
            client_name: self.peer(kept.client),
            server_name: self.peer(kept.server),
            handshake: Arc::clone(&kept.handshake),
            last_seen: wall(kept.at),
            count: kept.count(),
        });
    }

    /// Makes the graph of services of its edges.
    pub(super) fn join_requests(&mut self) {
        let mut places: HashMap<Ends, usize> = HashMap::new();
        let mut all: Vec<(Ends, RequestStats)> = Vec::new();
        for edge in &self.request_edges {
            let Some(key) = edge.labels else { continue };
            let ends = (self.peer(key.client), self.peer(key.server));
            let place = *places.entry(ends.clone()).or_insert(all.len());
            match all.get_mut(place) {
                Some((_, stats)) => stats.merge(&edge.value),
                None => all.push((ends, edge.value)),
            }
        }
        let views = all.into_iter().map(|((client, server), stats)| RequestEdgeView {
            client,
            server,
            requests: stats.requests,
            failed: stats.failed,
            client_seconds: stats.client_seconds,
            server_seconds: stats.server_seconds,
        });
        self.requests = views.collect();
    }
}

/// Client and server, by name.
type Ends = (Arc<str>, Arc<str>);

fn wall(at: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(at)
}
