//! What is learnt of processes and containers by looking into files, on a thread of its own: asked for here, and taken up here
//! when it comes.
//!
//! A language only describes a service, so nobody waits for it unless a rule or a selector asks for it. The name of a container
//! may be the service's name, so it is waited for. What came too late to be waited for changes neither: no service gets a second
//! name.

use std::sync::Arc;

use hashbrown::HashSet;

use super::{
    Fill, Identities, Process, Who,
    cgroup::Place,
    inspector::{Answer, ContainerKey, Inspector, Program, Question},
    learnt::{Finding, Learnt},
    runtime::{self, Language},
};
use crate::time::Nanos;

/// Programs whose language is remembered: as many as there may be processes.
const LANGUAGES: usize = 32_768;

/// Containers whose name is.
const NAMES: usize = 4096;

/// What is known, and who looks for the rest.
#[derive(Debug)]
pub struct Inspection {
    inspector: Option<Inspector>,
    languages: Learnt<Program, Language>,
    names: Learnt<ContainerKey, Arc<str>>,
    /// Counts answers: each makes doubtful what was made while one was awaited.
    revision: u64,
}

impl Default for Inspection {
    fn default() -> Self {
        Self { inspector: None, languages: Learnt::new(LANGUAGES), names: Learnt::new(NAMES), revision: 0 }
    }
}

impl Inspection {
    /// The language of a process, by the name of what it runs, else by its executable's form.
    pub fn language(&mut self, process: &Process, now: Nanos) -> Finding<Language> {
        let executable = process.executable.as_os_str();
        if let Some(language) = runtime::by_name(executable.as_encoded_bytes(), &process.command_line) {
            return Finding::settled(Some(language));
        }
        let Some(inspector) = self.inspector.as_mut().filter(|_| !executable.is_empty()) else {
            return Finding::settled(None);
        };
        let program = Program::of(process);
        self.languages.of(&program, now, || inspector.ask(Question::Language(program.clone())))
    }

    /// Forgets the language of a process that has ended, or runs something else now.
    pub fn forget(&mut self, process: &Process) {
        if self.inspector.is_some() {
            self.languages.forget(&Program::of(process));
        }
    }

    /// What its engine calls a container, where that keeps names; those of pods have theirs by Kubernetes.
    pub fn name(&mut self, place: &Place, now: Nanos) -> Finding<Arc<str>> {
        let container = place.runtime.zip(place.container_id.as_ref()).filter(|_| place.pod_uid.is_none());
        let Some(((runtime, id), inspector)) = container.zip(self.inspector.as_mut()) else {
            return Finding::settled(None);
        };
        if !inspector.knows(runtime) {
            return Finding::settled(None);
        }
        let key = ContainerKey { runtime, id: Arc::clone(id) };
        self.names.of(&key, now, || inspector.ask(Question::Name(key.clone())))
    }

    /// How many answers there have been.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// The tables of languages and of containers' names.
    #[must_use]
    pub fn fill(&self) -> [Fill; 2] {
        [self.languages.fill(), self.names.fill()]
    }

    /// Questions that found no room; never decreases.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.inspector.as_ref().map_or(0, Inspector::refused)
    }

    /// Takes what has been found out, and gives the processes whose language is among it.
    fn take(&mut self) -> HashSet<u32> {
        let mut pids = HashSet::new();
        for answer in self.inspector.iter().flat_map(Inspector::answers) {
            self.revision += 1;
            match answer {
                Answer::Language(program, language) => {
                    self.languages.learn(&program, language);
                    pids.insert(program.pid);
                }
                Answer::Name(key, name) => self.names.learn(&key, name),
            }
        }
        pids
    }
}

impl Identities {
    /// Has files looked into by this.
    #[must_use]
    pub fn with_inspector(mut self, inspector: Inspector) -> Self {
        self.inspection.inspector = Some(inspector);
        self
    }

    /// Takes up what has been found out by looking into files: what processes that were asked for are described by comes late.
    pub fn take_findings(&mut self, now: Nanos) {
        for pid in self.inspection.take() {
            if let Some(entry) = self.processes.get(&pid)
                && entry.known.is_some()
                && now < entry.valid_until
            {
                let who = Who { pid, cgroup: entry.cgroup, ..Who::default() };
                self.resolve(&who, now);
            }
        }
    }

    /// What has been learnt by looking into files.
    #[must_use]
    pub const fn inspection(&self) -> &Inspection {
        &self.inspection
    }
}
