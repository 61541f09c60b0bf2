//! Metrics as OTLP has them (opentelemetry-proto v1, `metrics.proto`): the families of a page become requests, a
//! resource for each service in them.

mod delta;
mod points;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use hashbrown::HashMap;
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{InstrumentationScope, any_value},
    metrics::v1::{self as proto, AggregationTemporality, ResourceMetrics, ScopeMetrics, metric::Data},
    resource::v1::Resource as ProtoResource,
};
use prost::Message as _;

use self::{
    delta::Deltas,
    points::{DataPoint, Total},
};
use super::super::{
    metrics::{self, AttributeValue, Attributes, HistogramView, Point, Points, Sink, Value},
    page::Page,
    resource::Resource,
};
use crate::{
    identity::Service,
    semconv::{self, Kind, Metric},
};

/// Name of the scope of all metrics.
pub const SCOPE: &str = "redtap";

/// Largest encoding of a request: the Collector takes gRPC messages up to 4 MiB, and what is counted here is but
/// nearly all of it.
pub const MAX_REQUEST: usize = 3 << 20;

/// Most points of a request, so that building and answering one takes no long time.
pub const MAX_POINTS: usize = 8192;

/// What a resource's scope and the lengths around them take at most.
const GROUP_OVERHEAD: usize = 64;

/// What a metric takes at most beside its texts and its points.
const METRIC_OVERHEAD: usize = 32;

/// What a point takes at most beside itself: its tag and its length.
const POINT_OVERHEAD: usize = 6;

/// What counters and histograms tell: all since their start, or what came since the last export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Temporality {
    /// All since the start.
    #[default]
    Cumulative,
    /// What came since the last export that arrived.
    Delta,
}

/// The form of histograms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Histograms {
    /// With the bounds that the conventions advise.
    #[default]
    Explicit,
    /// `base2_exponential_bucket_histogram`, for those that are kept like that; the others keep their bounds.
    Exponential,
}

/// Makes requests of pages, and remembers what arrived where that counts.
#[derive(Debug)]
pub struct Encoder {
    resource: Arc<Resource>,
    histograms: Histograms,
    /// `None`: cumulative.
    deltas: Option<Deltas>,
}

impl Encoder {
    /// An encoder for metrics of this host.
    #[must_use]
    pub fn new(resource: Arc<Resource>, temporality: Temporality, histograms: Histograms) -> Self {
        let deltas = (temporality == Temporality::Delta).then(Deltas::default);
        Self { resource, histograms, deltas }
    }

    /// The requests that tell of `page`, whose moment is `now`, in nanoseconds since the epoch. None is empty,
    /// none has more than [`MAX_POINTS`] points or, but for a single huge one, is longer than [`MAX_REQUEST`].
    pub fn encode(&mut self, page: &Page, now: u64) -> Vec<ExportMetricsServiceRequest> {
        let services = page.services().into_iter();
        let services = services.map(|service| (metrics::identifying(service), Arc::clone(service))).collect();
        self.encode_with(now, services, |sink| metrics::write(page, sink))
    }

    /// As [`Encoder::encode`], of whatever `write` tells; `services` has what else is known of those that it names.
    pub fn encode_with(
        &mut self,
        now: u64,
        services: HashMap<Attributes, Arc<Service>>,
        write: impl FnOnce(&mut dyn Sink) -> fmt::Result,
    ) -> Vec<ExportMetricsServiceRequest> {
        if let Some(deltas) = &mut self.deltas {
            deltas.begin();
        }
        let mut requests = Requests {
            resource: &self.resource,
            services,
            histograms: self.histograms,
            deltas: self.deltas.as_mut(),
            now,
            done: Vec::new(),
            current: Vec::new(),
            groups: HashMap::new(),
            size: 0,
            points: 0,
        };
        // This sink takes everything, so that there is no other error than none.
        let _ = write(&mut requests);
        requests.flush();
        let done = requests.done;
        if let Some(deltas) = &mut self.deltas {
            deltas.end();
        }
        done
    }

    /// All requests of the last [`Encoder::encode`] arrived: the next differences are to them.
    pub fn delivered(&mut self) {
        if let Some(deltas) = &mut self.deltas {
            deltas.commit_all();
        }
    }

    /// The request of that index, of those that the last [`Encoder::encode`] made, arrived, or must not be sent
    /// again.
    pub fn delivered_part(&mut self, index: usize) {
        if let Some(deltas) = &mut self.deltas {
            deltas.commit(index);
        }
    }
}

/// How many data points a request has: what a partial success counts.
#[must_use]
pub fn count_points(request: &ExportMetricsServiceRequest) -> u64 {
    let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let count = scopes.flat_map(|scope| &scope.metrics).map(|metric| match &metric.data {
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(Data::Summary(summary)) => summary.data_points.len(),
        None => 0,
    });
    u64::try_from(count.sum::<usize>()).unwrap_or(u64::MAX)
}

/// The requests in the making.
struct Requests<'a> {
    resource: &'a Resource,
    services: HashMap<Attributes, Arc<Service>>,
    histograms: Histograms,
    deltas: Option<&'a mut Deltas>,
    now: u64,
    done: Vec<ExportMetricsServiceRequest>,
    /// What is under way: the metrics of each service.
    current: Vec<Group>,
    /// Where a service is in `current`, by what identifies it; nothing: the agent.
    groups: HashMap<Attributes, usize>,
    size: usize,
    points: usize,
}

/// What one service's resource has in one request.
struct Group {
    resource: ProtoResource,
    metrics: Vec<proto::Metric>,
}

