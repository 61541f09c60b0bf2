//! The report as tables for people.

use std::fmt::Write as _;

use super::cost::{LabelCost, Report};

/// As much of a label's value is shown.
const SHOWN: usize = 60;

/// Tables and sentences, none longer than so many rows.
pub fn tables(report: &Report, rows: usize) -> String {
    let mut text = format!("{} series of {} sets of attributes\n", report.series, report.sets);
    metrics(report, &mut text);
    labels(report, &mut text);
    of_metrics(report, rows, &mut text);
    constant(report, &mut text);
    redundant(report, &mut text);
    text
}

fn metrics(report: &Report, text: &mut String) {
    if report.metrics.is_empty() {
        return;
    }
    let mut rows = vec![["SERIES", "%", "SETS", "METRIC"].map(str::to_owned)];
    for metric in &report.metrics {
        let share = percent(metric.series, report.series);
        rows.push([metric.series.to_string(), share, metric.sets.to_string(), metric.name.clone()]);
    }
    section(text, "metrics that cost the most", &rows);
}

fn labels(report: &Report, text: &mut String) {
    let labels: Vec<_> = report.labels.iter().filter(|cost| cost.saves > 0).collect();
    if labels.is_empty() {
        return;
    }
    let mut rows = vec![["SAVES", "%", "VALUES", "METRICS", "LABEL", "EXCLUDE_ATTRIBUTES"].map(str::to_owned)];
    for cost in labels {
        let exclude = exclude(cost);
        let (saves, share) = (cost.saves.to_string(), percent(cost.saves, report.series));
        rows.push([saves, share, cost.values.to_string(), cost.metrics.to_string(), cost.label.clone(), exclude]);
    }
    section(text, "what leaving a label out of all metrics saves", &rows);
}

fn of_metrics(report: &Report, most: usize, text: &mut String) {
    let mut costs: Vec<_> = report
        .metrics
        .iter()
        .flat_map(|metric| metric.labels.iter().map(move |cost| (metric, cost)))
        .filter(|(_, cost)| cost.saves > 0)
        .collect();
    costs.sort_by_key(|(_, cost)| std::cmp::Reverse(cost.saves));
    costs.truncate(most);
    if costs.is_empty() {
        return;
    }
    let mut rows = vec![["SAVES", "%", "VALUES", "LABEL", "EXCLUDE_ATTRIBUTES"].map(str::to_owned)];
    for (_, cost) in costs {
        let (saves, share) = (cost.saves.to_string(), percent(cost.saves, report.series));
        rows.push([saves, share, cost.values.to_string(), cost.label.clone(), exclude(cost)]);
    }
    section(text, "what leaving a label out of one metric saves", &rows);
}

fn constant(report: &Report, text: &mut String) {
    if report.constant.is_empty() {
        return;
    }
    text.push_str("\nlabels that never change (they cost bytes, no series)\n");
    for constant in &report.constant {
        let value: String = constant.value.chars().take(SHOWN).collect();
        let metrics = counted(constant.metrics);
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "  {}={value:?} in {metrics}", constant.label);
    }
}

fn redundant(report: &Report, text: &mut String) {
    if report.redundant.is_empty() {
        return;
    }
    text.push_str("\nlabels that follow from others (leaving out the right one alone saves nothing)\n");
    for redundant in &report.redundant {
        let arrow = if redundant.identical { "<->" } else { "->" };
        let metrics = counted(redundant.metrics);
        let _ = writeln!(
            text,
            "  {} {arrow} {} in {metrics}; without both {} series fewer",
            redundant.label, redundant.follows, redundant.saves_both,
        );
    }
}

fn exclude(cost: &LabelCost) -> String {
    cost.exclude.clone().unwrap_or_else(|| "-".to_owned())
}

fn counted(metrics: usize) -> String {
    if metrics == 1 { "1 metric".to_owned() } else { format!("{metrics} metrics") }
}

/// Of two counts.
#[expect(clippy::cast_precision_loss, reason = "a page has less than 2^53 series")]
pub fn percent(part: usize, whole: usize) -> String {
    format!("{:.1}", 100.0 * part as f64 / whole.max(1) as f64)
}

/// A title and a table whose numbers stand right and whose words stand left.
fn section<const N: usize>(text: &mut String, title: &str, rows: &[[String; N]]) {
    let _ = writeln!(text, "\n{title}");
    let numbers = |column: usize| {
        rows.iter()
            .skip(1)
            .all(|row| row.get(column).is_some_and(|cell| cell.starts_with(|c: char| c.is_ascii_digit())))
    };
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = width(column);
            let _ =
                if numbers(column) { write!(line, "  {cell:>width$}") } else { write!(line, "  {cell:<width$}") };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}
