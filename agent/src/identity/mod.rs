//! Who a socket belongs to: from a process id to the service that its exchanges are counted for.
//!
//! [`Identities`] belongs to the reader's thread. It is told of every exec and exit by the kernel and asks its
//! [`ProcSource`] for the rest; it never walks `/proc`. The bias: a name is better late or coarse than wrong, and
//! rather [`UNKNOWN_SERVICE`] than somebody else's.

mod codec;
pub mod host;
pub mod names;
pub mod owners;
mod process;
mod service;

use std::{collections::VecDeque, fmt, mem, sync::Arc, time::Duration};

use hashbrown::HashMap;
use redtap_ebpf::{COMM_LEN, Exec, Exit};

pub use process::{Proc, ProcSource, Process, Replayed};
pub use service::{MAX_SERVICE_NAME, ServiceId, UNKNOWN_SERVICE};

use self::{process::comm_name, service::Services};
use crate::time::Nanos;

/// How long an exited process keeps its name: its sockets end after it does, and their exchanges arrive later still.
/// A process that takes the same pid by fork alone, within this time, is held to be the old one.
pub const EXIT_GRACE: Duration = Duration::from_secs(10);

/// How long it is not asked again for a process that nothing is known of.
pub const UNKNOWN_FOR: Duration = Duration::from_secs(1);

/// When a process is described anew although no exec or exit of it was told: such a record may have been lost.
pub const RECHECK_AFTER: Duration = Duration::from_secs(300);

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Processes, those exited lately included. Past it the exited are forgotten first, then an eighth of all;
    /// a forgotten process that still runs is described again when it is asked for.
    pub processes: usize,
    /// Service names, never forgotten. Past it new ones count for the unknown service.
    pub services: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { processes: 32_768, services: 8192 }
    }
}

/// What has happened to the tables; no field decreases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Processes described by the source or, gone already, by their exec record.
    pub described: u64,
    /// Questions to the source that it had no answer for.
    pub unanswered: u64,
    /// Processes forgotten for want of room, exited ones included.
    pub evicted: u64,
    /// Times that a service name was refused for want of room.
    pub services_refused: u64,
    /// Descriptions that nobody took in time ([`Identities::take_described`]).
    pub descriptions_lost: u64,
}

/// Entries of a table and their limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Entries now.
    pub entries: usize,
    /// The most it holds.
    pub limit: usize,
}

/// What a process goes by.
enum Name {
    /// Described, and not asked for yet: most programs of a host never speak to the network, and their names take
    /// no room among the services.
    Described(Box<Process>),
    /// Asked for.
    Service(ServiceId),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Nothing is known of it but, at best, a thread's name.
    Unknown,
    Running,
    /// Exited then.
    Exited(Nanos),
}

struct Entry {
    name: Name,
    life: Life,
    /// Until when the name is given out without asking the source.
    valid_until: Nanos,
    start_ticks: u64,
    /// Time of the last exec told of; zero: none.
    exec_time: Nanos,
    /// Path of the executable, or its name alone, once its service was asked for; empty: not known.
    executable: Arc<str>,
}

/// The processes and services known, bounded.
pub struct Identities {
    source: Box<dyn ProcSource + Send>,
    processes: HashMap<u32, Entry>,
    services: Services,
    limit: usize,
    /// Exits in the order of their times, of entries that may have been replaced since.
    exits: VecDeque<(Nanos, u32)>,
    /// Descriptions for the recorder, where there is one.
    described: Option<VecDeque<Process>>,
    counts: Counts,
}

impl Identities {
    /// No process is looked at yet.
    #[must_use]
    pub fn new(source: Box<dyn ProcSource + Send>, limits: Limits) -> Self {
        Self {
            source,
            processes: HashMap::new(),
            services: Services::new(limits.services.max(1)),
            limit: limits.processes.max(1),
            exits: VecDeque::new(),
            described: None,
            counts: Counts::default(),
        }
    }

    /// Keeps what [`Identities::take_described`] hands out, for a recorder.
    #[must_use]
    pub fn for_recording(mut self) -> Self {
        self.described = Some(VecDeque::new());
        self
    }

