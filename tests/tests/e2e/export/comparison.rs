//! A span beside the line that `--print json` has of the same exchange.

use redtap_tests::line::{Exchange, Outcome, Role};
use redtap_tests::otlp::{Attribute, Attributes, CLIENT, ERROR, SERVER, Span};

/// Resolution of seconds in a double, for durations of less than a day.
const RESOLUTION: f64 = 1e-9;

/// Every exchange has a span, and every span an exchange: by side, connection and first byte.
///
/// # Panics
/// When one is alone, or two differ.
#[track_caller]
pub fn assert_same(what: &str, exchanges: &[Exchange], spans: &[Span]) {
    let mut wrong = String::new();
    for exchange in exchanges {
        let mut same = spans.iter().filter(|span| key(span) == key_of(exchange));
        match (same.next(), same.next()) {
            (Some(span), None) => {
                for fault in faults(exchange, span) {
                    wrong += &format!("{fault}\n    in {span:?}\n    of {exchange:?}\n");
                }
            }
            (None, _) => wrong += &format!("no span of {exchange:?}\n"),
            (Some(_), Some(_)) => wrong += &format!("more than one span of {exchange:?}\n"),
        }
    }
    assert!(wrong.is_empty(), "{what}: {wrong}");
    assert_eq!(spans.len(), exchanges.len(), "{what}: spans and exchanges");
}

/// What tells an exchange from others: side, local port, peer's port, first byte.
fn key(span: &Span) -> (u64, Option<String>, Option<String>, u64) {
    (span.kind, span.plain("network.local.port"), span.plain("network.peer.port"), span.start)
}

fn key_of(exchange: &Exchange) -> (u64, Option<String>, Option<String>, u64) {
    let kind = if exchange.role == Role::Server { SERVER } else { CLIENT };
    let port = |port: Option<u16>| port.map(|port| port.to_string());
    (kind, port(exchange.local_port), port(exchange.peer_port), exchange.request_first_byte.unwrap_or(0))
}

/// What is wrong with a span of an exchange.
pub fn faults(exchange: &Exchange, span: &Span) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |what: &str, told: String, expected: String| {
        if told != expected {
            faults.push(format!("{what} is {told}, not {expected}"));
        }
    };
    let method = match exchange.method.as_deref() {
        Some("_OTHER") | None => "HTTP",
        Some(method) => method,
    };
    let name = exchange.route.as_ref().map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
    check("name", span.name.clone(), name);
    check("scope", span.scope.clone(), "redtap".to_owned());
    let failed = exchange.error_type.is_some();
    check("status", span.status.to_string(), if failed { ERROR } else { 0 }.to_string());
    check("service.name", format!("{:?}", span.service()), format!("{:?}", exchange.service_name));
    let pid = span.resource.get("process.pid").map(Attribute::plain);
    check("process.pid", format!("{pid:?}"), format!("{:?}", exchange.pid.map(|pid| pid.to_string())));
    if let Some(end) = exchange.response_last_byte {
        check("end", span.end.to_string(), end.to_string());
    }
    let (required, allowed) = expected(exchange);
    for (name, value) in &required {
        if !span.attributes.get(name).is_some_and(|told| same(told, value)) {
            faults.push(format!("{name} is {:?}, not {value:?}", span.attributes.get(name)));
        }
    }
    for (name, told) in &span.attributes {
        let known = required.contains_key(name) || allowed.get(name).is_some_and(|value| same(told, value));
        if !known {
            faults.push(format!("{name} is {told:?}, which is not in the line, or {:?}", allowed.get(name)));
        }
    }
    faults
}

fn same(told: &Attribute, expected: &Attribute) -> bool {
    match (told, expected) {
        (Attribute::Double(told), Attribute::Double(expected)) => (told - expected).abs() <= RESOLUTION,
        (told, expected) => told == expected,
    }
}

