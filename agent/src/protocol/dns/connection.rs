//! DNS over TCP: messages, each after its length in two bytes (RFC 1035 §4.2.2), any number on their way at once and
//! answered in any order (RFC 7766 §6.2.1.1). Nothing is paired here.

use super::{
    Heard,
    message::{HEADER, Read, read, recognise},
};
use crate::{
    protocol::{Appetite, Class, Detail, Direction, End, Output, Parse, Parser, Piece, Recognition},
    time::Nanos,
};

/// Bytes of the length before each message.
const PREFIX: usize = 2;

/// What the next bytes of a direction are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reading {
    /// A message's length.
    #[default]
    Message,
    /// The rest of a message that was lost in part, up to this stream position.
    Rest(u64),
    /// Of unknown meaning, until a message is recognised.
    Astray,
}

/// A DNS connection as seen from one of its sockets.
///
/// After a loss it goes on where the message that was lost in part ends, if its length was seen; or else with the
/// first bytes that look like a message, and garbage is nobody's fault then. A message whose question was seen is told
/// although its end was lost, without what that may have held: better than a lookup that seems never answered.
#[derive(Debug)]
pub struct Connection {
    /// The direction queries take.
    requests: Direction,
    queries: Reading,
    answers: Reading,
    /// Bytes were lost: what looks like garbage may be the middle of a message.
    lossy: bool,
}

impl Connection {
    /// Both directions begin with a message; queries go in direction `requests`.
    #[must_use]
    pub const fn new(requests: Direction) -> Self {
        Self { requests, queries: Reading::Message, answers: Reading::Message, lossy: false }
    }

    fn reading(&mut self, direction: Direction) -> &mut Reading {
        if direction == self.requests { &mut self.queries } else { &mut self.answers }
    }

    /// Tells a message; `false`: it is none, or one that does not go this way.
    fn tell(&self, direction: Direction, bytes: &[u8], time: Nanos, output: &mut Output) -> bool {
        match read(bytes) {
            Read::Message(message) if message.is_response != (direction == self.requests) => {
                output.messages.push(Heard { direction, time, message });
                true
            }
            Read::Message(_) | Read::Garbage => false,
            Read::Other => true,
        }
    }

    /// Whether bytes of unknown meaning begin a message that goes this way.
    fn begins(&self, direction: Direction, bytes: &[u8]) -> Recognition {
        let expected = if direction == self.requests { Recognition::Request } else { Recognition::Response };
        match recognise(bytes) {
            found if found == expected => found,
            Recognition::NeedMore => Recognition::NeedMore,
            _ => Recognition::No,
        }
    }

    /// Reads the message at the beginning of `bytes`.
    fn message(&self, direction: Direction, piece: &Piece<'_>, output: &mut Output) -> Parse {
        let Some(length) = message_length(piece.bytes) else { return Parse::NeedMore };
        if length < HEADER {
            return Parse::Invalid;
        }
        let end = PREFIX + length;
        match piece.bytes.get(PREFIX..end) {
            Some(message) if self.tell(direction, message, piece.last, output) => Parse::Done(end),
            Some(_) => Parse::Invalid,
            None => Parse::NeedMore,
        }
    }
}

impl Parser for Connection {
    fn parse(&mut self, direction: Direction, piece: &Piece<'_>, output: &mut Output) -> Parse {
        if let Reading::Rest(to) = *self.reading(direction) {
            if piece.at < to {
                return Parse::Skip(to);
            }
            *self.reading(direction) = Reading::Message;
        }
        if *self.reading(direction) == Reading::Astray {
            match self.begins(direction, piece.bytes) {
                Recognition::NeedMore => return Parse::NeedMore,
                Recognition::No => return Parse::Done(piece.bytes.len()),
                Recognition::Request | Recognition::Response => *self.reading(direction) = Reading::Message,
            }
        }
        match self.message(direction, piece, output) {
            Parse::Invalid if self.lossy => {
                *self.reading(direction) = Reading::Astray;
                Parse::Done(piece.bytes.len())
            }
            parse => parse,
        }
    }

    fn gap(&mut self, direction: Direction, piece: &Piece<'_>, to: u64, output: &mut Output) {
        let end = match *self.reading(direction) {
            Reading::Rest(end) => Some(end),
            Reading::Astray => None,
            Reading::Message => {
                let length = message_length(piece.bytes).filter(|length| *length >= HEADER);
                if length.is_some() {
                    let message = piece.bytes.get(PREFIX..).unwrap_or_default();
                    self.tell(direction, message, piece.last, output);
                }
                length.map(|length| piece.at + (PREFIX + length) as u64)
            }
        };
        self.lossy = true;
        *self.reading(direction) = match end {
            Some(end) if to <= end => Reading::Rest(end),
            _ => Reading::Astray,
        };
    }

    fn appetite(&self, _: Direction) -> Appetite {
        Appetite::Bytes
    }

    fn is_from_server(&self, direction: Direction) -> bool {
        direction != self.requests
    }

    fn note_loss(&mut self) {
        self.lossy = true;
    }

    fn close(&mut self, _: &End, _: &mut Output) {}

    fn abandon(&mut self, _: &End, _: &mut Output) {}

    fn expire(&mut self, _: Nanos, _: Nanos, _: &mut Output) {}

    fn is_idle(&self) -> bool {
        true
    }

    fn class(&self) -> Class {
        Class::Dns
    }

    fn detail(&self) -> Detail {
        Detail::Everything
    }

    fn kept_bytes(&self) -> usize {
        0
    }
}

/// The length before a message; `None`: not all of it is there.
fn message_length(bytes: &[u8]) -> Option<usize> {
    let prefix = bytes.first_chunk::<PREFIX>()?;
    Some(usize::from(u16::from_be_bytes(*prefix)))
}
