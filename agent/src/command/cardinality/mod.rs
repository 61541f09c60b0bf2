//! `redtap cardinality`: which metrics and which of their labels cost the most series, and what could go without loss.
//!
//! `fetch` gets a page from a running agent, `page` reads it, `cost` counts. `text` and `svg` show the result to people;
//! as JSON it is what `cost` made. Everything is counted on the page itself: what an exclusion would save is not estimated.

mod cost;
mod fetch;
mod page;
mod svg;
mod text;

use std::{
    fs::File,
    io::{self, Read, Write as _},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueHint};

use self::{cost::Report, page::Page};
use super::ask::{self, Endpoint};

/// Longest page that is read: a million series are a quarter of it.
const LONGEST: u64 = 512 << 20;

/// `redtap cardinality`
#[derive(Debug, Args)]
pub struct Arguments {
    /// A page of metrics instead of a running agent's, as OpenMetrics or as Prometheus text; `-` is standard input
    #[arg(value_hint = ValueHint::FilePath, conflicts_with = "url")]
    pub file: Option<PathBuf>,
    /// The agent's HTTP address, or unix:/PATH; where TLS or a password guards it: curl … | redtap cardinality -
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9440", value_hint = ValueHint::Url)]
    pub url: String,
    /// Print a JSON document instead of tables
    #[arg(long)]
    pub json: bool,
    /// Print a flame graph of series by service, metric and attributes, as SVG
    #[arg(long, conflicts_with = "json")]
    pub svg: bool,
    /// How many rows of each table to show
    #[arg(long, value_name = "N", default_value = "10")]
    pub top: NonZeroUsize,
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The agent does not tell.
    #[error(transparent)]
    Agent(#[from] ask::Error),
    /// A file, or standard output.
    #[error("cannot {0}: {1}")]
    Io(String, io::Error),
    /// It is no page of metrics.
    #[error("line {line} is not of a page of metrics: {reason}")]
    Malformed {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Runs it to its end.
///
/// # Errors
/// If there is no page, or nobody to write to.
pub fn cardinality(arguments: &Arguments) -> Result<ExitCode, Error> {
    let page = match &arguments.file {
        Some(file) => read(file)?,
        None => {
            let endpoint = Endpoint::parse(&arguments.url)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| Error::Io("start".to_owned(), error))?;
            runtime.block_on(fetch::fetch(&endpoint))?
        }
    };
    let page = Page::parse(&page)?;
    let shown = if arguments.svg { svg::flame_graph(&page) } else { report(&page, arguments)? };
    let written = io::stdout().write_all(shown.as_bytes());
    written.map_err(|error| Error::Io("write to standard output".to_owned(), error))?;
    Ok(ExitCode::SUCCESS)
}

fn report(page: &Page, arguments: &Arguments) -> Result<String, Error> {
    let mut report = Report::new(page);
    report.truncate(arguments.top.get());
    if !arguments.json {
        return Ok(text::tables(&report, arguments.top.get()));
    }
    let document = serde_json::to_string_pretty(&report);
    document.map(|text| text + "\n").map_err(|error| Error::Io("write the document".to_owned(), error.into()))
}

fn read(path: &Path) -> Result<String, Error> {
    let failed = |error| Error::Io(format!("read {}", path.display()), error);
    let source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path).map_err(failed)?) };
    let mut text = String::new();
    source.take(LONGEST + 1).read_to_string(&mut text).map_err(failed)?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= LONGEST) {
        return Ok(text);
    }
    Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 512 MiB")))
}

#[cfg(test)]
mod tests;
