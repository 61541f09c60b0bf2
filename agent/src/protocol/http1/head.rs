//! Message heads: start line and the few fields that frame, name or redirect (RFC 9112 §§2 to 6, RFC 9110 §§7, 8).
//!
//! Lenient where servers are: bare LF line ends, empty lines before the start line, obsolete folding, bytes that
//! are no UTF-8, any token as a method.

mod memo;

use memchr::{memchr, memchr_iter, memrchr};

pub use self::memo::Memo;
use crate::{protocol::Recognition, trace::context::Fields};

/// The longest method token that is taken for one: RFC 9110 §9.1 sets no limit; WebDAV's longest is 15.
const MAX_METHOD: usize = 32;

/// How the length of a message's body is known (RFC 9112 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Neither field is there.
    Absent,
    /// `Content-Length`, valid and without contradiction.
    Length(u64),
    /// `chunked` is the final transfer coding.
    Chunked,
    /// Fields contradict one another or are no numbers, or the final transfer coding is another.
    Unclear,
}

/// What a head says, borrowed from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// Its start line.
    pub start: StartLine<'a>,
    /// Minor version.
    pub minor: u8,
    /// Body framing by its fields.
    pub framing: Framing,
    /// `Host`.
    pub host: &'a [u8],
    /// `User-Agent`.
    pub user_agent: &'a [u8],
    /// `Upgrade`.
    pub upgrade: &'a [u8],
    /// `Expect: 100-continue`.
    pub expects_continue: bool,
    /// `Content-Type: text/event-stream`.
    pub event_stream: bool,
}

/// The first line of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine<'a> {
    /// Method and target.
    Request {
        /// The method's token.
        method: &'a [u8],
        /// The target as sent.
        target: &'a [u8],
    },
    /// Status code.
    Response(u16),
}

/// A head, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A whole head and its length in bytes.
    Whole(Head<'a>, usize),
    /// The empty line that ends it is not there yet.
    NeedMore,
    /// Not a head.
    Invalid,
}

/// Reads a head that begins at the first byte (after any empty lines), and gathers the fields that tell of traces and proxies.
#[must_use]
pub fn parse<'a>(bytes: &'a [u8], mut others: Option<&mut Fields<'a>>) -> Parsed<'a> {
    let skipped = leading_empty_lines(bytes);
    let rest = bytes.get(skipped..).unwrap_or_default();
    let mut lines = Lines { bytes: rest, at: 0 };
    let Some(first) = lines.next() else {
        return if recognise(rest) == Recognition::No { Parsed::Invalid } else { Parsed::NeedMore };
    };
    let Some((start, minor)) = start_line(first) else { return Parsed::Invalid };
    let mut head = Head::new(start, minor);
    let mut lengths = Lengths::default();
    for line in lines.by_ref() {
        if line.is_empty() {
            head.framing = lengths.framing();
            return Parsed::Whole(head, skipped + lines.at);
        }
        field(line, &mut head, &mut lengths, others.as_deref_mut());
    }
    Parsed::NeedMore
}

/// Reads as much of a head as there is: its end was not captured. `None` where not even the start line can be
/// made out. The framing is [`Framing::Unclear`] unless its fields are among what is there.
#[must_use]
pub fn parse_partial(bytes: &[u8]) -> Option<Head<'_>> {
    read_partial(bytes, None)
}

/// The same, and gathers the fields that tell of traces and proxies.
pub fn parse_partial_with<'a>(bytes: &'a [u8], fields: &mut Fields<'a>) -> Option<Head<'a>> {
    read_partial(bytes, Some(fields))
}

fn read_partial<'a>(bytes: &'a [u8], mut others: Option<&mut Fields<'a>>) -> Option<Head<'a>> {
    let rest = bytes.get(leading_empty_lines(bytes)..)?;
    let mut lines = Lines { bytes: rest, at: 0 };
    let Some(first) = lines.next() else {
        return partial_request_line(rest);
    };
    let (start, minor) = start_line(first)?;
    let mut head = Head::new(start, minor);
    let mut lengths = Lengths::default();
    for line in lines {
        field(line, &mut head, &mut lengths, others.as_deref_mut());
    }
    head.framing = Framing::Unclear;
    Some(head)
}

/// The name and the value of each field of a head, in order, as far as its lines are whole. A value that goes on in a folded line ends
/// with its first one (RFC 9112 §5.2).
pub fn fields(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let rest = bytes.get(leading_empty_lines(bytes)..).unwrap_or_default();
    let lines = Lines { bytes: rest, at: 0 }.skip(1).take_while(|line| !line.is_empty());
    lines.filter_map(|line| {
        let (name, value) = line.split_at_checked(memchr(b':', line)?)?;
        Some((name, value.get(1..)?.trim_ascii()))
    })
}

