//! `cgroup/sock_release`: connects that fail before a SYN is sent (no route, no local port), of which no state
//! change tells.

use aya_ebpf::{helpers::generated::bpf_ktime_get_ns, macros::cgroup_sock, programs::SockContext};
use redtap_ebpf::flow::state;

use crate::{emit, maps::flow};

/// Lets the socket go.
const ALLOW: i32 = 1;

/// A socket is let go by its last owner.
#[cgroup_sock(sock_release)]
pub fn sock_release(ctx: SockContext) -> i32 {
    // SAFETY: the context is the socket.
    unsafe {
        if let Some(flow) = flow(ctx.sock.cast())
            && flow.state & (state::ACTIVE | state::SYN_SENT | state::ESTABLISHED) == state::ACTIVE
        {
            emit::closed(flow, emit::TCP_CLOSE, 0, 0, bpf_ktime_get_ns());
            flow.state = 0;
        }
    }
    ALLOW
}
