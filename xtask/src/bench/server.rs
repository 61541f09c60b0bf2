//! nginx, as small as it gets.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::child::{Child, bound};
use super::wait;

/// What the agent calls the server.
pub const SERVICE: &str = "redtap-bench-nginx";

/// The script of `wrk`.
pub const WRK: &str = "wrk.lua";

/// Tells percentiles of latency once all is over; `wrk` itself goes no further than the 99th.
const PERCENTILES: &str = "function done(summary, latency, requests)
    for _, percentile in ipairs({ 50, 99, 99.9 }) do
        io.write(string.format('percentile %g (us): %d\\n', percentile, latency:percentile(percentile)))
    end
end
";

/// Size of the file for bulk transfer; a run fetches it once for each of its seconds.
const BULK_BYTES: u64 = 1 << 30;

const CONFIGURATION: &str = "
daemon off; master_process off; pid pid; error_log error.log;
events { worker_connections 8192; }
http {
    access_log off; sendfile on; keepalive_requests 1000000000; keepalive_timeout 1h;
    client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t;
    server {
        listen 127.0.0.1:PORT backlog=4096;
        location / { return 200 'hello'; }
        location = /status { stub_status; }
        location = /bulk { root .; }
    }
}
";

/// A running nginx of one process.
pub struct Server {
    _child: Child,
    port: u16,
    directory: PathBuf,
}

impl Server {
    /// Starts nginx in `directory` and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub fn start(directory: &Path) -> Result<Self> {
        let port = free_port()?;
        fs::write(directory.join("nginx.conf"), CONFIGURATION.replace("PORT", &port.to_string()))?;
        fs::write(directory.join(WRK), PERCENTILES)?;
        File::create(directory.join("bulk"))?.set_len(BULK_BYTES).context("cannot make a file of 1 GiB")?;
        let mut nginx = bound("nginx");
        nginx.arg("-p").arg(directory).args(["-c", "nginx.conf", "-e", "error.log"]);
        let mut child = Child::spawn(nginx.env("OTEL_SERVICE_NAME", SERVICE))?;
        wait::until("nginx", || {
            child.alive().context("nginx")?;
            Ok(get(port, "/").ok())
        })?;
        Ok(Self { _child: child, port, directory: directory.to_owned() })
    }

    /// How many requests nginx has read, this one included.
    ///
    /// # Errors
    /// When it does not tell.
    pub fn requests(&self) -> Result<u64> {
        let status = get(self.port, "/status")?;
        let numbers = status.lines().nth(2).context("no numbers in nginx's status")?;
        numbers.split_whitespace().nth(2).and_then(|number| number.parse().ok()).context("no requests there")
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its files are, and others may be.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// A TCP port of loopback that nobody listens on.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

/// The body of a good answer.
///
/// # Errors
/// When there is none.
pub fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no whole answer")?;
    ensure!(head.split(' ').nth(1) == Some("200"), "{path}: {head}");
    Ok(body.to_owned())
}
