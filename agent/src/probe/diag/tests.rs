//! Against the running kernel. What needs no privilege is tested as an ordinary user too.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::fd::AsFd,
    process::{Child, Command, Stdio},
};

use rustix::net::sockopt::socket_cookie;

use super::*;
use crate::identity::host::{MOUNT_TABLE, cgroup2_root};

/// A listening socket and both ends of a connection to it.
struct Sockets {
    listener: TcpListener,
    client: TcpStream,
    server: TcpStream,
}

impl Sockets {
    fn at(address: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (server, _) = listener.accept()?;
        Ok(Self { listener, client, server })
    }

    /// Checks what a pass says of all three.
    fn check(&self, pass: &Pass, namespace: u64) {
        let find = |socket: &dyn AsFd| {
            let cookie = socket_cookie(socket.as_fd()).expect("the socket's cookie");
            let found: Vec<_> = pass.sockets.iter().filter(|other| other.cookie == cookie).collect();
            let [found] = found[..] else { panic!("{} sockets have cookie {cookie}", found.len()) };
            assert_eq!((found.pid, found.namespace), (std::process::id(), namespace));
            found
        };
        for (socket, accepted) in [(&self.client, false), (&self.server, true)] {
            let found = find(socket);
            assert_eq!(found.state, state::ESTABLISHED);
            assert_eq!(found.local, socket.local_addr().expect("a local address"));
            assert_eq!(found.peer, socket.peer_addr().expect("a peer address"));
            assert_eq!(pass.listeners.accepted(found), accepted, "{found:?}");
        }
        let found = find(&self.listener);
        assert_eq!(found.state, state::LISTEN);
        assert_eq!(found.local, self.listener.local_addr().expect("a local address"));
        assert_eq!(found.peer.port(), 0);
    }
}

#[test]
fn both_ends_of_a_connection_are_found() -> io::Result<()> {
    let sockets = [Sockets::at("127.0.0.1:0")?, Sockets::at("[::1]:0")?];
    let pass = pass(&Bounds::default());
    for sockets in &sockets {
        sockets.check(&pass, proc::own_namespace());
    }
    Ok(())
}

#[test]
fn an_ipv4_connection_of_an_ipv6_socket_is_found_mapped() -> io::Result<()> {
    let listener = TcpListener::bind("[::]:0")?;
    let client = TcpStream::connect(("127.0.0.1", listener.local_addr()?.port()))?;
    let (server, _) = listener.accept()?;
    let sockets = Sockets { listener, client, server };
    assert_eq!(sockets.server.local_addr()?.ip().to_string(), "::ffff:127.0.0.1");
    sockets.check(&pass(&Bounds::default()), proc::own_namespace());
    Ok(())
}

#[test]
fn the_cgroup_is_this_process_s_where_the_kernel_tells() -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;

    let sockets = Sockets::at("127.0.0.1:0")?;
    let membership = std::fs::read_to_string("/proc/self/cgroup")?;
    let path = membership.lines().find_map(|line| line.strip_prefix("0::/"));
    let root = cgroup2_root(None, &std::fs::read_to_string(MOUNT_TABLE)?);
    let expected = match (root, path) {
        (Some(root), Some(path)) => std::fs::metadata(root.join(path))?.ino(),
        _ => 0,
    };
    let cookie = socket_cookie(&sockets.client)?;
    let pass = pass(&Bounds::default());
    let found = pass.sockets.iter().find(|socket| socket.cookie == cookie).expect("the client's socket");
    assert!([0, expected].contains(&found.cgroup), "{} is neither 0 nor {expected}", found.cgroup);
    Ok(())
}

