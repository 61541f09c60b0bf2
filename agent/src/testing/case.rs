//! A case: what each side sends, and what is to be told of it.
//!
//! ```text
//! case name
//! # why
//! > bytes            the client sends (escapes and repetitions: see `text`); an indented line goes on with the last
//! < bytes            the server sends
//! >! bytes           likewise, but their record is lost: the ring is full
//! > FIN              also: RST
//! agent starts       all before this passed unseen
//! wait 300s          nothing happens for so long
//! segments as written   cut nowhere else: what is told depends on it
//! capture 1024       true only where so much of a head is captured
//! flow opaque        what the connection counts as now: undecided, http, opaque or stream
//! = GET /a 200 req=3 resp=2       one exchange
//! =3 GET /%d 200                  three, numbered from 0
//! ~ websocket client=3 server=5   what the connection became, and its bytes
//! ```
//!
//! An exchange is its method, target and status (`-`: not seen), and then what is not usual, in this order: the
//! outcome, unless it is what the status means for that side; `rst`, if it came so; `req=` and `resp=` with body
//! bytes on the wire, chunked framing included, if they are not 0 (`-`: not known); `HTTP/1.0`; `partial`;
//! `stream=KIND`.

use std::{path::Path, time::Duration};

use super::text;
use crate::exchange::Role;

/// What happens next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Bytes are sent.
    Send {
        /// By whom.
        from: Role,
        /// What.
        bytes: Vec<u8>,
        /// Their record is lost.
        lost: bool,
    },
    /// A side sends no more.
    Fin(Role),
    /// A side breaks the connection.
    Rst(Role),
    /// From here on an agent watches.
    AgentStarts,
    /// Nothing happens for so long.
    Wait(Duration),
    /// The connection counts as this.
    Class(String),
}

/// A conversation on one connection.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// The file's name and its own.
    pub name: String,
    /// What happens.
    pub steps: Vec<Step>,
    /// What is told: lines as [`super::Told::lines`] writes them.
    pub expected: Vec<String>,
    /// Each write is one segment.
    pub as_written: bool,
    /// Bytes of a head that are captured, where what is told depends on it.
    pub capture: Option<u32>,
}

/// Every case of a directory of the crate.
///
/// # Panics
/// On what is no case, naming the line.
#[must_use]
pub fn load(directory: &str) -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let entries = std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "case"));
    files.sort();
    let cases: Vec<Case> = files.iter().flat_map(|file| load_file(file)).collect();
    assert!(!cases.is_empty(), "{}: no cases", directory.display());
    cases
}

fn load_file(path: &Path) -> Vec<Case> {
    let content = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in logical_lines(&content) {
        let place = || format!("{}:{number}: {line}", path.display());
        if let Some(name) = line.strip_prefix("case ") {
            let name = format!("{file}: {name}");
            assert!(cases.iter().all(|case| case.name != name), "{}: twice", place());
            cases.push(Case { name, ..Case::default() });
            continue;
        }
        let case = cases.last_mut().unwrap_or_else(|| panic!("{}: before any case", place()));
        read_line(case, &line).unwrap_or_else(|error| panic!("{}: {error}", place()));
    }
    cases
}

/// Lines with their continuations, without comments, and the number of the first of each.
fn logical_lines(content: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (number, line) in
        content.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
    {
        match lines.last_mut() {
            Some((_, last)) if line.starts_with(' ') => last.push_str(line.trim_start()),
            _ => lines.push((number + 1, line.to_owned())),
        }
    }
    lines
}

fn read_line(case: &mut Case, line: &str) -> Result<(), String> {
    let (first, rest) = line.split_once(' ').ok_or("one word")?;
    match (first, rest) {
        (">" | ">!" | "<" | "<!", _) => case.steps.push(step(first, rest)?),
        ("agent", "starts") => case.steps.push(Step::AgentStarts),
        ("wait", seconds) => {
            let seconds = seconds.strip_suffix('s').ok_or("no unit")?;
            let seconds = seconds.parse().map_err(|error| format!("{seconds}: {error}"))?;
            case.steps.push(Step::Wait(Duration::from_secs(seconds)));
        }
        ("segments", "as written") => case.as_written = true,
        ("capture", bytes) => {
            case.capture = Some(bytes.parse().map_err(|error| format!("{bytes}: {error}"))?);
        }
        ("flow", class) => case.steps.push(Step::Class(class.to_owned())),
        ("~", _) => case.expected.push(line.to_owned()),
        (count, exchange) => {
            let count = count.strip_prefix('=').ok_or("neither sent, told nor a directive")?;
            let count: usize =
                if count.is_empty() { 1 } else { count.parse().map_err(|_| "no number after =")? };
            for number in 0..count {
                let told = text::bytes(&exchange.replace("%d", &number.to_string()))?;
                case.expected.push(String::from_utf8_lossy(&told).into_owned());
            }
        }
    }
    Ok(())
}

fn step(who: &str, what: &str) -> Result<Step, String> {
    let from = if who.starts_with('>') { Role::Client } else { Role::Server };
    Ok(match what {
        "FIN" => Step::Fin(from),
        "RST" => Step::Rst(from),
        _ => Step::Send { from, bytes: text::bytes(what)?, lost: who.ends_with('!') },
    })
}
