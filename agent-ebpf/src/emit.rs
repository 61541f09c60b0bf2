//! Records into the ring: every reservation, every copy out of a packet and every verifier trick is here.

use core::{
    ffi::c_void,
    ptr::{addr_of, addr_of_mut, read_volatile},
};

use aya_ebpf::{
    bindings::{__sk_buff, BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP, bpf_sock},
    helpers::generated::{
        bpf_ktime_get_ns, bpf_ringbuf_discard, bpf_ringbuf_query, bpf_ringbuf_reserve, bpf_ringbuf_submit,
        bpf_skb_load_bytes,
    },
};
use redtap_ebpf::{
    Cgroup, CgroupHead, Closed, Datagram, DropReason, Flow, Kind, Opened, Segment, WINDOW, flow::state, tcp, words,
};

use crate::maps::{HIGH_WATER, event_lost, ring, stats};

/// A payload window on its way out: what of which segment, and what to say with it.
pub struct Window {
    pub skb: *mut __sk_buff,
    /// Of the payload, from the network header.
    pub payload_offset: u32,
    /// Where in the payload the window begins.
    pub offset: u32,
    /// Payload bytes from there on; what exceeds the record's size is left out.
    pub available: u32,
    pub header: Segment,
}

/// Hides a value's origin from the compiler, so that the comparison that follows stays in the program: the
/// verifier does not see what the optimiser knows.
#[inline(always)]
fn opaque(value: u64) -> u64 {
    // SAFETY: reads a live local.
    unsafe { read_volatile(&value) }
}

/// Hides a value from the verifier, which would else follow the program once for each value that it knows of. The
/// packet's length is read twice and cancels out.
#[inline(always)]
pub unsafe fn unknown(skb: *mut __sk_buff, value: u32) -> u32 {
    // SAFETY: `skb` is the program's context.
    unsafe {
        let len = addr_of!((*skb).len);
        value ^ read_volatile(len) ^ read_volatile(len)
    }
}

/// Reserves `$size` bytes of this CPU's ring. A macro, because the helper wants the size as an immediate.
macro_rules! reserve {
    ($size:expr) => {
        ring().and_then(|ring| {
            // SAFETY: `ring` is a ring buffer map of the outer map.
            let record = unsafe { bpf_ringbuf_reserve(ring, $size, 0) };
            if record.is_null() { Err(DropReason::RingFull) } else { Ok((ring, record)) }
        })
    };
}

/// Submits a record, waking the reader only when the ring has filled beyond the high-water mark; looked at once
/// every 32 records, since the look is itself a call.
#[inline(always)]
unsafe fn submit(ring: *mut c_void, record: *mut c_void, wake: bool) {
    let mut flags = if wake { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP };
    if let Some(stats) = stats() {
        stats.records += 1;
        if stats.records & 31 == 0 {
            // SAFETY: `ring` is the map the record was reserved from.
            let waiting = unsafe { bpf_ringbuf_query(ring, u64::from(BPF_RB_AVAIL_DATA)) };
            if waiting > HIGH_WATER.load() {
                flags = BPF_RB_FORCE_WAKEUP;
            }
        }
    }
    // SAFETY: `record` was reserved and is submitted once.
    unsafe { bpf_ringbuf_submit(record, u64::from(flags)) };
}

macro_rules! window_of_class {
    ($name:ident, $class:expr) => {
        /// Ships a window as a record of one size class.
        #[inline(always)]
        unsafe fn $name(window: &Window) -> Result<(), DropReason> {
            const CLASS: u32 = $class;
            let (ring, record) = reserve!(size_of::<Segment>() as u64 + u64::from(CLASS))?;
            let wanted = if window.available > CLASS { CLASS } else { window.available };
            let segment = record.cast::<Segment>();
            // SAFETY: the record has room for the header and CLASS bytes; `length` is proven to lie in 1..=CLASS,
            // as 5.10 asks of `bpf_skb_load_bytes`.
            unsafe {
                words::copy(segment, &window.header);
                addr_of_mut!((*segment).captured).write(wanted as u16);
                addr_of_mut!((*segment).offset).write(window.offset);
                // Kernels before 6.6 do not learn from a comparison with zero that a length is at least 1, so the
                // bound is put on the length less one; and they forget it of a copy kept on the stack, so nothing
                // stands between the comparison and the call.
                let last = opaque(u64::from(wanted).wrapping_sub(1));
                if last >= u64::from(CLASS) {
                    bpf_ringbuf_discard(record, 0);
                    return Err(DropReason::Copy);
                }
                let length = (last + 1) as u32;
                let from = window.payload_offset + window.offset;
                if bpf_skb_load_bytes(window.skb.cast(), from, segment.add(1).cast(), length) != 0 {
                    bpf_ringbuf_discard(record, 0);
                    return Err(DropReason::Copy);
                }
                submit(ring, record, false);
            }
            Ok(())
        }
    };
}

