//! Real servers on free ports. All serve `/small` (612 bytes), `/large` (1 MiB), `/empty` and nothing at `/missing`;
//! what they say to other methods is theirs, the client's ledger tells.

mod native;
mod programs;

use std::net::SocketAddr;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::gate;
use crate::process::{Place, Service};

/// A running server, and what runs before or behind it.
pub struct Server {
    /// Its processes, the one that clients talk to last.
    pub services: Vec<Service>,
    /// Every port that clients' requests come by, the one that clients talk to last.
    pub ports: Vec<u16>,
    /// Its files.
    pub directory: TempDir,
}

impl Server {
    /// The port that clients talk to.
    ///
    /// # Panics
    /// Never: a server has a port.
    #[must_use]
    pub fn port(&self) -> u16 {
        *self.ports.last().expect("a port")
    }

    /// Where clients talk to it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port()))
    }

    /// `http://` and its address.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The process that clients talk to.
    ///
    /// # Panics
    /// Never: a server has a process.
    #[must_use]
    pub fn service(&self) -> &Service {
        self.services.last().expect("a process")
    }
}

/// A kind of server.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Its name in failures.
    pub name: &'static str,
    /// `/chunked` gives a body of chunks.
    pub chunks: bool,
    /// What it does with the bodies of requests.
    pub bodies: Bodies,
    /// Starts one.
    pub start: fn(&Place) -> Server,
}

/// What a server does with the body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bodies {
    /// Breaks the connection over it.
    Refused,
    /// Answers without waiting for it, and reads it later: how much of a long one a client sends is a matter of luck.
    Late,
    /// Reads it, then answers.
    Read,
}

/// Every kind.
pub const KINDS: [Kind; 10] = [
    Kind { name: "nginx", chunks: false, bodies: Bodies::Late, start: nginx },
    Kind {
        name: "apache with mpm_event",
        chunks: false,
        bodies: Bodies::Late,
        start: |place| native::apache(place, "event"),
    },
    Kind {
        name: "apache with mpm_prefork",
        chunks: false,
        bodies: Bodies::Read,
        start: |place| native::apache(place, "prefork"),
    },
    Kind { name: "haproxy before nginx", chunks: false, bodies: Bodies::Late, start: native::haproxy },
    Kind { name: "python http.server", chunks: false, bodies: Bodies::Refused, start: python },
    Kind { name: "uvicorn", chunks: true, bodies: Bodies::Read, start: programs::uvicorn },
    Kind { name: "node", chunks: true, bodies: Bodies::Read, start: programs::node },
    Kind { name: "go net/http", chunks: true, bodies: Bodies::Read, start: programs::go },
    Kind { name: "java HttpServer", chunks: true, bodies: Bodies::Read, start: programs::java },
    Kind { name: "io_uring", chunks: false, bodies: Bodies::Read, start: programs::uring },
];

pub use native::{nginx, nginx_requests};
pub use programs::{go_client, go_tls, python};

/// A directory with the files that static servers serve.
fn document_root() -> TempDir {
    let directory = crate::process::scratch();
    for (name, bytes) in [("small", 612), ("large", 1 << 20), ("empty", 0)] {
        std::fs::write(directory.path().join(name), vec![b's'; bytes]).expect("a file to serve");
    }
    directory
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn program(name: &str) -> PathBuf {
    gate::own("programs").join(name)
}
