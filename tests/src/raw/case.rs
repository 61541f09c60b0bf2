//! A case: what happens, and what the agent is to tell of it.
//!
//! ```text
//! case name
//! # why
//! C: bytes          the client sends, see `text` for escapes; an indented line goes on with the line before
//! S: bytes          the server sends
//! C/3: bytes        three bytes a segment
//! C!: bytes         nobody reads them (yet)
//! C half-closes     also: closes, resets
//! agent starts      all before this happened without an agent
//! agent reports 1   wait until it told that many exchanges at each side
//! = GET /a 200 req=0 resp=2      one exchange, as each side sees it
//! =3 GET /%d 200                 three, numbered from 0
//! ~ websocket client=3 server=5  what the connection became, and its bytes
//! ```
//!
//! After the status (`-`: none): `req=` and `resp=` with bytes, `none` (0 or not told), `-` (not told) or `?`
//! (whatever), 0 if left out where there is a status; `version=`, `partial`, `prefix` (the target told is how it
//! begins), `stream=KIND`, `address=` (`server.address`), `at=server` or `at=client` (that side only), `maybe` (it may
//! be left out), and the outcome where it does not follow from the status.

use std::path::Path;

use super::text;
use crate::ledger::{Entry, Expect, outcome_of};
use crate::line::{Outcome, ROLES, Role};

/// An end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who connected.
    Client,
    /// Who accepted.
    Server,
}

/// How a side ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It sends no more but reads on.
    HalfClose,
    /// In order.
    Close,
    /// By RST.
    Reset,
}

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Bytes are sent.
    Send {
        /// By whom.
        by: Side,
        /// What.
        bytes: Vec<u8>,
        /// Bytes a segment; all in one if `None`.
        piece: Option<usize>,
        /// The other side reads them.
        read: bool,
    },
    /// A side ends.
    End(Side, End),
    /// From here on an agent watches.
    AgentStarts,
    /// The agent has told this many exchanges at each side.
    AgentReports(usize),
}

/// The end of a stream that the agent is to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamExpectation {
    /// What it was.
    pub kind: String,
    /// Payload bytes from the client.
    pub client_bytes: u64,
    /// Payload bytes from the server.
    pub server_bytes: u64,
}

/// A conversation on one connection.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name, unique in its file.
    pub name: String,
    /// What happens.
    pub steps: Vec<Step>,
    /// Streams that come of it, at each side.
    pub streams: Vec<StreamExpectation>,
    expected: Vec<Entry>,
}

impl Case {
    /// The exchanges that come of it, with a server at `port`, in order.
    #[must_use]
    pub fn expected(&self, port: u16) -> Vec<Entry> {
        self.expected.iter().map(|entry| entry.at(port)).collect()
    }
}

