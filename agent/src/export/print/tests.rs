//! Lines as they are written.

use std::time::Duration;

use super::*;
use opentelemetry::trace::{SpanId, TraceId};

use crate::{
    exchange::{Counters, Details, Field, Method, Outcome, Role, StreamKind, Times, Transport},
    time::Nanos,
    trace::context::Carried,
};

const WALL: WallOffset = WallOffset(1_700_000_000_000_000_000);

fn at(microseconds: u64) -> Option<Nanos> {
    Some(Nanos(microseconds * 1_000))
}

fn exchange() -> Exchange {
    Exchange {
        cookie: 4_294_967_297,
        index: 3,
        role: Role::Server,
        outcome: Outcome::Ok,
        by_rst: false,
        method: Some(Method::Get),
        status: Some(200),
        minor_version: 1,
        request_body: Some(0),
        response_body: Some(612),
        partial: false,
        stream: None,
        times: Times {
            request_first: at(5),
            request_last: at(6),
            picked_up: at(7),
            response_first: at(800),
            response_last: at(1_209),
            acknowledged: at(1_300),
        },
        local: "127.0.0.1:8080".parse().ok(),
        peer: "[::ffff:127.0.0.1]:40000".parse().ok(),
        pid: 4242,
        transport: Transport {
            round_trip: Some(Duration::from_micros(250)),
            met: Counters { retransmits: 1, out_of_order: 1448 },
            age: Some(Duration::from_millis(7)),
        },
        began_with: Counters::default(),
        trace: Some(Carried {
            ids: Some((TraceId::from(0x4bf9_2f35_77b3_4da6), SpanId::from(0x00f0_67aa))),
            sampled: Some(true),
            random: false,
        }),
        details: Details {
            target: b"/a?b=c&sig=secret".into(),
            method: b"GET".into(),
            authority: b"Example:8080".into(),
            user_agent: b"curl/7.88".into(),
            ..Details::default()
        },
    }
}

/// An exchange of which next to nothing was seen.
fn unknown() -> Exchange {
    Exchange {
        outcome: Outcome::Unobserved,
        method: None,
        status: None,
        request_body: None,
        response_body: None,
        times: Times::default(),
        local: None,
        peer: None,
        pid: 0,
        details: Details::default(),
        ..exchange()
    }
}

fn details(target: &str, authority: &str) -> Details {
    Details { target: target.into(), authority: authority.into(), ..Details::default() }
}

fn stream() -> StreamEnd {
    StreamEnd {
        cookie: 9,
        role: Role::Client,
        kind: StreamKind::WebSocket,
        opened: Nanos(1_000_000_000),
        closed: Nanos(3_661_000_000_000),
        sent_by_client: 123_456,
        sent_by_server: 7_890_123_456,
        pid: 5,
    }
}

fn cases() -> Vec<(Exchange, &'static str)> {
    vec![
        (exchange(), "nginx"),
        (unknown(), ""),
        (Exchange { role: Role::Client, outcome: Outcome::Error, status: Some(404), ..exchange() }, "curl"),
        (
            Exchange {
                role: Role::Client,
                outcome: Outcome::Reset,
                by_rst: true,
                status: None,
                response_body: None,
                details: details("http://user:secret@shop/b", ""),
                ..exchange()
            },
            "a service of a long name",
        ),
        (
            Exchange {
                method: Some(Method::Connect),
                stream: Some(StreamKind::Connect),
                details: details("example:443", "example:443"),
                minor_version: 0,
                ..exchange()
            },
            "proxy",
        ),
        (
            Exchange {
                method: Some(Method::Other),
                outcome: Outcome::Timeout,
                status: None,
                partial: true,
                details: Details {
                    method: b"PURGE".into(),
                    target: "/\u{fc}\x1b[31m\"\\\n/and/much/more/of/the/same/for/long".into(),
                    authority: b"not an authority".into(),
                    user_agent: b"\xff\xfe\tx".into(),
                    ..Details::default()
                },
                ..exchange()
            },
            "n\u{fc}",
        ),
    ]
}

