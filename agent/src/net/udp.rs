//! UDP: bytes and datagrams by peer and port.

use redtap_ebpf::udp::UdpCounts;

use super::{peer::Peer, tcp::PeerLabels};
use crate::{exchange::Role, identity::ServiceId, red::Merge, series::Series};

/// Which series datagrams belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UdpKey {
    /// The service at this end.
    pub service: ServiceId,
    /// Side of the conversation that this end is on.
    pub role: Role,
    /// The other end.
    pub peer: Peer,
    /// The server's port.
    pub port: u16,
}

/// What passed. Pairs are `[sent, received]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpStats {
    /// Payload bytes.
    pub bytes: [u64; 2],
    /// Datagrams.
    pub packets: [u64; 2],
}

/// A series of datagrams.
pub type UdpSeries = Series<PeerLabels, UdpStats>;

impl UdpStats {
    /// What passed since the last time.
    pub fn add(&mut self, counts: &UdpCounts) {
        self.bytes.merge(&[counts.tx_bytes, counts.rx_bytes]);
        self.packets.merge(&[counts.tx_packets, counts.rx_packets]);
    }
}

impl Merge for UdpStats {
    fn merge(&mut self, other: &Self) {
        self.bytes.merge(&other.bytes);
        self.packets.merge(&other.packets);
    }
}
