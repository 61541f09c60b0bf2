//! One end of a connection, watched: its kernel, and the table that reads what the kernel tells.

use std::{collections::VecDeque, time::Duration};

use redtap_ebpf::Hint;

use super::{Event, Kernel, Packet, Record, Told, Wire};
use crate::{
    exchange::Role,
    flow::{Limits, Table},
    protocol::Output,
    time::Nanos,
};

/// How a host watches.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The observed socket's side.
    pub role: Role,
    /// Bytes of a head that are captured.
    pub capture: u32,
    /// Segments that pass between what led to a hint and the hint's arrival in the kernel, in turns; empty: hints
    /// do not arrive.
    pub hint_delays: Vec<usize>,
}

impl Setup {
    /// The default capture, and a kernel that hears what it is told by the next segment.
    #[must_use]
    pub fn by_default(role: Role) -> Self {
        Self { role, capture: 1024, hint_delays: vec![0] }
    }

    /// Everything is captured, and the kernel is told nothing.
    #[must_use]
    pub const fn exhaustive(role: Role) -> Self {
        Self { role, capture: redtap_ebpf::MAX_CAPTURE, hint_delays: Vec::new() }
    }
}

/// When the first segment passes.
pub const BEGINNING: Nanos = Nanos(1_000_000_000);

/// From one segment to the next.
const STEP: Duration = Duration::from_nanos(1000);

/// The agent's limit on answers to wait for.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);

/// Who sent each segment that carries payload, how much of it, and when it passes.
pub fn passages(wire: &Wire) -> impl Iterator<Item = (Role, usize, Nanos)> {
    let packets = wire.events.iter().filter_map(|event| match event {
        Event::Packet(packet) => Some(packet),
        _ => None,
    });
    packets
        .scan(BEGINNING, |now, packet| {
            *now = now.plus(STEP);
            Some((packet.from, packet.bytes.len(), *now))
        })
        .filter(|(_, length, _)| *length > 0)
}

/// One end of a connection, watched.
pub struct Host {
    /// What the table has delivered.
    pub told: Told,
    /// The table.
    pub table: Table,
    /// The kernel side, once the agent is there.
    pub kernel: Option<Kernel>,
    /// The time.
    pub now: Nanos,
    complaints: Vec<String>,
    setup: Setup,
    starts: [u32; 2],
    hints: VecDeque<(usize, Hint)>,
    hints_told: usize,
    segments: usize,
    fins: [bool; 2],
    over: bool,
    /// The agent reads the rings.
    reads: bool,
}

impl Host {
    /// An end of a connection with these first sequence numbers of the client and the server.
    #[must_use]
    pub fn new(setup: Setup, starts: [u32; 2]) -> Self {
        let limits = Limits { flows: 16, request_timeout: REQUEST_TIMEOUT };
        Self {
            told: Told::default(),
            table: Table::new(limits, Output::new(true)),
            kernel: None,
            now: BEGINNING,
            complaints: Vec::new(),
            setup,
            starts,
            hints: VecDeque::new(),
            hints_told: 0,
            segments: 0,
            fins: [false; 2],
            over: false,
            reads: true,
        }
    }

    /// Watches everything that happens, and leaves the connection as it is then.
    #[must_use]
    pub fn watch(wire: &Wire, setup: Setup) -> Self {
        let mut host = Self::new(setup, wire.starts);
        let late = wire.events.iter().any(|event| matches!(event, Event::AgentStarts));
        if !late {
            host.agent_starts(true);
        }
        for event in &wire.events {
            match event {
                Event::Packet(packet) => host.passes(packet),
                Event::AgentStarts => host.agent_starts(false),
                Event::Wait(time) => host.waits(*time),
                Event::Class(class) if host.class() == Some(class) => {}
                Event::Class(class) => {
                    let counts_as = host.class();
                    host.complaints.push(format!("the connection counts as {counts_as:?}, not {class}"));
                }
            }
        }
        host
    }

