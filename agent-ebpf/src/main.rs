//! redtap's eBPF programs, one file a hook.
//!
//! They only look: every hook has one exit, and it lets the packet, the connect or the process go on. They
//! classify by position and a fixed few bytes, and never parse text; that is user space's work.
#![no_std]
#![no_main]

mod cgroup_connect;
mod cgroup_made;
mod cgroup_skb;
mod datagrams;
mod emit;
mod maps;
mod packet;
mod process;
mod sock_ops;
mod sock_release;
mod tcp_rcv_space_adjust;

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
