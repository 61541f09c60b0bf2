//! A DNS message from its bytes (RFC 1035 §4), as far as a lookup needs it.
//!
//! The bias: a message that is cut short is told as far as it goes, for its response code is in its first twelve
//! bytes. Only the header and the first question must be whole.

use std::{fmt::Write as _, net::IpAddr};

use domain::{
    base::{
        Message as Wire, ParsedName, ParsedRecord, Rtype,
        iana::{Class, Opcode},
        name::Label,
    },
    rdata::{A, Aaaa, Cname},
};

use super::Message;
use crate::protocol::Recognition;

/// Length of the header (RFC 1035 §4.1.1).
pub(super) const HEADER: usize = 12;

/// Records of the answer section that are looked at. Servers answer with a few dozen; zone transfers, which are no
/// lookups, with any number.
const MAX_ANSWERS: usize = 256;

/// Records of the additional section among which OPT is looked for.
const MAX_ADDITIONAL: usize = 1024;

/// Names an answer's aliases lead to, the question's included. Unbound and BIND follow eleven.
const MAX_ALIASES: usize = 20;

/// The shortest question: the root's name, type and class (RFC 1035 §4.1.2).
const MIN_QUESTION: usize = 5;

/// The shortest record: the root's name, type, class, TTL and no data (RFC 1035 §4.1.3).
const MIN_RECORD: usize = 11;

/// The bits of a class that are not the cache-flush or unicast-response bit of multicast DNS (RFC 6762 §10.2, §18.12).
const CLASS_BITS: u16 = 0x7fff;

/// What bytes are.
#[derive(Debug)]
pub(super) enum Read {
    /// A query or its answer.
    Message(Message),
    /// A message of another kind: a notification, an update, an operation with state (RFC 1996, RFC 2136, RFC 8490).
    Other,
    /// No DNS message.
    Garbage,
}

/// Reads a message as it stands in a datagram, or after the length in a TCP stream.
///
/// `None`: not DNS, cut within the question, or no lookup (its opcode is not QUERY). Of several questions the first
/// one is taken; of records, those that can be read. Addresses are those of the question's name and of the names
/// that its CNAMEs lead to, at most 256 and only of answers; a TTL with its highest bit set is zero (RFC 2181 §8).
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Message> {
    match read(bytes) {
        Read::Message(message) => Some(message),
        Read::Other | Read::Garbage => None,
    }
}

/// Whether the first bytes of a direction of a TCP connection to or from port 53 begin a DNS message, and of which
/// kind (RFC 1035 §4.2.2). Favours refusing: what sets bits that must be zero (RFC 1035 §4.1.1), or counts more
/// records than its length can hold, is no DNS.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Recognition {
    let (length, header) = match bytes {
        [] | [_] => return Recognition::NeedMore,
        [high, low, header @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), header),
    };
    if length < HEADER {
        return Recognition::No;
    }
    let Ok(wire) = Wire::from_octets(header) else { return Recognition::NeedMore };
    let header = wire.header();
    let questions = wire.header_counts().qdcount();
    if !is_known(header.opcode()) || header.z() || questions > 1 || !fits(&wire, length) {
        return Recognition::No;
    }
    if header.qr() {
        return Recognition::Response;
    }
    let is_clean =
        header.rcode().to_int() == 0 && (header.opcode() != Opcode::QUERY || wire.header_counts().ancount() == 0);
    if is_clean { Recognition::Request } else { Recognition::No }
}

/// Reads a message.
pub(super) fn read(bytes: &[u8]) -> Read {
    let Ok(wire) = Wire::from_octets(bytes) else { return Read::Garbage };
    let header = wire.header();
    if header.opcode() != Opcode::QUERY {
        let is_other = is_known(header.opcode()) && fits(&wire, bytes.len());
        return if is_other { Read::Other } else { Read::Garbage };
    }
    let question = match wire.question().next() {
        Some(Ok(question)) => Some(question),
        Some(Err(_)) => return Read::Garbage,
        None => None,
    };
    let is_response = header.qr();
    let addresses = match &question {
        Some(question) if is_response => addresses(&wire, *question.qname()),
        _ => Vec::new(),
    };
    Read::Message(Message {
        id: header.id(),
        is_response,
        code: (extended_code(&wire) << 4) | u16::from(header.rcode().to_int()),
        truncated: header.tc(),
        name: question.as_ref().map(|question| text(question.qname().iter())).unwrap_or_default(),
        kind: question.map_or(0, |question| question.qtype().to_int()),
        addresses,
    })
}

