//! The configurations in `deploy/`: valid as they are, and read right by these tests.

use std::process::Command;

use redtap_tests::collector::{Collector, Security};
use redtap_tests::gate::{self, own, real, tool};
use redtap_tests::otlp::{Attribute, CUMULATIVE, Data, Number, SERVER};
use redtap_tests::process::output;
use redtap_tests::prometheus::{Prometheus, check_configuration};
use redtap_tests::tls::Certificates;

#[test]
fn the_examples_are_valid() {
    if gate::privileged("example configurations").is_none() {
        return;
    }
    check_configuration(&own("../deploy/prometheus.yml"));
    let collector = own("../deploy/collector.yaml");
    output(Command::new(real("REDTAP_COLLECTOR")).arg("validate").arg("--config").arg(collector));
}

const SPAN: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
    "scopeSpans":[{"scope":{"name":"by hand"},"spans":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736",
    "spanId":"00f067aa0ba902b7","name":"GET","kind":2,"startTimeUnixNano":"17","endTimeUnixNano":"18","flags":769,
    "attributes":[{"key":"http.response.status_code","value":{"intValue":"200"}}]}]}]}]}"#;

const SUM: &str = r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},
    {"key":"service.instance.id","value":{"stringValue":"1"}}]},"scopeMetrics":[{"scope":{"name":"by hand"},
    "metrics":[{"name":"a.b","unit":"s","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[
    {"asDouble":7.5,"startTimeUnixNano":"NOW","timeUnixNano":"NOW"}]}}]}]}]}"#;

/// What no agent has sent is read as it was sent: the other stories' eyes.
#[test]
fn the_collector_writes_what_it_gets_and_passes_it_on() {
    if gate::privileged("what the Collector writes").is_none() {
        return;
    }
    let prometheus = Prometheus::taking_otlp();
    let mut collector = Collector::before(prometheus.listen());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_nanos();
    let http = collector.http(Security::Plain);
    post(&http, "traces", SPAN, &[]);
    post(&http, "metrics", &SUM.replace("NOW", &now.to_string()), &[]);
    let span = collector.until_spans("the span", |spans| spans.first().cloned());
    assert_eq!((span.service().as_deref(), span.kind, span.flags), (Some("shop"), SERVER, 769));
    assert_eq!((span.start, span.end, span.status), (17, 18, 0));
    assert_eq!(span.attributes.get("http.response.status_code"), Some(&Attribute::Integer(200)));
    let point = collector.until_points("the point", |points| points.first().cloned());
    assert_eq!((point.data, point.temporality, point.monotonic), (Data::Sum, CUMULATIVE, true));
    assert_eq!((point.value, point.unit.as_str()), (Number::Double(7.5), "s"));
    prometheus.until("a_b_seconds_total{service_name=\"shop\"}", |value| (value - 7.5).abs() < 1e-9);
    // What it wrote outlives it.
    collector.kill();
    collector.restart();
    post(&http, "traces", SPAN, &[]);
    collector.until_spans("both", |spans| (spans.len() == 2).then_some(()));
}

#[test]
fn a_secured_collector_takes_no_strangers() {
    if gate::privileged("a secured Collector").is_none() {
        return;
    }
    let certificates = Certificates::new();
    let security = Security::Mutual(&certificates);
    let collector = Collector::start(security);
    let [ca, own] = ["ca", "client"].map(|name| certificates.certificate(name).display().to_string());
    let key = certificates.key("client").display().to_string();
    post(&collector.http(security), "traces", SPAN, &["--cacert", &ca, "--cert", &own, "--key", &key]);
    collector.until_spans("the span", |spans| (spans.len() == 1).then_some(()));
    let mut stranger = Command::new(tool("curl"));
    stranger
        .args(["--silent", "--cacert", &ca, "--data", "{}"])
        .arg(format!("{}/v1/traces", collector.http(security)));
    assert!(!stranger.output().expect("curl runs").status.success());
}

fn post(base: &str, signal: &str, text: &str, more: &[&str]) {
    let mut curl = Command::new(tool("curl"));
    curl.args(["--silent", "--show-error", "--fail", "--header", "Content-Type: application/json"]).args(more);
    output(curl.args(["--data", text]).arg(format!("{base}/v1/{signal}")));
}
