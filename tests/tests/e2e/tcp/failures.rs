//! Connects that come to nothing.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};

use redtap_tests::flows::Side;
use redtap_tests::hosts::{Host, Verdict, Version};
use rustix::net::{SocketFlags, connect};

use super::sockets::{Scene, close};
use super::{Left, Story};

const NOTHING: Side = Side::NOTHING;

pub const STORIES: &[Story] = &[
    Story { name: "nobody listens", run: refused, client: Side::failed(&[("refused", 1)]), server: NOTHING },
    Story {
        name: "port unreachable by ICMP",
        run: |scene| denied(scene, Verdict::PortUnreachable, ErrorKind::ConnectionRefused),
        client: Side::failed(&[("refused", 1)]),
        server: NOTHING,
    },
    Story {
        name: "host unreachable by ICMP",
        run: |scene| denied(scene, Verdict::HostUnreachable, ErrorKind::HostUnreachable),
        client: Side::failed(&[("unreachable", 1)]),
        server: NOTHING,
    },
    Story {
        name: "nobody answers",
        run: |scene| denied(scene, Verdict::Drop, ErrorKind::TimedOut),
        client: Side::failed(&[("timed_out", 1)]),
        server: NOTHING,
    },
    Story {
        name: "nobody has the address",
        run: |scene| nowhere(scene, ["10.77.0.99", "fd77::99"], ErrorKind::HostUnreachable),
        client: Side::failed(&[("unreachable", 1)]),
        server: NOTHING,
    },
    Story {
        name: "no route",
        run: |scene| nowhere(scene, ["198.51.100.1", "2001:db8::1"], ErrorKind::NetworkUnreachable),
        client: Side::failed(&[("unreachable", 1)]),
        server: NOTHING,
    },
    Story {
        name: "a route that says unreachable",
        run: |scene| nowhere(scene, ["10.78.0.1", "fd78::1"], ErrorKind::HostUnreachable),
        client: Side::failed(&[("unreachable", 1)]),
        server: NOTHING,
    },
    Story {
        name: "the application gives up",
        run: gives_up,
        client: Side::failed(&[("aborted", 1)]),
        server: NOTHING,
    },
    Story {
        name: "refused, and then not, on one socket",
        run: second_try,
        client: Side { failed: &[("refused", 1)], ..Side::one(&[("fin", 1)], 0, 0) },
        server: Side::one(&[("fin", 1)], 0, 0),
    },
    Story {
        name: "refused thirty times",
        run: |scene| Box::new([(); 30].map(|()| refused(scene))),
        client: Side::failed(&[("refused", 30)]),
        server: NOTHING,
    },
];

/// What the stories need of the client's routes.
pub fn routes(client: &Host) {
    client.namespace.run(&["ip", "route", "add", "unreachable", "10.78.0.0/24"]);
    client.namespace.run(&["ip", "route", "add", "unreachable", "fd78::/64"]);
}

fn refused(scene: &Scene<'_>) -> Left {
    let error = scene.connect().expect_err("nobody to listen");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    Box::new(())
}

fn denied(scene: &Scene<'_>, verdict: Verdict, kind: ErrorKind) -> Left {
    let listener = scene.listen();
    scene.hosts.server.deny(verdict, scene.port);
    // Blocking without a time limit: the kernel's alone ends it.
    let connected = scene.hosts.client.enter(|| TcpStream::connect(scene.server()));
    let error = connected.expect_err("no connection");
    assert_eq!(error.kind(), kind, "{error}");
    Box::new(listener)
}

fn nowhere(scene: &Scene<'_>, addresses: [&str; 2], kind: ErrorKind) -> Left {
    let address = match scene.version {
        Version::V4 => addresses[0],
        Version::V6 => addresses[1],
    };
    let to = SocketAddr::new(address.parse().expect("an address"), scene.port);
    let error = scene.hosts.client.enter(|| TcpStream::connect(to)).expect_err("no connection");
    assert_eq!(error.kind(), kind, "{error}");
    Box::new(())
}

fn gives_up(scene: &Scene<'_>) -> Left {
    scene.hosts.server.deny(Verdict::Drop, scene.port);
    let socket = scene.socket(&scene.hosts.client, SocketFlags::NONBLOCK);
    let pending = connect(&socket, &scene.server());
    assert_eq!(pending, Err(rustix::io::Errno::INPROGRESS));
    Box::new(())
}

fn second_try(scene: &Scene<'_>) -> Left {
    let socket = scene.socket(&scene.hosts.client, SocketFlags::empty());
    assert_eq!(connect(&socket, &scene.server()), Err(rustix::io::Errno::CONNREFUSED));
    let listener = scene.listen();
    connect(&socket, &scene.server()).expect("a connection");
    close(TcpStream::from(socket), listener.accept().expect("a connection").0);
    Box::new(())
}
