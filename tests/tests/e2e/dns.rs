//! Lookups by `dig` of dnsmasq and of a name server that fails, and the names that are learnt by them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use redtap_tests::agent::Agent;
use redtap_tests::gate::{self, free_port, own, tool};
use redtap_tests::hosts::{Hosts, Version};
use redtap_tests::metrics::Scrape;
use redtap_tests::process::Service;
use redtap_tests::wait;

const LOOKUPS: &str = "dns_lookup_duration_seconds_count";
const ANSWERED: &str = "redtap_dns_server_lookup_duration_seconds_count";

/// The name server that fails; the one that does not is the server's own address.
const FAILING: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 53);

/// What `dig` is asked to ask, and what has to come of it.
struct Story {
    /// Names, types and options, for the server that does not fail.
    asked: &'static [&'static str],
    /// What `dig` says.
    says: &'static str,
    /// Lookups, by name and failure.
    lookups: &'static [(&'static str, &'static str, u64)],
}

const STORIES: &[Story] = &[
    Story { asked: &["a.example.test"], says: "NOERROR", lookups: &[("a.example.test", "", 1)] },
    Story { asked: &["A.EXAMPLE.test.", "+tcp"], says: "NOERROR", lookups: &[("a.example.test", "", 1)] },
    Story { asked: &["six.example.test", "AAAA"], says: "fd77::2", lookups: &[("six.example.test", "", 1)] },
    Story { asked: &["none.test"], says: "NXDOMAIN", lookups: &[("none.test", "nxdomain", 1)] },
    Story { asked: &["none.test", "+tcp"], says: "NXDOMAIN", lookups: &[("none.test", "nxdomain", 1)] },
    Story { asked: &["elsewhere.invalid"], says: "REFUSED", lookups: &[("elsewhere.invalid", "refused", 1)] },
    // Four names over one connection.
    Story {
        asked: &["+tcp", "+keepopen", "k1.test", "k2.test", "a.example.test", "k4.test"],
        says: "NXDOMAIN",
        lookups: &[
            ("k1.test", "nxdomain", 1),
            ("k2.test", "nxdomain", 1),
            ("a.example.test", "", 1),
            ("k4.test", "nxdomain", 1),
        ],
    },
    // Larger than a datagram of old, and than a packet.
    Story { asked: &["long.test", "TXT", "+bufsize=4096"], says: "(UDP)", lookups: &[("long.test", "", 1)] },
    // Truncated, then by TCP.
    Story { asked: &["cut.test", "TXT", "+noedns"], says: "(TCP)", lookups: &[("cut.test", "", 2)] },
    Story {
        asked: &["@10.77.0.53", "servfail.test"],
        says: "SERVFAIL",
        lookups: &[("servfail.test", "servfail", 1)],
    },
    Story { asked: &["@10.77.0.53", "refused.test"], says: "REFUSED", lookups: &[("refused.test", "refused", 1)] },
];

#[test]
fn lookups_are_those_that_dig_makes() {
    let Some(turn) = gate::privileged("DNS lookups") else { return };
    let hosts = Hosts::new("dns");
    let _servers = name_servers(&hosts);
    let agent = Agent::start_silent(&turn.redtap, &[]);
    // Nobody answers it, which the agent says after ten seconds.
    let silent = format!("@{FAILING}");
    let silent = ["silent.test", &silent, "+tries=1", "+time=1"];
    let mut unanswered = Service::start("dig", hosts.client.namespace.place().command(&tool("dig")).args(silent));
    let mut expected = BTreeMap::from([(("silent.test".to_owned(), "timeout".to_owned()), 1)]);
    let mut failures = String::new();
    for Story { asked, says, lookups } in STORIES {
        let said = dig(&hosts, asked);
        if !said.contains(says) {
            failures += &format!("dig {asked:?} does not say {says}: {said}\n");
        }
        for (name, error, count) in *lookups {
            *expected.entry(((*name).to_owned(), (*error).to_owned())).or_insert(0) += count;
        }
    }
    assert!(failures.is_empty(), "{failures}");
    let told = || lookups(&agent.scrape(), "dig");
    let same = wait::within(wait::PATIENCE, || (told() == expected).then_some(()));
    assert!(same.is_some(), "told: {:#?}, expected: {expected:#?}", told());
    assert!(!unanswered.ended().success(), "{}", unanswered.log());
    // Who answers, answers the same.
    let scrape = agent.scrape();
    for error in ["", "nxdomain", "refused", "servfail"] {
        let asked: u64 = expected.iter().filter(|((_, of), _)| of == error).map(|(_, count)| count).sum();
        let told = scrape
            .find(ANSWERED, &[])
            .filter(|(labels, _)| labels.get("error_type").map_or("", String::as_str) == error);
        let told: f64 = told.fold(0.0, |sum, (_, count)| sum + count);
        assert!((told - f64::from(u32::try_from(asked).expect("few"))).abs() < 0.5, "{told} of {asked} {error:?}");
    }
    for dropped in ["dns_malformed", "dns_lost"] {
        assert_eq!(scrape.count("redtap_dropped_total", &[("reason", dropped)]), 0, "{dropped}");
    }
}

/// Lookups of a service, by name and failure.
fn lookups(scrape: &Scrape, service: &str) -> BTreeMap<(String, String), u64> {
    let mut told = BTreeMap::new();
    for (labels, _) in scrape.find(LOOKUPS, &[("service_name", service)]) {
        let all: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        told.insert((label("dns_question_name"), label("error_type")), scrape.count(LOOKUPS, &all));
    }
    told
}

