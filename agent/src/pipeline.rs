//! The synchronous part in one piece: records in, exchanges out. Pure but for the identities' source: it runs the
//! same on a live host and over a recorded file.

use std::sync::Arc;

use redtap_ebpf::{Hint, Totals, UdpCounts, UdpKey};

use crate::{
    decode::{self, Event},
    export::print::Printer,
    flow::Table,
    identity::{Identities, ServiceId},
    net::{self, Want},
    red,
    route::Routes,
    sinks::Sinks,
    time::{Nanos, WallOffset},
    trace::Spans,
};

/// Records by kind, in the order of their label values.
const KINDS: [&str; 8] = ["segment", "opened", "closed", "exec", "exit", "datagram", "owner", "cgroup"];

/// What the kernel is to be told of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintChange {
    /// Tell it this; `true` if it was told nothing of this flow before.
    Set(u64, Hint, bool),
    /// It need not know of this flow any more.
    Forget(u64),
}

/// Lines printed since they were last taken, and how many there are.
#[derive(Debug, Default)]
pub struct Lines {
    /// The lines.
    pub bytes: Vec<u8>,
    /// How many.
    pub count: u64,
}

/// How the pipeline is set up.
pub struct Options {
    /// Names of processes.
    pub identities: Identities,
    /// Metrics of requests.
    pub registry: red::Registry,
    /// Metrics of connections.
    pub net: net::Registry,
    /// Names of addresses at most.
    pub names: usize,
    /// Templates of paths.
    pub routes: Routes,
    /// Prints each exchange.
    pub printer: Option<Printer>,
    /// Which exchanges become spans.
    pub tracing: Spans,
    /// The wall clock's distance from the records' clock.
    pub wall: WallOffset,
    /// Process whose exchanges are left out; 0: none.
    pub own_pid: u32,
}

/// Records in, exchanges out.
pub struct Pipeline {
    /// Connections.
    pub table: Table,
    /// What is behind them.
    pub sinks: Sinks,
    kinds: [u64; KINDS.len()],
    malformed: u64,
}

impl Pipeline {
    /// A pipeline with nothing in it.
    #[must_use]
    pub fn new(options: Options, table: Table) -> Self {
        Self { table, sinks: Sinks::new(options), kinds: [0; KINDS.len()], malformed: 0 }
    }

    /// Takes one record.
    pub fn record(&mut self, bytes: &[u8]) {
        let sinks = &mut self.sinks;
        match decode::decode(bytes) {
            Ok(Event::Segment(header, payload)) => {
                self.kinds[0] += 1;
                sinks.now = Nanos(header.time);
                self.table.segment(&header, payload, sinks);
            }
            Ok(Event::Opened(opened)) => {
                self.kinds[1] += 1;
                sinks.now = Nanos(opened.time);
                self.table.opened(&opened, sinks);
            }
            Ok(Event::Closed(closed)) => {
                self.kinds[2] += 1;
                sinks.now = Nanos(closed.time);
                self.table.closed(&closed, sinks);
            }
            Ok(Event::Exec(exec)) => {
                self.kinds[3] += 1;
                sinks.identities.exec(&exec);
            }
            Ok(Event::Exit(exit)) => {
                self.kinds[4] += 1;
                sinks.identities.exit(&exit);
            }
            Ok(Event::Datagram(datagram, payload)) => {
                self.kinds[5] += 1;
                sinks.now = Nanos(datagram.time);
                sinks.datagram(&datagram, payload);
            }
            Ok(Event::Owner(owner)) => {
                self.kinds[6] += 1;
                sinks.owners.learn(owner.cookie, owner.pid, Nanos(owner.time));
            }
            Ok(Event::Cgroup(cgroup)) => {
                self.kinds[7] += 1;
                match cgroup.is_removed {
                    true => sinks.identities.cgroup_removed(cgroup.id, cgroup.time),
                    false => sinks.identities.cgroup_made(cgroup.id, cgroup.path, cgroup.time),
                }
            }
            Err(_) => self.malformed += 1,
        }
    }

    /// Tells what has waited long enough; several times a second.
    pub fn sweep(&mut self, now: Nanos) {
        self.sinks.now = now;
        self.table.sweep(now, &mut self.sinks);
        self.sinks.settle(self.table.ends());
    }

    /// The slower part of it; about once a second.
    pub fn expire(&mut self, now: Nanos) {
        self.sinks.now = now;
        self.sinks.identities.sweep(now);
        self.sinks.owners.sweep(now);
        self.sinks.expire_lookups(now);
        self.table.expire(now, &mut self.sinks);
    }

    /// What the kernel says that a connection has carried, of which no record tells.
    pub fn live(&mut self, cookie: u64, totals: &Totals, now: Nanos) -> bool {
        self.table.live(cookie, totals, now)
    }

    /// Datagrams that passed between a socket and a peer since the last time.
    pub fn datagrams(&mut self, key: &UdpKey, counts: &UdpCounts) {
        self.sinks.datagrams(key, counts);
    }

    /// Tells what connections have carried until now.
    pub fn tell_progress(&mut self, now: Nanos) {
        self.sinks.now = now;
        self.table.tell_progress(&mut self.sinks);
    }

    /// The end: what is finished and waits is told.
    pub fn stop(&mut self) {
        self.table.stop(&mut self.sinks);
    }

    /// Records taken, by kind.
    #[must_use]
    pub fn kinds(&self) -> Vec<(&'static str, u64)> {
        KINDS.into_iter().zip(self.kinds).collect()
    }

    /// Records that could not be read.
    #[must_use]
    pub const fn malformed(&self) -> u64 {
        self.malformed
    }

    /// A copy of all metrics: of requests, and of connections as far as they are wanted.
    #[must_use]
    pub fn snapshot(&self, want: Want) -> (red::Snapshot, net::Snapshot) {
        let known = |service: ServiceId| Arc::clone(self.sinks.identities.service(service));
        let mut red = self.sinks.registry.snapshot(known);
        red.routes = self.sinks.routes.all().to_vec();
        (red, self.sinks.net.snapshot(known, want))
    }
}
