//! What loads have in common: requests over kept connections, and answers that must be right.

use std::io::{self, Read as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fd::AsFd;

/// The longest that an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Room for what is read of an answer at once.
pub const BUFFER: usize = 64 * 1024;

/// So many requests over so many connections, one at a time on each; `send` writes the one of a number. Gives how many were
/// answered.
///
/// # Errors
/// When one is not answered with a 200.
pub fn kept(
    address: &str,
    connections: u64,
    requests: u64,
    mut send: impl FnMut(u64, &mut TcpStream) -> io::Result<()>,
) -> anyhow::Result<u64> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut streams = Vec::new();
    for number in 0..connections.min(requests) {
        let mut stream = connect(address, &poll, number)?;
        send(number, &mut stream)?;
        streams.push(stream);
    }
    let (mut sent, mut answered) = (connections.min(requests), 0);
    let mut events = Vec::with_capacity(256);
    let mut buffer = vec![0; BUFFER];
    let patience = Timespec::try_from(PATIENCE)?;
    while answered < requests {
        events.clear();
        epoll::wait(&poll, spare_capacity(&mut events), Some(&patience))?;
        ensure!(!events.is_empty(), "no answer for {PATIENCE:?}, {answered} of {requests} answered");
        for event in &events {
            let number = usize::try_from(event.data.u64())?;
            let stream = streams.get_mut(number).context("an unknown connection")?;
            read_answer(stream, &mut buffer)?;
            answered += 1;
            if sent < requests {
                send(sent, stream)?;
                sent += 1;
            }
        }
    }
    Ok(answered)
}

/// A connection of this number, which `poll` tells of when there is something to read.
///
/// # Errors
/// When nobody listens.
pub fn connect(address: &str, poll: impl AsFd, number: u64) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address).context("connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    epoll::add(poll, &stream, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?;
    Ok(stream)
}

/// Reads one answer, which must be a 200 with a content length; its head fits the buffer.
///
/// # Errors
/// When it is another, or none.
pub fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> anyhow::Result<()> {
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
