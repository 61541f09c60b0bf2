//! Services: what measurements are told apart by, and as small numbers for the hot path.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::{
    semconv::{self, Attribute},
    time::Nanos,
};

/// `service.name` of what cannot be named (OpenTelemetry resource conventions, service).
pub const UNKNOWN_SERVICE: &str = "unknown_service";

/// Longest service name kept, in bytes; a longer one keeps its beginning. The name becomes a label of every series
/// of the service, and comes from a process's environment.
pub const MAX_SERVICE_NAME: usize = 256;

/// A service, as an index that is never used again for another one.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct ServiceId(pub u32);

impl ServiceId {
    /// The service named [`UNKNOWN_SERVICE`].
    pub const UNKNOWN: Self = Self(0);
}

/// Attributes and their values, in order.
pub type Pairs = Vec<(Attribute, Arc<str>)>;

/// Whose measurements are one: a service, and where there are containers, one container of one pod of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service {
    /// `service.name`
    pub name: Arc<str>,
    /// What tells it from others of that name; all its series bear it. In order, none twice.
    pub identifying: Pairs,
    /// What else is known of it, for `target_info` and resources. It may change while the service stays the same.
    pub descriptive: Pairs,
}

impl Service {
    /// A service of which nothing but its name is known; cut at [`MAX_SERVICE_NAME`].
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: cut(name, MAX_SERVICE_NAME).into(), ..Self::default() }
    }

    /// The value of an attribute.
    #[must_use]
    pub fn get(&self, attribute: Attribute) -> Option<&Arc<str>> {
        let mut all = self.identifying.iter().chain(&self.descriptive);
        all.find(|(own, _)| *own == attribute).map(|(_, value)| value)
    }

    /// `service.namespace`, or else that of Kubernetes.
    #[must_use]
    pub fn namespace(&self) -> Option<&Arc<str>> {
        self.get(semconv::SERVICE_NAMESPACE).or_else(|| self.get(semconv::K8S_NAMESPACE_NAME))
    }

    /// Whether nobody knows what it is.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        (self.name.is_empty() || *self.name == *UNKNOWN_SERVICE) && self.identifying.is_empty()
    }
}

/// The services given out, up to a limit.
///
/// Series refer to them by their [`ServiceId`], so one is forgotten only when it has [gone](Self::gone) and nothing refers to it
/// any more. Past the limit a new one is refused and its exchanges count for [`ServiceId::UNKNOWN`]; those already known go on
/// as before.
#[derive(Debug)]
pub(super) struct Services {
    all: HashMap<ServiceId, Known>,
    ids: HashMap<Identifying, ServiceId>,
    unknown: Arc<Service>,
    next: u32,
    limit: usize,
    refused: u64,
}

/// What tells a service from all others.
type Identifying = (Arc<str>, Pairs);

#[derive(Debug)]
struct Known {
    service: Arc<Service>,
    /// Since when it is no more.
    gone: Option<Nanos>,
}

impl Services {
    /// Room for `limit` services, the unknown one among them.
    pub(super) fn new(limit: usize) -> Self {
        let unknown = Arc::new(Service::named(UNKNOWN_SERVICE));
        let mut new = Self {
            all: HashMap::new(),
            ids: HashMap::new(),
            unknown: Arc::clone(&unknown),
            next: ServiceId::UNKNOWN.0 + 1,
            limit: limit.max(1),
            refused: 0,
        };
        new.ids.insert((Arc::clone(&unknown.name), Pairs::new()), ServiceId::UNKNOWN);
        new.all.insert(ServiceId::UNKNOWN, Known { service: unknown, gone: None });
        new
    }

    /// The id of a service; [`ServiceId::UNKNOWN`] for one without a name or a refused one. What it is described by from
    /// now on is what `service` says.
    pub(super) fn intern(&mut self, service: Service) -> ServiceId {
        if service.name.is_empty() {
            return ServiceId::UNKNOWN;
        }
        let key = (Arc::clone(&service.name), service.identifying.clone());
        if let Some(&id) = self.ids.get(&key) {
            if let Some(known) = self.all.get_mut(&id) {
                known.gone = None;
                if known.service.descriptive != service.descriptive {
                    known.service = Arc::new(service);
                }
            }
            return id;
        }
        if self.all.len() >= self.limit || self.next == u32::MAX {
            self.refused += 1;
            return ServiceId::UNKNOWN;
        }
        let id = ServiceId(self.next);
        self.next += 1;
        self.ids.insert(key, id);
        self.all.insert(id, Known { service: Arc::new(service), gone: None });
        id
    }

