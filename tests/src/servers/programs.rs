//! Servers of the languages' own libraries, and one on io_uring.

use std::path::PathBuf;
use std::process::Command;

use super::{Server, document_root, loopback, program};
use crate::gate::{built, cache, free_port, own, tool};
use crate::process::{Place, Service, output};

/// The version of uvicorn, and of what it parses HTTP with.
const UVICORN: [&str; 2] = ["uvicorn==0.54.0", "h11==0.16.0"];

/// Python's `http.server`, HTTP/1.1 with keep-alive.
///
/// # Panics
/// When it does not start.
#[must_use]
pub fn python(place: &Place) -> Server {
    let directory = document_root();
    let port = free_port();
    let mut command = place.command(&tool("python3"));
    command.args([
        "-m",
        "http.server",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--protocol",
        "HTTP/1.1",
        "--directory",
    ]);
    let service =
        Service::start("python3 -m http.server", command.arg(directory.path()).env("PYTHONUNBUFFERED", "1"));
    let service = service.ready_in(place, loopback(port));
    Server { services: vec![service], ports: vec![port], directory }
}

/// uvicorn from PyPI, in a virtual environment of its own.
pub(super) fn uvicorn(place: &Place) -> Server {
    let environment = cache("venv");
    let uvicorn = environment.join("bin/uvicorn");
    if !uvicorn.is_file() {
        output(Command::new(tool("python3")).args(["-m", "venv"]).arg(&environment));
        output(Command::new(environment.join("bin/pip")).args(["install", "--quiet"]).args(UVICORN));
    }
    start(place, "uvicorn", |port| {
        let mut command = place.command(&uvicorn);
        command.args([
            "app:app",
            "--host",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--http",
            "h11",
            "--app-dir",
        ]);
        // No compiled copies among the sources.
        command.arg(own("programs")).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    })
}

/// `node:http`.
pub(super) fn node(place: &Place) -> Server {
    start(place, "node", |port| {
        let mut command = place.command(&tool("node"));
        command.arg(program("server.mjs")).args(["127.0.0.1", &port.to_string()]);
        command
    })
}

/// Go's `net/http`.
pub(super) fn go(place: &Place) -> Server {
    let server = go_program("server");
    start(place, "go", |port| {
        let mut command = place.command(&server);
        command.arg(loopback(port).to_string());
        command
    })
}

/// The client of Go's `net/http`, built.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn go_client() -> PathBuf {
    go_program("client")
}

/// The client and server of Go's `crypto/tls`, built.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn go_tls() -> PathBuf {
    go_program("tls")
}

/// One of the programs in Go, which may be built already: not every kernel is one with a compiler.
fn go_program(name: &str) -> PathBuf {
    if let Some(built) = std::env::var_os("REDTAP_GO_PROGRAMS") {
        return PathBuf::from(built).join(name);
    }
    let directory = cache("go");
    let mut build = Command::new(tool("go"));
    build.args(["build", "-o"]).arg(&directory).arg("./...").current_dir(program("go"));
    output(build.env("CGO_ENABLED", "0").env("GOFLAGS", "-buildvcs=false"));
    directory.join(name)
}

/// The JDK's `com.sun.net.httpserver`.
pub(super) fn java(place: &Place) -> Server {
    start(place, "java", |port| {
        let mut command = place.command(&tool("java"));
        command.arg(program("Server.java")).args(["127.0.0.1", &port.to_string()]);
        command
    })
}

/// A server of ours whose sockets only io_uring touches.
pub(super) fn uring(place: &Place) -> Server {
    start(place, "uring-server", |port| {
        let mut command = place.command(&built("uring-server"));
        command.arg(loopback(port).to_string());
        command
    })
}

fn start(place: &Place, name: &str, command: impl FnOnce(u16) -> Command) -> Server {
    let port = free_port();
    let service = Service::start(name, &mut command(port)).ready_in(place, loopback(port));
    Server { services: vec![service], ports: vec![port], directory: crate::process::scratch() }
}
