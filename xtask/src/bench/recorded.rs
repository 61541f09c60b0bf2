//! The pipeline of user space alone, from a recording.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context as _, Result};

use super::child::{Child, bound};
use super::load::Load;
use super::server::Server;
use super::wait;
use crate::process::output;

/// Seconds of load that are recorded.
const SECONDS: u32 = 2;

/// How often the recording is replayed.
const REPLAYS: usize = 3;

/// Records keep-alive load and replays it: exchanges a second on one core, of every replay, the best last.
///
/// # Errors
/// When either fails.
pub fn best_replay(redtap: &Path, server: &Server) -> Result<Vec<f64>> {
    let file = server.directory().join("recording");
    record(redtap, server, &file)?;
    let mut rates = Vec::new();
    for _ in 0..REPLAYS {
        let text = output(bound(redtap).args(["replay", "--bench"]).arg(&file))?;
        let rate =
            text.lines().find_map(|line| line.strip_suffix(" exchanges/s")?.rsplit(": ").next()?.parse().ok());
        rates.push(rate.with_context(|| format!("no rate of the replay: {text}"))?);
    }
    rates.sort_by(f64::total_cmp);
    Ok(rates)
}

fn record(redtap: &Path, server: &Server, file: &Path) -> Result<()> {
    let log = server.directory().join("record.log");
    let mut command = bound(redtap);
    command.arg("record").arg(file).stderr(File::create(&log).context("cannot make the recorder's log")?);
    let mut recorder = Child::spawn(&mut command)?;
    wait::until("the recorder's programs", || {
        let said = fs::read_to_string(&log).unwrap_or_default();
        recorder.alive().with_context(|| format!("redtap record: {said}"))?;
        Ok(said.contains("attached").then_some(()))
    })?;
    Load::KeepAlive.run(server, SECONDS)?;
    recorder.terminate().context("redtap record")
}