/// Whether an empty line that ends a head lies in `bytes`, the first `searched` of which were looked at before.
#[must_use]
pub fn has_end(bytes: &[u8], searched: usize) -> bool {
    let from = searched.saturating_sub(3);
    let tail = bytes.get(from..).unwrap_or_default();
    memchr_iter(b'\n', tail).any(|at| matches!(tail.get(at + 1..), Some([b'\n', ..] | [b'\r', b'\n', ..])))
}

/// Whether bytes begin an HTTP/1 message.
///
/// Biased towards "no": a protocol that merely resembles HTTP is left alone. An unknown method is believed only
/// when the line ends in the version.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Recognition {
    let Some(bytes) = bytes.get(leading_empty_lines(bytes)..) else { return Recognition::NeedMore };
    if bytes.is_empty() {
        return Recognition::NeedMore;
    }
    const STATUS: &[u8] = b"HTTP/1.";
    if bytes.len() < STATUS.len() && STATUS.starts_with(bytes) {
        return Recognition::NeedMore;
    }
    if bytes.starts_with(STATUS) {
        return match bytes.get(STATUS.len()..) {
            Some([minor, b' ', a, b, c, ..]) if minor.is_ascii_digit() => {
                let digits = a.is_ascii_digit() && b.is_ascii_digit() && c.is_ascii_digit();
                if digits { Recognition::Response } else { Recognition::No }
            }
            Some(rest) if rest.len() < 5 => Recognition::NeedMore,
            _ => Recognition::No,
        };
    }
    let token = bytes.iter().take(MAX_METHOD + 1).take_while(|byte| is_token(**byte)).count();
    match bytes.get(token) {
        _ if token > MAX_METHOD => Recognition::No,
        None => Recognition::NeedMore,
        Some(b' ') if token > 0 => match memchr(b'\n', bytes) {
            Some(end) => {
                let line = trim_cr(bytes.get(..end).unwrap_or_default());
                if start_line(line).is_some() { Recognition::Request } else { Recognition::No }
            }
            None => Recognition::NeedMore,
        },
        Some(_) => Recognition::No,
    }
}

/// Whether bytes of which it is not known that a message begins with them do begin one: with a known method, or a
/// status line. Unlike [`recognise`], it takes no word of a body for a method.
#[must_use]
pub fn recognise_known(bytes: &[u8]) -> Recognition {
    let rest = bytes.get(leading_empty_lines(bytes)..).unwrap_or_default();
    let known = |start: &&[u8]| rest.starts_with(start) || start.starts_with(rest);
    if KNOWN_STARTS.iter().any(known) { recognise(bytes) } else { Recognition::No }
}

/// What a message begins with, but for those of unknown method.
const KNOWN_STARTS: [&[u8]; 10] =
    [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"CONNECT ", b"OPTIONS ", b"TRACE ", b"PATCH ", b"HTTP/1."];

/// Whether bytes that will not be added to begin a message: a head longer than what was captured of it.
#[must_use]
pub fn recognise_partial(bytes: &[u8]) -> Recognition {
    match parse_partial(bytes).map(|head| head.start) {
        Some(StartLine::Request { .. }) => Recognition::Request,
        Some(StartLine::Response(_)) => Recognition::Response,
        None => Recognition::No,
    }
}

impl<'a> Head<'a> {
    const fn new(start: StartLine<'a>, minor: u8) -> Self {
        Self {
            start,
            minor,
            framing: Framing::Absent,
            host: b"",
            user_agent: b"",
            upgrade: b"",
            expects_continue: false,
            event_stream: false,
        }
    }
}

/// Lines without their ends; an unfinished last line is not one.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let end = memchr(b'\n', rest)?;
        self.at += end + 1;
        Some(trim_cr(rest.get(..end)?))
    }
}

const fn trim_cr(line: &[u8]) -> &[u8] {
    match line {
        [line @ .., b'\r'] => line,
        line => line,
    }
}

