//! The table of kernels, programs and stories, in Markdown.

use std::collections::{BTreeMap, BTreeSet};

use super::outcome::{Outcome, Program};
use super::stories::STORIES;

/// Of a program that another does the work of.
const NOT_NEEDED: &str = "not needed";

/// Of a story that was left out.
const NOT_TOLD: &str = "not told";

/// The table, a column a kernel: a number is what the verifier went through to accept a program.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut text = row("", outcomes.iter().map(|outcome| outcome.version.clone()));
    text += &row("---", outcomes.iter().map(|_| "---:".to_owned()));
    let programs: BTreeSet<&str> =
        outcomes.iter().flat_map(|outcome| outcome.programs.keys().map(String::as_str)).collect();
    for program in programs {
        text += &row(
            &format!("`{program}`"),
            outcomes.iter().map(|outcome| match outcome.programs.get(program) {
                None => NOT_NEEDED.to_owned(),
                Some(Program::Attached(None)) => "yes".to_owned(),
                Some(Program::Attached(Some(instructions))) => grouped(*instructions),
                Some(Program::Refused(_)) => "**no**".to_owned(),
            }),
        );
    }
    for story in &STORIES {
        text += &row(
            story.name,
            outcomes.iter().map(|outcome| match outcome.story(story) {
                None => NOT_TOLD.to_owned(),
                Some(true) => "holds".to_owned(),
                Some(false) => "**fails**".to_owned(),
            }),
        );
    }
    text
}

