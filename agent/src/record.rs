//! Recorded files: raw kernel records as they came from the rings, and what the replay cannot ask the host for.
//!
//! A file is the magic, the wall clock's offset (i64), the number of rings (u32), then frames: length of the body
//! (u32), type (u8), ring (u16), zero (u8), body. Integers are little-endian; bodies of kernel records are as the
//! kernel wrote them (host order, `redtap_ebpf::record`).

use std::io::{self, Read, Write};

use crate::time::{Nanos, WallOffset};

/// The first bytes of a file; the last but one is the format's version.
const MAGIC: [u8; 8] = *b"REDTAP\x02\n";

const HEADER: usize = MAGIC.len() + 8 + 4;
const FRAME: usize = 8;

/// The largest body a reader takes: a record of the largest window, with its header.
const MAX_BODY: usize = 32 * 1024;

/// More rings than any kernel has CPUs.
const MAX_RINGS: u32 = 8192;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A record of this ring.
    Record(usize, &'a [u8]),
    /// A description of a process (`identity::Process::to_record`).
    Process(&'a [u8]),
    /// Every record older than this has come.
    Watermark(Nanos),
}

const RECORD: u8 = 0;
const PROCESS: u8 = 1;
const WATERMARK: u8 = 2;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file system's error.
    #[error("cannot read the recording: {0}")]
    Io(#[from] io::Error),
    /// Another kind of file, or another version's.
    #[error("not a recording of this version of redtap")]
    Magic,
    /// A frame that cannot be.
    #[error("the recording is damaged at byte {0}")]
    Damaged(usize),
}

/// Writes a file.
pub struct Writer<W> {
    out: W,
}

impl<W: Write> Writer<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(mut out: W, wall: WallOffset, rings: u32) -> io::Result<Self> {
        out.write_all(&MAGIC)?;
        out.write_all(&wall.0.to_le_bytes())?;
        out.write_all(&rings.to_le_bytes())?;
        Ok(Self { out })
    }

    /// Appends a frame.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn frame(&mut self, frame: Frame<'_>) -> io::Result<()> {
        let moment;
        let (kind, ring, body) = match frame {
            Frame::Record(ring, body) => (RECORD, ring, body),
            Frame::Process(body) => (PROCESS, 0, body),
            Frame::Watermark(nanos) => {
                moment = nanos.0.to_le_bytes();
                (WATERMARK, 0, moment.as_slice())
            }
        };
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
        let ring = u16::try_from(ring).unwrap_or(u16::MAX).to_le_bytes();
        let [a, b] = ring;
        self.out.write_all(&length)?;
        self.out.write_all(&[kind, a, b, 0])?;
        self.out.write_all(body)
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A file in memory.
#[derive(Debug)]
pub struct Recording {
    bytes: Vec<u8>,
    /// The wall clock's offset when it was made.
    pub wall: WallOffset,
    /// Rings there were.
    pub rings: usize,
}

impl Recording {
    /// Reads a whole file and checks its header.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(mut from: impl Read) -> Result<Self, ReadError> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        Self::from_bytes(bytes)
    }

    /// A file's bytes.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ReadError> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or(ReadError::Magic)?;
        let (wall, rest) = rest.split_first_chunk::<8>().ok_or(ReadError::Magic)?;
        let (rings, _) = rest.split_first_chunk::<4>().ok_or(ReadError::Magic)?;
        let (wall, rings) = (WallOffset(i64::from_le_bytes(*wall)), u32::from_le_bytes(*rings));
        if rings > MAX_RINGS {
            return Err(ReadError::Damaged(16));
        }
        let rings = usize::try_from(rings).map_err(|_| ReadError::Damaged(16))?;
        Ok(Self { bytes, wall, rings })
    }

    /// The frames in order. A damaged one is the last; a file cut off in the middle of a frame ends before it, as
    /// one does whose writer was killed.
    pub fn frames(&self) -> impl Iterator<Item = Result<Frame<'_>, ReadError>> {
        let mut at = HEADER;
        std::iter::from_fn(move || {
            let head = self.bytes.get(at..at + FRAME)?;
            let (length, head) = head.split_first_chunk::<4>()?;
            let [kind, a, b, _] = *head.first_chunk::<4>()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let damaged = Some(Err(ReadError::Damaged(at)));
            if length > MAX_BODY {
                at = usize::MAX - FRAME;
                return damaged;
            }
            let body = self.bytes.get(at + FRAME..at + FRAME + length)?;
            let frame = match kind {
                RECORD => Frame::Record(usize::from(u16::from_le_bytes([a, b])), body),
                PROCESS => Frame::Process(body),
                WATERMARK if length == 8 => Frame::Watermark(Nanos(u64::from_le_bytes(*body.first_chunk::<8>()?))),
                _ => {
                    at = usize::MAX - FRAME;
                    return damaged;
                }
            };
            at += FRAME + length;
            Some(Ok(frame))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, WallOffset(-5), 2).unwrap();
        for frame in frames() {
            writer.frame(frame).unwrap();
        }
        bytes
    }

    fn frames() -> [Frame<'static>; 3] {
        [Frame::Record(1, b"abc"), Frame::Watermark(Nanos(9)), Frame::Process(b"")]
    }

    #[test]
    fn what_is_written_is_read() {
        let recording = Recording::from_bytes(file()).unwrap();
        assert_eq!((recording.wall, recording.rings), (WallOffset(-5), 2));
        let read: Vec<_> = recording.frames().map(Result::unwrap).collect();
        assert_eq!(read, frames());
    }

    #[test]
    fn a_cut_file_ends_early_and_a_damaged_one_says_where() {
        let whole = file();
        for length in 0..whole.len() {
            match Recording::from_bytes(whole[..length].to_vec()) {
                Ok(recording) => assert!(recording.frames().all(|frame| frame.is_ok()), "{length}"),
                Err(error) => assert!(matches!(error, ReadError::Magic) && length < HEADER, "{length}: {error}"),
            }
        }
        let mut damaged = whole;
        damaged[HEADER + 4] = 9;
        let recording = Recording::from_bytes(damaged).unwrap();
        let errors: Vec<_> = recording.frames().filter_map(Result::err).map(|error| error.to_string()).collect();
        assert_eq!(errors, [format!("the recording is damaged at byte {HEADER}")]);
    }
}
