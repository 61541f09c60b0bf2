//! `vm --arm64`: the binary that is shipped for an architecture that is not the host's, on Debian's kernel for it. The stories' programs
//! are the host's, so that what is told here is short: it starts, and counts requests.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::guest::Guest;
use super::kernels;
use super::machine::Machine;
use super::outcome::{Outcome, Program};
use crate::architecture::Architecture;
use crate::process::say;
use crate::{build, workspace};

/// The kernel that is booted.
const LINE: &str = "6.12";

const MACHINE: Machine = Machine { memory: 1024, deadline: Duration::from_secs(1800) };

/// Requests that `foreign.sh` makes, by what they are answered with.
const REQUESTS: [(&str, u32); 2] = [("200", 20), ("404", 1)];

/// Builds the agent, boots a kernel and compares what is told with what was asked.
///
/// # Errors
/// When the agent does not build, the machine does not come to its end, a program does not load, or a count is another.
pub fn run(architecture: Architecture) -> Result<()> {
    let redtap = build::release_for(architecture, &workspace::root(), &workspace::target()?)?;
    let kernel = kernels::kernels(&[LINE.to_owned()], architecture)?.remove(0);
    let guest = Guest {
        files: vec![(redtap, PathBuf::from("/usr/local/bin/redtap"))],
        steps: include_str!("foreign.sh").to_owned(),
        busybox: Some(kernels::program("busybox-static", "usr/bin/busybox", architecture)?),
        ..Guest::default()
    };
    let name = format!("{}-{}", kernel.version, architecture.debian());
    let directory = workspace::scratch("vm")?;
    let (root, log) = (directory.join(format!("{name}.cpio")), directory.join(format!("{name}.log")));
    say(&format!("linux {} on {}: {}", kernel.version, architecture.debian(), log.display()));
    guest.root(&kernel, &root)?;
    let told = MACHINE.run(&kernel, &root, &log)?;
    if let Some(failure) = told.iter().find_map(|line| line.strip_prefix("show failure ")) {
        bail!("in the machine: {failure}");
    }
    let outcome = Outcome::read(&kernel.version, &kernel.line(), &told)?;
    let refused = outcome.programs.iter().find(|(_, program)| matches!(program, Program::Refused(_)));
    ensure!(refused.is_none(), "linux {}: {refused:?}", kernel.version);
    for (status, requests) in REQUESTS {
        for role in ["client", "server"] {
            let counted = counted(&told, role, status);
            ensure!(counted == f64::from(requests), "{role}: {requests} requests with {status}, {counted} told");
        }
    }
    let programs = outcome.programs.len();
    say(&format!(
        "the binary for {} runs on linux {}, with {programs} programs",
        architecture.debian(),
        kernel.version
    ));
    Ok(())
}

/// Requests that the metrics tell of, but for those to the agent itself.
fn counted(told: &[String], role: &str, status: &str) -> f64 {
    let name = format!("show told http_{role}_request_duration_seconds_count{{");
    let status = format!("http_response_status_code=\"{status}\"");
    let lines = told.iter().filter(|line| line.starts_with(&name) && line.contains(&status));
    let lines = lines.filter(|line| !line.contains("server_port=\"9440\""));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}