fn dig(hosts: &Hosts, asked: &[&str]) -> String {
    let server = format!("@{}", hosts.server.address(Version::V4));
    let mut arguments = vec!["dig", "+tries=1", "+time=5"];
    if !asked.iter().any(|argument| argument.starts_with('@')) {
        arguments.push(&server);
    }
    arguments.extend(asked);
    hosts.client.namespace.run(&arguments)
}

/// dnsmasq at the server's address, and one that fails.
fn name_servers(hosts: &Hosts) -> [Service; 2] {
    let place = hosts.server.namespace.place();
    let run = |arguments: &[&str]| hosts.server.namespace.run(arguments);
    for address in [FAILING, NAMED, TRANSLATED] {
        run(&["ip", "address", "add", &format!("{address}/24"), "dev", "wire"]);
    }
    let address = hosts.server.address(Version::V4);
    let text = ["t".repeat(250).as_str(); 8].join(",");
    let mut command = place.command(&tool("dnsmasq"));
    command.args([
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--pid-file=",
        "--user=root",
        "--log-facility=-",
    ]);
    command.args(["--no-resolv", "--no-hosts", "--bind-interfaces", "--local=/test/", "--edns-packet-max=4096"]);
    command.arg(format!("--listen-address={address}"));
    command.args(["--address=/a.example.test/192.0.2.1", "--address=/six.example.test/fd77::2"]);
    command.args([format!("--address=/shut.test/{NAMED}"), format!("--address=/shop.test/{TRANSLATED}")]);
    command.args(["long", "cut"].map(|name| format!("--txt-record={name}.test,{text}")));
    let dnsmasq = Service::start("dnsmasq", &mut command);
    dnsmasq.wait_for_log("started");
    let mut command = place.command(&tool("python3"));
    let failing =
        Service::start("name server", command.arg(own("programs/dnsserver.py")).arg(FAILING.to_string()));
    failing.wait_for_log("listening");
    [dnsmasq, failing]
}

/// Where nobody listens, and what the server's own address is translated to.
const NAMED: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 54);
const TRANSLATED: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 55);

#[test]
fn a_peer_goes_by_the_name_that_was_looked_up() {
    let Some(turn) = gate::privileged("names learnt by DNS") else { return };
    let hosts = Hosts::new("names");
    let _servers = name_servers(&hosts);
    // Beyond a translation of addresses, nobody can tell that it is a service of this host.
    let server = hosts.server.at(Version::V4, free_port());
    let rule = format!(
        "table ip translation {{\nchain in {{\ntype nat hook prerouting priority dstnat\n\
         ip daddr {TRANSLATED} dnat to {}\n}}\n}}\n",
        server.ip()
    );
    hosts.server.namespace.run(&["nft", &rule]);
    let port = server.port().to_string();
    let agent = Agent::start_silent(&turn.redtap, &[]);
    let mut command = hosts.server.namespace.place().command(&tool("python3"));
    command.args(["-m", "http.server", &port, "--bind", &server.ip().to_string()]).env("PYTHONUNBUFFERED", "1");
    let web = Service::start("python3 -m http.server", &mut command);
    web.wait_for_log("Serving HTTP");
    for name in ["shut.test", "shop.test"] {
        assert!(dig(&hosts, &[name]).contains("NOERROR"));
    }
    let asked = lookups(&wait_for(&agent, |scrape| lookups(scrape, "dig").len() >= 2), "dig");
    assert_eq!(asked.len(), 2, "{asked:?}");
    let ask = |address: SocketAddr| {
        let mut curl = hosts.client.namespace.place().command(&tool("curl"));
        curl.args(["-s", "-o", "/dev/null"]).arg(format!("http://{address}/"));
        curl.status().expect("curl runs").success()
    };
    assert!(ask((TRANSLATED, server.port()).into()), "no answer through the translation");
    assert!(!ask((NAMED, server.port()).into()), "an answer where nobody listens");
    assert!(ask(server), "no answer");
    for (name, metric, peer) in [
        ("translated", "redtap_tcp_connections_opened_total", "shop.test"),
        ("refused", "redtap_tcp_connects_failed_total", "shut.test"),
    ] {
        let labels =
            [("service_name", "curl"), ("role", "client"), ("peer", peer), ("server_port", port.as_str())];
        let scrape = wait_for(&agent, |scrape| scrape.count(metric, &labels) > 0);
        assert_eq!(scrape.count(metric, &labels), 1, "{name}: {:?}", scrape.find(metric, &[]).collect::<Vec<_>>());
    }
    // A service of this host goes by its own name, whatever its address is called.
    let scrape = agent.scrape();
    let labels = [("service_name", "curl"), ("server_port", port.as_str())];
    let opened = scrape.find("redtap_tcp_connections_opened_total", &labels).filter(|(_, count)| *count > 0.0);
    let mut peers: Vec<_> = opened.filter_map(|(labels, _)| labels.get("peer")).cloned().collect();
    peers.retain(|peer| peer != "shop.test");
    assert!(matches!(peers.as_slice(), [peer] if peer.starts_with("python3")), "{peers:?}");
    let edges: serde_json::Value =
        serde_json::from_str(&redtap_tests::http::get(agent.listen(), "/api/v1/graph").expect("a graph").body)
            .expect("JSON");
    let edge = edges["edges"].as_array().into_iter().flatten().find(|edge| edge["id"] == "curl -> shop.test");
    assert!(edge.is_some_and(|edge| edge["detail__ports"] == port), "{edges}");
}

/// The first scrape of which `is_there` holds, or the last one in time.
fn wait_for(agent: &Agent, is_there: impl Fn(&Scrape) -> bool) -> Scrape {
    let found = wait::within(wait::PATIENCE / 5, || Some(agent.scrape()).filter(&is_there));
    found.unwrap_or_else(|| agent.scrape())
}
