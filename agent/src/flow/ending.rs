//! How connections end, and how they fail to begin.

use redtap_ebpf::{Closed, closed};

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// In order.
    Fin,
    /// This end broke it.
    RstSent,
    /// The peer broke it.
    RstReceived,
    /// The kernel gave it up, the peer being silent.
    Timeout,
    /// Not seen.
    Unknown,
}

/// Why a connection did not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectFailure {
    /// Nobody listened.
    Refused,
    /// Nobody answered.
    TimedOut,
    /// There was no way to the peer.
    Unreachable,
    /// The peer broke it while it was being made.
    Reset,
    /// This end gave it up.
    Aborted,
    /// Anything else.
    Other,
}

/// Every reason, for tables and counters.
pub const CLOSE_REASONS: [CloseReason; 5] =
    [CloseReason::Fin, CloseReason::RstSent, CloseReason::RstReceived, CloseReason::Timeout, CloseReason::Unknown];

/// Every cause, likewise.
pub const CONNECT_FAILURES: [ConnectFailure; 6] = [
    ConnectFailure::Refused,
    ConnectFailure::TimedOut,
    ConnectFailure::Unreachable,
    ConnectFailure::Reset,
    ConnectFailure::Aborted,
    ConnectFailure::Other,
];

/// States of a socket (include/net/tcp_states.h) in which no connection has come about.
const TCP_SYN_SENT: u8 = 2;
const TCP_SYN_RECV: u8 = 3;
const TCP_CLOSE: u8 = 7;

/// Errors of a socket (include/uapi/asm-generic/errno.h).
const ENETDOWN: u32 = 100;
const ENETUNREACH: u32 = 101;
const ECONNRESET: u32 = 104;
const ETIMEDOUT: u32 = 110;
const ECONNREFUSED: u32 = 111;
const EHOSTDOWN: u32 = 112;
const EHOSTUNREACH: u32 = 113;

impl ConnectFailure {
    /// Why the connect failed that this tells of; `None`: it is the end of a connection that came about.
    ///
    /// The socket's own error decides. Of a connect without a SYN none is known; nearly always it found no route.
    #[must_use]
    pub const fn of(closed: &Closed) -> Option<Self> {
        if !matches!(closed.old_state, TCP_SYN_SENT | TCP_SYN_RECV | TCP_CLOSE) {
            return None;
        }
        Some(match closed.error {
            ECONNREFUSED => Self::Refused,
            ETIMEDOUT => Self::TimedOut,
            ENETDOWN | ENETUNREACH | EHOSTDOWN | EHOSTUNREACH => Self::Unreachable,
            ECONNRESET => Self::Reset,
            0 if closed.flags & closed::RST_RECEIVED != 0 => Self::Refused,
            0 if closed.old_state == TCP_CLOSE => Self::Unreachable,
            0 => Self::Aborted,
            _ => Self::Other,
        })
    }
}

impl CloseReason {
    /// How the connection ended that this tells of. A socket that closes with neither FIN nor RST seen was broken
    /// off at this end: its RST comes after the state has changed, or not at all.
    #[must_use]
    pub const fn of(closed: &Closed) -> Self {
        let flags = closed.flags;
        let fins = closed::FIN_SENT | closed::FIN_RECEIVED;
        if flags & fins == fins {
            return Self::Fin;
        }
        if flags & closed::RST_RECEIVED != 0 {
            return Self::RstReceived;
        }
        // What is given up for want of answers is reset, too, in case that the peer comes back.
        if matches!(closed.error, ETIMEDOUT | EHOSTUNREACH | ENETUNREACH) {
            return Self::Timeout;
        }
        if flags & closed::RST_SENT != 0 {
            return Self::RstSent;
        }
        if closed.unanswered > 0 {
            return Self::Timeout;
        }
        if flags & fins != 0 { Self::Fin } else { Self::RstSent }
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros;

    use super::*;

    const TCP_ESTABLISHED: u8 = 1;

    #[test]
    fn ends_and_failures() {
        use closed::{FIN_RECEIVED, FIN_SENT, RST_RECEIVED, RST_SENT};
        for (old_state, flags, error, unanswered, failure, reason) in [
            (TCP_SYN_SENT, RST_RECEIVED, ECONNREFUSED, 0, Some(ConnectFailure::Refused), None),
            (TCP_SYN_SENT, RST_RECEIVED, 0, 0, Some(ConnectFailure::Refused), None),
            (TCP_SYN_SENT, 0, ETIMEDOUT, 6, Some(ConnectFailure::TimedOut), None),
            (TCP_SYN_SENT, 0, EHOSTUNREACH, 1, Some(ConnectFailure::Unreachable), None),
            (TCP_SYN_SENT, 0, 0, 1, Some(ConnectFailure::Aborted), None),
            (TCP_SYN_RECV, RST_RECEIVED, ECONNRESET, 0, Some(ConnectFailure::Reset), None),
            (TCP_CLOSE, 0, 0, 0, Some(ConnectFailure::Unreachable), None),
            (TCP_ESTABLISHED, RST_RECEIVED, 0, 0, None, Some(CloseReason::RstReceived)),
            (TCP_ESTABLISHED, 0, 0, 0, None, Some(CloseReason::RstSent)),
            (TCP_ESTABLISHED, 0, ETIMEDOUT, 3, None, Some(CloseReason::Timeout)),
            (TCP_ESTABLISHED, RST_SENT, ETIMEDOUT, 0, None, Some(CloseReason::Timeout)),
            (9, FIN_SENT | FIN_RECEIVED, 0, 0, None, Some(CloseReason::Fin)),
            (5, FIN_SENT | FIN_RECEIVED | RST_SENT, 0, 0, None, Some(CloseReason::Fin)),
            (4, FIN_SENT, 0, 1, None, Some(CloseReason::Timeout)),
            (5, FIN_SENT | RST_SENT, 0, 0, None, Some(CloseReason::RstSent)),
        ] {
            let mut closed = Closed::new_zeroed();
            (closed.old_state, closed.flags, closed.error, closed.unanswered) =
                (old_state, flags, error, unanswered);
            assert_eq!(ConnectFailure::of(&closed), failure, "{old_state} {flags} {error}");
            if let Some(reason) = reason {
                assert_eq!(CloseReason::of(&closed), reason, "{old_state} {flags} {error}");
            }
        }
    }
}
