//! HTTP/1 by cases: `agent/tests/cases/http1`, as each end of the connection sees them, however the bytes are cut
//! into segments.

use opentelemetry::trace::{SpanId, TraceId};
use proptest::prelude::*;

use super::{
    Connection, Headers,
    chunked::{Chunks, Progress},
    head::{Framing, Parsed, StartLine, has_end, parse, recognise},
};
use crate::{
    exchange::{Details, Exchange, Field, Role},
    protocol::{Direction, Output, Parse, Parser as _, Piece, Recognition},
    testing::{Case, Cuts, HTTP1, Host, Setup, Wire, any_sizes, any_starts, deterministic, short},
    time::Nanos,
    trace::context::{Carried, Propagators},
};

/// What is told otherwise than the cases say that hold for this capture, at both ends.
fn complaints(which: fn(&Case) -> bool, setup: fn(Role) -> Setup, cuts: &Cuts, starts: [u32; 2]) -> String {
    let mut complaints = String::new();
    for role in [Role::Server, Role::Client] {
        let setup = setup(role);
        let holds = |case: &&Case| which(case) && case.capture.is_none_or(|capture| capture == setup.capture);
        for case in HTTP1.iter().filter(holds) {
            let host = Host::watch(&Wire::of(case, starts, cuts.clone()), setup.clone());
            let mut wrong = host.complaints();
            let lines = host.stops().lines();
            if lines != case.expected {
                wrong.push(format!("told:\n{}\nexpected:\n{}", short(&lines), short(&case.expected)));
            }
            for wrong in wrong {
                complaints += &format!("\n{} ({}): {wrong}", case.name, role.as_str());
            }
        }
    }
    complaints
}

const STARTS: [u32; 2] = [1000, 900_000];

#[test]
fn every_case_as_written() {
    let complaints = complaints(|_| true, Setup::exhaustive, &Cuts::whole(), STARTS);
    assert!(complaints.is_empty(), "{complaints}");
}

#[test]
fn every_case_as_the_kernel_ships_it_by_default() {
    let complaints = complaints(|_| true, Setup::by_default, &Cuts::whole(), STARTS);
    assert!(complaints.is_empty(), "{complaints}");
}

#[test]
fn every_case_byte_by_byte() {
    let complaints = complaints(|case| !case.as_written, Setup::exhaustive, &Cuts::of(&[1]), STARTS);
    assert!(complaints.is_empty(), "{complaints}");
}

proptest! {
    #![proptest_config(deterministic(48))]

    #[test]
    fn every_case_in_any_segments(sizes in any_sizes(), starts in any_starts()) {
        let complaints = complaints(|case| !case.as_written, Setup::exhaustive, &Cuts::of(&sizes), starts);
        prop_assert!(complaints.is_empty(), "{}", complaints);
    }
}

/// What an exchange that begins with this head tells of its trace and its client.
fn told_of(head: &str, output: Output) -> Box<Exchange> {
    told_between(head, b"HTTP/1.1 204 No Content\r\n\r\n", output)
}

const fn piece(bytes: &[u8]) -> Piece<'_> {
    Piece { at: 1, bytes, first: Nanos(1), last: Nanos(1), ends_segment: true }
}

/// An exchange of this head, whole or cut off, and an answer that begins with this one.
fn told_between(head: &str, answer: &[u8], mut output: Output) -> Box<Exchange> {
    let mut connection = Connection::new(Direction::Rx, true);
    connection.parse(Direction::Rx, &piece(head.as_bytes()), &mut output);
    if !head.ends_with("\r\n\r\n") {
        connection.gap(Direction::Rx, &piece(head.as_bytes()), 9_000, &mut output);
    }
    let mut at = 0;
    while let Some(rest) = answer.get(at..).filter(|rest| !rest.is_empty())
        && let Parse::Done(used) =
            connection.parse(Direction::Tx, &Piece { at: 1 + at as u64, ..piece(rest) }, &mut output)
    {
        at += used;
    }
    output.finished.pop().unwrap_or_else(|| panic!("nothing told: {head:?}"))
}

