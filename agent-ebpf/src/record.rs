//! Records in the rings. Each begins with its [`Kind`]; every layout is a multiple of 8 bytes with no padding.

use crate::COMM_LEN;

/// The first byte of every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// [`Segment`].
    Segment = 1,
    /// [`Opened`].
    Opened = 2,
    /// [`Closed`].
    Closed = 3,
    /// [`Exec`].
    Exec = 4,
    /// [`Exit`].
    Exit = 5,
    /// [`Datagram`].
    Datagram = 6,
    /// [`Owner`].
    Owner = 7,
    /// [`Cgroup`].
    Cgroup = 8,
}

/// Which end opened the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// The connection is older than the agent.
    Unknown = 0,
    /// This socket connected.
    Active = 1,
    /// This socket was accepted.
    Passive = 2,
}

/// Bits of [`Segment::flags`].
pub mod segment {
    /// Sent by the socket; received by it otherwise.
    pub const EGRESS: u8 = 0x01;
    /// The first record of its segment; the books count segments by it.
    pub const FIRST: u8 = 0x02;
    /// The segment carries FIN.
    pub const FIN: u8 = 0x04;
    /// The segment carries RST.
    pub const RST: u8 = 0x08;
    /// The segment carries PSH.
    pub const PSH: u8 = 0x10;
    /// Records of this flow were lost since its last one.
    pub const LOSS: u8 = 0x20;
}

macro_rules! layout {
    ($(#[$attr:meta])* pub struct $name:ident { $($body:tt)* } = $size:literal) => {
        $(#[$attr])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(
            feature = "user",
            derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
        )]
        #[repr(C)]
        pub struct $name { $($body)* }

        const _: () = assert!(size_of::<$name>() == $size);
    };
}
pub(crate) use layout;

layout! {
    /// A window of a TCP segment's payload, and what the kernel knew of the connection at that moment.
    ///
    /// [`Segment::captured`] payload bytes follow the struct: those at `offset` within the segment. A head has
    /// `offset` 0 and as many bytes as the capture length allows; a mark has the segment's last 8 bytes; a
    /// segment without payload (FIN, RST) has none.
    pub struct Segment {
        /// [`Kind::Segment`].
        pub kind: u8,
        /// Bits of the module `segment`.
        pub flags: u8,
        /// Payload bytes that follow this struct.
        pub captured: u16,
        /// Payload bytes of the whole TCP segment.
        pub length: u32,
        /// The socket's cookie (`bpf_get_socket_cookie`), or an early cookie (`tcp::early_cookie`).
        pub cookie: u64,
        /// When the hook saw the segment.
        pub time: u64,
        /// Sequence number of the segment's first payload byte.
        pub seq: u32,
        /// Offset in the segment's payload of the bytes that follow.
        pub offset: u32,
        /// When the application last read from the socket since the flow's previous record; 0: it did not.
        pub picked_up: u64,
        /// When the peer acknowledged all that had been sent at the flow's last outgoing record; 0: not
        /// (again) since the flow's previous record.
        pub acked: u64,
        /// Process that last read from, or connected, the socket; 0: not known.
        pub pid: u32,
        /// Thread that did.
        pub tid: u32,
        /// Smoothed round-trip time, in microseconds.
        pub srtt_us: u32,
        /// Retransmitted segments of the connection so far.
        pub retransmits: u32,
        /// Received bytes so far that arrived before bytes that precede them; wraps.
        pub out_of_order: u32,
        /// Payload bytes so far that were received again; wraps.
        pub duplicate: u32,
        /// Segments with payload received so far ([`Totals::rx_segments`]).
        pub rx_segments: u32,
        /// Segments with payload sent so far ([`Totals::tx_segments`]).
        pub tx_segments: u32,
        /// Id of the cgroup the socket belongs to; 0: not known.
        pub cgroup: u64,
    } = 88
}

