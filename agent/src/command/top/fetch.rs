//! The agent's numbers over HTTP.

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
use crate::export::graph::services::Services;

/// How long an answer may take: somewhat longer than the agent itself waits for its reader.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// Largest answer read: of a service there are a few hundred bytes.
const MAX_ANSWER: usize = 64 << 20;

/// Longest part of a foreign answer that is shown.
const QUOTED: usize = 80;

/// Where the document is.
const PATH: &str = "/api/v1/services";

/// What an address looks like.
const EXPECTED: &str = "expected http://HOST:PORT or unix:/PATH";

/// An agent's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    place: Place,
    /// As the `Host` field has it.
    authority: String,
    path: String,
}

/// Where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl Endpoint {
    /// Of `http://HOST[:PORT][/PATH]`, where a path is that of a proxy before the agent, or `unix:/PATH` of a socket.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let refused = |reason| Error::Url { url: url.to_owned(), reason };
        if let Some(socket) = url.strip_prefix("unix:") {
            if !socket.starts_with('/') {
                return Err(refused(EXPECTED));
            }
            let (place, authority) = (Place::Unix(PathBuf::from(socket)), "localhost".to_owned());
            return Ok(Self { place, authority, path: PATH.to_owned() });
        }
        let uri: Uri = url.parse().map_err(|_| refused(EXPECTED))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(refused("TLS is not spoken here; expected http://HOST:PORT or unix:/PATH"));
            }
            _ => return Err(refused(EXPECTED)),
        }
        let authority = uri.authority().ok_or_else(|| refused(EXPECTED))?;
        if authority.as_str().contains('@') {
            return Err(refused("users are not known here; expected http://HOST:PORT or unix:/PATH"));
        }
        // A port that is none is none to `Uri`, too.
        let port = authority.port_u16().or((authority.as_str() == authority.host()).then_some(80));
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let Some(port) = port.filter(|_| !host.is_empty() && uri.query().is_none()) else {
            return Err(refused(EXPECTED));
        };
        Ok(Self {
            place: Place::Tcp(host.to_owned(), port),
            authority: authority.to_string(),
            path: format!("{}{PATH}", uri.path().trim_end_matches('/')),
        })
    }

    /// As messages have it.
    pub fn text(&self) -> String {
        match &self.place {
            Place::Tcp(..) => format!("http://{}", self.authority),
            Place::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    /// The agent's numbers now.
    pub async fn fetch(&self) -> Result<Services, Error> {
        timeout(PATIENCE, self.ask()).await.map_err(|_| Error::Late(self.text()))?
    }

    async fn ask(&self) -> Result<Services, Error> {
        let refused = |error| Error::Connect(self.text(), error);
        match &self.place {
            Place::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await;
                self.ask_over(stream.map_err(refused)?).await
            }
            Place::Unix(path) => self.ask_over(UnixStream::connect(path).await.map_err(refused)?).await,
        }
    }

    async fn ask_over(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Services, Error> {
        let broken = |error| Error::Http(self.text(), error);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Ends with the connection, whose errors the request tells of.
        let connection = tokio::spawn(connection);
        let request = Request::get(&self.path)
            .header(header::HOST, &self.authority)
            .header(header::ACCEPT, "application/json")
            .body(Body::empty())
            .map_err(|error| Error::Foreign(self.text(), error.to_string()))?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        let body = to_bytes(Body::new(response.into_body()), MAX_ANSWER).await;
        connection.abort();
        let body = body.map_err(|error| Error::Foreign(self.text(), error.to_string()))?;
        self.read(status, &body)
    }

    /// What an answer says.
    fn read(&self, status: StatusCode, body: &[u8]) -> Result<Services, Error> {
        match status {
            StatusCode::OK => serde_json::from_slice(body)
                .map_err(|error| Error::Foreign(self.text(), format!("{PATH} is not understood ({error})"))),
            StatusCode::NOT_FOUND => Err(Error::Foreign(self.text(), format!("it has no {PATH}"))),
            other => {
                let text = String::from_utf8_lossy(body);
                let line = text.lines().next().unwrap_or_default();
                let printable = line.chars().filter(|character| !character.is_control()).take(QUOTED);
                Err(Error::Status(self.text(), other.as_u16(), printable.collect()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
    };

    use super::*;

    #[test]
    fn addresses() {
        for (url, expected) in [
            ("http://127.0.0.1:9440", ("127.0.0.1", 9440, "/api/v1/services")),
            ("http://localhost", ("localhost", 80, "/api/v1/services")),
            ("http://[::1]:9440/", ("::1", 9440, "/api/v1/services")),
            ("HTTP://node-1:80/redtap/", ("node-1", 80, "/redtap/api/v1/services")),
        ] {
            let endpoint = Endpoint::parse(url).unwrap();
            let (host, port, path) = expected;
            assert_eq!(
                (endpoint.place, endpoint.path.as_str()),
                (Place::Tcp(host.to_owned(), port), path),
                "{url}"
            );
        }
        let endpoint = Endpoint::parse("unix:/run/redtap.sock").unwrap();
        assert_eq!(endpoint.place, Place::Unix("/run/redtap.sock".into()));
        assert_eq!((endpoint.text().as_str(), endpoint.path.as_str()), ("unix:/run/redtap.sock", PATH));
    }

    #[test]
    fn what_is_no_address() {
        for (url, reason) in [
            ("", EXPECTED),
            ("127.0.0.1:9440", EXPECTED),
            ("localhost", EXPECTED),
            ("ftp://localhost", EXPECTED),
            ("http://", EXPECTED),
            ("http://:80", EXPECTED),
            ("http://a b", EXPECTED),
            ("http://a:99999", EXPECTED),
            ("http://a/?b", EXPECTED),
            ("https://a", "TLS is not spoken here; expected http://HOST:PORT or unix:/PATH"),
            ("http://a@b", "users are not known here; expected http://HOST:PORT or unix:/PATH"),
            ("unix:redtap.sock", EXPECTED),
        ] {
            let error = Endpoint::parse(url).unwrap_err().to_string();
            assert_eq!(error, format!("cannot use --url {url}: {reason}"));
        }
    }

    /// What becomes of asking a server that answers with `answer`, whatever it is asked; PORT stands for its port.
    fn asked(answer: &'static str) -> Result<Services, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
                head.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(head).unwrap()
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let endpoint = Endpoint::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        let result = runtime.block_on(endpoint.fetch());
        let head = server.join().unwrap();
        assert!(head.starts_with("GET /api/v1/services HTTP/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("host: 127.0.0.1:{port}\r\n")), "{head}");
        result.map_err(|error| error.to_string().replace(&port.to_string(), "PORT"))
    }

    #[test]
    fn answers() {
        let services = asked(
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n\
             {\"time\":1.5,\"version\":\"1\",\"bounds\":[0.1],\"services\":[],\"new\":{}}",
        );
        assert_eq!(services.map(|services| services.time), Ok(1.5));
        for (answer, expected) in [
            (
                "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
                "http://127.0.0.1:PORT is no redtap, or not of a version that knows this: it has no /api/v1/services",
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>",
                "http://127.0.0.1:PORT is no redtap, or not of a version that knows this: /api/v1/services is not \
                 understood (expected value at line 1 column 1)",
            ),
            (
                "HTTP/1.1 503 Away\r\ncontent-length: 24\r\n\r\nthe reader has stopped\n\x1b",
                "http://127.0.0.1:PORT answered with status 503: the reader has stopped",
            ),
            ("SSH-2.0-OpenSSH_9.2\r\n", "http://127.0.0.1:PORT did not answer: invalid HTTP version parsed"),
            ("", "http://127.0.0.1:PORT did not answer: connection closed before message completed"),
        ] {
            assert_eq!(asked(answer).unwrap_err(), expected);
        }
    }

    #[test]
    fn a_socket_in_the_file_system() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("redtap.sock");
        let endpoint = Endpoint::parse(&format!("unix:{}", path.display())).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let error = runtime.block_on(endpoint.fetch()).unwrap_err().to_string();
        assert!(error.starts_with("cannot connect to unix:/"), "{error}");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
                head.push(byte[0]);
            }
            let body = r#"{"time":1.5,"version":"1","bounds":[0.1],"services":[]}"#;
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(head).unwrap()
        });
        assert_eq!(runtime.block_on(endpoint.fetch()).unwrap().time, 1.5);
        let head = server.join().unwrap();
        assert!(head.starts_with("GET /api/v1/services HTTP/1.1\r\nhost: localhost\r\n"), "{head}");
    }

    #[test]
    fn nobody_there() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::parse(&format!("http://{}", taken.local_addr().unwrap())).unwrap();
        drop(taken);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let error = runtime.block_on(endpoint.fetch()).unwrap_err().to_string();
        assert!(error.starts_with("cannot connect to http://127.0.0.1:"), "{error}");
        assert!(error.ends_with("is `redtap run` at work there?"), "{error}");
    }
}
