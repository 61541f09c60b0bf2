//! TLS handshakes of OpenSSL and Go, as metrics and as documents.

mod stories;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use redtap_tests::agent::Agent;
use redtap_tests::gate::{self, free_port, fresh_listener, tool};
use redtap_tests::hosts::{Hosts, Version};
use redtap_tests::http;
use redtap_tests::kernel::Socket;
use redtap_tests::metrics::{Labels, Scrape};
use redtap_tests::process::{Place, Service, output};
use redtap_tests::servers::go_tls;
use redtap_tests::tls::{Certificates, Said};
use redtap_tests::wait;
use serde_json::{Value, json};

use stories::{STORIES, Story};

const HANDSHAKES: &str = "redtap_tls_handshakes_total";

#[test]
fn handshakes_are_told_as_openssl_tells_them() {
    let Some(turn) = gate::privileged("TLS handshakes") else { return };
    let agent = Agent::start_silent(&turn.redtap, &[]);
    let certificates = Certificates::new();
    let mut failures = String::new();
    for story in STORIES {
        if let Err(failure) = check(&agent, &certificates, story) {
            failures += &format!("{}: {failure}\n", story.name);
        }
    }
    let scrape = agent.scrape();
    let unobserved = scrape.count("redtap_tls_handshakes_unobserved_total", &[]);
    assert!(failures.is_empty(), "{failures}");
    assert_eq!(unobserved, 0, "handshakes that passed unseen");
    // Each handshake that came about took some time, at either end.
    for role in ["server", "client"] {
        let established: u64 = scrape
            .find(HANDSHAKES, &[("role", role)])
            .filter(|(labels, _)| !labels.contains_key("error_type"))
            .count() as u64;
        let durations = scrape.count("redtap_tls_handshake_duration_seconds_count", &[("role", role)]);
        assert_eq!(durations, established, "durations at {role}s");
    }
}

fn check(agent: &Agent, certificates: &Certificates, story: &Story) -> Result<(), String> {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let server = certificates.server(&Place::Host, address, story.server);
    let name = format!("{}.example", story.name);
    let mut expected = BTreeMap::new();
    for (arguments, told) in [Some(story.client), story.again].into_iter().flatten().zip(story.told) {
        let mut all = vec!["-servername", &name];
        all.extend(arguments);
        let client = certificates.client(&Place::Host, address, &all);
        if client.succeeded != story.succeeds {
            return Err(format!("the client ended otherwise than it should:\n{}\n{}", client.text, server.log()));
        }
        // A client that fails does not say what was agreed on before.
        let cipher = client.cipher().filter(|_| story.succeeds);
        let mut labels: Labels = told.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        labels.extend(cipher.map(|cipher| ("tls_cipher".to_owned(), cipher)));
        *expected.entry(labels).or_insert(0) += 1;
    }
    for role in ["server", "client"] {
        let told = || {
            let mut told = handshakes(&agent.scrape(), role, &name);
            if !story.succeeds {
                told = told.into_iter().map(without_cipher).collect();
            }
            told
        };
        let same = wait::within(wait::PATIENCE / 5, || (told() == expected).then_some(()));
        if same.is_none() {
            return Err(format!("told of the {role}: {:?}, expected {expected:?}", told()));
        }
    }
    Ok(())
}

fn without_cipher((mut labels, count): (Labels, u64)) -> (Labels, u64) {
    labels.remove("tls_cipher");
    (labels, count)
}

/// How many handshakes for a server's name there were with which labels.
fn handshakes(scrape: &Scrape, role: &str, name: &str) -> BTreeMap<Labels, u64> {
    let mut told = BTreeMap::new();
    for (labels, _) in scrape.find(HANDSHAKES, &[("role", role), ("server_address", name)]) {
        let all: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut labels = labels.clone();
        labels.retain(|name, _| !["service_name", "role", "server_address"].contains(&name.as_str()));
        *told.entry(labels).or_insert(0) += scrape.count(HANDSHAKES, &all);
    }
    told
}

