//! `redtap check`: what works on this host and what is lost without the rest. Attaches everything for a moment.

use std::{io::Write, process::ExitCode};

use serde::Serialize;

use super::{Error, live};
use crate::{
    config::Config,
    confine::{self, USES, Use},
    probe::{State, diag},
};

/// One line of the report.
#[derive(Serialize)]
struct Line {
    name: String,
    ok: bool,
    needs: &'static str,
    gives: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What the verifier went through to accept a program, where the kernel tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_instructions: Option<u32>,
}

/// A capability, which no feature is: whether one works is told by the features.
#[derive(Serialize)]
struct Privilege {
    name: &'static str,
    given: bool,
    gives: &'static str,
    lost: &'static str,
}

/// Prints the report; exit status 0 if everything works.
pub fn check(config: &Config, json: bool) -> Result<ExitCode, Error> {
    let mut lines = Vec::new();
    let privileges = privileges();
    match live::load(config) {
        Ok((probes, _ends)) => {
            for status in probes.programs() {
                let reason = match &status.state {
                    State::Attached => None,
                    State::NotNeeded => continue,
                    State::Refused(reason) => Some(reason.clone()),
                };
                lines.push(Line {
                    name: status.program.name.to_owned(),
                    ok: reason.is_none(),
                    needs: status.program.needs,
                    gives: status.program.gives,
                    lost: reason.as_ref().map(|_| status.program.lost),
                    reason,
                    verified_instructions: probes.verified_instructions(status.program.name),
                });
            }
        }
        Err(error) => lines.push(Line {
            name: "object".to_owned(),
            ok: false,
            needs: "root or CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN; cgroup v2; Linux 5.10",
            gives: "everything",
            lost: Some("everything"),
            reason: Some(error.to_string()),
            verified_instructions: None,
        }),
    }
    lines.push(existing());
    let well = lines.iter().all(|line| line.ok);
    let mut out = std::io::stdout().lock();
    let written = if json {
        let report = serde_json::json!({ "ok": well, "features": lines, "capabilities": privileges });
        writeln!(out, "{report:#}")
    } else {
        let features = lines.iter().try_for_each(|line| table_line(&mut out, line));
        features.and_then(|()| privileges.iter().try_for_each(|privilege| privilege_line(&mut out, privilege)))
    };
    written.map_err(Error::io("write to standard output"))?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether connections that are open already can be listed.
fn existing() -> Line {
    let pass = diag::pass(&diag::Bounds::default());
    // A process that hides its namespace is no fault of this host's; what cannot be listed is.
    let failure = pass.failures.iter().find(|failure| !matches!(failure, diag::Failure::Hidden { .. }));
    Line {
        name: "socket_diagnostics".to_owned(),
        ok: failure.is_none(),
        needs: "inet_diag and tcp_diag; CAP_SYS_ADMIN for other network namespaces",
        gives: "addresses and processes of connections older than the agent",
        lost: failure.map(|_| "those are learnt from their traffic alone"),
        reason: failure.map(ToString::to_string),
        verified_instructions: None,
    }
}

/// What the agent was given.
fn privileges() -> Vec<Privilege> {
    let held = confine::held();
    let each = |usage: &Use| Privilege {
        name: usage.name,
        given: held.contains(usage.capability),
        gives: usage.gives,
        lost: usage.lost,
    };
    USES.iter().map(each).collect()
}

fn privilege_line(out: &mut impl Write, privilege: &Privilege) -> std::io::Result<()> {
    let mark = if privilege.given { "given  " } else { "without" };
    writeln!(out, "{mark}  {:<20} {}", privilege.name, privilege.gives)?;
    if !privilege.given {
        writeln!(out, "         lost:  {}", privilege.lost)?;
    }
    Ok(())
}

fn table_line(out: &mut impl Write, line: &Line) -> std::io::Result<()> {
    let mark = if line.ok { "ok     " } else { "MISSING" };
    writeln!(out, "{mark}  {:<20} {}", line.name, line.gives)?;
    if let (Some(lost), Some(reason)) = (line.lost, &line.reason) {
        writeln!(out, "         needs: {}", line.needs)?;
        writeln!(out, "         lost:  {lost}")?;
        writeln!(out, "         why:   {reason}")?;
    }
    Ok(())
}
