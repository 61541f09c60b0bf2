//! Remote write to a real Prometheus, in both versions, and to receivers that misbehave.

use std::time::Duration;

use redtap_tests::agent::Agent;
use redtap_tests::caller::Caller;
use redtap_tests::collector::Collector;
use redtap_tests::endpoint::{Endpoint, Reply};
use redtap_tests::exporter::Figures;
use redtap_tests::gate;
use redtap_tests::process::Place;
use redtap_tests::prometheus::{Prometheus, receiving};
use redtap_tests::servers::{Server, nginx};
use redtap_tests::wait::{self, PATIENCE};

const COUNT: &str = "http_server_request_duration_seconds_count{service_name=\"nginx\"}";
const NATIVE: &str = "http_server_request_duration_seconds{service_name=\"nginx\"}";
const BUCKET: &str = "http_server_request_duration_seconds_bucket{service_name=\"nginx\"}";
const EXPORTER: &str = "remote_write";

/// A receiver that knows version 1.0 only.
const OLD: &str = "--web.remote-write-receiver.accepted-protobuf-messages=prometheus.WriteRequest";
/// One that knows version 2.0 only.
const NEW: &str = "--web.remote-write-receiver.accepted-protobuf-messages=io.prometheus.write.v2.Request";

fn requests(server: &Server, count: usize) {
    let mut caller = Caller::connect(server.address());
    let sampled = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for _ in 0..count {
        assert_eq!(caller.get("/small", &[sampled]), 200);
    }
}

/// Flags of the agent and of Prometheus.
struct Case {
    name: &'static str,
    agent: &'static [&'static str],
    prometheus: &'static [&'static str],
}

impl Case {
    /// The receiver knows 1.0 alone, and the agent is not told.
    fn falls_back(&self) -> bool {
        self.agent.is_empty() && self.prometheus == [OLD]
    }
}

const CASES: [Case; 5] = [
    Case { name: "2.0, as is", agent: &[], prometheus: &[] },
    Case { name: "2.0 only", agent: &["--remote-write-version", "2"], prometheus: &[NEW] },
    Case { name: "1.0, asked for", agent: &["--remote-write-version", "1"], prometheus: &[OLD] },
    Case { name: "1.0, fallen back to", agent: &[], prometheus: &[OLD] },
    Case { name: "native only", agent: &["--native-histograms", "instead"], prometheus: &[] },
];