#[test]
fn certificates_are_those_that_openssl_reads() {
    let Some(turn) = gate::privileged("TLS certificates") else { return };
    let agent = Agent::start_silent(&turn.redtap, &["--ja4"]);
    let certificates = Certificates::new();
    let mut fingerprints = BTreeSet::new();
    let demanding = ["-Verify", "1", "-CAfile", "@/ca.pem"];
    for (version, shown) in [("-tls1_2", true), ("-tls1_3", false)] {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let _server = certificates.server(&Place::Host, address, &[&[version][..], &demanding].concat());
        let name = format!("shown{version}.example");
        let with_own = ["-cert", "@/client.pem", "-key", "@/client.key", "-servername", &name];
        let client = certificates.client(&Place::Host, address, &with_own);
        assert!(client.succeeded, "{}", client.text);
        let details = details(&agent, &name);
        assert_eq!(details["port"], address.port(), "{details}");
        assert_eq!(details["clientTLSVersions"][0], "TLS 1.3", "{details}");
        assert_eq!(details["usedCipherSuite"].as_str(), client.cipher().as_deref(), "{details}");
        let told = &details["certificate"];
        if shown {
            assert_shown(told, "serverChain", &certificates.said("server"));
            assert_shown(told, "clientChain", &certificates.said("client"));
            let server = certificates.said("server");
            assert_eq!(told["notBefore"], server.not_before, "{details}");
            assert_eq!(told["notAfter"], server.not_after, "{details}");
        } else {
            let chain = told["serverChain"].as_str().unwrap_or_default();
            assert!(chain.contains("encrypt") && told.get("clientChain").is_none(), "{details}");
        }
        let handshake = &details["handshake"];
        assert_eq!((&handshake["count"], &handshake["resumed"]), (&json!(1), &json!(false)), "{details}");
        assert_eq!(
            (&handshake["outcome"], &handshake["keyExchangeGroup"]),
            (&json!("established"), &json!("x25519"))
        );
        // JA4 of an offer by TCP that names a server, of versions up to 1.3, without ALPN; whatever the server makes of it.
        let fingerprint = handshake["ja4"].as_str().unwrap_or_default().to_owned();
        let parts: Vec<_> = fingerprint.split('_').map(str::len).collect();
        assert!(fingerprint.starts_with("t13d") && parts == [10, 12, 12], "{details}");
        assert!(fingerprint[..10].ends_with("00"), "{details}");
        fingerprints.insert(fingerprint);
        let scrape = agent.scrape();
        for (whose, signed, metric) in [
            ("server", certificates.said("server"), "redtap_tls_certificate_not_after_timestamp_seconds"),
            ("client", certificates.said("client"), "redtap_tls_client_certificate_not_after_timestamp_seconds"),
        ] {
            let (subject, issuer) = (format!("tls_{whose}_subject"), format!("tls_{whose}_issuer"));
            let labels = [
                ("server_address", name.as_str()),
                (subject.as_str(), signed.subject.as_str()),
                (issuer.as_str(), signed.issuer.as_str()),
            ];
            let end = output(Command::new(tool("date")).args(["-u", "+%s", "-d", &signed.not_after]));
            let end: f64 = end.trim().parse().expect("seconds");
            let told: Vec<_> = scrape.find(metric, &labels).map(|(_, value)| value).collect();
            let expected = if shown { vec![end; 2] } else { Vec::new() };
            assert_eq!(told, expected, "{metric} of both ends, {labels:?}");
        }
    }
    assert_eq!(fingerprints.len(), 1, "of one and the same offer: {fingerprints:?}");
}

/// Details of the one handshake for a server's name.
fn details(agent: &Agent, name: &str) -> Value {
    let id = wait::until("a handshake in the list", || {
        let all = document(agent, "/tlsparser/api/data");
        let mut found = all.as_array()?.iter().filter(|entry| entry["domain"] == name);
        found.next().and_then(|entry| entry["id"].as_str()).map(str::to_owned)
    });
    document(agent, &format!("/tlsparser/api/data/{id}"))
}

fn document(agent: &Agent, path: &str) -> Value {
    let answer = http::get(agent.listen(), path).expect("an answer");
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}: {}", answer.body))
}

