//! Attributes left out of metrics: points that are then alike become one.

use std::fmt;

use hashbrown::HashMap;

use super::{Attributes, HistogramView, Point, Points, Rule, Selection, Sink, Value, sink::OwnedHistogram};
use crate::semconv::{Kind, Metric, Unit};

/// A sink before another, which takes attributes away.
pub struct Selecting<'a> {
    selection: &'a Selection,
    sink: &'a mut dyn Sink,
}

impl<'a> Selecting<'a> {
    /// Before `sink`.
    pub fn new(selection: &'a Selection, sink: &'a mut dyn Sink) -> Self {
        Self { selection, sink }
    }
}

impl Sink for Selecting<'_> {
    fn family(
        &mut self,
        metric: &'static Metric,
        points: &mut dyn FnMut(&mut dyn Points) -> fmt::Result,
    ) -> fmt::Result {
        let Some(rule) = self.selection.of(metric) else { return self.sink.family(metric, points) };
        let mut merged =
            Merged { metric, rule, numbers: HashMap::new(), histograms: HashMap::new(), order: Vec::new() };
        points(&mut merged)?;
        self.sink.family(metric, &mut |points| merged.write(points))
    }
}

/// A family's points without what the rule leaves out.
struct Merged {
    metric: &'static Metric,
    rule: Rule,
    numbers: HashMap<Attributes, (u64, Value)>,
    histograms: HashMap<Attributes, (u64, OwnedHistogram)>,
    order: Vec<Attributes>,
}

impl Merged {
    fn write(&self, points: &mut dyn Points) -> fmt::Result {
        for attributes in &self.order {
            if let Some((start, value)) = self.numbers.get(attributes) {
                points.number(Point { attributes, start: *start }, *value)?;
            }
            if let Some((start, histogram)) = self.histograms.get(attributes) {
                points
                    .histogram(Point { attributes, start: *start }, &histogram.view(self.rule.keeps_buckets()))?;
            }
        }
        Ok(())
    }
}

impl Points for Merged {
    fn number(&mut self, point: Point<'_>, value: Value) -> fmt::Result {
        let attributes = point.attributes.filtered(|attribute| self.rule.keeps(attribute));
        match self.numbers.get_mut(&attributes) {
            Some((start, known)) => {
                *start = (*start).min(point.start);
                *known = together(self.metric, *known, value);
            }
            None => {
                self.order.push(attributes.clone());
                self.numbers.insert(attributes, (point.start, value));
            }
        }
        Ok(())
    }

    fn histogram(&mut self, point: Point<'_>, histogram: &HistogramView<'_>) -> fmt::Result {
        let attributes = point.attributes.filtered(|attribute| self.rule.keeps(attribute));
        match self.histograms.get_mut(&attributes) {
            Some((start, known)) => {
                *start = (*start).min(point.start);
                known.merge(histogram);
            }
            None => {
                self.order.push(attributes.clone());
                self.histograms.insert(attributes, (point.start, OwnedHistogram::of(histogram)));
            }
        }
        Ok(())
    }
}

/// Counts add up; of moments, the first to come is told (the end of a certificate); an info stays one.
fn together(metric: &Metric, a: Value, b: Value) -> Value {
    match metric.kind {
        Kind::Info => a,
        Kind::Gauge if metric.unit == Unit::Seconds => {
            if a.as_f64() <= b.as_f64() {
                a
            } else {
                b
            }
        }
        _ => match (a, b) {
            (Value::Integer(a), Value::Integer(b)) => Value::Integer(a.saturating_add(b)),
            _ => Value::Float(a.as_f64() + b.as_f64()),
        },
    }
}
