//! What the Collector's file exporter writes: a line of JSON for each request, with OTLP's own names.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// Attributes by name.
pub type Attributes = BTreeMap<String, Attribute>;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub enum Attribute {
    /// `stringValue`
    Text(String),
    /// `intValue`
    Integer(i64),
    /// `doubleValue`
    Double(f64),
    /// `boolValue`
    Truth(bool),
    /// `arrayValue`
    List(Vec<Self>),
}

/// A span, and whose it is.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields of opentelemetry.proto.trace.v1.Span")]
pub struct Span {
    pub resource: Attributes,
    pub scope: String,
    pub trace_id: String,
    pub span_id: String,
    pub parent_span_id: String,
    pub trace_state: String,
    pub flags: u64,
    pub name: String,
    pub kind: u64,
    pub start: u64,
    pub end: u64,
    pub attributes: Attributes,
    pub status: u64,
    pub status_message: String,
}

/// A data point, and what it belongs to.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields of opentelemetry.proto.metrics.v1.Metric and its data points")]
pub struct Point {
    pub resource: Attributes,
    pub scope: String,
    pub name: String,
    pub unit: String,
    pub description: String,
    pub data: Data,
    pub temporality: u64,
    pub monotonic: bool,
    pub attributes: Attributes,
    pub start: u64,
    pub time: u64,
    pub value: Number,
    pub exemplars: Vec<Exemplar>,
}

/// Which member of `Metric.data` it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of opentelemetry.proto.metrics.v1.Metric.data")]
pub enum Data {
    Gauge,
    Sum,
    Histogram,
    ExponentialHistogram,
}

/// The value of a point.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// `asInt`
    Integer(i64),
    /// `asDouble`
    Double(f64),
    /// Explicit bounds: count, sum, bounds, counts of the buckets.
    Histogram(u64, f64, Vec<f64>, Vec<u64>),
    /// Exponential buckets: count, sum, scale, count of zeros, offset, counts of the buckets.
    Exponential(u64, f64, i64, u64, i64, Vec<u64>),
}

/// An exemplar.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields of opentelemetry.proto.metrics.v1.Exemplar")]
pub struct Exemplar {
    pub trace_id: String,
    pub span_id: String,
    pub time: u64,
    pub value: f64,
}

/// Temporality `DELTA`.
pub const DELTA: u64 = 1;
/// Temporality `CUMULATIVE`.
pub const CUMULATIVE: u64 = 2;
/// Kind `SERVER` of a span.
pub const SERVER: u64 = 2;
/// Kind `CLIENT` of a span.
pub const CLIENT: u64 = 3;
/// Status `ERROR` of a span.
pub const ERROR: u64 = 2;

/// The spans in a file, in the order of their lines; none if there is no file.
///
/// # Panics
/// When a line is not as documented.
#[must_use]
pub fn spans(file: &Path) -> Vec<Span> {
    let mut spans = Vec::new();
    for line in lines(file) {
        for of_resource in list(&line, "resourceSpans") {
            let resource = attributes(&of_resource["resource"]);
            for of_scope in list(of_resource, "scopeSpans") {
                let scope = text(&of_scope["scope"], "name");
                spans.extend(list(of_scope, "spans").iter().map(|value| span(&resource, &scope, value)));
            }
        }
    }
    spans
}

/// The data points in a file, in the order of their lines; none if there is no file.
///
/// # Panics
/// When a line is not as documented.
#[must_use]
pub fn points(file: &Path) -> Vec<Point> {
    let mut points = Vec::new();
    for line in lines(file) {
        for of_resource in list(&line, "resourceMetrics") {
            let resource = attributes(&of_resource["resource"]);
            for of_scope in list(of_resource, "scopeMetrics") {
                let scope = text(&of_scope["scope"], "name");
                let metrics = list(of_scope, "metrics").iter();
                points.extend(metrics.flat_map(|metric| points_of(&resource, &scope, metric)));
            }
        }
    }
    points
}

