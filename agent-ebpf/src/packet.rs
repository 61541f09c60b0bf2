//! Where a segment's payload is: IPv4, IPv6 and TCP headers, read from the packet's linear part. The TCP stack
//! has pulled them there before either hook runs (`tcp_v4_rcv`: `pskb_may_pull`; `tcp_transmit_skb` builds them).

use core::mem::MaybeUninit;

use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_skb_load_bytes};

use crate::emit::unknown;

/// What the hooks need of a segment.
pub struct Headers {
    /// From the network header to the payload, in bytes.
    pub payload_offset: u32,
    /// Payload bytes, from the buffer's length and not from the IP header, which is zero for jumbo segments
    /// (BIG TCP).
    pub payload_len: u32,
    /// Sequence number of the first payload byte.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// TCP flags (`redtap_ebpf::tcp`).
    pub flags: u8,
    /// The receive window advertised is zero.
    pub window_is_zero: bool,
    /// Offset of the TCP header.
    pub transport: u32,
}

const IPPROTO_TCP: u8 = 6;
const IPPROTO_HOPOPTS: u8 = 0;
const IPPROTO_ROUTING: u8 = 43;
const IPPROTO_FRAGMENT: u8 = 44;
const IPPROTO_AH: u8 = 51;
const IPPROTO_DSTOPTS: u8 = 60;

/// The longest chain of IPv6 extension headers followed; RFC 8200 §4.1 knows six kinds, Destination Options
/// twice.
const MAX_EXTENSIONS: usize = 7;

const IPV4_HEADER: u32 = 20;
const IPV6_HEADER: u32 = 40;
const TCP_HEADER: u32 = 20;

/// The fields of a TCP header that matter here.
struct Tcp {
    seq: u32,
    ack: u32,
    /// Header length, in bytes.
    len: u32,
    flags: u8,
    window_is_zero: bool,
}

/// What is needed of a datagram.
pub struct Udp {
    /// From the network header to the payload, in bytes.
    pub payload_offset: u32,
    /// Payload bytes.
    pub payload_len: u32,
    /// Source port.
    pub from: u16,
    /// Destination port.
    pub to: u16,
}

const IPPROTO_UDP: u8 = 17;
const UDP_HEADER: u32 = 8;

/// Reads a UDP header (RFC 768); `None` where it is not one, or behind IPv6 extension headers.
#[inline(always)]
pub unsafe fn udp(skb: *mut __sk_buff) -> Option<Udp> {
    // SAFETY: forwards the contract.
    unsafe {
        let [first] = load::<1>(skb, 0)?;
        let transport = if first >> 4 == 4 {
            let [protocol] = load::<1>(skb, 9)?;
            if protocol != IPPROTO_UDP {
                return None;
            }
            u32::from(first & 0x0f) * 4
        } else {
            let [protocol] = load::<1>(skb, 6)?;
            if protocol != IPPROTO_UDP {
                return None;
            }
            IPV6_HEADER
        };
        let ports = load::<4>(skb, transport)?;
        let payload_offset = transport + UDP_HEADER;
        Some(Udp {
            payload_offset,
            payload_len: (*skb).len.saturating_sub(payload_offset),
            from: u16::from_be_bytes([ports[0], ports[1]]),
            to: u16::from_be_bytes([ports[2], ports[3]]),
        })
    }
}

/// Writes the packet's source or destination address, IPv4 mapped; zeroes where it cannot be read.
#[inline(always)]
pub unsafe fn address(skb: *mut __sk_buff, source: bool, to: *mut [u8; 16]) {
    let words = to.cast::<u32>();
    // SAFETY: four words of a 16-byte array, which lies at a multiple of 8 wherever this is used.
    unsafe {
        words.write(0);
        words.add(1).write(0);
        words.add(2).write(0);
        words.add(3).write(0);
        let Some([first]) = load::<1>(skb, 0) else { return };
        if first >> 4 == 4 {
            words.add(2).write(0xffff_u32.to_be());
            bpf_skb_load_bytes(skb.cast(), if source { 12 } else { 16 }, words.add(3).cast(), 4);
        } else {
            bpf_skb_load_bytes(skb.cast(), if source { 8 } else { 24 }, to.cast(), 16);
        }
    }
}

