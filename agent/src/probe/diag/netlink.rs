//! Asking the kernel for the TCP sockets of the calling thread's network namespace (`NETLINK_SOCK_DIAG`,
//! include/uapi/linux/inet_diag.h).

use std::{io, net::SocketAddr, time::Duration};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload, Nla as _};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP},
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags, nlas::Nla},
};
use rustix::{
    io::{Errno, retry_on_intr},
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect,
        netlink::{SOCK_DIAG, SocketAddrNetlink},
        recv, send, socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
};

use super::Existing;
use crate::{identity::host::monotonic_now, time::Nanos};

/// Larger than what the kernel puts into one answer (`netlink_dump`: 32 KiB at most).
const BUFFER: usize = 64 * 1024;

/// How long the kernel may think about the next part of its answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Alignment of netlink messages (`NLMSG_ALIGNTO`).
const ALIGNMENT: usize = 4;

/// `INET_DIAG_CGROUP_ID`: the cgroup's id in 8 bytes.
const CGROUP_ID: u16 = 21;

#[derive(Clone, Copy, Debug)]
pub(super) enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        }
    }
}

/// Why a list ends early.
#[derive(Debug)]
pub(super) enum Error {
    /// There are more sockets than wanted.
    Full,
    /// The deadline has passed.
    Late,
    /// The kernel refused, or said what we do not understand.
    Io(io::Error),
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

/// Whether the kernel has more to say.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    More,
    Done,
}

/// Sockets as they are listed.
pub(super) struct List<'a> {
    /// What to note as their namespace.
    pub(super) namespace: u64,
    /// The most there may be in `sockets`.
    pub(super) limit: usize,
    pub(super) sockets: &'a mut Vec<Existing>,
}

impl List<'_> {
    /// Appends the TCP sockets of a family in the calling thread's network namespace.
    pub(super) fn read_all(&mut self, family: Family, deadline: Nanos) -> Result<(), Error> {
        let socket =
            socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(SOCK_DIAG))?;
        // Connected to the kernel, it takes messages from nobody else.
        connect(&socket, &SocketAddrNetlink::new(0, 0))?;
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
        retry_on_intr(|| send(&socket, &request(family), SendFlags::empty()))?;
        let mut buffer = vec![0; BUFFER];
        loop {
            if monotonic_now() >= deadline {
                return Err(Error::Late);
            }
            let (_, length) = retry_on_intr(|| recv(&socket, buffer.as_mut_slice(), RecvFlags::TRUNC))?;
            let answer = buffer.get(..length).ok_or_else(|| malformed("an answer longer than 64 KiB"))?;
            if self.read(answer)? == Progress::Done {
                return Ok(());
            }
        }
    }

    /// Reads one datagram: messages one after the other.
    fn read(&mut self, mut bytes: &[u8]) -> Result<Progress, Error> {
        while !bytes.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(bytes).map_err(malformed)?;
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(socket)) => {
                    if self.sockets.len() >= self.limit {
                        return Err(Error::Full);
                    }
                    self.sockets.push(existing(&socket, self.namespace));
                }
                NetlinkPayload::Done(done) if done.code >= 0 => return Ok(Progress::Done),
                NetlinkPayload::Done(done) => {
                    return Err(Error::Io(io::Error::from_raw_os_error(done.code.saturating_neg())));
                }
                NetlinkPayload::Error(error) if error.code.is_some() => return Err(Error::Io(error.to_io())),
                NetlinkPayload::Overrun(_) => return Err(malformed("sockets were lost")),
                _ => {}
            }
            let length = usize::try_from(message.header.length).unwrap_or(usize::MAX);
            bytes = bytes.get(length.next_multiple_of(ALIGNMENT)..).unwrap_or_default();
        }
        Ok(Progress::More)
    }
}

fn malformed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Io(io::Error::new(io::ErrorKind::InvalidData, error))
}

fn request(family: Family) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let (family, socket_id) = match family {
        Family::Ipv4 => (AF_INET, SocketId::new_v4()),
        Family::Ipv6 => (AF_INET6, SocketId::new_v6()),
    };
    let request = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all() - StateFlags::TIME_WAIT - StateFlags::CLOSE,
        socket_id,
    };
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

