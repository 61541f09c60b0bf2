//! Receivers that are away, slow or unwilling: what is lost is counted, and nobody else notices.

use std::time::{Duration, Instant};

use redtap_tests::agent::Agent;
use redtap_tests::caller::Caller;
use redtap_tests::collector::{Collector, Security};
use redtap_tests::endpoint::{Endpoint, Reply};
use redtap_tests::exporter::{Figures, balanced, otlp};
use redtap_tests::gate::{self, Turn};
use redtap_tests::ledger::{Entry, Expect};
use redtap_tests::line::ROLES;
use redtap_tests::process::Place;
use redtap_tests::servers::{Server, nginx};
use redtap_tests::tls::Certificates;
use redtap_tests::wait::{self, PATIENCE};

const TRACES: &str = "otlp_traces";
const PROTOBUF: (&str, &str) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
const ONLY_TRACES: (&str, &str) = ("OTEL_METRICS_EXPORTER", "none");

/// How long a scrape may take, whatever the exporters do.
const SCRAPE: Duration = Duration::from_secs(1);

fn launch(turn: &Turn, endpoint: &str, more: &[(&str, &str)]) -> Agent {
    Agent::launch(&turn.redtap, &["--print", "json"], &otlp(endpoint, more))
}

fn requests(server: &Server, count: usize) {
    let mut caller = Caller::connect(server.address());
    for _ in 0..count {
        assert_eq!(caller.get("/small", &[]), 200);
    }
}

/// Capture and `/metrics` are as if nobody exported: every request is told once a side, scrapes are quick.
#[track_caller]
fn assert_untouched(agent: &Agent, server: &Server, count: usize) {
    let entries = ROLES.map(|role| Entry {
        response_body: Expect::Is(612),
        ..Entry::answered(role, server.port(), "GET", "/small", 200)
    });
    let expected: Vec<_> = std::iter::repeat_n(entries, count).flatten().collect();
    agent.assert_ledger("beside a bad receiver", &[server.port()], &expected);
    let begin = Instant::now();
    let scrape = agent.scrape();
    assert!(begin.elapsed() < SCRAPE, "a scrape took {:?}", begin.elapsed());
    let counted = scrape.count("http_server_request_duration_seconds_count", &[("service_name", "nginx")]);
    assert_eq!(counted, u64::try_from(count).expect("a small number"));
    assert_eq!(scrape.count("redtap_dropped_total", &[]), 0);
}

#[test]
fn a_collector_that_comes_late_gets_all() {
    let Some(turn) = gate::privileged("a Collector that comes late") else { return };
    let mut collector = Collector::start(Security::Plain);
    let endpoint = collector.grpc(Security::Plain);
    collector.stop();
    let agent = launch(&turn, &endpoint, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    let server = nginx(&Place::Host);
    requests(&server, 200);
    assert_untouched(&agent, &server, 200);
    let failing = wait::within(PATIENCE, || {
        let figures = Figures::of(&agent.scrape(), TRACES);
        (figures.failures > 0 && figures.exported == 0 && figures.queued > 0).then_some(())
    });
    assert!(failing.is_some(), "not failing: {:?}", Figures::of(&agent.scrape(), TRACES));
    collector.restart();
    let port = server.port().to_string();
    collector.until_spans("the spans of before", |spans| {
        let at_server = spans.iter().filter(|span| span.plain("network.local.port").as_deref() == Some(&port));
        (at_server.count() == 200).then_some(())
    });
    assert_eq!(balanced(&agent).dropped, [], "nothing was lost");
    assert!(agent.scrape().sum("redtap_export_last_success_timestamp_seconds", &[("exporter", TRACES)]) > 1e9);
}

#[test]
fn one_that_never_answers_costs_spans_and_nothing_else() {
    let Some(turn) = gate::privileged("a receiver that never answers") else { return };
    let endpoint = Endpoint::start(Reply::Hang);
    let small = [
        PROTOBUF,
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "1000"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "128"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "64"),
    ];
    let agent = launch(&turn, &endpoint.url(), &small);
    let server = nginx(&Place::Host);
    requests(&server, 1000);
    assert_untouched(&agent, &server, 1000);
    let figures = balanced(&agent);
    assert!(figures.queued <= 128, "{figures:?}");
    assert!(figures.dropped_as("queue_full") > 1000, "{figures:?}");
    assert_eq!(figures.exported, 0, "{figures:?}");
    // It comes to its senses: what is told from now on arrives.
    endpoint.reply(Reply::status(200));
    let recovered = wait::within(PATIENCE * 2, || {
        let figures = Figures::of(&agent.scrape(), TRACES);
        (figures.exported > 0).then_some(())
    });
    assert!(recovered.is_some(), "no recovery: {:?}: {}", Figures::of(&agent.scrape(), TRACES), agent.log());
    let _ = balanced(&agent);
}