#[test]
fn a_request_tells_of_its_trace_and_its_client() {
    const HEAD: &str = "GET / HTTP/1.1\r\nHost: h\r\nTraceparent:  00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03 \r\n\
        User-Agent: a\r\ntracestate: a=1\r\nb3: 0\r\nTraceState: b=2, c=3\r\nForwarded: for=\"[2001:db8::1]:80\", for=10.0.0.1\r\n";
    let ids = (TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c), SpanId::from(0xb7ad_6b71_6920_3331));
    let of_parent = Some(Carried { ids: Some(ids), sampled: Some(true), random: true });
    let of_b3 = Some(Carried { ids: None, sampled: Some(false), random: false });
    let b3 = Propagators::parse("b3").unwrap();
    let (whole, cut) = (format!("{HEAD}\r\n"), format!("{HEAD}X-Cut: her"));
    for head in [&whole, &cut] {
        for (output, trace, state, client) in [
            (Output::new(true), of_parent, "a=1,b=2,c=3", "2001:db8::1"),
            (Output::new(false), of_parent, "", ""),
            (Output::new(true).with_propagators(b3), of_b3, "", "2001:db8::1"),
            (Output::new(true).with_propagators(Propagators::NONE), None, "", "2001:db8::1"),
        ] {
            let told = told_of(head, output);
            let details =
                [&told.details.trace_state, &told.details.client].map(|text| String::from_utf8_lossy(text));
            assert_eq!((told.trace, details), (trace, [state.into(), client.into()]), "{head}");
        }
    }
    let told = told_of("GET / HTTP/1.1\r\nHost: h\r\n\r\n", Output::new(true));
    assert_eq!((told.trace, told.details.kept_bytes() > 0), (None, true));
}

#[test]
fn header_fields_are_kept_where_they_are_asked_for() {
    let headers = Headers::parse("x-id,response:server,cookie").unwrap();
    let names = |fields: &[Field]| {
        fields.iter().map(|field| format!("{} {}", field.name, field.values.len())).collect::<Vec<_>>().join(",")
    };
    let request = "GET / HTTP/1.1\r\nX-Id: a\r\nServer: b\r\nx-id: c\r\nCookie: d\r\n";
    let answer: &[u8] =
        b"HTTP/1.1 103 Early Hints\r\nX-Id: e\r\n\r\nHTTP/1.1 204 No Content\r\nServer: f\r\nX-Id: g\r\nSet-Cookie: h\r\n\r\n";
    let (whole, cut) = (format!("{request}\r\n"), format!("{request}X-Id: cut"));
    for (head, output, expected) in [
        (&whole, Output::new(true).with_headers(&headers), ["x-id 2,cookie 1", "server 1,x-id 1"]),
        (&cut, Output::new(true).with_headers(&headers), ["x-id 2,cookie 1", "server 1,x-id 1"]),
        (&whole, Output::new(true).with_headers(&Headers::default()), ["", ""]),
        (&whole, Output::new(false).with_headers(&headers), ["", ""]),
    ] {
        let told = told_between(head, answer, output).details;
        assert_eq!([names(&told.request_headers), names(&told.response_headers)], expected, "{head}");
        assert_eq!(
            [told.request_headers.capacity(), told.response_headers.capacity()].contains(&0),
            expected[0].is_empty()
        );
    }
}

#[test]
fn an_exchange_that_is_reused_tells_nothing_of_the_one_before() {
    let mut output = Output::new(true).with_headers(&Headers::parse("x-forwarded-for").unwrap());
    let parent = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let head = format!("GET /a HTTP/1.1\r\n{parent}\r\ntracestate: a=1\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n");
    let told = told_of(&head, Output { headers: output.headers.clone(), ..Output::new(true) });
    assert!(
        told.trace.is_some()
            && !told.details.request_headers.is_empty()
            && !told.details.trace_state.is_empty()
            && !told.details.client.is_empty()
    );
    output.recycle(told);
    let again = output.blank();
    assert_eq!((again.trace, &again.details), (None, &Details::default()));
}

