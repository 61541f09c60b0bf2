//! Any bytes of client and server, in pieces of any size, through the HTTP/1 parser: no panic, and every exchange's
//! times in order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redtap::{
    protocol::{
        Direction, End, Output, Parse, Parser as _, Piece,
        http1::{Connection, Headers},
    },
    time::Nanos,
};

fuzz_target!(|data: &[u8]| {
    let mut connection = Connection::new(Direction::Rx, true);
    let headers = Headers::parse("host,cookie,a").unwrap_or_default();
    let mut output = Output::new(true).with_headers(&headers);
    let mut at = [1_u64 << 32; 2];
    let mut time = 1;
    // Each run of the input: a byte for the direction and a gap before it, a byte for its length, then its bytes.
    let mut rest = data;
    while let [how, length, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = tail;
        time += 1;
        let side = usize::from(how & 1);
        let direction = if side == 0 { Direction::Rx } else { Direction::Tx };
        let mut piece =
            Piece { at: at[side], bytes, first: Nanos(time), last: Nanos(time), ends_segment: how & 2 != 0 };
        if how & 4 != 0 {
            let to = at[side] + u64::from(how >> 3);
            let empty = Piece { bytes: &[], ..piece };
            connection.gap(direction, &empty, to, &mut output);
            piece.at = to;
        }
        while !piece.bytes.is_empty() {
            match connection.parse(direction, &piece, &mut output) {
                Parse::Done(0) => {}
                Parse::Done(used) => {
                    assert!(used <= piece.bytes.len());
                    piece.bytes = &piece.bytes[used..];
                    piece.at += used as u64;
                }
                Parse::Skip(to) => {
                    assert!(to >= piece.at);
                    let skipped = usize::try_from(to - piece.at).unwrap_or(usize::MAX).min(piece.bytes.len());
                    piece.bytes = &piece.bytes[skipped..];
                    piece.at = to;
                }
                Parse::NeedMore | Parse::Invalid => break,
            }
        }
        at[side] = piece.at + piece.bytes.len() as u64;
    }
    let end = End { time: Nanos(time + 1), rx_end: at[0], tx_end: at[1], ..End::default() };
    connection.close(&end, &mut output);
    for exchange in &output.finished {
        let times = &exchange.times;
        if let (Some(first), Some(last)) = (times.response_first, times.response_last) {
            assert!(first <= last, "an answer ends before it begins: {exchange:?}");
        }
        if let (Some(first), Some(last)) = (times.request_first, times.request_last) {
            assert!(first <= last, "a request ends before it begins: {exchange:?}");
        }
    }
});