/// Bytes of CR and LF before the start line (RFC 9112 §2.2).
#[must_use]
pub fn leading_empty_lines(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

/// Whether a byte is of a token (RFC 9110 §5.6.2).
const fn is_token(byte: u8) -> bool {
    const TOKEN: [bool; 256] = {
        let (mut is_token, mut byte) = ([false; 256], 0);
        while byte < 128 {
            is_token[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let mut others: &[u8] = b"!#$%&'*+-.^_`|~";
        while let [other, rest @ ..] = others {
            is_token[*other as usize] = true;
            others = rest;
        }
        is_token
    };
    TOKEN[byte as usize]
}

fn start_line(line: &[u8]) -> Option<(StartLine<'_>, u8)> {
    if let Some(rest) = line.strip_prefix(b"HTTP/1.") {
        let [minor, b' ', a, b, c, rest @ ..] = rest else { return None };
        let digits = [minor, a, b, c].iter().all(|byte| byte.is_ascii_digit());
        if !digits || !matches!(rest, [] | [b' ', ..]) {
            return None;
        }
        let status = [a, b, c].iter().fold(0_u16, |status, digit| status * 10 + u16::from(**digit - b'0'));
        return Some((StartLine::Response(status), minor - b'0'));
    }
    let [rest @ .., b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] = line else { return None };
    let (method, target) = method_and_target(rest)?;
    minor.is_ascii_digit().then(|| (StartLine::Request { method, target }, minor - b'0'))
}

fn method_and_target(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = line.iter().take(MAX_METHOD + 1).position(|byte| !is_token(*byte))?;
    let (method, target) = (line.get(..end)?, line.get(end..)?.strip_prefix(b" ")?);
    (!method.is_empty() && !target.is_empty()).then_some((method, target))
}

/// A request whose line is longer than what was captured: believed for the methods everybody knows.
fn partial_request_line(bytes: &[u8]) -> Option<Head<'_>> {
    let (method, target) = method_and_target(bytes)?;
    if crate::exchange::Method::from_token(method) == crate::exchange::Method::Other {
        return None;
    }
    let target = match memrchr(b' ', target) {
        Some(space) if is_cut_version(target.get(space + 1..)?) => target.get(..space)?,
        _ => target,
    };
    let mut head = Head::new(StartLine::Request { method, target }, 1);
    head.framing = Framing::Unclear;
    Some(head)
}

/// Whether bytes are as much as was captured of the version that ends a request line.
fn is_cut_version(bytes: &[u8]) -> bool {
    [b"HTTP/1.1\r", b"HTTP/1.0\r"].iter().any(|version| version.starts_with(bytes))
}

/// What the framing fields said so far.
#[derive(Default)]
struct Lengths {
    length: Option<u64>,
    unclear: bool,
    transfer_encoding: bool,
    chunked: bool,
}

impl Lengths {
    const fn framing(&self) -> Framing {
        match (self.transfer_encoding, self.chunked, self.unclear, self.length) {
            (true, true, _, _) => Framing::Chunked,
            (true, false, _, _) | (false, _, true, _) => Framing::Unclear,
            (false, _, false, Some(length)) => Framing::Length(length),
            (false, _, false, None) => Framing::Absent,
        }
    }

    /// `Content-Length`: one number, or the same one repeated (RFC 9112 §6.3, item 5).
    fn content_length(&mut self, value: &[u8]) {
        for part in value.split(|byte| *byte == b',') {
            match (number(part.trim_ascii()), self.length) {
                (Some(length), None) => self.length = Some(length),
                (Some(length), Some(known)) if length == known => {}
                _ => self.unclear = true,
            }
        }
    }

    /// `Transfer-Encoding`: the final coding decides.
    fn transfer_encoding(&mut self, value: &[u8]) {
        self.transfer_encoding = true;
        let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
        self.chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Reads one field line if it is one of those that matter; the length of the name tells most others off.
fn field<'a>(line: &'a [u8], head: &mut Head<'a>, lengths: &mut Lengths, others: Option<&mut Fields<'a>>) {
    let Some(colon) = memchr(b':', line.get(..line.len().min(20)).unwrap_or_default()) else { return };
    let (Some(name), Some(value)) = (line.get(..colon), line.get(colon + 1..)) else { return };
    match name.len() {
        4 if name.eq_ignore_ascii_case(b"host") => head.host = value.trim_ascii(),
        6 if name.eq_ignore_ascii_case(b"expect") => {
            head.expects_continue = value.trim_ascii().eq_ignore_ascii_case(b"100-continue");
        }
        7 if name.eq_ignore_ascii_case(b"upgrade") => head.upgrade = value.trim_ascii(),
        10 if name.eq_ignore_ascii_case(b"user-agent") => head.user_agent = value.trim_ascii(),
        12 if name.eq_ignore_ascii_case(b"content-type") => {
            let media = value.split(|byte| *byte == b';').next().unwrap_or_default();
            head.event_stream = media.trim_ascii().eq_ignore_ascii_case(b"text/event-stream");
        }
        14 if name.eq_ignore_ascii_case(b"content-length") => lengths.content_length(value),
        17 if name.eq_ignore_ascii_case(b"transfer-encoding") => lengths.transfer_encoding(value),
        _ => {
            if let Some(others) = others {
                others.add(name, value.trim_ascii());
            }
        }
    }
}
