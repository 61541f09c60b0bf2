//! Tracepoint `tcp_rcv_space_adjust`: the application has copied bytes out of a socket, and it is current.
//!
//! Fires for every way of reading (read, recvmsg, splice, io_uring: all end in `tcp_recvmsg_locked` or
//! `tcp_read_sock`). Two variants; the agent loads one.

use aya_ebpf::{
    EbpfContext,
    helpers::{
        bpf_probe_read_kernel,
        generated::{bpf_get_current_pid_tgid, bpf_ktime_get_ns},
    },
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use redtap_ebpf::flow::state;

use crate::maps::{PICKUPS, Pickup, SKC_COOKIE_OFFSET, flow};

/// From 5.11: straight into the socket's storage.
#[btf_tracepoint(function = "tcp_rcv_space_adjust")]
pub fn pickup_btf(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the first argument is a trusted `struct sock` pointer, which the storage helper takes.
    unsafe {
        let sk = *ctx.as_ptr().cast::<*mut core::ffi::c_void>();
        if let Some(flow) = flow(sk)
            && flow.state & state::AWAITS_PICKUP != 0
        {
            flow.state &= !state::AWAITS_PICKUP;
            let pid_tgid = bpf_get_current_pid_tgid();
            flow.picked_up = bpf_ktime_get_ns();
            flow.pid = (pid_tgid >> 32) as u32;
            flow.tid = pid_tgid as u32;
        }
    }
    0
}

/// 5.10: the cookie is read at an offset the agent took from the kernel's BTF, and the note goes through a map.
#[raw_tracepoint(tracepoint = "tcp_rcv_space_adjust")]
pub fn pickup_raw(ctx: RawTracePointContext) -> i32 {
    let sk: *const u8 = ctx.arg(0);
    // SAFETY: the helper checks the address; the pointer is not dereferenced here.
    let cookie =
        unsafe { bpf_probe_read_kernel(sk.wrapping_add(SKC_COOKIE_OFFSET.load() as usize).cast::<u64>()) };
    if let Ok(cookie) = cookie
        && cookie != 0
    {
        // SAFETY: helpers without preconditions.
        let (pid_tgid, time) = unsafe { (bpf_get_current_pid_tgid(), bpf_ktime_get_ns()) };
        let pickup = Pickup { time, pid: (pid_tgid >> 32) as u32, tid: pid_tgid as u32 };
        // A full table costs a pick-up time, which the exchange then does not have.
        let _ = PICKUPS.insert(cookie, pickup, 0);
    }
    0
}
