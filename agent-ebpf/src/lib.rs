//! The ABI between redtap's eBPF programs and its user-space agent: record layouts, socket storage,
//! counters and the pure decisions the programs take.
//!
//! Everything here is plain data and arithmetic, so that it is unit-tested on the host. Integers are in host
//! byte order unless a field says otherwise; times are `CLOCK_MONOTONIC` nanoseconds; addresses are 16 bytes in
//! network order, IPv4 as IPv4-mapped (`::ffff:a.b.c.d`, RFC 4291 §2.5.5.2).
#![no_std]

pub mod direction;
pub mod flow;
pub mod record;
pub mod stats;
pub mod tcp;
pub mod udp;
pub mod words;

pub use direction::{Direction, Fresh, MARK_LEN, Ship};
pub use flow::{Flow, Hint, hint};
pub use record::{
    Cgroup, CgroupHead, Closed, Datagram, Exec, Exit, Kind, Opened, Owner, Role, Segment, Totals, cgroup, closed,
    datagram, segment,
};
pub use stats::{Disposition, DropReason, Stats};
pub use udp::{UdpCounts, UdpKey};

/// Payload bytes of the largest record; a longer capture takes several.
pub const WINDOW: u32 = 16 * 1024;

/// The most records one segment is shipped in.
pub const MAX_WINDOWS: u32 = 4;

/// The most payload bytes of one segment that can be captured: 64 KiB, the size of the largest segment that the
/// TCP stack hands to a hook (`GSO_LEGACY_MAX_SIZE`, include/linux/netdevice.h).
pub const MAX_CAPTURE: u32 = WINDOW * MAX_WINDOWS;

/// Bytes of a thread's name (`TASK_COMM_LEN`, include/linux/sched.h).
pub const COMM_LEN: usize = 16;
