//! The listener: TLS and passwords as Prometheus' own exporters have them, a unix socket, a second address for health.

use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use redtap_tests::agent::Agent;
use redtap_tests::gate::{self, free_port, tool};
use redtap_tests::http;
use redtap_tests::ledger::Entry;
use redtap_tests::line::ROLES;
use redtap_tests::process::{Place, Service, scratch};
use redtap_tests::prometheus::{Prometheus, discovering};
use redtap_tests::raw;
use redtap_tests::redtap::{Refusal, command};
use redtap_tests::servers::nginx;
use redtap_tests::tls::Certificates;
use redtap_tests::wait;

/// `secret`, as bcrypt has it with a cost of 4.
const PASSWORD: &str = "$2b$04$53HSpM3uQ5lydk0YOJEOYOhcnd8rNeqGoy0PfZDyXIpXDsoQGBDAe";

/// The status of an answer and what curl's arguments make it print.
fn curl(arguments: &[&str]) -> (String, String) {
    let mut command = Command::new(tool("curl"));
    command.args(["--silent", "--max-time", "10", "--write-out", "\n%{http_code}"]).args(arguments);
    let told = command.output().expect("curl runs");
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').expect("a status");
    (status.to_owned(), body.to_owned())
}

/// An agent that is not asked over plain HTTP whether it is ready.
fn secured(redtap: &Path, flags: &[&str], ask: &[&str]) -> Service {
    let mut run = command(redtap);
    run.arg("run").args(flags);
    let service = Service::start("redtap", &mut run);
    let ready = wait::within(wait::PATIENCE, || (curl(ask).0 == "200").then_some(()));
    assert!(ready.is_some(), "not ready: {:?}: {}", curl(ask), service.log());
    service
}

#[test]
fn tls_and_passwords_keep_strangers_out_and_let_prometheus_in() {
    let Some(turn) = gate::privileged("TLS and passwords") else { return };
    let certificates = Certificates::new();
    let ca = certificates.certificate("ca").display().to_string();
    let web = certificates.file("web.yml");
    let [certificate, key] = [certificates.certificate("server"), certificates.key("server")];
    let text = format!(
        "tls_server_config:\n  cert_file: {}\n  key_file: {}\n  min_version: TLS12\n\
         http_server_config:\n  headers:\n    X-Frame-Options: deny\n\
         basic_auth_users:\n  prometheus: {PASSWORD}\n",
        certificate.display(),
        key.display()
    );
    std::fs::write(&web, text).expect("a file");
    let [listen, health] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let (base, web) = (format!("https://{listen}"), web.display().to_string());
    let metrics = format!("{base}/metrics");
    let flags = ["--listen", &listen, "--health-listen", &health, "--web-config", &web];
    let allowed = ["--cacert", &ca, "--user", "prometheus:secret"];
    let agent = secured(&turn.redtap, &flags, &[&allowed[..], &[&format!("{base}/readyz")]].concat());
    let status = |arguments: &[&str]| curl(arguments).0;
    assert_eq!(status(&[&allowed[..], &[&metrics]].concat()), "200");
    assert_eq!(status(&["--cacert", &ca, &metrics]), "401");
    assert_eq!(status(&["--cacert", &ca, "--user", "prometheus:wrong", &metrics]), "401");
    assert_eq!(status(&["--cacert", &ca, "--user", "nobody:secret", &metrics]), "401");
    assert_eq!(status(&["--cacert", &ca, &format!("{base}/healthz")]), "401");
    assert_eq!(status(&[&format!("http://{health}/healthz")]), "200");
    assert_eq!(status(&[&format!("http://{health}/metrics")]), "404");
    let old = ["--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"];
    assert_eq!(status(&[&allowed[..], &old[..], &[&metrics]].concat()), "000", "TLS 1.1 is taken");
    let plain = status(&[&format!("http://{listen}/metrics")]);
    assert!(["000", "400"].contains(&plain.as_str()), "plain HTTP: {plain}");
    let (_, told) = curl(&["--cacert", &ca, "--include", &metrics]);
    let told = told.to_ascii_lowercase();
    assert!(told.contains("www-authenticate: basic") && told.contains("x-frame-options: deny"), "{told}");
    // Found by HTTP SD, scraped, both with the same credentials.
    let password = certificates.file("password");
    std::fs::write(&password, "secret\n").expect("a file");
    let credentials = format!("basic_auth: {{username: prometheus, password_file: {}}}", password.display());
    let lines = [format!("tls_config: {{ca_file: {ca}}}"), credentials];
    let prometheus =
        Prometheus::start(&discovering(&format!("{base}/http_sd"), &lines.each_ref().map(String::as_str)), &[]);
    prometheus.until_up();
    let [(url, ..)] = prometheus.targets().try_into().unwrap_or_else(|all| panic!("targets: {all:?}"));
    assert_eq!(url, metrics);
    prometheus.until("redtap_build_info", |value| value > 0.0);
    assert!(!agent.log().contains("secret"), "{}", agent.log());
}

