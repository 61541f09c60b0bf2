//! Against the running kernel, in a network namespace whose rules translate as those of Services do.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::fd::AsFd,
    process::{Child, Command, Stdio},
    thread,
};

use rustix::{
    net::socketpair,
    thread::{CapabilitySet, LinkNameSpaceType, capabilities, move_into_link_name_space, set_capabilities},
};

use super::*;
use crate::{exchange::Role, flow::Untranslated};

/// Of each family, one virtual address leads to a backend, and one to a backend that sees the client masqueraded.
const NETWORK: &str = r"
set -e
ip link set lo up
ip address add 10.244.0.1/16 dev lo
ip route add 10.96.0.0/16 dev lo src 10.244.0.1
for host in 1 2 3 99; do ip address add fd00:244::$host/128 dev lo nodad; done
# The routes of the addresses themselves come a moment later.
ip route add local fd00:244::/64 dev lo
ip route add fd00:96::/64 dev lo src fd00:244::1
nft -f - <<END
table ip service {
    chain output {
        type nat hook output priority -100
        ip daddr 10.96.0.10 tcp dport 80 dnat to 10.244.0.2:8080
        ip daddr 10.96.0.11 tcp dport 80 dnat to 10.244.0.3:8080
    }
    chain postrouting {
        type nat hook postrouting priority 100
        ip daddr 10.244.0.3 snat to 10.244.0.99
    }
}
table ip6 service {
    chain output {
        type nat hook output priority -100
        ip6 daddr fd00:96::10 tcp dport 80 dnat to [fd00:244::2]:8080
        ip6 daddr fd00:96::11 tcp dport 80 dnat to [fd00:244::3]:8080
    }
    chain postrouting {
        type nat hook postrouting priority 100
        ip6 daddr fd00:244::3 snat to fd00:244::99
    }
}
END
exec cat
";

/// A process in a network namespace of its own, until dropped.
struct Network(Child);

impl Network {
    fn new() -> io::Result<Self> {
        let mut child = Command::new("unshare")
            .args(["--net", "sh", "-c", NETWORK])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        // Its echo says that all is set up.
        if let (Some(stdin), Some(stdout)) = (child.stdin.as_mut(), child.stdout.as_mut()) {
            stdin.write_all(b"here\n")?;
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line)?;
            assert_eq!(line, "here\n");
        }
        Ok(Self(child))
    }

    /// Runs on a thread that is in the namespace.
    fn run<T: Send>(&self, run: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            let namespace = File::open(format!("/proc/{}/ns/net", self.0.id())).expect("a namespace");
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("a way into it");
            run()
        };
        thread::scope(|scope| scope.spawn(enter).join().expect("a thread that does not panic"))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Ended by the end of its input; there is nobody left to tell if not.
        let _ = self.0.wait();
    }
}

/// The network of a privileged test, which is left out where it is not to be had.
fn network(test: &str) -> io::Result<Option<Network>> {
    if std::env::var_os("REDTAP_PRIVILEGED").is_none_or(|value| value != "1") {
        let told = format!("LEFT OUT: {test} (needs root and REDTAP_PRIVILEGED=1)\n");
        // Not by a print macro, whose output a test that passes keeps to itself.
        io::stderr().write_all(told.as_bytes())?;
        return Ok(None);
    }
    Network::new().map(Some)
}

/// Both ends of a connection to where `listener` is reached by `address`.
fn connect_to(address: &str, listener: &TcpListener) -> io::Result<(TcpStream, TcpStream)> {
    let client = TcpStream::connect(address)?;
    let (server, _) = listener.accept()?;
    Ok((client, server))
}

#[test]
fn both_ends_are_told_who_is_at_the_other() -> io::Result<()> {
    let Some(network) = network("both_ends_are_told_who_is_at_the_other")? else { return Ok(()) };
    // Where servers listen, and where clients connect to reach them: whether that is virtual, and whether the server
    // sees the client masqueraded.
    let cases: [(_, &[(_, bool, bool)]); 5] = [
        (
            "10.244.0.2:8080",
            &[
                ("10.96.0.10:80", true, false),
                ("[::ffff:10.96.0.10]:80", true, false),
                ("10.244.0.2:8080", false, false),
            ],
        ),
        ("10.244.0.3:8080", &[("10.96.0.11:80", true, true), ("10.244.0.3:8080", false, true)]),
        ("[fd00:244::2]:8080", &[("[fd00:96::10]:80", true, false), ("[fd00:244::2]:8080", false, false)]),
        ("[fd00:244::3]:8080", &[("[fd00:96::11]:80", true, true), ("[fd00:244::3]:8080", false, true)]),
        (
            "[::]:8081",
            &[
                ("10.244.0.2:8081", false, false),
                ("10.244.0.3:8081", false, true),
                ("[fd00:244::3]:8081", false, true),
            ],
        ),
    ];
    network.run(|| {
        let mut conntrack = Conntrack::open().expect("connection tracking");
        let bound = cases.map(|(listener, clients)| (TcpListener::bind(listener).expect("a listener"), clients));
        let each =
            bound.iter().flat_map(|(listener, clients)| clients.iter().map(move |client| (listener, client)));
        for (listener, &(address, server_virtual, client_virtual)) in each {
            let (client, server) = connect_to(address, listener)?;
            let ends = |socket: &TcpStream| Ok::<_, io::Error>((socket.local_addr()?, socket.peer_addr()?));
            let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
            let ((here, there), (own, peer)) = (ends(&client)?, ends(&server)?);

            let backend = conntrack.backend(here, there).expect("the client's connection");
            assert_eq!(backend, server_virtual.then_some(plain(own)), "{address}");
            let origin = conntrack.origin(peer, own).expect("the server's connection");
            assert_eq!(origin, client_virtual.then_some(plain(here)), "{address}");

            let turned = conntrack.backend(there, here);
            assert!(matches!(turned, Err(Error::NotFound)), "{address}: {turned:?}");
        }
        Ok(())
    })
}

