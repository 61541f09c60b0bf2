//! `measured-load KIND ADDRESS:PORT REQUESTS [PID]`: so many requests, and how long they took on this machine's clock, which
//! counts instructions where `cargo xtask vm --cost` has it so. `measured-load serve ADDRESS:PORT` is the server of the kind
//! `opaque`.
//!
//! Prints the requests, the nanoseconds that they took, and of the process PID the nanoseconds that it ran meanwhile, in the
//! second after, and in the idle second before.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context as _, bail, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

/// Connections of the kind `kept`.
const CONNECTIONS: u64 = 8;

/// A question, and an answer, that no protocol begins with.
const OPAQUE: [u8; 64] = [0xe7; 64];

/// How long the process that is watched has to come to rest.
const REST: Duration = Duration::from_secs(1);

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (kind, address, requests, process) = match words.as_slice() {
        ["serve", address] => return serve(address),
        [kind, address, requests] => (kind, address, requests, None),
        [kind, address, requests, process] => (kind, address, requests, Some(*process)),
        _ => bail!("KIND ADDRESS:PORT REQUESTS [PID], please"),
    };
    let requests: u64 = requests.parse().context("REQUESTS")?;
    let load: fn(&str, u64) -> anyhow::Result<()> = match *kind {
        "kept" => kept,
        "churn" => churn,
        "bulk" => bulk,
        "opaque" => opaque,
        _ => bail!("no such kind of load: {kind}"),
    };
    let begun = ran(process)?;
    rest();
    let before = ran(process)?;
    let start = Instant::now();
    load(address, requests)?;
    let took = start.elapsed().as_nanos();
    let after = ran(process)?;
    rest();
    let end = ran(process)?;
    println!("{requests} {took} {} {} {}", after - before, end - after, before - begun);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "time is what is measured")]
fn rest() {
    thread::sleep(REST);
}

/// Nanoseconds that all threads of a process ran so far (Documentation/scheduler/sched-stats.rst).
fn ran(process: Option<&str>) -> anyhow::Result<u64> {
    let Some(process) = process else { return Ok(0) };
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task")).context("no such process")? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        sum += text.split(' ').next().unwrap_or_default().parse::<u64>().context("no time in schedstat")?;
    }
    Ok(sum)
}

/// One request at a time on each of some connections.
fn kept(address: &str, requests: u64) -> anyhow::Result<()> {
    const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nHost: cost\r\n\r\n";
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut streams = Vec::new();
    for number in 0..CONNECTIONS.min(requests) {
        let mut stream = TcpStream::connect(address).context("connect")?;
        stream.set_nodelay(true)?;
        epoll::add(&poll, &stream, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?;
        stream.write_all(REQUEST)?;
        streams.push(stream);
    }
    let (mut sent, mut answered) = (CONNECTIONS.min(requests), 0);
    let mut events = Vec::with_capacity(64);
    while answered < requests {
        events.clear();
        let patience = Timespec { tv_sec: 60, tv_nsec: 0 };
        epoll::wait(&poll, spare_capacity(&mut events), Some(&patience))?;
        ensure!(!events.is_empty(), "{answered} of {requests} answered");
        for event in &events {
            let stream = streams.get_mut(usize::try_from(event.data.u64())?).context("an unknown connection")?;
            answer(stream)?;
            answered += 1;
            if sent < requests {
                stream.write_all(REQUEST)?;
                sent += 1;
            }
        }
    }
    Ok(())
}

/// A connection for each request.
fn churn(address: &str, requests: u64) -> anyhow::Result<()> {
    for _ in 0..requests {
        let mut stream = TcpStream::connect(address).context("connect")?;
        stream.write_all(b"GET /hello HTTP/1.1\r\nHost: cost\r\nConnection: close\r\n\r\n")?;
        answer(&mut stream)?;
        ensure!(stream.read(&mut [0; 1])? == 0, "more than one answer");
    }
    Ok(())
}

/// Large answers, one after the other on one connection.
fn bulk(address: &str, requests: u64) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).context("connect")?;
    for _ in 0..requests {
        stream.write_all(b"GET /bulk HTTP/1.1\r\nHost: cost\r\n\r\n")?;
        answer(&mut stream)?;
    }
    Ok(())
}

/// What is not HTTP, on one connection.
fn opaque(address: &str, requests: u64) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).context("connect")?;
    stream.set_nodelay(true)?;
    for _ in 0..requests {
        stream.write_all(&OPAQUE)?;
        stream.read_exact(&mut [0; OPAQUE.len()])?;
    }
    Ok(())
}

fn serve(address: &str) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).context("listen")?;
    loop {
        let mut stream = listener.accept()?.0;
        stream.set_nodelay(true)?;
        let mut buffer = [0; OPAQUE.len()];
        while stream.read_exact(&mut buffer).is_ok() {
            stream.write_all(&buffer)?;
        }
    }
}

/// Reads one answer, which must be a 200 with a content length.
fn answer(stream: &mut TcpStream) -> anyhow::Result<()> {
    let mut buffer = [0; 64 * 1024];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..])?;
        ensure!(read > 0, "connection closed before the answer's end");
        filled += read;
        let text = &buffer[..filled];
        let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&text[..end])?;
        ensure!(head.starts_with("HTTP/1.1 200"), "not a 200: {head}");
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length: usize = length.context("no content length")?.parse()?;
        let mut left = (end + 4 + length).checked_sub(filled).context("more than one answer")?;
        while left > 0 {
            let most = left.min(buffer.len());
            let read = stream.read(&mut buffer[..most])?;
            ensure!(read > 0, "connection closed in the middle of a body");
            left -= read;
        }
        return Ok(());
    }
}
