//! Real servers and real clients: the agent's exchanges are those of the clients' ledgers.

use redtap_tests::agent::Agent;
use redtap_tests::clients::{CLIENTS, Client};
use redtap_tests::gate;
use redtap_tests::servers::{KINDS, Kind};

#[test]
fn every_client_with_every_server() {
    let Some(turn) = gate::privileged("every client with every server") else { return };
    let agent = Agent::start(&turn.redtap, &[]);
    let mut failures = String::new();
    for kind in KINDS {
        for client in CLIENTS {
            if let Some(failure) = check(&agent, kind, client) {
                failures += &format!("{} with {}: {failure}", client.name, kind.name);
            }
        }
    }
    let _ = agent.scrape();
    assert!(failures.is_empty(), "{failures}");
}

fn check(agent: &Agent, kind: Kind, client: Client) -> Option<String> {
    let server = (kind.start)();
    let told = (client.run)(&server, kind);
    let expected: Vec<_> = told.iter().flat_map(|told| told.entries(&server)).collect();
    agent.difference(&server.ports, &expected).map(|difference| difference.to_string())
}
