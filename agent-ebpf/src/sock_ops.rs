//! `sock_ops`: handshakes completed, with their roles and first sequence numbers, and ends.

use aya_ebpf::{
    bindings::{
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, BPF_SOCK_OPS_STATE_CB,
        BPF_SOCK_OPS_STATE_CB_FLAG, BPF_SOCK_OPS_TCP_CONNECT_CB, bpf_sock_ops,
    },
    helpers::generated::{bpf_get_socket_cookie, bpf_ktime_get_ns},
    macros::sock_ops,
    programs::SockOpsContext,
};
use redtap_ebpf::{Closed, Direction, Flow, Kind, closed, flow::state};

use crate::{
    emit,
    maps::{flow, flow_or_new},
};

const TCP_CLOSE: u32 = 7;

/// Never sets a reply: no operation is answered, so no connection is changed.
#[sock_ops]
pub fn sock_ops(ctx: SockOpsContext) -> u32 {
    // SAFETY: `ctx` is the program's context.
    unsafe { observe(&ctx) };
    1
}

#[inline(always)]
unsafe fn observe(ctx: &SockOpsContext) {
    // SAFETY: fields of the context; `sk` is compared with null before use.
    unsafe {
        let ops = ctx.ops;
        let op = (*ops).op;
        if op != BPF_SOCK_OPS_TCP_CONNECT_CB
            && op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB
            && op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB
            && op != BPF_SOCK_OPS_STATE_CB
        {
            return;
        }
        let sk = (*ops).__bindgen_anon_2.sk;
        if sk.is_null() {
            return;
        }
        if op == BPF_SOCK_OPS_STATE_CB {
            if (*ops).__bindgen_anon_1.args[1] == TCP_CLOSE
                && let Some(flow) = flow(sk.cast())
            {
                end(ops, flow);
            }
            return;
        }
        let Some(flow) = flow_or_new(sk.cast()) else { return };
        let now = bpf_ktime_get_ns();
        if op == BPF_SOCK_OPS_TCP_CONNECT_CB {
            flow.state |= state::ACTIVE;
            flow.opened_at = now;
            // The end of a connect that fails is told by its state alone.
            let _ = ctx.set_cb_flags(BPF_SOCK_OPS_STATE_CB_FLAG as i32);
            return;
        }
        let (rcv_nxt, snd_nxt) = ((*ops).rcv_nxt, (*ops).snd_nxt);
        if op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB {
            flow.state |= state::ACTIVE;
            if flow.opened_at != 0 {
                flow.connect_ns = now - flow.opened_at;
            }
        } else {
            flow.state |= state::PASSIVE;
        }
        flow.opened_at = now;
        // TCP Fast Open has sent, or received, payload with the SYN already.
        if flow.rx.flags & Direction::STARTED == 0 {
            flow.rx.start(rcv_nxt);
        }
        if flow.tx.flags & Direction::STARTED == 0 {
            flow.tx.start(snd_nxt);
        }
        flow.rx_seq = flow.rx.next;
        flow.tx_seq = flow.tx.next;
        let _ = ctx.set_cb_flags(BPF_SOCK_OPS_STATE_CB_FLAG as i32);
    }
}

/// Tells of a connection's end, and first of the connection where its life passed without payload.
#[inline(always)]
unsafe fn end(ops: *mut bpf_sock_ops, flow: &mut Flow) {
    // SAFETY: `ops` is the program's context; `sk` was compared with null by the caller, and is again for the
    // verifier.
    unsafe {
        let cookie = bpf_get_socket_cookie(ops.cast());
        let now = bpf_ktime_get_ns();
        if flow.state & state::ANNOUNCED == 0 {
            let sk = (*ops).__bindgen_anon_2.sk;
            if sk.is_null() {
                return;
            }
            emit::opened(sk, flow, cookie, 0, now);
        }
        let mut flags = 0;
        if flow.state & state::FIN_SENT != 0 {
            flags |= closed::FIN_SENT;
        }
        if flow.state & state::FIN_RECEIVED != 0 {
            flags |= closed::FIN_RECEIVED;
        }
        if flow.state & state::RST_SENT != 0 {
            flags |= closed::RST_SENT;
        }
        if flow.state & state::RST_RECEIVED != 0 {
            flags |= closed::RST_RECEIVED;
        }
        if flow.state & state::LOSS != 0 {
            flags |= closed::LOSS;
        }
        let record = Closed {
            kind: Kind::Closed as u8,
            flags,
            old_state: (*ops).__bindgen_anon_1.args[0] as u8,
            reserved: 0,
            unanswered: (*ops).retrans_out,
            cookie,
            time: now,
            rx_bytes: flow.rx.bytes,
            tx_bytes: flow.tx.bytes,
            rx_next: flow.rx.next,
            tx_next: flow.tx.next,
            picked_up: flow.picked_up,
            acked: flow.acked,
            pid: flow.pid,
            tid: flow.tid,
            srtt_us: (*ops).srtt_us >> 3,
            retransmits: (*ops).total_retrans,
        };
        emit::plain(&record, false);
    }
}
