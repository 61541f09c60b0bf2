//! Bytes from the rings → typed events, without copying payload and without trusting a length.

use std::net::{Ipv6Addr, SocketAddr};

use redtap_ebpf::{CgroupHead, Closed, Datagram, Exec, Exit, Kind, Opened, Owner, Segment, cgroup};
use zerocopy::FromBytes;

use crate::time::Nanos;

/// A record, typed.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A window of a segment's payload: the header and the captured bytes.
    Segment(Segment, &'a [u8]),
    /// A connection appears.
    Opened(Opened),
    /// A connection ends.
    Closed(Closed),
    /// A process replaced its program.
    Exec(Exec),
    /// A process ended.
    Exit(Exit),
    /// A process uses a UDP socket.
    Owner(Owner),
    /// A cgroup came or went.
    Cgroup(CgroupChange<'a>),
    /// A datagram to or from a name server: the header and the captured bytes.
    Datagram(Datagram, &'a [u8]),
}

/// A cgroup that came or went: [`redtap_ebpf::Cgroup`] without what is behind its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupChange<'a> {
    /// It was removed.
    pub is_removed: bool,
    /// Its id.
    pub id: u64,
    /// When.
    pub time: Nanos,
    /// Its path from the hierarchy's root.
    pub path: &'a [u8],
}

/// Why a record could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than its kind's layout, or than the payload it announces.
    #[error("record is truncated")]
    Truncated,
    /// The first byte names no kind.
    #[error("unknown kind of record {0}")]
    UnknownKind(u8),
    /// A segment window that does not lie inside its segment.
    #[error("payload window lies outside its segment")]
    Window,
}

/// Reads one record.
///
/// # Errors
/// When the bytes are not a record of this ABI; they come from the kernel, but also from recorded files.
pub fn decode(bytes: &[u8]) -> Result<Event<'_>, DecodeError> {
    const SEGMENT: u8 = Kind::Segment as u8;
    const OPENED: u8 = Kind::Opened as u8;
    const CLOSED: u8 = Kind::Closed as u8;
    const EXEC: u8 = Kind::Exec as u8;
    const EXIT: u8 = Kind::Exit as u8;
    const DATAGRAM: u8 = Kind::Datagram as u8;
    const OWNER: u8 = Kind::Owner as u8;
    const CGROUP: u8 = Kind::Cgroup as u8;
    match bytes.first() {
        Some(&SEGMENT) => {
            let (segment, rest) = read::<Segment>(bytes)?;
            let payload = rest.get(..usize::from(segment.captured)).ok_or(DecodeError::Truncated)?;
            let window_end = segment.offset.checked_add(u32::from(segment.captured));
            if window_end.is_none_or(|end| end > segment.length) {
                return Err(DecodeError::Window);
            }
            Ok(Event::Segment(segment, payload))
        }
        Some(&OPENED) => Ok(Event::Opened(read::<Opened>(bytes)?.0)),
        Some(&CLOSED) => Ok(Event::Closed(read::<Closed>(bytes)?.0)),
        Some(&EXEC) => Ok(Event::Exec(read::<Exec>(bytes)?.0)),
        Some(&EXIT) => Ok(Event::Exit(read::<Exit>(bytes)?.0)),
        Some(&OWNER) => Ok(Event::Owner(read::<Owner>(bytes)?.0)),
        Some(&CGROUP) => cgroup_change(bytes),
        Some(&DATAGRAM) => {
            let (datagram, rest) = read::<Datagram>(bytes)?;
            let payload = rest.get(..usize::from(datagram.captured)).ok_or(DecodeError::Truncated)?;
            Ok(Event::Datagram(datagram, payload))
        }
        Some(&kind) => Err(DecodeError::UnknownKind(kind)),
        None => Err(DecodeError::Truncated),
    }
}

