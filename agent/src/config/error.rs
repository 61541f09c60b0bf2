//! Errors of configuration: which key, which value, from where, and what was probably meant.

use std::{fmt, io, path::PathBuf};

use super::value::Rejected;

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag, with its dashes.
    Flag(String),
    /// An environment variable.
    Environment(String),
    /// A line of the configuration file, from 1.
    File(PathBuf, u64),
}

/// The configuration is not valid. The message is one sentence, with the remedy where it is known.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A key, or an environment variable, that is none of ours.
    #[error("{origin}: unknown key {key:?}{}", suggestion(nearest.as_deref()))]
    UnknownKey {
        /// Where it stands.
        origin: Origin,
        /// The key as written.
        key: String,
        /// The key that it was probably meant to be.
        nearest: Option<String>,
    },
    /// A value that its key does not take.
    #[error(
        "{origin}: {value:?} is no value for {key}: expected {}{}",
        rejected.expected,
        suggestion(rejected.nearest.as_deref())
    )]
    BadValue {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: &'static str,
        /// The value as written.
        value: String,
        /// Why.
        rejected: Rejected,
    },
    /// An environment variable of ours whose name or value is no text.
    #[error("environment variable {name:?} is not valid UTF-8")]
    NotText {
        /// Its name, as far as it is text.
        name: String,
    },
    /// Settings that are valid alone, and not together.
    #[error("{} and {}: {reason}", keys[0], keys[1])]
    Conflict {
        /// Which.
        keys: [&'static str; 2],
        /// Why not, and what to do.
        reason: &'static str,
    },
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what we read as YAML: one mapping from keys to values.
    #[error("{origin}: {message}")]
    Syntax {
        /// Where.
        origin: Origin,
        /// What is wrong.
        message: String,
    },
}

/// A variable of the OpenTelemetry specification that is as if not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// It has a value that it does not take.
    #[error(
        "environment variable {variable}: {value:?} is passed over: expected {}{}",
        rejected.expected,
        suggestion(rejected.nearest.as_deref())
    )]
    BadValue {
        /// Which.
        variable: &'static str,
        /// Its value, without what may be a secret.
        value: String,
        /// Why.
        rejected: Rejected,
    },
    /// It is no text.
    #[error("environment variable {name:?} is passed over: it is not valid UTF-8")]
    NotText {
        /// Its name, as far as it is text.
        name: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => formatter.write_str(flag),
            Self::Environment(name) => write!(formatter, "environment variable {name}"),
            Self::File(path, line) => write!(formatter, "{}:{line}", path.display()),
        }
    }
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; the nearest is {nearest:?}"))
}