#[test]
fn every_version_arrives() {
    let Some(turn) = gate::privileged("remote write") else { return };
    for case in &CASES {
        let prometheus = Prometheus::start(&receiving(), case.prometheus);
        let url = prometheus.write_url();
        let mut flags = vec!["--remote-write-url", url.as_str(), "--remote-write-interval", "1s"];
        flags.extend(["--external-labels", "cluster=proof,zone=a"]);
        flags.extend(case.agent);
        let agent = Agent::start_silent(&turn.redtap, &flags);
        let server = nginx(&Place::Host);
        requests(&server, 100);
        check(case, &agent, &prometheus);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a number of requests")]
fn same(told: f64, expected: usize) -> bool {
    (told - expected as f64).abs() < 0.5
}

fn check(case: &Case, agent: &Agent, prometheus: &Prometheus) {
    let native_only = case.agent.contains(&"instead");
    let native = wait::within(PATIENCE, || prometheus.native(NATIVE).filter(|(count, _)| *count >= 100.0));
    let Some((count, sum)) = native else {
        panic!("{}: no native histogram: {:?}: {}", case.name, prometheus.query(COUNT), agent.log())
    };
    assert!(same(count, 100), "{}: {count}", case.name);
    let scrape = agent.scrape();
    let labels = [("service_name", "nginx")];
    let expected = scrape.sum("http_server_request_duration_seconds_sum", &labels);
    assert!((sum - expected).abs() < 1e-9 || native_only, "{}: {sum}, not {expected}", case.name);
    if native_only {
        assert!(prometheus.query(COUNT).is_empty(), "{}: classic as well", case.name);
    } else {
        prometheus.until(COUNT, |count| same(count, 100));
        let quantile = prometheus.until(&format!("histogram_quantile(0.5, {BUCKET})"), |value| value > 0.0);
        assert!(quantile < 10.0, "{}: {quantile}", case.name);
    }
    let expression = if native_only { NATIVE } else { COUNT };
    let outer = "{cluster=\"proof\",zone=\"a\",job=\"redtap\",instance!=\"\",";
    let labelled = expression.replacen('{', outer, 1);
    assert_eq!(prometheus.query(&format!("count({labelled})")).len(), 1, "{}: labels", case.name);
    if !native_only {
        // Of the buckets, or of the whole.
        let known = wait::within(PATIENCE, || {
            let of = |name: &str| prometheus.exemplars(name);
            let mut all = of(expression.split('{').next().unwrap_or_default()).into_iter().chain(of(BUCKET));
            let is_known = |one: redtap_tests::prometheus::Exemplar| {
                one.labels.get("trace_id").is_some_and(|id| id == "4bf92f3577b34da6a3ce929d0e0e4736")
            };
            all.any(is_known).then_some(())
        });
        assert!(known.is_some(), "{}: no exemplar of the trace", case.name);
    }
    let figures = Figures::of(&agent.scrape(), EXPORTER);
    assert!(figures.exported > 0 && figures.dropped.is_empty(), "{}: {figures:?}", case.name);
    // The message that was refused before the fall-back, Prometheus tells of.
    let refused = |line: &str| line.contains("is not accepted by this server") || line.contains("WriteHeader");
    let log = prometheus.log();
    let warnings: Vec<&str> = log.lines().filter(|line| !(case.falls_back() && refused(line))).collect();
    assert!(warnings.is_empty(), "{}: Prometheus warns: {warnings:#?}", case.name);
}

#[test]
fn a_receiver_that_comes_back_gets_what_was_measured_meanwhile() {
    let Some(turn) = gate::privileged("remote write to one that was away") else { return };
    let mut prometheus = Prometheus::start(&receiving(), &[]);
    let url = prometheus.write_url();
    let flags = ["--remote-write-url", url.as_str(), "--remote-write-interval", "1s"];
    let agent = Agent::start_silent(&turn.redtap, &flags);
    let server = nginx(&Place::Host);
    requests(&server, 100);
    prometheus.until(COUNT, |count| same(count, 100));
    prometheus.stop();
    requests(&server, 11);
    let queued = wait::within(PATIENCE, || {
        let figures = Figures::of(&agent.scrape(), EXPORTER);
        (figures.failures > 0 && figures.queued > 0).then_some(())
    });
    assert!(queued.is_some(), "{:?}", Figures::of(&agent.scrape(), EXPORTER));
    prometheus.restart();
    prometheus.until(COUNT, |count| same(count, 111));
    assert_eq!(Figures::of(&agent.scrape(), EXPORTER).dropped, []);
    assert_eq!(prometheus.value(&format!("sum(resets({COUNT}[5m]))")), Some(0.0));
}

#[test]
fn refusals_and_delays_are_as_the_specification_has_them() {
    let Some(turn) = gate::privileged("remote write to one that refuses") else { return };
    // What is answered, whether the same comes again, and why it is given up.
    let cases = [
        (Reply::later(429, 2), true, None),
        (Reply::later(503, 2), true, None),
        (Reply::status(403), false, Some("refused")),
    ];
    for (reply, again, reason) in cases {
        let what = format!("{reply:?}");
        let endpoint = Endpoint::start(reply);
        let url = format!("{}/api/v1/write", endpoint.url());
        let flags = ["--remote-write-url", url.as_str(), "--remote-write-interval", "1s"];
        let agent = Agent::start_silent(&turn.redtap, &[&flags[..], &["--remote-write-version", "2"]].concat());
        let requests = endpoint.until(2, PATIENCE);
        assert_eq!(requests[0].field("content-encoding"), Some("snappy"), "{what}");
        let message = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
        assert_eq!(requests[0].field("content-type"), Some(message), "{what}");
        assert_eq!(requests[0].field("x-prometheus-remote-write-version"), Some("2.0.0"), "{what}");
        assert_eq!(requests[0].body == requests[1].body, again, "{what}");
        if again {
            let waited = requests[1].at - requests[0].at;
            assert!(waited >= Duration::from_millis(1900), "{what}: came again after {waited:?}");
        }
        if let Some(reason) = reason {
            let figures = Figures::of(&agent.scrape(), EXPORTER);
            assert!(figures.dropped_as(reason) > 0, "{what}: {figures:?}");
        }
    }
}

#[test]
fn the_queue_is_bounded() {
    let Some(turn) = gate::privileged("the queue of remote write") else { return };
    let endpoint = Endpoint::start(Reply::Hang);
    let url = format!("{}/api/v1/write", endpoint.url());
    let flags = ["--remote-write-url", url.as_str(), "--remote-write-interval", "1s"];
    let agent = Agent::start_silent(&turn.redtap, &[&flags[..], &["--remote-write-queue", "64KiB"]].concat());
    let server = nginx(&Place::Host);
    requests(&server, 50);
    let full = wait::within(PATIENCE * 4, || {
        let figures = Figures::of(&agent.scrape(), EXPORTER);
        (figures.dropped_as("queue_full") > 0).then_some(figures)
    });
    assert!(full.is_some(), "never full: {:?}", Figures::of(&agent.scrape(), EXPORTER));
}

#[test]
fn otlp_arrives_in_prometheus_by_itself_and_through_a_collector() {
    let Some(turn) = gate::privileged("OTLP to Prometheus") else { return };
    let prometheus = Prometheus::taking_otlp();
    let collector = Collector::before(prometheus.listen());
    let through = collector.http(redtap_tests::collector::Security::Plain);
    // The same series: what tells the second from the first is the count.
    let ways = [("by itself", prometheus.otlp_url(), 70), ("through a Collector", through, 90)];
    for (what, endpoint, count) in ways {
        let instance = format!("way={}", what.replace(' ', "-"));
        let environment = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "300"),
            ("OTEL_RESOURCE_ATTRIBUTES", &instance),
        ];
        let agent = Agent::launch(&turn.redtap, &[], &environment);
        let server = nginx(&Place::Host);
        requests(&server, count);
        let joined = format!("{COUNT} and on (job, instance) target_info{{way=\"{}\"}}", what.replace(' ', "-"));
        let told = wait::within(PATIENCE, || {
            let all = prometheus.query(&joined);
            all.iter().any(|(_, told)| same(*told, count)).then_some(all)
        });
        let told = told.unwrap_or_else(|| {
            panic!("{what}: {:?} {:?}: {}", prometheus.query(COUNT), prometheus.query("target_info"), agent.log())
        });
        assert!(told.iter().all(|(labels, _)| labels.get("job").is_some_and(|job| job == "nginx")), "{told:?}");
        assert!(agent.stop().status.success(), "{what}");
    }
}
