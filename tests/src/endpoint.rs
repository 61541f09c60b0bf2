//! A receiver of OTLP over HTTP, or of remote write, that behaves as it is told to: badly, mostly.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::gate::fresh_listener;
use crate::wait;

/// How a request is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// With a status, further fields of the head (`Name: value`), and a body.
    Answer(u16, Vec<String>, Vec<u8>),
    /// Never; the connection stays open.
    Hang,
    /// With the end of the connection.
    Close,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// When it had arrived.
    pub at: Instant,
    /// Path.
    pub path: String,
    /// Head, names in lower case.
    pub head: String,
    /// Body, as sent.
    pub body: Vec<u8>,
}

/// A listening receiver.
pub struct Endpoint {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    requests: Mutex<Vec<Request>>,
    reply: Mutex<Reply>,
    held: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

impl Reply {
    /// An answer without further fields and body.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), Vec::new())
    }

    /// An answer that says when to come again, in seconds.
    #[must_use]
    pub fn later(status: u16, seconds: u32) -> Self {
        Self::Answer(status, vec![format!("Retry-After: {seconds}")], Vec::new())
    }

    /// The answer to an OTLP request of which so much was refused: the message `partial_success` with its counter.
    ///
    /// # Panics
    /// When it is more than 127.
    #[must_use]
    pub fn partial(rejected: u8) -> Self {
        assert!(rejected < 128, "one byte is meant");
        // Field 1, a message of two bytes; in it field 1, a varint.
        let body = vec![0x0a, 0x02, 0x08, rejected];
        Self::Answer(200, vec!["Content-Type: application/x-protobuf".to_owned()], body)
    }
}

impl Request {
    /// The value of a field, by its name in lower case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }
}

impl Endpoint {
    /// Starts one.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn start(reply: Reply) -> Self {
        let listener = fresh_listener(Ipv4Addr::LOCALHOST.into());
        let address = listener.local_addr().expect("a bound address");
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            reply: Mutex::new(reply),
            held: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        let acceptor = Some(thread::spawn(move || accept(&listener, &own)));
        Self { address, shared, acceptor }
    }

    /// `http://` and its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, it answers like this; who was left hanging is let go.
    pub fn reply(&self, reply: Reply) {
        *lock(&self.shared.reply) = reply;
        lock(&self.shared.held).clear();
    }

    /// The requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// Waits for that many requests, and gives them.
    ///
    /// # Panics
    /// When there are fewer.
    #[must_use]
    pub fn until(&self, count: usize, patience: Duration) -> Vec<Request> {
        let all = wait::within(patience, || Some(self.requests()).filter(|all| all.len() >= count));
        all.unwrap_or_else(|| panic!("{} requests instead of {count}", self.requests().len()))
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        lock(&self.shared.held).clear();
        // The acceptor looks at what was just set.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.ended.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        thread::spawn(move || serve(stream, &shared));
    }
}

/// Answers the requests of one connection until it ends.
fn serve(mut stream: TcpStream, shared: &Shared) -> Option<()> {
    let mut unread = Vec::new();
    loop {
        let request = read(&mut stream, &mut unread)?;
        lock(&shared.requests).push(request);
        let reply = lock(&shared.reply).clone();
        match reply {
            Reply::Answer(status, fields, body) => {
                let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
                let head = format!("HTTP/1.1 {status} Told\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
                stream.write_all(&[head.as_bytes(), &body].concat()).ok()?;
            }
            Reply::Hang => {
                lock(&shared.held).push(stream);
                return None;
            }
            Reply::Close => return None,
        }
    }
}

/// The next request; `None`: there is none.
fn read(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<Request> {
    let end = loop {
        match unread.windows(4).position(|four| four == b"\r\n\r\n") {
            Some(end) => break end,
            None => more(stream, unread)?,
        }
    };
    let head: Vec<u8> = unread.drain(..end + 4).collect();
    let head = String::from_utf8_lossy(&head).into_owned();
    let (line, fields) = head.split_once("\r\n")?;
    let path = line.split(' ').nth(1)?.to_owned();
    let lines = fields.lines().map(|line| match line.split_once(':') {
        Some((name, value)) => format!("{}:{value}\n", name.to_ascii_lowercase()),
        None => String::new(),
    });
    let request = Request { at: Instant::now(), path, head: lines.collect(), body: Vec::new() };
    let body = match request.field("content-length") {
        Some(length) => {
            let length = length.parse().ok()?;
            while unread.len() < length {
                more(stream, unread)?;
            }
            unread.drain(..length).collect()
        }
        None => chunks(stream, unread)?,
    };
    Some(Request { at: Instant::now(), body, ..request })
}

/// A body in chunks (RFC 9112 §7.1).
fn chunks(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = loop {
            match unread.windows(2).position(|two| two == b"\r\n") {
                Some(end) => break end,
                None => more(stream, unread)?,
            }
        };
        let size = usize::from_str_radix(std::str::from_utf8(unread.get(..end)?).ok()?.trim(), 16).ok()?;
        while unread.len() < end + 2 + size + 2 {
            more(stream, unread)?;
        }
        unread.drain(..end + 2);
        body.extend(unread.drain(..size));
        unread.drain(..2);
        if size == 0 {
            return Some(body);
        }
    }
}

fn more(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<()> {
    let mut some = [0; 65536];
    let length = stream.read(&mut some).ok().filter(|length| *length > 0)?;
    unread.extend(some.get(..length)?);
    Some(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::{Endpoint, Reply};
    use crate::wait::PATIENCE;

    #[test]
    fn it_answers_as_it_is_told_to() {
        let endpoint = Endpoint::start(Reply::later(429, 7));
        let mut stream = TcpStream::connect(endpoint.address).expect("a connection");
        let post = b"POST /v1/traces HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST /b HTTP/1.1\r\n";
        stream.write_all(post).expect("a send");
        stream.write_all(b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n").expect("a send");
        let requests = endpoint.until(2, PATIENCE);
        let told: Vec<_> = requests.iter().map(|request| (request.path.as_str(), &*request.body)).collect();
        assert_eq!(told, [("/v1/traces", b"abc".as_slice()), ("/b", b"abc".as_slice())]);
        endpoint.reply(Reply::Close);
        stream.write_all(b"GET /c HTTP/1.1\r\nContent-Length: 0\r\n\r\n").expect("a send");
        let mut answers = String::new();
        stream.read_to_string(&mut answers).expect("answers and an end");
        assert_eq!(answers.matches("HTTP/1.1 429 Told\r\nRetry-After: 7\r\n").count(), 2, "{answers}");
    }
}
