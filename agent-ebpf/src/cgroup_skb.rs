//! `cgroup_skb` ingress and egress on the root of cgroup v2: every segment of every TCP socket of the host.

use aya_ebpf::{
    bindings::{__sk_buff, bpf_sock, bpf_tcp_sock},
    helpers::generated::{
        bpf_get_socket_cookie, bpf_ktime_get_ns, bpf_sk_fullsock, bpf_skb_cgroup_id, bpf_tcp_sock,
    },
    macros::cgroup_skb,
    programs::SkBuffContext,
};
use aya_log_ebpf::{debug, warn};
use redtap_ebpf::{
    Disposition, DropReason, Flow, Fresh, MARK_LEN, MAX_CAPTURE, MAX_WINDOWS, Segment, Ship, WINDOW,
    flow::{hint, state},
    segment, tcp, words,
};

use crate::{
    datagrams,
    emit::{self, Window},
    maps::{CAPTURE_LENGTH, HINT_EPOCH, HINTS, PICKUP_BY_MAP, PICKUPS, flow, flow_or_new, keep_live, stats},
    packet::{self, Headers},
};

/// Lets the packet pass.
const PASS: i32 = 1;

const TCP_LISTEN: u32 = 10;
const IPPROTO_UDP: u32 = 17;

/// A TLS record header of a handshake, without its minor version (RFC 8446 §5.1).
const TLS_HANDSHAKE: u32 = 0x1603;

/// Bytes of a direction after which nothing more is shipped of a TLS connection: what is in the clear of a
/// handshake, long certificate chains included, is over by then.
const MAX_TLS: u64 = 32 * 1024;

/// Received segments.
#[cgroup_skb(ingress)]
pub fn ingress(ctx: SkBuffContext) -> i32 {
    // SAFETY: `ctx` is the program's context.
    unsafe { observe::<false>(ctx.skb.skb) };
    PASS
}

/// Sent segments.
#[cgroup_skb(egress)]
pub fn egress(ctx: SkBuffContext) -> i32 {
    // SAFETY: `ctx` is the program's context.
    unsafe { observe::<true>(ctx.skb.skb) };
    PASS
}

