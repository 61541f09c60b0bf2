//! Whatever is fed to the table: it does not panic, keeps no more than it says, and its books close.

use std::time::Duration;

use proptest::prelude::*;
use redtap_ebpf::{Closed, Kind, Opened, Segment};
use zerocopy::FromBytes;

use crate::{
    exchange::Role,
    flow::{Limits, Table},
    protocol::Output,
    testing::{Cuts, Host, Record, Setup, Told, Wire, any_sizes, any_starts, deterministic},
    time::Nanos,
};

/// Connections in these tests' tables.
const FLOWS: usize = 4;

/// Bytes one connection may keep: two unfinished heads of 64 KiB with the windows that completed them (buffers double
/// as they grow), 32 windows of 16 KiB that wait for a hole on each side, 16 requests in line with strings as long as
/// their heads, and 4096 with three strings of 512 bytes.
const MOST_OF_A_FLOW: usize = 4 * (128 << 10) + 64 * (17 << 10) + 16 * (256 << 10) + 4096 * 4096;

/// Bytes that payload without a connection may keep: 1024 windows of 16 KiB.
const MOST_EARLY: usize = 1024 * (17 << 10);

fn table() -> Table {
    Table::new(Limits { flows: FLOWS, request_timeout: Duration::from_secs(1) }, Output::new(true))
}

/// After everything: the table empties, and every segment has its place.
fn ends(mut table: Table, told: &mut Told) -> Result<(), TestCaseError> {
    prop_assert!(table.len() <= FLOWS);
    let kept = table.kept_bytes();
    prop_assert!(kept <= FLOWS * MOST_OF_A_FLOW + MOST_EARLY, "{} bytes are kept", kept);
    for passes in [1_u64 << 62, u64::MAX] {
        table.sweep(Nanos(passes), told);
        table.expire(Nanos(passes), told);
    }
    let counts = table.counts();
    let accounted = counts.parsed + counts.opaque + counts.early_unclaimed;
    prop_assert!(accounted <= counts.segments, "{:?}", counts);
    prop_assert!(!table.is_empty() || accounted == counts.segments, "{:?}", counts);
    Ok(())
}

/// Pieces of messages, whole or not, in no order.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "GET / HTTP/1.1\r\n",
        "POST /a HTTP/1.1\r\n",
        "CONNECT h:1 HTTP/1.1\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 100 Continue\r\n",
        "HTTP/1.1 101 \r\n",
        "HTTP/1.1 204 \r\n",
        "HTTP/1.0 500 \r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 18446744073709551615\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Content-Type: text/event-stream\r\n",
        "Expect: 100-continue\r\n",
        "Upgrade: websocket\r\n",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "5\r\nhello\r\n",
        "ffffffffffffffff\r\n",
        "0\r\n\r\n",
        "hello",
    ];
    let known = prop::sample::select(known.to_vec()).prop_map(|text| text.as_bytes().to_vec());
    let filler = (any::<u8>(), 0_usize..3000).prop_map(|(byte, length)| vec![byte; length]);
    let piece = prop_oneof![8 => known, 1 => prop::collection::vec(any::<u8>(), 0..50), 1 => filler];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// A segment that is none: any field may be anything, but most are near one another, as a connection's are.
fn segment() -> impl Strategy<Value = (Segment, Vec<u8>)> {
    let near = || prop_oneof![4 => 0_u32..5000, 1 => any::<u32>()];
    let numbers = (any::<u8>(), near(), near(), near(), 0_u64..6, any::<[bool; 3]>());
    (numbers, fragments(), 0..1_u64 << 60).prop_map(|((flags, seq, offset, length, cookie, bits), bytes, time)| {
        let header = Segment {
            kind: Kind::Segment as u8,
            flags,
            captured: 0,
            length,
            cookie: if bits[0] { cookie } else { cookie | 1 << 63 },
            time: if bits[1] { time } else { u64::from(seq) },
            seq,
            offset,
            picked_up: if bits[2] { time } else { 0 },
            acked: time / 2,
            pid: 1,
            tid: 1,
            srtt_us: 0,
            retransmits: length,
            out_of_order: offset,
            duplicate: seq,
            rx_segments: offset,
            tx_segments: length,
            cgroup: 0,
        };
        (header, bytes)
    })
}

/// Any record.
#[derive(Clone, Debug)]
enum Any {
    Segment(Segment, Vec<u8>),
    Opened(Vec<u8>),
    Closed(Vec<u8>),
    Expire(u64),
}