window_of_class!(window_8, 8);
window_of_class!(window_128, 128);
window_of_class!(window_256, 256);
window_of_class!(window_512, 512);
window_of_class!(window_1024, 1024);
window_of_class!(window_4096, 4096);
window_of_class!(window_whole, WINDOW);

/// Ships a window as the smallest record that holds it, or its first [`WINDOW`] bytes.
#[inline(always)]
pub unsafe fn window(window: &Window) -> Result<(), DropReason> {
    // SAFETY: forwards the contract.
    unsafe {
        match window.available {
            0..=8 => window_8(window),
            9..=128 => window_128(window),
            129..=256 => window_256(window),
            257..=512 => window_512(window),
            513..=1024 => window_1024(window),
            1025..=4096 => window_4096(window),
            _ => window_whole(window),
        }
    }
}

/// Ships a later window of the same segment, always as the largest record: one shape keeps the loop around it
/// within the verifier's budget.
#[inline(always)]
pub unsafe fn further_window(window: &Window) -> Result<(), DropReason> {
    // SAFETY: forwards the contract.
    unsafe { window_whole(window) }
}

/// Ships the last bytes of a segment.
#[inline(always)]
pub unsafe fn mark(window: &Window) -> Result<(), DropReason> {
    // SAFETY: forwards the contract.
    unsafe { window_8(window) }
}

/// Ships a segment without payload.
#[inline(always)]
pub unsafe fn bare(header: &Segment) -> Result<(), DropReason> {
    let (ring, record) = reserve!(size_of::<Segment>() as u64)?;
    // SAFETY: the record has room for the header.
    unsafe {
        words::copy(record.cast::<Segment>(), header);
        submit(ring, record, false);
    }
    Ok(())
}

macro_rules! message_of_class {
    ($name:ident, $class:expr) => {
        /// Ships a datagram as a record of one size class.
        #[inline(always)]
        unsafe fn $name(skb: *mut __sk_buff, offset: u32, header: &Datagram) -> Result<(), DropReason> {
            const CLASS: u32 = $class;
            let (ring, record) = reserve!(size_of::<Datagram>() as u64 + u64::from(CLASS))?;
            let wanted = if header.length > CLASS { CLASS } else { header.length };
            let datagram = record.cast::<Datagram>();
            // SAFETY: as in `window_of_class`.
            unsafe {
                words::copy(datagram, header);
                addr_of_mut!((*datagram).captured).write(wanted as u16);
                let last = opaque(u64::from(wanted).wrapping_sub(1));
                if last >= u64::from(CLASS) {
                    bpf_ringbuf_discard(record, 0);
                    return Err(DropReason::Copy);
                }
                let length = (last + 1) as u32;
                if bpf_skb_load_bytes(skb.cast(), offset, datagram.add(1).cast(), length) != 0 {
                    bpf_ringbuf_discard(record, 0);
                    return Err(DropReason::Copy);
                }
                submit(ring, record, false);
            }
            Ok(())
        }
    };
}

// What fits a datagram without EDNS, and what all but few servers send with it (RFC 1035 §4.2.1, RFC 6891 §6.2.5).
message_of_class!(message_512, 512);
message_of_class!(message_4096, 4096);

/// Ships a datagram whose payload lies at `offset`.
#[inline(always)]
pub unsafe fn message(skb: *mut __sk_buff, offset: u32, header: &Datagram) -> Result<(), DropReason> {
    // SAFETY: forwards the contract.
    unsafe {
        if header.length <= 512 { message_512(skb, offset, header) } else { message_4096(skb, offset, header) }
    }
}

/// Ships a small plain record.
#[inline(always)]
pub unsafe fn plain<T: Copy>(value: &T, wake: bool) {
    match reserve!(size_of::<T>() as u64) {
        Ok((ring, record)) => {
            // SAFETY: the record has room for a `T`.
            unsafe {
                words::copy(record.cast::<T>(), value);
                submit(ring, record, wake);
            }
        }
        Err(_) => event_lost(),
    }
}

/// Wakes the reader, although there is nothing more to tell.
#[inline(always)]
pub unsafe fn wake() {
    if let Ok((_, record)) = reserve!(8_u64) {
        // SAFETY: `record` was reserved and is given back once.
        unsafe { bpf_ringbuf_discard(record, u64::from(BPF_RB_FORCE_WAKEUP)) };
    }
}

