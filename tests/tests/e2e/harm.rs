//! An agent that is hurt itself hurts nobody: clients get their answers all the while, what was not seen is told, and
//! nothing of the agent stays.

mod clock;
mod cycles;
mod disk;
mod load;
mod memory;
mod mounts;
mod namespace;
mod stopped;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use redtap_tests::agent::Agent;
use redtap_tests::metrics::Scrape;
use redtap_tests::process::scratch;
use redtap_tests::wait::{self, PATIENCE};
use tempfile::TempDir;

/// A script that does `before` with itself and then becomes the agent with the arguments that it was given.
struct Wrapped {
    script: PathBuf,
    _directory: TempDir,
}

impl Wrapped {
    /// `before` ends with the beginning of a command; `after` are redirections.
    fn new(redtap: &Path, before: &str, after: &str) -> Self {
        let directory = scratch();
        let script = directory.path().join("redtap");
        let text = format!("#!/bin/sh\n{before} {} \"$@\" {after}\n", redtap.display());
        fs::write(&script, text).expect("a script");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("permissions of a script");
        Self { script, _directory: directory }
    }
}

/// The requests to every nginx that its side counted, of any outcome.
fn served(scrape: &Scrape) -> u64 {
    scrape.count("http_server_request_duration_seconds_count", &[("service_name", "nginx")])
}

/// Waits until the servers' side counts so many requests, no fewer and no more.
fn assert_counted(agent: &Agent, asked: u64) -> Scrape {
    let told = wait::within(PATIENCE, || {
        let scrape = agent.scrape();
        (served(&scrape) == asked).then_some(scrape)
    });
    told.unwrap_or_else(|| {
        let scrape = agent.scrape();
        panic!("{asked} were asked, {} are counted; dropped: {:?}", served(&scrape), scrape.dropped())
    })
}
