//! The families of a page as series.

#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt, sync::Arc};

use hashbrown::HashMap;

use super::{
    known::{Entry, Form, Known},
    native,
    number::bound,
    proto::{Exemplar, Histogram, Metadata, MetricType, Request, STALE, Sample, TimeSeries},
    symbols::Symbols,
};
use crate::{
    export::metrics::{AttributeValue, Attributes, HistogramView, Point, Points, Sink, Value},
    red,
    semconv::{Kind, Metric},
};

/// Most samples of a request: what Prometheus sends at once, so that every receiver takes it.
pub const MAX_SAMPLES: usize = 2000;

/// Largest sum of the texts of a request; a series has a few.
pub const MAX_TEXT: usize = 1 << 20;

/// The label that is the series' name.
const NAME: &str = "__name__";

/// The label that is a bucket's upper bound.
const BOUND: &str = "le";

/// Nanoseconds in a millisecond.
const MILLISECOND: u64 = 1_000_000;

/// A request and how much is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The series.
    pub request: Request,
    /// Samples and native histograms in it.
    pub samples: u64,
}

/// Which histograms are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histograms {
    /// Native ones, where they are kept.
    pub native: bool,
    /// Classic ones beside the native.
    pub classic_too: bool,
}

/// Makes requests of pages, and remembers what was on the last one.
#[derive(Debug, Default)]
pub struct Builder {
    /// Labels of every series that has none of that name itself, sorted by name.
    labels: Vec<(Arc<str>, Arc<str>)>,
    histograms: Histograms,
    known: Known,
    /// The values of `le` of a family; the last is infinite.
    bounds: HashMap<&'static str, Arc<[String]>>,
}

impl Builder {
    /// A builder whose series have `labels`, of which the first of a name counts.
    #[must_use]
    pub fn new(labels: Vec<(Arc<str>, Arc<str>)>, histograms: Histograms) -> Self {
        let mut labels = labels;
        let own = |name: &str| name.is_empty() || name == NAME || name == BOUND;
        labels.retain(|(name, value)| !own(name) && !value.is_empty());
        labels.sort_by(|(a, _), (b, _)| a.cmp(b));
        labels.dedup_by(|(later, _), (first, _)| later == first);
        Self { labels, histograms, known: Known::default(), bounds: HashMap::new() }
    }

    /// The requests that tell of what `write` tells, at `now`, in nanoseconds since the epoch. What was there the
    /// time before and is not any more is said to have ended.
    pub fn build(&mut self, now: u64, write: impl FnOnce(&mut dyn Sink) -> fmt::Result) -> Vec<Message> {
        self.known.begin();
        let mut requests = Requests {
            labels: &self.labels,
            histograms: self.histograms,
            known: &mut self.known,
            bounds: &mut self.bounds,
            now: milliseconds(now),
            done: Vec::new(),
            symbols: Symbols::default(),
            series: Vec::new(),
            samples: 0,
        };
        // This sink takes everything, so that there is no other error than none.
        let _ = write(&mut requests);
        requests.end_those_gone();
        requests.flush();
        requests.done
    }
}

struct Requests<'a> {
    labels: &'a [(Arc<str>, Arc<str>)],
    histograms: Histograms,
    known: &'a mut Known,
    bounds: &'a mut HashMap<&'static str, Arc<[String]>>,
    now: i64,
    done: Vec<Message>,
    symbols: Symbols,
    series: Vec<TimeSeries>,
    samples: usize,
}

struct Family<'a, 'b> {
    requests: &'a mut Requests<'b>,
    metric: &'static Metric,
}

impl Sink for Requests<'_> {
    fn family(
        &mut self,
        metric: &'static Metric,
        points: &mut dyn FnMut(&mut dyn Points) -> fmt::Result,
    ) -> fmt::Result {
        points(&mut Family { requests: self, metric })
    }
}

impl Points for Family<'_, '_> {
    fn number(&mut self, point: Point<'_>, value: Value) -> fmt::Result {
        let (metric, requests) = (self.metric, &mut *self.requests);
        requests.known.seen(metric, point.attributes, Form { number: true, ..Form::default() });
        let base = requests.base(metric, point.attributes, 1);
        let start = if metric.kind == Kind::Counter { requests.start(point.start) } else { 0 };
        let series = requests.number(&base, number_suffix(metric), None, value.as_f64(), start);
        requests.push(series);
        Ok(())
    }

