//! The table of kernels, programs and stories, in Markdown.

use std::collections::BTreeSet;

use super::outcome::{Outcome, Program};
use super::stories::STORIES;

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
                None => "not needed".to_owned(),
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
                None => "not told".to_owned(),
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

/// `text` with what lies between the lines `begin` and `end` replaced; `None` if they are not there.
pub fn replaced(text: &str, begin: &str, end: &str, by: &str) -> Option<String> {
    let (before, rest) = text.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n{by}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::{grouped, replaced, table};
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
        assert_eq!(replaced("a<b>old<e>c", "<b>", "<e>", "new\n").as_deref(), Some("a<b>\nnew\n<e>c"));
        assert_eq!(replaced("a<e>c", "<b>", "<e>", ""), None);
    }
}
