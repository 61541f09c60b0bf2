//! A client that keeps its connection, and whose heads are exactly as the test has them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::wait::PATIENCE;

/// A connection to a server that tells the length of its answers.
pub struct Caller {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Caller {
    /// Connects.
    ///
    /// # Panics
    /// When nobody listens.
    #[must_use]
    pub fn connect(server: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&server, PATIENCE).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, unread: Vec::new() }
    }

    /// Asks for `target` with these fields (`Name: value`) and gives the status.
    ///
    /// # Panics
    /// When there is no whole answer.
    pub fn get(&mut self, target: &str, fields: &[&str]) -> u16 {
        self.fetch(target, fields).0
    }

    /// Asks likewise and gives the status and the body.
    ///
    /// # Panics
    /// When there is no whole answer.
    pub fn fetch(&mut self, target: &str, fields: &[&str]) -> (u16, Vec<u8>) {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let request = format!("GET {target} HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n");
        self.stream.write_all(request.as_bytes()).expect("a send");
        let end = self.until(|unread| unread.windows(4).position(|four| four == b"\r\n\r\n"));
        let head: Vec<u8> = self.unread.drain(..end + 4).collect();
        let head = String::from_utf8(head).expect("a head of text").to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let length: usize = length.unwrap_or_else(|| panic!("no length of the answer: {head}"));
        self.until(|unread| (unread.len() >= length).then_some(()));
        let body = self.unread.drain(..length).collect();
        (head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status"), body)
    }

    fn until<T>(&mut self, enough: impl Fn(&[u8]) -> Option<T>) -> T {
        loop {
            if let Some(value) = enough(&self.unread) {
                return value;
            }
            let mut some = [0; 65536];
            let length = self.stream.read(&mut some).expect("an answer");
            assert!(length > 0, "the connection ended within an answer");
            self.unread.extend(&some[..length]);
        }
    }
}
