//! Whom a socket talks to, by the best that is known: a service of this host, a name, or no more than what kind of
//! address it is.

use std::{net::IpAddr, sync::Arc};

use hashbrown::HashMap;

use crate::identity::ServiceId;

/// Longest name kept: that of a domain name in text (RFC 1035 §2.3.4), without its final dot.
pub const LONGEST_NAME: usize = 253;

/// The other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A service of this host.
    Service(ServiceId),
    /// A name that was seen in passing.
    Name(NameId),
    /// Nothing but the kind of its address.
    Class(AddressClass),
    /// Its address, where addresses are asked for.
    Address(IpAddr),
}

/// A name's index in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NameId(u32);

/// Kind of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AddressClass {
    /// Of the host itself (127.0.0.0/8, ::1).
    Loopback,
    /// Of one link (169.254.0.0/16, fe80::/10).
    LinkLocal,
    /// Of a network that is not the internet (RFC 1918, RFC 6598, RFC 4193).
    Private,
    /// Of the internet.
    Public,
    /// To many (224.0.0.0/4, ff00::/8, and 255.255.255.255).
    Multicast,
    /// 0.0.0.0 or ::
    Unspecified,
}

/// Names, interned: a bounded table. Nothing leaves it, since series refer to it: a name that comes when it is full is
/// refused, and its bearer goes by its class.
#[derive(Debug)]
pub struct Names {
    limit: usize,
    all: Vec<Arc<str>>,
    index: HashMap<Arc<str>, NameId>,
    refused: u64,
}

impl Peer {
    /// How much it says: a better one takes the place of a worse one.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Self::Service(_) => 2,
            Self::Name(_) => 1,
            Self::Class(_) | Self::Address(_) => 0,
        }
    }

    /// Whether it is a name rather than an address or a kind of one.
    #[must_use]
    pub const fn is_named(self) -> bool {
        self.rank() > 0
    }
}

impl AddressClass {
    /// That of `address`; an IPv4-mapped one is the IPv4 address that it maps.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            address if address.is_unspecified() => Self::Unspecified,
            address if address.is_loopback() => Self::Loopback,
            address if address.is_multicast() => Self::Multicast,
            IpAddr::V4(address) if address.is_broadcast() => Self::Multicast,
            IpAddr::V4(address) if address.is_link_local() => Self::LinkLocal,
            IpAddr::V4(address) if address.is_private() || is_shared(address.octets()) => Self::Private,
            IpAddr::V6(address) if address.is_unicast_link_local() => Self::LinkLocal,
            IpAddr::V6(address) if address.is_unique_local() => Self::Private,
            _ => Self::Public,
        }
    }

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::LinkLocal => "link_local",
            Self::Private => "private",
            Self::Public => "public",
            Self::Multicast => "multicast",
            Self::Unspecified => "unspecified",
        }
    }
}

/// 100.64.0.0/10 (RFC 6598).
const fn is_shared(octets: [u8; 4]) -> bool {
    octets[0] == 100 && octets[1] & 0xc0 == 64
}

impl Names {
    /// Room for `limit` names.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, all: Vec::new(), index: HashMap::new(), refused: 0 }
    }

    /// The id of `name`; `None` for an empty or overlong one, and when the table is full. Allocates nothing for a name it
    /// knows.
    pub fn intern(&mut self, name: &str) -> Option<NameId> {
        if let Some(id) = self.index.get(name) {
            return Some(*id);
        }
        if name.is_empty() || name.len() > LONGEST_NAME {
            return None;
        }
        if self.all.len() >= self.limit {
            self.refused += 1;
            return None;
        }
        let id = NameId(u32::try_from(self.all.len()).ok()?);
        let name: Arc<str> = name.into();
        self.all.push(Arc::clone(&name));
        self.index.insert(name, id);
        Some(id)
    }

    /// All names; a [`NameId`] is a place in it.
    #[must_use]
    pub fn all(&self) -> &[Arc<str>] {
        &self.all
    }

    /// Most names.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// How often a name was refused because the table was full.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }
}

impl NameId {
    /// This name in (a copy of) [`Names::all`].
    #[must_use]
    pub fn of(self, names: &[Arc<str>]) -> Option<&Arc<str>> {
        names.get(usize::try_from(self.0).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_addresses() {
        for (address, class) in [
            ("127.0.0.53", "loopback"),
            ("::1", "loopback"),
            ("::ffff:127.0.0.1", "loopback"),
            ("169.254.169.254", "link_local"),
            ("fe80::1", "link_local"),
            ("10.1.2.3", "private"),
            ("172.31.0.1", "private"),
            ("172.32.0.1", "public"),
            ("192.168.0.1", "private"),
            ("::ffff:192.168.0.1", "private"),
            ("100.64.0.1", "private"),
            ("100.128.0.1", "public"),
            ("fd00::1", "private"),
            ("192.0.2.1", "public"),
            ("2001:db8::1", "public"),
            ("224.0.0.251", "multicast"),
            ("255.255.255.255", "multicast"),
            ("ff02::fb", "multicast"),
            ("0.0.0.0", "unspecified"),
            ("::", "unspecified"),
        ] {
            assert_eq!(AddressClass::of(address.parse().unwrap()).as_str(), class, "{address}");
        }
    }

    #[test]
    fn a_full_table_keeps_what_it_has() {
        let mut names = Names::new(2);
        let ids = ["a", "b", "c", "a", ""].map(|name| names.intern(name));
        let texts = ids.map(|id| id.and_then(|id| id.of(names.all())).map(|name| name.to_string()));
        assert_eq!(texts, [Some("a".to_owned()), Some("b".to_owned()), None, Some("a".to_owned()), None]);
        assert_eq!(names.refused(), 1);
        assert_eq!(names.intern(&"n".repeat(LONGEST_NAME + 1)), None);
    }
}
