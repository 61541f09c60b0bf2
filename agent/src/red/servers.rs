//! The servers that clients of this host talk to, interned: a bounded table from authority to a small id.

use std::{net::SocketAddr, sync::Arc};

use hashbrown::{Equivalent, HashMap};

use super::authority::Authority;

/// The longest authority that is remembered as it was sent: that of a long host with its port. What is in front of an `@` may be
/// as long as a head.
const LONGEST: usize = 264;

/// A server's index in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServerId(pub(super) u32);

/// What `server.address` and `server.port` say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// Host in lower case, or an IP address without brackets.
    pub address: Arc<str>,
    /// Port.
    pub port: u16,
}

/// The table has its limit of servers and this is none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The table. Nothing leaves it: a server that comes when it is full is refused.
#[derive(Debug)]
pub struct Servers {
    limit: usize,
    all: Vec<Server>,
    by_name: HashMap<Server, ServerId>,
    by_peer: HashMap<SocketAddr, ServerId>,
    /// What was taken apart before, as it was sent; no more of them than servers may be.
    by_authority: HashMap<Box<[u8]>, ServerId>,
    lower: String,
}

/// [`Server`] borrowed; hashes alike.
#[derive(Hash)]
struct Named<'a> {
    address: &'a str,
    port: u16,
}

impl Equivalent<Server> for Named<'_> {
    fn equivalent(&self, server: &Server) -> bool {
        *self.address == *server.address && self.port == server.port
    }
}

impl Servers {
    /// An empty table of at most `limit` servers.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            all: Vec::new(),
            by_name: HashMap::new(),
            by_peer: HashMap::new(),
            by_authority: HashMap::new(),
            lower: String::new(),
        }
    }

    /// The server of `authority` (as sent) or, if that names none, of the socket's `peer`. `Ok(None)` if neither
    /// is known.
    ///
    /// Does not allocate for a server it knows.
    ///
    /// # Errors
    /// [`Full`] for a server beyond the limit.
    pub fn intern(&mut self, authority: &[u8], peer: Option<SocketAddr>) -> Result<Option<ServerId>, Full> {
        if let Some(id) = self.by_authority.get(authority) {
            return Ok(Some(*id));
        }
        if let Some(parsed) = Authority::parse(authority) {
            let id = self.intern_name(parsed.host, parsed.port_or_default())?;
            if authority.len() <= LONGEST && self.by_authority.len() < self.limit {
                self.by_authority.insert(authority.into(), id);
            }
            return Ok(Some(id));
        }
        let Some(peer) = peer else { return Ok(None) };
        if let Some(id) = self.by_peer.get(&peer) {
            return Ok(Some(*id));
        }
        let id = self.intern_name(&peer.ip().to_canonical().to_string(), peer.port())?;
        self.by_peer.insert(peer, id);
        Ok(Some(id))
    }

    /// All servers; a [`ServerId`] is a place in it.
    #[must_use]
    pub fn all(&self) -> &[Server] {
        &self.all
    }

    fn intern_name(&mut self, host: &str, port: u16) -> Result<ServerId, Full> {
        let address = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.lower.clear();
            self.lower.push_str(host);
            self.lower.make_ascii_lowercase();
            self.lower.as_str()
        } else {
            host
        };
        if let Some(id) = self.by_name.get(&Named { address, port }) {
            return Ok(*id);
        }
        let id = u32::try_from(self.all.len()).map_err(|_| Full)?;
        if self.all.len() >= self.limit {
            return Err(Full);
        }
        let server = Server { address: address.into(), port };
        self.all.push(server.clone());
        self.by_name.insert(server, ServerId(id));
        Ok(ServerId(id))
    }
}

impl ServerId {
    /// This server in a copy of [`Servers::all`].
    #[must_use]
    pub fn of(self, servers: &[Server]) -> Option<&Server> {
        servers.get(usize::try_from(self.0).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_has_one_id_however_it_is_named() {
        let mut servers = Servers::new(10);
        for (authority, peer, expected) in [
            ("example", None, Some(("example", 80))),
            ("EXAMPLE:80", None, Some(("example", 80))),
            ("example:8080", Some("192.0.2.1:1"), Some(("example", 8080))),
            ("", Some("192.0.2.1:8080"), Some(("192.0.2.1", 8080))),
            ("", Some("192.0.2.1:8080"), Some(("192.0.2.1", 8080))),
            ("192.0.2.1:8080", None, Some(("192.0.2.1", 8080))),
            ("", Some("[::ffff:192.0.2.1]:8080"), Some(("192.0.2.1", 8080))),
            ("a b", Some("[::1]:80"), Some(("::1", 80))),
            ("[::1]", None, Some(("::1", 80))),
            ("", None, None),
        ] {
            let peer = peer.map(|peer| peer.parse().unwrap());
            let id = servers.intern(authority.as_bytes(), peer).unwrap();
            let server = id.map(|id| id.of(servers.all()).unwrap());
            assert_eq!(server.map(|server| (&*server.address, server.port)), expected, "{authority:?} {peer:?}");
        }
        assert_eq!(servers.all().len(), 4);
    }

    #[test]
    fn a_long_authority_is_taken_apart_each_time() {
        let mut servers = Servers::new(10);
        let long = [&[b'a'; LONGEST], &b"@example"[..]].concat();
        assert_eq!(servers.intern(&long, None), servers.intern(b"example", None));
        assert_eq!(servers.by_authority.len(), 1);
    }

    #[test]
    fn a_full_table_keeps_what_it_has() {
        let mut servers = Servers::new(1);
        let first = servers.intern(b"a", None);
        assert!(matches!(first, Ok(Some(_))));
        assert_eq!(servers.intern(b"b", None), Err(Full));
        assert_eq!(servers.intern(b"", "192.0.2.1:80".parse().ok()), Err(Full));
        assert_eq!(servers.intern(b"a", None), first);
        assert!(servers.by_peer.is_empty());
    }
}
