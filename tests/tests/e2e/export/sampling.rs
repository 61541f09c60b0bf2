//! Which exchanges become spans; metrics have them all.

use redtap_tests::agent::Agent;
use redtap_tests::caller::Caller;
use redtap_tests::collector::{Collector, Security};
use redtap_tests::exporter::otlp;
use redtap_tests::gate::{self, Turn};
use redtap_tests::metrics::Scrape;
use redtap_tests::otlp::{SERVER, Span};
use redtap_tests::process::Place;
use redtap_tests::servers::nginx;
use redtap_tests::wait;

/// Requests that carry a sampled context, and ones that carry an unsampled one; the rest carries none.
const CARRIED: usize = 20;
/// All of a round.
const REQUESTS: usize = 400;
/// Those that the server answers with 404: a failure of the client, not of the server.
const MISSING: usize = 10;

/// What a sampler keeps of the server's spans: of those with a sampled context, with an unsampled one, without.
struct Case {
    environment: &'static [(&'static str, &'static str)],
    flags: &'static [&'static str],
    sampled: bool,
    unsampled: bool,
    /// Least and most of those without.
    roots: [usize; 2],
}

const ROOTS: usize = REQUESTS - 2 * CARRIED;

const CASES: [Case; 8] = [
    Case { environment: &[], flags: &[], sampled: true, unsampled: false, roots: [ROOTS; 2] },
    Case {
        environment: &[("OTEL_TRACES_SAMPLER", "always_on")],
        flags: &[],
        sampled: true,
        unsampled: true,
        roots: [ROOTS; 2],
    },
    Case {
        environment: &[("OTEL_TRACES_SAMPLER", "parentbased_always_off")],
        flags: &[],
        sampled: true,
        unsampled: false,
        roots: [0; 2],
    },
    // A quarter, as chance has it: ten standard deviations to either side.
    Case {
        environment: &[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.25")],
        flags: &[],
        sampled: true,
        unsampled: false,
        roots: [5, 175],
    },
    // The flag is stronger than the variable.
    Case {
        environment: &[("OTEL_TRACES_SAMPLER", "always_on")],
        flags: &["--traces-sampler", "parentbased_always_off"],
        sampled: true,
        unsampled: false,
        roots: [0; 2],
    },
    // Garbage in the variable is no reason not to run (OpenTelemetry: warn and use the default).
    Case {
        environment: &[("OTEL_TRACES_SAMPLER", "sometimes")],
        flags: &[],
        sampled: true,
        unsampled: false,
        roots: [ROOTS; 2],
    },
    // Ours, without a ratio: what failed, and what is slow. No server's span failed.
    Case {
        environment: &[],
        flags: &["--traces-sampler", "errors_and_slowest", "--traces-sampler-arg", "0"],
        sampled: false,
        unsampled: false,
        roots: [0, ROOTS / 4],
    },
    // Off is off for all.
    Case {
        environment: &[("OTEL_TRACES_SAMPLER", "always_off")],
        flags: &[],
        sampled: false,
        unsampled: false,
        roots: [0; 2],
    },
];

#[test]
fn samplers_keep_what_they_say() {
    let Some(turn) = gate::privileged("samplers") else { return };
    let collector = Collector::start(Security::Plain);
    for case in &CASES {
        check(&turn, &collector, case);
    }
}

fn check(turn: &Turn, collector: &Collector, case: &Case) {
    let what = format!("{:?} {:?}", case.environment, case.flags);
    let endpoint = collector.grpc(Security::Plain);
    let mut more = vec![("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    more.extend(case.environment);
    let mut flags = vec!["--print", "json"];
    flags.extend(case.flags);
    let agent = Agent::launch(&turn.redtap, &flags, &otlp(&endpoint, &more));
    let server = nginx(&Place::Host);
    let mut caller = Caller::connect(server.address());
    for number in 0..REQUESTS {
        let flag = if number < CARRIED { "01" } else { "00" };
        let parent = format!("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e{number:04x}-00f067aa0ba902b7-{flag}");
        let fields: &[&str] = if number < 2 * CARRIED { &[&parent] } else { &[] };
        let target = if number < REQUESTS - MISSING { "/small" } else { "/missing" };
        caller.get(&format!("{target}?n={number}"), fields);
    }
    agent.fence();
    let scrape = wait::until("all requests to be counted", || {
        let scrape = agent.scrape();
        (counted(&scrape) >= all()).then_some(scrape)
    });
    // Flushed at the end, so that nothing is late.
    assert!(agent.stop().status.success(), "{what}");
    let spans = collector.until_spans(&what, |spans| Some(spans.to_vec()));
    let at_server: Vec<_> = spans.iter().filter(|span| is_at(span, server.port())).collect();
    let numbers: Vec<usize> = at_server.iter().filter_map(|span| number(span)).collect();
    let of = |range: std::ops::Range<usize>| numbers.iter().filter(|number| range.contains(number)).count();
    let [least, most] = case.roots;
    let roots = of(2 * CARRIED..REQUESTS);
    assert!((least..=most).contains(&roots), "{what}: {roots} spans without a parent, not {least} to {most}");
    let by_ours = case.flags.contains(&"errors_and_slowest");
    if !by_ours {
        assert_eq!(of(0..CARRIED), if case.sampled { CARRIED } else { 0 }, "{what}: sampled context");
        assert_eq!(
            of(CARRIED..2 * CARRIED),
            if case.unsampled { CARRIED } else { 0 },
            "{what}: unsampled context"
        );
    }
    if by_ours {
        let port = i64::from(server.port());
        let failed = |span: &&Span| {
            let to = span.attributes.get("network.peer.port").map(redtap_tests::otlp::Attribute::plain);
            span.kind == redtap_tests::otlp::CLIENT && to == Some(port.to_string()) && span.status == 2
        };
        assert_eq!(spans.iter().filter(failed).count(), MISSING, "{what}: the clients' errors");
    }
    assert_metrics_have_all(&scrape, &what);
}

/// Metrics are never sampled.
fn assert_metrics_have_all(scrape: &Scrape, what: &str) {
    assert_eq!(counted(scrape), all(), "{what}");
}

fn counted(scrape: &Scrape) -> u64 {
    scrape.count("http_server_request_duration_seconds_count", &[("service_name", "nginx")])
}

fn all() -> u64 {
    u64::try_from(REQUESTS).expect("a small number")
}

fn is_at(span: &Span, port: u16) -> bool {
    span.kind == SERVER && span.plain("network.local.port") == Some(port.to_string())
}

fn number(span: &Span) -> Option<usize> {
    span.plain("url.query")?.strip_prefix("n=")?.parse().ok()
}

#[test]
fn the_budget_bounds_spans_and_counts_the_rest() {
    let Some(turn) = gate::privileged("the budget of spans") else { return };
    let collector = Collector::start(Security::Plain);
    let endpoint = collector.grpc(Security::Plain);
    let flags = ["--print", "json", "--traces-sampler", "errors_and_slowest", "--traces-budget", "10"];
    let environment = otlp(&endpoint, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    let agent = Agent::launch(&turn.redtap, &flags, &environment);
    let server = nginx(&Place::Host);
    let mut caller = Caller::connect(server.address());
    let begin = std::time::Instant::now();
    for _ in 0..REQUESTS {
        assert_eq!(caller.get("/missing", &[]), 404);
    }
    agent.fence();
    let seconds = begin.elapsed().as_secs() + 2;
    assert!(agent.stop().status.success());
    let kept = collector.until_spans("spans within the budget", |spans| {
        let kept = spans.iter().filter(|span| span.status == 2).count();
        (kept > 0).then_some(kept)
    });
    // The bucket is full at first, and fills again.
    let most = usize::try_from(10 * (seconds + 1)).expect("a small number");
    assert!(kept <= most, "{kept} spans within {seconds} seconds of 10 a second");
}
