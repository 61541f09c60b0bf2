//! Connections that come about, and how they end.

use std::io::{ErrorKind, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use redtap_tests::flows::Side;
use redtap_tests::hosts::Verdict;
use redtap_tests::wait;
use rustix::net::{SocketFlags, bind, connect, sockopt};
use rustix::process::Signal;

use super::sockets::{Scene, close, drain, failure, opaque, patient, reset, send};
use super::{Left, Story};

const FIN: &[(&str, u64)] = &[("fin", 1)];
const SENT: &[(&str, u64)] = &[("rst_sent", 1)];
const RECEIVED: &[(&str, u64)] = &[("rst_received", 1)];

pub const STORIES: &[Story] = &[
    Story {
        name: "a question and an answer",
        run: |scene| {
            let (client, server) = scene.pair();
            send(&client, &server, 1000);
            send(&server, &client, 50_000);
            close(client, server);
            Box::new(())
        },
        client: Side::one(FIN, 1000, 50_000),
        server: Side::one(FIN, 50_000, 1000),
    },
    Story {
        name: "not a byte, the server closes",
        run: |scene| {
            let (client, server) = scene.pair();
            close(server, client);
            Box::new(())
        },
        client: Side::one(FIN, 0, 0),
        server: Side::one(FIN, 0, 0),
    },
    Story {
        name: "open and idle",
        run: |scene| Box::new(scene.pair()),
        client: Side::open(0, 0),
        server: Side::open(0, 0),
    },
    Story {
        name: "open after some bytes",
        run: |scene| {
            let (client, server) = scene.pair();
            send(&client, &server, 10);
            send(&server, &client, 7);
            Box::new((client, server))
        },
        client: Side::open(10, 7),
        server: Side::open(7, 10),
    },
    Story {
        name: "half-closed",
        run: half_closed,
        client: Side::one(FIN, 100, 50_000),
        server: Side::one(FIN, 50_000, 100),
    },
    Story {
        name: "half-closed, and open still",
        run: |scene| {
            let (client, server) = scene.pair();
            client.shutdown(Shutdown::Write).expect("a half-close");
            assert_eq!(drain(&server), 0);
            send(&server, &client, 10);
            Box::new((client, server))
        },
        client: Side::open(0, 10),
        server: Side::open(10, 0),
    },
    Story {
        name: "the client breaks it",
        run: |scene| {
            let (client, server) = scene.pair();
            send(&client, &server, 10);
            reset(client);
            assert_eq!(failure(&server), ErrorKind::ConnectionReset);
            Box::new(())
        },
        client: Side::one(SENT, 10, 0),
        server: Side::one(RECEIVED, 0, 10),
    },
    Story {
        name: "the server breaks it",
        run: |scene| {
            let (client, server) = scene.pair();
            send(&client, &server, 10);
            send(&server, &client, 20);
            reset(server);
            assert_eq!(failure(&client), ErrorKind::ConnectionReset);
            Box::new(())
        },
        client: Side::one(RECEIVED, 10, 20),
        server: Side::one(SENT, 20, 10),
    },
    Story {
        name: "closed with bytes unread",
        run: |scene| {
            let (mut client, server) = scene.pair();
            client.write_all(&opaque(10)).expect("bytes to be sent");
            let peeked = wait::until("bytes to arrive", || server.peek(&mut [0; 10]).ok());
            assert_eq!(peeked, 10);
            drop(server);
            assert_eq!(failure(&client), ErrorKind::ConnectionReset);
            Box::new(())
        },
        client: Side::one(RECEIVED, 10, 0),
        server: Side::one(SENT, 0, 10),
    },
    Story {
        name: "never accepted",
        run: |scene| {
            let listener = scene.listen();
            let client = scene.connect().expect("a connection");
            drop(listener);
            assert_eq!(failure(&client), ErrorKind::ConnectionReset);
            Box::new(())
        },
        client: Side::one(RECEIVED, 0, 0),
        server: Side::one(SENT, 0, 0),
    },
    Story {
        name: "the peer vanishes",
        run: vanished,
        client: Side::one(&[("timeout", 1)], 20, 0),
        server: Side::open(0, 10),
    },
    Story {
        name: "the peer vanishes, which a keepalive notices",
        run: vanished_in_silence,
        client: Side::one(&[("timeout", 1)], 10, 0),
        server: Side::open(0, 10),
    },
    Story {
        name: "the server is killed",
        run: killed,
        client: Side {
            opened: 3,
            closed: &[("fin", 2), ("rst_received", 1)],
            sent: 20,
            received: 20,
            ..Side::NOTHING
        },
        server: Side {
            opened: 3,
            closed: &[("fin", 2), ("rst_sent", 1)],
            sent: 20,
            received: 20,
            ..Side::NOTHING
        },
    },
    Story {
        name: "inherited over fork",
        run: |scene| handed_on(scene, "inherit", 25),
        client: Side::one(FIN, 10, 25),
        server: Side::one(FIN, 25, 10),
    },
    Story {
        name: "passed to another process",
        run: |scene| handed_on(scene, "pass", 20),
        client: Side::one(FIN, 10, 20),
        server: Side::one(FIN, 20, 10),
    },
    Story {
        name: "one source port again and again",
        run: same_port,
        client: Side { opened: 50, closed: &[("rst_sent", 50)], sent: 500, ..Side::NOTHING },
        server: Side { opened: 50, closed: &[("rst_received", 50)], received: 500, ..Side::NOTHING },
    },
    Story {
        name: "a socket connected to itself",
        run: to_itself,
        client: Side::one(FIN, 10, 10),
        server: Side::NOTHING,
    },
    Story {
        name: "both connect at once",
        run: both_connect,
        client: Side { opened: 2, closed: &[("fin", 2)], sent: 30, received: 30, ..Side::NOTHING },
        server: Side::NOTHING,
    },
];

fn half_closed(scene: &Scene<'_>) -> Left {
    let (client, server) = scene.pair();
    send(&client, &server, 100);
    client.shutdown(Shutdown::Write).expect("a half-close");
    assert_eq!(drain(&server), 0);
    send(&server, &client, 50_000);
    close(server, client);
    Box::new(())
}

fn vanished(scene: &Scene<'_>) -> Left {
    let (mut client, server) = scene.pair();
    send(&client, &server, 10);
    sockopt::set_tcp_user_timeout(&client, 1000).expect("TCP_USER_TIMEOUT");
    scene.hosts.server.deny(Verdict::Drop, scene.port);
    client.write_all(&opaque(10)).expect("bytes to be sent");
    assert_eq!(failure(&client), ErrorKind::TimedOut);
    Box::new(server)
}

fn vanished_in_silence(scene: &Scene<'_>) -> Left {
    let (client, server) = scene.pair();
    send(&client, &server, 10);
    scene.hosts.server.deny(Verdict::Drop, scene.port);
    sockopt::set_tcp_keepidle(&client, Duration::from_secs(1)).expect("TCP_KEEPIDLE");
    sockopt::set_tcp_keepintvl(&client, Duration::from_secs(1)).expect("TCP_KEEPINTVL");
    sockopt::set_tcp_keepcnt(&client, 1).expect("TCP_KEEPCNT");
    sockopt::set_socket_keepalive(&client, true).expect("SO_KEEPALIVE");
    assert_eq!(failure(&client), ErrorKind::TimedOut);
    Box::new(server)
}

fn killed(scene: &Scene<'_>) -> Left {
    let mut server = scene.program("hold", "holder");
    let [mut served, idle, mut unread] = [(); 3].map(|()| scene.connect().expect("a connection"));
    served.write_all(&opaque(10)).expect("bytes to be sent");
    server.wait_for_log("held");
    unread.write_all(&opaque(10)).expect("bytes to be sent");
    // Acknowledged, it lies in the server's buffer.
    wait::until("bytes to be acknowledged", || acknowledged(scene, &unread).then_some(()));
    server.signal(Signal::KILL);
    assert!(!server.ended().success());
    assert_eq!(drain(&served), 20);
    assert_eq!(drain(&idle), 0);
    assert_eq!(failure(&unread), ErrorKind::ConnectionReset);
    Box::new(())
}

/// Whether the peer has acknowledged all that was sent.
fn acknowledged(scene: &Scene<'_>, stream: &TcpStream) -> bool {
    let port = stream.local_addr().expect("an address").port();
    let filter = format!("sport = :{port}");
    let text = scene.hosts.client.namespace.run(&["ss", "-OHtin", "state", "established", &filter]);
    text.contains("bytes_acked:11")
}

fn handed_on(scene: &Scene<'_>, how: &str, answer: usize) -> Left {
    let mut server = scene.program(how, how);
    let mut client = scene.connect().expect("a connection");
    client.write_all(&opaque(10)).expect("bytes to be sent");
    assert_eq!(drain(&client), answer);
    drop(client);
    assert!(server.ended().success());
    Box::new(())
}

fn same_port(scene: &Scene<'_>) -> Left {
    let listener = scene.listen();
    for _ in 0..50 {
        let socket = scene.socket(&scene.hosts.client, SocketFlags::empty());
        sockopt::set_socket_reuseaddr(&socket, true).expect("SO_REUSEADDR");
        bind(&socket, &scene.hosts.client.at(scene.version, scene.port)).expect("the same port");
        connect(&socket, &scene.server()).expect("a connection");
        let (client, server) = (TcpStream::from(socket), patient(listener.accept().expect("a connection").0));
        send(&client, &server, 10);
        reset(client);
        assert_eq!(failure(&server), ErrorKind::ConnectionReset);
    }
    Box::new(())
}

fn to_itself(scene: &Scene<'_>) -> Left {
    let socket = scene.socket(&scene.hosts.client, SocketFlags::empty());
    let address = scene.hosts.client.at(scene.version, scene.port);
    bind(&socket, &address).expect("a port");
    connect(&socket, &address).expect("a connection to itself");
    let stream = patient(TcpStream::from(socket));
    send(&stream, &stream, 10);
    Box::new(())
}

/// Their first SYNs are lost on both ways, so that both wait when the second ones come.
fn both_connect(scene: &Scene<'_>) -> Left {
    let hosts = [&scene.hosts.client, &scene.hosts.server];
    let addresses = hosts.map(|host| host.at(scene.version, scene.port));
    hosts.iter().for_each(|host| host.deny(Verdict::Drop, scene.port));
    let sockets = [0, 1].map(|side| {
        let socket = scene.socket(hosts[side], SocketFlags::NONBLOCK);
        bind(&socket, &addresses[side]).expect("a port");
        assert_eq!(connect(&socket, &addresses[1 - side]), Err(rustix::io::Errno::INPROGRESS));
        socket
    });
    hosts.iter().for_each(|host| host.allow(Verdict::Drop, scene.port));
    let [one, other] = sockets.map(|socket| {
        let stream = TcpStream::from(socket);
        wait::until("both to be connected", || stream.peer_addr().ok());
        stream.set_nonblocking(false).expect("a blocking socket");
        patient(stream)
    });
    send(&one, &other, 10);
    send(&other, &one, 20);
    thread::scope(|scope| {
        scope.spawn(move || drop(one));
        drain(&other);
    });
    Box::new(())
}
