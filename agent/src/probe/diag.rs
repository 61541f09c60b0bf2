//! The sockets that are older than the agent: one pass of socket diagnostics (sock_diag(7)) at start.
//!
//! Every network namespace that a process lives in is asked for its TCP sockets. A socket's cookie is the one that
//! `bpf_get_socket_cookie` gives the programs, for asking makes the kernel assign it (`sock_gen_cookie`,
//! include/linux/sock_diag.h). An ordinary user sees its own network namespace, and the owners of its own sockets.
//!
//! Not seen are sockets that a process took along into another namespace, where no other process lives in the one
//! they were made in.

mod listeners;
mod netlink;
mod proc;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, thread, time::Duration};

pub use listeners::Listeners;

use crate::{identity::host::monotonic_now, time::Nanos};

/// Socket states (include/net/tcp_states.h).
pub mod state {
    /// Both ends agreed.
    pub const ESTABLISHED: u8 = 1;
    /// Waits for connections; has no peer.
    pub const LISTEN: u8 = 10;
}

/// A TCP socket that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Existing {
    /// The socket's cookie.
    pub cookie: u64,
    /// Local address; that of an IPv6 socket stays one, IPv4-mapped where it talks IPv4.
    pub local: SocketAddr,
    /// Peer's address, likewise; of a listening socket all zero.
    pub peer: SocketAddr,
    /// As in [`state`].
    pub state: u8,
    /// Inode of the socket's file; 0: it has none (not accepted yet, or closed by its owner).
    pub inode: u32,
    /// Id of its cgroup (`INET_DIAG_CGROUP_ID`, Linux 5.8); 0: the kernel does not tell.
    pub cgroup: u64,
    /// A process that has it open, the lowest id where there are several but not that of init while there is
    /// another (it holds the sockets it starts services by); 0: not known.
    pub pid: u32,
    /// Inode of its network namespace.
    pub namespace: u64,
    /// A listening IPv6 socket that takes no IPv4 connections.
    pub ipv6_only: bool,
}

/// How far a pass goes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Sockets told of.
    pub sockets: usize,
    /// Network namespaces visited.
    pub namespaces: usize,
    /// Time for all of it. What is not done by then is left, and reported.
    pub time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { sockets: 262_144, namespaces: 4096, time: Duration::from_secs(5) }
    }
}

/// What a pass found, and what it could not.
#[derive(Debug, Default)]
pub struct Pass {
    /// Connections and listening sockets of all namespaces visited.
    pub sockets: Vec<Existing>,
    /// Where connections are accepted, from `sockets`.
    pub listeners: Listeners,
    /// Namespaces visited.
    pub namespaces: usize,
    /// What was not seen, and why.
    pub failures: Vec<Failure>,
}