#[test]
fn a_connection_that_is_not_there_is_not_found() -> io::Result<()> {
    let Some(network) = network("a_connection_that_is_not_there_is_not_found")? else { return Ok(()) };
    network.run(|| {
        let mut conntrack = Conntrack::open().expect("connection tracking");
        for (client, server) in [
            ("10.244.0.1:40000", "10.96.0.10:80"),
            ("[fd00:244::1]:40000", "[fd00:96::10]:80"),
            ("10.244.0.1:40000", "[fd00:96::10]:80"),
        ] {
            let (client, server) = (client.parse().expect("an address"), server.parse().expect("an address"));
            assert!(matches!(conntrack.backend(client, server), Err(Error::NotFound)), "{client} {server}");
            assert!(matches!(conntrack.origin(client, server), Err(Error::NotFound)), "{client} {server}");
        }
    });
    Ok(())
}

#[test]
fn the_thread_answers_from_the_namespace_it_was_started_in() -> io::Result<()> {
    let Some(network) = network("the_thread_answers_from_the_namespace_it_was_started_in")? else { return Ok(()) };
    let started = network.run(|| {
        let resolver = Resolver::start(Conntrack::open().expect("connection tracking"))?;
        Ok::<_, io::Error>((resolver, connect_to("10.96.0.11:80", &TcpListener::bind("10.244.0.3:8080")?)?))
    });
    let (resolver, (client, server)) = started?;
    for (cookie, role, end) in [(1, Role::Client, &client), (2, Role::Server, &server)] {
        assert!(resolver.ask(Untranslated { cookie, role, local: end.local_addr()?, peer: end.peer_addr()? }));
    }
    let deadline = monotonic_now().plus(Duration::from_secs(10));
    let mut answers = Vec::new();
    while answers.len() < 2 {
        answers.extend(resolver.answers().map(|(question, behind)| (question.cookie, behind)));
        assert!(monotonic_now() < deadline, "{answers:?} {:?}", resolver.figures());
        thread::yield_now();
    }
    assert_eq!(answers, [(1, Some(server.local_addr()?)), (2, Some(client.local_addr()?))]);
    Ok(())
}

#[test]
fn without_the_capability_it_is_not_permitted() {
    let open = || {
        let mut sets = capabilities(None).expect("the thread's capabilities");
        sets.effective.remove(CapabilitySet::NET_ADMIN);
        set_capabilities(None, sets).expect("a thread with less of them");
        Conntrack::open()
    };
    let opened = thread::scope(|scope| scope.spawn(open).join().expect("a thread that does not panic"));
    assert!(matches!(opened, Err(Error::NotPermitted)), "{opened:?}");
}

/// Asks whom the test plays, who has said `answers` already: errors, by sequence number and code.
fn ask_who_says(answers: &[(u32, i32)]) -> Result<Option<SocketAddr>, Error> {
    let (socket, kernel) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    for (sequence, code) in answers {
        let mut answer = vec![36, 0, 0, 0, 2, 0, 0, 0];
        answer.extend(sequence.to_ne_bytes());
        answer.extend([0; 4]);
        answer.extend(code.to_ne_bytes());
        answer.extend([0; 16]);
        send(&kernel, &answer, SendFlags::empty())?;
    }
    let address = SocketAddr::from(([10, 0, 0, 1], 80));
    Conntrack::over(socket)?.backend(address, address)
}

#[test]
fn a_silent_kernel_is_not_waited_for_long() {
    let silence = ask_who_says(&[]);
    assert!(matches!(&silence, Err(Error::Io(error)) if error.kind() == io::ErrorKind::TimedOut), "{silence:?}");
}

#[test]
fn an_answer_that_comes_late_is_not_taken_for_the_next() {
    let answer = ask_who_says(&[(0, -1), (u32::MAX, -1), (1, -2)]);
    assert!(matches!(answer, Err(Error::NotFound)), "{answer:?}");
}

#[test]
fn an_errno_is_told_as_what_it_means() {
    for (errno, expected) in [
        (Errno::PROTONOSUPPORT, "the kernel tracks no connections or does not tell of them"),
        (Errno::CONNREFUSED, "the kernel tracks no connections or does not tell of them"),
        (Errno::INVAL, "the kernel tracks no connections or does not tell of them"),
        (Errno::PERM, "not permitted to ask for tracked connections: it takes CAP_NET_ADMIN"),
        (Errno::NOENT, "the connection is not tracked"),
        (Errno::AGAIN, "cannot ask for a tracked connection: timed out"),
        (Errno::NOBUFS, "cannot ask for a tracked connection: No buffer space available (os error 105)"),
    ] {
        assert_eq!(Error::from(errno).to_string(), expected);
    }
}