#[test]
fn heads_are_framed_by_their_fields() {
    use Framing::{Absent, Chunked, Length, Unclear};
    for (fields, expected) in [
        ("", Absent),
        ("Content-Length: 0", Length(0)),
        ("content-length:7 ", Length(7)),
        ("Content-Length: 18446744073709551615", Length(u64::MAX)),
        ("Content-Length: 18446744073709551616", Unclear),
        ("Content-Length: 7\r\nContent-Length: 7", Length(7)),
        ("Content-Length: 7, 7", Length(7)),
        ("Content-Length: 7, 8", Unclear),
        ("Content-Length: 7\r\nContent-Length: 8", Unclear),
        ("Content-Length: +7", Unclear),
        ("Content-Length: 0x7", Unclear),
        ("Content-Length: 7 7", Unclear),
        ("Content-Length:", Unclear),
        ("Content-Length : 7", Absent),
        (" Content-Length: 7", Absent),
        ("X-Content-Length: 7", Absent),
        ("Transfer-Encoding: chunked", Chunked),
        ("TRANSFER-ENCODING:\tCHUNKED\t", Chunked),
        ("Transfer-Encoding: gzip, chunked", Chunked),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", Chunked),
        ("Transfer-Encoding: chunked, gzip", Unclear),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip", Unclear),
        ("Transfer-Encoding: xchunked", Unclear),
        ("Transfer-Encoding: identity", Unclear),
        ("Content-Length: 7\r\nTransfer-Encoding: chunked", Chunked),
        ("Transfer-Encoding: chunked\r\nContent-Length: 7, 8", Chunked),
        ("Content-Length: 7\r\nTransfer-Encoding: gzip", Unclear),
    ] {
        let end = if fields.is_empty() { "\r\n" } else { "\r\n\r\n" };
        for start in ["POST / HTTP/1.1", "HTTP/1.1 200 OK"] {
            let head = format!("{start}\r\n{fields}{end}");
            let Parsed::Whole(found, length) = parse(head.as_bytes(), None) else { panic!("no head: {head:?}") };
            assert_eq!((found.framing, length), (expected, head.len()), "{head:?}");
        }
    }
}

#[test]
fn start_lines_are_those_of_http_1() {
    let request = |method, target, minor| Some((StartLine::Request { method, target }, minor));
    for (line, expected) in [
        ("GET / HTTP/1.1", request(b"GET".as_slice(), b"/".as_slice(), 1)),
        ("GET / HTTP/1.0", request(b"GET", b"/", 0)),
        ("GET / HTTP/1.9", request(b"GET", b"/", 9)),
        ("M-SEARCH * HTTP/1.1", request(b"M-SEARCH", b"*", 1)),
        ("CONNECT [::1]:443 HTTP/1.1", request(b"CONNECT", b"[::1]:443", 1)),
        ("GET /a b HTTP/1.1", request(b"GET", b"/a b", 1)),
        ("GET  / HTTP/1.1", request(b"GET", b" /", 1)),
        ("GET / HTTP/2.0", None),
        ("GET / HTTP/1.1 ", None),
        ("GET / HTTP/1.10", None),
        ("GET / http/1.1", None),
        ("GET HTTP/1.1", None),
        (" / HTTP/1.1", None),
        ("G\"T / HTTP/1.1", None),
        ("GET /", None),
        ("HTTP/1.1 200 OK", Some((StartLine::Response(200), 1))),
        ("HTTP/1.0 404", Some((StartLine::Response(404), 0))),
        ("HTTP/1.1 000 ", Some((StartLine::Response(0), 1))),
        ("HTTP/1.1 2000", None),
        ("HTTP/1.1 20", None),
        ("HTTP/1.1  200 OK", None),
        ("HTTP/2 200 OK", None),
    ] {
        let head = format!("{line}\r\nHost: h\r\n\r\n");
        let found = match parse(head.as_bytes(), None) {
            Parsed::Whole(found, _) => Some((found.start, found.minor)),
            Parsed::Invalid => None,
            Parsed::NeedMore => panic!("{line:?} is whole"),
        };
        assert_eq!(found, expected, "{line:?}");
    }
}

