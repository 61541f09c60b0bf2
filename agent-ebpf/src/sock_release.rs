//! `cgroup/sock_release`: connects that fail before a SYN is sent (no route, no local port), of which no state
//! change tells; and who lets a connection go that nobody has read from.

use aya_ebpf::{
    helpers::generated::{bpf_get_current_pid_tgid, bpf_ktime_get_ns},
    macros::cgroup_sock,
    programs::SockContext,
};
use redtap_ebpf::flow::state;

use crate::{emit, maps::flow};

/// Lets the socket go.
const ALLOW: i32 = 1;

/// A socket is let go by its last owner, who is current.
#[cgroup_sock(sock_release)]
pub fn sock_release(ctx: SockContext) -> i32 {
    // SAFETY: the context is the socket.
    unsafe {
        if let Some(flow) = flow(ctx.sock.cast()) {
            if flow.pid == 0 {
                flow.pid = (bpf_get_current_pid_tgid() >> 32) as u32;
            }
            if flow.state & (state::ACTIVE | state::SYN_SENT | state::ESTABLISHED) == state::ACTIVE {
                emit::closed(flow, emit::TCP_CLOSE, 0, 0, bpf_ktime_get_ns());
            }
        }
    }
    ALLOW
}
