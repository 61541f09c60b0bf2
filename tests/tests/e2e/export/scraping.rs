//! A real Prometheus that scrapes the agent: what its API gives is what happened.

use redtap_tests::agent::Agent;
use redtap_tests::caller::Caller;
use redtap_tests::collector::{Collector, Security};
use redtap_tests::exporter::otlp;
use redtap_tests::gate;
use redtap_tests::http;
use redtap_tests::otlp::SERVER;
use redtap_tests::process::Place;
use redtap_tests::prometheus::{Prometheus, complaints, scraping};
use redtap_tests::servers::{Server, nginx};
use redtap_tests::wait::{self, PATIENCE};

const REQUESTS: usize = 300;
const COUNT: &str = "http_server_request_duration_seconds_count{service_name=\"nginx\"}";
const SUM: &str = "http_server_request_duration_seconds_sum{service_name=\"nginx\"}";
const BUCKET: &str = "http_server_request_duration_seconds_bucket{service_name=\"nginx\"}";
const NATIVE: &str = "http_server_request_duration_seconds{service_name=\"nginx\"}";

/// Growth factor of the native buckets' bounds, at the coarsest that is expected (schema 3).
const FACTOR: f64 = 1.091;

fn requests(server: &Server, count: usize) {
    let mut caller = Caller::connect(server.address());
    for _ in 0..count {
        assert_eq!(caller.get("/small", &[]), 200);
    }
}

fn about(told: f64, expected: f64) -> bool {
    (told - expected).abs() <= expected.abs() * 1e-9
}

#[test]
fn classic_and_native_histograms_are_queried() {
    let Some(turn) = gate::privileged("Prometheus scrapes") else { return };
    let agent = Agent::start(&turn.redtap, &[]);
    let prometheus = Prometheus::start(&scraping(agent.listen()), &[]);
    let server = nginx(&Place::Host);
    prometheus.until_up();
    requests(&server, 1);
    // A rate needs the time before.
    prometheus.until(COUNT, |count| about(count, 1.0));
    requests(&server, REQUESTS);
    agent.fence();
    let scrape = agent.scrape();
    let expected = scrape.sum("http_server_request_duration_seconds_count", &[("service_name", "nginx")]);
    let sum = scrape.sum("http_server_request_duration_seconds_sum", &[("service_name", "nginx")]);
    prometheus.until(COUNT, |count| about(count, expected));
    assert!(about(prometheus.until(SUM, |value| value > 0.0), sum));
    // Native beside classic, the same observations.
    let native = wait::within(PATIENCE, || prometheus.native(NATIVE).filter(|(count, _)| about(*count, expected)));
    let (_, native_sum) = native.unwrap_or_else(|| panic!("native: {:?}", prometheus.native(NATIVE)));
    assert!(about(native_sum, sum), "native {native_sum}, classic {sum}");
    // The increase since the first request; extrapolation adds what it likes.
    let increase = prometheus.until(&format!("increase({COUNT}[1m])"), |value| value > 0.0);
    let requests = expected - 1.0;
    assert!(increase > requests * 0.9 && increase < requests * 1.5, "increase {increase} of {requests}");
    for quantile in [0.5, 0.9, 0.99] {
        let classic = prometheus.until(&format!("histogram_quantile({quantile}, {BUCKET})"), |value| value > 0.0);
        let native = prometheus.until(&format!("histogram_quantile({quantile}, {NATIVE})"), |value| value > 0.0);
        // The classic one interpolates within a bucket which the native one lies in, or at its edge.
        let (lower, upper) = classic_bucket(&scrape, quantile, expected);
        assert!(classic >= lower && classic <= upper, "{quantile}: classic {classic}: {lower} to {upper}");
        assert!(
            native >= lower / FACTOR && native <= upper * FACTOR,
            "{quantile}: native {native}: {lower} to {upper}"
        );
    }
    let average = prometheus.until(&format!("histogram_avg({NATIVE})"), |value| value > 0.0);
    assert!(about(average, sum / expected), "average {average}");
    assert!(prometheus.log().trim().is_empty(), "Prometheus warns: {}", prometheus.log());
}

