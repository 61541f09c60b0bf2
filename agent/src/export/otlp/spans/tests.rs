use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span as SpanMessage,
};

use super::*;
use crate::{
    exchange::{Counters, Details, Exchange, Field, Outcome, Transport},
    export::otlp::testing::span,
    time::WallOffset,
    trace::SpanIds,
};

const ALL: Limits = Limits { count: 128, length: None };

/// The span as whoever reads it has it, who would have written it in as many bytes.
fn message(span: &Span, keys: &QueryKeys, limits: Limits) -> SpanMessage {
    let mut bytes = Vec::new();
    write(span, keys, limits, &mut bytes);
    let message = SpanMessage::decode(&*bytes).unwrap();
    assert_eq!(message.encoded_len(), bytes.len());
    message
}

fn read(request: &Request) -> ExportTraceServiceRequest {
    let message = ExportTraceServiceRequest::decode(&*request.bytes).unwrap();
    assert_eq!(message.encoded_len(), request.bytes.len());
    let scopes = message.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    assert_eq!(scopes.map(|scope| scope.spans.len() as u64).sum::<u64>(), request.spans);
    message
}

/// `key=value`, as the kind of value has it.
fn texts(attributes: &[KeyValue]) -> Vec<String> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => format!("{text:?}"),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => format!("{number:?}"),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        Some(Value::ArrayValue(array)) => {
            let texts = array.values.iter().map(|value| match &value.value {
                Some(Value::StringValue(text)) => format!("{text:?}"),
                other => panic!("{other:?}"),
            });
            format!("[{}]", texts.collect::<Vec<_>>().join(","))
        }
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|attribute| format!("{}={}", attribute.key, text(&attribute.value))).collect()
}

/// An exchange of which everything is known.
fn full(role: Role) -> Span {
    let at = |milliseconds: u64| Some(Nanos(milliseconds * 1_000_000));
    let exchange = Exchange {
        role,
        index: 4,
        outcome: Outcome::Error,
        method: Some(Method::Post),
        status: Some(503),
        minor_version: 1,
        request_body: Some(10),
        response_body: Some(20),
        partial: true,
        times: Times {
            request_first: at(100),
            request_last: at(101),
            picked_up: at(102),
            response_first: at(105),
            response_last: at(109),
            acknowledged: at(110),
        },
        local: Some("[::ffff:10.0.0.1]:8080".parse().unwrap()),
        peer: Some("10.0.0.2:40000".parse().unwrap()),
        pid: 42,
        transport: Transport {
            round_trip: Some(std::time::Duration::from_micros(250)),
            met: Counters { retransmits: 1, out_of_order: 1448 },
            age: Some(std::time::Duration::from_secs(3)),
        },
        details: Details {
            target: b"/pay?sig=secret&a=b".to_vec(),
            method: b"POST".to_vec(),
            authority: b"user:secret@Shop.example:81".to_vec(),
            user_agent: b"curl/\xff8".to_vec(),
            trace_state: b"a=b,c=d".to_vec(),
            client: b"192.0.2.7".to_vec(),
            ..Details::default()
        },
        ..Exchange::default()
    };
    Span {
        ids: SpanIds {
            trace_id: TraceId::from_bytes([1; 16]),
            span_id: SpanId::from_bytes([2; 8]),
            parent: Some(SpanId::from_bytes([3; 8])),
            random: true,
        },
        exchange,
        service: Arc::new(Service::named("shop")),
        route: None,
        executable: "/usr/bin/shopd".into(),
        vpid: None,
        wall: WallOffset(1_000_000_000),
    }
}

