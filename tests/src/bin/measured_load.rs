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
use redtap_tests::load;

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
    load::kept(address, CONNECTIONS, requests, |_, stream| stream.write_all(REQUEST)).map(drop)
}

/// A connection for each request.
fn churn(address: &str, requests: u64) -> anyhow::Result<()> {
    let mut buffer = vec![0; load::BUFFER];
    for _ in 0..requests {
        let mut stream = TcpStream::connect(address).context("connect")?;
        stream.write_all(b"GET /hello HTTP/1.1\r\nHost: cost\r\nConnection: close\r\n\r\n")?;
        load::read_answer(&mut stream, &mut buffer)?;
        ensure!(stream.read(&mut [0; 1])? == 0, "more than one answer");
    }
    Ok(())
}

/// Large answers, one after the other on one connection.
fn bulk(address: &str, requests: u64) -> anyhow::Result<()> {
    let mut buffer = vec![0; load::BUFFER];
    let mut stream = TcpStream::connect(address).context("connect")?;
    for _ in 0..requests {
        stream.write_all(b"GET /bulk HTTP/1.1\r\nHost: cost\r\n\r\n")?;
        load::read_answer(&mut stream, &mut buffer)?;
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
