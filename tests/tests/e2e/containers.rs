//! Whose traffic it is, without Kubernetes: containers as each runtime places them, units, plain processes.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use redtap_tests::agent::Agent;
use redtap_tests::container::{Cgroup, Container};
use redtap_tests::gate::{self, free_port, fresh_listener, tool};
use redtap_tests::kernel::map_entries;
use redtap_tests::line::{Exchange, Role};
use redtap_tests::process::{self, Service, output};
use redtap_tests::servers::python;
use tempfile::TempDir;

/// Requests to each server.
const REQUESTS: usize = 5;

/// Processes that ask once and end.
const ASKED: usize = 20;

/// How long they wait for the answer: less than the agent leaves its rings alone.
const ANSWERING: Duration = Duration::from_millis(10);

/// Programs that end, of which the kernel side tells by this map until they have used the network.
const PROGRAMS: u64 = 300;
const EXECS: &str = "EXECS";

/// How many exchanges bear the name they should, none, or another.
#[derive(Debug, Default, PartialEq, Eq)]
struct Score {
    right: usize,
    unknown: usize,
    wrong: usize,
}

impl Score {
    fn of(exchanges: &[Exchange], role: Role, expected: &str) -> Self {
        let mut score = Self::default();
        for exchange in exchanges.iter().filter(|exchange| exchange.role == role) {
            match exchange.service_name.as_deref() {
                Some(name) if name == expected => score.right += 1,
                None | Some("unknown_service") => score.unknown += 1,
                Some(_) => score.wrong += 1,
            }
        }
        score
    }
}

fn id(digit: char) -> String {
    String::from(digit).repeat(64)
}

fn ask(port: u16, times: usize) {
    let urls = vec![format!("http://127.0.0.1:{port}/small"); times];
    for url in urls {
        output(Command::new(tool("curl")).args([
            "-sS",
            "--fail",
            "--retry",
            "20",
            "--retry-connrefused",
            "--retry-delay",
            "1",
            "-o",
            "/dev/null",
            &url,
        ]));
    }
}

#[test]
fn containers_are_known_by_their_cgroups_whatever_runs_them() {
    let Some(turn) = gate::privileged("containers of several runtimes") else { return };
    let agent = Agent::start(&turn.redtap, &[]);
    let mut scores = Vec::new();
    for (runtime, path, container) in [
        ("docker", format!("/docker/{}", id('a')), id('a')),
        ("docker-systemd", format!("/system.slice/docker-{}.scope", id('b')), id('b')),
        ("podman", format!("/machine.slice/libpod-{}.scope", id('c')), id('c')),
        (
            "crio",
            format!(
                "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod2f1c9a4e_0b7d_4a53_9c1e_5d8f6b3a7e20.slice/crio-{}.scope",
                id('d')
            ),
            id('d'),
        ),
        (
            "containerd",
            format!("/kubepods/burstable/pod2f1c9a4e-0b7d-4a53-9c1e-5d8f6b3a7e21/{}", id('e')),
            id('e'),
        ),
    ] {
        let (port, name) = (free_port(), format!("in-{runtime}"));
        let listen = format!("127.0.0.1:{port}");
        let arguments = ["httpd", "-f", "-p", &listen, "-h", "/www"];
        let server = Container::start(&path, &arguments, &[("OTEL_SERVICE_NAME", &name)]);
        ask(port, REQUESTS);
        agent.fence();
        scores.push((name.clone(), Score::of(&agent.exchanges(port), Role::Server, &name)));
        let scrape = agent.scrape();
        let labels = [("service_name", name.as_str())];
        let told: Vec<_> = scrape.find("target_info", &labels).collect();
        assert_eq!(told.len(), 1, "{runtime}: {told:?}");
        assert_eq!(told[0].0.get("container_id"), Some(&container), "{runtime}");
        drop(server);
    }
    println!("attributed: {scores:?}");
    for (name, score) in scores {
        assert_eq!(score, Score { right: REQUESTS, unknown: 0, wrong: 0 }, "{name}");
    }
}

#[test]
fn a_container_that_asks_once_and_ends_is_known() {
    let Some(turn) = gate::privileged("a short-lived container") else { return };
    let agent = Agent::start(&turn.redtap, &[]);
    let server = python(&process::Place::Host);
    agent.fence();
    let url = format!("{}/small", server.base());
    for (asked, digit) in ['1', '2', '3'].into_iter().enumerate() {
        let path = format!("/docker/{}", id(digit));
        let arguments = ["wget", "-q", "-O", "/dev/null", url.as_str()];
        let mut client = Container::start(&path, &arguments, &[]);
        assert!(client.service().ended().success());
        agent.fence();
        let score = Score::of(&agent.exchanges(server.port()), Role::Client, "busybox");
        assert_eq!(score, Score { right: asked + 1, unknown: 0, wrong: 0 });
        // Its process is gone by now: it is its socket that tells.
        let scrape = agent.scrape();
        let labels = [("service_name", "busybox")];
        let told: Vec<_> =
            scrape.find("target_info", &labels).map(|(labels, _)| labels.get("container_id")).collect();
        assert_eq!(told, [Some(&id(digit))]);
    }
}

