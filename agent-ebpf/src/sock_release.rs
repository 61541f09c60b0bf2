//! `cgroup/sock_release`: connects that fail before a SYN is sent (no route, no local port), of which no state
//! change tells; who lets a connection go that nobody has read from; and the ends of UDP sockets whose users were told.

use aya_ebpf::{
    helpers::generated::{bpf_get_current_pid_tgid, bpf_get_socket_cookie, bpf_ktime_get_ns},
    macros::cgroup_sock,
    programs::SockContext,
};
use redtap_ebpf::{Kind, Owner, flow::state};

use crate::{
    emit,
    maps::{flow, sender},
};

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
        } else if sender(ctx.sock.cast(), false).is_some_and(|sender| sender.pid != 0) {
            let (cookie, time) = (bpf_get_socket_cookie(ctx.sock.cast()), bpf_ktime_get_ns());
            emit::plain(&Owner { kind: Kind::Owner as u8, reserved: [0; 3], pid: 0, cookie, time }, false);
        }
    }
    ALLOW
}
