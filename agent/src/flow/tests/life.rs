//! How connections come and go in the table: early payload, ends that are not told, memory that is given back.

use std::{net::SocketAddr, time::Duration};

use redtap_ebpf::{Opened, Segment, tcp};

use crate::{
    exchange::Role,
    flow::{Limits, Owner, Table},
    protocol::Output,
    testing::{Cuts, Host, Record, Setup, Told, Wire},
    time::Nanos,
};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What a server's kernel tells of a connection on which this is said, the client first and in turns.
fn records(writes: &[&[u8]]) -> Vec<Record> {
    let mut wire = Wire::new(1000, 9000);
    for (write, from) in writes.iter().zip([Role::Client, Role::Server].into_iter().cycle()) {
        wire.send(from, write, &mut Cuts::whole(), false);
    }
    Host::records(&wire, Setup::exhaustive(Role::Server))
}

fn table() -> Table {
    Table::new(Limits { flows: 8, request_timeout: Duration::from_secs(300) }, Output::new(true))
}

fn take(table: &mut Table, record: &Record, told: &mut Told) {
    match record {
        Record::Opened(opened) => table.opened(opened, told),
        Record::Segment(header, bytes) => table.segment(header, bytes, told),
        Record::Closed(closed) => table.closed(closed, told),
    }
}

/// Records of a connection whose first payload completed its handshake, and so came by the listening socket.
fn early() -> (Segment, Vec<u8>, Opened, Vec<Record>) {
    let records = records(&[GET, OK]);
    let [Record::Opened(opened), Record::Segment(first, bytes), rest @ ..] = records.as_slice() else {
        panic!("{records:?}");
    };
    let [.., a, b, c, d] = opened.peer;
    let low = u32::from_ne_bytes([a, b, c, d]);
    let key = tcp::early_cookie(low, opened.peer_port, opened.local_port);
    (Segment { cookie: key, ..*first }, bytes.clone(), *opened, rest.to_vec())
}

#[test]
fn payload_that_completes_a_handshake_finds_its_connection() {
    let (mut table, mut told) = (table(), Told::default());
    let (first, bytes, opened, rest) = early();
    table.segment(&first, &bytes, &mut told);
    assert!(table.is_empty());
    table.opened(&opened, &mut told);
    for record in &rest {
        take(&mut table, record, &mut told);
    }
    table.stop(&mut told);
    assert_eq!(told.lines(), ["GET / 200 resp=2"]);
    let counts = table.counts();
    assert_eq!((counts.segments, counts.parsed, counts.early_unclaimed), (2, 2, 0));
}

#[test]
fn payload_whose_connection_never_shows_is_counted_and_let_go() {
    let (mut table, mut told) = (table(), Told::default());
    let (first, bytes, ..) = early();
    for _ in 0..5000 {
        table.segment(&first, &bytes, &mut told);
    }
    let kept = table.kept_bytes();
    assert!(kept > 0 && kept < 1024 * (bytes.len() + 1024), "{kept} bytes are kept");
    table.expire(Nanos(first.time).plus(Duration::from_secs(10)), &mut told);
    let counts = table.counts();
    assert_eq!((counts.segments, counts.early_unclaimed), (5000, 5000));
    assert_eq!(table.kept_bytes(), 0);
}

#[test]
fn a_connection_that_is_forgotten_ends_nothing_that_goes_on() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\nhalf";
    let until_close = b"HTTP/1.1 200 OK\r\n\r\nhalf";
    for (writes, expected) in [
        (vec![GET], "GET / - unobserved"),
        (vec![GET, half], "GET / 200 unobserved resp=-"),
        (vec![GET, until_close], "GET / 200 unobserved resp=-"),
        (vec![GET, OK], "GET / 200 resp=2"),
    ] {
        let mut told = Told::default();
        let mut table =
            Table::new(Limits { flows: 1, request_timeout: Duration::from_secs(300) }, Output::new(true));
        for record in &records(&writes) {
            take(&mut table, record, &mut told);
        }
        let (_, _, opened, _) = early();
        table.opened(&Opened { cookie: opened.cookie + 1, ..opened }, &mut told);
        assert_eq!(told.lines(), [expected]);
        assert_eq!((table.counts().evicted, table.len()), (1, 1));
    }
}

#[test]
fn a_connection_whose_end_is_not_told_is_let_go() {
    let (mut table, mut told) = (table(), Told::default());
    let mut wire = Wire::new(1000, 9000);
    wire.send(Role::Client, GET, &mut Cuts::whole(), false);
    wire.send(Role::Server, OK, &mut Cuts::whole(), false);
    wire.end(Role::Server, true);
    wire.end(Role::Client, true);
    let records = Host::records(&wire, Setup::exhaustive(Role::Server));
    let Some((Record::Closed(closed), others)) = records.split_last() else { panic!("{records:?}") };
    for record in others {
        take(&mut table, record, &mut told);
    }
    assert_eq!(table.len(), 1);
    table.expire(Nanos(closed.time).plus(Duration::from_secs(60)), &mut told);
    assert_eq!(table.len(), 0);
    assert_eq!(told.lines(), ["GET / 200 resp=2"]);
    let counts = table.counts();
    assert_eq!((counts.opened, counts.closed, counts.segments, counts.parsed), (1, 1, 2, 2));
}

#[test]
fn an_answer_waits_for_its_acknowledgement_but_not_for_long() {
    let (mut table, mut told) = (table(), Told::default());
    let mut last = Nanos(0);
    for record in &records(&[GET, OK]) {
        take(&mut table, record, &mut told);
        if let Record::Segment(header, _) = record {
            last = Nanos(header.time);
        }
    }
    table.sweep(last, &mut told);
    assert!(told.lines().is_empty());
    table.sweep(last.plus(Duration::from_secs(1)), &mut told);
    assert_eq!(told.lines(), ["GET / 200 resp=2"]);
    assert_eq!(told.exchanges[0].times.acknowledged, None);
}

#[test]
fn a_list_of_connections_older_than_the_agent_does_not_bring_back_one_that_has_ended() {
    let (mut table, mut told) = (table(), Told::default());
    let mut wire = Wire::new(1000, 9000);
    wire.send(Role::Client, GET, &mut Cuts::whole(), false);
    wire.end(Role::Server, true);
    wire.end(Role::Client, true);
    table.expect_existing(true);
    let mut end = Nanos(0);
    for record in &Host::records(&wire, Setup::exhaustive(Role::Server)) {
        take(&mut table, record, &mut told);
        if let Record::Closed(closed) = record {
            end = Nanos(closed.time);
        }
    }
    let (_, _, opened, _) = early();
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let enter = |table: &mut Table, cookie| {
        table.existing(
            cookie,
            address(80),
            address(4000),
            Owner::default(),
            Some(Role::Server),
            end.plus(Duration::from_secs(60)),
        );
        table.len()
    };
    table.expire(end.plus(Duration::from_secs(60)), &mut told);
    assert_eq!(enter(&mut table, opened.cookie), 0, "it was listed a minute ago, and has ended since");
    assert_eq!(enter(&mut table, opened.cookie + 1), 1);
    table.expect_existing(false);
    table.expire(end.plus(Duration::from_secs(60)), &mut told);
    assert_eq!(enter(&mut table, opened.cookie), 2, "ends are forgotten once the list was entered");
}