    fn histogram(&mut self, point: Point<'_>, histogram: &HistogramView<'_>) -> fmt::Result {
        let (metric, requests) = (self.metric, &mut *self.requests);
        let exponential = histogram.exponential.filter(|_| requests.histograms.native);
        let classic = exponential.is_none() || requests.histograms.classic_too;
        let form = Form { number: false, classic, native: exponential.is_some() };
        let exemplars = new_exemplars(requests.known.seen(metric, point.attributes, form), histogram);
        requests.bounds.entry(metric.prometheus).or_insert_with(|| {
            histogram.buckets().chain([histogram.above()]).map(|bucket| bound(bucket.upper)).collect()
        });
        let base = requests.base(metric, point.attributes, requests.series_of(metric, form));
        let start = requests.start(point.start);
        if let Some(exponential) = exponential {
            let native = native::histogram(exponential, histogram.count, histogram.sum);
            let native = Histogram { timestamp: requests.now, start_timestamp: start, ..native };
            let mut later: Vec<_> = exemplars.iter().flatten().filter(|exemplar| exemplar.is_later).collect();
            // As Prometheus orders them: those of a millisecond by their value.
            later.sort_by(|one, other| one.at.cmp(&other.at).then(one.value.total_cmp(&other.value)));
            let series = requests.native(&base, native, &later);
            requests.push(series);
        }
        if classic {
            requests.classic(&base, metric, histogram, start, &exemplars);
        }
        Ok(())
    }
}

/// An exemplar that was not written before.
struct NewExemplar {
    own: red::Exemplar,
    /// When, in milliseconds.
    at: i64,
    /// In the unit of the family.
    value: f64,
    /// It is later than all that were written of its point: a native histogram's must be.
    is_later: bool,
}

/// One for each bucket that has a new one.
fn new_exemplars(entry: &mut Entry, histogram: &HistogramView<'_>) -> Vec<Option<NewExemplar>> {
    let latest = entry.latest();
    let buckets = histogram.buckets().chain([histogram.above()]).enumerate();
    let all = buckets.map(|(index, bucket)| {
        let own = *bucket.exemplar?;
        let at = milliseconds(own.at);
        let value = histogram.exemplar_value(&own);
        entry.is_new(index, at).then_some(NewExemplar { own, at, value, is_later: at > latest })
    });
    all.collect()
}

/// What the series of a point have in common, as symbols of the request under way.
struct Base {
    /// Name, reference of the name, reference of the value; sorted by name.
    labels: Vec<(String, u32, u32)>,
    metadata: Metadata,
    /// The family.
    name: &'static str,
}