#[test]
fn one_that_asks_to_wait_is_obeyed() {
    let Some(turn) = gate::privileged("a receiver that asks to wait") else { return };
    for status in [429, 503] {
        let endpoint = Endpoint::start(Reply::later(status, 3));
        let agent = launch(&turn, &endpoint.url(), &[PROTOBUF, ONLY_TRACES]);
        let server = nginx(&Place::Host);
        requests(&server, 10);
        let first = endpoint.until(1, PATIENCE).first().cloned().expect("a request");
        assert_eq!(first.path, "/v1/traces");
        assert_eq!(first.field("content-type"), Some("application/x-protobuf"));
        let agent_name = first.field("user-agent").unwrap_or_default();
        assert!(agent_name.contains("OTel-OTLP-Exporter-Rust/") && agent_name.contains("redtap/"), "{agent_name}");
        endpoint.reply(Reply::status(200));
        let all = endpoint.until(2, PATIENCE);
        let waited = all[1].at - all[0].at;
        assert!(waited >= Duration::from_millis(2900), "{status}: came again after {waited:?}");
        assert_eq!(all[1].body, all[0].body, "{status}: not the same again");
        assert_eq!(balanced(&agent).dropped, [], "{status}");
    }
}

#[test]
fn what_is_refused_for_good_is_not_sent_again() {
    let Some(turn) = gate::privileged("a receiver that refuses") else { return };
    // What it answers, and what becomes of the spans.
    let cases = [
        (Reply::status(400), "refused"),
        (Reply::status(401), "refused"),
        (Reply::status(404), "refused"),
        (Reply::status(500), "refused"),
    ];
    for (reply, reason) in cases {
        let what = format!("{reply:?}");
        let endpoint = Endpoint::start(reply);
        let agent = launch(&turn, &endpoint.url(), &[PROTOBUF, ONLY_TRACES]);
        let server = nginx(&Place::Host);
        requests(&server, 10);
        agent.fence();
        let lost = wait::within(PATIENCE, || {
            let figures = Figures::of(&agent.scrape(), TRACES);
            (figures.dropped_as(reason) >= 20).then_some(())
        });
        assert!(lost.is_some(), "{what}: {:?}", Figures::of(&agent.scrape(), TRACES));
        let mut bodies: Vec<_> = endpoint.requests().into_iter().map(|request| request.body).collect();
        let all = bodies.len();
        bodies.sort();
        bodies.dedup();
        assert_eq!(bodies.len(), all, "{what}: the same was sent twice");
        let figures = balanced(&agent);
        assert_eq!(figures.exported, 0, "{what}: {figures:?}");
    }
}

#[test]
fn a_partial_success_is_counted_and_not_repeated() {
    let Some(turn) = gate::privileged("a partial success") else { return };
    let endpoint = Endpoint::start(Reply::partial(2));
    let agent = launch(&turn, &endpoint.url(), &[PROTOBUF, ONLY_TRACES]);
    let server = nginx(&Place::Host);
    requests(&server, 10);
    agent.fence();
    let figures = wait::until("everything to be sent", || {
        let figures = balanced(&agent);
        (figures.queued == 0 && figures.exported > 0).then_some(figures)
    });
    let answered = u64::try_from(endpoint.requests().len()).expect("a small number");
    let rejected = figures.dropped_as("rejected");
    assert!((1..=2 * answered).contains(&rejected), "{answered} requests: {figures:?}");
    assert!(figures.exported > 0, "{figures:?}");
    let warnings = agent.log().lines().filter(|line| line.contains("WARN") && line.contains("reject")).count();
    assert!(warnings <= 1, "warned {warnings} times: {}", agent.log());
}

#[test]
fn a_stranger_gets_nothing() {
    let Some(turn) = gate::privileged("a Collector with a wrong certificate") else { return };
    let certificates = Certificates::new();
    let [ca, other] = ["ca", "other"].map(|name| certificates.certificate(name).display().to_string());
    // Signed by nobody whom the agent trusts; and one that asks for a certificate which the agent does not have.
    let cases = [(Security::Tls(&certificates), &other), (Security::Mutual(&certificates), &ca)];
    for (security, trusted) in cases {
        let collector = Collector::start(security);
        for (protocol, endpoint) in
            [("grpc", collector.grpc(security)), ("http/protobuf", collector.http(security))]
        {
            let more = [("OTEL_EXPORTER_OTLP_PROTOCOL", protocol), ("OTEL_EXPORTER_OTLP_CERTIFICATE", trusted)];
            let agent = launch(&turn, &endpoint, &more);
            let server = nginx(&Place::Host);
            requests(&server, 50);
            assert_untouched(&agent, &server, 50);
            let failing = wait::within(PATIENCE, || {
                let figures = Figures::of(&agent.scrape(), TRACES);
                (figures.failures > 0).then_some(figures)
            });
            let figures = failing.unwrap_or_else(|| panic!("{protocol}: no failure is told: {}", agent.log()));
            assert_eq!(figures.exported, 0, "{protocol}: {figures:?}");
            // A server of TLS 1.3 that wants a certificate may have closed the connection before its alert is read.
            let closes = matches!(security, Security::Mutual(_));
            let said = wait::within(PATIENCE, || {
                let why = agent.log().to_ascii_lowercase();
                let is_cut =
                    closes && ["broken pipe", "reset by peer", "closed"].iter().any(|part| why.contains(part));
                (why.contains("certificate") || is_cut).then_some(())
            });
            assert!(said.is_some(), "{protocol}: not said why: {}", agent.log());
        }
        assert_eq!(collector.spans().len() + collector.points().len(), 0);
    }
}

