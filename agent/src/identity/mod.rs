//! Who a socket belongs to: from its process and its cgroup to the service that its exchanges are counted for.
//!
//! [`Identities`] belongs to the reader's thread. It is told of every exec and exit, and of every cgroup, by the kernel, and of
//! pods by [`kubernetes`]; it asks its [`ProcSource`] for the rest, and never walks `/proc`. The bias: a name is better late or
//! coarse than wrong, and rather [`UNKNOWN_SERVICE`] than somebody else's.

pub mod cgroup;
mod codec;
mod composing;
mod declared;
pub mod engines;
mod entry;
pub mod host;
mod inspection;
pub mod inspector;
pub mod kubernetes;
mod learnt;
pub mod names;
mod naming;
mod outside;
pub mod owners;
mod process;
mod remote;
pub mod runtime;
pub mod select;
mod service;
mod watch;
mod whose;

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use hashbrown::{HashMap, HashSet};
use redtap_ebpf::{COMM_LEN, Exec, Exit};

pub use declared::{Declared, attributes};
pub use inspection::Inspection;
pub use naming::Naming;
pub use process::{Proc, ProcSource, Process, Replayed};
pub use service::{MAX_SERVICE_NAME, Pairs, Service, ServiceId, UNKNOWN_SERVICE};
pub use watch::Watch;
pub use whose::{Identity, Who};

use self::{
    cgroup::{Cgroups, Place},
    entry::{Entry, Known, Life},
    kubernetes::Cluster,
    process::comm_name,
    remote::Remote,
    service::Services,
    watch::Watches,
};
use crate::time::Nanos;

/// How long an exited process keeps its name: its sockets end after it does, and their exchanges arrive later still.
/// A process that takes the same pid by fork alone, within this time, is held to be the old one.
pub const EXIT_GRACE: Duration = Duration::from_secs(10);

/// How long it is not asked again for a process that nothing is known of.
pub const UNKNOWN_FOR: Duration = Duration::from_secs(1);

/// When a process is described anew although no exec or exit of it was told: such a record may have been lost.
pub const RECHECK_AFTER: Duration = Duration::from_secs(300);

/// How long it is waited for what Kubernetes says of a container that nothing was said of yet: its status names it once the
/// kubelet has seen it run.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Cgroups remembered by their ids.
const CGROUPS: usize = 65_536;

/// Sockets' cgroups whose service is remembered where no process is known.
const BY_CGROUP: usize = 16_384;

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Processes, those exited lately included. Past it the exited are forgotten first, then an eighth of all;
    /// a forgotten process that still runs is described again when it is asked for.
    pub processes: usize,
    /// Services, containers of pods each for itself. Past it new ones count for the unknown service.
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

/// The processes and services known, bounded.
pub struct Identities {
    source: Box<dyn ProcSource + Send>,
    processes: HashMap<u32, Entry>,
    cgroups: Cgroups,
    /// Of sockets of which no process is known: since when they were asked for.
    by_cgroup: HashMap<u64, (Known, Nanos)>,
    services: Services,
    naming: Naming,
    watches: Watches,
    /// What Kubernetes says, where it is asked.
    cluster: Option<Cluster>,
    /// The services of each pod.
    of_pods: HashMap<Arc<str>, HashSet<ServiceId>>,
    remote: Remote,
    /// What files say of processes and containers.
    inspection: Inspection,
    /// Counts what makes what was known of pods doubtful.
    revision: u64,
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
            cgroups: Cgroups::new(CGROUPS),
            by_cgroup: HashMap::new(),
            services: Services::new(limits.services),
            naming: Naming::default(),
            watches: Watches::default(),
            cluster: None,
            of_pods: HashMap::new(),
            remote: Remote::default(),
            inspection: Inspection::default(),
            revision: 0,
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

    /// Names services by these rules.
    #[must_use]
    pub fn with_naming(mut self, naming: Naming) -> Self {
        self.naming = naming;
        self
    }

    /// Expects to be told of pods and peers.
    #[must_use]
    pub fn with_cluster(mut self, cluster: Cluster) -> Self {
        self.cluster = Some(cluster);
        self
    }

    /// Whose a socket is, by its process; by its cgroup where no process is known; by the name of the thread that connected
    /// where there is nothing better.
    ///
    /// One look into a table for a process asked for before; the source is asked for a new one. A thread's name is a
    /// poor hint (`tokio-runtime-w`), so it only serves until the process itself can be described.
    pub fn identify(&mut self, who: &Who, now: Nanos) -> Identity {
        if let Some(entry) = self.processes.get(&who.pid)
            && let Some(known) = entry.known
            && now < entry.valid_until
            && known.holds(self.revision, self.inspection.revision(), now)
            && (known.identity.service != ServiceId::UNKNOWN || who.comm[0] == 0)
            && (who.cgroup == 0 || who.cgroup == entry.cgroup)
        {
            return known.identity;
        }
        self.resolve(who, now)
    }

    /// The service of a process, as [`Identities::identify`] has it.
    pub fn service_of(&mut self, pid: u32, comm: &[u8; COMM_LEN], now: Nanos) -> ServiceId {
        self.identify(&Who { pid, comm: *comm, cgroup: 0 }, now).service
    }

