//! Everything that passes a network namespace's loopback, as its kernel hands it over.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, eth, recv, socket_with};

use crate::segments::Segment;

/// What waits to be read, at most; a case of the raw ones has a few kilobytes, a file a megabyte.
const BUFFER: usize = 64 << 20;

/// A segment of loopback: what segmentation offload makes of it, whole.
const LONGEST: usize = 128 << 10;

/// Packets that arrive in the namespace of the thread that opened it, each once, in the order of their arrival.
///
/// Packet sockets for one protocol see what arrives and not what leaves (`dev_queue_xmit_nit` serves those for all
/// protocols). On loopback that is the same packet, after the programs on its way out and before those on its way in.
pub struct Tap {
    sockets: [OwnedFd; 2],
}

impl Tap {
    /// Opens it.
    ///
    /// # Panics
    /// Without `CAP_NET_RAW` and `CAP_NET_ADMIN`.
    #[must_use]
    pub fn open() -> Self {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let sockets = [eth::IP, eth::IPV6].map(|protocol| {
            let socket = socket_with(AddressFamily::PACKET, SocketType::DGRAM, flags, Some(protocol));
            let socket = socket.expect("a packet socket");
            set_socket_recv_buffer_size_force(&socket, BUFFER).expect("a long buffer");
            socket
        });
        Self { sockets }
    }

    /// The TCP segments that have arrived since the last call.
    ///
    /// # Panics
    /// On a packet that is cut short or malformed.
    #[must_use]
    pub fn segments(&self) -> Vec<Segment> {
        let mut packet = vec![0; LONGEST];
        let mut segments = Vec::new();
        for socket in &self.sockets {
            loop {
                match recv(socket, packet.as_mut_slice(), RecvFlags::TRUNC) {
                    Ok((read, length)) => {
                        assert_eq!(read, length, "a packet is longer than any of loopback");
                        segments.extend(Segment::read(&packet[..read]));
                    }
                    Err(Errno::AGAIN) => break,
                    Err(error) => panic!("cannot read packets: {error}"),
                }
            }
        }
        segments
    }
}
