//! `cgroup/connect4` and `cgroup/connect6`: who connects. The handshake itself completes in a soft interrupt,
//! where the current process is anybody.

use aya_ebpf::{
    helpers::{bpf_get_current_comm, generated::bpf_get_current_pid_tgid},
    macros::cgroup_sock_addr,
    programs::SockAddrContext,
};
use redtap_ebpf::flow::state;

use crate::maps::flow_or_new;

/// Lets the connect go on.
const ALLOW: i32 = 1;
const IPPROTO_TCP: u32 = 6;

/// IPv4 connects.
#[cgroup_sock_addr(connect4)]
pub fn connect4(ctx: SockAddrContext) -> i32 {
    // SAFETY: `ctx` is the program's context.
    unsafe { note(&ctx) };
    ALLOW
}

/// IPv6 connects.
#[cgroup_sock_addr(connect6)]
pub fn connect6(ctx: SockAddrContext) -> i32 {
    // SAFETY: `ctx` is the program's context.
    unsafe { note(&ctx) };
    ALLOW
}

#[inline(always)]
unsafe fn note(ctx: &SockAddrContext) {
    // SAFETY: fields of the context; `sk` is compared with null before use.
    unsafe {
        let addr = ctx.sock_addr;
        if (*addr).protocol != IPPROTO_TCP {
            return;
        }
        let sk = (*addr).__bindgen_anon_1.sk;
        if sk.is_null() {
            return;
        }
        let Some(flow) = flow_or_new(sk.cast()) else { return };
        let pid_tgid = bpf_get_current_pid_tgid();
        flow.pid = (pid_tgid >> 32) as u32;
        flow.tid = pid_tgid as u32;
        flow.comm = bpf_get_current_comm().unwrap_or_default();
        flow.state |= state::ACTIVE;
    }
}
