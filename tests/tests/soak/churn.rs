//! What comes and goes: each kind of it again and again, on a thread of its own.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use redtap_tests::agent::Agent;
use redtap_tests::caller::Caller;
use redtap_tests::container::Cgroup;
use redtap_tests::endpoint::{Endpoint, Reply};
use redtap_tests::gate::{free_port, tool};
use redtap_tests::hosts::{Hosts, VERSIONS};
use redtap_tests::http;
use redtap_tests::process::{Place, output, scratch, signal};
use redtap_tests::servers::{Server, nginx};
use redtap_tests::wait::{self, PATIENCE};
use rustix::process::Signal;
use tempfile::TempDir;

/// Connections that stay open all the time.
const KEPT: usize = 50;

/// Programs, each with a name of its own.
const PROGRAMS: usize = 12;

/// A kind of coming and going.
struct Kind {
    name: &'static str,
    /// Time between two rounds.
    pause: Duration,
    /// One round, with its number.
    round: fn(&World, usize),
}

const KINDS: [Kind; 8] = [
    Kind { name: "connections", pause: Duration::from_millis(100), round: connections },
    Kind { name: "kept", pause: Duration::from_millis(500), round: kept },
    Kind { name: "datagrams", pause: Duration::from_millis(200), round: datagrams },
    Kind { name: "processes", pause: Duration::from_millis(100), round: processes },
    Kind { name: "cgroups", pause: Duration::from_millis(200), round: cgroups },
    Kind { name: "namespaces", pause: Duration::from_millis(500), round: namespaces },
    Kind { name: "settings", pause: Duration::from_secs(1), round: settings },
    Kind { name: "scrapes", pause: Duration::from_secs(1), round: scrapes },
];

/// What is there all the time.
pub struct World {
    /// The agent.
    pub agent: Agent,
    server: Server,
    kept: Mutex<Vec<Caller>>,
    programs: Vec<PathBuf>,
    /// The agent's settings.
    file: PathBuf,
    /// Takes the agent's remote write.
    receiver: Endpoint,
    /// What comes and goes; everything if nothing is named.
    kinds: Vec<String>,
    _directory: TempDir,
}

impl World {
    /// Starts everything; `start` an agent with the settings in a file. `kinds` come and go, or all.
    ///
    /// # Panics
    /// When one of `kinds` is none.
    pub fn start(kinds: Vec<String>, start: impl FnOnce(&str) -> Agent) -> Self {
        let unknown = kinds.iter().find(|own| KINDS.iter().all(|kind| kind.name != own.as_str()));
        assert!(unknown.is_none(), "{unknown:?} is none of {:?}", KINDS.map(|kind| kind.name));
        let directory = scratch();
        let receiver = Endpoint::start(Reply::status(204));
        let file = directory.path().join("redtap.yaml");
        fs::write(&file, usual(&receiver)).expect("a file of settings");
        let server = nginx(&Place::Host);
        let agent = start(&file.display().to_string());
        let kept = Mutex::new((0..KEPT).map(|_| Caller::connect(server.address())).collect());
        let program = |number| {
            // busybox answers to every name that begins like this, and no two are the same file.
            let program = directory.path().join(format!("busybox-{number}"));
            fs::copy(tool("busybox"), &program).expect("a program of another name");
            program
        };
        let programs = (0..PROGRAMS).map(program).collect();
        Self { agent, server, kept, programs, file, receiver, kinds, _directory: directory }
    }

    /// Has everything come and go for so long, and tells how often each kind did. The usual settings are in force then.
    pub fn live(&self, time: Duration) -> String {
        let end = Instant::now() + time;
        let rounds = thread::scope(|scope| {
            let again = |kind: &'static Kind| {
                let mut rounds = 0;
                while Instant::now() < end {
                    (kind.round)(self, rounds);
                    rounds += 1;
                    pause(kind.pause.min(end.saturating_duration_since(Instant::now())));
                }
                (kind.name, rounds)
            };
            let kinds =
                KINDS.iter().filter(|kind| self.kinds.is_empty() || self.kinds.iter().any(|own| own == kind.name));
            let threads: Vec<_> = kinds.map(|kind| scope.spawn(move || again(kind))).collect();
            let done =
                threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
            done.collect::<BTreeMap<_, _>>()
        });
        self.reload(&usual(&self.receiver));
        rounds.into_iter().map(|(name, rounds)| format!("{name} {rounds}")).collect::<Vec<_>>().join(", ")
    }

    fn reload(&self, text: &str) {
        let answers = || self.agent.log().matches("SIGHUP: ").count();
        let before = answers();
        fs::write(&self.file, text).expect("a file of settings");
        signal(self.agent.pid(), Signal::HUP);
        wait::until("the agent to read its settings again", || (answers() > before).then_some(()));
    }

    fn url(&self) -> String {
        format!("{}/small", self.server.base())
    }
}

