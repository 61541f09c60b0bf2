//! The verbs of the command line.

pub mod ask;
pub mod cardinality;
mod check;
mod exporters;
mod live;
mod privileges;
mod replay;
mod run;
pub mod top;

use std::process::ExitCode;

use crate::{
    cli::{Cli, EXIT_USAGE, Verb},
    config::{Config, ConfigError},
    export::http::BindError,
    probe,
    record::ReadError,
};

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The HTTP server's address.
    #[error("{0}")]
    Bind(#[from] BindError),
    /// The kernel side.
    #[error("{0}")]
    Probe(#[from] probe::Error),
    /// There is no cgroup v2 hierarchy.
    #[error(
        "no cgroup v2 hierarchy is mounted; mount one (mount -t cgroup2 none /sys/fs/cgroup/unified) and name it with --cgroup"
    )]
    NoCgroup,
    /// Kubernetes is to be asked, and there is none that is known.
    #[error(
        "kubernetes is on, and there is no cluster to ask: no kubeconfig is named by --kubeconfig or KUBECONFIG, and this is no pod"
    )]
    NoCluster,
    /// A file or the operating system.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The error.
        source: std::io::Error,
    },
    /// A recorded file.
    #[error("{0}")]
    Recording(#[from] ReadError),
    /// The cost of series.
    #[error("{0}")]
    Cardinality(#[from] cardinality::Error),
    /// The live table.
    #[error("{0}")]
    Top(#[from] top::Error),
    /// The reader thread has died.
    #[error("the reader thread panicked; please report this")]
    Panicked,
}

impl Error {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// The exit status that tells it.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) => ExitCode::from(EXIT_USAGE),
            _ => ExitCode::FAILURE,
        }
    }
}

/// Runs a verb to its end.
///
/// # Errors
/// [`Error`], one sentence each.
pub fn execute(cli: Cli) -> Result<ExitCode, Error> {
    let variables = std::env::vars_os();
    match cli.verb {
        Verb::Run(run) => {
            let load = || Config::load(&run.settings.given, std::env::vars_os());
            run::run(&load()?, load)
        }
        Verb::Check(check) => check::check(&Config::load(&check.settings.given, variables)?, check.json),
        Verb::Record(record) => {
            let config = Config::load(&record.settings.given, variables)?;
            run::record(&config, &record.file, record.duration)
        }
        Verb::Replay(replay) => {
            let config = Config::load(&replay.settings.given, variables)?;
            replay::replay(&config, &replay)
        }
        Verb::Cardinality(arguments) => Ok(cardinality::cardinality(&arguments)?),
        Verb::Top(arguments) => Ok(top::top(&arguments)?),
    }
}