    #[cold]
    fn resolve(&mut self, who: &Who, now: Nanos) -> Identity {
        if who.pid == 0 {
            return self.of_cgroup(who, now);
        }
        let is_stale = self.processes.get(&who.pid).is_none_or(|entry| entry.valid_until <= now);
        if is_stale || self.is_contradicted(who) {
            self.look(who.pid, now);
        }
        let Some(mut entry) = self.processes.remove(&who.pid) else { return Identity::nobody() };
        let first = *entry.asked.get_or_insert(now);
        // Of the process itself, where it is known: sockets are passed on, and then it is who answers.
        let own = entry.process.as_ref().map(|process| process.cgroup.as_str()).filter(|path| !path.is_empty());
        let path: Arc<str> = match (own, self.cgroups.get(who.cgroup)) {
            (Some(own), _) => own.into(),
            (None, Some(cgroup)) => Arc::clone(&cgroup.path),
            (None, None) => Arc::default(),
        };
        let known = self.compose(entry.process.as_deref(), &who.comm, &path, first, now);
        entry.cgroup = if who.cgroup == 0 { entry.cgroup } else { who.cgroup };
        if entry.known.is_none()
            && let Some(process) = &entry.process
        {
            let path = process.executable.to_string_lossy();
            entry.vpid = self.source.vpid(process);
            entry.executable = if path.is_empty() { process.name.as_str().into() } else { path.into() };
            self.hand_out((**process).clone());
        }
        entry.known = Some(known);
        self.processes.insert(who.pid, entry);
        known.identity
    }

    /// Whose a socket is of which no process is known: its container's, or its unit's.
    fn of_cgroup(&mut self, who: &Who, now: Nanos) -> Identity {
        if let Some((known, _)) = self.by_cgroup.get(&who.cgroup)
            && known.holds(self.revision, self.inspection.revision(), now)
        {
            return known.identity;
        }
        let cgroup = self.cgroups.get(who.cgroup);
        let Some(cgroup) = cgroup.filter(|cgroup| is_telling(&cgroup.place)) else {
            let service = self.services.intern(Service::named(&comm_name(&who.comm)));
            return Identity { service, ..Identity::nobody() };
        };
        let path = Arc::clone(&cgroup.path);
        let first = self.by_cgroup.get(&who.cgroup).map_or(now, |(_, first)| *first);
        let known = self.compose(None, &who.comm, &path, first, now);
        if self.by_cgroup.len() >= BY_CGROUP {
            self.by_cgroup.clear();
        }
        self.by_cgroup.insert(who.cgroup, (known, first));
        known.identity
    }

    /// Whether a socket is of another container than the process that it is said to belong to: the pid may be another's by now.
    fn is_contradicted(&self, who: &Who) -> bool {
        let Some(entry) = self.processes.get(&who.pid) else { return false };
        if who.cgroup == 0 || who.cgroup == entry.cgroup {
            return false;
        }
        let Some(process) = &entry.process else { return false };
        let sockets = self.cgroups.get(who.cgroup).and_then(|cgroup| cgroup.place.container_id.clone());
        sockets.is_some() && sockets != Place::parse(&process.cgroup).container_id
    }

    /// Whether a connection whose server has this port is watched; 0: the port is not known.
    #[must_use]
    pub fn watches(&self, identity: Identity, port: u16) -> bool {
        self.watches.has(identity.watch, port)
    }

    /// Asks the source for a process that is not in the table, or was last looked at too long ago.
    fn look(&mut self, pid: u32, now: Nanos) {
        self.sweep(now);
        let found = self.source.describe(pid, now);
        match (found, self.processes.get_mut(&pid)) {
            (Some(process), Some(entry)) if entry.still_is(&process) => {
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
        if let Some(cluster) = &mut self.cluster {
            cluster.sweep(now);
        }
    }

    /// A service.
    #[must_use]
    pub fn service(&self, id: ServiceId) -> &Arc<Service> {
        self.services.get(id)
    }

    /// The path of the executable of a process whose service was asked for, or its name alone; empty: not known.
    #[must_use]
    pub fn executable(&self, pid: u32) -> Arc<str> {
        self.processes.get(&pid).map(|entry| Arc::clone(&entry.executable)).unwrap_or_default()
    }

    /// The pid of such a process in its own pid namespace, where that is another.
    #[must_use]
    pub fn vpid(&self, pid: u32) -> Option<u32> {
        self.processes.get(&pid)?.vpid
    }

    /// The processes in the table.
    #[must_use]
    pub fn processes(&self) -> Fill {
        Fill { entries: self.processes.len(), limit: self.limit }
    }

    /// The cgroups in the table.
    #[must_use]
    pub fn cgroups(&self) -> Fill {
        self.cgroups.fill()
    }

    /// The services given out.
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
        let before = self.processes.insert(pid, entry).and_then(|entry| entry.process);
        before.iter().for_each(|process| self.inspection.forget(process));
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
            let gone = self.processes.remove(&pid).and_then(|entry| entry.process);
            gone.iter().for_each(|process| self.inspection.forget(process));
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

/// Whether a socket of such a place has an owner that can be told without its process.
fn is_telling(place: &Place) -> bool {
    place.pod_uid.is_some() || place.container_id.is_some() || place.unit.is_some()
}

#[cfg(test)]
mod tests;
