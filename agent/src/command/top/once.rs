//! `--once`: two looks, and what happened between them as text.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use serde::Serialize;
use tokio::{runtime::Runtime, time::sleep};

use super::{
    Arguments, Error,
    fetch::fetch,
    model::{self, Row},
    text::{HEADINGS, cells},
};
use crate::command::ask::Endpoint;

/// The document of `--once --json`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    /// When the second look was, seconds since 1970.
    time: f64,
    /// Seconds between the two.
    interval: f64,
    /// The agent's version.
    version: &'a str,
    services: &'a [Row],
}

/// Looks twice and prints.
pub fn run(arguments: &Arguments, endpoint: &Endpoint, runtime: &Runtime) -> Result<(), Error> {
    let (before, now) = runtime.block_on(async {
        let before = fetch(endpoint).await?;
        sleep(arguments.interval).await;
        Ok::<_, Error>((before, fetch(endpoint).await?))
    })?;
    let mut rows = model::rows(Some(&before), &now);
    rows.retain(|row| model::is_shown(row, &arguments.filter));
    model::sort(&mut rows, arguments.sort);
    let text = if arguments.json {
        let (time, interval, version) = (now.time, now.time - before.time, &now.version);
        let document = serde_json::to_string_pretty(&Document { time, interval, version, services: &rows });
        document.map_err(|error| Error::Io("write the document", error.into()))? + "\n"
    } else {
        table(&rows)
    };
    io::stdout().write_all(text.as_bytes()).map_err(|error| Error::Io("write to standard output", error))
}

/// A table as wide as its names.
fn table(rows: &[Row]) -> String {
    let rows: Vec<_> = rows.iter().map(cells).collect();
    let names = rows.iter().map(|[name, ..]| name.chars().count()).max().unwrap_or(0);
    let titles = HEADINGS.map(|heading| heading.title.to_owned());
    let mut text = String::new();
    for cells in [&titles].into_iter().chain(&rows) {
        let mut line = String::new();
        for (place, (cell, heading)) in cells.iter().zip(HEADINGS).enumerate() {
            let width = usize::from(heading.width);
            // Writing to a `String` cannot fail.
            let _ = match place {
                0 => write!(line, "{cell:<width$}", width = width.max(names)),
                1 => write!(line, " {cell:<width$}"),
                _ => write!(line, " {cell:>width$}"),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::top::model::tests::example;

    #[test]
    fn a_table() {
        insta::assert_snapshot!(table(&example()), @r#"
        SERVICE      ROLE  RATE  ERR%   P50   P95   P99  IN/s OUT/s RTX/s  CONN
        cart         srv     50    20  50ms  95ms  99ms   50k  100k    10     3
        cart         cli      5     0  >10s  >10s  >10s  5.0k   10k     0     3
        auth         srv      0     -     -     -     -     0     0     0     3
        web          srv    901   1.0 550ms 955ms 991ms  901k  1.8M     9     3
        "#);
        assert_eq!(table(&[]).lines().count(), 1);
    }

    #[test]
    fn a_document() {
        let rows = example();
        let services = rows.get(1..3).unwrap();
        let document = Document { time: 1_001.0, interval: 1.0, version: "1.2.3", services };
        insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap(), @r#"
        {
          "time": 1001.0,
          "interval": 1.0,
          "version": "1.2.3",
          "services": [
            {
              "name": "cart",
              "role": "client",
              "active": 3,
              "rate": 5.0,
              "errors": 0.0,
              "p50": ">10s",
              "p95": ">10s",
              "p99": ">10s",
              "in": 5000.0,
              "out": 10000.0,
              "retransmits": 0.0
            },
            {
              "name": "auth",
              "role": "server",
              "active": 3,
              "rate": 0.0,
              "errors": null,
              "p50": null,
              "p95": null,
              "p99": null,
              "in": 0.0,
              "out": 0.0,
              "retransmits": 0.0
            }
          ]
        }
        "#);
    }
}