#[test]
fn a_server_span() {
    let message = message(&full(Role::Server), &QueryKeys::default(), ALL);
    assert_eq!((message.trace_id, message.span_id), (vec![1; 16], vec![2; 8]));
    assert_eq!((message.parent_span_id, message.trace_state.as_str()), (vec![3; 8], "a=b,c=d"));
    assert_eq!((message.flags, message.name.as_str()), (0x303, "POST"));
    assert_eq!(message.kind, i32::from(SpanKind::Server));
    assert_eq!((message.start_time_unix_nano, message.end_time_unix_nano), (1_100_000_000, 1_109_000_000));
    assert_eq!(message.status.map(|status| (status.code, status.message)), Some((2, String::new())));
    assert_eq!(message.dropped_attributes_count, 0);
    assert_eq!(
        texts(&message.attributes),
        [
            "http.request.method=\"POST\"",
            "url.path=\"/pay\"",
            "url.query=\"sig=REDACTED&a=b\"",
            "url.scheme=\"http\"",
            "server.address=\"shop.example\"",
            "server.port=81",
            "http.response.status_code=503",
            "error.type=\"503\"",
            "client.address=\"192.0.2.7\"",
            "user_agent.original=\"curl/\u{fffd}8\"",
            "http.request.body.size=10",
            "http.response.body.size=20",
            "network.peer.address=\"10.0.0.2\"",
            "network.peer.port=40000",
            "network.local.address=\"10.0.0.1\"",
            "network.local.port=8080",
            "network.protocol.version=\"1.1\"",
            "redtap.outcome=\"error\"",
            "redtap.queue.duration=0.002",
            "redtap.ttfb=0.003",
            "redtap.transfer.duration=0.004",
            "redtap.ack.duration=0.001",
            "redtap.tcp.srtt=0.00025",
            "redtap.tcp.retransmits=1",
            "redtap.tcp.out_of_order_bytes=1448",
            "redtap.connection.age=3.0",
            "redtap.connection.exchanges=5",
            "redtap.http.partial=true",
        ]
    );
}

#[test]
fn a_client_span() {
    let mut span = full(Role::Client);
    span.ids.parent = None;
    span.ids.random = false;
    let message = message(&span, &QueryKeys::default(), ALL);
    assert_eq!((message.kind, message.flags, message.parent_span_id), (i32::from(SpanKind::Client), 1, vec![]));
    let texts = texts(&message.attributes);
    assert_eq!(
        texts[..6],
        [
            "http.request.method=\"POST\"",
            "url.full=\"http://shop.example:81/pay?sig=REDACTED&a=b\"",
            "url.scheme=\"http\"",
            "server.address=\"shop.example\"",
            "server.port=81",
            "http.response.status_code=503",
        ]
    );
    assert!(!texts.iter().any(|text| text.contains("secret") || text.starts_with("client.address")), "{texts:?}");
}

