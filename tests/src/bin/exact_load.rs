//! `exact-load ADDRESS:PORT CONNECTIONS REQUESTS [PATH]`: keep-alive load with an exact ledger.
//!
//! Sends exactly REQUESTS requests over CONNECTIONS connections, one at a time on each, waits for every answer, and
//! prints how many were answered with 200. It ends with a failure if one is not answered. With a PATH that ends in `*`, each
//! request has a path below it, a query, a method, a host and a user agent that no other has.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, connections, requests, rest @ ..] = arguments.as_slice() else {
        bail!("four arguments, please")
    };
    let connections: u64 = connections.parse().context("CONNECTIONS")?;
    let requests: u64 = requests.parse().context("REQUESTS")?;
    let path = rest.first().map_or("/", String::as_str);
    println!("{}", run(address, connections, requests, &Requests::of(path))?);
    Ok(())
}

/// What is asked.
enum Requests {
    Same(Vec<u8>),
    /// Below this path, counted from a number of its own.
    Distinct(String, u64),
}

impl Requests {
    fn of(path: &str) -> Self {
        match path.strip_suffix('*') {
            Some(path) => {
                Self::Distinct(path.to_owned(), BuildHasherDefault::<DefaultHasher>::default().hash_one(path))
            }
            None => Self::Same(format!("GET {path} HTTP/1.1\r\nHost: load\r\n\r\n").into_bytes()),
        }
    }

    /// The request of this number.
    fn send(&self, number: u64, stream: &mut TcpStream) -> std::io::Result<()> {
        match self {
            Self::Same(request) => stream.write_all(request),
            Self::Distinct(below, start) => {
                // A bijection, so that none comes twice, whose values look like nothing (Fibonacci hashing).
                let noise = start.wrapping_add(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let word = |alphabet: &[u8; 16]| -> String {
                    (0..16).map(|place| char::from(alphabet[(noise >> (place * 4)) as usize & 15])).collect()
                };
                let (method, name) = (word(b"ABCDEFGHIJKLMNOP"), word(b"bcdfghjklmnpqrst"));
                let (first, second) = name.split_at(5 + number as usize % 7);
                let request = format!(
                    "{method} {below}{first}/{second}/{noise:x}?{name}={noise} HTTP/1.1\r\nHost: {name}.example\r\n\
                     User-Agent: {name}/{number}\r\n\r\n"
                );
                stream.write_all(request.as_bytes())
            }
        }
    }
}

fn run(address: &str, connections: u64, requests: u64, asked: &Requests) -> anyhow::Result<u64> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut streams = Vec::new();
    for number in 0..connections.min(requests) {
        let mut stream = TcpStream::connect(address).context("connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        epoll::add(&poll, &stream, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?;
        asked.send(number, &mut stream)?;
        streams.push(stream);
    }
    let (mut sent, mut answered) = (connections.min(requests), 0);
    let mut events = Vec::with_capacity(256);
    let mut buffer = vec![0; 64 * 1024];
    while answered < requests {
        events.clear();
        epoll::wait(
            &poll,
            spare_capacity(&mut events),
            Some(&rustix::event::Timespec { tv_sec: 30, tv_nsec: 0 }),
        )?;
        ensure!(!events.is_empty(), "no answer for 30 s, {answered} of {requests} answered");
        for event in &events {
            let number = usize::try_from(event.data.u64())?;
            let stream = streams.get_mut(number).context("an unknown connection")?;
            read_answer(stream, &mut buffer)?;
            answered += 1;
            if sent < requests {
                asked.send(sent, stream)?;
                sent += 1;
            }
        }
    }
    Ok(answered)
}

/// Reads one answer, which must be a 200 with a content length.
fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> anyhow::Result<()> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..])?;
        ensure!(read > 0, "connection closed before the answer's end");
        filled += read;
        let text = &buffer[..filled];
        let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&text[..end])?;
        ensure!(head.starts_with("HTTP/1.1 200"), "not a 200: {head}");
        let length =
            head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).context("no content length")?;
        let length: usize = length.parse()?;
        if filled >= end + 4 + length {
            ensure!(filled == end + 4 + length, "more than one answer");
            return Ok(());
        }
    }
}
