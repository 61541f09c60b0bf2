//! Prometheus' own protocol buffers (`io.prometheus.client.MetricFamily`, each message after its length): the only format
//! that has native histograms, and the one whose created timestamps cost a scraper nothing.
//!
//! Every field that a message of its kind has is written, zeros as well: of two readers, one takes a field that is missing
//! for zero, the other for one that is not known.

use std::fmt;

use super::{
    Native, Out,
    native::{self, Runs, ZERO_THRESHOLD},
    text,
    wire::{double, length, message, packed, signed, string, unsigned, varint},
};
use crate::{
    export::metrics::{AttributeValue, Attributes, Bucket, HistogramView, Point, Points, Sink, Value},
    red::{Exemplar, Exponential},
    semconv::{Kind, Metric},
};

/// Bytes handed on at once.
const PIECE: usize = 64 << 10;

/// Numbers of fields, by message.
mod field {
    pub mod family {
        pub const NAME: u32 = 1;
        pub const HELP: u32 = 2;
        pub const TYPE: u32 = 3;
        pub const METRIC: u32 = 4;
        pub const UNIT: u32 = 5;
    }
    pub mod metric {
        pub const LABEL: u32 = 1;
        pub const GAUGE: u32 = 2;
        pub const COUNTER: u32 = 3;
        pub const HISTOGRAM: u32 = 7;
    }
    pub mod label {
        pub const NAME: u32 = 1;
        pub const VALUE: u32 = 2;
    }
    /// Of gauges and counters.
    pub mod number {
        pub const VALUE: u32 = 1;
        /// `created_timestamp` in client_model, `start_timestamp` in Prometheus.
        pub const START: u32 = 3;
    }
    pub mod histogram {
        pub const SAMPLE_COUNT: u32 = 1;
        pub const SAMPLE_SUM: u32 = 2;
        pub const BUCKET: u32 = 3;
        pub const SCHEMA: u32 = 5;
        pub const ZERO_THRESHOLD: u32 = 6;
        pub const ZERO_COUNT: u32 = 7;
        pub const POSITIVE_SPAN: u32 = 12;
        pub const POSITIVE_DELTA: u32 = 13;
        pub const START: u32 = 15;
        pub const EXEMPLARS: u32 = 16;
    }
    pub mod bucket {
        pub const CUMULATIVE_COUNT: u32 = 1;
        pub const UPPER_BOUND: u32 = 2;
        pub const EXEMPLAR: u32 = 3;
    }
    pub mod span {
        pub const OFFSET: u32 = 1;
        pub const LENGTH: u32 = 2;
    }
    pub mod exemplar {
        pub const LABEL: u32 = 1;
        pub const VALUE: u32 = 2;
        pub const TIMESTAMP: u32 = 3;
    }
    /// Of `google.protobuf.Timestamp`.
    pub mod timestamp {
        pub const SECONDS: u32 = 1;
        pub const NANOS: u32 = 2;
    }
}

/// A page of messages.
pub struct Messages<'a> {
    native: Native,
    out: &'a mut dyn Out,
    /// The metrics of the family that is written: its length comes before them.
    metrics: Vec<u8>,
    /// Native buckets of the histogram that is written.
    runs: Runs,
}

impl<'a> Messages<'a> {
    /// An empty page.
    pub fn new(native: Native, out: &'a mut dyn Out) -> Self {
        Self { native, out, metrics: Vec::new(), runs: Runs::default() }
    }
}

impl Sink for Messages<'_> {
    fn family(
        &mut self,
        metric: &'static Metric,
        points: &mut dyn FnMut(&mut dyn Points) -> fmt::Result,
    ) -> fmt::Result {
        // `COUNTER`, `GAUGE`, `HISTOGRAM`; there is no type for an info.
        let (suffix, kind) = match metric.kind {
            Kind::Counter => ("_total", 0),
            Kind::Gauge => ("", 1),
            Kind::Histogram => ("", 4),
            Kind::Info => ("_info", 1),
        };
        let mut head = Vec::new();
        string(field::family::NAME, &[metric.prometheus, suffix].concat(), &mut head);
        string(field::family::HELP, metric.help, &mut head);
        unsigned(field::family::TYPE, kind, &mut head);
        if let Some(unit) = metric.unit.suffix() {
            string(field::family::UNIT, unit, &mut head);
        }
        self.metrics.clear();
        points(&mut Family { page: self, kind: metric.kind, is_native: None })?;
        let mut size = Vec::new();
        varint(length(head.len() + self.metrics.len()), &mut size);
        self.out.write(&size)?;
        self.out.write(&head)?;
        self.metrics.chunks(PIECE).try_for_each(|piece| self.out.write(piece))
    }
}

struct Family<'a, 'b> {
    page: &'a mut Messages<'b>,
    kind: Kind,
    /// Whether the family's first histogram is native. Prometheus takes all of a family for what the first of them is, and
    /// refuses the whole page if one is not.
    is_native: Option<bool>,
}

impl Points for Family<'_, '_> {
    fn number(&mut self, point: Point<'_>, value: Value) -> fmt::Result {
        let start = Some(point.start).filter(|_| self.kind == Kind::Counter);
        let kind = if start.is_some() { field::metric::COUNTER } else { field::metric::GAUGE };
        message(field::family::METRIC, &mut self.page.metrics, |bytes| {
            labels(point.attributes, bytes);
            message(kind, bytes, |bytes| {
                double(field::number::VALUE, value.as_f64(), bytes);
                timestamp(field::number::START, start.unwrap_or_default(), bytes);
            });
        });
        Ok(())
    }

