//! `uring-server ADDRESS:PORT`: an HTTP/1.1 server whose sockets only io_uring touches.
//!
//! Any method, any target: `/missing` is answered with 404, all else with 200 and 612 bytes; HEAD without them.

use std::net::TcpListener;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

use anyhow::{Context as _, ensure};
use io_uring::{IoUring, opcode, squeue, types::Fd};

/// Completions of the accept have this in place of a connection's number.
const ACCEPT: u64 = u64::MAX;

/// What a connection has under way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Busy {
    Receiving,
    Sending,
}

struct Connection {
    socket: OwnedFd,
    busy: Busy,
    received: Vec<u8>,
    /// Where the kernel writes to and reads from; never touched while busy.
    buffer: Box<[u8]>,
    answer: Vec<u8>,
    sent: usize,
}

fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).context("an address, please")?;
    let listener = TcpListener::bind(&address).with_context(|| format!("cannot listen at {address}"))?;
    let mut ring = IoUring::new(256).context("no io_uring")?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    submit(&mut ring, &accept(listener.as_raw_fd()))?;
    loop {
        ring.submit_and_wait(1)?;
        let completed: Vec<(u64, i32)> =
            ring.completion().map(|entry| (entry.user_data(), entry.result())).collect();
        for (who, result) in completed {
            if who == ACCEPT {
                ensure!(result >= 0, "accept: error {}", -result);
                // SAFETY: a descriptor that the kernel has just made for this accept; nobody else has it.
                let socket = unsafe { OwnedFd::from_raw_fd(result) };
                let buffer = vec![0; 64 * 1024].into_boxed_slice();
                let (received, answer) = (Vec::new(), Vec::new());
                connections.push(Some(Connection {
                    socket,
                    busy: Busy::Receiving,
                    received,
                    buffer,
                    answer,
                    sent: 0,
                }));
                let newest = connections.len() - 1;
                proceed(&mut ring, &mut connections, newest)?;
                submit(&mut ring, &accept(listener.as_raw_fd()))?;
                continue;
            }
            let number = usize::try_from(who)?;
            let Some(connection) = connections.get_mut(number).and_then(Option::as_mut) else { continue };
            if connection.complete(result) {
                proceed(&mut ring, &mut connections, number)?;
            } else {
                connections[number] = None;
            }
        }
    }
}

impl Connection {
    /// Takes a completion; `false` if the connection is over.
    fn complete(&mut self, result: i32) -> bool {
        let Ok(count @ 1..) = usize::try_from(result) else { return false };
        match self.busy {
            Busy::Receiving => self.received.extend_from_slice(&self.buffer[..count]),
            Busy::Sending => self.sent += count,
        }
        if self.sent == self.answer.len() {
            (self.answer, self.sent) = (answers(&mut self.received), 0);
        }
        self.busy = if self.answer.is_empty() { Busy::Receiving } else { Busy::Sending };
        true
    }
}

/// Puts the connection's next receive or send into the ring.
fn proceed(ring: &mut IoUring, connections: &mut [Option<Connection>], number: usize) -> anyhow::Result<()> {
    let connection = connections.get_mut(number).and_then(Option::as_mut).context("an unknown connection")?;
    let socket = Fd(connection.socket.as_raw_fd());
    let entry = match connection.busy {
        Busy::Receiving => {
            let length = u32::try_from(connection.buffer.len())?;
            opcode::Recv::new(socket, connection.buffer.as_mut_ptr(), length).build()
        }
        Busy::Sending => {
            let rest = &connection.answer[connection.sent..];
            opcode::Send::new(socket, rest.as_ptr(), u32::try_from(rest.len())?).build()
        }
    };
    submit(ring, &entry.user_data(u64::try_from(number)?))
}

fn accept(listener: RawFd) -> squeue::Entry {
    opcode::Accept::new(Fd(listener), std::ptr::null_mut(), std::ptr::null_mut()).build().user_data(ACCEPT)
}

fn submit(ring: &mut IoUring, entry: &squeue::Entry) -> anyhow::Result<()> {
    // SAFETY: the buffers that entries point to belong to a connection, are not moved or resized while the operation
    // is under way (`busy`), and a connection is dropped only after its one operation has completed.
    while unsafe { ring.submission().push(entry) }.is_err() {
        ring.submit()?;
    }
    Ok(())
}

/// The answers to all whole requests in `received`, which are taken from it.
fn answers(received: &mut Vec<u8>) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&received[..end]).into_owned();
        let field = |name: &str| {
            let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
            fields
                .into_iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim().to_owned())
        };
        let length = field("content-length").and_then(|value| value.parse::<usize>().ok()).unwrap_or(0);
        if received.len() < end + 4 + length {
            break;
        }
        received.drain(..end + 4 + length);
        let status = if head.contains(" /missing ") { "404 Not Found" } else { "200 OK" };
        all.extend(format!("HTTP/1.1 {status}\r\nContent-Length: 612\r\n\r\n").as_bytes());
        if !head.starts_with("HEAD ") {
            all.extend([b'u'; 612]);
        }
    }
    all
}