/// The operations that have been assigned (IANA "DNS OpCodes").
fn is_known(opcode: Opcode) -> bool {
    matches!(
        opcode,
        Opcode::QUERY | Opcode::IQUERY | Opcode::STATUS | Opcode::NOTIFY | Opcode::UPDATE | Opcode::DSO
    )
}

/// Whether a message of a length has room for what it counts.
fn fits(wire: &Wire<&[u8]>, length: usize) -> bool {
    let counts = wire.header_counts();
    let records = [counts.ancount(), counts.nscount(), counts.arcount()].map(usize::from);
    let least = usize::from(counts.qdcount()) * MIN_QUESTION + records.iter().sum::<usize>() * MIN_RECORD;
    HEADER + least <= length
}

/// The upper eight bits of the response code: the first byte of OPT's TTL (RFC 6891 §6.1.3).
fn extended_code(wire: &Wire<&[u8]>) -> u16 {
    let Ok(additional) = wire.additional() else { return 0 };
    let mut records = additional.take(MAX_ADDITIONAL).map_while(Result::ok);
    let opt = records.find(|record| record.rtype() == Rtype::OPT);
    opt.map_or(0, |opt| u16::from(opt.ttl().as_secs().to_be_bytes()[0]))
}

/// The addresses of a name and of its aliases, in the order of the answer section.
fn addresses(wire: &Wire<&[u8]>, name: ParsedName<&[u8]>) -> Vec<(IpAddr, u32)> {
    let Ok(answers) = wire.answer() else { return Vec::new() };
    let answers = answers.take(MAX_ANSWERS).map_while(Result::ok);
    let records: Vec<_> = answers.filter(|record| is_internet(record.class())).collect();
    let aliases: Vec<_> = records.iter().filter_map(alias).collect();
    let mut names = vec![name];
    let mut at = 0;
    while let Some(name) = names.get(at).copied() {
        for [_, target] in aliases.iter().filter(|[owner, _]| *owner == name) {
            if names.len() < MAX_ALIASES && !names.contains(target) {
                names.push(*target);
            }
        }
        at += 1;
    }
    let owned = records.iter().filter_map(|record| Some((record, address(record)?)));
    let reached = owned.filter(|(record, _)| names.contains(&record.owner().deref_octets()));
    reached.map(|(record, address)| (address, lifetime(record))).collect()
}

fn is_internet(class: Class) -> bool {
    class.to_int() & CLASS_BITS == Class::IN.to_int()
}

/// A CNAME record's owner and what it stands for.
fn alias<'a>(record: &ParsedRecord<'a, &'a [u8]>) -> Option<[ParsedName<&'a [u8]>; 2]> {
    let (owner, data) = record.to_record::<Cname<_>>().ok()??.into_owner_and_data();
    Some([owner, data.into_cname()])
}

fn address(record: &ParsedRecord<'_, &[u8]>) -> Option<IpAddr> {
    match record.rtype() {
        Rtype::A => Some(record.to_record::<A>().ok()??.data().addr().into()),
        Rtype::AAAA => Some(record.to_record::<Aaaa>().ok()??.data().addr().into()),
        _ => None,
    }
}

/// Time to live in seconds.
fn lifetime(record: &ParsedRecord<'_, &[u8]>) -> u32 {
    let seconds = record.ttl().as_secs();
    if seconds.leading_zeros() == 0 { 0 } else { seconds }
}

/// A name as text: lower case as far as it is ASCII, without the final dot; what is not printable as `\DDD`, dots and
/// backslashes within labels escaped (RFC 1035 §5.1, RFC 4343 §2.1). At most 1004 bytes.
fn text<'a>(labels: impl Iterator<Item = &'a Label>) -> Box<str> {
    let mut text = String::new();
    for label in labels.filter(|label| !label.is_root()) {
        if !text.is_empty() {
            text.push('.');
        }
        for byte in label.iter() {
            match byte {
                b'.' | b'\\' => text.extend(['\\', char::from(byte)]),
                byte if byte.is_ascii_graphic() => text.push(char::from(byte.to_ascii_lowercase())),
                byte => {
                    let _ = write!(text, "\\{byte:03}");
                }
            }
        }
    }
    text.into()
}
