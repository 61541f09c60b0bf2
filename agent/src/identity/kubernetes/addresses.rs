//! Who claims an address: a bounded table in which every claim knows the object it comes from.
//!
//! What an object claims is taken back with that object alone, so that an address given to another in the meantime
//! stays the other's. A claim keeps the moment it was first made for as long as the object repeats it.

use std::{net::IpAddr, slice, sync::Arc};

use hashbrown::{HashMap, hash_map::Entry};

use super::{Resource, uid::Uid};

/// What claims addresses. The kind is part of it, though no two objects of whatever kind should have the same UID.
pub(super) type Object = (Resource, Uid);

/// A claim to an address.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// Who makes it.
    pub(super) object: Object,
    /// Grows with every new claim: of two, the one made later has the greater.
    pub(super) turn: u64,
    /// What the address is said to be.
    pub(super) role: Role,
}

/// What an address is to the object that claims it.
#[derive(Clone, Debug)]
pub(super) enum Role {
    /// The pod's own.
    Pod,
    /// An endpoint of the slice: of this pod, or of something outside the cluster.
    Endpoint(Option<Target>),
    /// The service's alone (`clusterIPs`).
    Cluster,
    /// The service's, on its ports (`externalIPs`, addresses of load balancers).
    External,
    /// The node's, shared with all pods on its network.
    Node,
}

/// The pod behind an endpoint.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) uid: Uid,
    pub(super) name: Arc<str>,
    pub(super) node: Option<Arc<str>>,
}

impl Role {
    /// Tells the claims of one object to one address apart.
    const fn key(&self) -> (u8, Option<Uid>) {
        match self {
            Self::Pod => (0, None),
            Self::Endpoint(Some(target)) => (1, Some(target.uid)),
            Self::Endpoint(None) => (1, None),
            Self::Cluster => (2, None),
            Self::External => (3, None),
            Self::Node => (4, None),
        }
    }
}

/// Most addresses have one.
#[derive(Debug)]
enum Claims {
    One(Claim),
    Several(Vec<Claim>),
}

impl Claims {
    fn as_slice(&self) -> &[Claim] {
        match self {
            Self::One(claim) => slice::from_ref(claim),
            Self::Several(claims) => claims,
        }
    }

    fn push(&mut self, claim: Claim) {
        match self {
            Self::One(first) => *self = Self::Several(vec![first.clone(), claim]),
            Self::Several(claims) => {
                claims.reserve_exact(1);
                claims.push(claim);
            }
        }
    }
}

/// All claims, by address.
#[derive(Debug)]
pub(super) struct Addresses {
    claims: HashMap<IpAddr, Claims>,
    len: usize,
    limit: usize,
    next_turn: u64,
    refused: u64,
}

impl Addresses {
    pub(super) fn new(limit: usize) -> Self {
        Self { claims: HashMap::new(), len: 0, limit, next_turn: 0, refused: 0 }
    }

    /// The claims to an address, in no order.
    pub(super) fn of(&self, address: IpAddr) -> &[Claim] {
        self.claims.get(&address).map(Claims::as_slice).unwrap_or_default()
    }

    /// An object claims `wanted` from now on, and no more what it claimed `before`. Returns what it got: not the
    /// addresses that are nobody's own (loopback, unspecified, multicast), and none past the limit.
    pub(super) fn replace(
        &mut self,
        object: Object,
        before: &[IpAddr],
        wanted: impl IntoIterator<Item = (IpAddr, Role)>,
    ) -> Box<[IpAddr]> {
        let mut turns = HashMap::new();
        for &address in before {
            self.remove(object, address, |claim| {
                turns.insert((address, claim.role.key()), claim.turn);
            });
        }
        let mut granted = Vec::new();
        for (address, role) in wanted {
            let address = address.to_canonical();
            let repeated =
                self.of(address).iter().any(|claim| claim.object == object && claim.role.key() == role.key());
            if !is_somebodys(address) || repeated {
                continue;
            }
            if self.len >= self.limit {
                self.refused += 1;
                continue;
            }
            let turn = turns.get(&(address, role.key())).copied().unwrap_or_else(|| {
                self.next_turn += 1;
                self.next_turn
            });
            self.insert(address, Claim { object, turn, role });
            granted.push(address);
        }
        // Grown for a cluster's peak, it shrinks with the cluster.
        if self.claims.len() < self.claims.capacity() / 4 {
            self.claims.shrink_to(2 * self.claims.len());
        }
        granted.into()
    }

    fn insert(&mut self, address: IpAddr, claim: Claim) {
        self.len += 1;
        match self.claims.entry(address) {
            Entry::Occupied(mut claims) => claims.get_mut().push(claim),
            Entry::Vacant(place) => {
                place.insert(Claims::One(claim));
            }
        }
    }

