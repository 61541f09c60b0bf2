//! The messages of `io.prometheus.client` (`metrics.proto`), as far as we write them: how pages are read again, by
//! other means than those that they are written with.

/// A family.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MetricFamily {
    /// The family's name; that of a counter ends in `_total`.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// One sentence.
    #[prost(string, optional, tag = "2")]
    pub help: Option<String>,
    /// What its metrics are.
    #[prost(enumeration = "MetricType", optional, tag = "3")]
    pub r#type: Option<i32>,
    /// Its metrics.
    #[prost(message, repeated, tag = "4")]
    pub metric: Vec<Metric>,
    /// The unit that its name says, too.
    #[prost(string, optional, tag = "5")]
    pub unit: Option<String>,
}

/// Kinds of metrics that we have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum MetricType {
    /// A sum that only grows.
    Counter = 0,
    /// A value.
    Gauge = 1,
    /// A distribution.
    Histogram = 4,
}

/// A point of a family.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Metric {
    /// What tells it from the others.
    #[prost(message, repeated, tag = "1")]
    pub label: Vec<LabelPair>,
    /// A gauge's value.
    #[prost(message, optional, tag = "2")]
    pub gauge: Option<Gauge>,
    /// A counter's.
    #[prost(message, optional, tag = "3")]
    pub counter: Option<Counter>,
    /// A histogram's.
    #[prost(message, optional, tag = "7")]
    pub histogram: Option<Histogram>,
}

/// A label.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LabelPair {
    /// Its name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// Its value.
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}

/// A gauge.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Gauge {
    /// Its value.
    #[prost(double, optional, tag = "1")]
    pub value: Option<f64>,
}

/// A counter.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Counter {
    /// Its value.
    #[prost(double, optional, tag = "1")]
    pub value: Option<f64>,
    /// Since when it is counted (`created_timestamp` in client_model, `start_timestamp` in Prometheus).
    #[prost(message, optional, tag = "3")]
    pub start: Option<Timestamp>,
}

/// A histogram, with bounds, native, or both at once.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Histogram {
    /// All observations.
    #[prost(uint64, optional, tag = "1")]
    pub sample_count: Option<u64>,
    /// Their sum.
    #[prost(double, optional, tag = "2")]
    pub sample_sum: Option<f64>,
    /// Buckets with bounds.
    #[prost(message, repeated, tag = "3")]
    pub bucket: Vec<Bucket>,
    /// Resolution of the native buckets: their base is 2^(2^-schema).
    #[prost(sint32, optional, tag = "5")]
    pub schema: Option<i32>,
    /// What counts as zero.
    #[prost(double, optional, tag = "6")]
    pub zero_threshold: Option<f64>,
    /// Observations of zero.
    #[prost(uint64, optional, tag = "7")]
    pub zero_count: Option<u64>,
    /// Runs of native buckets that are not empty.
    #[prost(message, repeated, tag = "12")]
    pub positive_span: Vec<BucketSpan>,
    /// Observations in each of them, as differences to the one before.
    #[prost(sint64, repeated, packed = "true", tag = "13")]
    pub positive_delta: Vec<i64>,
    /// Since when it is counted.
    #[prost(message, optional, tag = "15")]
    pub start: Option<Timestamp>,
    /// Exemplars of the native buckets.
    #[prost(message, repeated, tag = "16")]
    pub exemplars: Vec<Exemplar>,
}

/// A bucket with a bound.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Bucket {
    /// Observations in it and in those below.
    #[prost(uint64, optional, tag = "1")]
    pub cumulative_count: Option<u64>,
    /// Its bound, which is inside.
    #[prost(double, optional, tag = "2")]
    pub upper_bound: Option<f64>,
    /// One of its observations.
    #[prost(message, optional, tag = "3")]
    pub exemplar: Option<Exemplar>,
}

/// A run of native buckets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct BucketSpan {
    /// From the end of the run before to its first bucket; for the first run, the index of that bucket.
    #[prost(sint32, optional, tag = "1")]
    pub offset: Option<i32>,
    /// How many.
    #[prost(uint32, optional, tag = "2")]
    pub length: Option<u32>,
}

/// An observation with its trace.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Exemplar {
    /// `trace_id` and `span_id`.
    #[prost(message, repeated, tag = "1")]
    pub label: Vec<LabelPair>,
    /// What was observed.
    #[prost(double, optional, tag = "2")]
    pub value: Option<f64>,
    /// When.
    #[prost(message, optional, tag = "3")]
    pub timestamp: Option<Timestamp>,
}

/// `google.protobuf.Timestamp`: since the epoch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Timestamp {
    /// Whole seconds.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// The rest in nanoseconds.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}