#[test]
fn certificates_and_passwords_are_read_again() {
    let Some(turn) = gate::privileged("web configuration read again") else { return };
    let certificates = Certificates::new();
    let ca = certificates.certificate("ca").display().to_string();
    let web = certificates.file("web.yml");
    let write = |name: &str, more: &str| {
        let (certificate, key) = (certificates.certificate(name), certificates.key(name));
        let text = format!(
            "tls_server_config:\n  cert_file: {}\n  key_file: {}\n{more}",
            certificate.display(),
            key.display()
        );
        std::fs::write(&web, text).expect("a file");
    };
    write("server", "");
    let listen = format!("127.0.0.1:{}", free_port());
    let url = format!("https://{listen}/healthz");
    let path = web.display().to_string();
    let agent = secured(&turn.redtap, &["--listen", &listen, "--web-config", &path], &["--cacert", &ca, &url]);
    write("server", &format!("basic_auth_users:\n  prometheus: {PASSWORD}\n"));
    wait::until("the password to be asked for", || (curl(&["--cacert", &ca, &url]).0 == "401").then_some(()));
    // A broken one leaves the old in force, and is told.
    std::fs::write(&web, "basic_auth_user: {}\n").expect("a file");
    wait::until("the mistake to be told", || {
        // Files are looked at when somebody asks.
        assert_eq!(curl(&["--cacert", &ca, &url]).0, "401");
        agent.log().contains("basic_auth_user").then_some(())
    });
    assert_eq!(curl(&["--cacert", &ca, &url]).0, "401");
    assert_eq!(curl(&["--cacert", &ca, "--user", "prometheus:secret", &url]).0, "200");
}

#[test]
fn client_certificates_are_asked_for() {
    let Some(turn) = gate::privileged("client certificates of the listener") else { return };
    let certificates = Certificates::new();
    let ca = certificates.certificate("ca").display().to_string();
    let web = certificates.file("web.yml");
    let [certificate, key] = [certificates.certificate("server"), certificates.key("server")];
    let text = format!(
        "tls_server_config:\n  cert_file: {}\n  key_file: {}\n  client_auth_type: RequireAndVerifyClientCert\n  \
         client_ca_file: {ca}\n",
        certificate.display(),
        key.display()
    );
    std::fs::write(&web, text).expect("a file");
    let listen = format!("127.0.0.1:{}", free_port());
    let (url, web) = (format!("https://{listen}/metrics"), web.display().to_string());
    let of = |name: &str| {
        [certificates.certificate(name), certificates.key(name)].map(|path| path.display().to_string())
    };
    let [[own, own_key], [strange, strange_key]] = [of("client"), of("other")];
    let known = ["--cacert", &ca, "--cert", &own, "--key", &own_key, url.as_str()];
    let _agent = secured(&turn.redtap, &["--listen", &listen, "--web-config", &web], &known);
    assert_eq!(curl(&["--cacert", &ca, &url]).0, "000", "without a certificate");
    assert_eq!(curl(&["--cacert", &ca, "--cert", &strange, "--key", &strange_key, &url]).0, "000", "a stranger's");
}

