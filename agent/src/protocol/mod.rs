//! Protocol parsers: sans-IO, one room each. A parser is handed contiguous bytes of a direction with their
//! position, and says how far it got.

pub mod dns;
pub mod http1;
pub mod tls;

use std::sync::Arc;

use crate::{
    exchange::{Counters, Exchange, Role, StreamKind},
    time::Nanos,
    trace::Propagators,
};

/// The parser of one connection.
pub trait Parser: Send {
    /// Takes contiguous bytes of a direction; called again with what it did not use, and more.
    fn parse(&mut self, direction: Direction, piece: &Piece<'_>, output: &mut Output) -> Parse;

    /// Bytes up to stream position `to` will never come; `piece` is what stood unused before them.
    fn gap(&mut self, direction: Direction, piece: &Piece<'_>, to: u64, output: &mut Output);

    /// What the direction's next bytes are to it.
    fn appetite(&self, direction: Direction) -> Appetite;

    /// Whether the server sends in this direction.
    fn is_from_server(&self, direction: Direction) -> bool;

    /// Records of the connection were lost.
    fn note_loss(&mut self);

    /// The application has read from the socket.
    fn picked_up(&mut self, moment: Nanos) {
        let _ = moment;
    }

    /// The server sends no more.
    fn server_closes(&mut self, end: &End, output: &mut Output) {
        let _ = (end, output);
    }

    /// The connection has ended.
    fn close(&mut self, end: &End, output: &mut Output);

    /// The connection is forgotten: what waits on it ends as it is, its end unseen.
    fn abandon(&mut self, end: &End, output: &mut Output);

    /// Gives up what has waited since before `oldest`.
    fn expire(&mut self, oldest: Nanos, now: Nanos, output: &mut Output);

    /// Whether nothing waits on it.
    fn is_idle(&self) -> bool;

    /// What the connection counts as.
    fn class(&self) -> Class;

    /// How much of it the kernel should ship.
    fn detail(&self) -> Detail {
        Detail::Heads
    }

    /// Bytes that it keeps.
    fn kept_bytes(&self) -> usize;
}

/// What a protocol is told by.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// The first bytes of a direction, or, of a connection seen from its middle, those that may begin a message.
    pub bytes: &'a [u8],
    /// They are the first of the connection.
    pub from_start: bool,
    /// The connection's ports, as far as known.
    pub ports: [u16; 2],
}

/// A protocol that is read.
pub struct Protocol {
    /// Whether a connection is of this protocol, and which side its requests come from.
    pub recognise: fn(&Sight<'_>) -> Recognition,
    /// The parser of a connection: the direction its requests take, and whether its first bytes were seen.
    pub parser: fn(Direction, bool, &Output) -> Box<dyn Parser>,
}

/// Every protocol that is read, in the order in which they are asked.
pub const PROTOCOLS: [Protocol; 3] = [
    Protocol {
        // Without what stood before, a first word may be the rest of one.
        recognise: |sight| match sight.from_start {
            true => http1::recognise(sight.bytes),
            false => http1::recognise_known(sight.bytes),
        },
        parser: |requests, from_start, _| Box::new(http1::Connection::new(requests, from_start)),
    },
    Protocol {
        recognise: |sight| match sight.from_start {
            true => tls::recognise(sight.bytes),
            false => Recognition::No,
        },
        parser: |requests, from_start, output| {
            Box::new(tls::Connection::new(requests, from_start, output.fingerprints))
        },
    },
    Protocol {
        recognise: |sight| match sight.ports.contains(&dns::PORT) {
            true => dns::recognise(sight.bytes),
            false => Recognition::No,
        },
        parser: |requests, _, _| Box::new(dns::Connection::new(requests)),
    },
];

/// The protocol that a connection is of, and which message begins: or that it is too early to tell, or that it is
/// none of them.
pub fn recognise(sight: &Sight<'_>) -> (Recognition, Option<&'static Protocol>) {
    let mut undecided = Recognition::No;
    for protocol in &PROTOCOLS {
        match (protocol.recognise)(sight) {
            Recognition::No => {}
            Recognition::NeedMore => undecided = Recognition::NeedMore,
            message => return (message, Some(protocol)),
        }
    }
    (undecided, None)
}

/// What a connection counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Not recognised yet.
    Undecided,
    /// HTTP/1.
    Http1,
    /// It was HTTP/1 and has become a byte stream.
    Stream,
    /// TLS.
    Tls,
    /// DNS.
    Dns,
    /// Not of a protocol we read.
    Opaque,
}

/// How much of a connection the kernel should ship.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The beginning of each segment.
    Heads,
    /// The same: what looked like several messages was one with a long head.
    Single,
    /// Every byte: messages follow one another without the direction turning.
    Everything,
}

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
    /// TLS handshakes that ended.
    pub handshakes: Vec<Box<tls::Handshake>>,
    /// DNS messages.
    pub messages: Vec<dns::Heard>,
    /// Whether strings are kept that only spans and printers need.
    pub details: bool,
    /// Whether at least the targets of requests are kept, for their routes.
    pub targets: bool,
    /// Whether the offers of TLS clients are fingerprinted.
    pub fingerprints: bool,
    /// The formats in which requests may tell of their traces.
    pub propagators: Propagators,
    /// Header fields that are kept beside; `None`: none are, which costs nothing.
    pub headers: Option<Arc<http1::Headers>>,
    /// What the connection has met with so far; an exchange keeps what stood here when it began.
    pub counters: Counters,
    /// Heads of HTTP/1 that were read before.
    pub heads: http1::Memo,
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

    /// The same, with the targets of requests kept or not.
    #[must_use]
    pub fn with_targets(self, targets: bool) -> Self {
        Self { targets, ..self }
    }

    /// The same, with the offers of TLS clients fingerprinted or not.
    #[must_use]
    pub fn with_fingerprints(self, fingerprints: bool) -> Self {
        Self { fingerprints, ..self }
    }

    /// The same, with requests' traces read in these formats.
    #[must_use]
    pub fn with_propagators(self, propagators: Propagators) -> Self {
        Self { propagators, ..self }
    }

    /// The same, with these header fields kept where strings are.
    #[must_use]
    pub fn with_headers(self, headers: &http1::Headers) -> Self {
        let headers = (self.details && !headers.is_empty()).then(|| Arc::new(headers.clone()));
        Self { headers, ..self }
    }

    /// Whether there is nothing but exchanges, as nearly always.
    #[must_use]
    pub const fn has_no_more(&self) -> bool {
        self.opened.is_empty() && self.closed.is_empty() && self.handshakes.is_empty() && self.messages.is_empty()
    }

    /// A blank exchange.
    #[must_use]
    pub fn blank(&mut self) -> Box<Exchange> {
        let mut exchange = self.pool.pop().unwrap_or_default();
        exchange.began_with = self.counters;
        exchange
    }

    /// Takes an exchange back for reuse.
    pub fn recycle(&mut self, mut exchange: Box<Exchange>) {
        if self.pool.len() < POOL_LIMIT {
            if exchange.details.kept_bytes() > POOLED_STRINGS {
                exchange.details = Default::default();
            }
            exchange.reset();
            self.pool.push(exchange);
        }
    }
}
