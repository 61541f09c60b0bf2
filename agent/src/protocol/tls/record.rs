//! The record layer of one direction (RFC 8446 §5.1, RFC 5246 §6.2): records, and the handshake messages put together
//! from them. A message may span records, and a record may hold several messages; both may span segments.
//!
//! Nothing is read twice: every byte is used as it comes, what matters to nobody is passed over by position, and of the
//! rest one message is kept, up to [`MAX_MESSAGE`].

/// The longest handshake message that is put together, header included. Hellos and certificate chains in use are far
/// below; OpenSSL refuses chains beyond 100 kB, others beyond 64 KiB.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// The longest record: 2¹⁴ bytes and what encryption may add to them (RFC 5246 §6.2.3).
const MAX_RECORD: u16 = (1 << 14) + 2048;

const RECORD_HEADER: u8 = 5;
const MESSAGE_HEADER: usize = 4;

/// Handshake messages that are read (RFC 8446 §4, RFC 5246 §7.4).
pub mod kind {
    pub const CLIENT_HELLO: u8 = 1;
    pub const SERVER_HELLO: u8 = 2;
    pub const CERTIFICATE: u8 = 11;
    pub const SERVER_KEY_EXCHANGE: u8 = 12;
    pub const CERTIFICATE_REQUEST: u8 = 13;
    pub const SERVER_HELLO_DONE: u8 = 14;
}

/// What a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Keys change behind it (TLS 1.2 and older).
    ChangeCipherSpec,
    /// An alert.
    Alert,
    /// Handshake messages.
    Handshake,
    /// Application data; in TLS 1.3 everything that is encrypted.
    Application,
    /// A heartbeat (RFC 6520).
    Heartbeat,
}

impl Content {
    const fn of(byte: u8) -> Option<Self> {
        match byte {
            20 => Some(Self::ChangeCipherSpec),
            21 => Some(Self::Alert),
            22 => Some(Self::Handshake),
            23 => Some(Self::Application),
            24 => Some(Self::Heartbeat),
            _ => None,
        }
    }
}

/// What comes next in a direction.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// More bytes, all of which matter; what was given is used.
    NeedMore,
    /// So many bytes of no interest, beginning where the given ones begin.
    Skip(u64),
    /// The end of a handshake message in the clear; the body of one that nobody reads is empty.
    Message(u8, Vec<u8>),
    /// An alert in the clear: level and description.
    Alert(u8, u8),
    /// The end of a record whose content is not read, and its length.
    Sealed(Content, u16),
    /// Bytes that are no TLS.
    Foreign,
}

/// Reads the records of one direction.
#[derive(Debug, Default)]
pub struct Reader {
    state: State,
    /// Handshake records and alerts are encrypted from here on.
    sealed: bool,
    message: Vec<u8>,
    /// The message that is passed over: its kind, and what is left of it.
    passing: Option<(u8, usize)>,
}

#[derive(Debug)]
enum State {
    Header { bytes: u64, count: u8 },
    Alert { level: Option<u8> },
    Handshake { left: usize },
    Sealed { content: Content, length: u16, left: u16 },
}

impl Default for State {
    fn default() -> Self {
        Self::Header { bytes: 0, count: 0 }
    }
}

