//! Both ends of a connection on one host: whose socket is at the other end.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hashbrown::HashMap;

use crate::time::Nanos;

/// How long an end that has closed is remembered: the other end closes a moment later.
const LINGER: Duration = Duration::from_secs(2);

/// Room for fewer entries than this is kept after a burst.
const ROOM: usize = 4096;

/// Whose a socket at an end of a connection is, as far as the kernel tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The process; 0: not known.
    pub pid: u32,
    /// The name of the thread that connected; all zero: not known.
    pub comm: [u8; 16],
    /// Id of the cgroup the socket belongs to; 0: not known.
    pub cgroup: u64,
}

struct Place {
    cookie: u64,
    owner: Owner,
    /// Sockets with these addresses at once, in different network namespaces: then none is told from the others.
    sockets: u32,
    /// Since when there are none.
    gone: Option<Nanos>,
    /// Whom the peer's address stands for: what sockets of the other end have for their own. Few have one.
    translated: Option<Box<SocketAddr>>,
}

/// Local and peer address of a socket, IPv4 mapped, in a form that is quick to hash: it is looked up for each connection
/// again and again.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Pair {
    local: u128,
    peer: u128,
    ports: u32,
}

impl Pair {
    fn new(local: SocketAddr, peer: SocketAddr) -> Self {
        let bits = |address: SocketAddr| match address.ip() {
            IpAddr::V4(address) => u128::from(address.to_ipv6_mapped()),
            IpAddr::V6(address) => u128::from(address),
        };
        let ports = u32::from(local.port()) << 16 | u32::from(peer.port());
        Self { local: bits(local), peer: bits(peer), ports }
    }
}

/// The sockets of this host by their addresses.
#[derive(Default)]
pub struct Pairs {
    places: HashMap<Pair, Place>,
    gone: VecDeque<(Nanos, Pair)>,
    /// An address was found to stand for another: until then, nobody need look for one that does.
    translates: bool,
}