/// The bounds of the bucket that has a quantile.
fn classic_bucket(scrape: &redtap_tests::metrics::Scrape, quantile: f64, count: f64) -> (f64, f64) {
    let labels = [("service_name", "nginx")];
    let mut buckets: Vec<(f64, f64)> = Vec::new();
    for (labels, value) in scrape.find("http_server_request_duration_seconds_bucket", &labels) {
        let upper: f64 = labels["le"].parse().expect("a bound");
        match buckets.iter_mut().find(|(own, _)| own.total_cmp(&upper).is_eq()) {
            Some((_, sum)) => *sum += value,
            None => buckets.push((upper, value)),
        }
    }
    buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
    let at = buckets.iter().position(|(_, below)| *below >= quantile * count).expect("a bucket");
    (at.checked_sub(1).map_or(0.0, |before| buckets[before].0), buckets[at].0)
}

#[test]
fn types_units_and_helps_are_known() {
    let Some(turn) = gate::privileged("metadata in Prometheus") else { return };
    let agent = Agent::start(&turn.redtap, &[]);
    let prometheus = Prometheus::start(&scraping(agent.listen()), &[]);
    let server = nginx(&Place::Host);
    requests(&server, 10);
    prometheus.until(COUNT, |count| count >= 10.0);
    let metric = "http_server_request_duration_seconds";
    let told = wait::until("metadata", || prometheus.metadata(metric));
    assert_eq!(told, ["histogram", "seconds", "Duration of HTTP server requests"].map(str::to_owned));
    let info = prometheus.query("target_info{service_name=\"nginx\"}");
    let [(labels, value)] = info.as_slice() else { panic!("target_info: {info:?}") };
    assert!(about(*value, 1.0));
    for label in ["service_instance_id", "host_name", "os_type", "telemetry_sdk_name"] {
        assert!(labels.contains_key(label), "no {label}: {labels:?}");
    }
    // One for each service, so that the join is one to one.
    let joined = format!("{COUNT} * on (job, instance, service_name) group_left(host_name) target_info");
    let joined = prometheus.query(&joined);
    assert!(!joined.is_empty() && joined.iter().all(|(labels, _)| labels.contains_key("host_name")), "{joined:?}");
}

#[test]
fn an_exemplar_leads_to_a_span() {
    let Some(turn) = gate::privileged("exemplars") else { return };
    let collector = Collector::start(Security::Plain);
    let endpoint = collector.grpc(Security::Plain);
    let more = [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_METRICS_EXPORTER", "none")];
    let agent = Agent::launch(&turn.redtap, &[], &otlp(&endpoint, &more));
    let prometheus = Prometheus::start(&scraping(agent.listen()), &[]);
    let server = nginx(&Place::Host);
    let mut caller = Caller::connect(server.address());
    let sampled = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let unsampled = "traceparent: 00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    for _ in 0..20 {
        caller.get("/small", &[sampled]);
        caller.get("/small", &[unsampled]);
        caller.get("/small", &[]);
    }
    prometheus.until(COUNT, |count| count >= 60.0);
    let exemplars = wait::until("exemplars in Prometheus", || {
        Some(prometheus.exemplars(BUCKET)).filter(|exemplars| !exemplars.is_empty())
    });
    let spans = collector.until_spans("spans", |spans| (spans.len() >= 80).then(|| spans.to_vec()));
    for exemplar in exemplars {
        let [trace, span] = ["trace_id", "span_id"].map(|label| exemplar.labels.get(label).cloned());
        let of =
            spans.iter().find(|own| trace.as_ref() == Some(&own.trace_id) && span.as_ref() == Some(&own.span_id));
        let of = of.unwrap_or_else(|| panic!("no span of {exemplar:?}"));
        assert_eq!(of.kind, SERVER, "{exemplar:?}");
        assert_eq!(of.service().as_deref(), Some("nginx"), "{exemplar:?}");
        let lasted = std::time::Duration::from_nanos(of.end - of.start).as_secs_f64();
        assert!((lasted - exemplar.value).abs() < 1e-9, "{exemplar:?}: the span lasted {lasted}");
        let upper: f64 = exemplar.series.get("le").expect("a bucket").parse().expect("a bound");
        assert!(exemplar.value <= upper, "{exemplar:?}");
    }
}