#[test]
fn what_http_begins_with_is_recognised_and_nothing_else() {
    use Recognition::{NeedMore, No, Request, Response};
    for (bytes, expected) in [
        ("", NeedMore),
        ("\r\n\r\n", NeedMore),
        ("G", NeedMore),
        ("GET /", NeedMore),
        ("GET / HTTP/1.1", NeedMore),
        ("GET / HTTP/1.1\n", Request),
        ("\r\nGET / HTTP/1.1\r\n", Request),
        ("GET / HTTP/1.1\r\n\x01\x02", Request),
        ("BREW /pot HTTP/1.1\r\n", Request),
        ("GET key\r\n", No),
        ("GET / HTTP/2.0\r\n", No),
        ("GET\r\n", No),
        ("(GET / HTTP/1.1\r\n", No),
        ("A-METHOD-LONGER-THAN-THIRTY-TWO-BYTES", No),
        ("H", NeedMore),
        ("HTTP/1.1 20", NeedMore),
        ("HTTP/1.1 200", Response),
        ("HTTP/1.1 2x0", No),
        ("HTTP/2.0 200", No),
        ("\x16\x03\x01", No),
    ] {
        assert_eq!(recognise(bytes.as_bytes()), expected, "{bytes:?}");
    }
}

proptest! {
    #![proptest_config(deterministic(512))]

    /// What a head is does not depend on what was known of it before, and its end is found where it is.
    #[test]
    fn a_head_is_not_there_before_its_end(
        lines in prop::collection::vec("[ -~]{0,12}", 0..6),
        ends in prop::collection::vec(prop::bool::ANY, 8),
        searched in 0_usize..100,
    ) {
        let mut head = b"GET / HTTP/1.1".to_vec();
        let whole = lines.iter().filter(|line| !line.is_empty()).map(String::as_str);
        for (line, crlf) in whole.chain(["", ""]).zip(ends) {
            head.extend_from_slice(if crlf { b"\r\n".as_slice() } else { b"\n" });
            head.extend_from_slice(line.as_bytes());
        }
        for length in 0..head.len() {
            let before = parse(&head[..length], None);
            prop_assert_eq!(before, Parsed::NeedMore, "{} of {:?}", length, String::from_utf8_lossy(&head));
            prop_assert!(!has_end(&head[..length], 0));
        }
        let Parsed::Whole(_, length) = parse(&head, None) else { panic!("no head: {head:?}") };
        prop_assert_eq!(length, head.len());
        prop_assert!(has_end(&head, searched.min(head.len() - 1)));
    }

    /// Anything may be asked of a chunked body, in any order, and it goes on.
    #[test]
    fn chunks_use_what_they_are_given(
        pieces in prop::collection::vec(("[0-9a-f;\r\nx]{0,20}", 0_u64..50, prop::bool::ANY), 1..20),
    ) {
        let mut chunks = Chunks::START;
        let mut at = 1_u64 << 32;
        for (bytes, gap, ends_segment) in &pieces {
            let bytes = bytes.as_bytes();
            let piece = Piece { at, bytes, first: Nanos(1), last: Nanos(1), ends_segment: *ends_segment };
            match chunks.advance(&piece) {
                Progress::Complete(used) => {
                    prop_assert!(used > 0 && used <= bytes.len());
                    break;
                }
                Progress::Open(Parse::Done(used)) => prop_assert_eq!(used, bytes.len()),
                Progress::Open(Parse::Skip(to)) => prop_assert!(to > piece.end()),
                Progress::Open(other) => panic!("{other:?}"),
            }
            at = piece.end() + gap;
            if *gap > 0 {
                chunks.gap(at);
            }
        }
    }
}
