//! All knowledge of the kernel: loading and attaching the programs, feature by feature, and the maps between
//! them and the rest of the agent. Only this room knows aya.

mod batch;
pub mod btf;
pub mod conntrack;
pub mod datagrams;
pub mod diag;
pub mod hints;
pub mod live;
pub mod log;
pub mod object;
pub mod programs;
pub mod rings;
pub mod stats;

pub use datagrams::Datagrams;
pub use hints::Hints;
pub use live::Live;
pub use object::{Ends, Options, Probes};
pub use programs::{PROGRAMS, Program, State, Status};
pub use rings::{Intake, Rings};
pub use stats::KernelStats;

/// Why nothing can be watched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The binary was built without its kernel side.
    #[error("this binary was built without its kernel side; build it with `cargo xtask build`")]
    NotEmbedded,
    /// The object did not load: no permission, or a kernel without what every program needs.
    #[error("cannot load the eBPF object: {0}; {1}")]
    Load(String, &'static str),
    /// A map the programs share is not there or not as expected.
    #[error("cannot use map {name}: {reason}")]
    Map {
        /// The map's name.
        name: &'static str,
        /// What the kernel or aya said.
        reason: String,
    },
    /// The cgroup to attach to could not be opened.
    #[error("cannot open cgroup {path}: {source}; name the cgroup v2 mount with --cgroup")]
    Cgroup {
        /// The path tried.
        path: std::path::PathBuf,
        /// The error.
        source: std::io::Error,
    },
    /// Neither direction's hook could be attached.
    #[error("cannot watch any traffic: {0}")]
    NothingWorks(String),
}

impl Error {
    fn map(name: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Map { name, reason: reason.to_string() }
    }
}