    /// What the kernel tells of everything that happens, of a connection whose beginning it sees.
    #[must_use]
    pub fn records(wire: &Wire, setup: Setup) -> Vec<Record> {
        let mut host = Self::new(setup, wire.starts);
        host.reads = false;
        host.agent_starts(true);
        for event in &wire.events {
            if let Event::Packet(packet) = event {
                host.passes(packet);
            }
        }
        host.kernel.map(|kernel| kernel.records).unwrap_or_default()
    }

    /// The agent begins to watch; the connection is opened, or has been for a while.
    pub fn agent_starts(&mut self, from_start: bool) {
        let starts = from_start.then_some(self.starts);
        self.kernel = Some(Kernel::new(self.setup.role, starts, self.setup.capture));
    }

    /// A segment passes.
    pub fn passes(&mut self, packet: &Packet) {
        self.now = self.now.plus(STEP);
        self.segments += 1;
        let Some(kernel) = &mut self.kernel else { return };
        while let Some((_, hint)) = self.hints.pop_front_if(|(due, _)| *due < self.segments) {
            kernel.hint = Some(hint);
            kernel.epoch += 1;
        }
        if packet.from == self.setup.role {
            kernel.picks_up(self.now.0);
        }
        kernel.passes(packet, self.now.0);
        self.fins[usize::from(packet.from == Role::Client)] |= packet.fin;
        if !self.over && (packet.rst || self.fins == [true, true]) {
            self.over = true;
            kernel.closes(self.now.0);
        }
        if self.reads {
            self.read();
        }
    }

    /// Nothing happens for so long.
    pub fn waits(&mut self, time: Duration) {
        self.now = self.now.plus(time);
        self.table.sweep(self.now, &mut self.told);
        self.table.expire(self.now, &mut self.told);
    }

    /// The agent reads the rings.
    fn read(&mut self) {
        let Some(kernel) = &mut self.kernel else { return };
        for record in kernel.records.drain(..) {
            match record {
                Record::Opened(opened) => self.table.opened(&opened, &mut self.told),
                Record::Segment(header, bytes) => self.table.segment(&header, &bytes, &mut self.told),
                Record::Closed(closed) => self.table.closed(&closed, &mut self.told),
            }
        }
        for hint in self.told.hints.drain(..) {
            if let Some(delay) = self.setup.hint_delays.get(self.hints_told % self.setup.hint_delays.len().max(1))
            {
                let due = self.hints.back().map_or(0, |(due, _)| *due).max(self.segments + delay);
                self.hints.push_back((due, hint));
                self.hints_told += 1;
            }
        }
    }

    /// What the connection counts as now; `None` if it is over.
    #[must_use]
    pub fn class(&self) -> Option<&'static str> {
        self.table.classes().into_iter().find(|(_, count)| *count == 1).map(|(class, _)| class)
    }

    /// What was otherwise than the wire's events say, and what does not hold although it does of every conversation:
    /// see [`Told::complaints`]; and the books close.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = self.told.complaints(BEGINNING, self.now);
        complaints.extend_from_slice(&self.complaints);
        let counts = self.table.counts();
        let accounted = counts.parsed + counts.opaque + counts.early_unclaimed;
        if self.class() != Some("undecided") && counts.segments != accounted {
            complaints.push(format!("the books do not close: {counts:?}"));
        }
        if let Some(kernel) = self.kernel.as_ref().filter(|kernel| self.over && kernel.saw_it_open()) {
            let passed = [kernel.flow.rx.bytes, kernel.flow.tx.bytes];
            if self.told.carried != passed || self.told.reasons.len() != 1 {
                let (carried, reasons) = (self.told.carried, &self.told.reasons);
                complaints.push(format!("{carried:?} bytes are told of {passed:?}, and the ends {reasons:?}"));
            }
        }
        complaints
    }

    /// The agent stops, and tells what it has.
    #[must_use]
    pub fn stops(mut self) -> Told {
        self.table.stop(&mut self.told);
        self.told
    }
}