layout! {
    /// What a connection has carried so far. Also the value of the table of live totals, by cookie: an entry is made,
    /// and kept up, for what no record tells of.
    #[derive(Default)]
    pub struct Totals {
        /// Distinct payload bytes received.
        pub rx_bytes: u64,
        /// Distinct payload bytes sent.
        pub tx_bytes: u64,
        /// Payload bytes received again.
        pub rx_duplicate: u64,
        /// Payload bytes sent again.
        pub tx_duplicate: u64,
        /// Payload bytes received before bytes that precede them.
        pub rx_out_of_order: u64,
        /// Time for which this end had told its peer to stop (a receive window of zero), in ns.
        pub rx_full_ns: u64,
        /// Time for which the peer had told this end to stop, in ns.
        pub tx_full_ns: u64,
        /// Segments with payload received (`bpf_tcp_sock.data_segs_in`).
        pub rx_segments: u32,
        /// Segments with payload sent, repeated ones included (`bpf_tcp_sock.data_segs_out`).
        pub tx_segments: u32,
        /// Segments sent again (`bpf_tcp_sock.total_retrans`).
        pub retransmits: u32,
        /// Smoothed round-trip time, in microseconds; 0: not known.
        pub srtt_us: u32,
    } = 72
}

layout! {
    /// A connection, told of when its handshake completes or, if that was not seen, when it first carries payload; a
    /// connect that fails is told of when it does.
    pub struct Opened {
        /// [`Kind::Opened`].
        pub kind: u8,
        /// [`Role`].
        pub role: u8,
        /// 4 or 6: the socket's address family. A dual-stack socket talking IPv4 has 6 and mapped addresses.
        pub family: u8,
        /// Zero.
        pub reserved: u8,
        /// Local port.
        pub local_port: u16,
        /// Peer's port.
        pub peer_port: u16,
        /// The socket's cookie.
        pub cookie: u64,
        /// When the handshake completed, or the connection was first seen.
        pub time: u64,
        /// Local address, network order, IPv4 mapped.
        pub local: [u8; 16],
        /// Peer's address, network order, IPv4 mapped.
        pub peer: [u8; 16],
        /// Id of the cgroup the socket belongs to; 0: not known.
        pub cgroup: u64,
        /// From SYN to the completed handshake, in ns; 0: accepted, or not seen.
        pub connect_ns: u64,
        /// Process that connected; 0: not known.
        pub pid: u32,
        /// Sequence number of the first byte to be received; meaningful when `role` is known.
        pub rx_seq: u32,
        /// Sequence number of the first byte to be sent; meaningful when `role` is known.
        pub tx_seq: u32,
        /// Thread that connected; 0: not known.
        pub tid: u32,
        /// Name of that thread, NUL-padded.
        pub comm: [u8; COMM_LEN],
    } = 104
}

/// Bits of [`Closed::flags`].
pub mod closed {
    /// We sent FIN.
    pub const FIN_SENT: u8 = 0x01;
    /// We received FIN.
    pub const FIN_RECEIVED: u8 = 0x02;
    /// We sent RST.
    pub const RST_SENT: u8 = 0x04;
    /// We received RST.
    pub const RST_RECEIVED: u8 = 0x08;
    /// Records of this flow were lost since its last one.
    pub const LOSS: u8 = 0x10;
    /// There may be an entry of this flow in the table of live totals.
    pub const LIVE: u8 = 0x20;
}

layout! {
    /// A connection's end (`TCP_CLOSE` entered), or a connect that failed.
    pub struct Closed {
        /// [`Kind::Closed`].
        pub kind: u8,
        /// Bits of the module `closed`.
        pub flags: u8,
        /// State left (`enum` in include/net/tcp_states.h); `TCP_SYN_SENT` (2) is a failed connect, `TCP_CLOSE` (7)
        /// one of which no SYN was sent.
        pub old_state: u8,
        /// Zero.
        pub reserved: u8,
        /// The socket's error (`sk_err`, errno(3)) as it closed; 0: none, or not known.
        pub error: u32,
        /// The socket's cookie.
        pub cookie: u64,
        /// When.
        pub time: u64,
        /// What it has carried.
        pub totals: Totals,
        /// Sequence number after the last byte received.
        pub rx_next: u32,
        /// Sequence number after the last byte sent.
        pub tx_next: u32,
        /// As in [`Segment`].
        pub picked_up: u64,
        /// As in [`Segment`].
        pub acked: u64,
        /// As in [`Segment`].
        pub pid: u32,
        /// As in [`Segment`].
        pub tid: u32,
        /// Retransmitted segments that were not acknowledged: with neither FIN nor RST, the peer has vanished.
        pub unanswered: u32,
        /// Zero.
        pub padding: u32,
    } = 136
}