fn row(name: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = std::iter::once(name.to_owned()).chain(cells).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// `new`, with what it does not tell as `old` told it of the same kernel, and with the columns of lines of kernels that it does
/// not have.
pub fn merged(new: &str, old: &str) -> String {
    let (new, old) = (Cells::read(new), Cells::read(old));
    let line = |version: &str| version.split('.').take(2).map(str::to_owned).collect::<Vec<_>>();
    let is_gone = |version: &&String| new.versions.iter().all(|newer| line(newer) != line(version));
    let mut versions: Vec<String> =
        new.versions.iter().chain(old.versions.iter().filter(is_gone)).cloned().collect();
    let number = |version: &str| line(version).iter().map(|part| part.parse::<u32>().ok()).collect::<Vec<_>>();
    versions.sort_by_key(|version| number(version));
    let is_program = |name: &&String| name.starts_with('`');
    let programs: BTreeSet<&String> = new.names.iter().chain(&old.names).filter(is_program).collect();
    let stories = new.names.iter().filter(|name| !is_program(name));
    let mut text = row("", versions.iter().cloned()) + &row("---", versions.iter().map(|_| "---:".to_owned()));
    for name in programs.into_iter().chain(stories) {
        let cell = |version: &String| {
            let key = (name.clone(), version.clone());
            let told = new.cells.get(&key).map(String::as_str).filter(|cell| *cell != NOT_TOLD);
            let unneeded = || (is_program(&name) && new.versions.contains(version)).then_some(NOT_NEEDED);
            let before = || old.cells.get(&key).map(String::as_str);
            told.or_else(unneeded).or_else(before).unwrap_or(NOT_TOLD).to_owned()
        };
        let cells: Vec<String> = versions.iter().map(cell).collect();
        if cells.iter().any(|cell| cell != NOT_NEEDED) {
            text += &row(name, cells.into_iter());
        }
    }
    text
}

/// A table, read.
#[derive(Default)]
struct Cells {
    versions: Vec<String>,
    names: Vec<String>,
    /// By row and column.
    cells: BTreeMap<(String, String), String>,
}

impl Cells {
    fn read(table: &str) -> Self {
        let mut read = Self::default();
        for line in table.lines() {
            let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
            match cells.collect::<Vec<_>>().as_slice() {
                [name, ..] if name == "---" => {}
                [name, versions @ ..] if name.is_empty() => read.versions = versions.to_vec(),
                [name, cells @ ..] => {
                    let keys = read.versions.iter().map(|version| (name.clone(), version.clone()));
                    read.cells.extend(keys.zip(cells.iter().cloned()));
                    read.names.push(name.clone());
                }
                [] => {}
            }
        }
        read
    }
}

/// With commas between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `text` with what lies between the lines `begin` and `end` as `by` makes it of what is there; `None` if they are not there.
pub fn replaced(text: &str, begin: &str, end: &str, by: impl FnOnce(&str) -> String) -> Option<String> {
    let (before, rest) = text.split_once(begin)?;
    let (old, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n{}{end}{after}", by(old.trim_start())))
}

#[cfg(test)]
mod tests {
    use super::{grouped, merged, replaced, table};
    use crate::vm::outcome::{Outcome, Program, Test};

    #[test]
    fn a_column_a_kernel() {
        let mut old = Outcome { version: "5.10.0-1".to_owned(), ..Outcome::default() };
        let mut new = Outcome { version: "7.3.4".to_owned(), ..Outcome::default() };
        old.programs.insert("ingress".to_owned(), Program::Attached(None));
        old.programs.insert("pickup_raw".to_owned(), Program::Refused(String::new()));
        new.programs.insert("ingress".to_owned(), Program::Attached(Some(1_234_567)));
        old.tests.insert("raw::as_told".to_owned(), Test { passed: false, seconds: 1.0 });
        new.tests.insert("raw::as_told".to_owned(), Test { passed: true, seconds: 1.0 });
        let table = table(&[old, new]);
        let expected = "|  | 5.10.0-1 | 7.3.4 |\n| --- | ---: | ---: |\n| `ingress` | yes | 1,234,567 |\n\
                        | `pickup_raw` | **no** | not needed |\n| HTTP/1 | **fails** | holds |\n";
        assert!(table.starts_with(expected), "{table}");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1000, 12_345_678].map(grouped), ["0", "999", "1,000", "12,345,678"]);
    }

    #[test]
    fn only_what_lies_between_is_replaced() {
        let by = |old: &str| format!("new, not {old}\n");
        assert_eq!(replaced("a<b>\nold<e>c", "<b>", "<e>", by).as_deref(), Some("a<b>\nnew, not old\n<e>c"));
        assert_eq!(replaced("a<e>c", "<b>", "<e>", by), None);
    }

    #[test]
    fn what_is_not_told_stays_as_it_was_of_the_same_kernel() {
        let table =
            |rows: &[&[&str]]| rows.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect::<String>();
        let old = table(&[
            &["", "5.10.0-1", "6.1.0-5"],
            &["---", "---:", "---:"],
            &["`a`", "1", "2"],
            &["`gone`", "not needed", "2"],
            &["TCP", "holds", "holds"],
            &["UDP", "**fails**", "holds"],
        ]);
        let new = table(&[
            &["", "6.1.0-6", "5.10.0-1"],
            &["---", "---:", "---:"],
            &["`a`", "3", "not needed"],
            &["TCP", "not told", "not told"],
            &["UDP", "holds", "holds"],
        ]);
        let expected = table(&[
            &["", "5.10.0-1", "6.1.0-6"],
            &["---", "---:", "---:"],
            &["`a`", "not needed", "3"],
            &["TCP", "holds", "not told"],
            &["UDP", "holds", "holds"],
        ]);
        assert_eq!(merged(&new, &old), expected);
        let other = table(&[&["", "10.1.0"], &["---", "---:"], &["`b`", "7"], &["TCP", "holds"]]);
        let expected = table(&[
            &["", "5.10.0-1", "6.1.0-5", "10.1.0"],
            &["---", "---:", "---:", "---:"],
            &["`a`", "1", "2", "not needed"],
            &["`b`", "not told", "not told", "7"],
            &["`gone`", "not needed", "2", "not needed"],
            &["TCP", "holds", "holds", "holds"],
        ]);
        assert_eq!(merged(&other, &old), expected);
    }
}
