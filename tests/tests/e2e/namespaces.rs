//! Traffic in network namespaces of its own: another loopback, and one that loses segments.

use redtap_tests::agent::Agent;
use redtap_tests::gate::{self, built};
use redtap_tests::ledger::{Entry, Expect};
use redtap_tests::line::ROLES;
use redtap_tests::namespace::Namespace;
use redtap_tests::servers::{Server, nginx};

#[test]
fn another_loopback() {
    let Some(turn) = gate::privileged("another loopback") else { return };
    let agent = Agent::start(&turn.redtap, &[]);
    let namespace = Namespace::new("own");
    let server = nginx(&namespace.place());
    agent.fence();
    let before = agent.exchanges(server.port()).len();
    let urls: Vec<String> = (0..20).map(|_| format!("{}/small", server.base())).collect();
    fetch(&namespace, &urls);
    let mut expected = answered(&server, "/small", 612, 20);
    // nginx was asked whether it is ready.
    expected.extend(answered(&server, "/hello", 6, before / 2));
    agent.assert_ledger("another loopback", &server.ports, &expected);
    let _ = agent.scrape();
}

#[test]
fn segments_lost_on_the_way_are_sent_again_and_counted_once() {
    let Some(turn) = gate::privileged("segments lost on the way") else { return };
    let agent = Agent::start(&turn.redtap, &[]);
    let namespace = Namespace::new("lossy");
    let server = nginx(&namespace.place());
    agent.fence();
    let before = agent.exchanges(server.port()).len();
    namespace.lose(3);
    let mut urls: Vec<String> = (0..100).map(|_| format!("{}/small", server.base())).collect();
    urls.extend((0..4).map(|_| format!("{}/large", server.base())));
    fetch(&namespace, &urls);
    let load = built("exact-load").display().to_string();
    let answered_of = namespace.run(&[&load, &server.address().to_string(), "32", "2000", "/small"]);
    assert_eq!(answered_of.trim(), "2000");
    let lost = namespace.run(&["nstat", "--zeros", "--ignore", "TcpRetransSegs"]);
    let lost = lost
        .lines()
        .find_map(|line| line.strip_prefix("TcpRetransSegs"))
        .and_then(|rest| rest.split_whitespace().next());
    assert!(lost.is_some_and(|count| count != "0"), "nothing was sent again: {lost:?}");
    let mut expected = answered(&server, "/small", 612, 2100);
    expected.extend(answered(&server, "/large", 1 << 20, 4));
    expected.extend(answered(&server, "/hello", 6, before / 2));
    agent.assert_ledger("segments lost on the way", &server.ports, &expected);
    let _ = agent.scrape();
}

/// One curl for all of them, on one connection.
fn fetch(namespace: &Namespace, urls: &[String]) {
    let mut arguments = vec!["curl", "-sS", "--fail", "--parallel-max", "1"];
    for url in urls {
        arguments.extend(["-o", "/dev/null", url]);
    }
    namespace.run(&arguments);
}

fn answered(server: &Server, target: &str, size: u64, times: usize) -> Vec<Entry> {
    let both = ROLES.map(|role| Entry {
        request_body: Expect::Is(0),
        response_body: Expect::Is(size),
        ..Entry::answered(role, server.port(), "GET", target, 200)
    });
    vec![both; times].concat()
}
