//! Any fields of a request, through the readers of trace context and of proxies' fields: no panic, ids that are valid, and
//! no text but what the grammars allow.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use opentelemetry::trace::{SpanId, TraceId};
use redtap::{
    protocol::{Direction, Output, Parse, Parser as _, Piece, http1::Connection},
    time::Nanos,
    trace::{Propagators, context::MAX_TRACE_STATE},
};

const ORDERS: [&str; 4] = ["tracecontext,b3,b3multi,jaeger", "jaeger,b3,tracecontext", "b3multi", "none"];

/// Bytes of the longest client.
const MAX_CLIENT: usize = 64;

fuzz_target!(|data: &[u8]| {
    let [order, fields @ ..] = data else { return };
    let order = ORDERS[usize::from(*order) % ORDERS.len()];
    let mut output = Output::new(true).with_propagators(Propagators::parse(order).unwrap());
    let mut connection = Connection::new(Direction::Rx, true);
    let head = [b"GET / HTTP/1.1\r\n".as_slice(), fields, b"\r\n\r\n"].concat();
    let piece = |at, bytes| Piece { at, bytes, first: Nanos(1), last: Nanos(1), ends_segment: true };
    let used = match connection.parse(Direction::Rx, &piece(1, &head), &mut output) {
        Parse::Done(used) => used as u64,
        other => panic!("{other:?}"),
    };
    connection.parse(Direction::Tx, &piece(1, b"HTTP/1.1 204 No Content\r\n\r\n"), &mut output);
    // A head with a body is not told before that.
    let end = redtap::protocol::End { time: Nanos(2), rx_end: 1 + used, tx_end: 27, ..Default::default() };
    connection.close(&end, &mut output);
    for exchange in &output.finished {
        if let Some((trace, span)) = exchange.trace.and_then(|carried| carried.ids) {
            assert!(trace != TraceId::INVALID && span != SpanId::INVALID);
        }
        assert!(exchange.trace.is_none_or(|carried| carried.ids.is_some() || carried.sampled.is_some()));
        assert!(order != "none" || exchange.trace.is_none());
        let state = &exchange.details.trace_state;
        assert!(state.is_empty() || exchange.trace.is_some());
        assert!(state.len() <= MAX_TRACE_STATE && state.iter().all(|byte| matches!(byte, b' '..=b'~')));
        let mut members = state.split(|byte| *byte == b',');
        assert!(state.is_empty() || members.all(|member| member.contains(&b'=')));
        let client = std::str::from_utf8(&exchange.details.client).expect("a client is ascii");
        let is_word = |word: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let valid = client.parse::<IpAddr>().is_ok() || client.strip_prefix('_').is_some_and(is_word);
        assert!(client.is_empty() || (valid && client.len() <= MAX_CLIENT));
    }
});