    /// A service; the unknown one for an id that was never given out, or is forgotten.
    pub(super) fn get(&self, id: ServiceId) -> &Arc<Service> {
        self.all.get(&id).map_or(&self.unknown, |known| &known.service)
    }

    /// A service is no more: nothing new will be told of it, unless it is interned again.
    pub(super) fn gone(&mut self, id: ServiceId, now: Nanos) {
        if id != ServiceId::UNKNOWN
            && let Some(known) = self.all.get_mut(&id)
        {
            known.gone.get_or_insert(now);
        }
    }

    /// Those that have been gone since `before`, or longer.
    pub(super) fn gone_since(&self, before: Nanos) -> HashSet<ServiceId> {
        let gone = self.all.iter().filter(|(_, known)| known.gone.is_some_and(|since| since <= before));
        gone.map(|(id, _)| *id).collect()
    }

    /// Forgets those of `gone` that are not `in_use`.
    pub(super) fn forget(&mut self, gone: &HashSet<ServiceId>, in_use: impl Fn(ServiceId) -> bool) {
        for id in gone.iter().filter(|id| !in_use(**id)) {
            if let Some(known) = self.all.remove(id) {
                self.ids.remove(&(Arc::clone(&known.service.name), known.service.identifying.clone()));
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    pub(super) const fn refused(&self) -> u64 {
        self.refused
    }
}

/// The beginning of `text`, at most `limit` bytes and whole characters.
pub(super) fn cut(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, pod: &str) -> Service {
        Service { identifying: vec![(semconv::K8S_POD_NAME, pod.into())], ..Service::named(name) }
    }

    #[test]
    fn services_become_stable_ids_up_to_the_limit() {
        let mut services = Services::new(4);
        let cart = services.intern(Service::named("cart"));
        let shop = services.intern(Service::named("shop"));
        let other = services.intern(pod("cart", "cart-1"));
        assert!(cart != shop && cart != other);
        assert_eq!(services.intern(Service::named("cart")), cart);
        assert_eq!(services.intern(Service::named("")), ServiceId::UNKNOWN);
        assert_eq!(services.intern(Service::named(UNKNOWN_SERVICE)), ServiceId::UNKNOWN);
        assert_eq!(services.intern(Service::named("late")), ServiceId::UNKNOWN);
        assert_eq!(services.intern(pod("cart", "cart-1")), other);
        assert_eq!(&*services.get(shop).name, "shop");
        assert!(services.get(ServiceId(77)).is_unknown());
        assert_eq!((services.len(), services.limit(), services.refused()), (4, 4, 1));
    }

    #[test]
    fn what_a_service_is_described_by_may_change() {
        let mut services = Services::new(9);
        let described = |version: &str| Service {
            descriptive: vec![(semconv::SERVICE_VERSION, version.into())],
            ..pod("cart", "cart-1")
        };
        let id = services.intern(described("1"));
        assert_eq!(services.intern(described("2")), id);
        assert_eq!(services.get(id).get(semconv::SERVICE_VERSION).map(|version| &**version), Some("2"));
    }

    #[test]
    fn what_has_gone_and_is_not_referred_to_makes_room_and_no_id_comes_twice() {
        let mut services = Services::new(3);
        let [first, second] = ["1", "2"].map(|name| services.intern(pod("cart", name)));
        services.gone(first, Nanos(10));
        services.gone(second, Nanos(20));
        services.gone(ServiceId::UNKNOWN, Nanos(10));
        assert_eq!(services.gone_since(Nanos(9)), HashSet::new());
        let gone = services.gone_since(Nanos(20));
        assert_eq!(gone, HashSet::from_iter([first, second]));
        services.forget(&gone, |id| id == second);
        assert!(services.get(first).is_unknown());
        assert_eq!(services.get(second).get(semconv::K8S_POD_NAME).map(|name| &**name), Some("2"));
        let third = services.intern(pod("cart", "1"));
        assert!(third != first && third != ServiceId::UNKNOWN);
        assert_eq!(services.intern(pod("cart", "2")), second, "it has come back");
        assert_eq!(services.gone_since(Nanos(99)), HashSet::new());
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let mut services = Services::new(9);
        let long = "é".repeat(MAX_SERVICE_NAME);
        let id = services.intern(Service::named(&format!("x{long}")));
        assert_eq!(services.get(id).name.len(), MAX_SERVICE_NAME - 1);
        assert_eq!(services.intern(Service::named(&format!("x{long}y"))), id);
    }
}