impl Requests<'_> {
    /// The labels of a point that will be `series` series of one sample each, all in one request.
    fn base(&mut self, metric: &'static Metric, attributes: &Attributes, series: usize) -> Base {
        if self.samples > 0 && (self.samples + series > MAX_SAMPLES || self.symbols.bytes() > MAX_TEXT) {
            self.flush();
        }
        let own = attributes.iter().map(|(attribute, value)| (attribute.label, text(value)));
        let own = own.filter(|(_, value)| !value.is_empty()).collect::<Vec<_>>();
        let common = self.labels.iter().filter(|(name, _)| own.iter().all(|(known, _)| **known != **name));
        let common = common.map(|(name, value)| (&**name, Cow::Borrowed(&**value)));
        let mut all: Vec<_> = own.iter().map(|(name, value)| (*name, value.clone())).chain(common).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        let symbols = &mut self.symbols;
        let labels = all.iter().map(|(name, value)| ((*name).to_owned(), symbols.get(name), symbols.get(value)));
        let labels = labels.collect();
        let kind = match metric.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
            Kind::Info => MetricType::Info,
        };
        let unit_ref = symbols.get(metric.unit.suffix().unwrap_or_default());
        let metadata = Metadata { r#type: kind.into(), help_ref: symbols.get(metric.help), unit_ref };
        Base { labels, metadata, name: metric.prometheus }
    }

    /// A series' labels: those of the point, its name and perhaps a bound.
    fn labels(&mut self, base: &Base, suffix: &str, bound: Option<&str>) -> Vec<u32> {
        let name = self.symbols.get(&format!("{}{suffix}", base.name));
        let mut added = vec![(NAME, self.symbols.get(NAME), name)];
        if let Some(bound) = bound {
            added.push((BOUND, self.symbols.get(BOUND), self.symbols.get(bound)));
        }
        let mut refs = Vec::with_capacity(2 * (base.labels.len() + added.len()));
        let mut added = added.into_iter().peekable();
        for (label, name, value) in &base.labels {
            while let Some((_, name, value)) = added.next_if(|(own, _, _)| *own < label.as_str()) {
                refs.extend([name, value]);
            }
            refs.extend([*name, *value]);
        }
        refs.extend(added.flat_map(|(_, name, value)| [name, value]));
        refs
    }

    fn number(&mut self, base: &Base, suffix: &str, bound: Option<&str>, value: f64, start: i64) -> TimeSeries {
        TimeSeries {
            labels_refs: self.labels(base, suffix, bound),
            samples: vec![Sample { value, timestamp: self.now, start_timestamp: start }],
            metadata: Some(base.metadata),
            created_timestamp: start,
            ..TimeSeries::default()
        }
    }

    fn native(&mut self, base: &Base, histogram: Histogram, exemplars: &[&NewExemplar]) -> TimeSeries {
        TimeSeries {
            labels_refs: self.labels(base, "", None),
            created_timestamp: histogram.start_timestamp,
            histograms: vec![histogram],
            exemplars: exemplars.iter().map(|exemplar| self.exemplar(exemplar)).collect(),
            metadata: Some(base.metadata),
            ..TimeSeries::default()
        }
    }

    fn classic(
        &mut self,
        base: &Base,
        metric: &Metric,
        histogram: &HistogramView<'_>,
        start: i64,
        exemplars: &[Option<NewExemplar>],
    ) {
        let bounds = self.bounds.get(metric.prometheus).map(Arc::clone).unwrap_or_default();
        let mut below = 0;
        let buckets = histogram.buckets().chain([histogram.above()]);
        for ((bound, bucket), exemplar) in bounds.iter().zip(buckets).zip(exemplars) {
            below += bucket.count;
            let mut series = self.number(base, "_bucket", Some(bound), Value::Integer(below).as_f64(), start);
            series.exemplars.extend(exemplar.as_ref().map(|exemplar| self.exemplar(exemplar)));
            self.push(series);
        }
        for (suffix, value) in [("_sum", histogram.sum), ("_count", Value::Integer(histogram.count).as_f64())] {
            let series = self.number(base, suffix, None, value, start);
            self.push(series);
        }
    }

    fn exemplar(&mut self, exemplar: &NewExemplar) -> Exemplar {
        let own = &exemplar.own;
        let labels = [("span_id", own.span_id.to_string()), ("trace_id", own.trace_id.to_string())];
        let refs = labels.map(|(name, value)| [self.symbols.get(name), self.symbols.get(&value)]);
        Exemplar {
            labels_refs: refs.into_iter().flatten().collect(),
            value: exemplar.value,
            timestamp: exemplar.at,
        }
    }

    fn push(&mut self, series: TimeSeries) {
        self.samples += 1;
        self.series.push(series);
    }

    /// How many series a point of that form is.
    fn series_of(&self, metric: &Metric, form: Form) -> usize {
        let buckets = self.bounds.get(metric.prometheus).map_or(0, |bounds| bounds.len());
        usize::from(form.number) + usize::from(form.native) + if form.classic { buckets + 2 } else { 0 }
    }

    /// A start in milliseconds; 0 where it is not before the sample, which receivers refuse.
    fn start(&self, start: u64) -> i64 {
        Some(milliseconds(start)).filter(|start| *start < self.now).unwrap_or_default()
    }

    /// Says of what is gone that it has ended.
    fn end_those_gone(&mut self) {
        let stale = f64::from_bits(STALE);
        for (attributes, entry) in self.known.gone() {
            let (metric, form) = (entry.metric, entry.form);
            let base = self.base(metric, &attributes, self.series_of(metric, form));
            let mut ended = Vec::new();
            if form.number {
                ended.push(self.number(&base, number_suffix(metric), None, stale, 0));
            }
            if form.native {
                let end =
                    Histogram { count_int: Some(0), sum: stale, timestamp: self.now, ..Histogram::default() };
                ended.push(self.native(&base, end, &[]));
            }
            if form.classic {
                let bounds = self.bounds.get(metric.prometheus).map(Arc::clone).unwrap_or_default();
                for bound in bounds.iter() {
                    ended.push(self.number(&base, "_bucket", Some(bound), stale, 0));
                }
                ended.extend(["_sum", "_count"].map(|suffix| self.number(&base, suffix, None, stale, 0)));
            }
            ended.into_iter().for_each(|series| self.push(series));
        }
    }

    /// Ends the request that is under way, unless nothing is in it.
    fn flush(&mut self) {
        if self.series.is_empty() {
            return;
        }
        let symbols = std::mem::take(&mut self.symbols).into_all();
        let timeseries = std::mem::take(&mut self.series);
        let samples = u64::try_from(std::mem::take(&mut self.samples)).unwrap_or(u64::MAX);
        self.done.push(Message { request: Request { symbols, timeseries }, samples });
    }
}

/// What the name of a number's series has beyond its family's.
const fn number_suffix(metric: &Metric) -> &'static str {
    match metric.kind {
        Kind::Counter => "_total",
        Kind::Info => "_info",
        Kind::Gauge | Kind::Histogram => "",
    }
}

fn text(value: &AttributeValue) -> Cow<'_, str> {
    match value {
        AttributeValue::Static(text) => Cow::Borrowed(text),
        AttributeValue::Shared(text) => Cow::Borrowed(text),
        AttributeValue::Integer(_) | AttributeValue::Bool(_) => Cow::Owned(value.to_string()),
    }
}

fn milliseconds(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds / MILLISECOND).unwrap_or(i64::MAX)
}
