//! OpenMetrics 1.0, written by `prometheus-client`.

use std::fmt::{self, Write};

use prometheus_client::{
    collector::Collector,
    encoding::{
        CounterValueEncoder, DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet,
        GaugeValueEncoder, LabelSetEncoder, MetricEncoder, NoLabelSet, text,
    },
    metrics::MetricType,
    registry::{Registry, Unit as ClientUnit},
};

use super::{
    exposition::{Exposition, HistogramView, Samples, Value},
    families,
};
use crate::{
    export::page::Page,
    semconv::{Kind, Metric, Unit},
};

/// Writes the page with its `# EOF`.
///
/// # Errors
/// Those of `out`.
pub fn write(page: Page, out: &mut impl Write) -> fmt::Result {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(PageCollector(page)));
    text::encode(out, &registry)
}

#[derive(Debug)]
struct PageCollector(Page);

impl Collector for PageCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        families::write(&self.0, &mut OpenMetrics(&mut encoder))
    }
}

struct OpenMetrics<'a, 'b>(&'a mut DescriptorEncoder<'b>);

impl Exposition for OpenMetrics<'_, '_> {
    fn family(
        &mut self,
        metric: &Metric,
        samples: &mut dyn FnMut(&mut dyn Samples) -> fmt::Result,
    ) -> fmt::Result {
        let unit = match metric.unit {
            Unit::One => None,
            Unit::Seconds => Some(ClientUnit::Seconds),
            Unit::Bytes => Some(ClientUnit::Bytes),
        };
        let kind = match metric.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
            Kind::Info => MetricType::Info,
        };
        // The client appends the unit to the name itself.
        let suffix = metric.unit.suffix().unwrap_or_default();
        let name = metric.prometheus.strip_suffix(suffix).unwrap_or(metric.prometheus);
        let name = name.strip_suffix('_').unwrap_or(name);
        let encoder = self.0.encode_descriptor(name, metric.help, unit.as_ref(), kind)?;
        samples(&mut Family { encoder, buckets: Vec::new() })
    }
}

struct Family<'a> {
    encoder: MetricEncoder<'a>,
    buckets: Vec<(f64, u64)>,
}

impl Samples for Family<'_> {
    fn counter(&mut self, labels: &str, value: Value) -> fmt::Result {
        match labels {
            "" => self.encoder.encode_counter::<NoLabelSet, _, f64>(&value, None),
            _ => {
                self.encoder.encode_family(&LabelText(labels))?.encode_counter::<NoLabelSet, _, f64>(&value, None)
            }
        }
    }

    fn gauge(&mut self, labels: &str, value: Value) -> fmt::Result {
        match labels {
            "" => self.encoder.encode_gauge(&value),
            _ => self.encoder.encode_family(&LabelText(labels))?.encode_gauge(&value),
        }
    }

    fn info(&mut self, labels: &str) -> fmt::Result {
        self.encoder.encode_info(&LabelText(labels))
    }

    fn histogram(&mut self, labels: &str, histogram: &HistogramView<'_>) -> fmt::Result {
        self.buckets.clear();
        let mut above = histogram.count;
        for (upper, count) in histogram.buckets() {
            above = above.saturating_sub(count);
            self.buckets.push((upper, count));
        }
        self.buckets.push((f64::INFINITY, above));
        let (sum, count) = (histogram.sum, histogram.count);
        let labels = LabelText(labels);
        let mut encoder = self.encoder.encode_family(&labels)?;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &self.buckets, None)
    }
}

/// A label set that is already text.
struct LabelText<'a>(&'a str);

impl EncodeLabelSet for LabelText<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        encoder.encode_label().encode_label_key()?.write_str(self.0)
    }
}

impl EncodeCounterValue for Value {
    fn encode(&self, encoder: &mut CounterValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => EncodeCounterValue::encode(value, encoder),
            Self::Float(value) => EncodeCounterValue::encode(value, encoder),
        }
    }
}

impl EncodeGaugeValue for Value {
    fn encode(&self, encoder: &mut GaugeValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => EncodeGaugeValue::encode(value, encoder),
            Self::Float(value) => EncodeGaugeValue::encode(value, encoder),
        }
    }
}
