//! From the start of a program to its first exchange on the agent's page.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};

use super::agent::Agent;
use super::child::{Child, bound};
use super::server::Server;
use super::wait;
use crate::process::find;

/// How often it is measured.
const TIMES: usize = 5;

/// Seconds from the start of curl, each time under another name, until the page has an exchange of that name.
///
/// # Errors
/// When it does not come.
pub fn to_first_exchange(agent: &Agent, server: &Server) -> Result<Vec<f64>> {
    let curl = find("curl").context("no curl")?;
    let url = format!("http://127.0.0.1:{}/", server.port());
    let mut times = Vec::new();
    for number in 0..TIMES {
        // Of one that has ended before it can be looked at, the kernel tells 15 bytes.
        let name = format!("bench-caller-{number}");
        let program = server.directory().join(&name);
        // Not a link: a process is called after its executable's own name.
        fs::copy(&curl, &program)
            .and_then(|_| fs::set_permissions(&program, fs::Permissions::from_mode(0o755)))
            .context("cannot copy curl")?;
        let began = wait::now();
        let mut command = bound(&program);
        let _child = Child::spawn(command.args(["--silent", "--output", "/dev/null", &url]))?;
        wait::until("the first exchange of a program", || {
            let of_it = format!("service_name=\"{name}\"");
            let made = agent.scrape()?.sum("http_client_request_duration_seconds_count", &of_it);
            Ok((made > 0.0).then_some(()))
        })?;
        times.push(began.elapsed().as_secs_f64());
    }
    Ok(times)
}