#[test]
fn mistakes_in_the_web_configuration_are_told() {
    let Some(turn) = gate::privileged("mistakes in the web configuration") else { return };
    const MISTAKES: [(&str, &str); 4] = [
        ("tls_server_confg: {}\n", "tls_server_confg"),
        ("tls_server_config: {cert_file: nowhere.pem, key_file: nowhere.key}\n", "nowhere"),
        ("basic_auth_users: {me: plain}\n", "bcrypt"),
        ("tls_server_config: {cipher_suites: [X]}\n", "cipher_suites"),
    ];
    let directory = scratch();
    for (text, told) in MISTAKES {
        let file = directory.path().join("web.yml");
        std::fs::write(&file, text).expect("a file");
        let listen = format!("127.0.0.1:{}", free_port());
        let mut run = command(&turn.redtap);
        run.args(["run", "--listen", &listen, "--web-config"]).arg(&file);
        let refusal = Refusal::of(&mut run);
        assert!(refusal.is_orderly() && refusal.errors.contains(told), "{text}: {refusal:?}");
        assert!(!refusal.errors.contains("plain"), "a password is told: {refusal:?}");
    }
}

#[test]
fn a_unix_socket_serves_as_well() {
    let Some(turn) = gate::privileged("a unix socket") else { return };
    let directory = scratch();
    let socket = directory.path().join("redtap.sock");
    let (path, listen) = (socket.display().to_string(), format!("unix:{}", socket.display()));
    let ask = ["--unix-socket", path.as_str(), "http://redtap/readyz"];
    let metrics = ["--unix-socket", path.as_str(), "http://redtap/metrics"];
    let mut agent = secured(&turn.redtap, &["--listen", &listen], &ask);
    let about = std::fs::metadata(&socket).expect("a socket");
    assert!(about.file_type().is_socket());
    assert_eq!(about.permissions().mode() & 0o777, 0o660);
    assert!(curl(&metrics).1.contains("redtap_build_info"));
    let taken = Refusal::of(command(&turn.redtap).args(["run", "--listen", &listen]));
    assert!(taken.is_orderly() && taken.errors.contains(&path), "a live socket was taken: {taken:?}");
    assert_eq!(curl(&ask).0, "200", "still there");
    // One that was killed leaves its socket behind, which is no obstacle.
    agent.signal(rustix::process::Signal::KILL);
    agent.ended();
    assert!(socket.exists());
    let mut agent = secured(&turn.redtap, &["--listen", &listen], &ask);
    agent.signal(rustix::process::Signal::TERM);
    agent.ended();
    assert!(!socket.exists(), "left behind");
}

#[test]
fn forms_and_packing_are_negotiated() {
    let Some(turn) = gate::privileged("negotiation") else { return };
    let agent = Agent::start(&turn.redtap, &[]);
    let url = format!("http://{}/metrics", agent.listen());
    const PROTOBUF: &str =
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    // What Prometheus 3 sends, with native histograms and without; what others do.
    let cases = [
        (format!("{PROTOBUF};q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"), PROTOBUF),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3"
                .to_owned(),
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
        ),
        ("text/plain;version=0.0.4".to_owned(), "text/plain; version=0.0.4; charset=utf-8"),
        ("image/png".to_owned(), "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;q=0,text/plain".to_owned(), "text/plain; version=0.0.4; charset=utf-8"),
    ];
    let bare = |text: &str| text.replace("; ", ";").to_ascii_lowercase();
    for (accept, expected) in cases {
        let accept = format!("Accept: {accept}");
        let write = ["--output", "/dev/null", "--write-out", "%{content_type}\n200"];
        let (_, told) = curl(&[&write[..], &["--header", &accept, &url]].concat());
        assert!(bare(&told).starts_with(&bare(expected)), "{accept}: {told}");
    }
    let packed =
        ["--header", "Accept-Encoding: gzip", "--dump-header", "-", "--output", "/dev/null", url.as_str()];
    let (_, head) = curl(&packed);
    let head = head.to_ascii_lowercase();
    assert!(head.contains("content-encoding: gzip") && head.contains("vary:"), "{head}");
    let (_, unpacked) = curl(&["--compressed", &url]);
    assert!(unpacked.contains("redtap_build_info"), "{unpacked}");
    let (_, head) = curl(&["--header", "Accept-Encoding: gzip;q=0", "--head", "--request", "GET", &url]);
    assert!(!head.to_ascii_lowercase().contains("content-encoding"), "{head}");
}