/// The first certificate of a chain is the one that OpenSSL reads.
fn assert_shown(told: &Value, chain: &str, said: &Said) {
    let text = told[chain].as_str().unwrap_or_default();
    let moment = |text: &str| text.replace('T', " ").trim_end_matches('Z').to_owned();
    for (what, value) in [
        ("Subject", &said.subject),
        ("Issuer", &said.issuer),
        ("Serial Number", &said.serial),
        ("Not Before", &said.not_before),
        ("Not After", &said.not_after),
    ] {
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix(what)?.strip_prefix(": "));
        let same = line.is_some_and(|line| line == value || moment(line) == moment(value));
        assert!(same, "{chain}: {what} is {line:?}, expected {value}: {text}");
    }
    let names = said.names.iter().filter(|name| !text.contains(name.as_str()));
    assert_eq!(names.count(), 0, "{chain}: names are missing of {:?}: {text}", said.names);
}

#[test]
fn who_goes_away_has_abandoned_the_handshake() {
    let Some(turn) = gate::privileged("abandoned TLS handshakes") else { return };
    let agent = Agent::start_silent(&turn.redtap, &[]);
    let certificates = Certificates::new();
    let listener = fresh_listener(Ipv4Addr::LOCALHOST.into());
    let deaf = listener.local_addr().expect("an address");
    let hello = std::thread::scope(|scope| {
        let heard = scope.spawn(|| {
            let (hello, mut stream) = hear(&listener);
            stream.shutdown(Shutdown::Write).expect("an end");
            // What it says to that is to arrive.
            let _ = stream.read_to_end(&mut Vec::new());
            hello
        });
        let _ = certificates.client(&Place::Host, deaf, &["-servername", "deaf.example"]);
        heard.join().expect("a hello")
    });
    // A client that is not answered, and goes away when the server does.
    let mut stream = TcpStream::connect(deaf).expect("a connection");
    stream.write_all(&hello).expect("a hello sent");
    drop(hear(&listener));
    assert_eq!(stream.read(&mut [0; 1]).expect("an end"), 0);
    drop(stream);
    for role in ["server", "client"] {
        let labels = [("role", role), ("server_address", "deaf.example"), ("error_type", "abandoned")];
        let told = || agent.scrape().count(HANDSHAKES, &labels);
        let same = wait::within(wait::PATIENCE / 5, || (told() == 1).then_some(()));
        assert!(same.is_some(), "{labels:?}: {:?}", agent.scrape().find(HANDSHAKES, &[]).collect::<Vec<_>>());
    }
    // A client that is answered, and has nothing more to say.
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let _server = certificates.server(&Place::Host, address, &[]);
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(&hello).expect("a hello sent");
    stream.shutdown(Shutdown::Write).expect("an end");
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.len() > 500, "no answer of the server");
    let told = wait::until("the handshake that the client abandoned", || {
        let mut told = handshakes(&agent.scrape(), "server", "deaf.example");
        told.retain(|labels, _| labels.contains_key("tls_protocol_version"));
        told.pop_first()
    });
    let error = told.0.get("error_type").map(String::as_str);
    // OpenSSL's server notices the end, and may say so.
    assert!(error == Some("abandoned") || error == Some("alert_encrypted"), "{told:?}");
}

/// All that a client says at first, and the connection.
fn hear(listener: &TcpListener) -> (Vec<u8>, TcpStream) {
    let (mut stream, _) = listener.accept().expect("a client");
    let mut head = [0; 5];
    stream.read_exact(&mut head).expect("a record's head");
    let mut bytes = head.to_vec();
    bytes.resize(5 + usize::from(u16::from_be_bytes([head[3], head[4]])), 0);
    stream.read_exact(&mut bytes[5..]).expect("a record");
    (bytes, stream)
}

fn await_handshakes(agent: &Agent, name: &str, expected: &BTreeMap<Labels, u64>) {
    for role in ["server", "client"] {
        let told = || handshakes(&agent.scrape(), role, name);
        let same = wait::within(wait::PATIENCE / 5, || (told() == *expected).then_some(()));
        assert!(same.is_some(), "{name}, told of the {role}: {:?}, expected {expected:?}", told());
    }
}

