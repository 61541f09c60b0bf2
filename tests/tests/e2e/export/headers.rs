//! Header fields that are asked for by name: on spans and in lines, and what they carry of secrets nowhere.

use redtap_tests::agent::Agent;
use redtap_tests::caller::Caller;
use redtap_tests::collector::{Collector, Security};
use redtap_tests::exporter::{balanced, otlp};
use redtap_tests::gate;
use redtap_tests::http;
use redtap_tests::line::Role;
use redtap_tests::otlp::{Attribute, SERVER, Span};
use redtap_tests::process::Place;
use redtap_tests::servers::nginx;

use super::comparison::assert_same;

const ASKED: &str = "x-request-id,request:authorization,cookie!,referer,response:server,response:x-not-there";
const FIELDS: [&str; 7] = [
    "X-Request-ID: first",
    "x-request-id:  second, third ",
    "Authorization: Basic s3cret",
    "Cookie: shown=1",
    "Referer: https://me:s3cret@shop.example/a?sig=s3cret&b=c",
    "X-Tenant: not asked for s3cret",
    "Accept: */*",
];

#[test]
fn header_fields_are_told_by_name_and_hidden_where_they_are_secrets() {
    let Some(turn) = gate::privileged("captured header fields") else { return };
    let collector = Collector::start(Security::Plain);
    let endpoint = collector.grpc(Security::Plain);
    let environment = otlp(&endpoint, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    let agent = Agent::launch(&turn.redtap, &["--print", "json", "--capture-headers", ASKED], &environment);
    let server = nginx(&Place::Host);
    let mut caller = Caller::connect(server.address());
    assert_eq!(caller.get("/small?case=0", &FIELDS), 200);
    assert_eq!(caller.get("/small?case=1", &[]), 200);
    // The last exchange of an open connection waits for its acknowledgement.
    drop(caller);
    agent.fence();
    let exchanges = agent.exchanges(server.port());
    assert_eq!(exchanges.len(), 4, "{exchanges:?}");
    let spans = collector.until_spans("the spans of two requests", |spans| {
        let spans: Vec<_> = spans.iter().filter(|span| case(span).is_some()).cloned().collect();
        (spans.len() >= 4).then_some(spans)
    });
    assert_same("captured header fields", &exchanges, &spans);
    for span in &spans {
        let expected = match case(span) {
            Some(0) => {
                "http.request.header.authorization=REDACTED \
                 http.request.header.cookie=shown=1 \
                 http.request.header.referer=https://REDACTED@shop.example/a?sig=REDACTED&b=c \
                 http.request.header.x-request-id=first|second, third \
                 http.response.header.server=nginx"
            }
            _ => "http.response.header.server=nginx",
        };
        assert_eq!(headers(span), expected, "{span:?}");
        assert!(!format!("{span:?}").contains("s3cret"), "{span:?}");
    }
    for exchange in &exchanges {
        assert!(exchange.faults().is_empty(), "{:?}: {exchange:?}", exchange.faults());
        assert!(!format!("{exchange:?}").contains("s3cret"), "{exchange:?}");
    }
    assert!(exchanges.iter().any(|exchange| exchange.role == Role::Client && exchange.headers.len() == 5));
    let page = http::get(agent.listen(), "/metrics").expect("a page").body;
    for word in ["request_header", "request.header", "s3cret", "second, third", "shown=1"] {
        assert!(!page.contains(word) && !agent.log().contains(word), "{word}");
    }
    let _ = balanced(&agent);
}

#[test]
fn no_header_field_is_told_unless_asked_for() {
    let Some(turn) = gate::privileged("no header fields") else { return };
    let agent = Agent::start(&turn.redtap, &[]);
    let server = nginx(&Place::Host);
    assert_eq!(Caller::connect(server.address()).get("/small", &FIELDS), 200);
    agent.fence();
    let exchanges = agent.exchanges(server.port());
    assert_eq!(exchanges.len(), 2, "{exchanges:?}");
    assert!(exchanges.iter().all(|exchange| exchange.headers.is_empty()), "{exchanges:?}");
}

/// The number of the request that a span is of.
fn case(span: &Span) -> Option<usize> {
    let query = if span.kind == SERVER { span.plain("url.query") } else { span.plain("url.full") }?;
    query.rsplit_once("case=")?.1.parse().ok()
}

/// The header fields on a span, in the order of their names; nginx tells its version, which is not the story's.
fn headers(span: &Span) -> String {
    let fields = span.attributes.iter().filter(|(name, _)| name.contains(".header."));
    let texts = fields.map(|(name, value)| {
        let Attribute::List(values) = value else { panic!("{name} is {value:?}") };
        let values: Vec<_> = values.iter().map(Attribute::plain).collect();
        let value = values.join("|");
        let value = if name.ends_with(".server") { value.split('/').next().unwrap_or_default() } else { &value };
        format!("{name}={value}")
    });
    texts.collect::<Vec<_>>().join(" ")
}
