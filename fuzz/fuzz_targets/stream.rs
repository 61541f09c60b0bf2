//! Segments with any positions, windows and flags through the flow table: no panic, bounded memory, closed books.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use redtap::{
    flow::{Limits, Nobody, Table},
    protocol::Output,
    time::Nanos,
};
use redtap_ebpf::{Kind, Segment, segment};

const FLOWS: usize = 4;

/// Bytes that may be kept of inputs so short: each byte in a few places, with what stands around it.
const MOST: usize = 16 << 20;

fuzz_target!(|data: &[u8]| {
    let limits = Limits { flows: FLOWS, request_timeout: Duration::from_nanos(50) };
    let mut table = Table::new(limits, Output::new(true));
    let mut next = [0_u32; 16];
    let mut time = 1;
    let mut rest = data;
    // Each segment: flags, cookie, shift of its position, uncaptured bytes before and behind, length, bytes.
    while let [flags, cookie, shift, before, behind, length, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = tail;
        time += 1;
        let side = usize::from(cookie & 7) * 2 + usize::from(flags & segment::EGRESS);
        let seq = next[side].wrapping_add_signed(i32::from(shift.cast_signed()));
        let captured = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        let length = u32::from(*before) + u32::from(captured) + u32::from(*behind);
        next[side] = seq.wrapping_add(length);
        let header = Segment {
            kind: Kind::Segment as u8,
            flags: *flags,
            captured,
            length,
            cookie: u64::from(cookie & 7) | (u64::from(cookie >> 7) << 63),
            time,
            seq,
            offset: u32::from(*before),
            picked_up: if cookie & 8 != 0 { time } else { 0 },
            acked: if cookie & 16 != 0 { time } else { 0 },
            pid: 1,
            tid: 1,
            srtt_us: 0,
            retransmits: u32::from(*behind),
            out_of_order: u32::from(*before),
            duplicate: u32::from(*shift),
            rx_segments: u32::from(*cookie),
            tx_segments: length,
            cgroup: 0,
        };
        table.segment(&header, bytes, &mut Nobody);
        if cookie & 32 != 0 {
            table.sweep(Nanos(time), &mut Nobody);
            table.expire(Nanos(time), &mut Nobody);
        }
        assert!(table.len() <= FLOWS);
        assert!(table.kept_bytes() <= MOST, "{} bytes are kept", table.kept_bytes());
    }
    // Long after, everything has been forgotten and every segment has its place.
    let late = Nanos(u64::MAX / 2);
    table.sweep(late, &mut Nobody);
    table.expire(late, &mut Nobody);
    table.expire(late, &mut Nobody);
    let counts = table.counts();
    let settled = counts.parsed + counts.opaque + counts.early_unclaimed;
    assert!(settled <= counts.segments, "{counts:?}");
    if table.is_empty() {
        assert_eq!(settled, counts.segments, "{counts:?}");
    }
});