/// Reads the headers; `None` where they are not TCP, truncated, or behind a longer chain than is followed.
#[inline(always)]
pub unsafe fn headers(skb: *mut __sk_buff) -> Option<Headers> {
    // SAFETY: `skb` is the program's context; the first 20 bytes are compared with the packet's end before they
    // are read.
    unsafe {
        let (data, end, len) = ((*skb).data as usize, (*skb).data_end as usize, (*skb).len);
        if data + IPV4_HEADER as usize > end {
            return None;
        }
        let first = *(data as *const u8);
        let (transport, tcp) = if first == 0x45 && *((data + 9) as *const u8) == IPPROTO_TCP {
            (IPV4_HEADER, linear::<IPV4_HEADER>(data, end)?)
        } else if first >> 4 == 6 && *((data + 6) as *const u8) == IPPROTO_TCP {
            (IPV6_HEADER, linear::<IPV6_HEADER>(data, end)?)
        } else {
            let transport = if first >> 4 == 4 {
                after_options(skb, first)?
            } else {
                after_extensions(skb, *((data + 6) as *const u8))?
            };
            (transport, copied(skb, transport)?)
        };
        // Where the headers end was found in several ways, which the rest of the program need not be followed by.
        let transport = unknown(skb, transport);
        let payload_offset = transport + tcp.len;
        if payload_offset > len {
            return None;
        }
        let syn = u32::from(tcp.flags & redtap_ebpf::tcp::SYN != 0);
        Some(Headers {
            payload_offset,
            payload_len: len - payload_offset,
            seq: tcp.seq.wrapping_add(syn),
            ack: tcp.ack,
            flags: tcp.flags,
            window_is_zero: tcp.window_is_zero,
            transport,
        })
    }
}

/// The TCP header at a fixed offset: what nearly every segment has.
#[inline(always)]
unsafe fn linear<const OFFSET: u32>(data: usize, end: usize) -> Option<Tcp> {
    let tcp = data + OFFSET as usize;
    if tcp + TCP_HEADER as usize > end {
        return None;
    }
    // SAFETY: 20 bytes at `tcp` are inside the packet. Packet data has no alignment to rely on.
    unsafe {
        Some(Tcp {
            seq: u32::from_be((tcp as *const u32).add(1).read_unaligned()),
            ack: u32::from_be((tcp as *const u32).add(2).read_unaligned()),
            len: u32::from(*((tcp + 12) as *const u8) >> 4) * 4,
            flags: *((tcp + 13) as *const u8),
            window_is_zero: (tcp as *const u16).add(7).read_unaligned() == 0,
        })
    }
}

/// Copies `N` bytes at `offset` from the network header. Headers at variable offsets are read so, and not in
/// place: the verifier would follow every possible offset by itself.
#[inline(always)]
unsafe fn load<const N: usize>(skb: *mut __sk_buff, offset: u32) -> Option<[u8; N]> {
    let mut bytes = MaybeUninit::<[u8; N]>::uninit();
    // SAFETY: the helper writes all N bytes or fails.
    unsafe {
        if bpf_skb_load_bytes(skb.cast(), offset, bytes.as_mut_ptr().cast(), N as u32) != 0 {
            return None;
        }
        Some(bytes.assume_init())
    }
}

/// The TCP header at any offset.
#[inline(always)]
unsafe fn copied(skb: *mut __sk_buff, transport: u32) -> Option<Tcp> {
    // SAFETY: forwards the contract.
    let header = unsafe { load::<{ TCP_HEADER as usize }>(skb, transport)? };
    Some(Tcp {
        seq: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        ack: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        len: u32::from(header[12] >> 4) * 4,
        flags: header[13],
        window_is_zero: header[14] == 0 && header[15] == 0,
    })
}

/// The offset of the TCP header behind IPv4 options (RFC 791 §3.1).
#[inline(always)]
unsafe fn after_options(skb: *mut __sk_buff, first: u8) -> Option<u32> {
    // SAFETY: forwards the contract.
    let [protocol] = unsafe { load::<1>(skb, 9)? };
    (protocol == IPPROTO_TCP).then_some(u32::from(first & 0x0f) * 4)
}

/// The offset of the TCP header behind IPv6 extension headers (RFC 8200 §4), the first of kind `next`.
#[inline(always)]
unsafe fn after_extensions(skb: *mut __sk_buff, mut next: u8) -> Option<u32> {
    let mut offset = IPV6_HEADER;
    for _ in 0..MAX_EXTENSIONS {
        // SAFETY: forwards the contract.
        let [following, length] = unsafe { load::<2>(skb, offset)? };
        offset += match next {
            IPPROTO_HOPOPTS | IPPROTO_ROUTING | IPPROTO_DSTOPTS => (u32::from(length) + 1) * 8,
            IPPROTO_AH => (u32::from(length) + 2) * 4,
            IPPROTO_FRAGMENT => 8,
            _ => return None,
        };
        next = following;
        if next == IPPROTO_TCP {
            return Some(offset);
        }
    }
    None
}

/// The peer's address (its last four bytes, network order) and the two ports (peer's, local) of an incoming
/// segment, for a socket that does not know its peer: a listening one.
#[inline(always)]
pub unsafe fn early_tuple(skb: *mut __sk_buff, transport: u32) -> Option<(u32, u16, u16)> {
    // SAFETY: forwards the contract.
    unsafe {
        let [first] = load::<1>(skb, 0)?;
        let low = load::<4>(skb, if first >> 4 == 4 { 12 } else { 20 })?;
        let ports = load::<4>(skb, transport)?;
        let peer_port = u16::from_be_bytes([ports[0], ports[1]]);
        let local_port = u16::from_be_bytes([ports[2], ports[3]]);
        Some((u32::from_ne_bytes(low), peer_port, local_port))
    }
}
