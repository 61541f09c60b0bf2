//! The synchronous part in one piece: records in, exchanges out. Pure but for the identities' source: it runs the
//! same on a live host and over a recorded file.

use std::sync::Arc;

use redtap_ebpf::Hint;

use crate::{
    decode::{self, Event},
    exchange::{Exchange, StreamEnd},
    export::print::Printer,
    flow::{Delivery, Table},
    identity::{Identities, ServiceId},
    red,
    time::{Nanos, WallOffset},
};

/// Records by kind, in the order of their label values.
const KINDS: [&str; 5] = ["segment", "opened", "closed", "exec", "exit"];

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

/// Everything behind the flow table.
pub struct Sinks {
    /// Names of processes.
    pub identities: Identities,
    /// Metrics.
    pub registry: red::Registry,
    /// Changes to tell the kernel; the owner takes them.
    pub hints: Vec<HintChange>,
    /// What was printed; the owner takes it.
    pub lines: Lines,
    printer: Option<Printer>,
    wall: WallOffset,
    /// The agent's own process, whose exchanges are left out; 0: none are.
    own_pid: u32,
    now: Nanos,
}

/// How the pipeline is set up.
pub struct Options {
    /// The flow table.
    pub table: Table,
    /// Names of processes.
    pub identities: Identities,
    /// Metrics.
    pub registry: red::Registry,
    /// Prints each exchange.
    pub printer: Option<Printer>,
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
    pub fn new(options: Options) -> Self {
        Self {
            table: options.table,
            sinks: Sinks {
                identities: options.identities,
                registry: options.registry,
                hints: Vec::new(),
                lines: Lines::default(),
                printer: options.printer,
                wall: options.wall,
                own_pid: options.own_pid,
                now: Nanos(0),
            },
            kinds: [0; KINDS.len()],
            malformed: 0,
        }
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
            Err(_) => self.malformed += 1,
        }
    }

    /// Tells what has waited long enough; several times a second.
    pub fn sweep(&mut self, now: Nanos) {
        self.sinks.now = now;
        self.table.sweep(now, &mut self.sinks);
    }

    /// The slower part of it; about once a second.
    pub fn expire(&mut self, now: Nanos) {
        self.sinks.now = now;
        self.sinks.identities.sweep(now);
        self.table.expire(now, &mut self.sinks);
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

    /// A copy of all metrics.
    #[must_use]
    pub fn snapshot(&self) -> red::Snapshot {
        let identities = &self.sinks.identities;
        self.sinks.registry.snapshot(|service: ServiceId| -> Arc<str> { identities.name_arc(service) })
    }
}

impl Sinks {
    /// The wall clock may have been set.
    pub const fn set_wall(&mut self, wall: WallOffset) {
        self.wall = wall;
    }

    fn service(&mut self, pid: u32, comm: &[u8; 16]) -> ServiceId {
        self.identities.service_of(pid, comm, self.now)
    }
}

impl Delivery for Sinks {
    fn exchange(&mut self, exchange: &Exchange, comm: &[u8; 16]) {
        if self.own_pid != 0 && exchange.pid == self.own_pid {
            return;
        }
        let service = self.service(exchange.pid, comm);
        self.registry.record(exchange, service);
        if let Some(printer) = &mut self.printer {
            let name = if service == ServiceId::UNKNOWN { "" } else { self.identities.name(service) };
            // Writing to memory does not fail.
            let _ = printer.exchange(exchange, name, self.wall, &mut self.lines.bytes);
            self.lines.count += 1;
        }
    }

    fn stream_opened(&mut self, stream: &StreamEnd, comm: &[u8; 16]) {
        let service = self.service(stream.pid, comm);
        self.registry.stream_opened(stream.kind, stream.role, service);
    }

    fn stream_closed(&mut self, stream: &StreamEnd, comm: &[u8; 16]) {
        let service = self.service(stream.pid, comm);
        self.registry.stream_closed(stream, service);
        if let Some(printer) = &mut self.printer {
            let name = if service == ServiceId::UNKNOWN { "" } else { self.identities.name(service) };
            // Writing to memory does not fail.
            let _ = printer.stream(stream, name, self.wall, &mut self.lines.bytes);
            self.lines.count += 1;
        }
    }

    fn hint(&mut self, cookie: u64, hint: Hint, first: bool) {
        self.hints.push(HintChange::Set(cookie, hint, first));
    }

    fn forget_hint(&mut self, cookie: u64) {
        self.hints.push(HintChange::Forget(cookie));
    }
}