/// Ships the record of a cgroup, whose path `read` copies to where it is told, or says that it cannot. It is too long for the
/// stack.
#[inline(always)]
pub unsafe fn cgroup(id: u64, flags: u8, read: impl FnOnce(*mut u8) -> bool) {
    let Ok((ring, record)) = reserve!(size_of::<Cgroup>() as u64) else { return event_lost() };
    let cgroup = record.cast::<Cgroup>();
    // SAFETY: the record has room for a `Cgroup`; `read` writes no more than a path.
    unsafe {
        let kind = Kind::Cgroup as u8;
        words::copy(
            addr_of_mut!((*cgroup).head),
            &CgroupHead { kind, flags, reserved: [0; 6], id, time: bpf_ktime_get_ns() },
        );
        if read(addr_of_mut!((*cgroup).path).cast()) {
            submit(ring, record, false);
        } else {
            bpf_ringbuf_discard(record, 0);
            event_lost();
        }
    }
}

const AF_INET: u32 = 2;

/// The state of a socket that has no connection (include/net/tcp_states.h).
pub const TCP_CLOSE: u8 = 7;

/// Fills in what names a flow: its socket's cookie and addresses.
#[inline(always)]
pub unsafe fn identify(sk: *mut bpf_sock, flow: &mut Flow, cookie: u64) {
    flow.state |= state::KNOWN;
    flow.cookie = cookie;
    // SAFETY: `sk` is a full socket, whose fields the verifier knows. All are read before any is chosen: of two
    // branches that read different fields, the compiler would make one that reads at a computed place, which the
    // verifier refuses.
    unsafe {
        flow.local_port = (*sk).src_port as u16;
        flow.peer_port = u16::from_be((*sk).dst_port);
        let is_ipv4 = read_volatile(addr_of!((*sk).family)) == AF_INET;
        let ipv4 = [read_volatile(addr_of!((*sk).src_ip4)), read_volatile(addr_of!((*sk).dst_ip4))];
        let (src, dst) = (addr_of!((*sk).src_ip6), addr_of!((*sk).dst_ip6));
        let (src, dst) = (src.cast::<u32>(), dst.cast::<u32>());
        let local =
            [read_volatile(src), read_volatile(src.add(1)), read_volatile(src.add(2)), read_volatile(src.add(3))];
        let peer =
            [read_volatile(dst), read_volatile(dst.add(1)), read_volatile(dst.add(2)), read_volatile(dst.add(3))];
        flow.family = if is_ipv4 { 4 } else { 6 };
        write_words(addr_of_mut!(flow.local), if is_ipv4 { mapped(ipv4[0]) } else { local });
        write_words(addr_of_mut!(flow.peer), if is_ipv4 { mapped(ipv4[1]) } else { peer });
    }
}

/// The IPv4-mapped form of an IPv4 address, in words of network order.
#[inline(always)]
pub const fn mapped(address: u32) -> [u32; 4] {
    [0, 0, 0xffff_u32.to_be(), address]
}

/// Writes an address.
#[inline(always)]
pub unsafe fn write_words(to: *mut [u8; 16], words: [u32; 4]) {
    let to = to.cast::<u32>();
    // SAFETY: four words of a 16-byte array, which lies at a multiple of 8 wherever this is used.
    unsafe {
        to.write(words[0]);
        to.add(1).write(words[1]);
        to.add(2).write(words[2]);
        to.add(3).write(words[3]);
    }
}

/// Ships the `Opened` record of a flow that is known.
#[inline(always)]
pub unsafe fn opened(flow: &mut Flow, now: u64) {
    flow.state |= state::ANNOUNCED;
    let Ok((ring, record)) = reserve!(size_of::<Opened>() as u64) else {
        flow.state |= state::LOSS;
        event_lost();
        return;
    };
    if flow.opened_at == 0 {
        flow.opened_at = now;
    }
    // SAFETY: the record has room for an `Opened`, of which every field is written.
    unsafe {
        let to = &mut *record.cast::<Opened>();
        to.kind = Kind::Opened as u8;
        to.role = flow.role() as u8;
        to.family = flow.family;
        to.reserved = 0;
        to.local_port = flow.local_port;
        to.peer_port = flow.peer_port;
        to.cookie = flow.cookie;
        to.time = flow.opened_at;
        words::copy_bytes(&mut to.local, &flow.local);
        words::copy_bytes(&mut to.peer, &flow.peer);
        to.cgroup = flow.cgroup;
        to.connect_ns = flow.connect_ns;
        to.pid = flow.pid;
        to.tid = flow.tid;
        to.rx_seq = flow.rx_seq;
        to.tx_seq = flow.tx_seq;
        words::copy_bytes(&mut to.comm, &flow.comm);
        submit(ring, record, false);
    }
}

