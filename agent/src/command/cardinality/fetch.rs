//! The page of a running agent.

use std::{path::PathBuf, time::Duration};

use axum::body::{Body, to_bytes};
use hyper::{Request, StatusCode, Uri, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::Error;

/// How long an answer may take: somewhat longer than the agent itself waits for its reader, and then transfers.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Largest answer read.
const MAX_ANSWER: usize = 512 << 20;

/// What is asked for.
const PATH: &str = "/metrics";

/// The formats that are read, the richer one first.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";

const EXPECTED: &str = "expected http://HOST:PORT or unix:/PATH";

/// An agent's address.
#[derive(Debug, PartialEq, Eq)]
pub struct Endpoint {
    place: Place,
    /// As the `Host` field has it.
    authority: String,
    path: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl Endpoint {
    /// Of `http://HOST[:PORT][/PATH]`, where a path is that of a proxy before the agent, or of `unix:/PATH`.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let refused = |reason| Error::Url { url: crate::config::value::endpoint::without_secrets(url), reason };
        if let Some(path) = url.strip_prefix("unix:") {
            if !path.starts_with('/') {
                return Err(refused(EXPECTED));
            }
            let place = Place::Unix(PathBuf::from(path));
            return Ok(Self { place, authority: "localhost".to_owned(), path: PATH.to_owned() });
        }
        let uri: Uri = url.parse().map_err(|_| refused(EXPECTED))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(refused(EXPECTED));
        };
        if scheme == "https" || authority.as_str().contains('@') {
            return Err(refused(
                "for TLS and users, let another client fetch the page: curl … | redtap cardinality -",
            ));
        }
        // A port that is none is none to `Uri`, too.
        let port = authority.port_u16().or((authority.as_str() == authority.host()).then_some(80));
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        match port {
            Some(port) if scheme == "http" && !host.is_empty() && uri.query().is_none() => Ok(Self {
                place: Place::Tcp(host.to_owned(), port),
                authority: authority.to_string(),
                path: format!("{}{PATH}", uri.path().trim_end_matches('/')),
            }),
            _ => Err(refused(EXPECTED)),
        }
    }

    /// As messages have it.
    fn text(&self) -> String {
        match &self.place {
            Place::Tcp(..) => format!("http://{}", self.authority),
            Place::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    /// The page now.
    pub async fn fetch(&self) -> Result<String, Error> {
        timeout(PATIENCE, self.connect()).await.map_err(|_| Error::Late(self.text()))?
    }

    async fn connect(&self) -> Result<String, Error> {
        let away = |error| Error::Connect(self.text(), error);
        match &self.place {
            Place::Tcp(host, port) => {
                self.ask(TcpStream::connect((host.as_str(), *port)).await.map_err(away)?).await
            }
            Place::Unix(path) => self.ask(UnixStream::connect(path).await.map_err(away)?).await,
        }
    }

    async fn ask(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<String, Error> {
        let broken = |error: &dyn std::error::Error| Error::Http(self.text(), error.to_string());
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| broken(&error))?;
        // Ends with the connection, whose errors the request tells of.
        let connection = tokio::spawn(connection);
        let request = Request::get(&self.path)
            .header(header::HOST, &self.authority)
            .header(header::ACCEPT, ACCEPT)
            .body(Body::empty())
            .map_err(|error| broken(&error))?;
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let status = response.status();
        let body = to_bytes(Body::new(response.into_body()), MAX_ANSWER).await;
        connection.abort();
        if status != StatusCode::OK {
            return Err(Error::Status(self.text(), status.as_u16()));
        }
        let body = body.map_err(|error| broken(&error))?;
        String::from_utf8(body.into()).map_err(|error| broken(&error.utf8_error()))
    }
}

/// What to do about a status.
pub fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => "; let another client show who asks: curl … | redtap cardinality -",
        404 => "; it has no /metrics",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        os::unix::net::UnixListener,
    };

    use super::*;

    #[test]
    fn addresses() {
        for (url, host, port, path) in [
            ("http://127.0.0.1:9440", "127.0.0.1", 9440, "/metrics"),
            ("http://[::1]:9440/", "::1", 9440, "/metrics"),
            ("HTTP://node-1/redtap/", "node-1", 80, "/redtap/metrics"),
        ] {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!(
                (endpoint.place, endpoint.path.as_str()),
                (Place::Tcp(host.to_owned(), port), path),
                "{url}"
            );
        }
        let unix = Endpoint::parse("unix:/run/redtap.sock").unwrap();
        assert_eq!(unix.place, Place::Unix(PathBuf::from("/run/redtap.sock")));
    }

    #[test]
    fn what_is_no_address() {
        let other = "for TLS and users, let another client fetch the page: curl … | redtap cardinality -";
        for (url, shown, reason) in [
            ("", "", EXPECTED),
            ("localhost:9440", "localhost:9440", EXPECTED),
            ("ftp://a", "ftp://a", EXPECTED),
            ("http://a:99999", "http://a:99999", EXPECTED),
            ("http://a/?b", "http://a/?REDACTED", EXPECTED),
            ("unix:run/a", "unix:run/a", EXPECTED),
            ("https://a", "https://a", other),
            ("http://user:secret@a", "http://REDACTED@a", other),
        ] {
            let error = Endpoint::parse(url).unwrap_err().to_string();
            assert_eq!(error, format!("cannot use --url {shown}: {reason}"));
        }
    }

    /// Reads a request's head and answers.
    fn answer(mut stream: impl Read + Write, answer: &str) {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("GET /metrics HTTP/1.1\r\n") && head.contains("openmetrics"), "{head}");
        stream.write_all(answer.as_bytes()).unwrap();
    }

    fn fetch(url: &str) -> Result<String, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let endpoint = Endpoint::parse(url).unwrap();
        runtime.block_on(endpoint.fetch()).map_err(|error| error.to_string())
    }

    #[test]
    fn answers() {
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n# EOF\n", Ok("# EOF\n")),
            (
                "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n",
                Err(" answered with status 401; let another client show who asks: curl … | redtap cardinality -"),
            ),
            (
                "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
                Err(" answered with status 404; it has no /metrics"),
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n\u{e9}",
                Err(" did not answer: incomplete utf-8 byte sequence from index 0"),
            ),
            ("SSH-2.0-OpenSSH_9.2\r\n", Err(" did not answer: invalid HTTP version parsed")),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let server = std::thread::spawn(move || answer(listener.accept().unwrap().0, text));
            let expected = expected.map(str::to_owned).map_err(|error| format!("{url}{error}"));
            assert_eq!(fetch(&url), expected);
            server.join().unwrap();
        }
    }

    #[test]
    fn a_socket_in_the_file_system() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("redtap.sock");
        let url = format!("unix:{}", path.display());
        assert!(fetch(&url).unwrap_err().starts_with(&format!("cannot connect to {url}: ")));
        let listener = UnixListener::bind(&path).unwrap();
        let text = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n# EOF\n";
        let server = std::thread::spawn(move || answer(listener.accept().unwrap().0, text));
        assert_eq!(fetch(&url), Ok("# EOF\n".to_owned()));
        server.join().unwrap();
    }
}