fn cgroup_change(bytes: &[u8]) -> Result<Event<'_>, DecodeError> {
    let (head, path) = read::<CgroupHead>(bytes)?;
    let path = path.get(..cgroup::PATH_LEN).ok_or(DecodeError::Truncated)?;
    let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
    let is_removed = head.flags & cgroup::REMOVED != 0;
    Ok(Event::Cgroup(CgroupChange { is_removed, id: head.id, time: Nanos(head.time), path }))
}

/// The moment of a record, without decoding the rest; `None` for what is no record. Every kind carries its time
/// as a u64 at the same place but for processes, whose records are shorter.
#[must_use]
pub fn time_of(bytes: &[u8]) -> Option<u64> {
    let at = match *bytes.first()? {
        kind if kind == Kind::Exec as u8 || kind == Kind::Exit as u8 => 8,
        _ => 16,
    };
    let time = bytes.get(at..at + 8)?;
    Some(u64::from_ne_bytes(time.try_into().ok()?))
}

/// The length of the record at the start of `bytes`, payload included: rings round sizes up, and what lies behind
/// is left from earlier records.
#[must_use]
pub fn length_of(bytes: &[u8]) -> usize {
    const SEGMENT: u8 = Kind::Segment as u8;
    const DATAGRAM: u8 = Kind::Datagram as u8;
    match bytes {
        [SEGMENT, _, a, b, ..] => size_of::<Segment>() + usize::from(u16::from_ne_bytes([*a, *b])),
        [DATAGRAM, _, a, b, ..] => size_of::<Datagram>() + usize::from(u16::from_ne_bytes([*a, *b])),
        _ => bytes.len(),
    }
}

/// An address of a record: IPv4 in IPv6 is IPv4.
#[must_use]
pub fn address(bytes: [u8; 16], port: u16) -> SocketAddr {
    SocketAddr::new(Ipv6Addr::from(bytes).to_canonical(), port)
}

fn read<T: FromBytes>(bytes: &[u8]) -> Result<(T, &[u8]), DecodeError> {
    T::read_from_prefix(bytes).map_err(|_| DecodeError::Truncated)
}

#[cfg(test)]
mod tests {
    use zerocopy::{FromZeros, IntoBytes};

    use super::*;

    fn segment(captured: u16, offset: u32, length: u32) -> Vec<u8> {
        let mut header = Segment::new_zeroed();
        header.kind = Kind::Segment as u8;
        header.captured = captured;
        header.offset = offset;
        header.length = length;
        header.time = 7;
        header.as_bytes().to_vec()
    }

    #[test]
    fn windows_lie_inside_their_segments() {
        for (captured, offset, length, behind, expected) in [
            (3, 0, 3, 3, Ok(3)),
            (3, 0, 3, 8, Ok(3)),
            (3, 0, 3, 2, Err(DecodeError::Truncated)),
            (3, 1, 3, 3, Err(DecodeError::Window)),
            (3, u32::MAX, 3, 3, Err(DecodeError::Window)),
            (0, 0, 0, 0, Ok(0)),
        ] {
            let mut bytes = segment(captured, offset, length);
            bytes.extend(std::iter::repeat_n(b'x', behind));
            let got = decode(&bytes).map(|event| match event {
                Event::Segment(_, payload) => payload.len(),
                other => panic!("not a segment: {other:?}"),
            });
            assert_eq!(got, expected, "{captured} at {offset} of {length}, {behind} bytes behind");
        }
    }

    #[test]
    fn hostile_bytes_are_errors() {
        assert_eq!(decode(&[]).unwrap_err(), DecodeError::Truncated);
        assert_eq!(decode(&[0; 200]).unwrap_err(), DecodeError::UnknownKind(0));
        for kind in 1..=5 {
            assert_eq!(decode(&[kind]).unwrap_err(), DecodeError::Truncated, "kind {kind}");
        }
    }

    #[test]
    fn times_are_found_without_decoding() {
        assert_eq!(time_of(&segment(0, 0, 0)), Some(7));
        assert_eq!(time_of(&[4]), None);
    }
}