#[test]
fn service_discovery_is_valid() {
    let Some(turn) = gate::privileged("HTTP SD") else { return };
    let agent = Agent::start(&turn.redtap, &["--advertise-address", "shop-7.example:9440"]);
    let answer = http::get(agent.listen(), "/http_sd").expect("an answer");
    assert_eq!(answer.status, 200);
    assert!(answer.head.to_ascii_lowercase().contains("content-type: application/json"), "{}", answer.head);
    let groups: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(groups[0]["targets"], serde_json::json!(["shop-7.example:9440"]), "{groups}");
    let mut keys: Vec<_> = groups[0].as_object().expect("a group").keys().collect();
    keys.sort();
    assert_eq!(keys, ["labels", "targets"], "Prometheus refuses unknown keys");
    assert!(groups[0]["labels"].as_object().is_some_and(|labels| labels.values().all(|value| value.is_string())));
    // Without an address to advertise, the one that it listens on.
    let agent = Agent::start(&turn.redtap, &[]);
    let prometheus = Prometheus::start(&discovering(&format!("http://{}/http_sd", agent.listen()), &[]), &[]);
    prometheus.until_up();
    assert_eq!(prometheus.targets()[0].0, format!("http://{}/metrics", agent.listen()));
}

#[test]
fn a_thousand_scrapes_in_parallel_hurt_nobody() {
    let Some(turn) = gate::privileged("a thousand scrapes") else { return };
    const SCRAPES: usize = 1000;
    let agent = Agent::start(&turn.redtap, &[]);
    let server = nginx(&Place::Host);
    let before = agent.scrape().sum("process_resident_memory_bytes", &[]);
    // Opened at once, and kept by curl when they were answered; some are refused, none is left hanging.
    let listen = agent.listen();
    let mut load = Command::new(tool("curl"));
    load.args(["--silent", "--parallel", "--parallel-immediate", "--parallel-max", "300"]);
    load.args(["--max-time", "30", "--output", "/dev/null", "--write-out", "%{http_code}\n"]);
    load.arg(format!("http://{listen}/metrics?[1-{SCRAPES}]")).stdout(Stdio::piped()).stderr(Stdio::null());
    let load = load.spawn().expect("curl runs");
    // Meanwhile, exchanges are told as ever.
    let mut caller = redtap_tests::caller::Caller::connect(server.address());
    for _ in 0..200 {
        assert_eq!(caller.get("/small", &[]), 200);
    }
    let told = load.wait_with_output().expect("curl ends");
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let served = told.lines().filter(|status| *status == "200").count();
    let refused = told.lines().filter(|status| ["503", "429"].contains(status)).count();
    assert_eq!(served + refused, told.lines().count(), "{told}");
    assert!(served > 0, "none was served");
    let expected = ROLES.map(|role| Entry::answered(role, server.port(), "GET", "/small", 200));
    let expected: Vec<_> = std::iter::repeat_n(expected, 200).flatten().collect();
    agent.assert_ledger("during a thousand scrapes", &[server.port()], &expected);
    let begin = Instant::now();
    let after = agent.scrape().sum("process_resident_memory_bytes", &[]);
    assert!(begin.elapsed() < Duration::from_secs(2), "a scrape takes {:?}", begin.elapsed());
    assert!(after - before < 64.0 * 1024.0 * 1024.0, "from {before} to {after} bytes");
}

#[test]
fn readiness_is_the_truth() {
    let Some(turn) = gate::privileged("readiness") else { return };
    let health = format!("127.0.0.1:{}", free_port());
    let address = health.parse().expect("an address");
    let agent = Agent::start(&turn.redtap, &["--health-listen", &health]);
    for page in ["/healthz", "/readyz"] {
        assert_eq!(http::get(address, page).expect("an answer").status, 200, "{page}");
    }
    assert_eq!(http::get(address, "/").expect("an answer").status, 404);
    let port = raw::fence();
    agent.until("the fence", |lines| (redtap_tests::agent::exchanges_at(lines, port).len() == 2).then_some(()));
    // A slow asker is none of the other's concern.
    let slow = TcpStream::connect(address).expect("a connection");
    let asked = thread::spawn(move || http::get(address, "/healthz").map(|answer| answer.status));
    assert_eq!(asked.join().expect("a thread").expect("an answer"), 200);
    drop(slow);
    assert!(agent.stop().status.success());
    assert!(http::get(address, "/healthz").is_err(), "healthy after its end");
}
