//! `bench`: what being watched costs, as ratios of unwatched to watched runs that take turns.

mod agent;
mod child;
mod first;
mod load;
mod outcome;
mod recorded;
mod server;
mod table;
mod wait;

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Result, bail, ensure};

use crate::process::{command, is_root, output, say};
use crate::{build, setup, workspace};
use agent::Agent;
use load::{Load, Measure};
use outcome::{Outcome, Pair};
use server::Server;

/// How long to measure.
#[derive(Clone, Copy)]
pub struct Options {
    /// Pairs of an unwatched and a watched run of every load.
    pub rounds: u32,
    /// Seconds of a run.
    pub seconds: u32,
}

/// Measures, and prints a table of what was found against the design's bars. `REDTAP_BIN` is measured when set.
///
/// # Errors
/// When not root, when something cannot be run, and when the agent lost or miscounted exchanges.
pub fn bench(options: Options) -> Result<()> {
    ensure!(options.rounds > 0 && options.seconds > 0, "nothing to measure in no time");
    if !is_root() {
        bail!("bench loads programs into the kernel and needs root: run as root: cargo xtask bench");
    }
    setup::setup_tests()?;
    let redtap = match env::var_os("REDTAP_BIN") {
        Some(redtap) => PathBuf::from(redtap),
        None => build::release()?,
    };
    build::programs()?;
    let directory = workspace::scratch("bench")?;
    let measured = measure(&redtap, &directory, options);
    // A recording and a large file, however it ended.
    let _ = fs::remove_dir_all(&directory);
    let outcome = measured?;
    table::print(&outcome.rows());
    outcome.verdict()
}

fn measure(redtap: &Path, directory: &Path, options: Options) -> Result<Outcome> {
    let load_average = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let busy = load_average.split(' ').next().unwrap_or_default();
    say(&format!("{} rounds of {} s; load average before: {busy}", options.rounds, options.seconds));
    let others = output(command("bpftool").args(["prog", "show"])).unwrap_or_default();
    let others = others.lines().filter(|line| line.contains(": cgroup_skb ")).count();
    if others > 0 {
        say(&format!("{others} cgroup_skb programs are here already: unwatched runs may not be unwatched"));
    }
    let server = Server::start(directory)?;
    let mut outcome = Outcome::default();
    for round in 1..=options.rounds {
        say(&format!("round {round} of {}", options.rounds));
        let keep_alive = pair(redtap, &server, Load::KeepAlive, options.seconds, &mut outcome)?;
        // Requests that come one by one take twice as long of the server as those that it finds waiting.
        let half = Load::Paced { rate: keep_alive.unwatched.rate / 4.0 };
        let paced = pair(redtap, &server, half, options.seconds, &mut outcome)?;
        let churn = pair(redtap, &server, Load::Churn, options.seconds, &mut outcome)?;
        let bulk = pair(redtap, &server, Load::Bulk, options.seconds, &mut outcome)?;
        outcome.keep_alive.push(keep_alive);
        outcome.paced.push(paced);
        outcome.churn.push(churn);
        outcome.bulk.push(bulk);
        outcome.programs.push(programs(redtap, &server, options.seconds)?);
    }
    say("recording, and replaying what was recorded");
    outcome.replayed = recorded::best_replay(redtap, &server)?;
    Ok(outcome)
}

/// One load, first unwatched, then watched by a fresh agent whose books are checked against nginx's.
fn pair(redtap: &Path, server: &Server, load: Load, seconds: u32, outcome: &mut Outcome) -> Result<Pair> {
    let unwatched = load.run(server, seconds)?;
    let agent = Agent::start(redtap, server.directory(), &[])?;
    outcome.start.push(agent.to_ready.as_secs_f64());
    outcome.idle.push(agent.memory()?);
    let (watched, cost) = watched(&agent, server, load, seconds, outcome)?;
    if matches!(load, Load::KeepAlive) {
        outcome.agent.push(cost);
        outcome.first.extend(first::to_first_exchange(&agent, server)?);
    }
    outcome.loaded.push(agent.memory()?);
    agent.stop()?;
    Ok(Pair { unwatched, watched })
}

/// The watched run, and the agent's CPU seconds an exchange in it.
fn watched(
    agent: &Agent,
    server: &Server,
    load: Load,
    seconds: u32,
    outcome: &mut Outcome,
) -> Result<(Measure, f64)> {
    let asked_before = server.requests()?;
    let before = agent.scrape()?;
    let measure = load.run(server, seconds)?;
    // The last question for the number is in it, the first one is not.
    let asked = server.requests()? - asked_before + 1;
    let after = agent.settled(asked)?;
    outcome.miscounted = outcome.miscounted.max(agent::miscounted(&after, asked, load.connections()));
    outcome.served += asked;
    outcome.dropped += after.sum("redtap_dropped_total", "") as u64;
    let exchanges = after.since(&before, "redtap_exchanges_total");
    Ok((measure, after.since(&before, "process_cpu_seconds_total") / exchanges))
}

/// CPU seconds of the kernel's programs an exchange, under keep-alive load.
fn programs(redtap: &Path, server: &Server, seconds: u32) -> Result<f64> {
    let agent = Agent::start(redtap, server.directory(), &["--program-stats"])?;
    let before = agent.scrape()?;
    let asked_before = server.requests()?;
    Load::KeepAlive.run(server, seconds)?;
    let after = agent.settled(server.requests()? - asked_before)?;
    agent.stop()?;
    let exchanges = after.since(&before, "redtap_exchanges_total");
    Ok(after.since(&before, "redtap_program_run_seconds_total") / exchanges)
}
