//! TLS handshakes: how many, how long, and how long the certificates last that they show.

use std::{fmt, sync::Arc};

use hashbrown::{Equivalent, HashSet};

use super::{measure::observe, peer::LONGEST_NAME, text::cut};
use crate::{
    exchange::Role,
    identity::ServiceId,
    protocol::tls::{Certificates, Handshake, Outcome, alert_name},
    red::{Histogram, Merge, PART},
    series::{Budget, Series, Table},
    time::{Nanos, WallOffset},
};

/// Longest subject or issuer of a certificate that becomes a label, in bytes; a longer one keeps its beginning.
const LONGEST_SUBJECT: usize = 256;

/// Longest name of an application protocol that becomes a label; the registered ones are far shorter.
const LONGEST_PROTOCOL: usize = 32;

/// The labels of a series of handshakes other than its service and role; `T` is text, owned or borrowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsLabels<T> {
    /// `server.address`: the name that the client asked for, else the one that is known.
    pub server: Option<T>,
    /// `tls.protocol.version`, as on the wire.
    pub version: Option<u16>,
    /// `tls.cipher`, as on the wire.
    pub cipher: Option<u16>,
    /// `tls.curve`, as on the wire.
    pub group: Option<u16>,
    /// `tls.next_protocol`
    pub protocol: Option<T>,
    /// `tls.resumed`
    pub resumed: Option<bool>,
    /// `error.type`
    pub error: Option<TlsError>,
}

/// How a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsError {
    /// With an alert; `None`: it was encrypted.
    Alert(Option<u8>),
    /// Its connection ended.
    Abandoned,
}

/// The labels of a series of durations other than its service and role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VersionLabels {
    /// `tls.protocol.version`, as on the wire.
    pub version: Option<u16>,
}

/// The labels of a certificate other than its service and role; `T` is text, owned or borrowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateLabels<T> {
    /// `server.address`
    pub server: Option<T>,
    /// It is the client's rather than the server's.
    pub of_client: bool,
    /// `tls.server.subject` or `tls.client.subject`
    pub subject: T,
    /// `tls.server.issuer` or `tls.client.issuer`
    pub issuer: T,
}

/// The end of a certificate's validity, seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotAfter(pub i64);

/// A count of handshakes.
pub type TlsSeries = Series<TlsLabels<Arc<str>>, u64>;

/// Durations of handshakes.
pub type TlsDurations = Series<VersionLabels, Histogram<16>>;

/// The certificate seen last under its labels.
pub type CertificateSeries = Series<CertificateLabels<Arc<str>>, NotAfter>;

/// All series of handshakes.
#[derive(Debug)]
pub struct Tls {
    handshakes: Table<TlsLabels<Arc<str>>, u64>,
    durations: Table<VersionLabels, Histogram<16>>,
    certificates: Table<CertificateLabels<Arc<str>>, NotAfter>,
    unobserved: u64,
}

impl Equivalent<TlsLabels<Arc<str>>> for TlsLabels<&str> {
    fn equivalent(&self, owned: &TlsLabels<Arc<str>>) -> bool {
        let Self { server, version, cipher, group, protocol, resumed, error } = self;
        *server == owned.server.as_deref()
            && (*version, *cipher, *group) == (owned.version, owned.cipher, owned.group)
            && *protocol == owned.protocol.as_deref()
            && (*resumed, *error) == (owned.resumed, owned.error)
    }
}

impl Equivalent<CertificateLabels<Arc<str>>> for CertificateLabels<&str> {
    fn equivalent(&self, owned: &CertificateLabels<Arc<str>>) -> bool {
        self.server == owned.server.as_deref()
            && self.of_client == owned.of_client
            && (self.subject, self.issuer) == (&*owned.subject, &*owned.issuer)
    }
}