#[test]
fn bounds_are_kept_and_told() -> io::Result<()> {
    let _sockets = Sockets::at("127.0.0.1:0")?;
    let few = pass(&Bounds { sockets: 1, ..Bounds::default() });
    assert_eq!(few.sockets.len(), 1);
    assert!(few.failures.iter().any(|failure| matches!(failure, Failure::Bound { what: "sockets", limit: 1 })));
    let hurried = pass(&Bounds { time: Duration::ZERO, ..Bounds::default() });
    assert!(hurried.failures.iter().any(|failure| matches!(failure, Failure::Time("sockets"))));
    assert!(hurried.sockets.is_empty());
    Ok(())
}

#[test]
fn what_fails_everywhere_is_told_once() {
    let list = |family| Failure::List { family, count: 1, source: io::ErrorKind::NotFound.into() };
    let mut pass = Pass::default();
    for _ in 0..3 {
        pass.fail(list("IPv4"));
        pass.fail(Failure::Time("sockets"));
        pass.fail(Failure::Bound { what: "sockets", limit: 1 });
    }
    pass.fail(list("IPv6"));
    let told: Vec<_> = pass.failures.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "cannot list the IPv4 TCP sockets of 3 network namespaces",
            "out of time while looking for sockets",
            "stopped after 1 sockets",
            "cannot list the IPv6 TCP sockets of 1 network namespaces",
        ]
    );
}

/// A process that does nothing in a network namespace of its own, until dropped.
struct Inhabitant(Child);

impl Inhabitant {
    fn new() -> io::Result<Self> {
        let mut child = Command::new("unshare")
            .args(["--net", "sh", "-c", "ip link set lo up && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        // Its echo says that it is where it should be.
        if let (Some(stdin), Some(stdout)) = (child.stdin.as_mut(), child.stdout.as_mut()) {
            stdin.write_all(b"here\n")?;
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line)?;
            assert_eq!(line, "here\n");
        }
        Ok(Self(child))
    }

    /// Its namespace, found as the pass finds it.
    fn namespace(&self) -> io::Result<proc::Namespace> {
        use std::os::unix::fs::MetadataExt;

        let inode = std::fs::metadata(format!("/proc/{}/ns/net", self.0.id()))?.ino();
        let namespaces = proc::other_namespaces(proc::own_namespace(), Nanos(u64::MAX), &mut Vec::new());
        let found = namespaces.into_iter().find(|namespace| namespace.inode == inode);
        Ok(found.expect("the namespace of a running process"))
    }
}

impl Drop for Inhabitant {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Ended by the end of its input; there is nobody left to tell if not.
        let _ = self.0.wait();
    }
}

#[test]
fn sockets_of_another_namespace_are_found() -> io::Result<()> {
    if std::env::var_os("REDTAP_PRIVILEGED").is_none_or(|value| value != "1") {
        let told = "LEFT OUT: sockets_of_another_namespace_are_found (needs root and REDTAP_PRIVILEGED=1)\n";
        // Not by a print macro, whose output a test that passes keeps to itself.
        return io::stderr().write_all(told.as_bytes());
    }
    let inhabitant = Inhabitant::new()?;
    let namespace = inhabitant.namespace()?;
    let before = proc::own_namespace();
    let make = || {
        assert!(namespace.enter()?);
        Ok::<_, io::Error>([Sockets::at("127.0.0.1:0")?, Sockets::at("[::1]:0")?])
    };
    let sockets = thread::scope(|scope| scope.spawn(make).join().expect("sockets in the namespace"))?;
    let found = pass(&Bounds::default());
    for sockets in &sockets {
        sockets.check(&found, namespace.inode);
    }
    assert_eq!(proc::own_namespace(), before);
    assert!(found.namespaces >= 2);
    let seen = found.failures.iter().all(|failure| matches!(failure, Failure::Hidden { .. }));
    assert!(seen, "{:?}", found.failures);

    let alone = pass(&Bounds { namespaces: 1, ..Bounds::default() });
    assert_eq!(alone.namespaces, 1);
    assert!(alone.sockets.iter().all(|socket| socket.namespace == before));
    assert!(alone.failures.iter().any(|failure| matches!(failure, Failure::Bound { .. })));
    Ok(())
}