/// The family that is being told of.
struct Family<'a, 'b> {
    requests: &'a mut Requests<'b>,
    metric: &'static Metric,
    /// Its name in OTLP.
    name: String,
}

impl Sink for Requests<'_> {
    fn family(
        &mut self,
        metric: &'static Metric,
        points: &mut dyn FnMut(&mut dyn Points) -> fmt::Result,
    ) -> fmt::Result {
        // What `target_info` says, the resources say.
        if *metric == semconv::TARGET {
            return Ok(());
        }
        points(&mut Family { requests: self, metric, name: points::name(metric) })
    }
}

impl Points for Family<'_, '_> {
    fn number(&mut self, point: Point<'_>, value: Value) -> fmt::Result {
        self.take(point, Total::Number(value), None);
        Ok(())
    }

    fn histogram(&mut self, point: Point<'_>, histogram: &HistogramView<'_>) -> fmt::Result {
        let exponential = histogram.exponential.filter(|_| self.requests.histograms == Histograms::Exponential);
        let total = match exponential {
            Some(exponential) => Total::exponential(histogram, exponential),
            None => Total::explicit(histogram),
        };
        self.take(point, total, Some(histogram));
        Ok(())
    }
}

impl Family<'_, '_> {
    fn take(&mut self, point: Point<'_>, total: Total, view: Option<&HistogramView<'_>>) {
        let (metric, now) = (self.metric, self.requests.now);
        if !matches!(metric.kind, Kind::Counter | Kind::Histogram) {
            self.add(point.attributes, DataPoint::new(point.attributes, (0, now), total, view, 0));
            return;
        }
        let Some(deltas) = &mut self.requests.deltas else {
            let period = (point.start.min(now), now);
            self.add(point.attributes, DataPoint::new(point.attributes, period, total, view, 0));
            return;
        };
        let Some((start, difference)) = deltas.difference(metric, point, &total) else { return };
        let period = (start.min(now), now);
        self.add(point.attributes, DataPoint::new(point.attributes, period, difference, view, start));
        let index = self.requests.done.len();
        if let Some(deltas) = &mut self.requests.deltas {
            deltas.stage(index, metric, point, now, total);
        }
    }

    /// Adds a point to the metrics of its service, in the request that has room for it.
    fn add(&mut self, attributes: &Attributes, point: DataPoint) {
        let size = point.size() + POINT_OVERHEAD;
        if self.requests.points >= MAX_POINTS || self.requests.size + size > MAX_REQUEST {
            self.requests.flush();
        }
        let temporality = match self.requests.deltas {
            Some(_) => AggregationTemporality::Delta,
            None => AggregationTemporality::Cumulative,
        };
        let Some(group) = self.requests.group(attributes) else { return };
        let last = group.metrics.last_mut().filter(|last| last.name == self.name);
        let rest = match last {
            Some(last) => point.join(&mut last.data),
            None => Some(point),
        };
        let mut added = size;
        if let Some(point) = rest {
            let metric = point.into_metric(self.metric, temporality);
            added += metric.name.len() + metric.description.len() + METRIC_OVERHEAD;
            group.metrics.push(metric);
        }
        self.requests.size += added;
        self.requests.points += 1;
    }
}

impl Requests<'_> {
    /// The metrics of the service that `attributes` name, or of the agent.
    fn group(&mut self, attributes: &Attributes) -> Option<&mut Group> {
        let identifying = attributes.filtered(|attribute| attribute.is_of_service());
        let next = self.current.len();
        let index = match self.groups.get(&identifying) {
            Some(index) => *index,
            None => {
                let resource = match self.services.get(&identifying) {
                    Some(service) => proto_resource(self.resource, service),
                    None => proto_resource(self.resource, &service(&identifying, &self.resource.agent_service)),
                };
                self.size += resource.encoded_len() + GROUP_OVERHEAD;
                self.current.push(Group { resource, metrics: Vec::new() });
                self.groups.insert(identifying, next);
                next
            }
        };
        self.current.get_mut(index)
    }

    /// Ends the request that is under way, unless nothing is in it.
    fn flush(&mut self) {
        if self.current.is_empty() {
            return;
        }
        let scope = || InstrumentationScope {
            name: SCOPE.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Default::default()
        };
        let resources = self.current.drain(..).map(|group| ResourceMetrics {
            resource: Some(group.resource),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope()),
                metrics: group.metrics,
                ..Default::default()
            }],
            ..Default::default()
        });
        self.done.push(ExportMetricsServiceRequest { resource_metrics: resources.collect() });
        self.groups.clear();
        (self.size, self.points) = (0, 0);
    }
}

/// The service of which nothing but this is known: some of what identifies it may be left out. Without a name, the agent.
fn service(identifying: &Attributes, agent: &Arc<str>) -> Service {
    let text = |value: &AttributeValue| match value {
        AttributeValue::Shared(text) => Arc::clone(text),
        other => other.to_string().into(),
    };
    let (named, others) = identifying.iter().partition::<Vec<_>, _>(|(own, _)| *own == semconv::SERVICE_NAME);
    Service {
        name: named.first().map_or_else(|| Arc::clone(agent), |(_, value)| text(value)),
        identifying: others.into_iter().map(|(attribute, value)| (attribute, text(value))).collect(),
        ..Service::default()
    }
}

/// What is known of a service and of its host.
fn proto_resource(resource: &Resource, service: &Service) -> ProtoResource {
    let text = |key: &str, value: &str| points::key_value(key, any_value::Value::StringValue(value.to_owned()));
    let attributes = resource.of(service).iter().map(|(key, value)| text(key, value)).collect();
    ProtoResource { attributes, ..Default::default() }
}