/// What is to become of a segment.
enum Plan<'a> {
    /// It cannot be told of.
    Lost(DropReason),
    /// No record tells of it.
    Is(Disposition, &'a mut Flow),
    /// Payload from this offset on, at most so many bytes of it, goes into the ring, for this flow if it has one.
    Ship(Segment, u32, u32, Option<&'a mut Flow>),
}

/// A segment on its way through the hook.
struct Passing {
    skb: *mut __sk_buff,
    sk: *mut bpf_sock,
    tcp: *mut bpf_tcp_sock,
    headers: Headers,
}

#[inline(always)]
unsafe fn observe<const EGRESS: bool>(skb: *mut __sk_buff) {
    // SAFETY: pointers are compared with null where the verifier wants it.
    unsafe {
        let sk = (*skb).__bindgen_anon_2.sk;
        if sk.is_null() {
            return;
        }
        let sk = bpf_sk_fullsock(sk);
        if sk.is_null() {
            return;
        }
        let tcp = bpf_tcp_sock(sk);
        if tcp.is_null() {
            if (*sk).protocol == IPPROTO_UDP {
                datagrams::observe::<EGRESS>(skb, sk);
            }
            return;
        }
        let Some(headers) = packet::headers(skb) else {
            warn!(&SkBuffContext::new(skb), "headers of a segment of {} bytes cannot be read", (*skb).len);
            return count::<EGRESS>(0, Disposition::Dropped(DropReason::Headers));
        };
        let len = headers.payload_len;
        let passing = Passing { skb, sk, tcp, headers };
        if len == 0 {
            without_payload::<EGRESS>(&passing);
            return;
        }
        let plan = if !EGRESS && (*sk).state == TCP_LISTEN {
            early(&passing)
        } else if let Some(flow) = flow_or_new(sk.cast()) {
            if flow.mode & hint::IGNORED != 0 {
                return count::<EGRESS>(len, Disposition::Opaque);
            }
            with_payload::<EGRESS>(&passing, flow)
        } else {
            warn!(&SkBuffContext::new(skb), "no memory for a flow's state");
            Plan::Lost(DropReason::FlowStorage)
        };
        let disposition = match plan {
            Plan::Lost(reason) => Disposition::Dropped(reason),
            Plan::Is(disposition, flow) => {
                keep_live(flow);
                disposition
            }
            Plan::Ship(header, offset, limit, flow) => ship(&passing, header, offset, limit, flow),
        };
        count::<EGRESS>(len, disposition);
    }
}

/// Enters a segment into the books: once as seen, once as what became of it.
#[inline(always)]
fn count<const EGRESS: bool>(len: u32, disposition: Disposition) {
    let Some(stats) = stats() else { return };
    stats.segments[usize::from(EGRESS)] += 1;
    stats.bytes[usize::from(EGRESS)] += u64::from(len);
    match disposition {
        Disposition::Shipped => stats.shipped += 1,
        Disposition::Body => stats.body += 1,
        Disposition::Duplicate => stats.duplicate += 1,
        Disposition::Opaque => stats.opaque += 1,
        Disposition::Dropped(DropReason::RingFull) => stats.dropped[0] += 1,
        Disposition::Dropped(DropReason::FlowStorage) => stats.dropped[1] += 1,
        Disposition::Dropped(DropReason::Headers) => stats.dropped[2] += 1,
        Disposition::Dropped(DropReason::NoRing) => stats.dropped[3] += 1,
        Disposition::Dropped(DropReason::Copy) => stats.dropped[4] += 1,
    }
}

/// Takes note of an acknowledgement, a window, FIN or RST, and of what the socket itself counts.
#[inline(always)]
unsafe fn note<const EGRESS: bool>(flow: &mut Flow, passing: &Passing, now: &mut u64) {
    let headers = &passing.headers;
    // SAFETY: `tcp` was compared with null.
    unsafe {
        flow.srtt_us = (*passing.tcp).srtt_us >> 3;
        flow.retransmits = (*passing.tcp).total_retrans;
        flow.rx_segments = (*passing.tcp).data_segs_in;
        flow.tx_segments = (*passing.tcp).data_segs_out;
    }
    // A RST says nothing of windows.
    if headers.flags & tcp::RST == 0
        // SAFETY: a helper without preconditions.
        && flow.window(EGRESS, headers.window_is_zero, || unsafe { bpf_ktime_get_ns() })
        && flow.state & state::KNOWN != 0
    {
        keep_live(flow);
    }
    if !EGRESS
        && flow.state & state::AWAITS_ACK != 0
        && headers.flags & tcp::ACK != 0
        && tcp::at_or_after(headers.ack, flow.ack_wait)
    {
        flow.state &= !state::AWAITS_ACK;
        // SAFETY: a helper without preconditions.
        unsafe { *now = bpf_ktime_get_ns() };
        flow.acked = *now;
    }
    if headers.flags & (tcp::FIN | tcp::RST) != 0 {
        flow.state |= match (headers.flags & tcp::RST != 0, EGRESS) {
            (false, true) => state::FIN_SENT,
            (false, false) => state::FIN_RECEIVED,
            (true, true) => state::RST_SENT,
            (true, false) => state::RST_RECEIVED,
        };
    }
}

#[inline(always)]
unsafe fn header<const EGRESS: bool>(passing: &Passing, flow: &mut Flow, now: u64) -> Segment {
    // SAFETY: a map value lives as long as the program runs.
    unsafe {
        if PICKUP_BY_MAP.load() != 0
            && flow.state & state::AWAITS_PICKUP != 0
            && let Some(pickup) = PICKUPS.get(flow.cookie)
        {
            flow.picked_up = pickup.time;
            flow.pid = pickup.pid;
            flow.tid = pickup.tid;
        }
        let mut header = emit::header(flow, now);
        header.flags |= emit::segment_flags(passing.headers.flags, EGRESS);
        header.seq = passing.headers.seq;
        header.length = passing.headers.payload_len;
        header
    }
}

/// An acknowledgement, or a bare FIN or RST, of a flow that is known.
#[inline(always)]
unsafe fn without_payload<const EGRESS: bool>(passing: &Passing) {
    // SAFETY: `sk` is a full socket.
    unsafe {
        let Some(flow) = flow(passing.sk.cast()) else { return };
        let mut now = 0;
        note::<EGRESS>(flow, passing, &mut now);
        if EGRESS && passing.headers.flags & tcp::SYN != 0 {
            flow.state |= state::SYN_SENT;
        }
        let ends = passing.headers.flags & (tcp::FIN | tcp::RST) != 0;
        if ends && flow.state & state::ANNOUNCED != 0 {
            if now == 0 {
                now = bpf_ktime_get_ns();
            }
            let header = header::<EGRESS>(passing, flow, now);
            if emit::bare(&header).is_err() {
                flow.state |= state::LOSS;
                crate::maps::event_lost();
            }
        }
    }
}

/// Payload of a flow.
#[inline(always)]
unsafe fn with_payload<'a, const EGRESS: bool>(passing: &Passing, flow: &'a mut Flow) -> Plan<'a> {
    // SAFETY: helpers get the program's context and the full socket.
    unsafe {
        let (seq, len, tcp_flags) = (passing.headers.seq, passing.headers.payload_len, passing.headers.flags);
        let mut now = u64::from(emit::unknown(passing.skb, 0));
        // That the handshake was completed, `sock_ops` tells, unless it could not be attached.
        let untold =
            flow.state & (state::ACTIVE | state::ESTABLISHED) == state::ACTIVE && tcp_flags & tcp::SYN == 0;
        if flow.state & state::KNOWN == 0 || untold {
            emit::identify(passing.sk, flow, bpf_get_socket_cookie(passing.skb.cast()));
        }
        if untold {
            flow.state |= state::ESTABLISHED;
            let ack = passing.headers.ack;
            (flow.rx_seq, flow.tx_seq) = if EGRESS { (ack, seq) } else { (seq, ack) };
        }
        note::<EGRESS>(flow, passing, &mut now);
        if !EGRESS {
            flow.rx.settle((*passing.tcp).rcv_nxt);
        }
        let direction = if EGRESS { &mut flow.tx } else { &mut flow.rx };
        let from = match direction.advance(seq, len) {
            Fresh::Duplicate => return Plan::Is(Disposition::Duplicate, flow),
            Fresh::From(offset) => offset,
        };
        let ends = tcp_flags & (tcp::FIN | tcp::RST) != 0;
        let silent = hint::OPAQUE | hint::STREAM;
        if flow.mode & silent != 0 && !ends {
            return Plan::Is(Disposition::Opaque, flow);
        }
        if !EGRESS {
            flow.state |= state::AWAITS_PICKUP;
        }
        let epoch = HINT_EPOCH.get(0).copied().unwrap_or_default();
        if flow.hint_epoch != epoch {
            flow.hint_epoch = epoch;
            if let Some(hint) = HINTS.get(flow.cookie) {
                flow.apply(hint);
                if flow.mode & silent != 0 && !ends {
                    return Plan::Is(Disposition::Opaque, flow);
                }
            }
        }
        let so_far = if EGRESS { flow.tx.bytes } else { flow.rx.bytes };
        if so_far == u64::from(len)
            && emit::first_bytes(passing.skb, passing.headers.payload_offset) >> 16 == TLS_HANDSHAKE
        {
            flow.state |= state::TLS;
        }
        if flow.state & state::TLS != 0 && so_far > MAX_TLS && !ends {
            return Plan::Is(Disposition::Opaque, flow);
        }
        let ends_push = ends || tcp_flags & tcp::PSH != 0;
        let (other_next, direction) =
            if EGRESS { (flow.rx.next, &mut flow.tx) } else { (flow.tx.next, &mut flow.rx) };
        let mut ship = direction.ship(seq, len, from, other_next, ends_push);
        if flow.mode & silent != 0 || (ship == Ship::Body && ends) {
            ship = Ship::Mark;
        }
        let (offset, limit) = match ship {
            Ship::Body => return Plan::Is(Disposition::Body, flow),
            Ship::Mark => (len.saturating_sub(MARK_LEN), MARK_LEN),
            Ship::Head(offset) => {
                let capture = CAPTURE_LENGTH.load();
                let mut limit = capture;
                if len - offset > capture {
                    if flow.state & state::TLS != 0 {
                        limit = MAX_CAPTURE;
                    } else if emit::ends_in_empty_line(passing.skb, passing.headers.payload_offset, len) {
                        flow.state |= state::SUSPECT;
                        limit = MAX_CAPTURE;
                    } else if flow.mode & hint::FULL != 0
                        || (flow.state & state::SUSPECT != 0 && flow.mode & hint::SINGLE == 0)
                    {
                        limit = MAX_CAPTURE;
                    }
                }
                (offset, limit)
            }
        };
        if now == 0 {
            now = bpf_ktime_get_ns();
        }
        if flow.cgroup == 0 {
            flow.cgroup = bpf_skb_cgroup_id(passing.skb);
        }
        if flow.state & state::ANNOUNCED == 0 {
            emit::opened(flow, now);
        }
        if EGRESS {
            flow.ack_wait = flow.tx.next;
            flow.state |= state::AWAITS_ACK;
        }
        let header = header::<EGRESS>(passing, flow, now);
        Plan::Ship(header, offset, limit, Some(flow))
    }
}

