//! The sockets of a story.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use redtap_tests::gate::{own, tool};
use redtap_tests::hosts::{Host, Hosts, Version};
use redtap_tests::process::Service;
use redtap_tests::wait::PATIENCE;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with, sockopt};

/// Where a story takes place: a port of its own between two hosts.
#[derive(Clone, Copy)]
pub struct Scene<'hosts> {
    pub hosts: &'hosts Hosts,
    pub version: Version,
    pub port: u16,
}

impl Scene<'_> {
    /// The server's address.
    pub fn server(&self) -> SocketAddr {
        self.hosts.server.at(self.version, self.port)
    }

    /// The server listens.
    pub fn listen(&self) -> TcpListener {
        self.hosts.server.enter(|| TcpListener::bind(self.server())).expect("a listener")
    }

    /// The client connects to the server.
    pub fn connect(&self) -> io::Result<TcpStream> {
        self.hosts.client.enter(|| TcpStream::connect_timeout(&self.server(), PATIENCE)).map(patient)
    }

    /// Both ends of a connection.
    pub fn pair(&self) -> (TcpStream, TcpStream) {
        let listener = self.listen();
        let client = self.connect().expect("a connection");
        (client, patient(listener.accept().expect("a connection").0))
    }

    /// `programs/sockets.py` serves, under this name.
    pub fn program(&self, what: &str, name: &str) -> Service {
        let server = &self.hosts.server;
        let mut command = server.namespace.place().command(&tool("python3"));
        command.arg(own("programs/sockets.py")).arg(what).env("OTEL_SERVICE_NAME", name);
        command.arg(server.address(self.version).to_string()).arg(self.port.to_string());
        let service = Service::start("sockets.py", &mut command);
        service.wait_for_log("listens");
        service
    }

    /// A socket that has done nothing yet.
    pub fn socket(&self, host: &Host, flags: SocketFlags) -> OwnedFd {
        let family = match self.version {
            Version::V4 => AddressFamily::INET,
            Version::V6 => AddressFamily::INET6,
        };
        let flags = flags | SocketFlags::CLOEXEC;
        host.enter(|| socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))).expect("a socket")
    }
}

/// Nothing waits for ever.
pub fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    stream.set_write_timeout(Some(PATIENCE)).expect("a time limit");
    stream
}

/// So many bytes of no protocol.
pub fn opaque(count: usize) -> Vec<u8> {
    (0..count).map(|place| if place % 2 == 0 { 0xff } else { 0 }).collect()
}

/// Sends so many, and has them read at the other end.
pub fn send(mut from: &TcpStream, mut to: &TcpStream, count: usize) {
    const AT_ONCE: usize = 16 * 1024;
    for chunk in opaque(count).chunks(AT_ONCE) {
        from.write_all(chunk).expect("bytes to be sent");
        let mut arrived = vec![0; chunk.len()];
        to.read_exact(&mut arrived).expect("bytes to arrive");
        assert!(arrived == chunk, "other bytes arrived");
    }
}

/// Reads what comes until the end, and tells how much that was.
pub fn drain(mut from: &TcpStream) -> usize {
    let mut all = Vec::new();
    from.read_to_end(&mut all).expect("an end in order")
}

/// What a read that fails fails with.
pub fn failure(mut from: &TcpStream) -> io::ErrorKind {
    from.read(&mut [0]).expect_err("a broken connection").kind()
}

/// Closes with RST.
pub fn reset(stream: TcpStream) {
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("SO_LINGER");
    drop(stream);
}

/// Closes, the other end having closed or closing next.
pub fn close(first: TcpStream, second: TcpStream) {
    drop(first);
    drain(&second);
}
