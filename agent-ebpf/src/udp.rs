//! UDP: who talked to whom, and how much. The keys and values of one hash table, which user space empties
//! generation by generation, so that nothing is counted into an entry that is being taken out.

use crate::record::layout;

layout! {
    /// A socket, whom it talks to, and the CPU that counts: an entry has one writer.
    #[derive(Default, Hash)]
    pub struct UdpKey {
        /// The socket's cookie.
        pub cookie: u64,
        /// Peer's address, network order, IPv4 mapped.
        pub peer: [u8; 16],
        /// The server's port: the local one if that is below the range of ephemeral ports, else the peer's.
        pub port: u16,
        /// 1: the local end is the server.
        pub is_server: u16,
        /// The CPU.
        pub cpu: u16,
        /// The generation, counted up by user space; wraps.
        pub generation: u16,
    } = 32
}

layout! {
    /// What passed between them in a generation.
    #[derive(Default, Hash)]
    pub struct UdpCounts {
        /// Payload bytes received.
        pub rx_bytes: u64,
        /// Datagrams received.
        pub rx_packets: u64,
        /// Payload bytes sent.
        pub tx_bytes: u64,
        /// Datagrams sent.
        pub tx_packets: u64,
        /// Id of the cgroup the socket belongs to; 0: not known.
        pub cgroup: u64,
        /// Process that last sent by the socket; 0: not known.
        pub pid: u32,
        /// Zero.
        pub reserved: u32,
    } = 48
}
