//! Real servers: each has its own way to write an answer.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use redtap_tests::agent::Agent;
use redtap_tests::caller::Caller;
use redtap_tests::gate;
use redtap_tests::namespace::Namespace;
use redtap_tests::segments::Header;
use redtap_tests::servers::{KINDS, Server, nginx};
use redtap_tests::wait;

use super::{
    Likeness, PATIENCE, Recorder, Recording, UNWATCHED, WATCHED, assert_unwatched, difference, headers, place,
    unstable,
};

/// What clients do, and how much of it is the same.
struct Script {
    name: &'static str,
    likeness: Likeness,
    connections: usize,
    act: fn(SocketAddr, &mut Recorder),
}

/// What is asked of nginx besides: its answers come by writev and by sendfile.
const NGINX: [Script; 5] = [
    Script {
        name: "answers of one write, a connection for all",
        likeness: Likeness::Segments,
        connections: 1,
        act: |server, _| {
            let mut caller = Caller::connect(server);
            (0..30).for_each(|_| assert_eq!(caller.get("/hello", &[]), 200));
        },
    },
    Script {
        name: "a few requests in one segment",
        likeness: Likeness::Streams,
        connections: 1,
        act: |server, _| pipelined(server, 5),
    },
    Script {
        name: "many requests in one segment",
        likeness: Likeness::Streams,
        connections: 1,
        act: |server, _| pipelined(server, 150),
    },
    Script {
        name: "aborted in the middle of a request's head",
        likeness: Likeness::Segments,
        connections: 1,
        act: |server, _| reset(&ask(server, "GET /small HTTP/1.1\r\nHos")),
    },
    Script {
        name: "aborted in the middle of an answer",
        likeness: Likeness::Beginnings,
        connections: 1,
        act: |server, recorder| {
            let stream = ask(server, "GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
            // Nothing is under way any more.
            wait::until("a client that takes no more", || {
                recorder.so_far().iter().any(|segment| segment.shuts(server.port())).then_some(())
            });
            reset(&stream);
        },
    },
];

/// What is asked of every server.
const COMMON: [Script; 3] = [
    Script {
        name: "small answers, a connection for all",
        likeness: Likeness::Segments,
        connections: 1,
        act: |server, _| {
            let mut caller = Caller::connect(server);
            (0..30).for_each(|_| assert_eq!(caller.get("/small", &[]), 200));
        },
    },
    Script {
        name: "a connection each",
        likeness: Likeness::Segments,
        connections: 20,
        act: |server, _| {
            (0..20).for_each(|_| assert_eq!(Caller::connect(server).get("/small", &["Connection: close"]), 200));
        },
    },
    Script {
        name: "a mebibyte, then a small answer",
        likeness: Likeness::Streams,
        connections: 1,
        act: |server, _| {
            let mut caller = Caller::connect(server);
            assert_eq!(caller.get("/large", &[]), 200);
            assert_eq!(caller.get("/small", &[]), 200);
        },
    },
];

/// A running server, a script for it, and what passed without an agent.
struct Known<'a> {
    name: &'static str,
    server: &'a Server,
    script: &'static Script,
    unwatched: Vec<Recording>,
}

#[test]
fn what_servers_serve_is_the_same_on_the_wire() {
    let Some(turn) = gate::privileged("same, servers") else { return };
    let namespace = place("same-served");
    let kinds: Vec<_> = KINDS.iter().filter(|kind| gate::chosen("REDTAP_SERVERS", kind.name)).collect();
    let servers: Vec<Server> = kinds.iter().map(|kind| (kind.start)(&namespace.place())).collect();
    assert_unwatched();
    let mut known = Vec::new();
    for (kind, server) in kinds.into_iter().zip(&servers) {
        let own: &[Script] = if kind.name == "nginx" { &NGINX } else { &[] };
        for script in COMMON.iter().chain(own) {
            let unwatched = (0..UNWATCHED).map(|_| record(&namespace, server.address(), script)).collect();
            known.push(Known { name: kind.name, server, script, unwatched });
        }
    }
    let unstable =
        known.iter().filter_map(|known| Some(known.fault(unstable(known.script.likeness, &known.unwatched)?)));
    let unstable: Vec<String> = unstable.collect();
    assert!(unstable.is_empty(), "unwatched, runs differ among themselves:\n{}", unstable.join("\n"));
    let agent = Agent::start(&turn.redtap, &[]);
    let mut faults = Vec::new();
    for one in &known {
        let of_server = known.iter().filter(|other| other.name == one.name);
        let headers = headers(of_server.flat_map(|other| &other.unwatched));
        faults.extend(watched(&namespace, &headers, one));
    }
    assert!(faults.is_empty(), "watched, runs differ:\n{}", faults.join("\n"));
    agent.fence();
    for server in &servers {
        assert!(!agent.exchanges(server.port()).is_empty(), "not seen by the agent, so not watched");
    }
    let _ = agent.scrape();
}