/// The whole lines of a file; the last may be under way, and a Collector that was killed left one that never was.
fn lines(file: &Path) -> Vec<Value> {
    let content = std::fs::read(file).unwrap_or_default();
    read(&content).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn read(content: &[u8]) -> serde_json::Result<Vec<Value>> {
    let whole = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let lines = content[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let read = |line: &[u8]| match serde_json::from_slice(line) {
        // Cut off, and the next line begins in its middle.
        Err(error) => whole_end(line).ok_or(error),
        read => read,
    };
    lines.map(read).collect()
}

/// The beginning of each line that the Collector writes.
const BEGINNINGS: [&[u8]; 2] = [b"{\"resourceSpans\":", b"{\"resourceMetrics\":"];

/// The line that begins within a line that was cut off.
fn whole_end(line: &[u8]) -> Option<Value> {
    serde_json::from_slice(&line[last_beginning(line).filter(|at| *at > 0)?..]).ok()
}

fn last_beginning(line: &[u8]) -> Option<usize> {
    let starts = |beginning: &&[u8]| line.windows(beginning.len()).rposition(|window| window == *beginning);
    BEGINNINGS.iter().filter_map(starts).max()
}

fn span(resource: &Attributes, scope: &str, value: &Value) -> Span {
    Span {
        resource: resource.clone(),
        scope: scope.to_owned(),
        trace_id: text(value, "traceId"),
        span_id: text(value, "spanId"),
        parent_span_id: text(value, "parentSpanId"),
        trace_state: text(value, "traceState"),
        flags: whole(value, "flags"),
        name: text(value, "name"),
        kind: whole(value, "kind"),
        start: whole(value, "startTimeUnixNano"),
        end: whole(value, "endTimeUnixNano"),
        attributes: attributes(value),
        status: whole(&value["status"], "code"),
        status_message: text(&value["status"], "message"),
    }
}

fn points_of(resource: &Attributes, scope: &str, metric: &Value) -> Vec<Point> {
    const DATA: [(&str, Data); 4] = [
        ("gauge", Data::Gauge),
        ("sum", Data::Sum),
        ("histogram", Data::Histogram),
        ("exponentialHistogram", Data::ExponentialHistogram),
    ];
    let known = DATA.into_iter().find(|(key, _)| metric.get(key).is_some());
    let (key, kind) = known.unwrap_or_else(|| panic!("a metric without known data: {metric}"));
    let data = &metric[key];
    let point = |value: &Value| Point {
        resource: resource.clone(),
        scope: scope.to_owned(),
        name: text(metric, "name"),
        unit: text(metric, "unit"),
        description: text(metric, "description"),
        data: kind,
        temporality: whole(data, "aggregationTemporality"),
        monotonic: data["isMonotonic"].as_bool().unwrap_or(false),
        attributes: attributes(value),
        start: whole(value, "startTimeUnixNano"),
        time: whole(value, "timeUnixNano"),
        value: number(kind, value),
        exemplars: list(value, "exemplars").iter().map(exemplar).collect(),
    };
    list(data, "dataPoints").iter().map(point).collect()
}

fn number(kind: Data, value: &Value) -> Number {
    let wholes = |value: &Value, key: &str| -> Vec<u64> { list(value, key).iter().map(as_whole).collect() };
    match kind {
        Data::Gauge | Data::Sum => match value.get("asDouble") {
            Some(double) => Number::Double(as_double(double)),
            None => Number::Integer(signed(value, "asInt")),
        },
        Data::Histogram => Number::Histogram(
            whole(value, "count"),
            double(value, "sum"),
            list(value, "explicitBounds").iter().map(as_double).collect(),
            wholes(value, "bucketCounts"),
        ),
        Data::ExponentialHistogram => Number::Exponential(
            whole(value, "count"),
            double(value, "sum"),
            signed(value, "scale"),
            whole(value, "zeroCount"),
            signed(&value["positive"], "offset"),
            wholes(&value["positive"], "bucketCounts"),
        ),
    }
}

fn exemplar(value: &Value) -> Exemplar {
    Exemplar {
        trace_id: text(value, "traceId"),
        span_id: text(value, "spanId"),
        time: whole(value, "timeUnixNano"),
        value: value.get("asDouble").map_or(0.0, as_double),
    }
}

fn attributes(value: &Value) -> Attributes {
    let mut all = Attributes::new();
    for pair in list(value, "attributes") {
        let name = text(pair, "key");
        let twice = all.insert(name.clone(), attribute(&pair["value"]));
        assert!(twice.is_none(), "{name} twice: {value}");
    }
    all
}

fn attribute(value: &Value) -> Attribute {
    let (key, inner) = value.as_object().and_then(|object| object.iter().next()).expect("a value of an attribute");
    match key.as_str() {
        "stringValue" => Attribute::Text(inner.as_str().expect("a string").to_owned()),
        "intValue" => Attribute::Integer(signed(value, "intValue")),
        "doubleValue" => Attribute::Double(as_double(inner)),
        "boolValue" => Attribute::Truth(inner.as_bool().expect("a truth")),
        "arrayValue" => Attribute::List(list(inner, "values").iter().map(attribute).collect()),
        other => panic!("an attribute of an unknown kind: {other}"),
    }
}

/// An absent list is an empty one.
fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// An absent text is an empty one.
fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// 64-bit integers are strings in JSON, lesser ones are not, and 0 is absent.
fn signed(value: &Value, key: &str) -> i64 {
    match value.get(key) {
        None => 0,
        Some(Value::String(digits)) => digits.parse().expect("an integer"),
        Some(number) => number.as_i64().expect("an integer"),
    }
}

fn whole(value: &Value, key: &str) -> u64 {
    value.get(key).map_or(0, as_whole)
}

fn as_whole(value: &Value) -> u64 {
    match value {
        Value::String(digits) => digits.parse().expect("a whole number"),
        number => number.as_u64().expect("a whole number"),
    }
}

fn double(value: &Value, key: &str) -> f64 {
    value.get(key).map_or(0.0, as_double)
}

fn as_double(value: &Value) -> f64 {
    match value {
        Value::String(name) => name.parse().expect("a number"),
        number => number.as_f64().expect("a number"),
    }
}

impl Attribute {
    /// As Prometheus shows it.
    #[must_use]
    pub fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Integer(value) => value.to_string(),
            Self::Double(value) => value.to_string(),
            Self::Truth(value) => value.to_string(),
            Self::List(values) => values.iter().map(Self::plain).collect::<Vec<_>>().join(","),
        }
    }

    /// The name of its kind in tables: `string`, `int`, `double`, `bool`, `list`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Integer(_) => "int",
            Self::Double(_) => "double",
            Self::Truth(_) => "bool",
            Self::List(_) => "list",
        }
    }
}