impl Side {
    pub(super) fn index(self) -> usize {
        match self {
            Self::Client => 0,
            Self::Server => 1,
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// Reads the cases of a file.
///
/// # Panics
/// On what is no case, naming the line.
#[must_use]
pub fn load(path: &Path) -> Vec<Case> {
    let content = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in logical_lines(&content) {
        let place = || format!("{}:{number}: {line}", path.display());
        if let Some(name) = line.strip_prefix("case ") {
            assert!(cases.iter().all(|case| case.name != name), "{}: twice", place());
            cases.push(Case {
                name: name.to_owned(),
                steps: Vec::new(),
                streams: Vec::new(),
                expected: Vec::new(),
            });
            continue;
        }
        let case = cases.last_mut().unwrap_or_else(|| panic!("{}: before any case", place()));
        read_line(case, &line).unwrap_or_else(|error| panic!("{}: {error}", place()));
    }
    assert!(!cases.is_empty(), "{}: no cases", path.display());
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
    if let Some(expectation) = line.strip_prefix('=') {
        case.expected.extend(entries(expectation)?);
    } else if let Some(stream) = line.strip_prefix("~ ") {
        case.streams.push(stream_end(stream)?);
    } else {
        case.steps.push(step(line)?);
    }
    Ok(())
}

fn step(line: &str) -> Result<Step, String> {
    if line == "agent starts" {
        return Ok(Step::AgentStarts);
    }
    if let Some(count) = line.strip_prefix("agent reports ") {
        return count.parse().map(Step::AgentReports).map_err(|error| error.to_string());
    }
    let (by, rest) = match line.split_at_checked(1) {
        Some(("C", rest)) => (Side::Client, rest),
        Some(("S", rest)) => (Side::Server, rest),
        _ => return Err("neither C nor S".to_owned()),
    };
    match rest {
        " half-closes" => return Ok(Step::End(by, End::HalfClose)),
        " closes" => return Ok(Step::End(by, End::Close)),
        " resets" => return Ok(Step::End(by, End::Reset)),
        _ => {}
    }
    let (how, payload) = rest.split_once(": ").ok_or("no colon")?;
    let piece = how.strip_prefix('/').map(str::parse).transpose().map_err(|error| format!("{how}: {error}"))?;
    if piece.is_none() && !matches!(how, "" | "!") {
        return Err(format!("how is {how:?} sent"));
    }
    Ok(Step::Send { by, bytes: text::bytes(payload)?, piece, read: how != "!" })
}

fn stream_end(line: &str) -> Result<StreamExpectation, String> {
    let mut words = line.split(' ');
    let kind = words.next().ok_or("no kind")?.to_owned();
    let mut size = |name: &str| -> Result<u64, String> {
        let word = words.next().and_then(|word| word.strip_prefix(name)).ok_or(format!("no {name}"))?;
        word.parse().map_err(|error| format!("{word}: {error}"))
    };
    Ok(StreamExpectation { kind, client_bytes: size("client=")?, server_bytes: size("server=")? })
}

fn entries(line: &str) -> Result<Vec<Entry>, String> {
    let (count, exchange) = line.split_once(' ').ok_or("nothing expected")?;
    let count: usize =
        if count.is_empty() { 1 } else { count.parse().map_err(|error| format!("{count}: {error}"))? };
    let mut all = Vec::new();
    for number in 0..count {
        all.extend(entry(&exchange.replace("%d", &number.to_string()))?);
    }
    Ok(all)
}

fn entry(line: &str) -> Result<Vec<Entry>, String> {
    let words: Vec<&str> = line.split(' ').collect();
    let [method, target, status, attributes @ ..] = words.as_slice() else { return Err("too short".to_owned()) };
    let target = match *target {
        "-" => Expect::Absent,
        target => Expect::Is(String::from_utf8(text::bytes(target)?).map_err(|error| error.to_string())?),
    };
    let status = match *status {
        "-" => None,
        status => Some(status.parse::<u16>().map_err(|error| format!("{status}: {error}"))?),
    };
    let roles = ROLES
        .into_iter()
        .filter(|role| !attributes.contains(&if *role == Role::Server { "at=client" } else { "at=server" }));
    roles
        .map(|role| {
            let sizes =
                if status.is_some() { (Expect::Is(0), Expect::Is(0)) } else { (Expect::Any, Expect::Nothing) };
            let mut entry = Entry {
                target: target.clone(),
                status: status.map_or(Expect::Absent, Expect::Is),
                outcome: status.map_or(Expect::Any, |status| Expect::Is(outcome_of(role, status))),
                request_body: sizes.0,
                response_body: sizes.1,
                version: Expect::Is("1.1".to_owned()),
                ..Entry::answered(role, 0, method, "", 0)
            };
            attributes.iter().try_for_each(|attribute| set(&mut entry, attribute))?;
            Ok(entry)
        })
        .collect()
}

fn set(entry: &mut Entry, attribute: &str) -> Result<(), String> {
    let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
    match name {
        "req" => entry.request_body = size(value)?,
        "resp" => entry.response_body = size(value)?,
        "version" => entry.version = Expect::Is(value.to_owned()),
        "address" => entry.address = Expect::Is(value.to_owned()),
        "stream" => entry.stream = Some(value.to_owned()),
        "partial" => entry.partial = if value == "?" { Expect::Any } else { Expect::Is(true) },
        "prefix" => entry.target_prefix = true,
        "maybe" => entry.optional = true,
        "at" => {}
        "outcome" => entry.outcome = Expect::Any,
        outcome => entry.outcome = Expect::Is(outcome_named(outcome)?),
    }
    Ok(())
}

fn outcome_named(name: &str) -> Result<Outcome, String> {
    serde_json::from_value(serde_json::Value::from(name)).map_err(|_| format!("what is {name:?}"))
}

fn size(value: &str) -> Result<Expect<u64>, String> {
    Ok(match value {
        "?" => Expect::Any,
        "-" => Expect::Absent,
        "none" => Expect::Nothing,
        bytes => Expect::Is(bytes.parse().map_err(|error| format!("{bytes}: {error}"))?),
    })
}
