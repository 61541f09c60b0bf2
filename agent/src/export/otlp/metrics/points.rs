//! Values as data points.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value},
    metrics::v1::{
        self as proto, AggregationTemporality, exemplar, exponential_histogram_data_point::Buckets, metric::Data,
        number_data_point,
    },
};
use prost::Message as _;

use crate::{
    export::metrics::{AttributeValue, Attributes, HistogramView, Value},
    red::Exponential,
    semconv::{Kind, Metric, Unit},
};

/// What a point has come to, or by how much that is more than before.
#[derive(Clone, Debug, PartialEq)]
pub enum Total {
    /// Of a counter or a gauge.
    Number(Value),
    /// Of a histogram with bounds.
    Explicit {
        /// Observations in each bucket, the one above all bounds last.
        buckets: Vec<u64>,
        /// All observations.
        count: u64,
        /// Their sum.
        sum: f64,
    },
    /// Of a histogram by powers of a base.
    Exponential {
        /// Its resolution.
        scale: i32,
        /// Index of the first of `buckets`.
        offset: i32,
        /// Observations in each bucket.
        buckets: Vec<u64>,
        /// Observations of zero.
        zero: u64,
        /// All observations.
        count: u64,
        /// Their sum.
        sum: f64,
    },
}

impl Total {
    /// That of a histogram with bounds.
    pub fn explicit(view: &HistogramView<'_>) -> Self {
        let bounded = view.buckets().map(|bucket| bucket.count);
        let buckets = bounded.chain([view.above().count]).collect();
        Self::Explicit { buckets, count: view.count, sum: view.sum }
    }

    /// That of a histogram by powers of a base.
    pub fn exponential(view: &HistogramView<'_>, exponential: &Exponential) -> Self {
        Self::Exponential {
            scale: exponential.scale().into(),
            offset: exponential.offset(),
            buckets: exponential.buckets().to_vec(),
            zero: exponential.zero_count(),
            count: view.count,
            sum: view.sum,
        }
    }

    /// By how much it is more than `before`; `None` if it is no continuation of that: a count does not fall.
    pub fn since(&self, before: &Self) -> Option<Self> {
        match (self, before) {
            (Self::Number(Value::Integer(now)), Self::Number(Value::Integer(before))) => {
                Some(Self::Number(Value::Integer(now.checked_sub(*before)?)))
            }
            (Self::Number(Value::Float(now)), Self::Number(Value::Float(before))) => {
                (now >= before).then(|| Self::Number(Value::Float(now - before)))
            }
            (
                Self::Explicit { buckets, count, sum },
                Self::Explicit { buckets: buckets_before, count: count_before, sum: sum_before },
            ) => Some(Self::Explicit {
                buckets: subtract(buckets, buckets_before)?,
                count: count.checked_sub(*count_before)?,
                sum: sum - sum_before,
            }),
            (
                Self::Exponential { scale, offset, buckets, zero, count, sum },
                Self::Exponential {
                    scale: scale_before,
                    offset: offset_before,
                    buckets: buckets_before,
                    zero: zero_before,
                    count: count_before,
                    sum: sum_before,
                },
            ) => {
                // The resolution of one count only falls.
                let halvings = u32::try_from(scale_before.checked_sub(*scale)?).ok()?;
                let (offset_before, buckets_before) = coarser(*offset_before, buckets_before, halvings)?;
                let room = if buckets_before.is_empty() { 0 } else { offset_before.checked_sub(*offset)? };
                let mut aligned = vec![0; usize::try_from(room).ok()?];
                aligned.extend(buckets_before);
                aligned.resize(aligned.len().max(buckets.len()), 0);
                let (offset, buckets) = trimmed(*offset, subtract(buckets, &aligned)?);
                Some(Self::Exponential {
                    scale: *scale,
                    offset,
                    buckets,
                    zero: zero.checked_sub(*zero_before)?,
                    count: count.checked_sub(*count_before)?,
                    sum: sum - sum_before,
                })
            }
            _ => None,
        }
    }