fn record() -> impl Strategy<Value = Any> {
    let bytes = |size| prop::collection::vec(any::<u8>(), size);
    prop_oneof![
        10 => segment().prop_map(|(header, bytes)| Any::Segment(header, bytes)),
        1 => bytes(size_of::<Opened>()).prop_map(Any::Opened),
        1 => bytes(size_of::<Closed>()).prop_map(Any::Closed),
        1 => (0..1_u64 << 61).prop_map(Any::Expire),
    ]
}

proptest! {
    #![proptest_config(deterministic(512))]

    #[test]
    fn any_bytes_in_any_segments(
        writes in prop::collection::vec((any::<bool>(), fragments()), 0..20),
        sizes in any_sizes(),
        starts in any_starts(),
    ) {
        let mut wire = Wire::new(starts[0], starts[1]);
        let mut cuts = Cuts::of(&sizes);
        for (from_client, bytes) in &writes {
            wire.send(if *from_client { Role::Client } else { Role::Server }, bytes, &mut cuts, false);
        }
        for role in [Role::Server, Role::Client] {
            let host = Host::watch(&wire, Setup::by_default(role));
            let complaints = host.complaints();
            prop_assert!(complaints.is_empty(), "{:?}", complaints);
        }
    }

    #[test]
    fn any_records(records in prop::collection::vec(record(), 0..60)) {
        let (mut table, mut told) = (table(), Told::default());
        for record in &records {
            match record {
                Any::Segment(header, bytes) => table.segment(header, bytes, &mut told),
                Any::Opened(bytes) => {
                    let opened = Opened::read_from_bytes(bytes).unwrap();
                    let (cookie, role, time) = (opened.cookie % 6, opened.role % 3, opened.time >> 4);
                    table.opened(&Opened { cookie, role, time, ..opened }, &mut told);
                }
                Any::Closed(bytes) => {
                    let closed = Closed::read_from_bytes(bytes).unwrap();
                    table.closed(&Closed { cookie: closed.cookie % 6, ..closed }, &mut told);
                }
                Any::Expire(now) => {
                    table.sweep(Nanos(*now), &mut told);
                    table.expire(Nanos(*now), &mut told);
                }
            }
            prop_assert!(table.len() <= FLOWS);
        }
        ends(table, &mut told)?;
    }
}

fn long(start: &str) -> Vec<u8> {
    [start.as_bytes(), &[b'a'; 60_000]].concat()
}

/// A request with every string that is kept.
fn many_strings() -> Vec<u8> {
    let letters = "a".repeat(700);
    format!("ODD http://{letters}/{letters} HTTP/1.1\r\nUser-Agent: {letters}\r\n\r\n").into_bytes()
}

/// What a connection can be made to keep, each in its own way, on more connections than there is room for.
#[test]
fn memory_is_bounded() {
    /// What, the bytes of a write, how many writes, and bytes missing before the sixth record.
    type Case = (&'static str, Vec<u8>, usize, u32);
    let cases: [Case; 6] = [
        ("a head that does not end", long("GET /"), 40, 0),
        ("an unknown beginning", vec![b'A'; 60_000], 40, 0),
        ("long requests without an answer", [long("GET /"), b" HTTP/1.1\r\n\r\n".to_vec()].concat(), 200, 0),
        ("many requests without an answer", many_strings(), 5000, 0),
        ("small requests without an answer", b"GET / HTTP/1.1\r\n\r\n".repeat(1000), 40, 0),
        ("segments beyond a hole", long("GET / HTTP/1.1\r\n\r\nGET /"), 100, 1),
    ];
    for (name, bytes, writes, hole) in cases {
        let (mut table, mut told) = (table(), Told::default());
        let mut wire = Wire::new(0, 0);
        for _ in 0..writes {
            wire.send(Role::Client, &bytes, &mut Cuts::of(&[16_000]), false);
        }
        let records = Host::records(&wire, Setup::exhaustive(Role::Server));
        for cookie in 1..=2 * FLOWS as u64 {
            for (index, record) in records.iter().enumerate() {
                match record {
                    Record::Opened(opened) => table.opened(&Opened { cookie, ..*opened }, &mut told),
                    Record::Segment(header, bytes) => {
                        let seq = header.seq + if index > 5 { hole } else { 0 };
                        table.segment(&Segment { cookie, seq, ..*header }, bytes, &mut told);
                    }
                    Record::Closed(_) => {}
                }
                told.exchanges.clear();
            }
        }
        let kept = table.kept_bytes();
        assert!(kept <= FLOWS * MOST_OF_A_FLOW, "{name}: {kept} bytes are kept");
        assert_eq!(table.len(), FLOWS, "{name}");
    }
}
