//! Files that may be slow to answer, looked into on a thread of their own, between two bounded queues: executables, and what
//! container engines keep on disk.
//!
//! A file system that is gone can keep that thread for good. Then nothing more is learnt by it, and nobody waits for it but
//! for as long as `learnt` has it.

use std::{
    fs::{self, File},
    io,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use super::{
    Process,
    cgroup::ContainerRuntime,
    engines::Engines,
    process::without_mark,
    runtime::{Executables, Language},
};

/// Executables whose language is remembered.
const MAX_EXECUTABLES: usize = 4096;

/// What a process runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    /// The process.
    pub pid: u32,
    /// When it began, in clock ticks since boot.
    pub start_ticks: u64,
    /// Path of the executable.
    pub executable: PathBuf,
}

impl Program {
    pub(super) fn of(process: &Process) -> Self {
        let Process { pid, start_ticks, executable, .. } = process;
        Self { pid: *pid, start_ticks: *start_ticks, executable: executable.clone() }
    }
}

/// A container of an engine that keeps its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContainerKey {
    /// The engine.
    pub runtime: ContainerRuntime,
    /// Its whole id.
    pub id: Arc<str>,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The language of a program, by its form.
    Language(Program),
    /// The name of a container.
    Name(ContainerKey),
}

/// What is answered; `None`: it cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Language`].
    Language(Program, Option<Language>),
    /// To [`Question::Name`].
    Name(ContainerKey, Option<Arc<str>>),
}

/// Looks into files from a thread of its own, which ends when this is dropped and no file keeps it. Who asks never waits.
#[derive(Debug)]
pub struct Inspector {
    questions: SyncSender<Question>,
    answers: Receiver<Answer>,
    /// Whether an engine keeps the names of its containers here.
    engines: Engines,
    refused: u64,
}

impl Inspector {
    /// Questions and answers that wait at most, of each.
    pub const LIMIT: usize = 1024;

    /// Starts the thread, for processes of this proc file system and containers of these engines.
    ///
    /// # Errors
    /// When there is none to be had.
    pub fn start(proc: PathBuf, engines: Engines) -> io::Result<Self> {
        let mut files = Files { proc, executables: Executables::new(MAX_EXECUTABLES), engines: engines.clone() };
        Self::start_with(Self::LIMIT, engines, move |question| files.look(question))
    }

    /// Starts it with another way to look.
    pub(super) fn start_with(
        limit: usize,
        engines: Engines,
        mut look: impl FnMut(Question) -> Answer + Send + 'static,
    ) -> io::Result<Self> {
        let (questions, asked) = sync_channel::<Question>(limit);
        let (answer, answers) = sync_channel(limit);
        thread::Builder::new().name("redtap-inspect".to_owned()).spawn(move || {
            // Nobody waits for this thread, so it may wait until its answers are taken.
            while let Ok(question) = asked.recv()
                && answer.send(look(question)).is_ok()
            {}
        })?;
        Ok(Self { questions, answers, engines, refused: 0 })
    }

    /// Asks. False: too many questions wait, and this one will not be answered.
    pub fn ask(&mut self, question: Question) -> bool {
        let taken = self.questions.try_send(question).is_ok();
        self.refused += u64::from(!taken);
        taken
    }

    /// What has been found out since the last call.
    pub fn answers(&self) -> impl Iterator<Item = Answer> {
        self.answers.try_iter().take(Self::LIMIT)
    }

    /// Whether containers of this engine may have names.
    #[must_use]
    pub const fn knows(&self, runtime: ContainerRuntime) -> bool {
        self.engines.has(runtime)
    }

    /// Questions that found no room; never decreases.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }
}

/// The thread's side.
struct Files {
    proc: PathBuf,
    executables: Executables,
    engines: Engines,
}

impl Files {
    fn look(&mut self, question: Question) -> Answer {
        match question {
            Question::Language(program) => {
                let language = self.language(&program);
                Answer::Language(program, language)
            }
            Question::Name(key) => {
                let name = self.engines.name(key.runtime, &key.id);
                Answer::Name(key, name.map(Into::into))
            }
        }
    }

    fn language(&mut self, program: &Program) -> Option<Language> {
        let path = self.proc.join(program.pid.to_string()).join("exe");
        let file = File::open(&path).ok()?;
        // The process may have ended meanwhile, or run another program: that one's language is not this one's.
        let is_same = fs::read_link(&path).is_ok_and(|path| without_mark(path) == program.executable);
        if is_same { self.executables.language(&file) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    fn program(pid: u32, executable: PathBuf) -> Program {
        Program { pid, start_ticks: 1, executable }
    }

    fn next(inspector: &Inspector) -> Answer {
        inspector.answers.recv_timeout(Duration::from_secs(10)).expect("an answer")
    }

    #[test]
    fn programs_that_run_are_told_and_no_others() -> io::Result<()> {
        let mut inspector = Inspector::start("/proc".into(), Engines::default())?;
        let (own, pid) = (std::env::current_exe()?, std::process::id());
        for (program, language) in [
            (program(pid, own.clone()), Some(Language::Rust)),
            (program(pid, "/bin/what-ran-before".into()), None),
            (program(u32::MAX, own), None),
        ] {
            assert!(inspector.ask(Question::Language(program.clone())));
            assert_eq!(next(&inspector), Answer::Language(program, language));
        }
        let key = ContainerKey { runtime: ContainerRuntime::Docker, id: "a".repeat(64).into() };
        assert!(inspector.ask(Question::Name(key.clone())));
        assert_eq!(next(&inspector), Answer::Name(key, None));
        Ok(())
    }

    #[test]
    fn who_asks_does_not_wait_for_a_file_that_never_answers() -> io::Result<()> {
        let (keep, kept) = mpsc::sync_channel::<()>(0);
        let mut inspector = Inspector::start_with(2, Engines::default(), move |question| {
            let _ = kept.recv();
            panic!("the test has ended: {question:?}")
        })?;
        let asked =
            (0..1000).filter(|pid| inspector.ask(Question::Language(program(*pid, PathBuf::new())))).count();
        assert!((2..=3).contains(&asked), "one is looked at, and two wait: {asked}");
        assert_eq!(inspector.refused(), 1000 - asked as u64);
        assert_eq!(inspector.answers().count(), 0);
        std::mem::forget(keep);
        Ok(())
    }
}
