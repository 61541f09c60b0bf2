//! The binary: reads the command line, runs the verb, says in one sentence what went wrong.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = redtap::cli::Cli::parse();
    redtap::command::execute(cli).unwrap_or_else(|error| {
        eprintln!("redtap: {error}");
        error.exit_code()
    })
}
