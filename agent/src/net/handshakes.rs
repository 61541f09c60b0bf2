//! The last TLS handshakes, whole.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use super::{edges::Ends, peer::Peer, recent::Recent};
use crate::protocol::tls::{Certificate, Certificates, Handshake};

/// Bytes that all kept handshakes may take together: a chain of certificates may have 64 KiB, a usual one has two.
pub const HANDSHAKE_BYTES: usize = 32 << 20;

/// What tells one kept handshake from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HandshakeKey {
    /// Address of the client.
    pub client: IpAddr,
    /// Address and port of the server.
    pub server: SocketAddr,
    /// The name that the client asked for.
    pub name: Option<Arc<str>>,
}

/// A handshake, and how many there were like it.
#[derive(Clone, Debug)]
pub struct Kept {
    /// A number of its own.
    pub id: u64,
    /// What is known of the client.
    pub client: Peer,
    /// What is known of the server.
    pub server: Peer,
    /// The last one.
    pub handshake: Arc<Handshake>,
    /// When it ended, in nanoseconds since 1970.
    pub at: u64,
    /// How many there were, as each end told.
    counts: [u64; 2],
    bytes: usize,
}

/// The handshakes kept.
#[derive(Debug)]
pub struct Handshakes {
    kept: Recent<HandshakeKey, Kept>,
    bytes: usize,
    ids: u64,
}

impl Handshakes {
    /// Room for `limit` handshakes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { kept: Recent::new(limit), bytes: 0, ids: 0 }
    }

    /// Keeps a handshake that ended `at` nanoseconds since 1970, in place of the last one like it.
    pub fn keep(&mut self, ends: &Ends, handshake: Handshake, at: u64) {
        let key = HandshakeKey {
            client: ends.client.ip().to_canonical(),
            server: SocketAddr::new(ends.server.ip().to_canonical(), ends.server.port()),
            name: handshake.server_name.as_deref().map(Arc::from),
        };
        let bytes = kept_bytes(&handshake);
        if self.kept.is_full_for(&key) {
            self.forget();
        }
        while self.bytes.saturating_add(bytes) > HANDSHAKE_BYTES && self.forget() {}
        let handshake = Arc::new(handshake);
        let ids = &mut self.ids;
        let kept = self.kept.see(key, || {
            *ids += 1;
            let (client, server) = (ends.client_peer, ends.server_peer);
            Kept { id: *ids, client, server, handshake: Arc::clone(&handshake), at, counts: [0; 2], bytes: 0 }
        });
        self.bytes = self.bytes - kept.bytes + bytes;
        kept.bytes = bytes;
        kept.handshake = handshake;
        kept.at = at;
        kept.client = ends.client_peer;
        kept.server = ends.server_peer;
        kept.counts[ends.role as usize] += 1;
    }

    /// The handshakes kept, the last one first.
    #[must_use]
    pub const fn kept(&self) -> &Recent<HandshakeKey, Kept> {
        &self.kept
    }

    fn forget(&mut self) -> bool {
        let evicted = self.kept.evict();
        self.bytes -= evicted.as_ref().map_or(0, |kept| kept.bytes);
        evicted.is_some()
    }
}

impl Kept {
    /// How many there were. Both ends may be observed, and each tells of the same handshakes.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.into_iter().max().unwrap_or_default()
    }
}

fn kept_bytes(handshake: &Handshake) -> usize {
    let text = |text: &Option<Box<str>>| text.as_deref().map_or(0, str::len);
    let texts = |texts: &[Box<str>]| texts.iter().map(|text| size_of::<Box<str>>() + text.len()).sum::<usize>();
    let certificate = |certificate: &Certificate| {
        let Certificate { subject, issuer, alternative_names, serial, .. } = certificate;
        size_of::<Certificate>() + subject.len() + issuer.len() + serial.len() + texts(alternative_names)
    };
    let certificates = |certificates: &Certificates| match certificates {
        Certificates::Shown(chain) => chain.iter().map(certificate).sum(),
        Certificates::None | Certificates::Encrypted => 0,
    };
    let numbers = handshake.versions_offered.len() + handshake.ciphers_offered.len();
    size_of::<Kept>()
        + size_of::<Handshake>()
        + 3 * text(&handshake.server_name)
        + texts(&handshake.protocols_offered)
        + text(&handshake.protocol)
        + text(&handshake.fingerprint)
        + numbers * size_of::<u16>()
        + certificates(&handshake.server_certificates)
        + certificates(&handshake.client_certificates)
}