/// A part of the pass that did not succeed. All else of it did.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The kernel does not tell of a family's TCP sockets (`NotFound`: it lacks `tcp_diag`), or stopped doing so.
    #[error("cannot list the {family} TCP sockets of {count} network namespaces")]
    List {
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// In how many namespaces.
        count: usize,
        /// What the kernel said of the first.
        source: io::Error,
    },
    /// Network namespaces other than the agent's stayed closed: it takes `CAP_SYS_ADMIN` to enter them.
    #[error("cannot enter {count} network namespaces")]
    Enter {
        /// How many.
        count: usize,
        /// What the kernel said of the first.
        source: io::Error,
    },
    /// No thread could be had to visit other namespaces.
    #[error("cannot visit {count} network namespaces: no thread")]
    Thread {
        /// How many.
        count: usize,
        /// What the kernel said.
        source: io::Error,
    },
    /// The processes are not to be seen.
    #[error("cannot list processes")]
    Processes(#[source] io::Error),
    /// Other users' processes: it takes `CAP_SYS_PTRACE` to look into them.
    #[error("cannot see the {what} of {count} processes")]
    Hidden {
        /// `network namespaces` or `open files`.
        what: &'static str,
        /// How many.
        count: usize,
    },
    /// A limit of [`Bounds`] was met.
    #[error("stopped after {limit} {what}")]
    Bound {
        /// What there was too much of.
        what: &'static str,
        /// Its limit.
        limit: usize,
    },
    /// [`Bounds::time`] was over.
    #[error("out of time while looking for {0}")]
    Time(&'static str),
}

/// Looks at all sockets once. Takes as long as there are sockets and descriptors, at most [`Bounds::time`] and a
/// little; every thread of the agent stays in its own namespace.
#[must_use]
pub fn pass(bounds: &Bounds) -> Pass {
    let mut pass = Pass::default();
    let deadline = monotonic_now().plus(bounds.time);
    let own = proc::own_namespace();
    pass.visit(own, bounds, deadline);
    let mut others = proc::other_namespaces(own, deadline, &mut pass.failures);
    if others.len() >= bounds.namespaces.max(1) {
        others.truncate(bounds.namespaces.saturating_sub(1));
        pass.failures.push(Failure::Bound { what: "network namespaces", limit: bounds.namespaces });
    }
    if !others.is_empty() {
        pass.visit_others(&others, bounds, deadline);
    }
    proc::find_owners(&mut pass.sockets, deadline, &mut pass.failures);
    pass.listeners = Listeners::of(&pass.sockets);
    pass
}

impl Pass {
    /// Lists the sockets of the namespace that the calling thread is in.
    fn visit(&mut self, namespace: u64, bounds: &Bounds, deadline: Nanos) {
        self.namespaces += 1;
        for family in [netlink::Family::Ipv4, netlink::Family::Ipv6] {
            let mut list = netlink::List { namespace, limit: bounds.sockets, sockets: &mut self.sockets };
            let listed = list.read_all(family, deadline);
            match listed {
                Ok(()) => {}
                Err(netlink::Error::Full) => self.fail(Failure::Bound { what: "sockets", limit: bounds.sockets }),
                Err(netlink::Error::Late) => self.fail(Failure::Time("sockets")),
                Err(netlink::Error::Io(source)) => {
                    self.fail(Failure::List { family: family.name(), count: 1, source });
                }
            }
        }
    }

    /// Adds a failure of one namespace to what failed before: what fails in one mostly fails in all.
    fn fail(&mut self, failure: Failure) {
        for known in &mut self.failures {
            match (known, &failure) {
                (Failure::List { family, count, .. }, Failure::List { family: same, .. }) if family == same => {
                    *count += 1;
                    return;
                }
                (Failure::Bound { what, .. }, Failure::Bound { what: same, .. }) if what == same => return,
                (Failure::Time(what), Failure::Time(same)) if what == same => return,
                _ => {}
            }
        }
        self.failures.push(failure);
    }

    /// Visits other namespaces, from a thread that ends with the visit.
    fn visit_others(&mut self, others: &[proc::Namespace], bounds: &Bounds, deadline: Nanos) {
        let spawned = thread::scope(|scope| {
            let visitor = thread::Builder::new().name("redtap-diag".into());
            let visit = || self.enter_each(others, bounds, deadline);
            visitor.spawn_scoped(scope, visit).map(drop)
        });
        if let Err(source) = spawned {
            self.failures.push(Failure::Thread { count: others.len(), source });
        }
    }

    fn enter_each(&mut self, others: &[proc::Namespace], bounds: &Bounds, deadline: Nanos) {
        let mut closed = 0;
        let mut first_error = None;
        for namespace in others {
            match namespace.enter() {
                Ok(true) => self.visit(namespace.inode, bounds, deadline),
                Ok(false) => {}
                Err(error) => {
                    closed += 1;
                    first_error.get_or_insert(error);
                }
            }
        }
        self.failures.extend(first_error.map(|source| Failure::Enter { count: closed, source }));
    }
}
