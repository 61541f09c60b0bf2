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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        red::{DURATION, Histogram, SECOND},
        semconv,
    };

    /// What a sink was told, as text.
    #[derive(Default)]
    struct Told(Vec<String>);

    impl Sink for Told {
        fn family(
            &mut self,
            _metric: &'static Metric,
            points: &mut dyn FnMut(&mut dyn Points) -> fmt::Result,
        ) -> fmt::Result {
            points(self)
        }
    }

    impl Points for Told {
        fn number(&mut self, point: Point<'_>, value: Value) -> fmt::Result {
            self.0.push(format!("{} {value:?} since {}", shown(point), point.start));
            Ok(())
        }

        fn histogram(&mut self, point: Point<'_>, histogram: &HistogramView<'_>) -> fmt::Result {
            let (bounds, above) = (histogram.buckets().count(), histogram.above().count);
            let HistogramView { count, sum, .. } = histogram;
            self.0.push(format!("{} {count} {sum} bounds {bounds} above {above}", shown(point)));
            Ok(())
        }
    }

    fn shown(point: Point<'_>) -> String {
        let pairs = point.attributes.iter().map(|(attribute, value)| format!("{}={value}", attribute.label));
        pairs.collect::<Vec<_>>().join(",")
    }

    fn attributes(service: &'static str, reason: &'static str) -> Attributes {
        Attributes::of([(semconv::SERVICE_NAME, service), (semconv::REASON, reason)])
    }

    fn told(exclude: &str) -> Vec<String> {
        let selection = Selection::parse("", exclude).unwrap();
        let mut told = Told::default();
        let mut sink = Selecting::new(&selection, &mut told);
        let rows = [("a", "x", 1, 7), ("a", "y", 2, 5), ("b", "x", 4, 6)];
        let counters = &mut |points: &mut dyn Points| {
            rows.iter().try_for_each(|(service, reason, value, start)| {
                let point = Point { attributes: &attributes(service, reason), start: *start };
                points.number(point, Value::Integer(*value))
            })
        };
        sink.family(&semconv::TCP_CONNECTIONS_CLOSED, counters).unwrap();
        let mut histogram = Histogram::EMPTY;
        histogram.observe(&DURATION, SECOND);
        let view = HistogramView::new(&DURATION, &histogram);
        let histograms = &mut |points: &mut dyn Points| {
            rows.iter().try_for_each(|(service, reason, _, start)| {
                points.histogram(Point { attributes: &attributes(service, reason), start: *start }, &view)
            })
        };
        sink.family(&semconv::DNS_LOOKUP_DURATION, histograms).unwrap();
        told.0
    }

    #[test]
    fn what_is_alike_without_an_attribute_adds_up() {
        let whole = [
            "service_name=a,reason=x Integer(1) since 7",
            "service_name=a,reason=y Integer(2) since 5",
            "service_name=b,reason=x Integer(4) since 6",
            "service_name=a,reason=x 1 1 bounds 14 above 0",
            "service_name=a,reason=y 1 1 bounds 14 above 0",
            "service_name=b,reason=x 1 1 bounds 14 above 0",
        ];
        assert_eq!(told(""), whole);
        assert_eq!(
            told("*:reason"),
            [
                "service_name=a Integer(3) since 5",
                "service_name=b Integer(4) since 6",
                "service_name=a 2 2 bounds 14 above 0",
                "service_name=b 1 1 bounds 14 above 0",
            ]
        );
        assert_eq!(told("dns.lookup.duration:reason,dns_*:service_name dns_*:le")[3..], [" 3 3 bounds 0 above 3"]);
    }
}