    /// The service of a process, or of whichever thread has the name `comm` where the process is not known
    /// (`comm` all zero: not known either).
    ///
    /// One look into a table for a process asked for before; the source is asked for a new one. A thread's name is a
    /// poor hint (`tokio-runtime-w`), so it only serves until the process itself can be described.
    pub fn service_of(&mut self, pid: u32, comm: &[u8; COMM_LEN], now: Nanos) -> ServiceId {
        if let Some(&Entry { name: Name::Service(service), valid_until, .. }) = self.processes.get(&pid)
            && now < valid_until
            && (service != ServiceId::UNKNOWN || comm[0] == 0)
        {
            return service;
        }
        self.resolve(pid, comm, now)
    }

    #[cold]
    fn resolve(&mut self, pid: u32, comm: &[u8; COMM_LEN], now: Nanos) -> ServiceId {
        if pid == 0 {
            return self.services.intern(&comm_name(comm));
        }
        if self.processes.get(&pid).is_none_or(|entry| entry.valid_until <= now) {
            self.look(pid, now);
        }
        let Some(entry) = self.processes.get_mut(&pid) else {
            return ServiceId::UNKNOWN;
        };
        match &mut entry.name {
            Name::Service(service) => {
                if *service == ServiceId::UNKNOWN && entry.life == Life::Unknown {
                    *service = self.services.intern(&comm_name(comm));
                }
                *service
            }
            Name::Described(process) => {
                let service = self.services.intern(process.service_name());
                if let Name::Described(process) = mem::replace(&mut entry.name, Name::Service(service)) {
                    let path = process.executable.to_string_lossy();
                    entry.executable = if path.is_empty() { process.name.as_str().into() } else { path.into() };
                    self.hand_out(*process);
                }
                service
            }
        }
    }

    /// Asks the source for a process that is not in the table, or was last looked at too long ago.
    fn look(&mut self, pid: u32, now: Nanos) {
        self.sweep(now);
        let found = self.source.describe(pid, now);
        match (found, self.processes.get_mut(&pid)) {
            (Some(process), Some(entry)) if entry.still_is(&process, &mut self.services) => {
                entry.valid_until = now.plus(RECHECK_AFTER);
            }
            (Some(process), _) => self.put(pid, Entry::running(process, now)),
            (None, Some(entry)) if entry.life == Life::Running => {
                self.counts.unanswered += 1;
                entry.exited(now);
                self.queue_exit(now, pid);
            }
            (None, _) => {
                self.counts.unanswered += 1;
                self.make_room(pid);
                self.processes.insert(pid, Entry::unknown(now));
            }
        }
    }

    /// A process runs another program from now on. It is described at once, for it may be short-lived.
    pub fn exec(&mut self, exec: &Exec) {
        let time = Nanos(exec.time);
        let process = self.source.describe(exec.pid, time).unwrap_or_else(|| Process::from_exec(exec));
        self.put(exec.pid, Entry { exec_time: time, ..Entry::running(process, time) });
    }

    /// A process ended. An exit older than the process's last exec is of an earlier process with the same pid.
    pub fn exit(&mut self, exit: &Exit) {
        let time = Nanos(exit.time);
        self.sweep(time);
        let Some(entry) = self.processes.get_mut(&exit.pid) else { return };
        if entry.exec_time > time || matches!(entry.life, Life::Exited(_)) {
            return;
        }
        entry.exited(time);
        self.queue_exit(time, exit.pid);
    }

    /// Forgets the processes that exited longer than [`EXIT_GRACE`] ago. Every exit and every new process does it;
    /// nothing is wrong if nobody else does.
    pub fn sweep(&mut self, now: Nanos) {
        while let Some(&(time, pid)) = self.exits.front()
            && time.plus(EXIT_GRACE) <= now
        {
            self.exits.pop_front();
            self.forget_exited(time, pid);
        }
    }

    /// The name of a service.
    #[must_use]
    pub fn name(&self, service: ServiceId) -> &str {
        self.services.name(service)
    }

