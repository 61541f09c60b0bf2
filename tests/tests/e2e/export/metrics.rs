//! Metrics by OTLP are those of `/metrics`, to the last digit, for every metric and attribute.

use std::collections::BTreeMap;

use redtap_tests::agent::Agent;
use redtap_tests::clients::CLIENTS;
use redtap_tests::collector::{Collector, Security};
use redtap_tests::exporter::otlp;
use redtap_tests::gate::{self, Turn};
use redtap_tests::http;
use redtap_tests::metrics::{Labels, Scrape};
use redtap_tests::otlp::{Attribute, CUMULATIVE, DELTA, Data, Number, Point};
use redtap_tests::process::Place;
use redtap_tests::servers::{KINDS, Server, nginx};

/// Services that only the test's traffic belongs to: they are silent once it is over.
const SERVICES: [&str; 2] = ["nginx", "curl"];

/// What has settled at both ends: a sample by its name and labels.
type Samples = BTreeMap<String, f64>;

/// A round of traffic, and a page on which all of it is.
fn traffic(turn: &Turn, environment: &[(&str, &str)]) -> (Agent, Server) {
    let agent = Agent::launch(&turn.redtap, &["--print", "json", "--timings"], environment);
    let server = nginx(&Place::Host);
    let _ = (CLIENTS[0].run)(&server, KINDS[0]);
    agent.fence();
    (agent, server)
}

