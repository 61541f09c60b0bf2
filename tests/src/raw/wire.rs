//! Both ends of one TCP connection over loopback.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use super::{End, Side};
use crate::gate::fresh_listener;
use crate::wait::PATIENCE;

/// What is written at once: one segment on loopback, and less than any socket buffer.
const SEGMENT: usize = 32 * 1024;

/// The addresses of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// 127.0.0.1.
    V4,
    /// `::1`.
    V6,
    /// An IPv6 listener for both families, and an IPv4 client.
    Mapped,
}

/// A connection, both ends of it.
pub struct Wire {
    port: u16,
    ends: [Option<TcpStream>; 2],
    /// What each side sent and the other has not read.
    unread: [Vec<u8>; 2],
}

impl Wire {
    /// Connects a client to a listener of its own.
    ///
    /// # Panics
    /// When loopback does not work.
    #[must_use]
    pub fn open(family: Family) -> Self {
        let (listen, connect) = match family {
            Family::V4 => (IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv4Addr::LOCALHOST)),
            Family::V6 => (IpAddr::from(Ipv6Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)),
            Family::Mapped => (IpAddr::from(Ipv6Addr::UNSPECIFIED), IpAddr::from(Ipv4Addr::LOCALHOST)),
        };
        let listener = fresh_listener(listen);
        let port = listener.local_addr().expect("a bound address").port();
        let client = TcpStream::connect_timeout(&SocketAddr::new(connect, port), PATIENCE).expect("a connection");
        let (server, _) = listener.accept().expect("a connection");
        for stream in [&client, &server] {
            stream.set_nodelay(true).expect("TCP_NODELAY");
            stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
            stream.set_write_timeout(Some(PATIENCE)).expect("a time limit");
        }
        Self { port, ends: [Some(client), Some(server)], unread: [Vec::new(), Vec::new()] }
    }

    /// The server's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `by` sends; if `read`, the other side has read it, and all before it, when this returns.
    ///
    /// # Panics
    /// When what arrives is not what was sent.
    pub fn send(&mut self, by: Side, bytes: &[u8], read: bool) {
        for segment in bytes.chunks(SEGMENT) {
            self.end_of(by).write_all(segment).unwrap_or_else(|error| panic!("{by:?} cannot send: {error}"));
            self.unread[by.index()].extend(segment);
            if read {
                self.read(by.other());
            }
        }
    }

    fn read(&mut self, by: Side) {
        let expected = std::mem::take(&mut self.unread[by.other().index()]);
        let mut arrived = vec![0; expected.len()];
        self.end_of(by).read_exact(&mut arrived).unwrap_or_else(|error| panic!("{by:?} cannot read: {error}"));
        assert!(arrived == expected, "{by:?} read other bytes than were sent");
    }

    /// `by` ends its side; the other has seen it when this returns.
    ///
    /// # Panics
    /// When it does not see it.
    pub fn end(&mut self, by: Side, how: End) {
        let stream = self.end_of(by);
        match how {
            End::HalfClose => stream.shutdown(std::net::Shutdown::Write).expect("a half-close"),
            End::Close => self.ends[by.index()] = None,
            End::Reset => {
                set_socket_linger(&*stream, Some(Duration::ZERO)).expect("SO_LINGER");
                self.ends[by.index()] = None;
            }
        }
        let unread = !self.unread[by.index()].is_empty();
        let Some(other) = self.ends[by.other().index()].as_mut() else { return };
        if unread && how != End::Reset {
            return;
        }
        let seen = other.read(&mut [0]);
        let as_told = match (&seen, how) {
            (Ok(0), End::HalfClose | End::Close) => true,
            (Err(error), End::Close | End::Reset) => error.kind() == ErrorKind::ConnectionReset,
            _ => false,
        };
        assert!(as_told, "{by:?}: {how:?}: the other side saw {seen:?}");
    }

    fn end_of(&mut self, side: Side) -> &mut TcpStream {
        self.ends[side.index()].as_mut().unwrap_or_else(|| panic!("{side:?} has closed already"))
    }
}