/// What differs while an agent watches.
fn watched(namespace: &Namespace, headers: &BTreeSet<Header>, known: &Known<'_>) -> Vec<String> {
    let usual = known.unwatched.iter().map(repeated).max();
    let (mut least, mut faults) = (usize::MAX, Vec::new());
    for round in 1..=PATIENCE {
        if round > WATCHED && Some(least) <= usual {
            break;
        }
        let run = record(namespace, known.server.address(), known.script);
        least = least.min(repeated(&run));
        faults.extend(difference(known.script.likeness, headers, &known.unwatched, &run));
    }
    if Some(least) > usual {
        faults.push(format!("{least} segments are sent again, or more"));
    }
    faults.into_iter().map(|fault| known.fault(fault)).collect()
}

impl Known<'_> {
    fn fault(&self, fault: impl std::fmt::Display) -> String {
        format!("{}, {}: {fault}", self.name, self.script.name)
    }
}

#[test]
fn what_changes_on_the_way_is_seen() {
    let Some(_turn) = gate::privileged("same, changed on the way") else { return };
    let namespace = place("same-changed");
    let server = nginx(&namespace.place());
    let [script, ..] = &NGINX;
    let usual: Vec<Recording> = (0..UNWATCHED).map(|_| record(&namespace, server.address(), script)).collect();
    assert_eq!(unstable(script.likeness, &usual), None);
    for change in ["ip ttl set 63", "ip dscp set cs1", "tcp option maxseg size set 1000"] {
        let table =
            format!("table ip change {{ chain out {{ type filter hook output priority 0; {change}; }}; }}");
        namespace.run(&["nft", &table]);
        let run = record(&namespace, server.address(), script);
        assert!(difference(script.likeness, &headers(&usual), &usual, &run).is_some(), "{change}: not seen");
        namespace.run(&["nft", "delete table ip change"]);
    }
}

fn record(namespace: &Namespace, server: SocketAddr, script: &Script) -> Recording {
    Recorder::with(namespace, |recorder| {
        (script.act)(server, recorder);
        let mut run = recorder.run(server.port(), script.connections);
        for conversation in &mut run {
            without_dates(&mut conversation.server.bytes);
        }
        run
    })
}

/// How many segments were sent again.
fn repeated(run: &Recording) -> usize {
    run.iter().map(|conversation| conversation.client.again + conversation.server.again).sum()
}

/// The fields of that name are as long as ever, and say nothing.
fn without_dates(bytes: &mut [u8]) {
    const FIELD: &[u8] = b"\r\ndate: ";
    for at in 0..bytes.len().saturating_sub(FIELD.len()) {
        if bytes[at..at + FIELD.len()].eq_ignore_ascii_case(FIELD) {
            let value = bytes[at + FIELD.len()..].iter_mut().take_while(|byte| **byte != b'\r');
            value.for_each(|byte| *byte = b'-');
        }
    }
}

fn ask(server: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect_timeout(&server, wait::PATIENCE).expect("a connection");
    stream.set_read_timeout(Some(wait::PATIENCE)).expect("a time limit");
    stream.set_nodelay(true).expect("no delay");
    stream.write_all(request.as_bytes()).expect("a send");
    stream
}

fn pipelined(server: SocketAddr, count: usize) {
    let mut requests: String =
        (1..count).map(|number| format!("GET /small?{number} HTTP/1.1\r\nHost: h\r\n\r\n")).collect();
    requests += "GET /small?0 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let mut answers = Vec::new();
    ask(server, &requests).read_to_end(&mut answers).expect("answers");
    assert_eq!(String::from_utf8_lossy(&answers).matches("HTTP/1.1 200 OK").count(), count);
}

/// Ends by RST once the stream goes.
fn reset(stream: &TcpStream) {
    set_socket_linger(stream, Some(Duration::ZERO)).expect("SO_LINGER");
}
