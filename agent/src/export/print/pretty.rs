//! One aligned line for people.
//!
//! ```text
//! 22:13:20.000005 <- nginx            GET     /a?b=c&sig=REDACTED                      200            1.204ms      0B >    612B
//! 22:13:20.000005 -> curl             POST    /orders                                  reset          5.000ms    120B >       -
//! ```
//! `<-` is a request that came in (server), `->` one that went out (client).

use std::{fmt, io::Write, time::Duration};

use crate::{
    exchange::{Exchange, Method, Outcome, Role, StreamEnd},
    export::{redact, target::Target},
    identity::{Service, select::QueryKeys},
    red::Authority,
    time::{Nanos, WallOffset},
};

const SERVICE_WIDTH: usize = 16;
const METHOD_WIDTH: usize = 7;
const TARGET_WIDTH: usize = 40;
const STATUS_WIDTH: usize = 12;
const DURATION_WIDTH: usize = 9;
const SIZE_WIDTH: usize = 7;

/// ANSI colours (ECMA-48 §8.3.117) of an answer's class.
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// Writes lines into its own buffer.
#[derive(Debug, Default)]
pub struct PrettyPrinter {
    line: Vec<u8>,
    colour: bool,
    keys: QueryKeys,
}

impl PrettyPrinter {
    /// The same, without values of these keys of queries.
    #[must_use]
    pub fn hiding(self, keys: QueryKeys) -> Self {
        Self { keys, ..self }
    }

    /// Without colour.
    #[must_use]
    pub fn plain() -> Self {
        Self::default()
    }

    /// With colour, for a terminal.
    #[must_use]
    pub fn coloured() -> Self {
        Self { colour: true, ..Self::default() }
    }

    /// The line of an exchange, with its line feed.
    pub fn exchange(&mut self, exchange: &Exchange, service: &Service, wall: WallOffset) -> &[u8] {
        let times = &exchange.times;
        let began = times.request_first.or(times.response_first).or(times.response_last);
        self.begin(began, wall, exchange.role, service);
        let method = match exchange.method {
            Some(Method::Other) => exchange.details.method.as_slice(),
            Some(known) => known.as_str().as_bytes(),
            None => b"-",
        };
        self.column(METHOD_WIDTH, [method]);
        self.target(exchange);
        self.status(exchange);
        self.duration(exchange.duration());
        self.size(exchange.request_body);
        self.line.extend_from_slice(b"> ");
        self.size(exchange.response_body);
        if let Some(stream) = exchange.stream {
            self.line.push(b' ');
            self.line.extend_from_slice(stream.as_str().as_bytes());
        }
        self.end()
    }

    /// The line of an ended stream, with its line feed.
    pub fn stream(&mut self, end: &StreamEnd, service: &Service, wall: WallOffset) -> &[u8] {
        self.begin(Some(end.opened), wall, end.role, service);
        self.column(METHOD_WIDTH, [b"stream".as_slice()]);
        self.column(TARGET_WIDTH, [end.kind.as_str().as_bytes()]);
        self.column(STATUS_WIDTH, [b"closed".as_slice()]);
        self.duration(Some(end.closed.since(end.opened)));
        self.size(Some(end.sent_by_client));
        self.line.extend_from_slice(b"> ");
        self.size(Some(end.sent_by_server));
        self.end()
    }

    fn begin(&mut self, began: Option<Nanos>, wall: WallOffset, role: Role, service: &Service) {
        self.line.clear();
        match began {
            Some(began) => {
                let microseconds = wall.epoch(began) / 1_000;
                let (seconds, fraction) = (microseconds / 1_000_000 % 86_400, microseconds % 1_000_000);
                let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
                self.write(format_args!("{hours:02}:{minutes:02}:{:02}.{fraction:06} ", seconds % 60));
            }
            None => self.write(format_args!("--:--:--.------ ")),
        }
        self.line.extend_from_slice(match role {
            Role::Server => b"<- ",
            Role::Client => b"-> ",
        });
        let service = if service.is_unknown() { "-" } else { &*service.name };
        self.column(SERVICE_WIDTH, [service.as_bytes()]);
    }

    fn end(&mut self) -> &[u8] {
        while self.line.last() == Some(&b' ') {
            self.line.pop();
        }
        self.line.push(b'\n');
        &self.line
    }

