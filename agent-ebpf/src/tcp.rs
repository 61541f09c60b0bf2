//! Sequence number arithmetic (RFC 9293 §3.4) and header flags (RFC 9293 §3.1).

/// No more data from the sender.
pub const FIN: u8 = 0x01;
/// Synchronise sequence numbers.
pub const SYN: u8 = 0x02;
/// Reset the connection.
pub const RST: u8 = 0x04;
/// Push: the sender has nothing more to add to this segment.
pub const PSH: u8 = 0x08;
/// The acknowledgement field is significant.
pub const ACK: u8 = 0x10;

/// Whether sequence number `a` lies after `b`, in a window of 2³¹ (RFC 9293 §3.4).
#[inline(always)]
#[must_use]
pub const fn after(a: u32, b: u32) -> bool {
    (b.wrapping_sub(a) as i32) < 0
}

/// Whether sequence number `a` is `b` or lies after it.
#[inline(always)]
#[must_use]
pub const fn at_or_after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) >= 0
}

/// The key under which payload that completes a handshake is kept until its socket is known: such a segment
/// reaches the hook on the *listening* socket, before the connection's own socket exists
/// (`tcp_v4_rcv`, state `TCP_NEW_SYN_RECV`, net/ipv4/tcp_ipv4.c). The top bit keeps it apart from socket
/// cookies, which count up from 1.
#[inline(always)]
#[must_use]
pub const fn early_cookie(peer_low: u32, peer_port: u16, local_port: u16) -> u64 {
    let ports = ((peer_port as u64) << 16) | local_port as u64;
    let mixed = (((peer_low as u64) << 32) ^ ports).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed | (1 << 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_survives_the_wrap() {
        for (a, b, is_after) in [
            (1, 0, true),
            (0, 0, false),
            (0, 1, false),
            (0, u32::MAX, true),
            (u32::MAX, 0, false),
            (0x8000_0000, 1, true),
            (5, 0xffff_fff0, true),
        ] {
            assert_eq!(after(a, b), is_after, "after({a:#x}, {b:#x})");
            assert_eq!(at_or_after(a, b), is_after || a == b, "at_or_after({a:#x}, {b:#x})");
        }
    }

    #[test]
    fn early_cookies_do_not_meet_socket_cookies() {
        let cookie = early_cookie(0x0100_007f, 40_000, 80);
        assert!(cookie > u64::MAX / 2);
        assert_ne!(cookie, early_cookie(0x0100_007f, 40_001, 80));
    }
}
