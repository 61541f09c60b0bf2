//! The formats of lines: the text format 0.0.4 (Prometheus, "Exposition formats") and OpenMetrics 1.0.
//!
//! They differ in the names of the head (the text format has the `_total` of a counter and the `_info` of an info in them,
//! and an info is a gauge), and in what only OpenMetrics has: a unit line, exemplars, created timestamps, an end mark.

use std::fmt;

use super::{
    Out,
    text::{Pieces, bound, float, hexadecimal, integer, labels, seconds, value},
};
use crate::{
    export::metrics::{Bucket, HistogramView, Point, Points, Sink, Value},
    red::Exemplar,
    semconv::{Kind, Metric},
};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The text format 0.0.4.
    Text,
    /// OpenMetrics 1.0, with `_created` lines or without.
    OpenMetrics {
        /// Whether there are such lines.
        created: bool,
    },
}

/// A page of lines.
pub struct Lines<'a> {
    dialect: Dialect,
    pieces: Pieces<'a>,
    /// Labels of the point that is written: made once, copied into each of its lines.
    labels: Vec<u8>,
    /// What the lines of a histogram's buckets begin with.
    bucket: Vec<u8>,
}

impl<'a> Lines<'a> {
    /// An empty page.
    pub fn new(dialect: Dialect, out: &'a mut dyn Out) -> Self {
        Self { dialect, pieces: Pieces::new(out), labels: Vec::new(), bucket: Vec::new() }
    }

    /// The page ends here.
    ///
    /// # Errors
    /// Those of the reader's end.
    pub fn finish(mut self) -> fmt::Result {
        if self.dialect != Dialect::Text {
            self.push(&["# EOF\n"]);
        }
        self.pieces.flush()
    }

    fn push(&mut self, parts: &[&str]) {
        parts.iter().for_each(|part| self.pieces.text.extend_from_slice(part.as_bytes()));
    }

    fn head(&mut self, metric: &Metric) {
        let name = metric.prometheus;
        let (suffix, kind) = match (self.dialect, metric.kind) {
            (Dialect::Text, Kind::Counter) => ("_total", "counter"),
            (Dialect::Text, Kind::Info) => ("_info", "gauge"),
            (_, Kind::Counter) => ("", "counter"),
            (_, Kind::Info) => ("", "info"),
            (_, Kind::Gauge) => ("", "gauge"),
            (_, Kind::Histogram) => ("", "histogram"),
        };
        self.push(&["# HELP ", name, suffix, " ", metric.help, "\n"]);
        self.push(&["# TYPE ", name, suffix, " ", kind, "\n"]);
        if let (Dialect::OpenMetrics { .. }, Some(unit)) = (self.dialect, metric.unit.suffix()) {
            self.push(&["# UNIT ", name, " ", unit, "\n"]);
        }
    }

    /// The beginning of a line: name, labels, and the space after them.
    fn start(&mut self, name: &str, suffix: &str) {
        self.push(&[name, suffix]);
        if !self.labels.is_empty() {
            self.pieces.text.push(b'{');
            self.pieces.text.extend_from_slice(&self.labels);
            self.pieces.text.push(b'}');
        }
        self.pieces.text.push(b' ');
    }

    fn sample(&mut self, name: &str, suffix: &str, number: Value) -> fmt::Result {
        self.start(name, suffix);
        value(number, &mut self.pieces.text)?;
        self.pieces.text.push(b'\n');
        Ok(())
    }

    /// Since when the point is counted; not known is not said.
    fn created(&mut self, name: &str, start: u64) -> fmt::Result {
        if self.dialect != (Dialect::OpenMetrics { created: true }) || start == 0 {
            return Ok(());
        }
        self.start(name, "_created");
        seconds(start, &mut self.pieces.text);
        self.pieces.text.push(b'\n');
        Ok(())
    }

    /// The line of a bucket, `bound` being its end up to the number.
    fn bucket(
        &mut self,
        bound: &[u8],
        below: u64,
        bucket: &Bucket<'_>,
        histogram: &HistogramView<'_>,
    ) -> fmt::Result {
        let text = &mut self.pieces.text;
        text.extend_from_slice(&self.bucket);
        text.extend_from_slice(bound);
        integer(below, text);
        if let (Dialect::OpenMetrics { .. }, Some(exemplar)) = (self.dialect, bucket.exemplar) {
            write_exemplar(exemplar, histogram.exemplar_value(exemplar), text)?;
        }
        text.push(b'\n');
        Ok(())
    }
}

/// ` # {trace_id="…",span_id="…"} value time`: 63 characters of labels, of which 128 are allowed.
fn write_exemplar(exemplar: &Exemplar, value: f64, text: &mut Vec<u8>) -> fmt::Result {
    text.extend_from_slice(b" # {trace_id=\"");
    hexadecimal(&exemplar.trace_id.to_bytes(), text);
    text.extend_from_slice(b"\",span_id=\"");
    hexadecimal(&exemplar.span_id.to_bytes(), text);
    text.extend_from_slice(b"\"} ");
    float(value, text)?;
    text.push(b' ');
    seconds(exemplar.at, text);
    Ok(())
}

impl Sink for Lines<'_> {
    fn family(
        &mut self,
        metric: &'static Metric,
        points: &mut dyn FnMut(&mut dyn Points) -> fmt::Result,
    ) -> fmt::Result {
        self.head(metric);
        points(&mut Family { page: self, metric, bounds: Vec::new() })
    }
}

struct Family<'a, 'b> {
    page: &'a mut Lines<'b>,
    metric: &'static Metric,
    /// What comes between a line's labels and its number, for each bounded bucket; all histograms of a family have the
    /// same.
    bounds: Vec<Vec<u8>>,
}

impl Points for Family<'_, '_> {
    fn number(&mut self, point: Point<'_>, value: Value) -> fmt::Result {
        let (page, name) = (&mut *self.page, self.metric.prometheus);
        page.labels.clear();
        labels(point.attributes, &mut page.labels);
        match self.metric.kind {
            Kind::Counter => {
                page.sample(name, "_total", value)?;
                page.created(name, point.start)?;
            }
            Kind::Info => page.sample(name, "_info", value)?,
            Kind::Gauge | Kind::Histogram => page.sample(name, "", value)?,
        }
        page.pieces.flow()
    }

    fn histogram(&mut self, point: Point<'_>, histogram: &HistogramView<'_>) -> fmt::Result {
        let (page, name) = (&mut *self.page, self.metric.prometheus);
        if self.bounds.is_empty() {
            let bounds = histogram.buckets().map(|bucket| format!("{}\"}} ", bound(bucket.upper)).into_bytes());
            self.bounds.extend(bounds);
        }
        page.labels.clear();
        labels(point.attributes, &mut page.labels);
        page.bucket.clear();
        page.bucket.extend_from_slice(name.as_bytes());
        page.bucket.extend_from_slice(b"_bucket{");
        page.bucket.extend_from_slice(&page.labels);
        page.bucket.extend_from_slice(if page.labels.is_empty() { b"le=\"" } else { b",le=\"" });

        let mut below = 0;
        for (bound, bucket) in self.bounds.iter().zip(histogram.buckets()) {
            below += bucket.count;
            page.bucket(bound, below, &bucket, histogram)?;
        }
        page.bucket(b"+Inf\"} ", histogram.count, &histogram.above(), histogram)?;
        page.sample(name, "_sum", Value::Float(histogram.sum))?;
        page.sample(name, "_count", Value::Integer(histogram.count))?;
        page.created(name, point.start)?;
        page.pieces.flow()
    }
}
