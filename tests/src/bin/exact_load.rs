//! `exact-load ADDRESS:PORT CONNECTIONS REQUESTS [PATH]`: keep-alive load with an exact ledger.
//!
//! Sends exactly REQUESTS requests over CONNECTIONS connections, one at a time on each, waits for every answer, and
//! prints how many were answered with 200. It ends with a failure if one is not answered. With a PATH that ends in `*`, each
//! request has a path below it, a query, a method, a host and a user agent that no other has.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::io::Write as _;
use std::net::TcpStream;

use anyhow::{Context as _, bail};
use redtap_tests::load;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, connections, requests, rest @ ..] = arguments.as_slice() else {
        bail!("four arguments, please")
    };
    let connections: u64 = connections.parse().context("CONNECTIONS")?;
    let requests: u64 = requests.parse().context("REQUESTS")?;
    let path = rest.first().map_or("/", String::as_str);
    let asked = Requests::of(path);
    let answered = load::kept(address, connections, requests, |number, stream| asked.send(number, stream))?;
    println!("{answered}");
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
