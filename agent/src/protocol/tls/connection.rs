//! A TLS connection up to the end of its handshake.
//!
//! ```text
//!                ClientHello              ServerHello, TLS ≤ 1.2
//!   ┌──────────┐             ┌─────────┐                         ┌───────┐ ChangeCipherSpec and a record
//!   │ Offering ├────────────>│ Offered ├────────────────────────>│ Clear ├──────────────────────────────┐
//!   └──────────┘             └─┬──┬──^─┘                         └───────┘ of handshake, from each side │
//!                              │  └──┘ HelloRetryRequest                                                v
//!                              │     ServerHello, TLS 1.3        ┌────────┐  client's first record  ┌──────┐
//!                              └────────────────────────────────>│ Sealed ├────────────────────────>│ Over │
//!                                                                └────────┘                         └──────┘
//! ```
//!
//! From everywhere, an alert, the end of the connection, or bytes that passed unseen lead to `Over`. So one handshake
//! is told of a connection, once.
//!
//! What is guessed, and to which side it errs:
//! - In TLS 1.3 an alert looks like data from outside. A record as long as an alert's, and shorter than any message of a
//!   handshake, is taken for one; implementations do not split messages so.
//! - A client that has offered early data (RFC 8446 §2.3) finishes with its first record after the server's first that
//!   is not as long as `EndOfEarlyData`. What was on its way then makes the handshake look shorter than it was.
//! - A server that refuses the client's certificate in TLS 1.3 does so after the client has finished, under encryption:
//!   such a handshake counts as established.

use super::{
    Certificates, Handshake, Outcome,
    certificate::certificates,
    hello::{self, Choice},
    record::{Content, Reader, Step, kind},
};
use crate::{
    exchange::Role,
    protocol::{Appetite, Class, Detail, Direction, End, Output, Parse, Parser, Piece},
    time::Nanos,
};

/// The handshake of a connection.
#[derive(Debug)]
pub struct Connection {
    requests: Direction,
    complete: bool,
    fingerprint: bool,
    phase: Phase,
    client: Side,
    server: Side,
    /// From the client's first byte on, until it is told.
    handshake: Option<Box<Handshake>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No `ClientHello` yet.
    Offering,
    /// The server is to choose.
    Offered { early_data: bool },
    /// TLS 1.2 or older.
    Clear,
    /// TLS 1.3, from the `ServerHello` on.
    Sealed { early_data: bool, server_spoke: bool },
    /// The handshake has been told, or never will be.
    Over,
}

#[derive(Debug, Default)]
struct Side {
    reader: Reader,
    /// Stream position of the next byte that matters; `None` before the first.
    next: Option<u64>,
    /// Its `Finished` has passed (TLS 1.2 and older).
    finished: bool,
    /// It does not speak TLS.
    foreign: bool,
}

impl Connection {
    /// A connection whose `ClientHello` goes in direction `requests`. `from_start`: its beginning was seen, so that what
    /// is no TLS has not just been cut off. `fingerprint`: with JA4.
    #[must_use]
    pub fn new(requests: Direction, from_start: bool, fingerprint: bool) -> Self {
        Self {
            requests,
            complete: from_start,
            fingerprint,
            phase: Phase::Offering,
            client: Side::default(),
            server: Side::default(),
            handshake: None,
        }
    }

    const fn role(&self) -> Role {
        match self.requests {
            Direction::Rx => Role::Server,
            Direction::Tx => Role::Client,
        }
    }

    const fn is_client(&self, direction: Direction) -> bool {
        matches!((self.requests, direction), (Direction::Rx, Direction::Rx) | (Direction::Tx, Direction::Tx))
    }

    const fn side(&self, by_client: bool) -> &Side {
        if by_client { &self.client } else { &self.server }
    }

    const fn side_mut(&mut self, by_client: bool) -> &mut Side {
        if by_client { &mut self.client } else { &mut self.server }
    }

    /// Tells the handshake; nothing is if the client has not sent a byte.
    fn finish(&mut self, outcome: Outcome, at: Nanos, output: &mut Output) {
        self.phase = Phase::Over;
        self.client = Side::default();
        self.server = Side::default();
        if let Some(mut handshake) = self.handshake.take() {
            handshake.duration = (outcome == Outcome::Established).then(|| at.since(handshake.began));
            handshake.outcome = outcome;
            output.handshakes.push(handshake);
        }
    }

    fn unobserved(&mut self, output: &mut Output) {
        self.finish(Outcome::Unobserved, Nanos(0), output);
    }

    /// A side does not speak TLS, or no more.
    fn foreign(&mut self, by_client: bool, output: &mut Output) {
        if self.complete {
            let side = self.side_mut(by_client);
            *side = Side { foreign: true, next: side.next, ..Side::default() };
        } else {
            self.unobserved(output);
        }
    }

