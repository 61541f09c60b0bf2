//! Real clients, each with a ledger of what it asked and what it got.

use std::process::Command;

use crate::gate::{own, tool};
use crate::ledger::{Entry, Expect, outcome_of};
use crate::line::ROLES;
use crate::process::{output, scratch};
use crate::servers::{Bodies, Kind, Server, go_client};

/// One exchange as a client tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Method.
    pub method: String,
    /// Path.
    pub path: String,
    /// Status code.
    pub status: u16,
    /// Body bytes sent.
    pub sent: u64,
    /// `sent` is also what the server got.
    pub sent_known: bool,
    /// Body bytes received; on the wire.
    pub received: u64,
    /// HTTP version of the request.
    pub version: &'static str,
}

impl Told {
    /// What the agent is to tell of it at both sides of each of the server's ports.
    #[must_use]
    pub fn entries(&self, server: &Server) -> Vec<Entry> {
        let front = server.port();
        let at_port = |port: u16| {
            ROLES.map(|role| Entry {
                outcome: Expect::Is(outcome_of(role, self.status)),
                request_body: if self.sent_known { Expect::Is(self.sent) } else { Expect::Any },
                response_body: Expect::Is(self.received),
                // A proxy speaks its own version.
                version: if port == front { Expect::Is(self.version.to_owned()) } else { Expect::Any },
                ..Entry::answered(role, port, &self.method, &self.path, self.status)
            })
        };
        server.ports.iter().flat_map(|port| at_port(*port)).collect()
    }
}

/// A kind of client.
#[derive(Clone, Copy)]
pub struct Client {
    /// Its name in failures.
    pub name: &'static str,
    /// Makes its requests of a server.
    pub run: fn(&Server, Kind) -> Vec<Told>,
}

/// Every kind.
pub const CLIENTS: [Client; 5] = [
    Client { name: "curl", run: curl_mix },
    Client { name: "curl --http1.0", run: curl_1_0 },
    Client {
        name: "python http.client and urllib",
        run: |server, kind| program("python3", "client.py", server, kind),
    },
    Client { name: "node fetch", run: |server, kind| program("node", "client.mjs", server, kind) },
    Client { name: "go net/http", run: |server, kind| listed(&mut Command::new(go_client()), server, kind) },
];

fn program(interpreter: &str, name: &str, server: &Server, kind: Kind) -> Vec<Told> {
    listed(Command::new(tool(interpreter)).arg(own("programs").join(name)), server, kind)
}

/// A client that prints a line for each exchange: method, path, status, bytes sent, bytes received.
fn listed(command: &mut Command, server: &Server, kind: Kind) -> Vec<Told> {
    let bodies = match kind.bodies {
        Bodies::Refused => "none",
        Bodies::Late => "short",
        Bodies::Read => "long",
    };
    let text = output(command.args([&server.base(), bodies]));
    let told: Vec<Told> = text.lines().filter_map(|line| parse(line, "1.1")).collect();
    assert_eq!(told.len(), text.lines().count(), "not all lines of a client understood: {text}");
    told
}

fn parse(line: &str, version: &'static str) -> Option<Told> {
    let mut words = line.split(' ');
    Some(Told {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        status: words.next()?.parse().ok()?,
        sent: words.next()?.parse().ok()?,
        received: words.next()?.parse().ok()?,
        sent_known: true,
        version,
    })
}

/// Each by a curl of its own: one would try the old connection first, and not tell that it then asked again.
fn curl_1_0(server: &Server, _: Kind) -> Vec<Told> {
    ["/small", "/missing"].into_iter().flat_map(|path| curl(server, &[vec![path]], "1.0")).collect()
}

/// What curl asks, each with its arguments, all on as few connections as the server allows.
fn curl_mix(server: &Server, kind: Kind) -> Vec<Told> {
    let upload = server.directory.path().join("upload");
    std::fs::write(&upload, vec![b'u'; 1 << 20]).expect("a file to upload");
    let upload = format!("@{}", upload.display());
    let mut asked: Vec<Vec<&str>> = vec![vec!["/small"]; 20];
    asked.extend([
        vec!["/large"],
        vec!["/empty"],
        vec!["/missing"],
        vec!["/small", "--head"],
        vec!["/large", "--range", "0-99"],
        vec!["/small", "--request", "OPTIONS"],
    ]);
    if kind.chunks {
        asked.extend([vec!["/chunked"], vec!["/small"]]);
    }
    if kind.bodies != Bodies::Refused {
        asked.extend([
            vec!["/small", "--data", "some form data"],
            vec!["/small", "--request", "PUT", "--data", "put"],
            vec!["/small", "--request", "DELETE"],
        ]);
    }
    if kind.bodies == Bodies::Read {
        asked.extend([
            vec!["/small", "--data-binary", &upload, "--header", "Expect:"],
            vec!["/small", "--data-binary", &upload, "--header", "Expect: 100-continue"],
            vec!["/small"],
        ]);
    }
    curl(server, &asked, "1.1")
}

fn curl(server: &Server, asked: &[Vec<&str>], version: &'static str) -> Vec<Told> {
    let mut command = Command::new(tool("curl"));
    // What curl counts as downloaded is without chunked framing, what it writes under `--raw` is with it.
    let bodies = scratch();
    let body = |number: usize| bodies.path().join(number.to_string());
    for (number, arguments) in asked.iter().enumerate() {
        let [path, options @ ..] = arguments.as_slice() else { panic!("curl without a path") };
        if number > 0 {
            command.arg("--next");
        }
        command.args(["--silent", "--show-error", "--raw", &format!("--http{version}"), "--output"]);
        command.arg(body(number));
        command.args([
            "--write-out",
            &format!("%{{method}} {path} %{{http_code}} %{{size_upload}} %{{size_download}}\\n"),
        ]);
        command.args(options).arg(format!("{}{path}", server.base()));
    }
    let text = output(&mut command);
    let mut told: Vec<Told> = text.lines().filter_map(|line| parse(line, version)).collect();
    assert_eq!(told.len(), asked.len(), "curl told of other exchanges than it was asked to make: {text}");
    for (number, (told, arguments)) in told.iter_mut().zip(asked).enumerate() {
        // Refused, the body stays unsent, or half sent.
        told.sent_known = told.status < 400 || !arguments.contains(&"--data-binary");
        if told.method != "HEAD" {
            told.received = std::fs::metadata(body(number)).map_or(0, |file| file.len());
        }
    }
    told
}