/// Ships a segment's windows; a loss is remembered by the flow and told with its next record, together with what
/// the lost header would have said of the application and the peer.
#[inline(always)]
unsafe fn ship(
    passing: &Passing,
    header: Segment,
    offset: u32,
    limit: u32,
    flow: Option<&mut Flow>,
) -> Disposition {
    // SAFETY: forwards the contract.
    match unsafe { ship_windows(passing, header, offset, limit) } {
        Ok(()) => Disposition::Shipped,
        Err(reason) => {
            let context = SkBuffContext::new(passing.skb);
            debug!(&context, "flow {}: a record is lost, reason {}", header.cookie, reason as u32);
            if let Some(flow) = flow {
                flow.state |= state::LOSS;
                flow.picked_up = header.picked_up;
                flow.acked = header.acked;
            }
            Disposition::Dropped(reason)
        }
    }
}

/// Ships the payload from `offset` on, at most `limit` bytes of it; of a push that is cut off so, the last bytes
/// too, which tell the end of a chunked body.
#[inline(always)]
unsafe fn ship_windows(passing: &Passing, header: Segment, offset: u32, limit: u32) -> Result<(), DropReason> {
    let rest = passing.headers.payload_len - offset;
    let mut window = Window {
        skb: passing.skb,
        payload_offset: passing.headers.payload_offset,
        offset,
        // SAFETY: `skb` is the program's context.
        available: unsafe { emit::unknown(passing.skb, if rest > limit { limit } else { rest }) },
        header,
    };
    window.header.flags |= segment::FIRST;
    // SAFETY: forwards the contract.
    unsafe { emit::window(&window)? };
    window.header.flags &= !segment::FIRST;
    // SAFETY: integers.
    unsafe {
        words::clear(&mut window.header.picked_up);
        words::clear(&mut window.header.acked);
    }
    for _ in 1..MAX_WINDOWS {
        if window.available <= WINDOW {
            break;
        }
        window.offset += WINDOW;
        window.available -= WINDOW;
        // SAFETY: forwards the contract.
        if unsafe { emit::further_window(&window) }.is_err() {
            if let Some(stats) = stats() {
                stats.windows_lost += 1;
            }
            return Ok(());
        }
    }
    let cut = rest > limit && window.header.flags & (segment::PSH | segment::FIN) != 0;
    if cut && rest - limit >= MARK_LEN {
        window.offset = passing.headers.payload_len - MARK_LEN;
        window.available = MARK_LEN;
        // SAFETY: forwards the contract.
        if unsafe { emit::mark(&window) }.is_err()
            && let Some(stats) = stats()
        {
            stats.windows_lost += 1;
        }
    }
    Ok(())
}

