//! Records into the ring: every reservation, every copy out of a packet and every verifier trick is here.

use core::{ffi::c_void, ptr::addr_of_mut};

use aya_ebpf::{
    bindings::{__sk_buff, BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP, bpf_sock},
    helpers::generated::{
        bpf_ringbuf_discard, bpf_ringbuf_query, bpf_ringbuf_reserve, bpf_ringbuf_submit, bpf_skb_load_bytes,
    },
};
use redtap_ebpf::{DropReason, Flow, Kind, Opened, Role, Segment, WINDOW, flow::state, tcp};

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
    unsafe { core::ptr::read_volatile(&value) }
}

/// Copies a record word by word: a plain copy would become a call of a loop over bytes wherever the compiler
/// knows some of them to be zero.
#[inline(always)]
unsafe fn copy_words<T>(to: *mut T, from: &T) {
    const { assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() == 8) }
    let (to, from) = (to.cast::<u64>(), core::ptr::from_ref(from).cast::<u64>());
    for word in 0..size_of::<T>() / 8 {
        // SAFETY: both are valid for the size of a `T`, which is a whole number of words without padding.
        unsafe { to.add(word).write(core::ptr::read_volatile(from.add(word))) };
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
                copy_words(segment, &window.header);
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
        copy_words(record.cast::<Segment>(), header);
        submit(ring, record, false);
    }
    Ok(())
}

/// Ships a small plain record.
#[inline(always)]
pub unsafe fn plain<T: Copy>(value: &T, wake: bool) {
    match reserve!(size_of::<T>() as u64) {
        Ok((ring, record)) => {
            // SAFETY: the record has room for a `T`.
            unsafe {
                copy_words(record.cast::<T>(), value);
                submit(ring, record, wake);
            }
        }
        Err(_) => event_lost(),
    }
}

const AF_INET: u32 = 2;

/// Writes an IPv4 address (network order) in its IPv4-mapped form.
#[inline(always)]
unsafe fn map_ipv4(to: *mut [u8; 16], address: u32) {
    let words = to.cast::<u32>();
    // SAFETY: four words of a 16-byte array; records are 8-byte aligned and the arrays lie at multiples of 8.
    unsafe {
        words.write(0);
        words.add(1).write(0);
        words.add(2).write(0xffff_u32.to_be());
        words.add(3).write(address);
    }
}

/// Ships the `Opened` record of a flow.
#[inline(always)]
pub unsafe fn opened(sk: *mut bpf_sock, flow: &mut Flow, cookie: u64, cgroup: u64, now: u64) {
    flow.state |= state::ANNOUNCED;
    let Ok((ring, record)) = reserve!(size_of::<Opened>() as u64) else {
        flow.state |= state::LOSS;
        event_lost();
        return;
    };
    let record_ = record.cast::<Opened>();
    // SAFETY: the record has room for an `Opened`; `sk` is a full socket, whose fields the verifier knows. All
    // fields are written.
    unsafe {
        let to = &mut *record_;
        to.kind = Kind::Opened as u8;
        to.role = if flow.state & state::ACTIVE != 0 {
            Role::Active as u8
        } else if flow.state & state::PASSIVE != 0 {
            Role::Passive as u8
        } else {
            Role::Unknown as u8
        };
        to.reserved = 0;
        to.local_port = (*sk).src_port as u16;
        to.peer_port = u16::from_be((*sk).dst_port);
        to.cookie = cookie;
        to.time = if flow.opened_at == 0 { now } else { flow.opened_at };
        if (*sk).family == AF_INET {
            to.family = 4;
            map_ipv4(addr_of_mut!(to.local), (*sk).src_ip4);
            map_ipv4(addr_of_mut!(to.peer), (*sk).dst_ip4);
        } else {
            to.family = 6;
            let local = addr_of_mut!(to.local).cast::<u32>();
            let peer = addr_of_mut!(to.peer).cast::<u32>();
            local.write((*sk).src_ip6[0]);
            local.add(1).write((*sk).src_ip6[1]);
            local.add(2).write((*sk).src_ip6[2]);
            local.add(3).write((*sk).src_ip6[3]);
            peer.write((*sk).dst_ip6[0]);
            peer.add(1).write((*sk).dst_ip6[1]);
            peer.add(2).write((*sk).dst_ip6[2]);
            peer.add(3).write((*sk).dst_ip6[3]);
        }
        to.cgroup = cgroup;
        to.connect_ns = flow.connect_ns;
        to.pid = flow.pid;
        to.tid = flow.tid;
        to.rx_seq = flow.rx_seq;
        to.tx_seq = flow.tx_seq;
        to.comm = flow.comm;
        submit(ring, record, false);
    }
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

/// What every record of a flow says beside its payload.
#[inline(always)]
pub fn header(flow: &mut Flow, cookie: u64, now: u64) -> Segment {
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
        cookie,
        time: now,
        seq: 0,
        offset: 0,
        picked_up: flow.picked_up,
        acked: flow.acked,
        pid: flow.pid,
        tid: flow.tid,
        srtt_us: 0,
        retransmits: 0,
    };
    flow.picked_up = 0;
    flow.acked = 0;
    header
}

/// The record flags of a segment's TCP flags.
#[inline(always)]
pub const fn segment_flags(flags: u8, egress: bool) -> u8 {
    use redtap_ebpf::segment::{EGRESS, FIN, PSH, RST};
    let mut out = if egress { EGRESS } else { 0 };
    if flags & tcp::FIN != 0 {
        out |= FIN;
    }
    if flags & tcp::RST != 0 {
        out |= RST;
    }
    if flags & tcp::PSH != 0 {
        out |= PSH;
    }
    out
}
