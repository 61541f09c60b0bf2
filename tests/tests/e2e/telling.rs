//! What is told: metrics beside a ledger, times beside a clock, lines as documented.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use redtap_tests::agent::{Agent, exchanges_at};
use redtap_tests::clients::CLIENTS;
use redtap_tests::gate::{self, free_port};
use redtap_tests::http;
use redtap_tests::line::{Exchange, ROLES, Role};
use redtap_tests::process::{Place, signal};
use redtap_tests::raw;
use redtap_tests::redtap::command;
use redtap_tests::servers::KINDS;
use redtap_tests::wait;
use rustix::process::Signal;

/// Buckets of durations in seconds, as the conventions advise.
const BOUNDS: [f64; 15] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, f64::INFINITY];

fn bound(le: &String) -> f64 {
    le.parse().unwrap_or_else(|error| panic!("{le}: {error}"))
}

#[test]
fn metrics_equal_the_ledger() {
    let Some(turn) = gate::privileged("metrics") else { return };
    let agent = Agent::start(&turn.redtap, &["--timings", "--routes=false"]);
    let server = (KINDS[0].start)(&Place::Host);
    let told = (CLIENTS[0].run)(&server, KINDS[0]);
    agent.fence();
    let scrape = agent.scrape();
    let mut by_label = BTreeMap::new();
    for one in &told {
        let entry = by_label.entry((one.method.clone(), one.status.to_string())).or_insert((0, 0));
        *entry = (entry.0 + 1, entry.1 + one.received);
    }
    for ((method, status), (count, received)) in by_label {
        for (role, service) in [("server", "nginx"), ("client", "curl")] {
            let labels = [
                ("service_name", service),
                ("http_request_method", method.as_str()),
                ("http_response_status_code", status.as_str()),
                ("url_scheme", "http"),
                ("network_protocol_version", "1.1"),
            ];
            let what = format!("{role} {method} {status}");
            assert_eq!(
                scrape.count(&format!("http_{role}_request_duration_seconds_count"), &labels),
                count,
                "{what}"
            );
            let size = format!("http_{role}_response_body_size_bytes");
            assert_eq!(scrape.count(&format!("{size}_count"), &labels), count, "{what}");
            assert_eq!(scrape.count(&format!("{size}_sum"), &labels), received, "{what}");
            let buckets = format!("http_{role}_request_duration_seconds_bucket");
            let bounds: Vec<_> =
                scrape.find(&buckets, &labels).filter_map(|(has, _)| has.get("le")).map(bound).collect();
            assert_eq!(bounds, BOUNDS, "{what}");
        }
    }
    for name in ["queue_duration", "time_to_first_byte", "transfer_duration", "ack_duration"] {
        let counted =
            scrape.count(&format!("redtap_http_server_{name}_seconds_count"), &[("service_name", "nginx")]);
        assert!(counted > 0, "no {name} of nginx");
    }
    for own in [
        "redtap_segments_total",
        "redtap_segment_bytes_total",
        "redtap_exchanges_total",
        "redtap_records_total",
        "redtap_flows",
        "redtap_flows_opened_total",
        "redtap_flows_closed_total",
        "redtap_table_entries",
        "redtap_table_limit",
        "redtap_program_attached",
        "redtap_build_info",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
    ] {
        assert!(scrape.has(own), "no {own}");
    }
    assert_eq!(scrape.count("redtap_dropped_total", &[]), 0);
}

#[test]
fn formats_by_accept_and_the_other_pages() {
    let Some(turn) = gate::privileged("formats") else { return };
    let agent = Agent::start(&turn.redtap, &[]);
    let plain = http::get_as(agent.listen(), "/metrics", "text/plain").expect("an answer");
    assert!(plain.head.contains("text/plain"), "{}", plain.head);
    let open = http::get_as(agent.listen(), "/metrics", "application/openmetrics-text; version=1.0.0")
        .expect("an answer");
    assert!(open.head.contains("application/openmetrics-text"), "{}", open.head);
    assert!(open.body.ends_with("# EOF\n"), "no end: {}", open.body);
    for page in ["/healthz", "/readyz", "/"] {
        assert_eq!(http::get(agent.listen(), page).expect("an answer").status, 200, "{page}");
    }
    assert_eq!(http::get(agent.listen(), "/nothing").expect("an answer").status, 404);
}

