//! Taking the steps of a case.

use std::time::SystemTime;

use rustix::thread::{CpuSet, sched_setaffinity};

use super::{Case, Family, Step, Wire};

/// How the bytes of a case are cut into segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunking {
    /// As the case says.
    AsTold,
    /// So many bytes a segment at the begin of whatever is sent, and the rest, if it is long, in one.
    Pieces(usize),
    /// Like `Pieces` of a few bytes, each sent on another CPU than the one before.
    Migrating,
}

impl Chunking {
    fn pieces(self, bytes: &[u8], told: Option<usize>) -> Vec<&[u8]> {
        /// What of a long message is cut into pieces.
        const CUT: usize = 1500;
        let (cut, whole) = bytes.split_at(bytes.len().min(CUT));
        let size = match (self, told) {
            (_, Some(size)) => return bytes.chunks(size).collect(),
            (Self::AsTold, None) => return vec![bytes],
            (Self::Pieces(size), None) => size,
            (Self::Migrating, None) => 40,
        };
        cut.chunks(size).chain((!whole.is_empty()).then_some(whole)).collect()
    }
}

/// Moves this thread to a CPU, the `number`th of those there are.
fn run_on(number: usize) {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let mut set = CpuSet::new();
    set.set(number % cpus);
    // Where it may not choose, it stays: the kernel migrates threads by itself, if less.
    let _ = sched_setaffinity(None, &set);
}

/// Why a run paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The case wants an agent to start now.
    AgentStarts,
    /// The case wants the agent to have told so many exchanges at each side.
    AgentReports(usize),
    /// It is over, both ends closed.
    Over,
}

/// A case on its way.
pub struct Run<'case> {
    /// What is run.
    pub case: &'case Case,
    /// The server's port.
    pub port: u16,
    chunking: Chunking,
    wire: Option<Wire>,
    next: usize,
    hops: usize,
    began: SystemTime,
    ended: SystemTime,
}

impl<'case> Run<'case> {
    /// Connects.
    #[must_use]
    pub fn new(case: &'case Case, family: Family, chunking: Chunking) -> Self {
        let began = SystemTime::now();
        let wire = Wire::open(family);
        Self { case, port: wire.port(), chunking, wire: Some(wire), next: 0, hops: 0, began, ended: began }
    }

    /// Takes steps until one is not for the connection's ends to take, or the case is over.
    ///
    /// # Panics
    /// When an end does not see what the other did.
    pub fn go(&mut self) -> Stop {
        let Some(wire) = self.wire.as_mut() else { return Stop::Over };
        while let Some(step) = self.case.steps.get(self.next) {
            self.next += 1;
            match step {
                Step::Send { by, bytes, piece, read } => {
                    // What nobody reads nobody waits for: in pieces, some would still be under way.
                    let chunking = if *read { self.chunking } else { Chunking::AsTold };
                    for piece in chunking.pieces(bytes, *piece) {
                        if self.chunking == Chunking::Migrating {
                            self.hops += 1;
                            run_on(self.hops);
                        }
                        wire.send(*by, piece, *read);
                    }
                }
                Step::End(by, how) => wire.end(*by, *how),
                Step::AgentStarts => return Stop::AgentStarts,
                Step::AgentReports(count) => return Stop::AgentReports(*count),
            }
        }
        self.wire = None;
        self.ended = SystemTime::now();
        Stop::Over
    }

    /// From before the connection to after its end.
    #[must_use]
    pub fn lasted(&self) -> (SystemTime, SystemTime) {
        (self.began, self.ended)
    }
}