#[test]
fn cumulative_metrics_equal_the_page() {
    let Some(turn) = gate::privileged("cumulative metrics by OTLP") else { return };
    for protocol in ["grpc", "http/protobuf", "http/json"] {
        let collector = Collector::start(Security::Plain);
        let endpoint = match protocol {
            "grpc" => collector.grpc(Security::Plain),
            _ => collector.http(Security::Plain),
        };
        let environment = otlp(&endpoint, &[("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]);
        let (agent, _server) = traffic(&turn, &environment);
        let mut last = (Samples::new(), Samples::new());
        let same = redtap_tests::wait::within(redtap_tests::wait::PATIENCE, || {
            let page = of_page(&open_metrics(&agent));
            let points = collector.points();
            assert!(points.iter().all(|point| point.data == Data::Gauge || point.temporality == CUMULATIVE));
            last = (page, of_points(&latest(&points)));
            (!last.0.is_empty() && last.0 == last.1).then_some(())
        });
        if same.is_none() {
            panic!("{protocol}: on the page and not, or otherwise, by OTLP:\n{}", differences(&last.0, &last.1));
        }
        assert_own_families_are_there(&agent, &collector.points());
    }
}

#[test]
fn exponential_histograms_equal_the_page() {
    let Some(turn) = gate::privileged("exponential histograms by OTLP") else { return };
    let collector = Collector::start(Security::Plain);
    let endpoint = collector.grpc(Security::Plain);
    let aggregation = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
    let more = [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), (aggregation, "base2_exponential_bucket_histogram")];
    let (agent, _server) = traffic(&turn, &otlp(&endpoint, &more));
    const DURATION: &str = "http.server.request.duration";
    let mut seen = String::new();
    let same = redtap_tests::wait::within(redtap_tests::wait::PATIENCE, || {
        let page = agent.scrape();
        let points = latest(&collector.points());
        let of_nginx: Vec<_> = points
            .values()
            .filter(|point| point.name == DURATION && point.service().as_deref() == Some("nginx"))
            .collect();
        seen = format!("{of_nginx:?}");
        let labels = [("service_name", "nginx")];
        let count = page.count("http_server_request_duration_seconds_count", &labels);
        let sum = page.sum("http_server_request_duration_seconds_sum", &labels);
        let mut told = (0, 0.0);
        for point in &of_nginx {
            let Number::Exponential(count, sum, scale, zeros, _, buckets) = &point.value else { return None };
            assert!((-10..=20).contains(scale) && buckets.len() <= 160, "{point:?}");
            assert_eq!(zeros + buckets.iter().sum::<u64>(), *count, "{point:?}");
            told = (told.0 + count, told.1 + sum);
        }
        (count > 0 && told.0 == count && (told.1 - sum).abs() < 1e-9).then_some(())
    });
    assert!(same.is_some(), "no exponential histogram like the page's: {seen}");
}

#[test]
fn deltas_add_up_to_the_page() {
    let Some(turn) = gate::privileged("delta metrics by OTLP") else { return };
    let mut collector = Collector::start(Security::Plain);
    let endpoint = collector.grpc(Security::Plain);
    let temporality = ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta");
    let more = [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), temporality];
    let (agent, server) = traffic(&turn, &otlp(&endpoint, &more));
    assert_deltas(&agent, &collector);
    // What was not delivered is in the next.
    collector.stop();
    let _ = (CLIENTS[0].run)(&server, KINDS[0]);
    agent.fence();
    collector.restart();
    assert_deltas(&agent, &collector);
}

fn assert_deltas(agent: &Agent, collector: &Collector) {
    let mut last = (Samples::new(), Samples::new());
    let same = redtap_tests::wait::within(redtap_tests::wait::PATIENCE * 2, || {
        let page: Samples = of_page(&open_metrics(agent));
        let mut sums = Samples::new();
        for point in collector.points() {
            let accumulates = matches!(point.data, Data::Histogram) || point.monotonic;
            assert_eq!(point.temporality == DELTA, accumulates, "{point:?}");
            for (key, value) in samples_of(&point) {
                match accumulates {
                    true => *sums.entry(key).or_default() += value,
                    false => drop(sums.insert(key, value)),
                }
            }
        }
        sums.retain(|key, _| page.contains_key(key));
        // What did not change is no delta.
        let close = page.iter().all(|(key, value)| (value - sums.get(key).unwrap_or(&0.0)).abs() < 1e-9);
        let close = close && !page.is_empty();
        last = (page, sums);
        close.then_some(())
    });
    if same.is_none() {
        panic!("on the page and not, or otherwise, as a sum of deltas:\n{}", differences(&last.0, &last.1));
    }
}

/// The page with every name as OpenMetrics has it.
fn open_metrics(agent: &Agent) -> Scrape {
    let accept = "application/openmetrics-text; version=1.0.0";
    let answer = http::get_as(agent.listen(), "/metrics", accept).expect("an answer to a scrape");
    assert_eq!(answer.status, 200);
    Scrape::parse(&answer.body)
}

/// The samples of the services' that the test's traffic belongs to.
fn of_page(scrape: &Scrape) -> Samples {
    let ours = |labels: &Labels| labels.get("service_name").is_some_and(|name| SERVICES.contains(&name.as_str()));
    let all = scrape.all().filter(|(name, labels, _)| ours(labels) && !name.starts_with("target_info"));
    all.map(|(name, labels, value)| (key(name, labels), value)).collect()
}

/// The last point of each series.
fn latest(points: &[Point]) -> BTreeMap<String, Point> {
    points.iter().map(|point| (point.key(), point.clone())).collect()
}

fn of_points(points: &BTreeMap<String, Point>) -> Samples {
    points.values().flat_map(samples_of).collect()
}

/// The samples that Prometheus has of a point, if it is of one of the services.
fn samples_of(point: &Point) -> Samples {
    let Some(service) = point.service().filter(|name| SERVICES.contains(&name.as_str())) else {
        return Samples::new();
    };
    let mut labels: Labels = point.attributes.iter().map(|(name, value)| (label(name), value.plain())).collect();
    labels.insert("service_name".to_owned(), service);
    let name = family(point);
    match &point.value {
        Number::Integer(value) => [(key(&name, &labels), whole(*value))].into(),
        Number::Double(value) => [(key(&name, &labels), *value)].into(),
        Number::Histogram(count, sum, bounds, counts) => {
            let mut samples = Samples::new();
            let uppers = bounds.iter().copied().chain([f64::INFINITY]);
            let mut below = 0;
            for (upper, count) in uppers.zip(counts) {
                below += count;
                let mut labels = labels.clone();
                labels.insert("le".to_owned(), le(upper));
                samples.insert(key(&format!("{name}_bucket"), &labels), count_of(below));
            }
            samples.insert(key(&format!("{name}_count"), &labels), count_of(*count));
            samples.insert(key(&format!("{name}_sum"), &labels), *sum);
            samples
        }
        Number::Exponential(..) => panic!("nobody asked for exponential histograms: {point:?}"),
    }
}

/// The Prometheus name of a point's metric (OpenTelemetry, "Prometheus and OpenMetrics compatibility").
fn family(point: &Point) -> String {
    let mut name = point.name.replace('.', "_");
    let unit = match point.unit.as_str() {
        "s" => "seconds",
        "By" => "bytes",
        _ => "",
    };
    if !unit.is_empty() && !name.split('_').any(|token| token == unit) {
        name = format!("{name}_{unit}");
    }
    if point.monotonic { format!("{name}_total") } else { name }
}

/// The label of an attribute: our own lose their prefix.
fn label(attribute: &str) -> String {
    attribute.strip_prefix("redtap.").unwrap_or(attribute).replace('.', "_")
}

fn le(upper: f64) -> String {
    match upper {
        f64::INFINITY => "+Inf".to_owned(),
        upper if upper.fract() == 0.0 => format!("{upper:.1}"),
        upper => upper.to_string(),
    }
}

fn key(name: &str, labels: &Labels) -> String {
    let labels: Vec<_> = labels
        .iter()
        .map(|(label, value)| match label.as_str() {
            // The same number in another form is the same bucket.
            "le" => (label, value.parse().map_or_else(|_| value.clone(), |upper: f64| upper.to_string())),
            _ => (label, value.clone()),
        })
        .collect();
    format!("{name} {labels:?}")
}

#[expect(clippy::cast_precision_loss, reason = "counts of a test")]
fn whole(value: i64) -> f64 {
    value as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts of a test")]
fn count_of(value: u64) -> f64 {
    value as f64
}

fn differences(page: &Samples, otlp: &Samples) -> String {
    let keys: std::collections::BTreeSet<_> = page.keys().chain(otlp.keys()).collect();
    let differing = keys.into_iter().filter(|key| page.get(*key) != otlp.get(*key));
    let lines = differing.map(|key| format!("{key}: page {:?}, otlp {:?}\n", page.get(key), otlp.get(key)));
    lines.take(40).collect()
}

/// What is the agent's own moves all the time, but the same series are on the page and with the Collector.
fn assert_own_families_are_there(agent: &Agent, points: &[Point]) {
    let page = open_metrics(agent);
    let own = |labels: &Labels| !labels.contains_key("service_name");
    let on_page = |name: &str, point: &Point| {
        let labels: Labels = point.attributes.iter().map(|(name, value)| (label(name), value.plain())).collect();
        page.all().any(|(sample, has, _)| sample == name && own(has) && *has == labels)
    };
    let mut missing = Vec::new();
    for point in latest(points).values() {
        let of_agent = point.service().as_deref() == Some("redtap") && !point.attributes.is_empty();
        let single = matches!(point.value, Number::Integer(_) | Number::Double(_));
        if of_agent && single && !on_page(&family(point), point) {
            missing.push(format!("{} {:?}", family(point), point.attributes));
        }
    }
    assert!(missing.is_empty(), "by OTLP, but not on the page: {missing:#?}");
    let instance = points.iter().find_map(|point| point.resource.get("service.instance.id"));
    assert!(matches!(instance, Some(Attribute::Text(_))), "no service.instance.id: {instance:?}");
}