    /// Path and redacted query; for a tunnel, where it leads.
    fn target(&mut self, exchange: &Exchange) {
        let target = &exchange.details.target;
        let target = exchange.method.map_or_else(Target::default, |method| Target::parse(method, target));
        match (target.path, target.query, Authority::parse(&exchange.details.authority)) {
            (Some(path), Some(query), _) => {
                let keys = std::mem::take(&mut self.keys);
                let pieces = [path, b"?"].into_iter().chain(redact::query(query, &keys));
                self.column(TARGET_WIDTH, pieces);
                self.keys = keys;
            }
            (Some(path), None, _) => self.column(TARGET_WIDTH, [path]),
            (None, _, Some(authority)) => {
                let mut digits = itoa::Buffer::new();
                let port = digits.format(authority.port_or_default());
                self.column(TARGET_WIDTH, [authority.host.as_bytes(), b":", port.as_bytes()]);
            }
            (None, _, None) => self.column(TARGET_WIDTH, [b"-".as_slice()]),
        }
    }

    fn status(&mut self, exchange: &Exchange) {
        let colour = match (exchange.outcome, exchange.status) {
            (Outcome::Unobserved, _) => DIM,
            (Outcome::Ok, Some(400..)) => YELLOW,
            (Outcome::Ok, _) => GREEN,
            _ => RED,
        };
        if self.colour {
            self.line.extend_from_slice(colour.as_bytes());
        }
        let mut digits = itoa::Buffer::new();
        let text = match (exchange.outcome, exchange.status) {
            (Outcome::Ok | Outcome::Error, Some(status)) => digits.format(status),
            (outcome, _) => outcome.as_str(),
        };
        self.column(STATUS_WIDTH, [text.as_bytes()]);
        if self.colour {
            self.line.extend_from_slice(RESET.as_bytes());
        }
    }

    fn duration(&mut self, duration: Option<Duration>) {
        let Some(duration) = duration else {
            return self.write(format_args!("{:>DURATION_WIDTH$} ", "-"));
        };
        let microseconds = duration.as_micros();
        match microseconds {
            0..1_000_000 => {
                self.write(format_args!("{:>3}.{:03}ms ", microseconds / 1_000, microseconds % 1_000));
            }
            _ => {
                let milliseconds = microseconds / 1_000;
                self.write(format_args!("{:>4}.{:03}s ", milliseconds / 1_000, milliseconds % 1_000));
            }
        }
    }

    fn size(&mut self, bytes: Option<u64>) {
        const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        let Some(bytes) = bytes else {
            return self.write(format_args!("{:>SIZE_WIDTH$} ", "-"));
        };
        if bytes < 10_000 {
            return self.write(format_args!("{bytes:>6}B "));
        }
        let mut whole = bytes;
        let mut unit = "";
        for next in UNITS {
            if whole < 10_000 {
                break;
            }
            whole >>= 10;
            unit = next;
        }
        self.write(format_args!("{whole:>4}{unit} "));
    }

    /// The text of `pieces` in exactly `width` columns, and a space.
    fn column<'a>(&mut self, width: usize, pieces: impl IntoIterator<Item = &'a [u8]>) {
        let mut used = 0;
        let mut last = 0;
        for character in characters(pieces) {
            if used == width {
                // Full: its last character gives way to a sign that something was cut.
                self.line.truncate(self.line.len() - last);
                self.line.extend_from_slice("…".as_bytes());
                break;
            }
            self.line.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            last = character.len_utf8();
            used += 1;
        }
        self.line.extend(std::iter::repeat_n(b' ', width - used + 1));
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a `Vec` cannot fail.
        let _ = self.line.write_fmt(text);
    }
}

/// The characters of foreign text. Control characters, with which it could drive the terminal, and what is no UTF-8 are
/// each shown as U+FFFD.
fn characters<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> impl Iterator<Item = char> {
    let chunks = pieces.into_iter().flat_map(<[u8]>::utf8_chunks);
    let all = chunks.flat_map(|chunk| {
        let invalid = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
        chunk.valid().chars().chain(invalid)
    });
    all.map(|character| if character.is_control() { char::REPLACEMENT_CHARACTER } else { character })
}