    fn remove(&mut self, object: Object, address: IpAddr, mut removed: impl FnMut(&Claim)) {
        let Entry::Occupied(mut place) = self.claims.entry(address) else { return };
        let mut kept: Vec<Claim> = Vec::new();
        for claim in place.get().as_slice() {
            if claim.object == object {
                self.len -= 1;
                removed(claim);
            } else {
                kept.push(claim.clone());
            }
        }
        match <[Claim; 1]>::try_from(kept) {
            Ok([only]) => *place.get_mut() = Claims::One(only),
            Err(none) if none.is_empty() => {
                place.remove();
            }
            Err(several) => *place.get_mut() = Claims::Several(several),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    pub(super) const fn refused(&self) -> u64 {
        self.refused
    }

    /// Bytes kept.
    pub(super) fn bytes(&self) -> usize {
        let claims = self.claims.values().map(|claims| {
            let inline = match claims {
                Claims::One(_) => 0,
                Claims::Several(claims) => claims.capacity() * size_of::<Claim>(),
            };
            let names = claims.as_slice().iter().map(|claim| match &claim.role {
                Role::Endpoint(Some(target)) => super::bytes_of(&target.name),
                _ => 0,
            });
            inline + names.sum::<usize>()
        });
        claims.sum::<usize>() + self.claims.capacity() * (size_of::<(IpAddr, Claims)>() + 1)
    }
}

fn is_somebodys(address: IpAddr) -> bool {
    !(address.is_loopback() || address.is_unspecified() || address.is_multicast())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// Plays `OBJECT: ADDRESS…` lines into a table of so many, and gives the objects that claim `asked`, the
    /// earliest claim first.
    fn check(limit: usize, history: &[(&str, &str)], asked: &str, expected: &str, refused: u64) {
        let mut addresses = Addresses::new(limit);
        let mut held: HashMap<&str, Box<[IpAddr]>> = HashMap::new();
        let mut objects = Vec::new();
        for (object, wanted) in history {
            let before = held.remove(object).unwrap_or_default();
            let wanted = wanted.split_whitespace().map(|text| (address(text), Role::Pod));
            held.insert(object, addresses.replace((Resource::Pods, Uid::parse(object)), &before, wanted));
            objects.push(*object);
            assert!(addresses.len() <= limit);
            assert_eq!(
                addresses.len(),
                addresses.claims.values().map(|claims| claims.as_slice().len()).sum::<usize>()
            );
            assert_eq!(addresses.len(), held.values().map(|held| held.len()).sum::<usize>());
        }
        let mut claims: Vec<_> = addresses.of(address(asked)).iter().collect();
        claims.sort_by_key(|claim| claim.turn);
        let name =
            |uid| *objects.iter().find(|object| Uid::parse(object) == uid).expect("an object of the history");
        let told: Vec<_> = claims.iter().map(|claim| name(claim.object.1)).collect();
        assert_eq!((told.join(" "), addresses.refused()), (expected.to_owned(), refused), "{history:?}");
    }

    #[test]
    fn an_object_takes_back_only_what_it_claimed() {
        let one = "10.0.0.1";
        check(9, &[("a", one)], one, "a", 0);
        check(9, &[("a", one), ("a", "")], one, "", 0);
        check(9, &[("a", one), ("b", one), ("a", "")], one, "b", 0);
        check(9, &[("a", one), ("b", one), ("c", one), ("b", "")], one, "a c", 0);
        check(9, &[("a", one), ("b", one), ("a", "10.0.0.2")], "10.0.0.2", "a", 0);
    }

    #[test]
    fn a_claim_that_is_repeated_is_no_newer() {
        let (one, both) = ("10.0.0.1", "10.0.0.1 10.0.0.2");
        check(9, &[("a", one), ("b", one), ("a", both)], one, "a b", 0);
        check(9, &[("a", one), ("b", one), ("a", ""), ("a", one)], one, "b a", 0);
        check(9, &[("a", "10.0.0.1 10.0.0.1 ::ffff:10.0.0.1")], one, "a", 0);
    }

    #[test]
    fn what_is_nobodys_and_what_is_too_much_is_not_granted() {
        for nobodys in ["127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1"] {
            check(9, &[("a", nobodys)], nobodys, "", 0);
        }
        check(1, &[("a", "10.0.0.1"), ("b", "10.0.0.1")], "10.0.0.1", "a", 1);
        check(1, &[("a", "10.0.0.1"), ("b", "10.0.0.1"), ("a", ""), ("b", "10.0.0.1")], "10.0.0.1", "b", 1);
        check(0, &[("a", "10.0.0.1")], "10.0.0.1", "", 1);
    }
}
