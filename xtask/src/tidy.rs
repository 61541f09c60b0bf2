//! The repository's own rules, those that no other tool knows.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::process::{command, output};

/// The most lines of a source file; more are two ideas.
const MOST_LINES: usize = 500;

/// Where bytes from outside are read: nothing there may panic on them.
const READS_FOREIGN_BYTES: [&str; 6] = [
    "agent/src/decode.rs",
    "agent/src/flow/",
    "agent/src/merge.rs",
    "agent/src/protocol/",
    "agent/src/record.rs",
    "agent/src/trace/context/",
];

/// Ways to panic on what is not there.
const PANICS: [&str; 4] = [".unwrap()", ".expect(", ".unwrap_err()", "unreachable!("];

/// Notes to oneself, which belong in an issue; in halves, for this file is checked too.
const NOTES: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];

/// Directories of one machine, in halves as well.
const MACHINE_PATHS: [&str; 2] = [concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// Checks every file that git knows, or would.
///
/// # Errors
/// When one breaks a rule; what and where is printed.
pub fn tidy(root: &Path) -> Result<()> {
    let listing = ["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"];
    let files =
        output(command("git").current_dir(root).args(listing)).context("cannot list the repository's files")?;
    let mut broken = 0;
    for file in files.lines().filter(|file| is_ours(file)) {
        // Listed, and removed in the work tree.
        let Ok(text) = fs::read_to_string(root.join(file)) else { continue };
        for complaint in complaints(file, &text) {
            eprintln!("{complaint}");
            broken += 1;
        }
    }
    if broken > 0 {
        bail!("{broken} places");
    }
    Ok(())
}

/// Whether a file is written by hand, and no test's data.
fn is_ours(file: &str) -> bool {
    let ours = [".rs", ".toml", ".md", ".sh", ".yaml", ".yml", ".py", ".js", ".go", ".java", ".conf", ".ci/run"];
    ours.iter().any(|end| file.ends_with(end))
}

fn complaints(file: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let rust = file.ends_with(".rs");
    let lines = text.lines().count();
    if rust && lines > MOST_LINES {
        complaints.push(format!("{file}: {lines} lines, more than {MOST_LINES}: split it"));
    }
    if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
        complaints.push(format!("{file}: does not end in one line end"));
    }
    let foreign_bytes = READS_FOREIGN_BYTES.iter().any(|place| file.starts_with(place));
    let mut tests = file.ends_with("/tests.rs") || file.contains("/tests/");
    for (number, line) in (1..).zip(text.split_terminator('\n')) {
        let mut complain = |what: &str| complaints.push(format!("{file}:{number}: {what}"));
        // A file's tests are its end.
        tests |= line.trim_start().starts_with("#[cfg(test)]");
        if line.ends_with([' ', '\t', '\r']) {
            complain("white space at the end of the line");
        }
        if let Some(note) = NOTES.iter().find(|note| line.contains(*note)) {
            complain(&format!("{note}: say it in an issue"));
        }
        if let Some(path) = MACHINE_PATHS.iter().find(|path| line.contains(*path)) {
            complain(&format!("{path}: a directory of one machine"));
        }
        let code = !line.trim_start().starts_with("//");
        if let Some(panic) =
            PANICS.iter().find(|panic| line.contains(*panic)).filter(|_| foreign_bytes && code && !tests)
        {
            complain(&format!("{panic}: bytes from outside must not end the agent"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::{MOST_LINES, complaints, is_ours};

    fn check(file: &str, text: &str, expected: &[&str]) {
        assert_eq!(complaints(file, text), expected, "{file}: {text:?}");
    }

    #[test]
    fn every_rule_complains_about_what_it_forbids() {
        check("agent/src/flow/a.rs", "fn a() {}\n", &[]);
        check("a.rs", "fn a() {} \n", &["a.rs:1: white space at the end of the line"]);
        check("a.md", "a\r\n", &["a.md:1: white space at the end of the line"]);
        check("a.toml", "a", &["a.toml: does not end in one line end"]);
        check("a.toml", "a\n\n", &["a.toml: does not end in one line end"]);
        check("a.rs", concat!("\n// TO", "DO later\n"), &[concat!("a.rs:2: TO", "DO: say it in an issue")]);
        check("a.sh", concat!("cd /ho", "me/me\n"), &[concat!("a.sh:1: /ho", "me/: a directory of one machine")]);
        let long = "\n".repeat(MOST_LINES) + "//\n";
        check("a.rs", &long, &["a.rs: 501 lines, more than 500: split it"]);
        check("a.md", &long, &[]);
    }

    #[test]
    fn only_what_reads_foreign_bytes_must_not_panic() {
        let text = "fn a() {\n    // not b.unwrap()\n    b.unwrap();\n}\n#[cfg(test)]\nmod tests {\n    // c\n    c.unwrap();\n}\n";
        let complaint = ".unwrap(): bytes from outside must not end the agent";
        check("agent/src/cli.rs", text, &[]);
        check("agent/src/record.rs", text, &[&format!("agent/src/record.rs:3: {complaint}")]);
        check("agent/src/protocol/http1/a.rs", text, &[&format!("agent/src/protocol/http1/a.rs:3: {complaint}")]);
        check("agent/src/protocol/http1/tests.rs", text, &[]);
    }

    #[test]
    fn data_is_left_alone() {
        assert!(is_ours(".ci/run") && is_ours("agent/src/main.rs") && is_ours("README.md"));
        assert!(!is_ours("agent/tests/cases/chunked.txt") && !is_ours("fuzz/seeds/http1/get"));
    }
}
