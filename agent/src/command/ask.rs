//! A running agent, asked over its HTTP address.

use std::{path::PathBuf, time::Duration};

use axum::body::{Body, to_bytes};
use hyper::{Request, StatusCode, Uri, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::config::value::endpoint::without_secrets;

/// Longest part of a foreign answer that is shown.
const QUOTED: usize = 80;

/// What an address looks like.
const EXPECTED: &str = "expected http://HOST:PORT or unix:/PATH";

/// What it must not have.
const NO_SECRETS: &str = "TLS and users are not known here; expected http://HOST:PORT or unix:/PATH";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No address of an agent.
    #[error("cannot use --url {url}: {reason}")]
    Url {
        /// As given, without user and password.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nobody there.
    #[error("cannot connect to {0}: {1}; is `redtap run` at work there?")]
    Connect(String, std::io::Error),
    /// No answer in time.
    #[error("{0} did not answer within {seconds} seconds", seconds = .1.as_secs())]
    Late(String, Duration),
    /// The connection broke, or it speaks no HTTP.
    #[error("{0} did not answer: {1}")]
    Http(String, String),
    /// It has nothing like that.
    #[error("{0} is no redtap, or not of a version that knows this: it has no {1}")]
    Missing(String, &'static str),
    /// The agent is there and has nothing to tell.
    #[error("{0} answered with status {1}{colon}{2}", colon = if .2.is_empty() { "" } else { ": " })]
    Status(String, u16, String),
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// The path of the document.
    pub path: &'static str,
    /// The forms that are understood, as `Accept` has them.
    pub accept: &'static str,
    /// How long the answer may take: somewhat longer than the agent itself waits for its reader.
    pub patience: Duration,
    /// Largest answer, in bytes.
    pub most: usize,
}

/// An agent's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    place: Place,
    /// As the `Host` field has it.
    authority: String,
    /// What a proxy before the agent puts before its paths.
    prefix: String,
}

/// Where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl Endpoint {
    /// Of `http://HOST[:PORT][/PATH]`, where a path is that of a proxy before the agent, or `unix:/PATH` of a socket.
    ///
    /// # Errors
    /// [`Error::Url`].
    pub fn parse(url: &str) -> Result<Self, Error> {
        let refused = |reason| Error::Url { url: without_secrets(url), reason };
        if let Some(socket) = url.strip_prefix("unix:") {
            if !socket.starts_with('/') {
                return Err(refused(EXPECTED));
            }
            let (place, authority) = (Place::Unix(PathBuf::from(socket)), "localhost".to_owned());
            return Ok(Self { place, authority, prefix: String::new() });
        }
        let uri: Uri = url.parse().map_err(|_| refused(EXPECTED))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(refused(EXPECTED));
        };
        if scheme == "https" || authority.as_str().contains('@') {
            return Err(refused(NO_SECRETS));
        }
        // A port that is none is none to `Uri`, too.
        let port = authority.port_u16().or((authority.as_str() == authority.host()).then_some(80));
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        match port {
            Some(port) if scheme == "http" && !host.is_empty() && uri.query().is_none() => Ok(Self {
                place: Place::Tcp(host.to_owned(), port),
                authority: authority.to_string(),
                prefix: uri.path().trim_end_matches('/').to_owned(),
            }),
            _ => Err(refused(EXPECTED)),
        }
    }

    /// As messages have it.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.place {
            Place::Tcp(..) => format!("http://{}", self.authority),
            Place::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    /// The body of the answer.
    ///
    /// # Errors
    /// If there is none in time, or it is none with status 200.
    pub async fn ask(&self, question: &Question) -> Result<Bytes, Error> {
        let late = |_| Error::Late(self.text(), question.patience);
        timeout(question.patience, self.connect(question)).await.map_err(late)?
    }

    async fn connect(&self, question: &Question) -> Result<Bytes, Error> {
        let away = |error| Error::Connect(self.text(), error);
        match &self.place {
            Place::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await;
                self.ask_over(stream.map_err(away)?, question).await
            }
            Place::Unix(path) => self.ask_over(UnixStream::connect(path).await.map_err(away)?, question).await,
        }
    }

    async fn ask_over(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        question: &Question,
    ) -> Result<Bytes, Error> {
        let broken = |error: &dyn std::error::Error| Error::Http(self.text(), error.to_string());
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| broken(&error))?;
        // Ends with the connection, whose errors the request tells of.
        let connection = tokio::spawn(connection);
        let request = Request::get(format!("{}{}", self.prefix, question.path))
            .header(header::HOST, &self.authority)
            .header(header::ACCEPT, question.accept)
            .body(Body::empty())
            .map_err(|error| broken(&error))?;
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let status = response.status();
        let body = to_bytes(Body::new(response.into_body()), question.most).await;
        connection.abort();
        let body = body.map_err(|error| broken(&error))?;
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::NOT_FOUND => Err(Error::Missing(self.text(), question.path)),
            other => Err(Error::Status(self.text(), other.as_u16(), first_line(&body))),
        }
    }
}

