//! Trace context that requests carry: the server's span hangs below the caller's, the client's is the caller's.

use redtap_tests::agent::Agent;
use redtap_tests::caller::Caller;
use redtap_tests::collector::{Collector, Security};
use redtap_tests::exporter::{balanced, otlp};
use redtap_tests::gate;
use redtap_tests::otlp::{CLIENT, SERVER, Span};
use redtap_tests::process::Place;
use redtap_tests::servers::nginx;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const SHORT: &str = "0000000000000000a3ce929d0e0e4736";

/// `has_is_remote` and `is_remote` of OTLP's `SpanFlags`.
const REMOTE: u64 = 0x300;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Spans of this trace, with this `tracestate` and these W3C flags.
    Of(&'static str, &'static str, u64),
    /// A trace of its own.
    New,
    /// No span.
    Nothing,
}

/// Fields of a request, and what becomes of it.
type Case = (&'static [&'static str], Told);

const SAMPLED: Told = Told::Of(TRACE, "", 1);

const CASES: [Case; 34] = [
    // W3C Trace Context.
    (&["traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"], SAMPLED),
    (&["TraceParent:   00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01  "], SAMPLED),
    (&["traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03"], Told::Of(TRACE, "", 3)),
    (&["traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"], Told::Nothing),
    (&["traceparent: cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-brings"], SAMPLED),
    (&["traceparent: ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"], Told::New),
    (&["traceparent: 00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"], Told::New),
    (&["traceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01"], Told::New),
    (&["traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"], Told::New),
    (&["traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"], Told::New),
    (&["traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"], Told::New),
    (&["traceparent:"], Told::New),
    (
        &[
            "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ],
        Told::New,
    ),
    // With tracestate.
    (
        &["traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate: a=1,b@c=2"],
        Told::Of(TRACE, "a=1,b@c=2", 1),
    ),
    (
        &[
            "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "tracestate: a=1",
            "tracestate: b=2",
        ],
        Told::Of(TRACE, "a=1,b=2", 1),
    ),
    (
        &["traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "tracestate: Upper=1"],
        Told::Of(TRACE, "", 1),
    ),
    (&["tracestate: a=1"], Told::New),
    // B3, single and multi.
    (&["b3: 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1"], SAMPLED),
    (&["b3: 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-d"], SAMPLED),
    (&["b3: 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"], SAMPLED),
    (&["b3: 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1-05e3ac9a4f6e3b90"], SAMPLED),
    (&["b3: a3ce929d0e0e4736-00f067aa0ba902b7-1"], Told::Of(SHORT, "", 1)),
    (&["b3: 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0"], Told::Nothing),
    (&["b3: 0"], Told::Nothing),
    (&["b3: 4bf92f3577b34da6a3ce929d0e0e4736"], Told::New),
    (
        &["X-B3-TraceId: 4bf92f3577b34da6a3ce929d0e0e4736", "X-B3-SpanId: 00f067aa0ba902b7", "X-B3-Sampled: 1"],
        SAMPLED,
    ),
    (
        &["X-B3-TraceId: 4bf92f3577b34da6a3ce929d0e0e4736", "X-B3-SpanId: 00f067aa0ba902b7", "X-B3-Sampled: 0"],
        Told::Nothing,
    ),
    (
        &["X-B3-TraceId: 4bf92f3577b34da6a3ce929d0e0e4736", "X-B3-SpanId: 00f067aa0ba902b7", "X-B3-Flags: 1"],
        SAMPLED,
    ),
    (&["X-B3-TraceId: 4bf92f3577b34da6a3ce929d0e0e4736"], Told::New),
    // Jaeger.
    (&["uber-trace-id: 4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:1"], SAMPLED),
    (&["uber-trace-id: 4bf92f3577b34da6a3ce929d0e0e4736%3Af067aa0ba902b7%3A0%3A1"], SAMPLED),
    (&["uber-trace-id: 4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:0"], Told::Nothing),
    // W3C before the others.
    (
        &[
            "b3: 11112222333344445555666677778888-00f067aa0ba902b7-1",
            "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ],
        SAMPLED,
    ),
    // None.
    (&[], Told::New),
];

#[test]
fn carried_context_is_honoured() {
    let Some(turn) = gate::privileged("carried context") else { return };
    let collector = Collector::start(Security::Plain);
    let endpoint = collector.grpc(Security::Plain);
    let environment = otlp(&endpoint, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    let agent = Agent::launch(&turn.redtap, &["--print", "json"], &environment);
    let server = nginx(&Place::Host);
    let mut caller = Caller::connect(server.address());
    for (number, (fields, _)) in CASES.iter().enumerate() {
        caller.get(&format!("/small?case={number}"), fields);
    }
    agent.fence();
    let expected = 2 * CASES.iter().filter(|(_, told)| *told != Told::Nothing).count();
    let spans = collector.until_spans("the spans of all cases", |spans| {
        let of_cases: Vec<_> = spans.iter().filter(|span| case(span).is_some()).cloned().collect();
        (of_cases.len() >= expected).then_some(of_cases)
    });
    let mut wrong = String::new();
    for (number, (fields, told)) in CASES.iter().enumerate() {
        let of_case: Vec<_> = spans.iter().filter(|span| case(span) == Some(number)).collect();
        if let Some(fault) = fault(&of_case, *told) {
            wrong += &format!("{fields:?}: {told:?}: {fault}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    // What nobody samples is no loss.
    let scrape = agent.scrape();
    assert_eq!(scrape.count("redtap_export_dropped_total", &[("exporter", "otlp_traces")]), 0);
}

/// The number of the case that a span belongs to.
fn case(span: &Span) -> Option<usize> {
    let query = if span.kind == SERVER { span.plain("url.query") } else { span.plain("url.full") }?;
    query.rsplit_once("case=")?.1.parse().ok()
}

fn fault(spans: &[&Span], told: Told) -> Option<String> {
    let of = |kind: u64| spans.iter().find(|span| span.kind == kind);
    let (server, client) = match (told, of(SERVER), of(CLIENT), spans.len()) {
        (Told::Nothing, None, None, 0) => return None,
        (Told::Of(..) | Told::New, Some(server), Some(client), 2) => (server, client),
        _ => return Some(format!("{} spans: {spans:?}", spans.len())),
    };
    let identity = |span: &Span| {
        let Span { trace_id, span_id, parent_span_id, trace_state, flags, .. } = span;
        format!("trace {trace_id} span {span_id} parent {parent_span_id} state {trace_state} flags {flags:#x}")
    };
    let is_right = match told {
        Told::Of(trace, state, flags) => {
            let of_trace = |span: &Span| span.trace_id == trace && span.trace_state == state;
            let below = server.parent_span_id == PARENT && server.span_id != PARENT;
            let own = client.span_id == PARENT && client.parent_span_id.is_empty();
            let flagged = server.flags == flags | REMOTE && client.flags & 0xff == flags;
            of_trace(server) && of_trace(client) && below && own && flagged
        }
        Told::New | Told::Nothing => [server, client].iter().all(|span| {
            let own = span.trace_id != TRACE && span.span_id != PARENT;
            own && span.parent_span_id.is_empty() && span.trace_state.is_empty() && span.trace_id.len() == 32
        }),
    };
    (!is_right).then(|| format!("server: {}; client: {}", identity(server), identity(client)))
}

#[test]
fn propagators_are_those_asked_for() {
    let Some(turn) = gate::privileged("propagators") else { return };
    let collector = Collector::start(Security::Plain);
    let endpoint = collector.grpc(Security::Plain);
    let more = [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_PROPAGATORS", "b3,baggage")];
    let agent = Agent::launch(&turn.redtap, &["--print", "json"], &otlp(&endpoint, &more));
    let server = nginx(&Place::Host);
    let mut caller = Caller::connect(server.address());
    caller.get("/small?case=0", CASES[0].0);
    caller.get("/small?case=17", CASES[17].0);
    agent.fence();
    let spans = collector.until_spans("four spans", |spans| {
        let of_cases: Vec<_> = spans.iter().filter(|span| case(span).is_some()).cloned().collect();
        (of_cases.len() >= 4).then_some(of_cases)
    });
    for (number, told) in [(0, Told::New), (17, SAMPLED)] {
        let of_case: Vec<_> = spans.iter().filter(|span| case(span) == Some(number)).collect();
        assert_eq!(fault(&of_case, told), None, "case {number}");
    }
}

#[test]
fn the_original_client_is_told() {
    let Some(turn) = gate::privileged("the original client") else { return };
    const FORWARDED: [(&[&str], &str); 5] = [
        (&["X-Forwarded-For: 203.0.113.7, 10.0.0.1"], "203.0.113.7"),
        (&["X-Forwarded-For: 2001:db8::1"], "2001:db8::1"),
        (&["Forwarded: for=\"[2001:db8:cafe::17]:4711\";proto=https, for=10.0.0.1"], "2001:db8:cafe::17"),
        (&["Forwarded: for=192.0.2.60;by=10.0.0.1", "X-Forwarded-For: 203.0.113.7"], "192.0.2.60"),
        (&[], "127.0.0.1"),
    ];
    let collector = Collector::start(Security::Plain);
    let endpoint = collector.grpc(Security::Plain);
    let environment = otlp(&endpoint, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    let agent = Agent::launch(&turn.redtap, &["--print", "json"], &environment);
    let server = nginx(&Place::Host);
    let mut caller = Caller::connect(server.address());
    for (number, (fields, _)) in FORWARDED.iter().enumerate() {
        caller.get(&format!("/small?case={number}"), fields);
    }
    agent.fence();
    let clients = collector.until_spans("the servers' spans", |spans| {
        let of_servers = spans.iter().filter(|span| span.kind == SERVER);
        let mut clients: Vec<_> =
            of_servers.filter_map(|span| Some((case(span)?, span.plain("client.address")?))).collect();
        clients.sort();
        (clients.len() >= FORWARDED.len()).then_some(clients)
    });
    let expected: Vec<_> =
        FORWARDED.iter().enumerate().map(|(number, (_, client))| (number, (*client).to_owned())).collect();
    assert_eq!(clients, expected);
    let _ = balanced(&agent);
}
