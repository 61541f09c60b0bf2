//! Where connections are accepted: tells the server's end of a connection whose beginning nobody saw.

use std::net::IpAddr;

use hashbrown::HashMap;

use super::{Existing, state};

/// The listening sockets of a pass, by namespace and port.
#[derive(Debug, Default)]
pub struct Listeners {
    places: HashMap<(u64, u16), Vec<Place>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    address: IpAddr,
    ipv6_only: bool,
}

impl Listeners {
    /// Those among `sockets` that listen.
    #[must_use]
    pub fn of(sockets: &[Existing]) -> Self {
        let mut places: HashMap<_, Vec<Place>> = HashMap::new();
        for socket in sockets.iter().filter(|socket| socket.state == state::LISTEN) {
            let place = Place { address: socket.local.ip(), ipv6_only: socket.ipv6_only };
            let known = places.entry((socket.namespace, socket.local.port())).or_default();
            if !known.contains(&place) {
                known.push(place);
            }
        }
        Self { places }
    }

    /// Whether `socket` was accepted rather than connected: something in its namespace listens where its local end
    /// is. Wrong only for a client that was bound to a port that something listens on, which takes `SO_REUSEADDR`
    /// on both, and for a server that has stopped listening since.
    #[must_use]
    pub fn accepted(&self, socket: &Existing) -> bool {
        let places = self.places.get(&(socket.namespace, socket.local.port()));
        socket.state != state::LISTEN
            && places.is_some_and(|places| places.iter().any(|place| place.takes(socket.local.ip())))
    }

    /// Addresses and ports listened on.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.values().map(Vec::len).sum()
    }

    /// Whether nothing listens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

impl Place {
    fn takes(self, local: IpAddr) -> bool {
        let local = local.to_canonical();
        match self.address {
            IpAddr::V4(address) if address.is_unspecified() => local.is_ipv4(),
            IpAddr::V6(address) if address.is_unspecified() => local.is_ipv6() || !self.ipv6_only,
            address => address.to_canonical() == local,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(namespace: u64, state: u8, local: &str, ipv6_only: bool) -> Existing {
        let local: std::net::SocketAddr = local.parse().expect("an address");
        Existing { cookie: 1, local, peer: local, state, inode: 0, cgroup: 0, pid: 0, namespace, ipv6_only }
    }

    #[test]
    fn accepted_by_whom() {
        for (listener, connection, accepted) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("0.0.0.0:80", "10.0.0.1:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("[::]:80", "[::1]:80", true),
            ("[::]:80", "[::ffff:10.0.0.1]:80", true),
            ("[::1]:80", "[::1]:80", true),
            ("[::1]:80", "[::2]:80", false),
            ("[::ffff:10.0.0.1]:80", "[::ffff:10.0.0.1]:80", true),
        ] {
            let listeners = Listeners::of(&[socket(1, state::LISTEN, listener, false)]);
            let check = |namespace, state| listeners.accepted(&socket(namespace, state, connection, false));
            assert_eq!(check(1, state::ESTABLISHED), accepted, "{listener} {connection}");
            assert!(!check(2, state::ESTABLISHED), "another namespace");
            assert!(!check(1, state::LISTEN), "a listener is not accepted");
        }
    }

    #[test]
    fn an_ipv6_only_listener_takes_no_ipv4() {
        let listeners = Listeners::of(&[socket(1, state::LISTEN, "[::]:80", true)]);
        assert!(!listeners.accepted(&socket(1, state::ESTABLISHED, "[::ffff:10.0.0.1]:80", false)));
        assert!(listeners.accepted(&socket(1, state::ESTABLISHED, "[::1]:80", false)));
    }

    #[test]
    fn only_listening_sockets_count_and_once() {
        let listening = socket(1, state::LISTEN, "[::]:80", false);
        let listeners =
            Listeners::of(&[listening.clone(), listening, socket(1, state::ESTABLISHED, "10.0.0.1:81", false)]);
        assert_eq!((listeners.len(), listeners.is_empty()), (1, false));
    }
}