    /// Takes what comes next; `false`: this is not TLS at all.
    fn take(&mut self, by_client: bool, step: Step, at: Nanos, output: &mut Output) -> bool {
        match step {
            Step::Message(kind, body) => return self.message(by_client, kind, &body, output),
            Step::Alert(level, description) => {
                if self.is_fatal(level, description) {
                    self.finish(Outcome::Alert { by_client, description: Some(description) }, at, output);
                }
            }
            Step::Sealed(content, length) => self.sealed(by_client, content, length, at, output),
            Step::Foreign if by_client && self.phase == Phase::Offering => return false,
            Step::Foreign => self.foreign(by_client, output),
            Step::NeedMore | Step::Skip(_) => {}
        }
        true
    }

    /// Whether an alert ends the handshake: all that are fatal, and in TLS 1.3, which ignores the level, all that are
    /// errors (RFC 8446 §6).
    fn is_fatal(&self, level: u8, description: u8) -> bool {
        const WARNING: u8 = 1;
        const CLOSE_NOTIFY: u8 = 0;
        const USER_CANCELED: u8 = 90;
        let closing = description == CLOSE_NOTIFY || description == USER_CANCELED;
        description != CLOSE_NOTIFY
            && (level != WARNING || (matches!(self.phase, Phase::Sealed { .. }) && !closing))
    }

    fn message(&mut self, by_client: bool, kind: u8, body: &[u8], output: &mut Output) -> bool {
        match (self.phase, by_client, kind) {
            (Phase::Offering, true, kind::CLIENT_HELLO) => return self.offer(body),
            // Nothing else begins a connection.
            (Phase::Offering, true, _) => return false,
            (Phase::Offered { .. }, true, kind::CLIENT_HELLO) => {
                // The second one repeats the first, without early data (RFC 8446 §4.1.2).
                self.phase = Phase::Offered { early_data: false };
            }
            (Phase::Offered { early_data }, false, kind::SERVER_HELLO) => match hello::choice(body) {
                Some(choice) => self.choose(choice, early_data),
                None => self.foreign(by_client, output),
            },
            (Phase::Clear, ..) => self.clear(by_client, kind, body),
            (Phase::Offering, false, kind::SERVER_HELLO) => self.foreign(by_client, output),
            _ => {}
        }
        true
    }

    fn offer(&mut self, body: &[u8]) -> bool {
        let Some(offer) = hello::offer(body, self.fingerprint) else { return false };
        self.phase = Phase::Offered { early_data: offer.early_data };
        if let Some(handshake) = &mut self.handshake {
            handshake.server_name = offer.server_name;
            handshake.protocols_offered = offer.protocols;
            handshake.versions_offered = offer.versions;
            handshake.ciphers_offered = offer.ciphers;
            handshake.fingerprint = offer.fingerprint;
        }
        true
    }

    fn choose(&mut self, choice: Choice, early_data: bool) {
        let Some(handshake) = &mut self.handshake else { return };
        handshake.version = Some(choice.version);
        handshake.cipher = Some(choice.cipher);
        handshake.group = choice.group;
        handshake.protocol = choice.protocol;
        if choice.retry {
            handshake.retried = true;
        } else if hello::is_1_3(choice.version) {
            handshake.resumed = Some(choice.pre_shared_key);
            if !choice.pre_shared_key {
                handshake.server_certificates = Certificates::Encrypted;
                handshake.client_certificates = Certificates::Encrypted;
            }
            self.phase = Phase::Sealed { early_data, server_spoke: false };
        } else {
            self.phase = Phase::Clear;
        }
    }

    fn clear(&mut self, by_client: bool, kind: u8, body: &[u8]) {
        let Some(handshake) = &mut self.handshake else { return };
        match (by_client, kind) {
            (true, kind::CERTIFICATE) => {
                handshake.client_certificates = certificates(body);
            }
            (false, kind::CERTIFICATE) => {
                handshake.server_certificates = certificates(body);
                handshake.resumed = Some(false);
            }
            (false, kind::SERVER_KEY_EXCHANGE) => {
                handshake.group = hello::key_exchange_group(handshake.cipher.unwrap_or_default(), body);
            }
            (false, kind::CERTIFICATE_REQUEST) => handshake.client_certificate_requested = true,
            (false, kind::SERVER_HELLO_DONE) => handshake.resumed = Some(false),
            _ => {}
        }
    }

    /// A record that cannot be read has passed.
    fn sealed(&mut self, by_client: bool, content: Content, length: u16, at: Nanos, output: &mut Output) {
        let failed = Outcome::Alert { by_client, description: None };
        match (self.phase, content) {
            (Phase::Clear, Content::ChangeCipherSpec) => {
                self.side_mut(by_client).reader.seal();
                // A server that goes over to new keys without having finished its hello takes those of a session.
                if let Some(handshake) = self.handshake.as_mut().filter(|_| !by_client) {
                    handshake.resumed = handshake.resumed.or(Some(true));
                }
            }
            (Phase::Clear, Content::Handshake) => {
                self.side_mut(by_client).finished = true;
                if self.client.finished && self.server.finished {
                    self.finish(Outcome::Established, at, output);
                }
            }
            (Phase::Clear, Content::Alert) => self.finish(failed, at, output),
            (Phase::Sealed { early_data, server_spoke }, Content::Application) => {
                let cipher = self.handshake.as_ref().and_then(|handshake| handshake.cipher);
                let inner = inner_length(cipher.unwrap_or_default(), length);
                let after_early_data = !early_data || server_spoke;
                match (by_client, inner) {
                    (true, _) if !after_early_data => {}
                    (_, ALERT) => self.finish(failed, at, output),
                    (true, END_OF_EARLY_DATA) if early_data => {}
                    (true, END_OF_EARLY_DATA..) => self.finish(Outcome::Established, at, output),
                    (true, _) => {}
                    (false, _) => self.phase = Phase::Sealed { early_data, server_spoke: true },
                }
            }
            _ => {}
        }
    }
}

