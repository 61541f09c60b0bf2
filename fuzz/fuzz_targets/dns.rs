//! Any bytes as DNS, in datagrams and in a TCP stream with losses: no panic, bounded tables, each query told once at
//! most.
#![no_main]

use std::{net::SocketAddr, time::Duration};

use libfuzzer_sys::fuzz_target;
use redtap::{
    identity::names::Names,
    protocol::{
        Direction, Output, Parse, Parser, Piece,
        dns::{Asker, Connection, Heard, Lookup, Lookups, Transport, code_name, kind_name, parse, recognise},
    },
    time::Nanos,
};

const LIMIT: usize = 4;

/// What the lookups are and were.
struct Told {
    lookups: Lookups,
    names: Names,
    asked: u64,
    told: u64,
}

impl Told {
    fn hear(&mut self, cookie: u64, heard: &Heard) {
        let message = &heard.message;
        assert!(message.name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
        assert!(message.addresses.is_empty() || message.is_response);
        assert!(!kind_name(message.kind).is_empty() && !code_name(message.code).is_empty());
        self.asked += u64::from(!message.is_response);
        let address = SocketAddr::from(([10, 0, 0, 1], 53));
        let from = Asker { cookie, pid: 1, cgroup: 1, local: address, peer: address, transport: Transport::Udp };
        if let Some(lookup) = self.lookups.heard(from, heard) {
            self.tell(&lookup, heard.time);
        }
        assert!(self.lookups.len() <= LIMIT);
    }

    fn tell(&mut self, lookup: &Lookup, now: Nanos) {
        self.told += 1;
        for (address, _) in &lookup.addresses {
            self.names.learn(*address, &lookup.name, now);
            assert!(self.names.len() <= LIMIT);
            let _ = self.names.name(*address);
        }
    }

    fn expire(&mut self, now: Nanos) {
        let told = &mut self.told;
        self.lookups.expire(now, &mut |_| *told += 1);
        assert!(*told + self.lookups.evicted() + self.lookups.len() as u64 <= self.asked);
    }
}

fuzz_target!(|data: &[u8]| {
    let lookups = Lookups::new(LIMIT, Duration::from_nanos(10));
    let mut told = Told { lookups, names: Names::new(LIMIT), asked: 0, told: 0 };
    let mut connection = Connection::new(Direction::Tx);
    let mut output = Output::new(false);
    let mut sides = [(1_u64 << 32, Vec::new()), (1 << 32, Vec::new())];
    let mut time = 1;
    let mut rest = data;
    // Each run: a byte for what it is and the bytes lost before it, a byte for its length, then its bytes.
    while let [how, length, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = tail;
        time += 1;
        let direction = if how & 1 == 0 { Direction::Rx } else { Direction::Tx };
        if how & 2 != 0 {
            told.expire(Nanos(time));
        }
        if how & 8 != 0 {
            if let Some(message) = parse(bytes) {
                told.hear(u64::from(how >> 6), &Heard { direction, time: Nanos(time), message });
            }
            continue;
        }
        let _ = recognise(bytes);
        let (at, kept) = &mut sides[usize::from(how & 1)];
        if how & 4 != 0 {
            let piece = Piece { at: *at, bytes: kept, first: Nanos(time), last: Nanos(time), ends_segment: false };
            let to = piece.end() + u64::from(how >> 4);
            connection.gap(direction, &piece, to, &mut output);
            *at = to;
            kept.clear();
        }
        kept.extend_from_slice(bytes);
        while !kept.is_empty() {
            let piece = Piece { at: *at, bytes: kept, first: Nanos(time), last: Nanos(time), ends_segment: true };
            let used = match connection.parse(direction, &piece, &mut output) {
                Parse::Done(used) => {
                    assert!(used > 0 && used <= kept.len());
                    used
                }
                Parse::Skip(to) => {
                    assert!(to > *at);
                    usize::try_from(to - *at).unwrap_or(usize::MAX).min(kept.len())
                }
                Parse::NeedMore => break,
                Parse::Invalid => kept.len(),
            };
            kept.drain(..used);
            *at += used as u64;
        }
        for heard in output.messages.drain(..) {
            told.hear(4, &heard);
        }
    }
    told.expire(Nanos(u64::MAX));
    assert!(told.lookups.is_empty());
});