fn printed(mut printer: Printer) -> String {
    let mut out = Vec::new();
    for (exchange, service) in cases() {
        printer.exchange(&exchange, &Service::named(service), None, WALL, &mut out).unwrap();
    }
    printer.stream(&stream(), &Service::named("chat"), WALL, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn json() {
    insta::assert_snapshot!(printed(Printer::Json(JsonPrinter::default())), @r#"
    {"record":"exchange","protocol":"http","role":"server","outcome":"ok","socket_cookie":4294967297,"index":3,"local_address":"127.0.0.1","local_port":8080,"peer_address":"127.0.0.1","peer_port":40000,"service.name":"nginx","process.pid":4242,"http.request.method":"GET","url.scheme":"http","url.path":"/a","url.query":"b=c&sig=REDACTED","server.address":"example","server.port":8080,"user_agent.original":"curl/7.88","network.protocol.version":"1.1","http.response.status_code":200,"http.request.body.size":0,"http.response.body.size":612,"request_first_byte":1700000000000005000,"request_last_byte":1700000000000006000,"picked_up":1700000000000007000,"response_first_byte":1700000000000800000,"response_last_byte":1700000000001209000,"response_acknowledged":1700000000001300000,"redtap.tcp.srtt":250000,"redtap.tcp.retransmits":1,"redtap.tcp.out_of_order_bytes":1448,"redtap.connection.age":7000000,"redtap.connection.exchanges":4,"trace_id":"00000000000000004bf92f3577b34da6","parent_span_id":"0000000000f067aa"}
    {"record":"exchange","protocol":"http","role":"server","outcome":"unobserved","socket_cookie":4294967297,"index":3,"url.scheme":"http","redtap.tcp.srtt":250000,"redtap.tcp.retransmits":1,"redtap.tcp.out_of_order_bytes":1448,"redtap.connection.age":7000000,"redtap.connection.exchanges":4,"trace_id":"00000000000000004bf92f3577b34da6","parent_span_id":"0000000000f067aa"}
    {"record":"exchange","protocol":"http","role":"client","outcome":"error","socket_cookie":4294967297,"index":3,"local_address":"127.0.0.1","local_port":8080,"peer_address":"127.0.0.1","peer_port":40000,"service.name":"curl","process.pid":4242,"http.request.method":"GET","url.scheme":"http","url.path":"/a","url.query":"b=c&sig=REDACTED","server.address":"example","server.port":8080,"user_agent.original":"curl/7.88","network.protocol.version":"1.1","http.response.status_code":404,"error.type":"404","http.request.body.size":0,"http.response.body.size":612,"request_first_byte":1700000000000005000,"request_last_byte":1700000000000006000,"picked_up":1700000000000007000,"response_first_byte":1700000000000800000,"response_last_byte":1700000000001209000,"response_acknowledged":1700000000001300000,"redtap.tcp.srtt":250000,"redtap.tcp.retransmits":1,"redtap.tcp.out_of_order_bytes":1448,"redtap.connection.age":7000000,"redtap.connection.exchanges":4,"trace_id":"00000000000000004bf92f3577b34da6","parent_span_id":"0000000000f067aa"}
    {"record":"exchange","protocol":"http","role":"client","outcome":"reset","socket_cookie":4294967297,"index":3,"local_address":"127.0.0.1","local_port":8080,"peer_address":"127.0.0.1","peer_port":40000,"service.name":"a service of a long name","process.pid":4242,"http.request.method":"GET","url.scheme":"http","url.path":"/b","server.address":"127.0.0.1","server.port":40000,"network.protocol.version":"1.1","error.type":"connection_reset","http.request.body.size":0,"request_first_byte":1700000000000005000,"request_last_byte":1700000000000006000,"picked_up":1700000000000007000,"response_first_byte":1700000000000800000,"response_last_byte":1700000000001209000,"response_acknowledged":1700000000001300000,"redtap.tcp.srtt":250000,"redtap.tcp.retransmits":1,"redtap.tcp.out_of_order_bytes":1448,"redtap.connection.age":7000000,"redtap.connection.exchanges":4,"trace_id":"00000000000000004bf92f3577b34da6","parent_span_id":"0000000000f067aa"}
    {"record":"exchange","protocol":"http","role":"server","outcome":"ok","socket_cookie":4294967297,"index":3,"local_address":"127.0.0.1","local_port":8080,"peer_address":"127.0.0.1","peer_port":40000,"service.name":"proxy","process.pid":4242,"http.request.method":"CONNECT","url.scheme":"http","server.address":"example","server.port":443,"network.protocol.version":"1.0","http.response.status_code":200,"http.request.body.size":0,"http.response.body.size":612,"stream":"connect","request_first_byte":1700000000000005000,"request_last_byte":1700000000000006000,"picked_up":1700000000000007000,"response_first_byte":1700000000000800000,"response_last_byte":1700000000001209000,"response_acknowledged":1700000000001300000,"redtap.tcp.srtt":250000,"redtap.tcp.retransmits":1,"redtap.tcp.out_of_order_bytes":1448,"redtap.connection.age":7000000,"redtap.connection.exchanges":4,"trace_id":"00000000000000004bf92f3577b34da6","parent_span_id":"0000000000f067aa"}
    {"record":"exchange","protocol":"http","role":"server","outcome":"timeout","socket_cookie":4294967297,"index":3,"local_address":"127.0.0.1","local_port":8080,"peer_address":"127.0.0.1","peer_port":40000,"service.name":"nü","process.pid":4242,"http.request.method":"_OTHER","http.request.method_original":"PURGE","url.scheme":"http","url.path":"/ü\u001b[31m\"\\\n/and/much/more/of/the/same/for/long","user_agent.original":"��\tx","network.protocol.version":"1.1","error.type":"timeout","http.request.body.size":0,"http.response.body.size":612,"partial":true,"request_first_byte":1700000000000005000,"request_last_byte":1700000000000006000,"picked_up":1700000000000007000,"response_first_byte":1700000000000800000,"response_last_byte":1700000000001209000,"response_acknowledged":1700000000001300000,"redtap.tcp.srtt":250000,"redtap.tcp.retransmits":1,"redtap.tcp.out_of_order_bytes":1448,"redtap.connection.age":7000000,"redtap.connection.exchanges":4,"trace_id":"00000000000000004bf92f3577b34da6","parent_span_id":"0000000000f067aa"}
    {"record":"stream","kind":"websocket","role":"client","socket_cookie":9,"service.name":"chat","process.pid":5,"opened":1700000001000000000,"closed":1700003661000000000,"client_bytes":123456,"server_bytes":7890123456}
    "#);
}

#[test]
fn every_json_line_is_an_object_without_doubled_keys() {
    let text = printed(Printer::Json(JsonPrinter::default()));
    for line in text.lines() {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        assert!(object.values().all(|value| !value.is_null()), "{line}");
        let keys = line.matches("\":").count();
        assert_eq!(object.len(), keys, "{line}");
    }
    let odd = text.lines().nth(5).unwrap();
    let odd: serde_json::Value = serde_json::from_str(odd).unwrap();
    assert_eq!(odd["url.path"], "/\u{fc}\x1b[31m\"\\\n/and/much/more/of/the/same/for/long");
    assert_eq!(odd["user_agent.original"], "\u{fffd}\u{fffd}\tx");
}

#[test]
fn header_fields_are_arrays_in_json_and_not_for_people() {
    let field = |name: &str, values: &[&[u8]]| Field {
        name: name.into(),
        values: values.iter().map(|value| value.to_vec()).collect(),
    };
    let mut exchange = exchange();
    let plain = PrettyPrinter::plain().exchange(&exchange, &Service::named("a"), WALL).to_vec();
    exchange.details.request_headers = vec![field("x-id", &[b"a", b"\"\xff\""]), field("x'|y", &[b""])];
    exchange.details.response_headers = vec![field("location", &[b"/b?sig=secret&c"])];
    let mut printer = JsonPrinter::default();
    let line = String::from_utf8(printer.exchange(&exchange, &Service::named("a"), None, WALL).to_vec()).unwrap();
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(object["http.request.header.x-id"], serde_json::json!(["a", "\"\u{fffd}\""]));
    assert_eq!(object["http.request.header.x'|y"], serde_json::json!([""]));
    assert!(line.ends_with("\"http.response.header.location\":[\"/b?sig=REDACTED&c\"]}\n"), "{line}");
    assert_eq!(PrettyPrinter::plain().exchange(&exchange, &Service::named("a"), WALL), plain);
}

#[test]
fn pretty() {
    insta::assert_snapshot!(printed(Printer::Pretty(PrettyPrinter::plain())), @r#"
    22:13:20.000005 <- nginx            GET     /a?b=c&sig=REDACTED                      200            1.204ms      0B >    612B
    --:--:--.------ <- -                -       -                                        unobserved           -       - >       -
    22:13:20.000005 -> curl             GET     /a?b=c&sig=REDACTED                      404            1.204ms      0B >    612B
    22:13:20.000005 -> a service of a … GET     /b                                       reset          1.204ms      0B >       -
    22:13:20.000005 <- proxy            CONNECT example:443                              200            1.204ms      0B >    612B  connect
    22:13:20.000005 <- nü               PURGE   /ü�[31m"\�/and/much/more/of/the/same/fo… timeout        1.204ms      0B >    612B
    22:13:21.000000 -> chat             stream  websocket                                closed       3660.000s  120KiB > 7524MiB
    "#);
}

#[test]
fn colour_is_the_only_difference_of_a_coloured_line() {
    let plain = printed(Printer::Pretty(PrettyPrinter::plain()));
    let coloured = printed(Printer::Pretty(PrettyPrinter::coloured()));
    assert_ne!(plain, coloured);
    let mut stripped = coloured;
    for code in ["\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[2m", "\x1b[0m"] {
        stripped = stripped.replace(code, "");
    }
    assert_eq!(plain, stripped);
}

#[test]
fn durations_and_sizes_keep_their_columns() {
    for (microseconds, size, expected) in [
        (0, 0, "  0.000ms      0B"),
        (999_999, 9_999, "999.999ms   9999B"),
        (1_000_000, 10_000, "   1.000s    9KiB"),
        (9_999_999_999, 10 << 20, "9999.999s   10MiB"),
        (1, u64::MAX, "  0.001ms 16383PiB"),
    ] {
        let times = Times { request_first: at(0), response_last: at(microseconds), ..Times::default() };
        let exchange = Exchange { times, request_body: Some(size), ..exchange() };
        let mut printer = PrettyPrinter::plain();
        let line = String::from_utf8(printer.exchange(&exchange, &Service::named("a"), WALL).to_vec()).unwrap();
        assert!(line.contains(expected), "{line:?} {expected:?}");
    }
}