impl Span {
    /// The value of an attribute, as Prometheus would show it.
    #[must_use]
    pub fn plain(&self, name: &str) -> Option<String> {
        self.attributes.get(name).map(Attribute::plain)
    }

    /// `service.name` of its resource.
    #[must_use]
    pub fn service(&self) -> Option<String> {
        self.resource.get("service.name").map(Attribute::plain)
    }
}

impl Point {
    /// `service.name` of its resource.
    #[must_use]
    pub fn service(&self) -> Option<String> {
        self.resource.get("service.name").map(Attribute::plain)
    }

    /// What tells it from the others: whose it is, its name, its attributes.
    #[must_use]
    pub fn key(&self) -> String {
        let attributes: Vec<_> = self.attributes.iter().map(|(name, value)| (name, value.plain())).collect();
        format!("{} {} {attributes:?}", self.service().unwrap_or_default(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_line_that_was_cut_off_anywhere_takes_no_other_with_it() {
        let line = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":{"intValue":"1"}}]},"n":[-1.5,true]}]}"#;
        let whole = serde_json::from_str::<serde_json::Value>(line).expect("a line");
        for cut in 0..=line.len() {
            let content = format!("{line}\n{}{line}\n{}", &line[..cut], &line[..cut]);
            assert_eq!(read(content.as_bytes()).expect("lines"), [whole.clone(), whole.clone()], "cut at {cut}");
        }
    }

    #[test]
    fn a_line_that_is_not_one_is_an_error() {
        read(b"{\"resourceSpans\":[}\n").expect_err("a comma or a bracket is missing");
    }
}
