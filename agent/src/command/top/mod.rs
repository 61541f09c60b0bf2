//! `redtap top`: the services of a running agent, live in a terminal or once as text.
//!
//! `fetch` reads the agent's `/api/v1/services`; `model` makes rows of two of those documents; `state` is what a person
//! can change of the view, `render` draws it, `live` runs it. `once` is for scripts.

mod fetch;
mod live;
mod model;
mod once;
mod render;
mod state;
mod text;

use std::{process::ExitCode, time::Duration};

use clap::{Args, ValueHint};

use crate::{
    command::ask::{self, Endpoint},
    config::value,
};

/// `redtap top`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The agent's HTTP address, or unix:/PATH
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9440", value_hint = ValueHint::Url)]
    pub url: String,
    /// Time between two looks
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    pub interval: Duration,
    /// What to sort by
    #[arg(long, value_name = "COLUMN", value_enum, default_value_t)]
    pub sort: Column,
    /// Show services whose name or role has this in it, whatever the case
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub filter: String,
    /// Look twice, print a table, and end
    #[arg(long)]
    pub once: bool,
    /// Print a JSON document instead of a table
    #[arg(long, requires = "once")]
    pub json: bool,
}

/// A column to sort by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Column {
    /// Requests a second
    #[default]
    Rate,
    /// Part of them that failed
    Errors,
    /// Median duration
    P50,
    /// Duration that 95 % stay below
    P95,
    /// Duration that 99 % stay below
    P99,
    /// Bytes received a second
    In,
    /// Bytes sent a second
    Out,
    /// Segments sent again a second
    Retransmits,
    /// Name, then role
    Name,
}

impl Column {
    /// As the command line has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Errors => "errors",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::In => "in",
            Self::Out => "out",
            Self::Retransmits => "retransmits",
            Self::Name => "name",
        }
    }
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The agent does not tell.
    #[error(transparent)]
    Agent(#[from] ask::Error),
    /// Something else is there.
    #[error("{0} is no redtap, or not of a version that knows this: {1}")]
    Foreign(String, String),
    /// The terminal, or standard output.
    #[error("cannot {0}: {1}")]
    Io(&'static str, std::io::Error),
}

/// Runs it to its end.
pub fn top(arguments: &Arguments) -> Result<ExitCode, Error> {
    let endpoint = Endpoint::parse(&arguments.url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Io("start", error))?;
    if arguments.once {
        once::run(arguments, &endpoint, &runtime)?;
    } else {
        live::run(arguments, endpoint, runtime)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn interval(text: &str) -> Result<Duration, String> {
    let range = Duration::from_millis(100)..=Duration::from_secs(3_600);
    value::duration(text, range).map_err(|rejected| match rejected.nearest {
        Some(nearest) => format!("expected {}; the nearest is {nearest}", rejected.expected),
        None => format!("expected {}", rejected.expected),
    })
}

#[cfg(test)]
mod tests {
    use clap::{Parser, ValueEnum};

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(line: &str) -> Result<Arguments, clap::error::ErrorKind> {
        let line = ["top"].into_iter().chain(line.split_ascii_whitespace());
        Line::try_parse_from(line).map(|line| line.arguments).map_err(|error| error.kind())
    }

    #[test]
    fn arguments() {
        use clap::error::ErrorKind::{ArgumentConflict, InvalidValue, MissingRequiredArgument, ValueValidation};
        let default = parse("").unwrap();
        assert_eq!((default.url.as_str(), default.interval), ("http://127.0.0.1:9440", Duration::from_secs(1)));
        assert_eq!((default.sort, default.filter.as_str(), default.once), (Column::Rate, "", false));
        for (line, expected) in [
            ("--once --json --interval 500ms --sort retransmits --filter web", None),
            ("--interval 50ms", Some(ValueValidation)),
            ("--interval 5", Some(ValueValidation)),
            ("--sort size", Some(InvalidValue)),
            ("--json", Some(MissingRequiredArgument)),
            ("--once --once", Some(ArgumentConflict)),
        ] {
            assert_eq!(parse(line).err(), expected, "{line}");
        }
    }

    #[test]
    fn words_are_those_of_the_command_line() {
        for column in Column::value_variants() {
            assert_eq!(column.to_possible_value().map(|value| value.get_name() == column.word()), Some(true));
            assert!(state::COLUMNS.contains(column));
        }
        assert_eq!(Column::value_variants().len(), state::COLUMNS.len());
    }

    #[test]
    fn an_address_that_is_none_fails_before_anything_else() {
        let arguments = Arguments { url: "localhost".to_owned(), ..parse("--once").unwrap() };
        let error = top(&arguments).unwrap_err().to_string();
        assert_eq!(error, "cannot use --url localhost: expected http://HOST:PORT or unix:/PATH");
    }
}
