//! Numbers for people.

use std::iter::repeat_n;

/// A line of the table.
pub struct Row {
    /// What was measured, and its unit.
    what: &'static str,
    /// The median, and the least and the most.
    value: String,
    spread: String,
    /// What it should be, and whether it is.
    bar: String,
    verdict: &'static str,
}

/// What a value should be, in the table's unit.
#[derive(Clone, Copy)]
pub enum Bar {
    /// Nothing was promised.
    None,
    AtLeast(f64),
    AtMost(f64),
}

/// A row of values in the table's unit, shown with so many `digits` after the point.
pub fn row(what: &'static str, values: &[f64], digits: usize, bar: Bar) -> Row {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (values.first(), values.last()) else {
        return Row {
            what,
            value: "not measured".to_owned(),
            spread: String::new(),
            bar: String::new(),
            verdict: "",
        };
    };
    let median = (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0;
    let spread = match values.len() {
        1 => String::new(),
        _ => format!("{}–{}", number(*least, digits), number(*most, digits)),
    };
    let (bar, good) = match bar {
        Bar::None => (String::new(), None),
        Bar::AtLeast(bar) => (format!("≥ {}", number(bar, digits)), Some(median >= bar)),
        Bar::AtMost(bar) => (format!("≤ {}", number(bar, digits)), Some(median <= bar)),
    };
    let verdict = good.map_or("", |good| if good { "ok" } else { "SHORT" });
    Row { what, value: number(median, digits), spread, bar, verdict }
}

/// Prints rows in aligned columns.
pub fn print(rows: &[Row]) {
    println!("{}", text(rows));
}

/// Rows in aligned columns, below a head.
pub fn text(rows: &[Row]) -> String {
    let head = ["what", "median", "min–max", "bar", ""].map(str::to_owned);
    let cells = rows.iter().map(|row| {
        [row.what.to_owned(), row.value.clone(), row.spread.clone(), row.bar.clone(), row.verdict.to_owned()]
    });
    let lines: Vec<[String; 5]> = std::iter::once(head).chain(cells).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3, 4].map(width);
    let aligned = lines.iter().map(|[what, value, spread, bar, verdict]| {
        let [a, b, c, d, _] = widths;
        format!("{what:<a$}  {value:>b$}  {spread:>c$}  {bar:>d$}  {verdict}").trim_end().to_owned()
    });
    aligned.collect::<Vec<_>>().join("\n")
}

/// A number with its thousands set apart.
fn number(value: f64, digits: usize) -> String {
    let plain = format!("{value:.digits$}");
    let (whole, fraction) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let (sign, whole) = whole.split_at(whole.find(|letter: char| letter.is_ascii_digit()).unwrap_or(0));
    let lead = (3 - whole.len() % 3) % 3;
    let padded: String = repeat_n(' ', lead).chain(whole.chars()).collect();
    let groups: Vec<String> =
        padded.as_bytes().chunks(3).map(|group| String::from_utf8_lossy(group).trim().to_owned()).collect();
    format!("{sign}{}{fraction}", groups.join(","))
}

#[cfg(test)]
mod tests {
    use super::{Bar, number, row, text};

    #[test]
    fn numbers_are_grouped() {
        let check = |value: f64, digits: usize, expected: &str| assert_eq!(number(value, digits), expected);
        check(0.856, 2, "0.86");
        check(999.0, 0, "999");
        check(1234.5, 1, "1,234.5");
        check(2_000_000.0, 0, "2,000,000");
        check(-12_345.0, 0, "-12,345");
    }

    #[test]
    fn rows_are_judged_by_their_median() {
        let rows = [
            row("ratio", &[0.9, 0.7, 0.8], 2, Bar::AtLeast(0.85)),
            row("cost", &[1.0, 0.5], 2, Bar::AtMost(0.75)),
            row("rate", &[1000.0], 0, Bar::None),
            row("none", &[], 0, Bar::AtMost(1.0)),
        ];
        let expected = "\
what         median    min–max     bar
ratio          0.80  0.70–0.90  ≥ 0.85  SHORT
cost           0.75  0.50–1.00  ≤ 0.75  ok
rate          1,000
none   not measured";
        assert_eq!(text(&rows), expected);
    }
}