fn existing(socket: &InetResponse, namespace: u64) -> Existing {
    let id = &socket.header.socket_id;
    let mut existing = Existing {
        // Two words of the host's byte order, the low one first (`sock_diag_save_cookie`, net/core/sock_diag.c).
        cookie: match id.cookie {
            [a, b, c, d, e, f, g, h] => {
                let low = u32::from_ne_bytes([a, b, c, d]);
                u64::from(u32::from_ne_bytes([e, f, g, h])) << 32 | u64::from(low)
            }
        },
        local: SocketAddr::new(id.source_address, id.source_port),
        peer: SocketAddr::new(id.destination_address, id.destination_port),
        state: socket.header.state,
        inode: socket.header.inode,
        cgroup: 0,
        pid: 0,
        namespace,
        ipv6_only: false,
    };
    for attribute in &socket.nlas {
        match attribute {
            Nla::SkV6Only(only) => existing.ipv6_only = *only,
            Nla::Other(other) if other.kind() == CGROUP_ID && other.value_len() == 8 => {
                let mut id = [0; 8];
                other.emit_value(&mut id);
                existing.cgroup = u64::from_ne_bytes(id);
            }
            _ => {}
        }
    }
    existing
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    const NLMSG_ERROR: u16 = 2;
    const NLMSG_DONE: u16 = 3;

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(16 + payload.len()).expect("a short message");
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        bytes
    }

    /// `struct inet_diag_msg` of 127.0.0.1:80 ← 127.0.0.1:40000, followed by attributes.
    fn socket(attributes: &[u8]) -> Vec<u8> {
        let mut payload = vec![2, 1, 0, 0];
        payload.extend(80_u16.to_be_bytes());
        payload.extend(40_000_u16.to_be_bytes());
        for _ in 0..2 {
            payload.extend([127, 0, 0, 1]);
            payload.extend([0; 12]);
        }
        payload.extend([0; 4]);
        payload.extend(0x0123_4567_u32.to_ne_bytes());
        payload.extend(0x89ab_cdef_u32.to_ne_bytes());
        payload.extend([0; 16]);
        payload.extend(4242_u32.to_ne_bytes());
        payload.extend(attributes);
        message(SOCK_DIAG_BY_FAMILY, &payload)
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).expect("a short attribute");
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        bytes
    }

    fn read(bytes: &[u8], limit: usize) -> (String, Vec<Existing>) {
        let mut sockets = Vec::new();
        let result = List { namespace: 9, limit, sockets: &mut sockets }.read(bytes);
        let told = match result {
            Ok(progress) => format!("{progress:?}"),
            Err(Error::Io(error)) => format!("{:?}", error.kind()),
            Err(error) => format!("{error:?}"),
        };
        (told, sockets)
    }

    #[test]
    fn a_socket_is_read_with_its_attributes() {
        let attributes = [
            attribute(200, b"of a later kernel"),
            attribute(CGROUP_ID, &77_u64.to_ne_bytes()),
            attribute(11, &[1]),
        ];
        let (told, sockets) = read(&socket(&attributes.concat()), 9);
        let expected = Existing {
            cookie: 0x89ab_cdef_0123_4567,
            local: "127.0.0.1:80".parse().expect("an address"),
            peer: "127.0.0.1:40000".parse().expect("an address"),
            state: 1,
            inode: 4242,
            cgroup: 77,
            pid: 0,
            namespace: 9,
            ipv6_only: true,
        };
        assert_eq!((told.as_str(), sockets), ("More", vec![expected]));
    }

    #[test]
    fn answers() {
        let error = |code: i32| message(NLMSG_ERROR, &[&code.to_ne_bytes()[..], &[0; 16]].concat());
        let done = |code: i32| message(NLMSG_DONE, &code.to_ne_bytes());
        let one = socket(&[]);
        for (what, bytes, expected, count) in [
            ("nothing yet", vec![], "More", 0),
            ("two", [one.clone(), one.clone()].concat(), "More", 2),
            ("the end", [one.clone(), done(0)].concat(), "Done", 1),
            ("the end without a code", message(NLMSG_DONE, &[]), "Done", 0),
            ("more than wanted", [one.clone(), one.clone(), one.clone()].concat(), "Full", 2),
            ("no tcp_diag", error(-2), "NotFound", 0),
            ("not permitted", error(-1), "PermissionDenied", 0),
            ("an acknowledgement", [error(0), one.clone()].concat(), "More", 1),
            ("a failed dump", [one.clone(), done(-2)].concat(), "NotFound", 1),
            ("a code that is no number of ours", done(i32::MIN), "Uncategorized", 0),
            ("cut", one[..50].to_vec(), "InvalidData", 0),
            ("a length of zero", vec![0; 16], "InvalidData", 0),
            ("lost sockets", message(4, &[]), "InvalidData", 0),
            ("a family of its own", message(SOCK_DIAG_BY_FAMILY, &[99; 80]), "InvalidData", 0),
            ("an odd cgroup id", socket(&attribute(CGROUP_ID, &[1, 2])), "More", 1),
        ] {
            let (told, sockets) = read(&bytes, 2);
            assert_eq!((told.as_str(), sockets.len()), (expected, count), "{what}");
            assert!(sockets.iter().all(|socket| socket.cgroup == 0), "{what}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_breaks_the_reader(noise in vec(any::<u8>(), 0..200), at in 0..88_usize, prefix in any::<bool>()) {
            let mut bytes = if prefix { socket(&attribute(CGROUP_ID, &[7; 8])) } else { Vec::new() };
            bytes.truncate(at.max(4));
            bytes.extend(noise);
            let (_, sockets) = read(&bytes, 3);
            prop_assert!(sockets.len() <= 3);
        }
    }
}