impl Tls {
    /// No series yet; each of the three kinds has the budget to itself.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        Self {
            handshakes: Table::new(budget),
            durations: Table::new(budget),
            certificates: Table::new(budget),
            unobserved: 0,
        }
    }

    /// Takes a handshake in. One that passed in part unseen is only counted. `server` is the name of the server, where the
    /// client asked for none.
    pub fn record(&mut self, service: ServiceId, role: Role, server: Option<&str>, handshake: &Handshake) {
        let server = handshake.server_name.as_deref().or(server).map(|name| cut(name, LONGEST_NAME));
        self.certify(service, role, server, false, &handshake.server_certificates);
        self.certify(service, role, server, true, &handshake.client_certificates);
        let error = match handshake.outcome {
            Outcome::Established => None,
            Outcome::Alert { description, .. } => Some(TlsError::Alert(description)),
            Outcome::Abandoned => Some(TlsError::Abandoned),
            Outcome::Unobserved => {
                self.unobserved += 1;
                return;
            }
        };
        let labels = TlsLabels {
            server,
            version: handshake.version,
            cipher: handshake.cipher,
            group: handshake.group,
            protocol: handshake.protocol.as_deref().map(|protocol| cut(protocol, LONGEST_PROTOCOL)),
            resumed: handshake.resumed,
            error,
        };
        let place = self.handshakes.place(service, role, &labels, || labels.clone().into_owned());
        if let Some(count) = self.handshakes.get_mut(place) {
            *count += 1;
        }
        let Some(duration) = handshake.duration else { return };
        let labels = VersionLabels { version: handshake.version };
        let place = self.durations.place(service, role, &labels, || labels);
        if let Some(histogram) = self.durations.get_mut(place) {
            observe(histogram, &PART, duration);
        }
    }

    /// The certificate of the end itself; that of an authority is not its concern.
    fn certify(
        &mut self,
        service: ServiceId,
        role: Role,
        server: Option<&str>,
        of_client: bool,
        certificates: &Certificates,
    ) {
        let Certificates::Shown(chain) = certificates else { return };
        let Some(certificate) = chain.first() else { return };
        let labels = CertificateLabels {
            server,
            of_client,
            subject: cut(&certificate.subject, LONGEST_SUBJECT),
            issuer: cut(&certificate.issuer, LONGEST_SUBJECT),
        };
        let place = self.certificates.admitted(service, role, &labels, || labels.clone().into_owned());
        if let Some(not_after) = place.and_then(|place| self.certificates.get_mut(place)) {
            *not_after = NotAfter(certificate.not_after);
        }
    }

    /// The present; series silent since `silent_since` go.
    pub fn tick(&mut self, now: Nanos, wall: WallOffset, silent_since: Option<Nanos>) {
        self.handshakes.tick(now, wall);
        self.durations.tick(now, wall);
        self.certificates.tick(now, wall);
        if let Some(before) = silent_since {
            self.handshakes.expire(before, |_| false);
            self.durations.expire(before, |_| false);
            self.certificates.expire(before, |_| false);
        }
    }

    /// Series of services of `gone` go of which nothing was told since `before`.
    pub fn expire_of(&mut self, before: Nanos, gone: &HashSet<ServiceId>) {
        self.handshakes.expire_of(before, gone, |_| false);
        self.durations.expire_of(before, gone, |_| false);
        self.certificates.expire_of(before, gone, |_| false);
    }

    /// Counts of handshakes.
    pub fn handshakes(&self) -> impl Iterator<Item = &TlsSeries> {
        self.handshakes.all()
    }

    /// Durations of handshakes.
    pub fn durations(&self) -> impl Iterator<Item = &TlsDurations> {
        self.durations.all()
    }

    /// Certificates.
    pub fn certificates(&self) -> impl Iterator<Item = &CertificateSeries> {
        self.certificates.all()
    }

    /// Handshakes that passed in part unseen.
    #[must_use]
    pub const fn unobserved(&self) -> u64 {
        self.unobserved
    }

    /// Series of the three kinds together, those of overflow apart; their limit; how often it refused.
    #[must_use]
    pub fn usage(&self) -> (usize, usize, u64) {
        let Self { handshakes, durations, certificates, .. } = self;
        (
            handshakes.entries() + durations.entries() + certificates.entries(),
            handshakes.limit() + durations.limit() + certificates.limit(),
            handshakes.overflowed() + durations.overflowed() + certificates.overflowed(),
        )
    }
}

impl TlsLabels<&str> {
    fn into_owned(self) -> TlsLabels<Arc<str>> {
        let Self { server, version, cipher, group, protocol, resumed, error } = self;
        TlsLabels {
            server: server.map(Arc::from),
            version,
            cipher,
            group,
            protocol: protocol.map(Arc::from),
            resumed,
            error,
        }
    }
}

impl CertificateLabels<&str> {
    fn into_owned(self) -> CertificateLabels<Arc<str>> {
        CertificateLabels {
            server: self.server.map(Arc::from),
            of_client: self.of_client,
            subject: self.subject.into(),
            issuer: self.issuer.into(),
        }
    }
}

impl fmt::Display for TlsError {
    /// The value of `error.type`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Abandoned => formatter.write_str("abandoned"),
            Self::Alert(None) => formatter.write_str("alert_encrypted"),
            Self::Alert(Some(description)) => match alert_name(*description) {
                Some(name) => write!(formatter, "alert_{name}"),
                None => write!(formatter, "alert_{description}"),
            },
        }
    }
}

impl Merge for NotAfter {
    /// The one that ends first.
    fn merge(&mut self, other: &Self) {
        *self = Self(self.0.min(other.0));
    }
}