/// Bits of [`Datagram::flags`].
pub mod datagram {
    /// Sent by the socket; received by it otherwise.
    pub const EGRESS: u8 = 0x01;
}

layout! {
    /// A UDP datagram to or from a name server; [`Datagram::captured`] payload bytes follow.
    pub struct Datagram {
        /// [`Kind::Datagram`].
        pub kind: u8,
        /// Bits of the module `datagram`.
        pub flags: u8,
        /// Payload bytes that follow this struct.
        pub captured: u16,
        /// Local port.
        pub local_port: u16,
        /// Peer's port.
        pub peer_port: u16,
        /// The socket's cookie.
        pub cookie: u64,
        /// When the hook saw it.
        pub time: u64,
        /// Local address, network order, IPv4 mapped.
        pub local: [u8; 16],
        /// Peer's address, network order, IPv4 mapped.
        pub peer: [u8; 16],
        /// Id of the cgroup the socket belongs to; 0: not known.
        pub cgroup: u64,
        /// Process that last sent by the socket; 0: not known.
        pub pid: u32,
        /// Payload bytes of the whole datagram.
        pub length: u32,
    } = 72
}

layout! {
    /// A process uses a UDP socket that it did not use last, or nobody does any more.
    pub struct Owner {
        /// [`Kind::Owner`].
        pub kind: u8,
        /// Zero.
        pub reserved: [u8; 3],
        /// The process; 0: the socket has ended.
        pub pid: u32,
        /// The socket's cookie.
        pub cookie: u64,
        /// When.
        pub time: u64,
    } = 24
}

/// Of the records of cgroups.
pub mod cgroup {
    /// Bit of [`CgroupHead::flags`](super::CgroupHead::flags): it was removed; made otherwise.
    pub const REMOVED: u8 = 0x01;
    /// Bytes of a path, its NUL included; a longer one is cut.
    pub const PATH_LEN: usize = 488;
}

layout! {
    /// A cgroup of the version 2 hierarchy came or went (raw tracepoints `cgroup_mkdir`, `cgroup_rmdir`).
    pub struct Cgroup {
        /// What is before its path.
        pub head: CgroupHead,
        /// Its path from the hierarchy's root, ended by NUL.
        pub path: [u8; cgroup::PATH_LEN],
    } = 512
}

layout! {
    /// The beginning of [`Cgroup`].
    pub struct CgroupHead {
        /// [`Kind::Cgroup`].
        pub kind: u8,
        /// Bits of the module `cgroup`.
        pub flags: u8,
        /// Zero.
        pub reserved: [u8; 6],
        /// Its id.
        pub id: u64,
        /// When.
        pub time: u64,
    } = 24
}

layout! {
    /// A process replaced its program (raw tracepoint `sched_process_exec`).
    pub struct Exec {
        /// [`Kind::Exec`].
        pub kind: u8,
        /// Zero.
        pub reserved: [u8; 3],
        /// The process.
        pub pid: u32,
        /// When.
        pub time: u64,
        /// The new program's base name, cut to 15 bytes, NUL-padded.
        pub comm: [u8; COMM_LEN],
    } = 32
}

layout! {
    /// A process ended (raw tracepoint `sched_process_exit`, its main thread).
    pub struct Exit {
        /// [`Kind::Exit`].
        pub kind: u8,
        /// Zero.
        pub reserved: [u8; 3],
        /// The process.
        pub pid: u32,
        /// When.
        pub time: u64,
    } = 16
}
