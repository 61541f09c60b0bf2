//! The least HTTP client: one GET, the connection closed after it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::wait::PATIENCE;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Head, without its empty line.
    pub head: String,
    /// Body; chunked framing removed.
    pub body: String,
}

/// Asks `address` for `target`.
///
/// # Errors
/// When nobody listens there, or what answers is not HTTP.
pub fn get(address: SocketAddr, target: &str) -> io::Result<Answer> {
    get_as(address, target, "*/*")
}

/// Asks `address` for `target` in the form `accept`.
///
/// # Errors
/// When nobody listens there, or what answers is not HTTP.
pub fn get_as(address: SocketAddr, target: &str, accept: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request =
        format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes).map_err(io::Error::other)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("no end of head"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("no status"))?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body =
        if chunked { unchunk(body).ok_or_else(|| io::Error::other("bad chunks"))? } else { body.to_owned() };
    Ok(Answer { status, head: head.to_owned(), body })
}

fn unchunk(mut framed: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, rest) = framed.split_once("\r\n")?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.push_str(rest.get(..size)?);
        framed = rest.get(size..)?.strip_prefix("\r\n")?;
    }
}