#[test]
fn a_restarted_prometheus_sees_no_jump() {
    let Some(turn) = gate::privileged("a restarted Prometheus") else { return };
    let agent = Agent::start(&turn.redtap, &[]);
    let mut prometheus = Prometheus::start(&scraping(agent.listen()), &[]);
    let server = nginx(&Place::Host);
    requests(&server, REQUESTS);
    agent.fence();
    let before = prometheus.until(COUNT, |count| count >= 300.0);
    prometheus.stop();
    requests(&server, 50);
    agent.fence();
    prometheus.restart();
    prometheus.until(COUNT, |count| about(count, before + 50.0));
    // No reset, and no more than the fifty and the three hundred.
    assert_eq!(prometheus.value(&format!("sum(resets({COUNT}[5m]))")), Some(0.0));
    let highest = prometheus.until(&format!("max_over_time({COUNT}[5m])"), |value| value > 0.0);
    assert!(about(highest, before + 50.0), "{highest}");
    let falls = prometheus.query(&format!("changes({COUNT}[5m]) > 350"));
    assert!(falls.is_empty(), "{falls:?}");
}

#[test]
fn a_restarted_agent_is_a_reset() {
    let Some(turn) = gate::privileged("a restarted agent") else { return };
    let listen = format!("127.0.0.1:{}", gate::free_port());
    let address = listen.parse().expect("an address");
    let server = nginx(&Place::Host);
    let prometheus = Prometheus::start(&scraping(address), &[]);
    let first = Agent::at(&turn.redtap, address, &[]);
    requests(&server, 200);
    first.fence();
    prometheus.until(COUNT, |count| count >= 200.0);
    drop(first);
    let second = Agent::at(&turn.redtap, address, &[]);
    requests(&server, 20);
    second.fence();
    prometheus.until(COUNT, |count| about(count, 20.0));
    let increase = prometheus.until(&format!("increase({COUNT}[5m])"), |value| value > 0.0);
    assert!(increase < 400.0, "a false jump: {increase}");
    assert_eq!(prometheus.value(&format!("sum(resets({COUNT}[5m]))")), Some(1.0));
}

#[test]
fn promtool_has_nothing_to_say() {
    let Some(turn) = gate::privileged("promtool") else { return };
    let agent = Agent::start(&turn.redtap, &["--timings", "--service-graph", "--span-metrics"]);
    let server = nginx(&Place::Host);
    requests(&server, 10);
    agent.fence();
    for accept in ["text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0"] {
        let page = http::get_as(agent.listen(), "/metrics", accept).expect("a page");
        // promtool reads the text format; of OpenMetrics, what both have in common.
        if accept.starts_with("text/plain") {
            assert_eq!(complaints(&page.body), "", "{}", page.body);
        } else {
            assert!(page.body.ends_with("# EOF\n"), "{}", page.body);
        }
    }
}

#[test]
fn silent_series_go_and_come_back_without_a_jump() {
    let Some(turn) = gate::privileged("series that fall silent") else { return };
    let agent = Agent::start(&turn.redtap, &["--series-ttl", "2s"]);
    let prometheus = Prometheus::start(&scraping(agent.listen()), &[]);
    let server = nginx(&Place::Host);
    prometheus.until_up();
    requests(&server, 100);
    agent.fence();
    prometheus.until(COUNT, |count| count >= 100.0);
    let gone = wait::within(PATIENCE * 2, || {
        let labels = [("service_name", "nginx")];
        let page = agent.scrape();
        let there = page.find("http_server_request_duration_seconds_count", &labels).next().is_some();
        (!there).then_some(())
    });
    assert!(gone.is_some(), "silent for long, and still there");
    wait::until("Prometheus to see it gone", || prometheus.value(COUNT).is_none().then_some(()));
    requests(&server, 30);
    agent.fence();
    let again = prometheus.until(COUNT, |count| count >= 30.0);
    // It begins anew, or goes on where it ended: either way, the thirty are what came.
    assert!(about(again, 30.0) || about(again, 130.0), "came back with {again}");
    let increase = prometheus.until(&format!("increase({COUNT}[5m])"), |value| value > 0.0);
    assert!(increase < 260.0, "a false jump: {increase}");
}