#[test]
fn the_end_flushes_within_a_deadline() {
    let Some(turn) = gate::privileged("flushing at the end") else { return };
    let collector = Collector::start(Security::Plain);
    let endpoint = collector.http(Security::Plain);
    // Nothing would be sent for a minute.
    let slow = [PROTOBUF, ("OTEL_BSP_SCHEDULE_DELAY", "60000"), ("OTEL_METRIC_EXPORT_INTERVAL", "60000")];
    let environment: Vec<_> = otlp(&endpoint, &[]).into_iter().take(1).chain(slow).collect();
    let agent = Agent::launch(&turn.redtap, &["--print", "json"], &environment);
    let server = nginx(&Place::Host);
    requests(&server, 100);
    agent.fence();
    assert!(agent.stop().status.success());
    let port = server.port().to_string();
    collector.until_spans("the spans of before the end", |spans| {
        let at_server = spans.iter().filter(|span| span.plain("network.local.port").as_deref() == Some(&port));
        (at_server.count() == 100).then_some(())
    });
    collector.until_points("metrics of before the end", |points| {
        points.iter().any(|point| point.service().as_deref() == Some("nginx")).then_some(())
    });
    // And where nobody takes it, the end comes nevertheless.
    let endpoint = Endpoint::start(Reply::Hang);
    let agent = launch(&turn, &endpoint.url(), &[PROTOBUF]);
    requests(&server, 100);
    agent.fence();
    let _ = endpoint.until(1, PATIENCE);
    let end = agent.stop();
    assert!(end.status.success() && end.took < Duration::from_secs(8), "{:?} {:?}", end.status, end.took);
}

#[test]
fn exporters_do_not_wait_for_one_another() {
    let Some(turn) = gate::privileged("a dead exporter beside a live one") else { return };
    let collector = Collector::start(Security::Plain);
    let dead = Endpoint::start(Reply::Hang);
    let (live, dead_url) = (format!("{}/v1/metrics", collector.http(Security::Plain)), dead.url());
    let traces = format!("{dead_url}/v1/traces");
    let write = format!("{dead_url}/api/v1/write");
    let environment = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", traces.as_str()),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &live),
        PROTOBUF,
        ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ];
    let flags = ["--print", "json", "--remote-write-url", &write, "--remote-write-interval", "1s"];
    let agent = Agent::launch(&turn.redtap, &flags, &environment);
    let server = nginx(&Place::Host);
    requests(&server, 300);
    assert_untouched(&agent, &server, 300);
    collector.until_points("metrics by the live exporter", |points| {
        let counted = points.iter().any(|point| {
            point.name == "http.server.request.duration"
                && matches!(point.value, redtap_tests::otlp::Number::Histogram(300, ..))
        });
        counted.then_some(())
    });
    let paths: Vec<_> = dead.until(2, PATIENCE).into_iter().map(|request| request.path).collect();
    assert!(paths.contains(&"/v1/traces".to_owned()) && paths.contains(&"/api/v1/write".to_owned()), "{paths:?}");
}

#[test]
fn headers_are_sent_and_never_told() {
    let Some(turn) = gate::privileged("headers of exporters") else { return };
    let endpoint = Endpoint::start(Reply::status(200));
    let secret = "Bearer%20hush-7f3a";
    let headers = format!("authorization={secret},x-tenant=shop");
    let more = [PROTOBUF, ("OTEL_EXPORTER_OTLP_HEADERS", headers.as_str()), ("REDTAP_LOG", "debug")];
    let agent = launch(&turn, &endpoint.url(), &more);
    let server = nginx(&Place::Host);
    requests(&server, 1);
    for request in endpoint.until(2, PATIENCE) {
        assert_eq!(request.field("authorization"), Some("Bearer hush-7f3a"));
        assert_eq!(request.field("x-tenant"), Some("shop"));
    }
    let page = redtap_tests::http::get(agent.listen(), "/metrics").expect("a page").body;
    for (place, text) in [("log", agent.log()), ("page", page)] {
        assert!(!text.contains("hush-7f3a"), "the secret is in the {place}: {text}");
    }
}
