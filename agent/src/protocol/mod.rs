//! Protocol parsers: sans-IO, one room each. A parser is handed contiguous bytes of a direction with their
//! position, and says how far it got.

pub mod http1;

use crate::{
    exchange::{Exchange, Role, StreamKind},
    time::Nanos,
};

/// A direction of a connection, from the observed socket's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Received.
    Rx,
    /// Sent.
    Tx,
}

impl Direction {
    /// The opposite one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Rx => Self::Tx,
            Self::Tx => Self::Rx,
        }
    }
}

/// Contiguous bytes of one direction.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Stream position of the first byte.
    pub at: u64,
    /// The bytes; may be empty where a skipped body ended exactly at `at`.
    pub bytes: &'a [u8],
    /// When the first byte passed.
    pub first: Nanos,
    /// When the last byte passed.
    pub last: Nanos,
    /// The bytes reach to the end of a TCP segment.
    pub ends_segment: bool,
}

impl Piece<'_> {
    /// Stream position after the last byte.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.at + self.bytes.len() as u64
    }
}

/// How far a parser got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parse {
    /// It used so many bytes and wants to be called with the rest, if there is any.
    Done(usize),
    /// It needs the same bytes again, and more.
    NeedMore,
    /// It needs nothing before this stream position.
    Skip(u64),
    /// This is not its protocol.
    Invalid,
}

/// What a direction's next bytes are to its parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appetite {
    /// Needed, each of them.
    Bytes,
    /// Body of unknown length: only its end matters.
    Bulk,
    /// A byte stream that is none of the parser's business any more.
    Nothing,
}

/// Whether bytes at the start of a direction are of a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recognition {
    /// They begin a request.
    Request,
    /// They begin a response.
    Response,
    /// Too few to tell.
    NeedMore,
    /// They are not.
    No,
}

impl Recognition {
    /// Whether a message begins.
    #[must_use]
    pub const fn is_some_head(self) -> bool {
        matches!(self, Self::Request | Self::Response)
    }
}

/// How a connection ended, or half-ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// The moment.
    pub time: Nanos,
    /// The direction whose FIN came first, if any did.
    pub first_fin: Option<Direction>,
    /// The direction a RST went.
    pub rst: Option<Direction>,
    /// Stream position after the last byte received.
    pub rx_end: u64,
    /// Stream position after the last byte sent.
    pub tx_end: u64,
}

impl End {
    /// Stream position after the last byte of a direction.
    #[must_use]
    pub const fn position(&self, direction: Direction) -> u64 {
        match direction {
            Direction::Rx => self.rx_end,
            Direction::Tx => self.tx_end,
        }
    }
}

/// A stream's bounds, told when it opens and again when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamBounds {
    /// What it is.
    pub kind: StreamKind,
    /// Server or client side.
    pub role: Role,
    /// When it opened.
    pub opened: Nanos,
    /// When it ended; equal to `opened` while it has not.
    pub closed: Nanos,
    /// Payload bytes from the client.
    pub sent_by_client: u64,
    /// Payload bytes from the server.
    pub sent_by_server: u64,
}

/// What a parser hands on. Boxes go round: a finished exchange comes back to the pool when its readers are done.
#[derive(Default)]
pub struct Output {
    /// Finished exchanges, oldest first.
    pub finished: Vec<Box<Exchange>>,
    /// Streams that opened.
    pub opened: Vec<StreamBounds>,
    /// Streams that ended.
    pub closed: Vec<StreamBounds>,
    /// Whether strings are kept that only spans and printers need.
    pub details: bool,
    #[expect(clippy::vec_box, reason = "the boxes are what goes round")]
    pool: Vec<Box<Exchange>>,
}

/// Exchanges kept for reuse; beyond that, memory is given back.
const POOL_LIMIT: usize = 4096;

/// Bytes of strings an exchange in the pool may hold on to.
const POOLED_STRINGS: usize = 2048;

impl Output {
    /// Nothing yet; `details` keeps the strings that only spans and printers need.
    #[must_use]
    pub fn new(details: bool) -> Self {
        Self { details, ..Self::default() }
    }

    /// A blank exchange.
    #[must_use]
    pub fn blank(&mut self) -> Box<Exchange> {
        self.pool.pop().unwrap_or_default()
    }

    /// Takes an exchange back for reuse.
    pub fn recycle(&mut self, mut exchange: Box<Exchange>) {
        if self.pool.len() < POOL_LIMIT {
            let mut details = std::mem::take(&mut exchange.details);
            let strings = details.target.capacity() + details.user_agent.capacity();
            if strings > POOLED_STRINGS {
                details = Default::default();
            }
            details.clear();
            *exchange = Exchange { details, ..Exchange::default() };
            self.pool.push(exchange);
        }
    }
}