/// The beginning of a foreign answer, fit to be shown.
fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text.lines().next().unwrap_or_default();
    line.chars().filter(|character| !character.is_control()).take(QUOTED).collect()
}

#[cfg(test)]
pub(crate) mod testing {
    use std::io::{Read, Write};

    /// Reads the head of a request, answers, and gives the head.
    pub fn answer(mut stream: impl Read + Write, answer: &str) -> String {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
            head.push(byte[0]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(head).unwrap()
    }

    /// Runs a future to its end.
    pub fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, os::unix::net::UnixListener, thread};

    use super::{
        testing::{answer, block_on},
        *,
    };

    const QUESTION: Question =
        Question { path: "/api", accept: "application/json", patience: Duration::from_secs(8), most: 1 << 20 };

    #[test]
    fn addresses() {
        for (url, expected) in [
            ("http://127.0.0.1:9440", ("127.0.0.1", 9440, "")),
            ("http://localhost", ("localhost", 80, "")),
            ("http://[::1]:9440/", ("::1", 9440, "")),
            ("HTTP://node-1:80/redtap/", ("node-1", 80, "/redtap")),
        ] {
            let endpoint = Endpoint::parse(url).unwrap();
            let (host, port, prefix) = expected;
            assert_eq!(
                (endpoint.place, endpoint.prefix.as_str()),
                (Place::Tcp(host.to_owned(), port), prefix),
                "{url}"
            );
        }
        let endpoint = Endpoint::parse("unix:/run/redtap.sock").unwrap();
        assert_eq!(endpoint.place, Place::Unix("/run/redtap.sock".into()));
        assert_eq!(endpoint.text(), "unix:/run/redtap.sock");
    }

    #[test]
    fn what_is_no_address() {
        for (url, shown, reason) in [
            ("", "", EXPECTED),
            ("127.0.0.1:9440", "127.0.0.1:9440", EXPECTED),
            ("localhost", "localhost", EXPECTED),
            ("ftp://localhost", "ftp://localhost", EXPECTED),
            ("http://", "http://", EXPECTED),
            ("http://:80", "http://:80", EXPECTED),
            ("http://a b", "http://a b", EXPECTED),
            ("http://a:99999", "http://a:99999", EXPECTED),
            ("http://a/?b", "http://a/?REDACTED", EXPECTED),
            ("https://a", "https://a", NO_SECRETS),
            ("http://user:secret@b", "http://REDACTED@b", NO_SECRETS),
            ("unix:redtap.sock", "unix:redtap.sock", EXPECTED),
        ] {
            let error = Endpoint::parse(url).unwrap_err().to_string();
            assert_eq!(error, format!("cannot use --url {shown}: {reason}"));
        }
    }

    /// What becomes of asking a server that answers with `text`, whatever it is asked; PORT stands for its port.
    fn asked(text: &'static str) -> Result<String, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || answer(listener.accept().unwrap().0, text));
        let endpoint = Endpoint::parse(&format!("http://127.0.0.1:{port}/before/")).unwrap();
        let result = block_on(endpoint.ask(&QUESTION));
        let head = server.join().unwrap();
        let host = format!("host: 127.0.0.1:{port}\r\naccept: application/json\r\n");
        assert_eq!(head, format!("GET /before/api HTTP/1.1\r\n{host}\r\n"));
        let body = result.map(|body| String::from_utf8(body.into()).unwrap());
        body.map_err(|error| error.to_string().replace(&port.to_string(), "PORT"))
    }

    #[test]
    fn answers() {
        assert_eq!(asked("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello"), Ok("hello".to_owned()));
        for (text, expected) in [
            (
                "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
                " is no redtap, or not of a version that knows this: it has no /api",
            ),
            (
                "HTTP/1.1 503 Away\r\ncontent-length: 24\r\n\r\nthe reader has stopped\n\x1b",
                " answered with status 503: the reader has stopped",
            ),
            ("SSH-2.0-OpenSSH_9.2\r\n", " did not answer: invalid HTTP version parsed"),
            ("", " did not answer: connection closed before message completed"),
        ] {
            assert_eq!(asked(text), Err(format!("http://127.0.0.1:PORT{expected}")));
        }
    }

    #[test]
    fn a_socket_in_the_file_system() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("redtap.sock");
        let endpoint = Endpoint::parse(&format!("unix:{}", path.display())).unwrap();
        let error = block_on(endpoint.ask(&QUESTION)).unwrap_err().to_string();
        assert!(error.starts_with("cannot connect to unix:/"), "{error}");
        assert!(error.ends_with("is `redtap run` at work there?"), "{error}");
        let listener = UnixListener::bind(&path).unwrap();
        let text = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        let server = thread::spawn(move || answer(listener.accept().unwrap().0, text));
        assert_eq!(block_on(endpoint.ask(&QUESTION)).unwrap(), "hello");
        assert!(server.join().unwrap().starts_with("GET /api HTTP/1.1\r\nhost: localhost\r\n"));
    }
}