#[test]
fn times_are_those_of_the_packets() {
    let Some(turn) = gate::privileged("times") else { return };
    let agent = Agent::start(&turn.redtap, &[]);
    /// Long enough to be told from scheduling.
    const PAUSE: Duration = Duration::from_millis(60);
    let listener = gate::fresh_listener([127, 0, 0, 1].into());
    let port = listener.local_addr().expect("a bound address").port();
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let (mut server, _) = listener.accept().expect("a connection");
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(wait::PATIENCE)).expect("a time limit");
    }
    let head = b"POST /timed HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n";
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
    let begin = Instant::now();
    #[expect(clippy::disallowed_methods, reason = "the pause is what is measured, not what is waited for")]
    let pause = || {
        let start = Instant::now();
        std::thread::sleep(PAUSE);
        start.elapsed()
    };
    client.write_all(&[head.as_slice(), b"ab"].concat()).expect("a send");
    let sending = pause();
    client.write_all(b"cd").expect("a send");
    let queued = pause();
    server.read_exact(&mut vec![0; head.len() + 4]).expect("a request");
    let thinking = pause();
    server.write_all(&[answer.as_slice(), b"ab"].concat()).expect("a send");
    let answering = pause();
    server.write_all(b"cd").expect("a send");
    client.read_exact(&mut vec![0; answer.len() + 4]).expect("an answer");
    let whole = begin.elapsed();
    drop((client, server));
    agent.fence();
    let told = agent.until("both sides of the exchange", |lines| {
        let told = exchanges_at(lines, port);
        (told.len() == 2).then_some(told)
    });
    for role in ROLES {
        let exchange = told.iter().find(|exchange| exchange.role == role).expect("an exchange of each role");
        let between = |from: Option<u64>, to: Option<u64>| {
            let times = from.zip(to).unwrap_or_else(|| panic!("{role:?}: a time is missing in {exchange:?}"));
            Duration::from_nanos(times.1 - times.0)
        };
        let near = |what: &str, told: Duration, meant: Duration| {
            // The packet goes out before the clock is read here, never more than the whole later.
            assert!(
                told >= PAUSE.mul_f32(0.9) && told <= meant + PAUSE / 2,
                "{role:?}: {what} {told:?}, meant {meant:?}"
            );
        };
        let Exchange { request_first_byte, request_last_byte, response_first_byte, response_last_byte, .. } =
            exchange.clone();
        near("request's sending", between(request_first_byte, request_last_byte), sending);
        near("answer's sending", between(response_first_byte, response_last_byte), answering);
        near("waiting", between(request_last_byte, response_first_byte), queued + thinking);
        assert!(between(request_first_byte, response_last_byte) <= whole, "longer than it took");
        if role == Role::Server {
            near("queue", between(request_first_byte, exchange.picked_up), sending + queued);
            near("time to first byte", between(exchange.picked_up, response_first_byte), thinking);
        }
        assert_eq!(exchange.service_name.as_deref(), Some(own_name().as_str()));
        assert_eq!(exchange.pid, Some(std::process::id()));
        assert_eq!(exchange.local_address.as_deref(), Some("127.0.0.1"));
    }
}

/// The name of this test's executable.
fn own_name() -> String {
    let path = std::env::current_exe().expect("own path");
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

#[test]
fn keys_come_in_the_documented_order() {
    let Some(turn) = gate::privileged("order of keys") else { return };
    const ORDER: [&str; 40] = [
        "record",
        "protocol",
        "role",
        "outcome",
        "socket_cookie",
        "index",
        "local_address",
        "local_port",
        "peer_address",
        "peer_port",
        "service.name",
        "process.pid",
        "http.request.method",
        "http.request.method_original",
        "http.route",
        "url.scheme",
        "url.path",
        "url.query",
        "server.address",
        "server.port",
        "user_agent.original",
        "network.protocol.version",
        "http.response.status_code",
        "error.type",
        "http.request.body.size",
        "http.response.body.size",
        "partial",
        "stream",
        "request_first_byte",
        "request_last_byte",
        "picked_up",
        "response_first_byte",
        "response_last_byte",
        "response_acknowledged",
        "redtap.tcp.srtt",
        "redtap.tcp.retransmits",
        "redtap.tcp.out_of_order_bytes",
        "redtap.connection.age",
        "redtap.connection.exchanges",
        "",
    ];
    let listen = format!("127.0.0.1:{}", free_port());
    let mut run = command(&turn.redtap);
    run.args(["run", "--print", "json", "--listen", &listen]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = run.spawn().expect("an agent");
    let address = listen.parse().expect("an address");
    wait::until("the agent to be ready", || {
        http::get(address, "/readyz").ok().filter(|answer| answer.status == 200)
    });
    let port = raw::fence();
    let output = BufReader::new(child.stdout.take().expect("a piped output"));
    let line = output
        .lines()
        .map(|line| line.expect("text"))
        .find(|line| line.contains(&format!("\"local_port\":{port}")))
        .expect("the fence's server side");
    signal(child.id(), Signal::TERM);
    assert!(child.wait().expect("an end").success());
    let value: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&line).expect("an object");
    let places: Vec<_> = value
        .keys()
        .map(|key| ORDER.iter().position(|known| known == key).unwrap_or_else(|| panic!("undocumented key {key}")))
        .collect();
    assert!(places.is_sorted(), "{line}");
    assert!(value.values().all(|value| !value.is_null()), "{line}");
}
