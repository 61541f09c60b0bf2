//! Real servers and real clients: the agent's exchanges are those of the clients' ledgers.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use redtap_tests::agent::Agent;
use redtap_tests::clients::{CLIENTS, Client};
use redtap_tests::gate;
use redtap_tests::ledger::{Entry, Expect};
use redtap_tests::line::ROLES;
use redtap_tests::process::Place;
use redtap_tests::servers::{KINDS, Kind, nginx};
use redtap_tests::wait;

#[test]
fn every_client_with_every_server() {
    let Some(turn) = gate::privileged("every client with every server") else { return };
    let agent = Agent::start(&turn.redtap, &[]);
    let mut failures = String::new();
    for kind in KINDS.iter().filter(|kind| gate::chosen("REDTAP_SERVERS", kind.name)) {
        for client in CLIENTS.iter().filter(|client| gate::chosen("REDTAP_CLIENTS", client.name)) {
            if let Some(failure) = check(&agent, *kind, *client) {
                failures += &format!("{} with {}: {failure}", client.name, kind.name);
            }
        }
    }
    let _ = agent.scrape();
    assert!(failures.is_empty(), "{failures}");
}

fn check(agent: &Agent, kind: Kind, client: Client) -> Option<String> {
    let server = (kind.start)(&Place::Host);
    let told = (client.run)(&server, kind);
    let expected: Vec<_> = told.iter().flat_map(|told| told.entries(&server)).collect();
    agent.difference(&server.ports, &expected).map(|difference| difference.to_string())
}

#[test]
fn pipelining_to_nginx() {
    let Some(turn) = gate::privileged("pipelining to nginx") else { return };
    const REQUESTS: usize = 150;
    let agent = Agent::start(&turn.redtap, &[]);
    let server = nginx(&Place::Host);
    let mut stream = TcpStream::connect(server.address()).expect("a connection");
    stream.set_read_timeout(Some(wait::PATIENCE)).expect("a time limit");
    let mut requests: String =
        (1..REQUESTS).map(|n| format!("GET /small?{n} HTTP/1.1\r\nHost: h\r\n\r\n")).collect();
    requests += "GET /small?0 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    stream.write_all(requests.as_bytes()).expect("requests sent");
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).expect("answers");
    assert_eq!(String::from_utf8_lossy(&answers).matches("HTTP/1.1 200 OK").count(), REQUESTS);
    let answered = |n: usize| {
        ROLES.map(|role| Entry {
            request_body: Expect::Is(0),
            response_body: Expect::Is(612),
            ..Entry::answered(role, server.port(), "GET", &format!("/small?{n}"), 200)
        })
    };
    let expected: Vec<_> = (0..REQUESTS).flat_map(answered).collect();
    agent.assert_ledger("pipelining to nginx", &server.ports, &expected);
    let _ = agent.scrape();
}