#[test]
fn header_fields_are_arrays_behind_everything_else() {
    let field = |name: &str, values: &[&str]| Field {
        name: name.into(),
        values: values.iter().map(|value| value.as_bytes().to_vec()).collect(),
    };
    let mut span = full(Role::Server);
    span.exchange.details.request_headers =
        vec![field("x-id", &["a", "b, c"]), field("referer", &["https://u:secret@a/?sig=secret&b=c"])];
    span.exchange.details.response_headers = vec![field("x-id", &["d"]), field("server", &[""])];
    for (limits, dropped, expected) in [
        (
            ALL,
            0,
            [
                r#"http.request.header.x-id=["a","b, c"]"#,
                r#"http.request.header.referer=["https://REDACTED@a/?sig=REDACTED&b=c"]"#,
                r#"http.response.header.x-id=["d"]"#,
                r#"http.response.header.server=[""]"#,
            ]
            .as_slice(),
        ),
        (
            Limits { count: 30, length: Some(2) },
            2,
            &[r#"http.request.header.x-id=["a","b,"]"#, r#"http.request.header.referer=["ht"]"#],
        ),
    ] {
        let message = message(&span, &QueryKeys::default(), limits);
        assert_eq!(texts(&message.attributes)[28..], *expected);
        assert_eq!(message.dropped_attributes_count, dropped);
    }
}

#[test]
fn urls_and_servers() {
    let server = |authority: &str, target: &str, role, method| {
        let mut span = full(role);
        span.exchange.method = Some(method);
        span.exchange.details.authority = authority.as_bytes().to_vec();
        span.exchange.details.target = target.as_bytes().to_vec();
        let keys = ["url.full", "url.path", "url.query", "server.address", "server.port", "http.request.method"];
        let all = texts(&message(&span, &QueryKeys::default(), ALL).attributes);
        let wanted = |text: &String| keys.iter().any(|key| text.starts_with(&format!("{key}=")));
        all.into_iter().filter(wanted).skip(1).collect::<Vec<_>>().join(" ")
    };
    let (client, get) = (Role::Client, Method::Get);
    for (authority, target, role, method, expected) in [
        ("a", "/", client, get, r#"url.full="http://a/" server.address="a" server.port=80"#),
        ("a:80", "/", client, get, r#"url.full="http://a:80/" server.address="a" server.port=80"#),
        ("[::1]:8", "/x", client, get, r#"url.full="http://[::1]:8/x" server.address="::1" server.port=8"#),
        (
            "",
            "/x",
            client,
            get,
            r#"url.full="http://10.0.0.2:40000/x" server.address="10.0.0.2" server.port=40000"#,
        ),
        ("a", "http://u:p@b/x?y", client, get, r#"url.full="http://a/x?y" server.address="a" server.port=80"#),
        ("a", "*", client, Method::Options, r#"url.full="http://a" server.address="a" server.port=80"#),
        (
            "a:443",
            "a:443",
            client,
            Method::Connect,
            r#"url.full="http://a:443" server.address="a" server.port=443"#,
        ),
        ("a", "/?", Role::Server, get, r#"url.path="/" server.address="a" server.port=80"#),
        ("", "/x?y", Role::Server, get, r#"url.path="/x" url.query="y""#),
        ("a", "*", Role::Server, Method::Options, r#"url.path="*" server.address="a" server.port=80"#),
    ] {
        assert_eq!(server(authority, target, role, method), expected, "{authority} {target}");
    }
}

#[test]
fn names_and_status_follow_method_and_outcome() {
    for (role, method, token, status, outcome, by_rst, name, error) in [
        (Role::Server, Some(Method::Get), "GET", Some(200), Outcome::Ok, false, "GET", None),
        (Role::Server, Some(Method::Get), "GET", Some(404), Outcome::Ok, false, "GET", None),
        (Role::Client, Some(Method::Get), "GET", Some(404), Outcome::Error, false, "GET", Some("404")),
        (Role::Server, Some(Method::Put), "PUT", Some(500), Outcome::Error, false, "PUT", Some("500")),
        (Role::Server, Some(Method::Other), "BREW", None, Outcome::Timeout, false, "HTTP", Some("timeout")),
        (Role::Client, Some(Method::Get), "GET", None, Outcome::Reset, true, "GET", Some("connection_reset")),
        (
            Role::Client,
            Some(Method::Get),
            "GET",
            Some(200),
            Outcome::Reset,
            false,
            "GET",
            Some("connection_closed"),
        ),
        (Role::Server, None, "", None, Outcome::ClientAbort, false, "HTTP", Some("client_abort")),
    ] {
        let mut span = full(role);
        span.exchange = Exchange { method, status, outcome, by_rst, ..span.exchange };
        span.exchange.details.method = token.as_bytes().to_vec();
        let message = message(&span, &QueryKeys::default(), ALL);
        assert_eq!(message.name, name);
        assert_eq!(message.status.map(|status| status.code), error.map(|_| 2), "{outcome:?}");
        let texts = texts(&message.attributes);
        let of =
            |key: &str| texts.iter().find_map(|text| text.strip_prefix(&format!("{key}=")).map(str::to_owned));
        assert_eq!(of("error.type"), error.map(|error| format!("{error:?}")));
        assert_eq!(of("redtap.outcome"), Some(format!("{:?}", outcome.as_str())));
        let original = (method == Some(Method::Other)).then(|| format!("{token:?}"));
        assert_eq!(of("http.request.method_original"), original);
        let broke_off = !matches!(outcome, Outcome::Ok | Outcome::Error);
        assert_eq!(of("redtap.transfer.duration").is_none(), broke_off);
    }
}

#[test]
fn what_is_not_known_is_left_out() {
    let mut span = full(Role::Server);
    span.exchange =
        Exchange { times: Times { request_last: Some(Nanos(7)), ..Times::default() }, ..Exchange::default() };
    let message = message(&span, &QueryKeys::default(), ALL);
    assert_eq!((message.start_time_unix_nano, message.end_time_unix_nano), (1_000_000_007, 1_000_000_007));
    assert_eq!(
        texts(&message.attributes),
        [
            "url.scheme=\"http\"",
            "redtap.outcome=\"unobserved\"",
            "redtap.tcp.retransmits=0",
            "redtap.tcp.out_of_order_bytes=0",
            "redtap.connection.exchanges=1",
        ]
    );
}

#[test]
fn an_exchange_without_an_answer_ends_when_last_seen() {
    let mut span = full(Role::Server);
    span.exchange.times.response_last = None;
    assert_eq!(message(&span, &QueryKeys::default(), ALL).end_time_unix_nano, 1_110_000_000);
    span.exchange.times.response_last = Some(Nanos(1));
    let message = message(&span, &QueryKeys::default(), ALL);
    assert_eq!(message.end_time_unix_nano, message.start_time_unix_nano);
}

#[test]
fn attributes_are_limited() {
    let full = full(Role::Server);
    let message = message(&full, &QueryKeys::default(), Limits { count: 3, length: Some(2) });
    assert_eq!(texts(&message.attributes), ["http.request.method=\"PO\"", "url.path=\"/p\"", "url.query=\"si\""]);
    assert_eq!(message.dropped_attributes_count, 25);
    let mut span = full;
    span.exchange.details.target = "/äöü".as_bytes().to_vec();
    let message = self::message(&span, &QueryKeys::default(), Limits { count: 3, length: Some(3) });
    assert_eq!(texts(&message.attributes)[1], "url.path=\"/äö\"");
}

#[test]
fn spans_are_grouped_by_who_made_them() {
    let resource = Resource {
        common: vec![
            ("host.name".into(), "node1".into()),
            ("service.name".into(), "other".into()),
            ("service.namespace".into(), "prod".into()),
        ],
        host: "node1".into(),
        ..Resource::default()
    };
    let mut nobodys = span(2);
    nobodys.exchange.pid = 0;
    (nobodys.service, nobodys.executable) =
        (Arc::new(Service::named(crate::identity::UNKNOWN_SERVICE)), "".into());
    let mut other = span(3);
    other.exchange.pid = 8;
    other.vpid = Some(3);
    let encoder = Encoder::new(Arc::new(resource), ALL, QueryKeys::default());
    let (requests, too_large) = encoder.requests(&[span(0), other, span(1), nobodys]);
    assert_eq!((requests.len(), too_large), (1, 0));
    let groups: Vec<_> = read(&requests[0])
        .resource_spans
        .iter()
        .map(|group| {
            let scope = &group.scope_spans[0];
            assert_eq!(scope.scope.as_ref().unwrap().name, "redtap");
            assert_eq!(group.schema_url, SCHEMA_URL);
            let ids: Vec<_> = scope.spans.iter().map(|span| *span.span_id.last().unwrap()).collect();
            (texts(&group.resource.as_ref().unwrap().attributes).join(" "), ids)
        })
        .collect();
    let shop = |pids: &str| {
        format!(
            "service.name=\"shop\" service.instance.id=\"node1:shop\" host.name=\"node1\" service.namespace=\"prod\" \
             {pids} process.executable.name=\"shopd\" process.executable.path=\"/usr/bin/shopd\""
        )
    };
    let unknown = "service.name=\"unknown_service\" service.instance.id=\"node1:unknown_service\" host.name=\"node1\" \
                   service.namespace=\"prod\"";
    assert_eq!(
        groups,
        [
            (shop("process.pid=7"), vec![1, 2]),
            (shop("process.pid=8 process.vpid=3"), vec![4]),
            (unknown.to_owned(), vec![3])
        ]
    );
}

#[test]
fn long_requests_are_split_and_one_span_that_is_too_long_is_counted() {
    let mut spans: Vec<_> = (0..20).map(span).collect();
    spans[11].exchange.details.user_agent = vec![b'a'; 2000];
    let mut encoder = Encoder::new(Arc::default(), ALL, QueryKeys::default());
    encoder.max_request = 1500;
    let (requests, too_large) = encoder.requests(&spans);
    assert_eq!(too_large, 1);
    assert!(requests.len() > 2 && requests.iter().all(|request| request.bytes.len() <= 1500));
    let sent = requests
        .iter()
        .flat_map(|request| read(request).resource_spans.swap_remove(0).scope_spans.swap_remove(0).spans);
    let ids: Vec<_> = sent.map(|span| u64::from(*span.span_id.last().unwrap())).collect();
    assert_eq!(ids, (1..=20).filter(|id| *id != 12).collect::<Vec<_>>());
    assert_eq!(encoder.requests(&[]), (Vec::new(), 0));
}