    /// The name of a service, shared.
    #[must_use]
    pub fn name_arc(&self, service: ServiceId) -> Arc<str> {
        Arc::clone(self.services.name(service))
    }

    /// The path of the executable of a process whose service was asked for, or its name alone; empty: not known.
    #[must_use]
    pub fn executable(&self, pid: u32) -> Arc<str> {
        self.processes.get(&pid).map(|entry| Arc::clone(&entry.executable)).unwrap_or_default()
    }

    /// The processes in the table.
    #[must_use]
    pub fn processes(&self) -> Fill {
        Fill { entries: self.processes.len(), limit: self.limit }
    }

    /// The service names given out; ids are below `entries`.
    #[must_use]
    pub fn services(&self) -> Fill {
        Fill { entries: self.services.len(), limit: self.services.limit() }
    }

    /// What has happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { services_refused: self.services.refused(), ..self.counts }
    }

    /// The processes whose service was asked for since the last call, each once a program it runs; empty unless
    /// made [`Identities::for_recording`]. At most [`Limits::processes`] wait to be taken.
    pub fn take_described(&mut self) -> impl Iterator<Item = Process> + use<'_> {
        self.described.iter_mut().flat_map(|waiting| waiting.drain(..))
    }

    fn hand_out(&mut self, process: Process) {
        let Some(waiting) = &mut self.described else { return };
        if waiting.len() >= self.limit {
            waiting.pop_front();
            self.counts.descriptions_lost += 1;
        }
        waiting.push_back(process);
    }

    fn put(&mut self, pid: u32, entry: Entry) {
        self.counts.described += 1;
        self.make_room(pid);
        self.processes.insert(pid, entry);
    }

    fn make_room(&mut self, pid: u32) {
        if self.processes.len() < self.limit || self.processes.contains_key(&pid) {
            return;
        }
        let before = self.processes.len();
        while self.processes.len() >= self.limit
            && let Some((time, pid)) = self.exits.pop_front()
        {
            self.forget_exited(time, pid);
        }
        if self.processes.len() >= self.limit {
            let mut excess = self.limit / 8 + 1;
            self.processes.retain(|_, _| {
                let keep = excess == 0;
                excess = excess.saturating_sub(1);
                keep
            });
        }
        self.counts.evicted += u64::try_from(before - self.processes.len()).unwrap_or(u64::MAX);
    }

    /// As many exits as processes are queued: where pids are taken again faster than they are swept, the oldest goes.
    fn queue_exit(&mut self, time: Nanos, pid: u32) {
        if self.exits.len() >= self.limit
            && let Some((time, pid)) = self.exits.pop_front()
        {
            self.forget_exited(time, pid);
        }
        self.exits.push_back((time, pid));
    }

    fn forget_exited(&mut self, time: Nanos, pid: u32) {
        if self.processes.get(&pid).is_some_and(|entry| entry.life == Life::Exited(time)) {
            self.processes.remove(&pid);
        }
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Identities")
            .field("processes", &self.processes())
            .field("services", &self.services())
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

impl Entry {
    fn running(process: Process, now: Nanos) -> Self {
        Self {
            start_ticks: process.start_ticks,
            name: Name::Described(Box::new(process)),
            life: Life::Running,
            valid_until: now.plus(RECHECK_AFTER),
            exec_time: Nanos::default(),
            executable: Arc::default(),
        }
    }

    fn unknown(now: Nanos) -> Self {
        Self {
            name: Name::Service(ServiceId::UNKNOWN),
            life: Life::Unknown,
            valid_until: now.plus(UNKNOWN_FOR),
            start_ticks: 0,
            exec_time: Nanos::default(),
            executable: Arc::default(),
        }
    }

    fn exited(&mut self, time: Nanos) {
        self.life = Life::Exited(time);
        self.valid_until = time.plus(EXIT_GRACE);
    }

    /// Whether a new description says nothing new.
    fn still_is(&self, process: &Process, services: &mut Services) -> bool {
        let Name::Service(service) = self.name else { return false };
        self.life == Life::Running
            && self.start_ticks == process.start_ticks
            && services.intern(process.service_name()) == service
    }
}

#[cfg(test)]
mod tests;