    /// As a difference: nothing came.
    pub const fn is_nothing(&self) -> bool {
        match self {
            Self::Number(Value::Integer(value)) => *value == 0,
            Self::Number(Value::Float(value)) => *value == 0.0,
            Self::Explicit { count, .. } | Self::Exponential { count, .. } => *count == 0,
        }
    }
}

/// `None` if anything falls, or there are fewer.
fn subtract(now: &[u64], before: &[u64]) -> Option<Vec<u64>> {
    if now.len() != before.len() {
        return None;
    }
    now.iter().zip(before).map(|(now, before)| now.checked_sub(*before)).collect()
}

/// Takes each 2^`halvings` neighbours together.
fn coarser(offset: i32, buckets: &[u64], halvings: u32) -> Option<(i32, Vec<u64>)> {
    let first = offset.checked_shr(halvings)?;
    let mut coarse: Vec<u64> = Vec::with_capacity(buckets.len());
    for (index, count) in (offset..).zip(buckets) {
        let place = usize::try_from(index.checked_shr(halvings)? - first).ok()?;
        match coarse.get_mut(place) {
            Some(bucket) => *bucket += count,
            None => coarse.push(*count),
        }
    }
    Some((first, coarse))
}

/// Without empty buckets at either end.
fn trimmed(offset: i32, mut buckets: Vec<u64>) -> (i32, Vec<u64>) {
    let last = buckets.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
    buckets.truncate(last);
    let leading = buckets.iter().take_while(|count| **count == 0).count();
    buckets.drain(..leading);
    (offset.saturating_add(i32::try_from(leading).unwrap_or(i32::MAX)), buckets)
}

/// A data point of either kind.
pub enum DataPoint {
    /// Of a sum or a gauge.
    Number(proto::NumberDataPoint),
    /// Of a histogram with bounds.
    Explicit(proto::HistogramDataPoint),
    /// Of a histogram by powers of a base.
    Exponential(proto::ExponentialHistogramDataPoint),
}

impl DataPoint {
    /// A point of `total`, which was counted from `start` to `time`. Exemplars of `view` are taken if they are
    /// later than `after`.
    pub fn new(
        attributes: &Attributes,
        (start, time): (u64, u64),
        total: Total,
        view: Option<&HistogramView<'_>>,
        after: u64,
    ) -> Self {
        let attributes = key_values(attributes);
        match total {
            Total::Number(value) => Self::Number(proto::NumberDataPoint {
                attributes,
                start_time_unix_nano: start,
                time_unix_nano: time,
                value: Some(number(value)),
                ..Default::default()
            }),
            Total::Explicit { buckets, count, sum } => Self::Explicit(proto::HistogramDataPoint {
                attributes,
                start_time_unix_nano: start,
                time_unix_nano: time,
                count,
                sum: Some(sum),
                bucket_counts: buckets,
                explicit_bounds: view
                    .map(|view| view.buckets().map(|bucket| bucket.upper).collect())
                    .unwrap_or_default(),
                exemplars: exemplars(view, after),
                ..Default::default()
            }),
            Total::Exponential { scale, offset, buckets, zero, count, sum } => {
                Self::Exponential(proto::ExponentialHistogramDataPoint {
                    attributes,
                    start_time_unix_nano: start,
                    time_unix_nano: time,
                    count,
                    sum: Some(sum),
                    scale,
                    zero_count: zero,
                    positive: Some(Buckets { offset, bucket_counts: buckets }),
                    exemplars: exemplars(view, after),
                    ..Default::default()
                })
            }
        }
    }

    /// Bytes of its encoding.
    pub fn size(&self) -> usize {
        match self {
            Self::Number(point) => point.encoded_len(),
            Self::Explicit(point) => point.encoded_len(),
            Self::Exponential(point) => point.encoded_len(),
        }
    }