#[test]
fn what_lives_for_milliseconds_is_known_by_what_it_declares() {
    let Some(turn) = gate::privileged("short-lived processes") else { return };
    let agent = Agent::start(&turn.redtap, &[]);
    let listener = fresh_listener(Ipv4Addr::LOCALHOST.into());
    let address = listener.local_addr().expect("a bound address");
    thread::scope(|scope| {
        scope.spawn(|| {
            for connection in listener.incoming().take(ASKED) {
                connection.and_then(answer).expect("a request and its answer");
            }
        });
        for _ in 0..ASKED {
            let mut curl = Command::new(tool("curl"));
            curl.args(["-sS", "-o", "/dev/null", &format!("http://{address}/")]);
            output(curl.env("OTEL_SERVICE_NAME", "brief"));
        }
    });
    agent.fence();
    let score = Score::of(&agent.exchanges(address.port()), Role::Client, "brief");
    assert_eq!(score, Score { right: ASKED, unknown: 0, wrong: 0 });
}

#[test]
fn units_name_what_runs_in_them_and_rules_come_first() {
    let Some(turn) = gate::privileged("systemd units") else { return };
    let unit = format!("redtap-story-{}", std::process::id());
    let rule = format!("unit={unit}-ruled -> {{unit}}-by-rule,namespace=shop");
    let agent = Agent::start(&turn.redtap, &["--service-rules", &rule]);
    for (unit, expected, namespace) in [
        (unit.clone(), unit.clone(), None),
        (format!("{unit}-ruled"), format!("{unit}-ruled-by-rule"), Some("shop")),
    ] {
        let cgroup = Cgroup::new(&format!("/system.slice/{unit}.service"));
        let (server, _files, port) = served_in(&cgroup);
        ask(port, REQUESTS);
        agent.fence();
        let exchanges = agent.exchanges(port);
        assert_eq!(Score::of(&exchanges, Role::Server, &expected), Score { right: REQUESTS, ..Score::default() });
        assert_eq!(Score::of(&exchanges, Role::Client, "curl").wrong, 0, "{exchanges:?}");
        let of_server = exchanges.iter().find(|exchange| exchange.role == Role::Server);
        assert_eq!(of_server.and_then(|exchange| exchange.service_namespace.as_deref()), namespace);
        drop(server);
    }
}

#[test]
fn programs_that_have_ended_are_kept_by_nobody() {
    let Some(turn) = gate::privileged("programs that have ended") else { return };
    let _agent = Agent::start(&turn.redtap, &[]);
    let before = map_entries(EXECS);
    for _ in 0..PROGRAMS {
        assert!(Command::new(tool("true")).status().expect("true runs").success());
    }
    let left = map_entries(EXECS).saturating_sub(before);
    assert!(left < PROGRAMS / 10, "{left} of {PROGRAMS}");
}

#[test]
fn what_is_not_selected_is_not_told_and_costs_the_kernel_a_look() {
    let Some(turn) = gate::privileged("selectors") else { return };
    let (watched, ignored) = (python(&process::Place::Host), python(&process::Place::Host));
    let exclude = format!("port={}", ignored.port());
    let agent = Agent::start(&turn.redtap, &["--exclude", &exclude]);
    for server in [&watched, &ignored] {
        ask(server.port(), REQUESTS);
    }
    agent.fence();
    assert_eq!(agent.exchanges(watched.port()).len(), 2 * REQUESTS);
    assert_eq!(agent.exchanges(ignored.port()).len(), 0);
    let scrape = agent.scrape();
    let port = ignored.port().to_string();
    assert_eq!(scrape.find("redtap_tcp_connections_opened_total", &[("server_port", &port)]).count(), 0);
    scrape.assert_books();
}

#[expect(clippy::disallowed_methods, reason = "how long the answer takes is what the story is about")]
fn answer(mut stream: TcpStream) -> io::Result<()> {
    let _ = stream.read(&mut [0; 1024])?;
    thread::sleep(ANSWERING);
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
}

/// busybox's web server in a cgroup, from its first moment on.
fn served_in(cgroup: &Cgroup) -> (Service, TempDir, u16) {
    let (port, files) = (free_port(), process::scratch());
    std::fs::write(files.path().join("small"), "s".repeat(612)).expect("a file to serve");
    let script = "echo $$ > \"$1\" && exec \"$2\" httpd -f -p \"127.0.0.1:$3\" -h \"$4\"";
    let mut command = process::Place::Host.command(&tool("sh"));
    command.args(["-c", script, "sh"]).arg(cgroup.members()).arg(tool("busybox"));
    command.arg(port.to_string()).arg(files.path());
    (Service::start("httpd in a unit", &mut command), files, port)
}
