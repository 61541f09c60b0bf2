//! `sock_ops`: handshakes completed, with their roles and first sequence numbers, and ends.

use aya_ebpf::{
    bindings::{
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, BPF_SOCK_OPS_STATE_CB,
        BPF_SOCK_OPS_STATE_CB_FLAG, BPF_SOCK_OPS_TCP_CONNECT_CB, bpf_sock, bpf_sock_ops,
    },
    helpers::{
        bpf_probe_read_kernel,
        generated::{bpf_get_socket_cookie, bpf_ktime_get_ns},
    },
    macros::sock_ops,
    programs::SockOpsContext,
};
use redtap_ebpf::{Direction, Flow, flow::state};

use crate::{
    emit,
    maps::{SK_ERR_OFFSET, flow, flow_or_new},
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
                end(ops, sk, flow);
            }
            return;
        }
        let Some(flow) = flow_or_new(sk.cast()) else { return };
        let now = bpf_ktime_get_ns();
        if flow.state & state::KNOWN == 0 || op == BPF_SOCK_OPS_TCP_CONNECT_CB {
            emit::identify(sk, flow, bpf_get_socket_cookie(ops.cast()));
        }
        if op == BPF_SOCK_OPS_TCP_CONNECT_CB {
            flow.state |= state::ACTIVE | state::SYN_SENT;
            flow.opened_at = now;
            // The end of a connect that fails is told by its state alone.
            let _ = ctx.set_cb_flags(BPF_SOCK_OPS_STATE_CB_FLAG as i32);
            return;
        }
        let (rcv_nxt, snd_nxt) = ((*ops).rcv_nxt, (*ops).snd_nxt);
        // Of two ends that connect to one another, the kernel takes each for the one that accepted.
        if op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB || flow.state & state::ACTIVE != 0 {
            flow.state |= state::ACTIVE;
            if flow.opened_at != 0 {
                flow.connect_ns = now - flow.opened_at;
            }
        } else {
            flow.state |= state::PASSIVE;
        }
        flow.state |= state::ESTABLISHED;
        flow.opened_at = now;
        flow.srtt_us = (*ops).srtt_us >> 3;
        // TCP Fast Open has sent, or received, payload with the SYN already.
        if flow.rx.flags & Direction::STARTED == 0 {
            flow.rx.start(rcv_nxt);
        }
        if flow.tx.flags & Direction::STARTED == 0 {
            flow.tx.start(snd_nxt);
        }
        flow.rx_seq = flow.rx.next;
        flow.tx_seq = flow.tx.next;
        emit::opened(flow, now);
        let _ = ctx.set_cb_flags(BPF_SOCK_OPS_STATE_CB_FLAG as i32);
    }
}

/// Tells of a connection's end.
#[inline(always)]
unsafe fn end(ops: *mut bpf_sock_ops, sk: *mut bpf_sock, flow: &mut Flow) {
    // SAFETY: `ops` is the program's context; `sk` was compared with null.
    unsafe {
        if flow.state & state::KNOWN == 0 {
            emit::identify(sk, flow, bpf_get_socket_cookie(ops.cast()));
        }
        flow.rx_segments = (*ops).data_segs_in;
        flow.tx_segments = (*ops).data_segs_out;
        flow.retransmits = (*ops).total_retrans;
        flow.srtt_us = (*ops).srtt_us >> 3;
        let old_state = (*ops).__bindgen_anon_1.args[0] as u8;
        let orderly = flow.state & (state::FIN_SENT | state::FIN_RECEIVED) != 0;
        let error = if orderly { 0 } else { error(sk) };
        emit::closed(flow, old_state, error, (*ops).retrans_out, bpf_ktime_get_ns());
    }
}

/// The socket's error, of which the context knows nothing: read at the place that the kernel's BTF tells. The
/// verifier forbids arithmetic on a socket's pointer, so its value is taken from where it is spilled.
#[inline(always)]
unsafe fn error(sk: *mut bpf_sock) -> u32 {
    let offset = SK_ERR_OFFSET.load();
    if offset == 0 {
        return 0;
    }
    // SAFETY: the helper checks every address.
    unsafe {
        let mut spilled = sk;
        core::ptr::write_volatile(core::ptr::addr_of_mut!(spilled), sk);
        let Ok(address) = bpf_probe_read_kernel(core::ptr::addr_of!(spilled).cast::<u64>()) else { return 0 };
        bpf_probe_read_kernel((address + u64::from(offset)) as *const u32).unwrap_or_default()
    }
}
