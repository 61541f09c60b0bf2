//! A response body that is written on one thread while it is sent on another: a page of any size takes a few chunks of
//! memory.

use std::{
    io::{self, Write},
    mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::body::{Body, Bytes, Frame};
use tokio::{runtime::Handle, sync::mpsc, time::timeout};

/// Bytes written before they are handed on.
const CHUNK: usize = 64 << 10;

/// Chunks written and not yet sent.
const CHUNKS_AHEAD: usize = 4;

/// How long the client may take for a chunk.
const STALL: Duration = Duration::from_secs(10);

/// The writing end, for a thread that may block. Dropped before [`ChunkWriter::finish`], it breaks the response off, so
/// that no one takes half a page for a whole.
#[derive(Debug)]
pub struct ChunkWriter {
    chunk: Vec<u8>,
    chunks: mpsc::Sender<Bytes>,
    whole: Arc<AtomicBool>,
    runtime: Handle,
}

/// The body.
#[derive(Debug)]
pub struct Chunks {
    chunks: mpsc::Receiver<Bytes>,
    whole: Arc<AtomicBool>,
}

/// The body was not written to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the page was not written to its end")]
pub struct BrokenOff;

/// Both ends.
///
/// # Panics
/// Outside a tokio runtime.
pub fn channel() -> (ChunkWriter, Chunks) {
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    let whole = Arc::new(AtomicBool::new(false));
    let writer =
        ChunkWriter { chunk: Vec::new(), chunks: sender, whole: Arc::clone(&whole), runtime: Handle::current() };
    (writer, Chunks { chunks: receiver, whole })
}

impl ChunkWriter {
    /// The body ends here.
    ///
    /// # Errors
    /// If the client is gone or does not take it.
    pub fn finish(mut self) -> io::Result<()> {
        self.send()?;
        self.whole.store(true, Ordering::Release);
        Ok(())
    }

    fn send(&mut self) -> io::Result<()> {
        let chunk = Bytes::from(mem::take(&mut self.chunk));
        if chunk.is_empty() {
            return Ok(());
        }
        let sent = async { timeout(STALL, self.chunks.send(chunk)).await };
        let sent = self.runtime.block_on(sent).map_err(|_| io::ErrorKind::TimedOut)?;
        Ok(sent.map_err(|_| io::ErrorKind::BrokenPipe)?)
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.len() + bytes.len() > CHUNK {
            self.send()?;
        }
        if self.chunk.capacity() == 0 {
            self.chunk.reserve(CHUNK);
        }
        self.chunk.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Nothing: chunks go out when they are full, and what is left with [`ChunkWriter::finish`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        Poll::Ready(match ready!(self.chunks.poll_recv(context)) {
            Some(chunk) => Some(Ok(Frame::data(chunk))),
            None if self.whole.load(Ordering::Acquire) => None,
            None => Some(Err(BrokenOff)),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin};

    use super::*;

    /// Writes on a thread of its own with `write`, and reads all that comes, until the end or until it broke off.
    fn through(write: impl FnOnce(ChunkWriter) + Send + 'static) -> (String, Result<(), BrokenOff>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (writer, chunks) = channel();
            let written = tokio::task::spawn_blocking(move || write(writer));
            let mut chunks = pin!(chunks);
            let mut text = Vec::new();
            let ended = loop {
                match poll_fn(|context| chunks.as_mut().poll_frame(context)).await {
                    Some(Ok(frame)) => text.extend_from_slice(&frame.into_data().unwrap()),
                    Some(Err(error)) => break Err(error),
                    None => break Ok(()),
                }
            };
            written.await.unwrap();
            (String::from_utf8(text).unwrap(), ended)
        })
    }

    #[test]
    fn what_is_written_is_read_whatever_its_size() {
        for (pieces, length) in [(0, 0), (1, 0), (1, 1), (100_000, 7), (3, CHUNK), (2, CHUNK + 1)] {
            let piece = "x".repeat(length);
            let expected = piece.repeat(pieces);
            let (text, ended) = through(move |mut writer| {
                for _ in 0..pieces {
                    writer.write_all(piece.as_bytes()).unwrap();
                }
                writer.finish().unwrap();
            });
            assert_eq!(
                (text.len(), text == expected, ended),
                (expected.len(), true, Ok(())),
                "{pieces} of {length}"
            );
        }
    }

    #[test]
    fn what_was_not_finished_is_broken_off() {
        let (text, ended) = through(|mut writer| {
            writer.write_all(&[b'x'; CHUNK]).unwrap();
            writer.write_all(b"y").unwrap();
        });
        assert_eq!((text.len(), ended), (CHUNK, Err(BrokenOff)));
    }

    #[test]
    fn a_client_that_is_gone_ends_the_writing() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (mut writer, chunks) = channel();
            drop(chunks);
            let written = tokio::task::spawn_blocking(move || {
                writer.write_all(b"x").unwrap();
                writer.finish()
            });
            assert_eq!(written.await.unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        });
    }
}