/// Length of an alert.
const ALERT: u16 = 2;

/// Length of `EndOfEarlyData` (RFC 8446 §4.5), the shortest message of a handshake: its header.
const END_OF_EARLY_DATA: u16 = 4;

/// What a record of TLS 1.3 holds, without its type and the tag of its cipher (RFC 8446 §5.2); padding is not known.
fn inner_length(cipher: u16, length: u16) -> u16 {
    let tag = match cipher {
        // TLS_AES_128_CCM_8_SHA256.
        0x1305 => 8,
        // TLS_SHA256_SHA256 and TLS_SHA384_SHA384 (RFC 9150 §5).
        0xc0b4 => 32,
        0xc0b5 => 48,
        _ => 16,
    };
    length.saturating_sub(tag + 1)
}

impl Parser for Connection {
    fn parse(&mut self, direction: Direction, piece: &Piece<'_>, output: &mut Output) -> Parse {
        let all = piece.bytes.len();
        let by_client = self.is_client(direction);
        if self.appetite(direction) == Appetite::Nothing {
            return Parse::Done(all);
        }
        let next = *self.side_mut(by_client).next.get_or_insert(piece.at);
        if piece.at > next {
            self.unobserved(output);
            return Parse::Done(all);
        }
        if piece.end() < next {
            return Parse::Skip(next);
        }
        if by_client && self.handshake.is_none() && all > 0 {
            let (role, began) = (self.role(), piece.first);
            self.handshake = Some(Box::new(Handshake { role, began, ..Handshake::default() }));
        }
        let mut used = usize::try_from(next - piece.at).unwrap_or(all);
        while self.phase != Phase::Over {
            let side = self.side_mut(by_client);
            if side.foreign {
                break;
            }
            let rest = piece.bytes.get(used..).unwrap_or_default();
            let (more, step) = side.reader.next(rest);
            used += more;
            let at = piece.at + used as u64;
            side.next = Some(at);
            match step {
                Step::NeedMore => return Parse::Done(all),
                Step::Skip(count) => {
                    side.next = Some(at + count);
                    return Parse::Skip(at + count);
                }
                step => {
                    if !self.take(by_client, step, piece.last, output) {
                        self.handshake = None;
                        self.finish(Outcome::Unobserved, piece.last, output);
                        return Parse::Invalid;
                    }
                }
            }
        }
        Parse::Done(all)
    }

    fn gap(&mut self, direction: Direction, piece: &Piece<'_>, to: u64, output: &mut Output) {
        if self.appetite(direction) == Appetite::Nothing {
            return;
        }
        // What is passed over may be missing as well.
        let next = self.side(self.is_client(direction)).next.unwrap_or(piece.at);
        if to > next {
            self.unobserved(output);
        }
    }

    fn appetite(&self, direction: Direction) -> Appetite {
        if self.phase == Phase::Over || self.side(self.is_client(direction)).foreign {
            return Appetite::Nothing;
        }
        Appetite::Bytes
    }

    fn is_from_server(&self, direction: Direction) -> bool {
        !self.is_client(direction)
    }

    fn note_loss(&mut self) {
        self.complete = false;
    }

    fn close(&mut self, end: &End, output: &mut Output) {
        let unread = |direction| {
            let side = self.side(self.is_client(direction));
            !side.foreign && side.next.is_some_and(|next| end.position(direction) > next)
        };
        let all_read = self.complete && !unread(Direction::Rx) && !unread(Direction::Tx);
        let outcome = if all_read { Outcome::Abandoned } else { Outcome::Unobserved };
        self.finish(outcome, end.time, output);
    }

    fn abandon(&mut self, _: &End, output: &mut Output) {
        self.unobserved(output);
    }

    fn expire(&mut self, _: Nanos, _: Nanos, _: &mut Output) {}

    fn is_idle(&self) -> bool {
        self.handshake.is_none()
    }

    fn class(&self) -> Class {
        Class::Tls
    }

    fn detail(&self) -> Detail {
        if self.phase == Phase::Over { Detail::Heads } else { Detail::Everything }
    }

    fn kept_bytes(&self) -> usize {
        self.client.reader.kept_bytes() + self.server.reader.kept_bytes()
    }
}