impl Reader {
    /// What comes next, and how many of the bytes are used. To be called again until it needs more; after a skip, with
    /// what follows it, even if that is nothing yet.
    pub fn next(&mut self, bytes: &[u8]) -> (usize, Step) {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            let (more, step) = self.advance(rest);
            used += more;
            if let Some(step) = step {
                return (used, step);
            }
        }
    }

    /// The records that follow are encrypted.
    pub const fn seal(&mut self) {
        self.sealed = true;
    }

    /// Bytes that it keeps.
    #[must_use]
    pub const fn kept_bytes(&self) -> usize {
        self.message.capacity()
    }

    fn advance(&mut self, bytes: &[u8]) -> (usize, Option<Step>) {
        match &mut self.state {
            State::Header { bytes: header, count } => {
                let mut used = 0;
                for byte in bytes.iter().take(usize::from(RECORD_HEADER - *count)) {
                    *header = (*header << 8) | u64::from(*byte);
                    *count += 1;
                    used += 1;
                }
                if *count < RECORD_HEADER {
                    return (used, Some(Step::NeedMore));
                }
                let [_, _, _, content, major, _, high, low] = header.to_be_bytes();
                let foreign = !self.begin(content, major, u16::from_be_bytes([high, low]));
                (used, foreign.then_some(Step::Foreign))
            }
            State::Alert { level } => match (*level, bytes.first()) {
                (_, None) => (0, Some(Step::NeedMore)),
                (None, Some(first)) => {
                    *level = Some(*first);
                    (1, None)
                }
                (Some(level), Some(description)) => {
                    self.state = State::default();
                    (1, Some(Step::Alert(level, *description)))
                }
            },
            State::Sealed { content, length, left: 0 } => {
                let step = Step::Sealed(*content, *length);
                self.state = State::default();
                (0, Some(step))
            }
            State::Sealed { left, .. } => {
                let all = usize::from(std::mem::take(left));
                pass(all, bytes)
            }
            State::Handshake { left } => {
                let left = *left;
                self.handshake(left, bytes)
            }
        }
    }

    /// Begins a record; `false`: it is none.
    fn begin(&mut self, content: u8, major: u8, length: u16) -> bool {
        let Some(content) = Content::of(content) else { return false };
        if major != 3 || length > MAX_RECORD {
            return false;
        }
        self.state = match content {
            Content::Handshake if !self.sealed => State::Handshake { left: usize::from(length) },
            // An encrypted alert is longer.
            Content::Alert if !self.sealed && length == 2 => State::Alert { level: None },
            _ => State::Sealed { content, length, left: length },
        };
        true
    }

    fn handshake(&mut self, left: usize, bytes: &[u8]) -> (usize, Option<Step>) {
        if let Some((kind, rest)) = &mut self.passing {
            if *rest == 0 {
                let step = Step::Message(*kind, Vec::new());
                self.passing = None;
                return (0, Some(step));
            }
            if left > 0 {
                let count = left.min(*rest);
                *rest -= count;
                self.state = State::Handshake { left: left - count };
                return pass(count, bytes);
            }
        }
        if left == 0 {
            self.state = State::default();
            return (0, None);
        }
        let wanted = match self.message.get(..MESSAGE_HEADER) {
            None => MESSAGE_HEADER,
            Some(header) => match wanted(header) {
                Wanted::Read(length) if length > MAX_MESSAGE => return (0, Some(Step::Foreign)),
                Wanted::Read(length) => length,
                Wanted::Pass(kind, length) => {
                    self.passing = Some((kind, length));
                    self.message.clear();
                    return (0, None);
                }
            },
        };
        let missing = wanted.saturating_sub(self.message.len());
        let taken = bytes.get(..missing.min(left)).unwrap_or(bytes);
        self.message.extend_from_slice(taken);
        self.state = State::Handshake { left: left - taken.len() };
        let step =
            if self.message.len() < wanted { bytes.is_empty().then_some(Step::NeedMore) } else { self.whole() };
        (taken.len(), step)
    }

    /// The message that is kept, if it is whole.
    fn whole(&mut self) -> Option<Step> {
        let (header, body) = self.message.split_at_checked(MESSAGE_HEADER)?;
        let kind = header.first()?;
        let step = match wanted(header) {
            Wanted::Read(length) if length == self.message.len() => Step::Message(*kind, body.to_vec()),
            Wanted::Pass(kind, 0) => Step::Message(kind, Vec::new()),
            _ => return None,
        };
        self.message = Vec::new();
        Some(step)
    }
}

/// Passes over so many bytes.
fn pass(count: usize, bytes: &[u8]) -> (usize, Option<Step>) {
    if count > bytes.len() { (0, Some(Step::Skip(count as u64))) } else { (count, None) }
}

enum Wanted {
    /// To be read, with so many bytes, header included.
    Read(usize),
    /// A message of this kind, so many bytes of it after the header.
    Pass(u8, usize),
}

fn wanted(header: &[u8]) -> Wanted {
    let [kind, high, middle, low] = *header else { return Wanted::Read(MESSAGE_HEADER) };
    let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
    match kind {
        kind::CLIENT_HELLO | kind::SERVER_HELLO | kind::CERTIFICATE | kind::SERVER_KEY_EXCHANGE => {
            Wanted::Read(MESSAGE_HEADER + length)
        }
        _ => Wanted::Pass(kind, length),
    }
}
