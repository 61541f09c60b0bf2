//! Two hosts on a wire: network namespaces with a virtual Ethernet between them, and a packet filter in each.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::namespace::Namespace;
use crate::process::Place;

/// Which kind of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Both kinds.
pub const VERSIONS: [Version; 2] = [Version::V4, Version::V6];

/// What becomes of the segments from and to a port that arrive at a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They vanish.
    Drop,
    /// ICMP: host unreachable.
    HostUnreachable,
    /// ICMP: port unreachable.
    PortUnreachable,
}

impl Verdict {
    const ALL: [Self; 3] = [Self::Drop, Self::HostUnreachable, Self::PortUnreachable];

    const fn set(self) -> &'static str {
        match self {
            Self::Drop => "dropped",
            Self::HostUnreachable => "away",
            Self::PortUnreachable => "shut",
        }
    }

    const fn statement(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::HostUnreachable => "reject with icmpx type host-unreachable",
            Self::PortUnreachable => "reject with icmpx type port-unreachable",
        }
    }
}

/// A host of the pair.
pub struct Host {
    /// Its namespace.
    pub namespace: Namespace,
    last_byte: u8,
}

/// Both.
pub struct Hosts {
    /// The one that connects.
    pub client: Host,
    /// The one that is connected to.
    pub server: Host,
}

impl Hosts {
    /// Makes them; `purpose` is part of their names.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn new(purpose: &str) -> Self {
        let client = Namespace::new(&format!("{purpose}-client"));
        let server = Namespace::new(&format!("{purpose}-server"));
        let Place::Namespace(other) = server.place() else { panic!("a namespace without a name") };
        client.run(&["ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", &other]);
        let hosts = Self { client: Host::new(client, 1), server: Host::new(server, 2) };
        // Nobody has to find the other first.
        hosts.client.knows(&hosts.server);
        hosts.server.knows(&hosts.client);
        hosts
    }
}

impl Host {
    fn new(namespace: Namespace, last_byte: u8) -> Self {
        let host = Self { namespace, last_byte };
        let run = |arguments: &[&str]| host.namespace.run(arguments);
        run(&["ip", "link", "set", "wire", "address", &host.link_address()]);
        run(&["ip", "address", "add", &format!("{}/24", host.address(Version::V4)), "dev", "wire"]);
        run(&["ip", "address", "add", &format!("{}/64", host.address(Version::V6)), "dev", "wire", "nodad"]);
        run(&["ip", "link", "set", "wire", "up"]);
        let mut table = "table inet hosts {\n".to_owned();
        for verdict in Verdict::ALL {
            table += &format!("set {} {{\ntype inet_service\n}}\n", verdict.set());
        }
        table += "chain in {\ntype filter hook input priority 0\n";
        for verdict in Verdict::ALL {
            for end in ["sport", "dport"] {
                table += &format!("tcp {end} @{} {}\n", verdict.set(), verdict.statement());
            }
        }
        run(&["nft", &(table + "}\n}\n")]);
        host
    }

    fn link_address(&self) -> String {
        format!("02:00:00:00:00:{:02x}", self.last_byte)
    }

    fn knows(&self, other: &Self) {
        for version in VERSIONS {
            let (address, link) = (other.address(version).to_string(), other.link_address());
            self.namespace.run(&["ip", "neighbour", "add", &address, "lladdr", &link, "dev", "wire"]);
        }
    }

    /// Its address on the wire.
    #[must_use]
    pub fn address(&self, version: Version) -> IpAddr {
        match version {
            Version::V4 => Ipv4Addr::new(10, 77, 0, self.last_byte).into(),
            Version::V6 => Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, self.last_byte.into()).into(),
        }
    }

    /// That address with a port.
    #[must_use]
    pub fn at(&self, version: Version, port: u16) -> SocketAddr {
        SocketAddr::new(self.address(version), port)
    }

    /// Does something there: sockets that are made meanwhile belong to it for ever.
    ///
    /// # Panics
    /// When `act` does, or its namespace is gone.
    pub fn enter<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        self.namespace.enter(act)
    }

    /// Sets a `net.` parameter, given with slashes.
    ///
    /// # Panics
    /// When the kernel refuses it.
    pub fn set(&self, parameter: &str, value: &str) {
        self.namespace.set(parameter, value);
    }

    /// Whether the kernel knows such a parameter.
    #[must_use]
    pub fn has(&self, parameter: &str) -> bool {
        self.enter(|| std::fs::exists(format!("/proc/sys/net/{parameter}")).is_ok_and(|there| there))
    }

    /// From now on, segments from and to `port` that arrive meet with this.
    pub fn deny(&self, verdict: Verdict, port: u16) {
        let element = format!("add element inet hosts {} {{ {port} }}\n", verdict.set());
        self.namespace.run(&["nft", &element]);
    }

    /// They no longer do.
    pub fn allow(&self, verdict: Verdict, port: u16) {
        let element = format!("delete element inet hosts {} {{ {port} }}\n", verdict.set());
        self.namespace.run(&["nft", &element]);
    }

    /// Adds a rule to those for what arrives; it comes after those of [`Host::deny`].
    pub fn filter(&self, rule: &str) {
        self.namespace.run(&["nft", &format!("add rule inet hosts in {rule}\n")]);
    }

    /// Removes every rule for what arrives.
    pub fn clear(&self) {
        self.namespace.run(&["nft", "flush chain inet hosts in\n"]);
    }
}