/// Payload that completes a handshake: it comes by the listening socket. Shipped under a key that user space can
/// make from the connection's addresses when it opens, a moment later.
#[inline(always)]
unsafe fn early(passing: &Passing) -> Plan<'static> {
    // SAFETY: forwards the contract.
    unsafe {
        let headers = &passing.headers;
        let Some((low, peer_port, local_port)) = packet::early_tuple(passing.skb, headers.transport) else {
            return Plan::Lost(DropReason::Headers);
        };
        debug!(&SkBuffContext::new(passing.skb), "payload completes a handshake, from port {}", peer_port);
        let header = Segment {
            kind: redtap_ebpf::Kind::Segment as u8,
            flags: emit::segment_flags(headers.flags, false),
            captured: 0,
            length: headers.payload_len,
            cookie: tcp::early_cookie(low, peer_port, local_port),
            time: bpf_ktime_get_ns(),
            seq: headers.seq,
            offset: 0,
            picked_up: 0,
            acked: 0,
            pid: 0,
            tid: 0,
            srtt_us: 0,
            retransmits: 0,
            out_of_order: 0,
            duplicate: 0,
            rx_segments: 0,
            tx_segments: 0,
            cgroup: bpf_skb_cgroup_id(passing.skb),
        };
        Plan::Ship(header, 0, CAPTURE_LENGTH.load(), None)
    }
}