/// Lets time pass.
pub fn pause(time: Duration) {
    let _ = wait::within(time, || None::<()>);
}

/// The settings that are in force at the beginning and at the end. Series of what has gone are to go soon.
fn usual(receiver: &Endpoint) -> String {
    format!("remote_write_url: {}/\nremote_write_interval: 1s\nseries_ttl: 10s\n", receiver.url())
}

/// New connections: some short, some with a long body, one refused.
fn connections(world: &World, _: usize) {
    for _ in 0..100 {
        assert_eq!(http::get(world.server.address(), "/hello").expect("an answer").status, 200);
    }
    assert_eq!(http::get(world.server.address(), "/large").expect("an answer").body.len(), 1 << 20);
    let nobody = ([127, 0, 0, 1], free_port_of_nobody()).into();
    assert!(http::get(nobody, "/").is_err(), "an answer of nobody");
}

/// The same one every time, lest ports of refused connections be a story of their own.
fn free_port_of_nobody() -> u16 {
    static PORT: std::sync::OnceLock<u16> = std::sync::OnceLock::new();
    *PORT.get_or_init(free_port)
}

/// A request on each connection that stays.
fn kept(world: &World, round: usize) {
    let mut kept = world.kept.lock().expect("callers");
    for caller in kept.iter_mut() {
        let target = if round.is_multiple_of(20) { "/large" } else { "/small" };
        assert_eq!(caller.get(target, &[]), 200);
    }
}

fn datagrams(_: &World, _: usize) {
    let bound = || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        socket
    };
    let server = bound();
    for _ in 0..20 {
        let client = bound();
        client.connect(server.local_addr().expect("an address")).expect("a peer");
        client.send(&[7; 100]).expect("a datagram to be sent");
        let (length, from) = server.recv_from(&mut [0; 200]).expect("a datagram to arrive");
        server.send_to(&[7; 100][..length], from).expect("a datagram to be sent");
        client.recv(&mut [0; 200]).expect("a datagram to arrive");
    }
}

/// Processes that live for one request.
fn processes(world: &World, round: usize) {
    let program = &world.programs[round % world.programs.len()];
    output(Place::Host.command(program).args(["wget", "-q", "-O", "/dev/null", &world.url()]));
    let curl = ["--silent", "--show-error", "--output", "/dev/null", &world.url()];
    output(Place::Host.command(&tool("curl")).args(curl));
}

/// A cgroup with one process in it.
fn cgroups(world: &World, round: usize) {
    let cgroup = Cgroup::new(&format!("redtap-soak-{}/{round}", std::process::id()));
    let (members, program) = (cgroup.members(), &world.programs[round % world.programs.len()]);
    let request = format!("exec {} wget -q -O /dev/null {}", program.display(), world.url());
    let line = format!("echo $$ > {} && {request}", members.display());
    output(Place::Host.command(&tool("sh")).args(["-c", &line]));
}

/// Two network namespaces with a wire between them, and connections over it.
fn namespaces(_: &World, round: usize) {
    const CONNECTIONS: usize = 10;
    let hosts = Hosts::new(&format!("soak{round}"));
    let address = hosts.server.at(VERSIONS[round % VERSIONS.len()], 8080);
    let listener = hosts.server.enter(|| TcpListener::bind(address)).expect("a listener");
    thread::scope(|scope| {
        scope.spawn(|| (0..CONNECTIONS).for_each(|_| answer(&listener)));
        hosts.client.enter(|| {
            for _ in 0..CONNECTIONS {
                assert_eq!(http::get(address, "/far").expect("an answer").body, "ok");
            }
        });
    });
}

fn answer(listener: &TcpListener) {
    // Who waits for ever keeps the test from failing.
    listener.set_nonblocking(true).expect("no waiting");
    let (mut stream, _) = wait::until("a connection", || listener.accept().ok());
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut some = [0; 1024];
        let length = stream.read(&mut some).expect("a request");
        assert!(length > 0, "half a request");
        head.extend(&some[..length]);
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        .expect("an answer to be sent");
}

/// Settings that change what is exported and by which name, are not valid, and are the usual ones again.
fn settings(world: &World, round: usize) {
    let usual = usual(&world.receiver);
    let text = match round % 3 {
        0 => {
            let less = "exclude_attributes: 'http.*:http.response.status_code'\nexternal_labels: [soak=yes]\n";
            usual.replace("10s", "12s") + less
        }
        1 => "series_ttl: soon\n".to_owned(),
        _ => usual,
    };
    world.reload(&text);
}

/// All that the agent shows.
fn scrapes(world: &World, _: usize) {
    let _ = world.agent.scrape();
    for page in ["/", "/api/v1/graph", "/healthz", "/http_sd"] {
        assert_eq!(http::get(world.agent.listen(), page).expect("an answer").status, 200, "{page}");
    }
}
