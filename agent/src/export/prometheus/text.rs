//! The text format 0.0.4 (Prometheus, "Exposition formats").
//!
//! Unlike OpenMetrics: the type line of a counter has its `_total` and that of an info its `_info` (as a gauge), there is
//! neither a unit line nor an end mark.

use std::fmt::{self, Write};

use super::{
    exposition::{Exposition, HistogramView, Samples, Value},
    families,
};
use crate::{
    export::page::Page,
    semconv::{Kind, Metric},
};

/// Writes the page.
///
/// # Errors
/// Those of `out`.
pub fn write(page: &Page, out: &mut impl Write) -> fmt::Result {
    families::write(page, &mut Text(out))
}

struct Text<'a>(&'a mut dyn Write);

impl Exposition for Text<'_> {
    fn family(
        &mut self,
        metric: &Metric,
        samples: &mut dyn FnMut(&mut dyn Samples) -> fmt::Result,
    ) -> fmt::Result {
        let name = metric.prometheus;
        let (suffix, kind) = match metric.kind {
            Kind::Counter => ("_total", "counter"),
            Kind::Gauge => ("", "gauge"),
            Kind::Histogram => ("", "histogram"),
            Kind::Info => ("_info", "gauge"),
        };
        writeln!(self.0, "# HELP {name}{suffix} {}", metric.help)?;
        writeln!(self.0, "# TYPE {name}{suffix} {kind}")?;
        samples(&mut Family { out: self.0, line: String::new(), name, bounds: Vec::new() })
    }
}

struct Family<'a> {
    out: &'a mut dyn Write,
    line: String,
    name: &'static str,
    /// The bounds of the family's histograms as text, once the first is written.
    bounds: Vec<String>,
}

impl Family<'_> {
    fn sample(&mut self, suffix: &str, labels: &str, bound: Option<&str>, value: Value) -> fmt::Result {
        self.line.clear();
        self.line.push_str(self.name);
        self.line.push_str(suffix);
        if !labels.is_empty() || bound.is_some() {
            self.line.push('{');
            self.line.push_str(labels);
            if let Some(bound) = bound {
                self.line.push_str(if labels.is_empty() { "le=\"" } else { ",le=\"" });
                self.line.push_str(bound);
                self.line.push('"');
            }
            self.line.push('}');
        }
        self.line.push(' ');
        match value {
            Value::Integer(value) => self.line.push_str(itoa::Buffer::new().format(value)),
            Value::Float(value) => write!(self.line, "{value}")?,
        }
        self.line.push('\n');
        self.out.write_str(&self.line)
    }
}

impl Samples for Family<'_> {
    fn counter(&mut self, labels: &str, value: Value) -> fmt::Result {
        self.sample("_total", labels, None, value)
    }

    fn gauge(&mut self, labels: &str, value: Value) -> fmt::Result {
        self.sample("", labels, None, value)
    }

    fn info(&mut self, labels: &str) -> fmt::Result {
        self.sample("_info", labels, None, Value::Integer(1))
    }

    fn histogram(&mut self, labels: &str, histogram: &HistogramView<'_>) -> fmt::Result {
        let mut bounds = std::mem::take(&mut self.bounds);
        if bounds.is_empty() {
            bounds.extend(histogram.buckets().map(|(upper, _)| bound(upper)));
        }
        let mut below = 0;
        for (bound, (_, count)) in bounds.iter().zip(histogram.buckets()) {
            below += count;
            self.sample("_bucket", labels, Some(bound), Value::Integer(below))?;
        }
        self.bounds = bounds;
        self.sample("_bucket", labels, Some("+Inf"), Value::Integer(histogram.count))?;
        self.sample("_sum", labels, None, Value::Float(histogram.sum))?;
        self.sample("_count", labels, None, Value::Integer(histogram.count))
    }
}

/// A bound with a fraction and without an exponent, as OpenMetrics has it: the label must not differ between the formats.
fn bound(upper: f64) -> String {
    let mut text = upper.to_string();
    if !text.contains('.') {
        text.push_str(".0");
    }
    text
}