/// Ships the `Closed` record of a flow, and before it the `Opened` one where its life passed without payload.
#[inline(always)]
pub unsafe fn closed(flow: &mut Flow, old_state: u8, error: u32, unanswered: u32, now: u64) {
    if flow.state & state::ANNOUNCED == 0 {
        // SAFETY: no preconditions but a known flow.
        unsafe { opened(flow, now) };
    }
    let Ok((ring, record)) = reserve!(size_of::<Closed>() as u64) else {
        event_lost();
        flow.reset();
        return;
    };
    // SAFETY: the record has room for a `Closed`, of which every field is written.
    unsafe {
        let to = &mut *record.cast::<Closed>();
        to.kind = Kind::Closed as u8;
        to.flags = closed_flags(flow.state);
        to.old_state = old_state;
        to.reserved = 0;
        to.error = error;
        to.cookie = flow.cookie;
        to.time = now;
        to.totals = flow.totals(now);
        to.rx_next = flow.rx.next;
        to.tx_next = flow.tx.next;
        to.picked_up = flow.picked_up;
        to.acked = flow.acked;
        to.pid = flow.pid;
        to.tid = flow.tid;
        to.unanswered = unanswered;
        to.padding = 0;
        submit(ring, record, false);
    }
    flow.reset();
}

/// The record flags of a flow's end.
#[inline(always)]
const fn closed_flags(flow: u32) -> u8 {
    use redtap_ebpf::closed::{FIN_RECEIVED, FIN_SENT, LIVE, LOSS, RST_RECEIVED, RST_SENT};
    let mut flags = 0;
    if flow & state::FIN_SENT != 0 {
        flags |= FIN_SENT;
    }
    if flow & state::FIN_RECEIVED != 0 {
        flags |= FIN_RECEIVED;
    }
    if flow & state::RST_SENT != 0 {
        flags |= RST_SENT;
    }
    if flow & state::RST_RECEIVED != 0 {
        flags |= RST_RECEIVED;
    }
    if flow & state::LOSS != 0 {
        flags |= LOSS;
    }
    if flow & state::LIVE != 0 {
        flags |= LIVE;
    }
    flags
}

/// Whether the payload's last four bytes end a message head (an empty line, RFC 9112 §2.1): then nothing but
/// heads is in it, and all of it is worth shipping.
#[inline(always)]
pub unsafe fn ends_in_empty_line(skb: *mut __sk_buff, payload_offset: u32, len: u32) -> bool {
    let mut tail = 0_u32;
    // SAFETY: four bytes into a local; the helper refuses what lies outside the packet.
    let failed = unsafe { bpf_skb_load_bytes(skb.cast(), payload_offset + len - 4, addr_of_mut!(tail).cast(), 4) };
    failed == 0 && tail == u32::from_ne_bytes(*b"\r\n\r\n")
}

/// The first four bytes of a segment's payload, in network order; 0 where there are fewer.
#[inline(always)]
pub unsafe fn first_bytes(skb: *mut __sk_buff, payload_offset: u32) -> u32 {
    let mut head = 0_u32;
    // SAFETY: four bytes into a local; the helper refuses what lies outside the packet.
    let failed = unsafe { bpf_skb_load_bytes(skb.cast(), payload_offset, addr_of_mut!(head).cast(), 4) };
    if failed == 0 { u32::from_be(head) } else { 0 }
}

/// What every record of a flow says beside its payload.
#[inline(always)]
pub fn header(flow: &mut Flow, now: u64) -> Segment {
    let mut flags = 0;
    if flow.state & state::LOSS != 0 {
        flow.state &= !state::LOSS;
        flags |= redtap_ebpf::segment::LOSS;
    }
    let header = Segment {
        kind: Kind::Segment as u8,
        flags,
        captured: 0,
        length: 0,
        cookie: flow.cookie,
        time: now,
        seq: 0,
        offset: 0,
        picked_up: flow.picked_up,
        acked: flow.acked,
        pid: flow.pid,
        tid: flow.tid,
        srtt_us: flow.srtt_us,
        retransmits: flow.retransmits,
        out_of_order: flow.rx.out_of_order as u32,
        duplicate: flow.rx.duplicate as u32,
        rx_segments: flow.rx_segments,
        tx_segments: flow.tx_segments,
        cgroup: flow.cgroup,
    };
    // SAFETY: integers.
    unsafe {
        words::clear(&mut flow.picked_up);
        words::clear(&mut flow.acked);
    }
    header
}

/// The record flags of a segment's TCP flags. Without branches, which the verifier would follow one by one.
#[inline(always)]
pub const fn segment_flags(flags: u8, egress: bool) -> u8 {
    use redtap_ebpf::segment::{EGRESS, FIN, PSH, RST};
    const { assert!(FIN == tcp::FIN << 2 && RST == tcp::RST << 1 && PSH == tcp::PSH << 1) }
    let out = if egress { EGRESS } else { 0 };
    out | ((flags & tcp::FIN) << 2) | ((flags & (tcp::RST | tcp::PSH)) << 1)
}
