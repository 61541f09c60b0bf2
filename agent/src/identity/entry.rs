//! What is remembered of a process, and for how long it holds.

use std::sync::Arc;

use super::{EXIT_GRACE, Identity, Process, RECHECK_AFTER, UNKNOWN_FOR};
use crate::time::Nanos;

/// An [`Identity`] and for how long it holds.
#[derive(Clone, Copy)]
pub(super) struct Known {
    pub(super) identity: Identity,
    /// When it is settled with what is known then; of no matter once it is.
    pub(super) settles: Nanos,
    /// Of a pod: what was known of all pods when it was made.
    pub(super) revision: Option<u64>,
    /// While something was being looked for in files: how many answers there had been.
    pub(super) findings: Option<u64>,
}

impl Known {
    pub(super) fn holds(&self, revision: u64, findings: u64, now: Nanos) -> bool {
        (self.identity.is_settled || now < self.settles)
            && self.revision.is_none_or(|made| made == revision)
            && self.findings.is_none_or(|made| made == findings)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// Nothing is known of it but, at best, a thread's name.
    Unknown,
    Running,
    /// Exited then.
    Exited(Nanos),
}

pub(super) struct Entry {
    /// What the process is; `None`: nothing is known of it but, at best, a thread's name. Most programs of a host never speak to
    /// the network, and take no room among the services.
    pub(super) process: Option<Box<Process>>,
    /// Whose its sockets are, once that was asked for.
    pub(super) known: Option<Known>,
    pub(super) life: Life,
    /// Until when it is believed without asking the source.
    pub(super) valid_until: Nanos,
    /// Time of the last exec told of; zero: none.
    pub(super) exec_time: Nanos,
    /// When it was first asked for.
    pub(super) asked: Option<Nanos>,
    /// The cgroup of the sockets that it was last asked for with, which its own does not contradict.
    pub(super) cgroup: u64,
    /// Path of the executable, or its name alone, once its service was asked for; empty: not known.
    pub(super) executable: Arc<str>,
    /// The pid in its own pid namespace, where that is another, once its service was asked for.
    pub(super) vpid: Option<u32>,
}

impl Entry {
    pub(super) fn running(process: Process, now: Nanos) -> Self {
        Self { process: Some(Box::new(process)), life: Life::Running, ..Self::blank(now.plus(RECHECK_AFTER)) }
    }

    pub(super) fn unknown(now: Nanos) -> Self {
        Self::blank(now.plus(UNKNOWN_FOR))
    }

    pub(super) fn blank(valid_until: Nanos) -> Self {
        Self {
            process: None,
            known: None,
            life: Life::Unknown,
            valid_until,
            exec_time: Nanos::default(),
            asked: None,
            cgroup: 0,
            executable: Arc::default(),
            vpid: None,
        }
    }

    pub(super) fn exited(&mut self, time: Nanos) {
        self.life = Life::Exited(time);
        self.valid_until = time.plus(EXIT_GRACE);
    }

    /// Whether a new description says nothing new.
    pub(super) fn still_is(&self, process: &Process) -> bool {
        let is_same = |own: &Process| {
            let Process { start_ticks, name, executable, declared, cgroup, .. } = process;
            own.start_ticks == *start_ticks
                && own.name == *name
                && own.executable == *executable
                && own.declared == *declared
                && own.cgroup == *cgroup
        };
        self.life == Life::Running && self.process.as_deref().is_some_and(is_same)
    }
}
