//! Cells of the table as text, each as short as its column.

use super::{
    Column,
    model::{Quantile, Row},
};
use crate::export::graph::services::Side;

/// A column of the table.
#[derive(Clone, Copy, Debug)]
pub struct Heading {
    /// Its title.
    pub title: &'static str,
    /// Its width; of the name, the least.
    pub width: u16,
    /// What sorts by it.
    pub column: Option<Column>,
}

/// All columns, the name first. With a space between them they leave 21 of 80 characters to the name.
pub const HEADINGS: [Heading; 11] = [
    heading("SERVICE", 12, Some(Column::Name)),
    heading("ROLE", 4, None),
    heading("RATE", 5, Some(Column::Rate)),
    heading("ERR%", 5, Some(Column::Errors)),
    heading("P50", 5, Some(Column::P50)),
    heading("P95", 5, Some(Column::P95)),
    heading("P99", 5, Some(Column::P99)),
    heading("IN/s", 5, Some(Column::In)),
    heading("OUT/s", 5, Some(Column::Out)),
    heading("RTX/s", 5, Some(Column::Retransmits)),
    heading("CONN", 5, None),
];

const fn heading(title: &'static str, width: u16, column: Option<Column>) -> Heading {
    Heading { title, width, column }
}

/// What is not known.
const UNKNOWN: &str = "-";

/// The cells of a row, in the order of [`HEADINGS`].
#[must_use]
pub fn cells(row: &Row) -> [String; HEADINGS.len()] {
    let change = row.change.as_ref();
    let rate = |value: Option<f64>| value.map_or_else(|| UNKNOWN.to_owned(), number);
    let quantile = |value: Option<Quantile>| value.map_or_else(|| UNKNOWN.to_owned(), duration);
    [
        printable(&row.name),
        role(row.role).to_owned(),
        rate(change.map(|change| change.rate)),
        change.and_then(|change| change.errors).map_or_else(|| UNKNOWN.to_owned(), percent),
        quantile(change.and_then(|change| change.p50)),
        quantile(change.and_then(|change| change.p95)),
        quantile(change.and_then(|change| change.p99)),
        rate(change.map(|change| change.bytes_in)),
        rate(change.map(|change| change.bytes_out)),
        rate(change.map(|change| change.retransmits)),
        number(u32::try_from(row.active).unwrap_or(u32::MAX).into()),
    ]
}

const fn role(side: Side) -> &'static str {
    match side {
        Side::Server => "srv",
        Side::Client => "cli",
    }
}

/// Text that moves no cursor: names come from other people's processes.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

/// What is left to the name of a line of so many characters.
#[must_use]
pub fn width_of_names(line: u16) -> usize {
    let [name, others @ ..] = HEADINGS;
    let others: u16 = others.iter().map(|heading| heading.width + 1).sum();
    line.saturating_sub(others).max(name.width).into()
}

/// Text of at most so many characters, its end left out if it is longer.
#[must_use]
pub fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// A number in at most five characters, in powers of a thousand.
fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let mut value = value;
    for unit in ["", "k", "M", "G", "T"] {
        if value < 0.095 && unit.is_empty() {
            return format!("{value:.2}");
        }
        if value < 9.95 && !(unit.is_empty() && value.fract() == 0.0) {
            return format!("{value:.1}{unit}");
        }
        if value < 999.5 {
            return format!("{value:.0}{unit}");
        }
        value /= 1_000.0;
    }
    format!("{value:.0}P")
}

/// A part as percents, without the sign.
fn percent(part: f64) -> String {
    match part * 100.0 {
        0.0 => "0".to_owned(),
        percents if percents < 0.05 => "<0.1".to_owned(),
        percents if percents < 9.95 => format!("{percents:.1}"),
        percents => format!("{percents:.0}"),
    }
}

fn duration(quantile: Quantile) -> String {
    match quantile {
        Quantile::Above(seconds) => format!(">{seconds}s"),
        Quantile::At(seconds) if seconds < 0.009_95 => format!("{:.1}ms", seconds * 1e3),
        Quantile::At(seconds) if seconds < 0.999_5 => format!("{:.0}ms", seconds * 1e3),
        Quantile::At(seconds) if seconds < 9.995 => format!("{seconds:.2}s"),
        Quantile::At(seconds) => format!("{seconds:.0}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (value, expected) in [
            (0.0, "0"),
            (0.001, "0.00"),
            (0.05, "0.05"),
            (0.1, "0.1"),
            (1.0, "1"),
            (1.25, "1.2"),
            (9.96, "10"),
            (12.34, "12"),
            (999.4, "999"),
            (999.5, "1.0k"),
            (1_000.0, "1.0k"),
            (12_345.0, "12k"),
            (999_499.0, "999k"),
            (1_500_000.0, "1.5M"),
            (2e9, "2.0G"),
            (3e12, "3.0T"),
            (9e17, "900P"),
        ] {
            assert_eq!(number(value), expected, "{value}");
        }
    }

    #[test]
    fn percents() {
        for (part, expected) in [
            (0.0, "0"),
            (0.0001, "<0.1"),
            (0.0005, "0.1"),
            (0.012, "1.2"),
            (0.0999, "10"),
            (0.5, "50"),
            (1.0, "100"),
        ] {
            assert_eq!(percent(part), expected, "{part}");
        }
    }

    #[test]
    fn durations() {
        for (quantile, expected) in [
            (Quantile::At(0.0025), "2.5ms"),
            (Quantile::At(0.00999), "10ms"),
            (Quantile::At(0.25), "250ms"),
            (Quantile::At(0.9996), "1.00s"),
            (Quantile::At(1.254), "1.25s"),
            (Quantile::At(9.996), "10s"),
            (Quantile::Above(10.0), ">10s"),
        ] {
            assert_eq!(duration(quantile), expected, "{quantile:?}");
        }
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\nü"), "a\u{fffd}[2Jb\u{fffd}ü");
    }

    #[test]
    fn names_are_cut_to_their_room() {
        assert_eq!([0, 71, 80, 100].map(width_of_names), [12, 12, 21, 41]);
        for (width, expected) in [(5, "naïve"), (4, "naï…"), (1, "…")] {
            assert_eq!(shortened("naïve", width), expected);
        }
    }
}
