//! Chunked bodies (RFC 9112 §7.1): sizes and line ends are read, chunk data is passed over by position.

use crate::protocol::{Parse, Piece};

/// Where in a chunked body the next byte lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunks {
    /// In the hexadecimal size, so far this; `None` before its first digit.
    Size(Option<u64>),
    /// Behind the size, in extensions or at the line end; the chunk has this size.
    Extension(u64),
    /// In chunk data up to this stream position.
    Data(u64),
    /// In the line end behind chunk data.
    DataEnd,
    /// In the trailer section, in a line of which so many bytes were seen.
    Trailer(u64),
    /// Bytes are missing; only the end mark can tell.
    Lost,
}

/// How far a chunked body got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not at its end.
    Open(Parse),
    /// At its end, after so many of the bytes.
    Complete(usize),
}

/// The end of a body whose last chunk follows another, or stands alone, without trailers.
const END_MARK: &[u8] = b"\r\n0\r\n\r\n";

impl Chunks {
    /// The beginning of a body.
    pub const START: Self = Self::Size(None);

    /// Goes over a piece.
    pub fn advance(&mut self, piece: &Piece<'_>) -> Progress {
        if *self == Self::Lost {
            return self.look_for_end(piece);
        }
        let mut used = 0;
        loop {
            if let Self::Data(end) = *self {
                let here = piece.at + used as u64;
                if end > piece.end() {
                    return Progress::Open(Parse::Skip(end));
                }
                used += usize::try_from(end.saturating_sub(here)).unwrap_or_default();
                *self = Self::DataEnd;
            }
            let Some(byte) = piece.bytes.get(used) else {
                return Progress::Open(Parse::Done(used));
            };
            used += 1;
            *self = match (*self, byte) {
                (Self::Size(size), digit) if digit.is_ascii_hexdigit() => {
                    let digit = u64::from(char::from(*digit).to_digit(16).unwrap_or_default());
                    match size.unwrap_or_default().checked_mul(16) {
                        Some(size) => Self::Size(Some(size + digit)),
                        None => Self::Lost,
                    }
                }
                (Self::Size(Some(0)) | Self::Extension(0), b'\n') => Self::Trailer(0),
                (Self::Size(Some(size)) | Self::Extension(size), b'\n') => {
                    Self::Data((piece.at + used as u64).saturating_add(size))
                }
                (Self::Size(Some(size)) | Self::Extension(size), _) => Self::Extension(size),
                (Self::DataEnd, b'\n') => Self::START,
                (Self::DataEnd, b'\r') => Self::DataEnd,
                (Self::Trailer(0), b'\n') => return Progress::Complete(used),
                (Self::Trailer(_), b'\n') => Self::Trailer(0),
                (Self::Trailer(length), b'\r') => Self::Trailer(length),
                (Self::Trailer(length), _) => Self::Trailer(length + 1),
                (Self::Size(None) | Self::DataEnd | Self::Data(_) | Self::Lost, _) => Self::Lost,
            };
            if *self == Self::Lost {
                return self.look_for_end(piece);
            }
        }
    }

    /// Bytes are missing from here on; `to` is where they come back. Chunk data may miss without harm.
    pub fn gap(&mut self, to: u64) {
        match *self {
            Self::Data(end) if to <= end => {}
            _ => *self = Self::Lost,
        }
    }

    /// Favours the end of the exchange over its exact size: chunk data that ends a segment with the very bytes of
    /// the end mark would be taken for it.
    fn look_for_end(&self, piece: &Piece<'_>) -> Progress {
        let end = piece.bytes.ends_with(END_MARK) || END_MARK.strip_prefix(b"\r\n") == Some(piece.bytes);
        if piece.ends_segment && end {
            Progress::Complete(piece.bytes.len())
        } else {
            Progress::Open(Parse::Done(piece.bytes.len()))
        }
    }
}
