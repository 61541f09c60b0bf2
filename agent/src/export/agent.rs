//! The agent's own figures at one moment: what the reader and the kernel counted, plain numbers.

use std::borrow::Cow;

use redtap_ebpf::{DropReason, Stats};

use super::process::ProcessStats;

/// What was lost, in the words of `redtap_dropped_total{unit}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DropUnit {
    /// A segment with payload: part of the equation of the books.
    Segment,
    /// A kernel record after the first of its segment.
    Record,
    /// A finished exchange.
    Exchange,
    /// A lifecycle or process event.
    Event,
    /// A span that was never made; those lost on their way are counted by exporter.
    Span,
}

/// A count of losses of one kind for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// What was lost.
    pub unit: DropUnit,
    /// Why.
    pub reason: &'static str,
    /// How many.
    pub count: u64,
}

/// Connections followed, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flows {
    /// Recognised as HTTP.
    pub http: u64,
    /// Not yet recognised.
    pub undecided: u64,
    /// Judged to be nothing we read.
    pub opaque: u64,
    /// Became a stream.
    pub stream: u64,
    /// TLS.
    pub tls: u64,
    /// DNS over TCP.
    pub dns: u64,
}

/// A bounded table of the agent or of the kernel side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Entries now.
    pub entries: u64,
    /// Most entries it may have.
    pub limit: u64,
}

/// What the kernel measured of a program (`kernel.bpf_stats_enabled`, or `BPF_ENABLE_STATS`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramRun {
    /// CPU time in nanoseconds.
    pub run_ns: u64,
    /// Runs.
    pub run_count: u64,
}

/// An eBPF program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Attached to its hook.
    pub attached: bool,
    /// Its cost, where the kernel measures it.
    pub run: Option<ProgramRun>,
}

/// Everything of the agent's own that is exported.
#[derive(Clone, Debug, Default)]
pub struct AgentSnapshot {
    /// The kernel's counters, summed over the CPUs.
    pub kernel: Stats,
    /// Segments whose shipped records were parsed.
    pub parsed: u64,
    /// Segments shipped by the kernel that user space judged opaque.
    pub opaque: u64,
    /// Segments not yet accounted: in a ring, in the merge, or passing a hook just now.
    pub pending: u64,
    /// Records read from the rings, by kind.
    pub records: Vec<(&'static str, u64)>,
    /// Records that came after later ones of their flow had been handed on.
    pub late: u64,
    /// Connections followed.
    pub flows: Flows,
    /// Connections that began to be followed.
    pub opened: u64,
    /// Followed connections that ended.
    pub closed: u64,
    /// Connections given up because the table was full.
    pub evicted: u64,
    /// Losses in user space; those in the kernel are in `kernel`.
    pub dropped: Vec<Dropped>,
    /// Bounded tables, those of the registry apart.
    pub tables: Vec<Table>,
    /// All programs, attached or not.
    pub programs: Vec<Program>,
    /// By what the agent is confined, and whether that is in force.
    pub confined: Vec<(&'static str, bool)>,
    /// The capabilities that features need, and whether the agent was given them.
    pub capabilities: Vec<(&'static str, bool)>,
    /// The agent as a process, where /proc could be read.
    pub process: Option<ProcessStats>,
}

impl DropUnit {
    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Segment => "segment",
            Self::Record => "record",
            Self::Exchange => "exchange",
            Self::Event => "event",
            Self::Span => "span",
        }
    }
}

impl Flows {
    /// Each state with its count.
    #[must_use]
    pub const fn by_state(&self) -> [(&'static str, u64); 6] {
        [
            ("http", self.http),
            ("undecided", self.undecided),
            ("opaque", self.opaque),
            ("stream", self.stream),
            ("tls", self.tls),
            ("dns", self.dns),
        ]
    }
}

impl AgentSnapshot {
    /// Segments by what they were accounted as, in kernel and user space together.
    #[must_use]
    pub const fn accounted(&self) -> [(&'static str, u64); 4] {
        [
            ("parsed", self.parsed),
            ("body", self.kernel.body),
            ("duplicate", self.kernel.duplicate),
            ("opaque", self.kernel.opaque + self.opaque),
        ]
    }

    /// Losses in kernel and user space, one entry for a unit and reason, zeros of the kernel included.
    #[must_use]
    pub fn all_dropped(&self) -> Vec<Dropped> {
        let segments = DropReason::NAMES.into_iter().zip(self.kernel.dropped);
        let mut all: Vec<Dropped> =
            segments.map(|(reason, count)| Dropped { unit: DropUnit::Segment, reason, count }).collect();
        let ring_full = DropReason::NAMES[DropReason::RingFull as usize];
        all.push(Dropped { unit: DropUnit::Record, reason: ring_full, count: self.kernel.windows_lost });
        all.push(Dropped { unit: DropUnit::Event, reason: ring_full, count: self.kernel.events_lost });
        for dropped in &self.dropped {
            let same = |known: &&mut Dropped| known.unit == dropped.unit && known.reason == dropped.reason;
            match all.iter_mut().find(same) {
                Some(known) => known.count += dropped.count,
                None => all.push(*dropped),
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_of_one_kind_are_one_entry() {
        let agent = AgentSnapshot {
            kernel: Stats { dropped: [1, 2, 3, 4, 5], windows_lost: 6, events_lost: 7, ..Stats::default() },
            dropped: vec![
                Dropped { unit: DropUnit::Segment, reason: "headers", count: 10 },
                Dropped { unit: DropUnit::Exchange, reason: "queue_full", count: 20 },
                Dropped { unit: DropUnit::Exchange, reason: "queue_full", count: 1 },
            ],
            ..AgentSnapshot::default()
        };
        let all: Vec<_> = agent
            .all_dropped()
            .into_iter()
            .map(|dropped| (dropped.unit.as_str(), dropped.reason, dropped.count))
            .collect();
        assert_eq!(
            all,
            [
                ("segment", "ring_full", 1),
                ("segment", "flow_storage", 2),
                ("segment", "headers", 13),
                ("segment", "no_ring", 4),
                ("segment", "copy", 5),
                ("record", "ring_full", 6),
                ("event", "ring_full", 7),
                ("exchange", "queue_full", 21),
            ]
        );
    }
}
