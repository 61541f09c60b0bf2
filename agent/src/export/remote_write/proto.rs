//! The messages of remote write, as far as they are written (Prometheus
//! `prompb/io/prometheus/write/v2/types.proto` and `prompb/{remote,types}.proto`).

/// A value that says that its series has ended; what other NaN there is says nothing.
pub const STALE: u64 = 0x7ff0_0000_0000_0002;

/// `io.prometheus.write.v2.Request`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Request {
    /// All texts, each once; the first is empty.
    #[prost(string, repeated, tag = "4")]
    pub symbols: Vec<String>,
    /// The series.
    #[prost(message, repeated, tag = "5")]
    pub timeseries: Vec<TimeSeries>,
}

/// A series with samples or with histograms.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TimeSeries {
    /// Name, value, name, value and so on, sorted by name.
    #[prost(uint32, repeated, tag = "1")]
    pub labels_refs: Vec<u32>,
    /// Numbers.
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    /// Native histograms.
    #[prost(message, repeated, tag = "3")]
    pub histograms: Vec<Histogram>,
    /// Observations with their traces, by time.
    #[prost(message, repeated, tag = "4")]
    pub exemplars: Vec<Exemplar>,
    /// What it is.
    #[prost(message, optional, tag = "5")]
    pub metadata: Option<Metadata>,
    /// Start in milliseconds since the epoch. Drafts of 2.0 up to its third candidate had it here, and receivers
    /// of that time look for it; later ones pass over it.
    #[prost(int64, tag = "6")]
    pub created_timestamp: i64,
}

/// A number at a time.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Sample {
    /// The number.
    #[prost(double, tag = "1")]
    pub value: f64,
    /// In milliseconds since the epoch.
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
    /// Since when it is counted; 0: not counted. Only 2.0 has it.
    #[prost(int64, tag = "3")]
    pub start_timestamp: i64,
}

/// An observation with its trace.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Exemplar {
    /// `trace_id` and `span_id`, as in a series.
    #[prost(uint32, repeated, tag = "1")]
    pub labels_refs: Vec<u32>,
    /// What was observed.
    #[prost(double, tag = "2")]
    pub value: f64,
    /// In milliseconds since the epoch.
    #[prost(int64, tag = "3")]
    pub timestamp: i64,
}

/// What a series is.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Metadata {
    /// [`MetricType`].
    #[prost(enumeration = "MetricType", tag = "1")]
    pub r#type: i32,
    /// A sentence.
    #[prost(uint32, tag = "3")]
    pub help_ref: u32,
    /// The unit as a name's suffix has it.
    #[prost(uint32, tag = "4")]
    pub unit_ref: u32,
}

/// What a family is; the same numbers in both versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum MetricType {
    /// Not known.
    Unspecified = 0,
    /// Grows.
    Counter = 1,
    /// Goes up and down.
    Gauge = 2,
    /// A distribution.
    Histogram = 3,
    /// The constant 1.
    Info = 6,
}

/// A native histogram of integers, of either version.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Histogram {
    /// All observations.
    #[prost(uint64, optional, tag = "1")]
    pub count_int: Option<u64>,
    /// Their sum.
    #[prost(double, tag = "3")]
    pub sum: f64,
    /// The base is 2^(2^-schema).
    #[prost(sint32, tag = "4")]
    pub schema: i32,
    /// Up to here is zero.
    #[prost(double, tag = "5")]
    pub zero_threshold: f64,
    /// Observations of zero.
    #[prost(uint64, optional, tag = "6")]
    pub zero_count_int: Option<u64>,
    /// Where buckets are.
    #[prost(message, repeated, tag = "11")]
    pub positive_spans: Vec<BucketSpan>,
    /// The first one's observations, then the differences to the bucket before.
    #[prost(sint64, repeated, tag = "12")]
    pub positive_deltas: Vec<i64>,
    /// In milliseconds since the epoch.
    #[prost(int64, tag = "15")]
    pub timestamp: i64,
    /// Since when it is counted. Only 2.0 has it.
    #[prost(int64, tag = "17")]
    pub start_timestamp: i64,
}

/// Neighbouring buckets.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct BucketSpan {
    /// Of the first span its first index, of the others the gap before it.
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    /// How many.
    #[prost(uint32, tag = "2")]
    pub length: u32,
}

/// The messages of 1.0.
pub mod v1 {
    use super::{Histogram, Sample};

    /// `prometheus.WriteRequest`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct WriteRequest {
        /// The series.
        #[prost(message, repeated, tag = "1")]
        pub timeseries: Vec<TimeSeries>,
        /// What their families are.
        #[prost(message, repeated, tag = "3")]
        pub metadata: Vec<MetricMetadata>,
    }

    /// A series.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct TimeSeries {
        /// Sorted by name.
        #[prost(message, repeated, tag = "1")]
        pub labels: Vec<Label>,
        /// Numbers.
        #[prost(message, repeated, tag = "2")]
        pub samples: Vec<Sample>,
        /// Observations with their traces.
        #[prost(message, repeated, tag = "3")]
        pub exemplars: Vec<Exemplar>,
        /// Native histograms.
        #[prost(message, repeated, tag = "4")]
        pub histograms: Vec<Histogram>,
    }

    /// A label.
    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub struct Label {
        /// Its name.
        #[prost(string, tag = "1")]
        pub name: String,
        /// Its value.
        #[prost(string, tag = "2")]
        pub value: String,
    }

    /// An observation with its trace.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Exemplar {
        /// `trace_id` and `span_id`.
        #[prost(message, repeated, tag = "1")]
        pub labels: Vec<Label>,
        /// What was observed.
        #[prost(double, tag = "2")]
        pub value: f64,
        /// In milliseconds since the epoch.
        #[prost(int64, tag = "3")]
        pub timestamp: i64,
    }

    /// What a family is.
    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub struct MetricMetadata {
        /// [`MetricType`](super::MetricType).
        #[prost(enumeration = "super::MetricType", tag = "1")]
        pub r#type: i32,
        /// Its name.
        #[prost(string, tag = "2")]
        pub metric_family_name: String,
        /// A sentence.
        #[prost(string, tag = "4")]
        pub help: String,
        /// The unit.
        #[prost(string, tag = "5")]
        pub unit: String,
    }
}
