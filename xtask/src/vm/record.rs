//! What is known of kernels, as files of the repository: the table for readers, and the verifier's cost of each program.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{fs, slice};

use anyhow::{Context as _, Result, bail};

use super::outcome::{Outcome, Program};
use super::table::{merged, replaced, table};
use crate::process::say;
use crate::workspace;

/// What the table lies between.
const BEGIN: &str = "<!-- cargo xtask vm --record -->";
const END: &str = "<!-- end -->";

/// By how much the verifier's cost of a program may exceed what is recorded: kernels of one line differ a little.
const TOLERANCE: f64 = 0.10;

/// Instructions by kernel's line and program.
type Verified = BTreeMap<(String, String), u64>;

fn verified_file() -> PathBuf {
    workspace::root().join("tests/vm/verified.txt")
}

/// Writes both, as far as it was found out on one kernel; the rest stays as it was.
///
/// # Errors
/// When a file cannot be written, or has no place for the table.
pub fn write(outcome: &Outcome) -> Result<()> {
    let verified = verified_file();
    let outcome = slice::from_ref(outcome);
    write_between(BEGIN, END, |old| merged(&table(outcome), old))?;
    let mut all = read(&fs::read_to_string(&verified).unwrap_or_default());
    let found = found(outcome);
    all.retain(|(line, _), _| found.keys().all(|(found, _)| found != line));
    all.extend(found);
    fs::write(&verified, written(&all)).with_context(|| format!("cannot write {}", verified.display()))
}

/// Replaces what lies between two lines of the README by what `by` makes of it.
///
/// # Errors
/// When they are not there, or it cannot be written.
pub fn write_between(begin: &str, end: &str, by: impl FnOnce(&str) -> String) -> Result<()> {
    let document = workspace::root().join("README.md");
    let before = fs::read_to_string(&document).context("cannot read README.md")?;
    let after = replaced(&before, begin, end, by).context("README.md has no place for a table")?;
    fs::write(&document, after).context("cannot write README.md")
}

/// Compares the verifier's cost with what is recorded.
///
/// # Errors
/// When it exceeds that by more than the tolerance.
pub fn compare(outcomes: &[Outcome]) -> Result<()> {
    let recorded = read(&fs::read_to_string(verified_file()).unwrap_or_default());
    let complaints = risen(&recorded, &found(outcomes));
    if complaints.is_empty() {
        say("the verifier takes no longer than is recorded in tests/vm/verified.txt");
        return Ok(());
    }
    bail!("the verifier takes longer than tests/vm/verified.txt says (--record to have it so):\n{complaints}")
}

fn found(outcomes: &[Outcome]) -> Verified {
    let mut found = Verified::new();
    for outcome in outcomes {
        for (name, state) in &outcome.programs {
            if let Program::Attached(Some(instructions)) = state {
                found.insert((outcome.line.clone(), name.clone()), *instructions);
            }
        }
    }
    found
}

/// A line for each that has risen, or is new. Of a kernel that nothing is recorded of, nothing is said.
fn risen(recorded: &Verified, found: &Verified) -> String {
    let mut text = String::new();
    let is_known = |line: &String| recorded.keys().any(|(known, _)| known == line);
    for ((line, program), now) in found.iter().filter(|((line, _), _)| is_known(line)) {
        let before = recorded.get(&(line.clone(), program.clone()));
        if before.is_none_or(|before| *now as f64 > *before as f64 * (1.0 + TOLERANCE)) {
            let before = before.map_or_else(|| "not recorded".to_owned(), u64::to_string);
            let _ = writeln!(text, "linux {line}: {program}: {before}, now {now}");
        }
    }
    text
}

/// `LINE PROGRAM INSTRUCTIONS`, a line each; `#` begins a comment.
fn read(text: &str) -> Verified {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut words = line.split(' ');
            let key = (words.next()?.to_owned(), words.next()?.to_owned());
            Some((key, words.next()?.parse().ok()?))
        })
        .collect()
}

fn written(verified: &Verified) -> String {
    let mut text =
        "# Instructions that the verifier goes through, by kernel and program: cargo xtask vm --record.\n"
            .to_owned();
    for ((line, program), instructions) in verified {
        let _ = writeln!(text, "{line} {program} {instructions}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{read, risen, written};

    #[test]
    fn what_is_written_is_read() {
        let verified = read("# a\n5.10 ingress 7\n6.1 egress 9\n");
        assert_eq!(verified.len(), 2);
        assert_eq!(read(&written(&verified)), verified);
    }

    #[test]
    fn what_rises_above_the_tolerance_is_told() {
        let recorded = read("6.1 a 100\n6.1 b 100\n6.1 c 100\n6.1 gone 1\n");
        let found = read("6.1 a 110\n6.1 b 111\n6.1 c 3\n6.1 d 1\n7.9 a 1000\n");
        assert_eq!(risen(&recorded, &found), "linux 6.1: b: 100, now 111\nlinux 6.1: d: not recorded, now 1\n");
    }
}