impl Pairs {
    /// A socket has these addresses.
    pub fn opened(&mut self, local: SocketAddr, peer: SocketAddr, cookie: u64, owner: Owner) {
        let fresh = Place { cookie, owner, sockets: 1, gone: None, translated: None };
        match self.places.entry(Pair::new(local, peer)) {
            hashbrown::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(fresh);
            }
            hashbrown::hash_map::Entry::Occupied(mut occupied) => {
                let place = occupied.get_mut();
                if place.gone.is_some() {
                    *place = fresh;
                } else if place.cookie != cookie {
                    place.sockets += 1;
                }
            }
        }
    }

    /// The process of a socket has become known.
    pub fn owned(&mut self, local: SocketAddr, peer: SocketAddr, cookie: u64, owner: Owner) {
        if let Some(place) = self.places.get_mut(&Pair::new(local, peer))
            && place.cookie == cookie
        {
            place.owner = owner;
            if let Some(behind) = place.translated.as_deref().copied() {
                self.owned(local, behind, cookie, owner);
            }
        }
    }

    /// The peer's address of a socket stands for another, which is the one that the other end has.
    pub fn translated(&mut self, local: SocketAddr, peer: SocketAddr, cookie: u64, behind: SocketAddr) {
        let Some(place) = self.places.get_mut(&Pair::new(local, peer)) else { return };
        if place.cookie != cookie || place.translated.is_some() || behind == peer {
            return;
        }
        place.translated = Some(Box::new(behind));
        self.translates = true;
        let (owner, gone) = (place.owner, place.gone);
        self.opened(local, behind, cookie, owner);
        if let Some(since) = gone {
            self.closed(local, behind, since);
        }
    }

    /// Whom the peer's address of a socket stands for, if it is known to stand for another.
    #[must_use]
    pub fn behind(&self, local: SocketAddr, peer: SocketAddr) -> Option<SocketAddr> {
        let place = self.translates.then(|| self.places.get(&Pair::new(local, peer))).flatten()?;
        place.translated.as_deref().copied()
    }

    /// A socket is gone.
    pub fn closed(&mut self, local: SocketAddr, peer: SocketAddr, now: Nanos) {
        let Some(place) = self.places.get_mut(&Pair::new(local, peer)) else { return };
        place.sockets = place.sockets.saturating_sub(1);
        if place.sockets == 0 && place.gone.is_none() {
            place.gone = Some(now);
            self.gone.push_back((now, Pair::new(local, peer)));
            if let Some(behind) = place.translated.as_deref().copied() {
                self.closed(local, behind, now);
            }
        }
    }

    /// Who is at the other end of a socket with these addresses, if that is this host, and one socket only.
    #[must_use]
    pub fn other_end(&self, local: SocketAddr, peer: SocketAddr) -> Option<Owner> {
        let place = self.places.get(&Pair::new(self.behind(local, peer).unwrap_or(peer), local))?;
        (place.sockets <= 1).then_some(place.owner)
    }

    /// Forgets those that have been gone for long.
    pub fn expire(&mut self, now: Nanos) {
        while let Some((since, pair)) = self.gone.front()
            && now.since(*since) >= LINGER
        {
            if self.places.get(pair).is_some_and(|place| place.gone == Some(*since)) {
                self.places.remove(pair);
            }
            self.gone.pop_front();
        }
        if self.places.capacity() > ROOM.max(self.places.len() * 4) {
            self.places.shrink_to(self.places.len() * 2);
            self.gone.shrink_to(self.gone.len() * 2);
        }
    }

    /// Addresses remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    const CLIENT: Owner = Owner { pid: 1, comm: [0; 16], cgroup: 0 };
    const SERVER: Owner = Owner { pid: 2, comm: [0; 16], cgroup: 0 };

    #[test]
    fn an_end_knows_the_other_for_a_while_after_it_has_closed() {
        let (client, server) = (address(40_000), address(80));
        let mut pairs = Pairs::default();
        pairs.opened(client, server, 1, CLIENT);
        assert_eq!(pairs.other_end(client, server), None);
        pairs.opened(server, client, 2, Owner::default());
        pairs.owned(server, client, 2, SERVER);
        assert_eq!(pairs.other_end(client, server), Some(SERVER));
        assert_eq!(pairs.other_end(server, client), Some(CLIENT));
        pairs.closed(client, server, Nanos(10));
        pairs.expire(Nanos(10).plus(LINGER / 2));
        assert_eq!(pairs.other_end(server, client), Some(CLIENT));
        pairs.expire(Nanos(10).plus(LINGER));
        assert_eq!(pairs.other_end(server, client), None);
        // The port is used again.
        pairs.opened(client, server, 3, CLIENT);
        assert_eq!(pairs.other_end(server, client), Some(CLIENT));
        assert_eq!(pairs.len(), 2);
    }

    #[test]
    fn ends_that_a_translated_address_is_between_know_each_other() {
        let (client, service, server) = (address(40_000), address(80), address(8080));
        let mut pairs = Pairs::default();
        pairs.opened(client, service, 1, Owner::default());
        pairs.opened(server, client, 2, SERVER);
        assert_eq!((pairs.other_end(client, service), pairs.other_end(server, client)), (None, None));
        pairs.translated(client, service, 1, server);
        pairs.owned(client, service, 1, CLIENT);
        assert_eq!(pairs.other_end(client, service), Some(SERVER));
        assert_eq!(pairs.other_end(server, client), Some(CLIENT));
        pairs.closed(client, service, Nanos(10));
        pairs.closed(server, client, Nanos(10));
        pairs.expire(Nanos(10).plus(LINGER));
        assert!(pairs.is_empty());
    }

    #[test]
    fn ends_that_both_have_a_translated_address_know_each_other() {
        let (client, port_of_node, server, masquerade) =
            (address(40_000), address(30_080), address(8080), address(5));
        let mut pairs = Pairs::default();
        pairs.opened(client, port_of_node, 1, CLIENT);
        pairs.opened(server, masquerade, 2, SERVER);
        pairs.translated(server, masquerade, 2, client);
        assert_eq!(pairs.other_end(server, masquerade), None);
        assert_eq!(pairs.behind(server, masquerade), Some(client));
        // It is gone before that is known of it.
        pairs.closed(client, port_of_node, Nanos(10));
        pairs.translated(client, port_of_node, 1, server);
        assert_eq!(pairs.other_end(server, masquerade), Some(CLIENT));
        assert_eq!(pairs.other_end(client, port_of_node), Some(SERVER));
        pairs.closed(server, masquerade, Nanos(10));
        pairs.expire(Nanos(10).plus(LINGER));
        assert!(pairs.is_empty());
    }

    #[test]
    fn the_same_addresses_in_two_namespaces_tell_nothing() {
        let (client, server) = (address(40_000), address(80));
        let mut pairs = Pairs::default();
        pairs.opened(client, server, 1, CLIENT);
        pairs.opened(client, server, 2, SERVER);
        assert_eq!(pairs.other_end(server, client), None);
        pairs.closed(client, server, Nanos(0));
        pairs.closed(client, server, Nanos(0));
        pairs.expire(Nanos(0).plus(LINGER));
        assert!(pairs.is_empty());
    }
}
