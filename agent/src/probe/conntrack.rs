//! What the host's connection tracking knows of a connection's other address: the backend behind a virtual one, and
//! the client behind a masqueraded one (`NETLINK_NETFILTER`, include/uapi/linux/netfilter/nfnetlink_conntrack.h).
//!
//! Connections are tracked by network namespace. Services of Kubernetes are translated in the host's, on the client's
//! node: that is where [`Conntrack`] is to be opened, and of what another node has translated it tells nothing. Nor is
//! there anything to tell where eBPF translates in place of netfilter, or of entries outside the default zone.

mod message;
mod resolver;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    os::fd::OwnedFd,
    path::Path,
    time::Duration,
};

use rustix::{
    io::{Errno, retry_on_intr},
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect,
        netlink::{NETFILTER, SocketAddrNetlink},
        recv, send, socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
};

pub use resolver::{Figures, Resolver};

use self::message::{Direction, Entry, Tuple};
use crate::identity::host::monotonic_now;

/// There where `nf_conntrack` is, in every network namespace.
const TRACKING: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

/// Larger than what the kernel puts into one answer (`NLMSG_GOODSIZE`: 8 KiB at most).
const BUFFER: usize = 16 * 1024;

/// How long the kernel may think. It answers before it returns from sending.
const PATIENCE: Duration = Duration::from_millis(200);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel tracks no connections (no `nf_conntrack`), or cannot be asked for them (no `nf_conntrack_netlink`).
    #[error("the kernel tracks no connections or does not tell of them")]
    NotSupported,
    /// It takes `CAP_NET_ADMIN` over the network namespace.
    #[error("not permitted to ask for tracked connections: it takes CAP_NET_ADMIN")]
    NotPermitted,
    /// No such connection is tracked: not yet, not any more, or not here.
    #[error("the connection is not tracked")]
    NotFound,
    /// The kernel said nothing, something else, or what we do not understand.
    #[error("cannot ask for a tracked connection: {0}")]
    Io(io::Error),
}

impl From<Errno> for Error {
    /// As `socket_create`, `netlink_unicast`, `nfnetlink_rcv_msg` (`EINVAL`: a subsystem it lacks) and
    /// `ctnetlink_get_conntrack` say it.
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOENT => Self::NotFound,
            Errno::PERM | Errno::ACCESS => Self::NotPermitted,
            Errno::AFNOSUPPORT | Errno::CONNREFUSED | Errno::INVAL | Errno::OPNOTSUPP | Errno::PROTONOSUPPORT => {
                Self::NotSupported
            }
            Errno::AGAIN => Self::Io(io::ErrorKind::TimedOut.into()),
            other => Self::Io(other.into()),
        }
    }
}

/// Asks for one TCP connection at a time: two system calls, some 12 µs where it is tracked and 5 µs where not, and
/// never longer than a fraction of a second. The reader's thread has no time for it, and has a [`Resolver`].
#[derive(Debug)]
pub struct Conntrack {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Conntrack {
    /// Asks in the network namespace that the calling thread is in now, wherever it goes later.
    ///
    /// A kernel that tracks connections is tried once, and may load `nf_conntrack_netlink` for it. One that does not
    /// is left as it is.
    ///
    /// # Errors
    /// [`Error::NotSupported`] and [`Error::NotPermitted`], which will not pass; what else the kernel says.
    pub fn open() -> Result<Self, Error> {
        if !Path::new(TRACKING).exists() {
            return Err(Error::NotSupported);
        }
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(NETFILTER))?;
        // Connected to the kernel, it takes messages from nobody else.
        connect(&socket, &SocketAddrNetlink::new(0, 0))?;
        let mut conntrack = Self::over(socket)?;
        let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        match conntrack.backend(nobody, nobody) {
            Ok(_) | Err(Error::NotFound) => Ok(conntrack),
            Err(error) => Err(error),
        }
    }

    fn over(socket: OwnedFd) -> Result<Self, Error> {
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
        Ok(Self { socket, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// What `server` stands for, if it is a virtual address: the real one, which the connection was led to. `None`: it
    /// is real itself. Both addresses are as the client's socket has them; IPv4-mapped ones are taken for IPv4.
    ///
    /// # Errors
    /// [`Error::NotFound`] before the connection's first packet has passed the rules, which it has when the connection
    /// is established, and from two minutes after its end, ten seconds if it was reset. What else the kernel says.
    pub fn backend(&mut self, client: SocketAddr, server: SocketAddr) -> Result<Option<SocketAddr>, Error> {
        let asked = Tuple::new(client, server);
        let entry = self.entry(Direction::Original, asked)?;
        Ok(Some(entry.reply.source).filter(|backend| *backend != asked.destination))
    }

    /// Whom `client` stands for, if it is a masquerade: the address that the connection was begun from. `None`: it is
    /// real itself. Both addresses are as the server's socket has them; IPv4-mapped ones are taken for IPv4.
    ///
    /// # Errors
    /// As of [`backend`](Self::backend).
    pub fn origin(&mut self, client: SocketAddr, server: SocketAddr) -> Result<Option<SocketAddr>, Error> {
        let asked = Tuple::new(server, client);
        let entry = self.entry(Direction::Reply, asked)?;
        Ok(Some(entry.original.source).filter(|origin| *origin != asked.destination))
    }

    /// The entry that has `tuple` in this direction.
    fn entry(&mut self, direction: Direction, tuple: Tuple) -> Result<Entry, Error> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = message::request(direction, tuple, self.sequence).ok_or(Error::NotFound)?;
        retry_on_intr(|| send(&self.socket, &request, SendFlags::empty()))?;
        let deadline = monotonic_now().plus(PATIENCE);
        loop {
            let (_, length) = retry_on_intr(|| recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::TRUNC))?;
            let answer = self.buffer.get(..length).ok_or_else(|| message::malformed("a longer answer"))?;
            if let Some(entry) = message::read(answer, self.sequence)? {
                // The kernel looks for a tuple in both directions.
                return Some(entry).filter(|entry| entry.tuple(direction) == tuple).ok_or(Error::NotFound);
            }
            if monotonic_now() >= deadline {
                return Err(Errno::AGAIN.into());
            }
        }
    }
}