    fn histogram(&mut self, point: Point<'_>, view: &HistogramView<'_>) -> fmt::Result {
        let Messages { native: asked, metrics, runs, .. } = &mut *self.page;
        let native = native::of(view).filter(|_| *asked != Native::Off);
        let is_native = *self.is_native.get_or_insert(native.is_some());
        let native = native.filter(|_| is_native);
        message(field::family::METRIC, metrics, |bytes| {
            labels(point.attributes, bytes);
            message(field::metric::HISTOGRAM, bytes, |bytes| {
                unsigned(field::histogram::SAMPLE_COUNT, view.count, bytes);
                double(field::histogram::SAMPLE_SUM, view.sum, bytes);
                if native.is_some() && *asked == Native::Instead {
                    let all = view.buckets().chain([view.above()]).filter_map(|bucket| bucket.exemplar);
                    all.for_each(|one| exemplar(field::histogram::EXEMPLARS, one, view, bytes));
                } else {
                    bounds(view, bytes);
                }
                if is_native {
                    // Without buckets of its own, it has all that was observed in that of zero.
                    let (scale, zeros) = native.map_or((0, view.count), |own| (own.scale(), own.zero_count()));
                    signed(field::histogram::SCHEMA, scale.into(), bytes);
                    double(field::histogram::ZERO_THRESHOLD, ZERO_THRESHOLD, bytes);
                    unsigned(field::histogram::ZERO_COUNT, zeros, bytes);
                    runs.fill(native.unwrap_or(&Exponential::default()));
                    write_runs(runs, bytes);
                }
                timestamp(field::histogram::START, point.start, bytes);
            });
        });
        Ok(())
    }
}

fn labels(attributes: &Attributes, bytes: &mut Vec<u8>) {
    for (attribute, value) in attributes.iter() {
        let name = attribute.label;
        match value {
            AttributeValue::Static(text) => label(field::metric::LABEL, name, text, bytes),
            AttributeValue::Shared(text) => label(field::metric::LABEL, name, text, bytes),
            AttributeValue::Integer(value) => {
                label(field::metric::LABEL, name, itoa::Buffer::new().format(*value), bytes);
            }
            AttributeValue::Bool(value) => {
                label(field::metric::LABEL, name, if *value { "true" } else { "false" }, bytes);
            }
        }
    }
}

fn label(field: u32, name: &str, value: &str, bytes: &mut Vec<u8>) {
    message(field, bytes, |bytes| {
        string(field::label::NAME, name, bytes);
        string(field::label::VALUE, value, bytes);
    });
}

/// The buckets with bounds, the one above all bounds last, and their exemplars, which a reader of the native ones takes too.
fn bounds(view: &HistogramView<'_>, bytes: &mut Vec<u8>) {
    let mut below = 0;
    let mut write = |bucket: Bucket<'_>, below: u64| {
        message(field::histogram::BUCKET, bytes, |bytes| {
            unsigned(field::bucket::CUMULATIVE_COUNT, below, bytes);
            double(field::bucket::UPPER_BOUND, bucket.upper, bytes);
            if let Some(one) = bucket.exemplar {
                exemplar(field::bucket::EXEMPLAR, one, view, bytes);
            }
        });
    };
    for bucket in view.buckets() {
        below += bucket.count;
        write(bucket, below);
    }
    write(view.above(), view.count);
}

fn write_runs(runs: &Runs, bytes: &mut Vec<u8>) {
    for (offset, length) in &runs.spans {
        message(field::histogram::POSITIVE_SPAN, bytes, |bytes| {
            signed(field::span::OFFSET, (*offset).into(), bytes);
            unsigned(field::span::LENGTH, (*length).into(), bytes);
        });
    }
    packed(field::histogram::POSITIVE_DELTA, &runs.deltas, bytes);
}

fn exemplar(field: u32, exemplar: &Exemplar, view: &HistogramView<'_>, bytes: &mut Vec<u8>) {
    message(field, bytes, |bytes| {
        let (trace, span) = (exemplar.trace_id.to_bytes(), exemplar.span_id.to_bytes());
        for (name, id) in [("trace_id", &trace[..]), ("span_id", &span)] {
            message(field::exemplar::LABEL, bytes, |bytes| {
                string(field::label::NAME, name, bytes);
                message(field::label::VALUE, bytes, |bytes| text::hexadecimal(id, bytes));
            });
        }
        double(field::exemplar::VALUE, view.exemplar_value(exemplar), bytes);
        timestamp(field::exemplar::TIMESTAMP, exemplar.at, bytes);
    });
}

/// A time given in nanoseconds since the epoch; not known is not said.
fn timestamp(field: u32, nanoseconds: u64, bytes: &mut Vec<u8>) {
    if nanoseconds > 0 {
        message(field, bytes, |bytes| {
            unsigned(field::timestamp::SECONDS, nanoseconds / 1_000_000_000, bytes);
            unsigned(field::timestamp::NANOS, nanoseconds % 1_000_000_000, bytes);
        });
    }
}
