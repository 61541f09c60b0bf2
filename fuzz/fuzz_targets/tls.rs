//! Any bytes of client and server, in pieces of any size, through the TLS parser: no panic, one handshake at the most,
//! bounded memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redtap::{
    protocol::{Direction, End, Output, Parse, Parser as _, Piece, tls},
    time::Nanos,
};

/// Two directions' messages of 64 KiB, in vectors that grow by doubling.
const MOST: usize = 256 << 10;

fuzz_target!(|data: &[u8]| {
    let mut connection = tls::Connection::new(Direction::Rx, true, true);
    let mut output = Output::new(true);
    let mut at = [1_u64 << 32; 2];
    let mut skip_to = [0_u64; 2];
    let mut time = 1;
    // Each run of the input: a byte for the direction and a gap before it, two for its length, then its bytes.
    let mut rest = data;
    while let [how, high, low, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (bytes, tail) = tail.split_at(length.min(tail.len()));
        rest = tail;
        time += 1;
        let _ = tls::recognise(bytes);
        let side = usize::from(how & 1);
        let direction = if side == 0 { Direction::Rx } else { Direction::Tx };
        let now = Nanos(time);
        let mut piece = Piece { at: at[side], bytes, first: now, last: now, ends_segment: true };
        if how & 4 != 0 {
            let to = at[side] + u64::from(how >> 3);
            connection.gap(direction, &Piece { bytes: &[], ..piece }, to, &mut output);
            piece.at = to;
        }
        let end = piece.end();
        loop {
            let skipped = skip_to[side].saturating_sub(piece.at).min(piece.bytes.len() as u64);
            piece.bytes = &piece.bytes[skipped as usize..];
            piece.at += skipped;
            if piece.at < skip_to[side] || (piece.bytes.is_empty() && skipped == 0) {
                break;
            }
            match connection.parse(direction, &piece, &mut output) {
                Parse::Done(used) => {
                    assert!(used == piece.bytes.len());
                    break;
                }
                Parse::Skip(to) => skip_to[side] = to,
                Parse::Invalid => return,
                Parse::NeedMore => panic!("every byte is used as it comes"),
            }
        }
        at[side] = end;
        assert!(connection.kept_bytes() <= MOST);
    }
    let end = End { time: Nanos(time + 1), rx_end: at[0], tx_end: at[1], ..End::default() };
    connection.close(&end, &mut output);
    assert!(output.handshakes.len() <= 1);
});
