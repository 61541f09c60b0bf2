//! What the agent gives up once it is set up: what it needs for loading programs is far more than what it needs
//! for reading what they tell.
//!
//! Capabilities, filters of system calls and Landlock domains belong to a thread, and a new thread inherits those of
//! the one that makes it. So there are two steps, and an order that is right by construction:
//!
//! 1. [`Confinement::begin`], when programs are attached, sockets listen and files are open, and before there is a
//!    second thread: `no_new_privs`, an empty bounding set, none but the capabilities of some [`Part`], and the
//!    filter of system calls. All threads have these.
//! 2. [`Confinement::within`] makes each thread from one that has already been reduced to its part, so that no thread
//!    ever runs with more; [`Confinement::enter`] does the same to the calling thread.
//!
//! What a thread has of its own stands against confusion (a path, an address or a redirection that leads elsewhere),
//! not against foreign code: threads share their memory. Against that stands what all of them have.
//!
//! Nothing here ends the agent: what cannot be had is told once, and by `redtap_confined`.

mod calls;
mod capability;
mod domain;
mod part;
#[cfg(test)]
mod tests;

use std::{
    fmt::Display,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread,
};

pub use self::{
    capability::{USES, Use, held},
    part::Part,
};
use rustix::thread::{CapabilitySet, set_no_new_privs};

/// What of it all depends on the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Files are named that are read again while the agent runs, and that may be closed to its user.
    pub files: bool,
    /// The sockets in the file system that are removed at the end.
    pub sockets: Vec<PathBuf>,
    /// A kubeconfig names a program that gives out credentials. It inherits all that is given up.
    pub programs: bool,
}

/// A means of confinement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// `PR_SET_NO_NEW_PRIVS`: no program that is executed has more than its parent.
    NoNewPrivileges,
    /// Capabilities that are not needed any more are dropped.
    Capabilities,
    /// Calls that are never needed are refused (seccomp(2)).
    Calls,
    /// Threads that talk to the network have a Landlock domain (landlock(7)).
    Domain,
}

impl Means {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::NoNewPrivileges, Self::Capabilities, Self::Calls, Self::Domain];

    /// The label value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoNewPrivileges => "no_new_privs",
            Self::Capabilities => "capabilities",
            Self::Calls => "seccomp",
            Self::Domain => "landlock",
        }
    }

    const fn lost(self) -> &'static str {
        match self {
            Self::NoNewPrivileges => "programs that the agent executes could gain privileges",
            Self::Capabilities => "the agent keeps capabilities that it does not need any more",
            Self::Calls => "the agent may make calls that it never needs",
            Self::Domain => "threads that talk to the network see what its user sees",
        }
    }
}

/// What became of a means on the threads so far: nothing yet, success on all, failure on one.
const UNTRIED: u8 = 0;
const IN_FORCE: u8 = 1;
const FAILED: u8 = 2;

/// What is given up, and how far that succeeded. Copies are one.
#[derive(Clone, Debug, Default)]
pub struct Confinement {
    /// `None`: it is not wanted.
    needs: Option<Arc<Needs>>,
    states: Arc<[AtomicU8; Means::ALL.len()]>,
}

impl Confinement {
    /// None: every thread keeps what it has.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// Confines the process. To be called from its only thread, when all is attached, bound and open.
    #[must_use]
    pub fn begin(needs: Needs) -> Self {
        let confinement = Self { needs: Some(Arc::new(needs)), states: Arc::default() };
        let Some(needs) = &confinement.needs else { return confinement };
        confinement.note(Means::NoNewPrivileges, set_no_new_privs(true).map_err(io::Error::from));
        confinement.note(Means::Capabilities, capability::empty_bounding_set());
        // The reader raises the priority of its thread before it enters its part.
        let of_a_part = Part::ALL.into_iter().fold(CapabilitySet::SYS_NICE, |all, part| all | part.keeps(needs));
        confinement.note(Means::Capabilities, capability::keep(of_a_part));
        confinement.note(Means::Calls, calls::refuse(needs));
        confinement
    }

    /// Reduces the calling thread to a part, and with it the threads that it makes.
    pub fn enter(&self, part: Part) {
        let Some(needs) = &self.needs else { return };
        // Before the capabilities go, for a directory may have to be opened.
        if let Some(domain) = part.domain(needs) {
            self.note(Means::Domain, domain::enter(&domain));
        }
        self.note(Means::Capabilities, capability::keep(part.keeps(needs)));
    }

    /// Calls `make` on a thread that was reduced to `part`, so that the threads made there are from their beginning.
    ///
    /// # Errors
    /// When there is no such thread to be had.
    ///
    /// # Panics
    /// When `make` does.
    pub fn within<T: Send>(&self, part: Part, make: impl FnOnce() -> T + Send) -> io::Result<T> {
        if self.needs.is_none() {
            return Ok(make());
        }
        thread::scope(|scope| {
            let reduced = || {
                self.enter(part);
                make()
            };
            let made = thread::Builder::new().name(part.thread().to_owned()).spawn_scoped(scope, reduced)?;
            Ok(made.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }

    /// Which means are in force now, on every thread that they are meant for.
    #[must_use]
    pub fn in_force(&self) -> [(&'static str, bool); Means::ALL.len()] {
        Means::ALL.map(|means| (means.name(), self.state(means).load(Ordering::Relaxed) == IN_FORCE))
    }

    /// Says what is in force, once all threads have been made.
    pub fn announce(&self) {
        if self.needs.is_none() {
            tracing::warn!("not confined: the agent keeps all privileges that it was started with");
            return;
        }
        let names = self.in_force().into_iter().filter(|(_, in_force)| *in_force).map(|(name, _)| name);
        tracing::info!(by = names.collect::<Vec<_>>().join(" "), "confined");
    }

    fn state(&self, means: Means) -> &AtomicU8 {
        let [no_new_privileges, capabilities, calls, domain] = &*self.states;
        match means {
            Means::NoNewPrivileges => no_new_privileges,
            Means::Capabilities => capabilities,
            Means::Calls => calls,
            Means::Domain => domain,
        }
    }

    fn note<E: Display>(&self, means: Means, result: Result<(), E>) {
        let state = self.state(means);
        match result {
            Ok(()) => {
                // What failed on one thread stays failed.
                let _ = state.compare_exchange(UNTRIED, IN_FORCE, Ordering::Relaxed, Ordering::Relaxed);
            }
            Err(error) => {
                if state.swap(FAILED, Ordering::Relaxed) != FAILED {
                    tracing::warn!(by = means.name(), lost = means.lost(), %error, "not confined");
                }
            }
        }
    }
}

impl Needs {
    /// The directories of the sockets.
    fn directories(&self) -> impl Iterator<Item = &Path> {
        self.sockets.iter().filter_map(|socket| socket.parent())
    }

    /// Whether a directory of a socket is not the agent's user's own, so that removing the socket takes a capability.
    fn overrides(&self) -> bool {
        let user = rustix::process::geteuid().as_raw();
        self.directories().any(|directory| fs::metadata(directory).is_ok_and(|metadata| metadata.uid() != user))
    }
}