/// The attributes that a span must have, and those that it may have, all with their values.
fn expected(exchange: &Exchange) -> (Attributes, Attributes) {
    let (mut required, mut allowed) = (Attributes::new(), Attributes::new());
    let is_server = exchange.role == Role::Server;
    let mut must = |name: &str, value: Option<Attribute>| {
        if let Some(value) = value {
            required.insert(name.to_owned(), value);
        }
    };
    let text = |text: &Option<String>| text.clone().map(Attribute::Text);
    let whole = |number: Option<u64>| number.and_then(|number| i64::try_from(number).ok()).map(Attribute::Integer);
    must("http.request.method", text(&exchange.method));
    must("http.request.method_original", text(&exchange.method_original));
    must("url.scheme", text(&exchange.scheme));
    if is_server {
        must("url.path", text(&exchange.path));
        must("url.query", text(&exchange.query));
        must("http.route", text(&exchange.route));
        must("client.address", text(&exchange.peer_address));
    } else {
        must("url.full", full(exchange).map(Attribute::Text));
    }
    must("server.address", text(&exchange.server_address));
    must("server.port", whole(exchange.server_port.map(u64::from)));
    must("network.local.address", text(&exchange.local_address));
    must("network.local.port", whole(exchange.local_port.map(u64::from)));
    must("network.peer.address", text(&exchange.peer_address));
    must("network.peer.port", whole(exchange.peer_port.map(u64::from)));
    must("network.protocol.version", text(&exchange.version));
    must("http.response.status_code", whole(exchange.status.map(u64::from)));
    must("error.type", text(&exchange.error_type));
    must("user_agent.original", text(&exchange.user_agent));
    must("http.request.body.size", whole(exchange.request_body));
    must("http.response.body.size", whole(exchange.response_body));
    must("redtap.outcome", Some(Attribute::Text(outcome(exchange.outcome).to_owned())));
    must("redtap.tcp.srtt", exchange.round_trip.map(seconds));
    must("redtap.tcp.retransmits", whole(exchange.retransmits));
    must("redtap.tcp.out_of_order_bytes", whole(exchange.out_of_order));
    must("redtap.connection.age", exchange.connection_age.map(seconds));
    must("redtap.connection.exchanges", whole(exchange.connection_exchanges));
    for (name, values) in &exchange.headers {
        must(name, Some(Attribute::List(values.iter().cloned().map(Attribute::Text).collect())));
    }
    if exchange.partial {
        must("redtap.http.partial", Some(Attribute::Truth(true)));
    }
    let between = |from: Option<u64>, to: Option<u64>| Some(seconds(to?.saturating_sub(from?)));
    let transfer = between(exchange.response_first_byte, exchange.response_last_byte);
    let acknowledged = between(exchange.response_last_byte, exchange.response_acknowledged);
    let parts = [
        ("redtap.queue.duration", between(exchange.request_first_byte, exchange.picked_up)),
        ("redtap.ttfb", between(exchange.picked_up, exchange.response_first_byte)),
        ("redtap.transfer.duration", transfer),
        ("redtap.ack.duration", acknowledged),
    ];
    for (name, value) in parts {
        // A client knows neither when the server read the request nor whether it got an acknowledgement.
        match value {
            Some(value) if is_server => drop(required.insert(name.to_owned(), value)),
            Some(value) => drop(allowed.insert(name.to_owned(), value)),
            None => {}
        }
    }
    if !exchange.partial {
        allowed.insert("redtap.http.partial".to_owned(), Attribute::Truth(false));
    }
    (required, allowed)
}

/// `url.full` of a client's request: with the port where it is not the scheme's own.
fn full(exchange: &Exchange) -> Option<String> {
    let (scheme, address) = (exchange.scheme.as_ref()?, exchange.server_address.as_ref()?);
    let address = if address.contains(':') { format!("[{address}]") } else { address.clone() };
    let port = exchange.server_port.filter(|port| *port != 80).map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{scheme}://{address}{port}{}", exchange.target()?))
}

#[expect(clippy::cast_precision_loss, reason = "durations of less than a day")]
fn seconds(nanoseconds: u64) -> Attribute {
    Attribute::Double(nanoseconds as f64 / 1e9)
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Error => "error",
        Outcome::Reset => "reset",
        Outcome::ClientAbort => "client_abort",
        Outcome::Timeout => "timeout",
        Outcome::Unobserved => "unobserved",
    }
}
