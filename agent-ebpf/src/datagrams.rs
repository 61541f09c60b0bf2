//! UDP: who talks to whom and how much, and the messages of name servers.

use core::{mem::MaybeUninit, ptr::addr_of_mut};

use aya_ebpf::{
    bindings::{__sk_buff, BPF_NOEXIST, bpf_sock},
    helpers::generated::{bpf_get_smp_processor_id, bpf_get_socket_cookie, bpf_ktime_get_ns, bpf_skb_cgroup_id},
};
use redtap_ebpf::{Datagram, Kind, UdpCounts, UdpKey, datagram};

use crate::{
    emit,
    maps::{DATAGRAMS, EPHEMERAL_LOW, GENERATION, sender, stats},
    packet::{self, Udp},
};

/// Name servers listen here (RFC 1035 §4.2).
const DNS: u16 = 53;

/// Takes note of a datagram.
#[inline(always)]
pub unsafe fn observe<const EGRESS: bool>(skb: *mut __sk_buff, sk: *mut bpf_sock) {
    // SAFETY: `skb` is the program's context, `sk` a full socket.
    unsafe {
        let Some(udp) = packet::udp(skb) else { return };
        let (local_port, peer_port) = if EGRESS { (udp.from, udp.to) } else { (udp.to, udp.from) };
        let pid = sender(sk.cast(), false).map_or(0, |sender| sender.pid);
        let cookie = bpf_get_socket_cookie(skb.cast());
        let mut key = MaybeUninit::<UdpKey>::uninit();
        let to = key.as_mut_ptr();
        addr_of_mut!((*to).cookie).write(cookie);
        packet::address(skb, !EGRESS, addr_of_mut!((*to).peer));
        let is_server = is_server(local_port, peer_port);
        addr_of_mut!((*to).port).write(if is_server { local_port } else { peer_port });
        addr_of_mut!((*to).is_server).write(u16::from(is_server));
        addr_of_mut!((*to).cpu).write(bpf_get_smp_processor_id() as u16);
        addr_of_mut!((*to).generation).write(GENERATION.get(0).copied().unwrap_or_default() as u16);
        let key = key.assume_init_ref();
        let told = count::<EGRESS>(skb, key, &udp, pid);
        if let Some(stats) = stats() {
            stats.datagrams[usize::from(EGRESS)] += 1;
            stats.datagrams_untold += u64::from(!told);
        }
        if (local_port == DNS || peer_port == DNS) && udp.payload_len > 0 {
            message::<EGRESS>(skb, key, &udp, pid, local_port, peer_port);
        }
    }
}

/// The local end is the server: its port is not one that is handed out, or the lower of two alike.
#[inline(always)]
fn is_server(local: u16, peer: u16) -> bool {
    let low = EPHEMERAL_LOW.load();
    if (local < low) == (peer < low) { local <= peer } else { local < low }
}

/// Adds a datagram to its entry; `false` if the table is full.
#[inline(always)]
unsafe fn count<const EGRESS: bool>(skb: *mut __sk_buff, key: &UdpKey, udp: &Udp, pid: u32) -> bool {
    // SAFETY: a map value lives as long as the program runs, and this CPU alone writes it.
    unsafe {
        let mut entry = DATAGRAMS.get_ptr_mut(key);
        if entry.is_none() {
            let cgroup = bpf_skb_cgroup_id(skb);
            let counts =
                UdpCounts { rx_bytes: 0, rx_packets: 0, tx_bytes: 0, tx_packets: 0, cgroup, pid, reserved: 0 };
            let _ = DATAGRAMS.insert(key, counts, u64::from(BPF_NOEXIST));
            entry = DATAGRAMS.get_ptr_mut(key);
        }
        let Some(entry) = entry else { return false };
        if (*entry).pid == 0 {
            (*entry).pid = pid;
        }
        let segments = (*skb).gso_segs;
        let packets = if segments == 0 { 1 } else { u64::from(segments) };
        let entry = &mut *entry;
        if EGRESS {
            entry.tx_bytes += u64::from(udp.payload_len);
            entry.tx_packets += packets;
        } else {
            entry.rx_bytes += u64::from(udp.payload_len);
            entry.rx_packets += packets;
        }
        true
    }
}

/// Ships a message of a name server.
#[inline(always)]
unsafe fn message<const EGRESS: bool>(
    skb: *mut __sk_buff,
    key: &UdpKey,
    udp: &Udp,
    pid: u32,
    local_port: u16,
    peer_port: u16,
) {
    // SAFETY: `skb` is the program's context.
    unsafe {
        let mut header = MaybeUninit::<Datagram>::uninit();
        let to = header.as_mut_ptr();
        addr_of_mut!((*to).kind).write(Kind::Datagram as u8);
        addr_of_mut!((*to).flags).write(if EGRESS { datagram::EGRESS } else { 0 });
        addr_of_mut!((*to).captured).write(0);
        addr_of_mut!((*to).local_port).write(local_port);
        addr_of_mut!((*to).peer_port).write(peer_port);
        addr_of_mut!((*to).cookie).write(key.cookie);
        addr_of_mut!((*to).time).write(bpf_ktime_get_ns());
        packet::address(skb, EGRESS, addr_of_mut!((*to).local));
        addr_of_mut!((*to).peer).write(key.peer);
        addr_of_mut!((*to).cgroup).write(bpf_skb_cgroup_id(skb));
        addr_of_mut!((*to).pid).write(pid);
        addr_of_mut!((*to).length).write(udp.payload_len);
        if emit::message(skb, udp.payload_offset, header.assume_init_ref()).is_err()
            && let Some(stats) = stats()
        {
            stats.messages_lost += 1;
        }
    }
}
