//! All readings as a table.

use std::fmt::Write as _;

use crate::reading::Reading;

/// The most columns of readings on the way.
const COLUMNS: usize = 8;

/// A row for each number, a column for each reading; of many readings on the way, some.
pub fn table(begin: &Reading, readings: &[Reading], end: &Reading) -> String {
    let step = readings.len().div_ceil(COLUMNS).max(1);
    let shown = (1..).zip(readings).filter(|(minute, _)| minute % step == 0);
    let mut columns = vec![("begin".to_owned(), begin)];
    columns.extend(shown.map(|(minute, reading)| (format!("{minute} min"), reading)));
    columns.push(("end".to_owned(), end));
    let mut text = row("", columns.iter().map(|(name, _)| name.clone()));
    text += &row("own KiB", columns.iter().map(|(_, reading)| (reading.own / 1024).to_string()));
    for (name, is_held) in names(begin, end) {
        text += &row(
            name,
            columns.iter().map(|(_, reading)| {
                let numbers = if is_held { &reading.held } else { &reading.dropped };
                numbers.get(name).copied().unwrap_or_default().to_string()
            }),
        );
    }
    text
}

/// Names of what is held, and of what was dropped if anything was.
fn names<'a>(begin: &'a Reading, end: &'a Reading) -> Vec<(&'a str, bool)> {
    let held = end.held.keys().map(|name| (name.as_str(), true));
    let dropped = end.dropped.iter().filter(|(name, count)| **count > 0 || begin.dropped.get(*name) > Some(&0));
    held.chain(dropped.map(|(name, _)| (name.as_str(), false))).collect()
}

fn row(name: &str, cells: impl Iterator<Item = String>) -> String {
    let mut text = format!("{name:36}");
    for cell in cells {
        let _ = write!(text, " {cell:>8}");
    }
    text + "\n"
}