#[test]
fn go_over_a_wire_and_much_data() {
    let Some(turn) = gate::privileged("TLS of Go") else { return };
    const BYTES: u64 = 100_000_000;
    let hosts = Hosts::new("tls");
    for host in [&hosts.client, &hosts.server] {
        // Segments as on a wire, even where the kernel would not cut them.
        host.namespace.run(&["ip", "link", "set", "wire", "gso_max_segs", "1"]);
    }
    let agent = Agent::start_silent(&turn.redtap, &[]);
    let before = agent.scrape();
    let certificates = Certificates::new();
    let address = hosts.server.at(Version::V4, free_port());
    let file = |path: std::path::PathBuf| path.display().to_string();
    let server = |address: &SocketAddr| {
        let [certificate, key] = [certificates.certificate("server"), certificates.key("server")].map(file);
        let server = go(&hosts.server.namespace.place(), &["server", &address.to_string(), &certificate, &key]);
        server.wait_for_log("listening");
        server
    };
    let other = hosts.server.at(Version::V4, free_port());
    let _strange = server(&other);
    // It speaks under encryption before it looks at the certificate.
    let mut stranger = go(
        &hosts.client.namespace.place(),
        &["client", &other.to_string(), "strange.shop.example", &file(certificates.certificate("other")), "1"],
    );
    assert!(!stranger.ended().success(), "{}", stranger.log());
    for role in ["server", "client"] {
        let labels =
            [("role", role), ("server_address", "strange.shop.example"), ("error_type", "alert_encrypted")];
        let told = || agent.scrape().count(HANDSHAKES, &labels);
        let same = wait::within(wait::PATIENCE / 5, || (told() == 1).then_some(()));
        assert!(same.is_some(), "{labels:?}: {:?}", agent.scrape().find(HANDSHAKES, &[]).collect::<Vec<_>>());
    }
    let server = server(&address);
    let client = go(
        &hosts.client.namespace.place(),
        &[
            "client",
            &address.to_string(),
            "go.shop.example",
            &file(certificates.certificate("ca")),
            &BYTES.to_string(),
        ],
    );
    client.wait_for_log("received");
    let word = |service: &Service, before: &str| {
        let log = service.log();
        log.lines()
            .find_map(|line| line.strip_prefix(before))
            .unwrap_or_else(|| panic!("no {before}: {log}"))
            .to_owned()
    };
    // The first one offered: both ends are of one make. Its number in IANA's registry.
    let group = match word(&server, "group ").as_str() {
        "4588" => "X25519MLKEM768",
        "29" => "x25519",
        other => panic!("which group is {other}?"),
    };
    let labels = [
        ("tls_protocol_version", "1.3"),
        ("tls_cipher", &word(&client, "cipher ")),
        ("tls_curve", group),
        ("tls_resumed", "false"),
    ];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    await_handshakes(&agent, "go.shop.example", &BTreeMap::from([(Labels::from(labels), 1)]));
    let port = address.port().to_string();
    // The connection is open still.
    let [received, sent] =
        [&hosts.client, &hosts.server].map(|host| Socket::of(host, address.port()).number("bytes_received"));
    assert!(received > BYTES, "{received}");
    // A hello with such a group does not fit one segment.
    assert!(sent > 1448 || group == "x25519", "{sent}");
    for (role, [out, back]) in [("client", [sent, received]), ("server", [received, sent])] {
        for (direction, expected) in [("sent", out), ("received", back)] {
            let labels = [("role", role), ("server_port", &port), ("direction", direction)];
            let told = || agent.scrape().count("redtap_tcp_bytes_total", &labels);
            let same = wait::within(wait::PATIENCE / 5, || (told() == expected).then_some(()));
            assert!(same.is_some(), "{labels:?}: {}, expected {expected}", told());
        }
    }
    let dropped = |scrape: &Scrape| scrape.count("redtap_dropped_total", &[]);
    assert_eq!(dropped(&agent.scrape()), dropped(&before), "losses");
}

fn go(place: &Place, arguments: &[&str]) -> Service {
    let mut command = place.command(&go_tls());
    // Whatever version of the language the module asks for.
    Service::start("go crypto/tls", command.args(arguments).env("GODEBUG", "tlsmlkem=1"))
}