    /// The metric that the point is the first of.
    pub fn into_metric(self, metric: &Metric, temporality: AggregationTemporality) -> proto::Metric {
        let aggregation_temporality = temporality.into();
        let data = match self {
            Self::Number(point) if metric.kind == Kind::Counter => {
                Data::Sum(proto::Sum { data_points: vec![point], aggregation_temporality, is_monotonic: true })
            }
            Self::Number(point) => Data::Gauge(proto::Gauge { data_points: vec![point] }),
            Self::Explicit(point) => {
                Data::Histogram(proto::Histogram { data_points: vec![point], aggregation_temporality })
            }
            Self::Exponential(point) => Data::ExponentialHistogram(proto::ExponentialHistogram {
                data_points: vec![point],
                aggregation_temporality,
            }),
        };
        proto::Metric {
            name: name(metric),
            description: metric.help.to_owned(),
            unit: unit(metric.unit).to_owned(),
            data: Some(data),
            ..Default::default()
        }
    }

    /// Joins points of its form; given back if they are of another.
    pub fn join(self, data: &mut Option<Data>) -> Option<Self> {
        match (self, data) {
            (Self::Number(point), Some(Data::Sum(sum))) => sum.data_points.push(point),
            (Self::Number(point), Some(Data::Gauge(gauge))) => gauge.data_points.push(point),
            (Self::Explicit(point), Some(Data::Histogram(histogram))) => histogram.data_points.push(point),
            (Self::Exponential(point), Some(Data::ExponentialHistogram(histogram))) => {
                histogram.data_points.push(point);
            }
            (point, _) => return Some(point),
        }
        None
    }
}

/// The name in OTLP, where an info is a gauge.
pub fn name(metric: &Metric) -> String {
    let name = metric.otel.unwrap_or(metric.prometheus);
    if metric.kind == Kind::Info { format!("{name}_info") } else { name.to_owned() }
}

/// The unit as UCUM has it. None for counts: Prometheus would make a ratio of a gauge in `1`.
const fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Seconds => "s",
        Unit::Bytes => "By",
        Unit::One => "",
    }
}

fn number(value: Value) -> number_data_point::Value {
    match value {
        Value::Integer(integer) => match i64::try_from(integer) {
            Ok(integer) => number_data_point::Value::AsInt(integer),
            Err(_) => number_data_point::Value::AsDouble(value.as_f64()),
        },
        Value::Float(value) => number_data_point::Value::AsDouble(value),
    }
}

/// All attributes but the service, which the resource has.
fn key_values(attributes: &Attributes) -> Vec<KeyValue> {
    let own = attributes.iter().filter(|(attribute, _)| !attribute.is_of_service());
    own.map(|(attribute, value)| {
        let value = match value {
            AttributeValue::Static(text) => any_value::Value::StringValue((*text).to_owned()),
            AttributeValue::Shared(text) => any_value::Value::StringValue(text.as_ref().to_owned()),
            AttributeValue::Integer(value) => any_value::Value::IntValue(*value),
            AttributeValue::Bool(value) => any_value::Value::BoolValue(*value),
        };
        key_value(attribute.otel, value)
    })
    .collect()
}

/// A pair as the protocol has it.
pub fn key_value(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

fn exemplars(view: Option<&HistogramView<'_>>, after: u64) -> Vec<proto::Exemplar> {
    let Some(view) = view else { return Vec::new() };
    let all = view.buckets().chain([view.above()]).filter_map(|bucket| bucket.exemplar);
    all.filter(|exemplar| exemplar.at > after)
        .map(|exemplar| proto::Exemplar {
            time_unix_nano: exemplar.at,
            span_id: exemplar.span_id.to_bytes().to_vec(),
            trace_id: exemplar.trace_id.to_bytes().to_vec(),
            value: Some(exemplar::Value::AsDouble(view.exemplar_value(exemplar))),
            ..Default::default()
        })
        .collect()
}
