//! `cgroup/connect4`, `connect6`, `sendmsg4`, `sendmsg6`, `recvmsg4`, `recvmsg6`: who connects, and who sends and takes
//! datagrams. A handshake
//! completes, and a datagram passes, in a soft interrupt, where the current process is anybody.

use core::ptr::addr_of_mut;

use aya_ebpf::{
    bindings::bpf_sock_addr,
    helpers::generated::{
        bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_socket_cookie,
        bpf_ktime_get_ns,
    },
    macros::cgroup_sock_addr,
    programs::SockAddrContext,
};
use redtap_ebpf::{COMM_LEN, Flow, Kind, Owner, flow::state};

use crate::{
    emit,
    maps::{flow_or_new, is_unseen, sender},
};

/// Lets the call go on.
const ALLOW: i32 = 1;
const IPPROTO_TCP: u32 = 6;
const AF_INET: u32 = 2;

/// IPv4 connects.
#[cgroup_sock_addr(connect4)]
pub fn connect4(ctx: SockAddrContext) -> i32 {
    // SAFETY: `ctx` is the program's context.
    unsafe { connect(&ctx, ipv4) };
    ALLOW
}

/// IPv6 connects.
#[cgroup_sock_addr(connect6)]
pub fn connect6(ctx: SockAddrContext) -> i32 {
    // SAFETY: `ctx` is the program's context.
    unsafe { connect(&ctx, ipv6) };
    ALLOW
}

/// IPv4 datagrams of sockets that are not connected.
#[cgroup_sock_addr(sendmsg4)]
pub fn sendmsg4(ctx: SockAddrContext) -> i32 {
    // SAFETY: `ctx` is the program's context.
    unsafe { uses(ctx.sock_addr) };
    ALLOW
}

/// IPv6 datagrams of sockets that are not connected.
#[cgroup_sock_addr(sendmsg6)]
pub fn sendmsg6(ctx: SockAddrContext) -> i32 {
    // SAFETY: `ctx` is the program's context.
    unsafe { uses(ctx.sock_addr) };
    ALLOW
}

/// IPv4 datagrams that are taken from such sockets.
#[cgroup_sock_addr(recvmsg4)]
pub fn recvmsg4(ctx: SockAddrContext) -> i32 {
    // SAFETY: `ctx` is the program's context.
    unsafe { uses(ctx.sock_addr) };
    ALLOW
}

/// IPv6 datagrams that are taken from such sockets.
#[cgroup_sock_addr(recvmsg6)]
pub fn recvmsg6(ctx: SockAddrContext) -> i32 {
    // SAFETY: `ctx` is the program's context.
    unsafe { uses(ctx.sock_addr) };
    ALLOW
}

#[inline(always)]
unsafe fn connect(ctx: &SockAddrContext, peer: unsafe fn(*mut bpf_sock_addr, &mut Flow)) {
    // SAFETY: fields of the context; `sk` is compared with null before use.
    unsafe {
        let addr = ctx.sock_addr;
        if (*addr).protocol != IPPROTO_TCP {
            uses(addr);
            return;
        }
        let sk = (*addr).__bindgen_anon_1.sk;
        if sk.is_null() {
            return;
        }
        let Some(flow) = flow_or_new(sk.cast()) else { return };
        let now = bpf_ktime_get_ns();
        // A second connect on the socket: the first did not so much as send a SYN.
        if flow.state & state::ACTIVE != 0 && flow.state & (state::SYN_SENT | state::KNOWN) == state::KNOWN {
            emit::closed(flow, emit::TCP_CLOSE, 0, 0, now);
        }
        if flow.state & (state::SYN_SENT | state::ESTABLISHED) != 0 {
            return;
        }
        let pid_tgid = bpf_get_current_pid_tgid();
        flow.pid = (pid_tgid >> 32) as u32;
        flow.tid = pid_tgid as u32;
        // Zeroes if it fails.
        bpf_get_current_comm(addr_of_mut!(flow.comm).cast(), COMM_LEN as u32);
        flow.cgroup = bpf_get_current_cgroup_id();
        flow.cookie = bpf_get_socket_cookie(addr.cast());
        flow.opened_at = now;
        flow.state = state::ACTIVE | state::KNOWN;
        flow.family = if (*addr).family == AF_INET { 4 } else { 6 };
        peer(addr, flow);
        if is_unseen(flow.pid, now) {
            emit::wake();
        }
    }
}

/// Where an IPv4 connect goes.
#[inline(always)]
unsafe fn ipv4(addr: *mut bpf_sock_addr, flow: &mut Flow) {
    // SAFETY: fields of the context.
    unsafe {
        flow.peer_port = u16::from_be((*addr).user_port as u16);
        emit::write_words(addr_of_mut!(flow.peer), emit::mapped((*addr).user_ip4));
    }
}

/// Where an IPv6 connect goes.
#[inline(always)]
unsafe fn ipv6(addr: *mut bpf_sock_addr, flow: &mut Flow) {
    // SAFETY: fields of the context; the flow's address lies at a multiple of 8.
    unsafe {
        flow.peer_port = u16::from_be((*addr).user_port as u16);
        emit::write_words(addr_of_mut!(flow.peer), (*addr).user_ip6);
    }
}

/// Notes, and tells, that the current process uses a socket.
#[inline(always)]
unsafe fn uses(addr: *mut bpf_sock_addr) {
    // SAFETY: fields of the context; `sk` is compared with null before use.
    unsafe {
        let sk = (*addr).__bindgen_anon_1.sk;
        if sk.is_null() {
            return;
        }
        let pid = (bpf_get_current_pid_tgid() >> 32) as u32;
        let Some(sender) = sender(sk.cast(), true) else { return };
        if sender.pid != pid {
            sender.pid = pid;
            let (cookie, time) = (bpf_get_socket_cookie(addr.cast()), bpf_ktime_get_ns());
            let owner = Owner { kind: Kind::Owner as u8, reserved: [0; 3], pid, cookie, time };
            emit::plain(&owner, is_unseen(pid, time));
        }
    }
}
