//! The question for one tracked connection, and its answer.

use std::{io, net::SocketAddr};

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
    conntrack::{ConntrackAttribute, ConntrackMessage, IPTuple, ProtoTuple, Protocol, Tuple as Part},
};
use rustix::io::Errno;

use super::Error;

/// `NFNETLINK_V0` (include/uapi/linux/netfilter/nfnetlink.h).
const VERSION: u8 = 0;

/// Whose packets: those of the side that began the connection, or those of the other.
#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    Original,
    Reply,
}

/// From where to where the packets of one direction go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tuple {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
}

impl Tuple {
    /// IPv4-mapped addresses become IPv4; scopes and flow labels are not tracked.
    pub(super) fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        Self { source: plain(source), destination: plain(destination) }
    }

    fn from_parts(parts: &[Part]) -> Option<Self> {
        let (mut source, mut destination) = (None, None);
        let (mut source_port, mut destination_port) = (None, None);
        for part in parts {
            match part {
                Part::Ip(addresses) => {
                    for address in addresses {
                        match address {
                            IPTuple::SourceAddress(address) => source = Some(*address),
                            IPTuple::DestinationAddress(address) => destination = Some(*address),
                            _ => {}
                        }
                    }
                }
                Part::Proto(fields) => {
                    for field in fields {
                        match field {
                            ProtoTuple::SourcePort(port) => source_port = Some(*port),
                            ProtoTuple::DestinationPort(port) => destination_port = Some(*port),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Some(Self::new((source?, source_port?).into(), (destination?, destination_port?).into()))
    }

    fn parts(self) -> Vec<Part> {
        let addresses =
            vec![IPTuple::SourceAddress(self.source.ip()), IPTuple::DestinationAddress(self.destination.ip())];
        let fields = vec![
            ProtoTuple::Protocol(Protocol::Tcp),
            ProtoTuple::SourcePort(self.source.port()),
            ProtoTuple::DestinationPort(self.destination.port()),
        ];
        vec![Part::Ip(addresses), Part::Proto(fields)]
    }
}

/// A tracked connection: where the packets of each side go as that side sends them, before any translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) original: Tuple,
    pub(super) reply: Tuple,
}

impl Entry {
    pub(super) const fn tuple(&self, direction: Direction) -> Tuple {
        match direction {
            Direction::Original => self.original,
            Direction::Reply => self.reply,
        }
    }

    fn from_attributes(attributes: &[ConntrackAttribute]) -> Option<Self> {
        let (mut original, mut reply) = (None, None);
        for attribute in attributes {
            match attribute {
                ConntrackAttribute::CtaTupleOrig(parts) => original = Tuple::from_parts(parts),
                ConntrackAttribute::CtaTupleReply(parts) => reply = Tuple::from_parts(parts),
                _ => {}
            }
        }
        Some(Self { original: original?, reply: reply? })
    }
}

/// Asks for the entry that has `tuple` in this direction; `None`: no connection has ends of two families.
pub(super) fn request(direction: Direction, tuple: Tuple, sequence: u32) -> Option<Vec<u8>> {
    let family = match (tuple.source, tuple.destination) {
        (SocketAddr::V4(_), SocketAddr::V4(_)) => NetfilterProtoFamily::IPv4,
        (SocketAddr::V6(_), SocketAddr::V6(_)) => NetfilterProtoFamily::IPv6,
        _ => return None,
    };
    let attribute = match direction {
        Direction::Original => ConntrackAttribute::CtaTupleOrig(tuple.parts()),
        Direction::Reply => ConntrackAttribute::CtaTupleReply(tuple.parts()),
    };
    let question = ConntrackMessage::Get(vec![attribute]);
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    header.sequence_number = sequence;
    let netfilter = NetfilterMessage::new(NetfilterHeader::new(family, VERSION, 0), question);
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(netfilter));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    Some(bytes)
}

/// Reads a datagram of the kernel's; `None`: it answers another question.
pub(super) fn read(bytes: &[u8], sequence: u32) -> Result<Option<Entry>, Error> {
    let message = NetlinkMessage::<NetfilterMessage>::deserialize(bytes).map_err(malformed)?;
    if message.header.sequence_number != sequence {
        return Ok(None);
    }
    match message.payload {
        NetlinkPayload::InnerMessage(NetfilterMessage {
            inner: NetfilterMessageInner::Conntrack(ConntrackMessage::New(attributes)),
            ..
        }) => {
            let entry = Entry::from_attributes(&attributes);
            Ok(Some(entry.ok_or_else(|| malformed("an entry without both its tuples"))?))
        }
        NetlinkPayload::Error(error) if error.code.is_some() => {
            // Not by `to_io`, which has no absolute value for each number.
            let error = io::Error::from_raw_os_error(error.raw_code().saturating_neg());
            Err(Errno::from_io_error(&error).map_or(Error::Io(error), Error::from))
        }
        _ => Err(malformed("an answer that is neither an entry nor an error")),
    }
}

pub(super) fn malformed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Io(io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// The sequence number of the datagrams below, which went to and came from a little-endian kernel 6.18.
    const SEQUENCE: u32 = 0x0102_0304;

    /// 10.244.0.1:44596 to the virtual address 10.96.0.10:80.
    const QUESTION: &str = "\
        48000000010101000403020100000000\
        02000000\
        34000180\
        14000180080001000af40001080002000a60000a\
        1c000280050001000600000006000200ae3400000600030000500000";

    /// The backend is 10.244.0.2:8080. After the tuples: status, mark, id, use, timeout, state of TCP.
    const ANSWER: &str = "\
        d4000000000102000403020159300000\
        02000000\
        34000180\
        14000180080001000af40001080002000a60000a\
        1c000280050001000600000006000200ae3400000600030000500000\
        34000280\
        14000180080001000af40002080002000af40001\
        1c0002800500010006000000060002001f90000006000300ae340000\
        08000300000001ae080008000000000008000c00bb56b45908000b00000000020800070000069780\
        300004802c0001800500010003000000050002000a000000050003000a00000006000400230000000600050023000000";

    /// [fd00:244::1]:34350 to the virtual address [fd00:96::11]:80.
    const QUESTION_V6: &str = "\
        60000000010101000403020100000000\
        0a000000\
        4c000180\
        2c00018014000300fd00024400000000000000000000000114000400fd000096000000000000000000000011\
        1c000280050001000600000006000200862e00000600030000500000";

    /// The backend is [fd00:244::3]:8080, which sees [fd00:244::99]:34350.
    const ANSWER_V6: &str = "\
        040100000001020004030201593000000a000000\
        4c000180\
        2c00018014000300fd00024400000000000000000000000114000400fd000096000000000000000000000011\
        1c000280050001000600000006000200862e00000600030000500000\
        4c000280\
        2c00018014000300fd00024400000000000000000000000314000400fd000244000000000000000000000099\
        1c0002800500010006000000060002001f90000006000300862e0000\
        08000300000001be080008000000000008000c00c2f1260c08000b00000000020800070000069780\
        300004802c0001800500010003000000050002000a000000050003000a00000006000400230000000600050023000000";

    /// Of a connection that is not tracked, with the question after the code.
    const NOT_FOUND: &str = "\
        5c000000020000000403020159300000\
        feffffff\
        4800000001010100040302010000000002000000\
        34000180\
        14000180080001000a60000a080002000af40001\
        1c0002800500010006000000060002000001000006000300ae340000";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
        let (pairs, []) = digits.as_chunks() else { panic!("half a byte") };
        pairs.iter().map(|[high, low]| u8::try_from(high * 16 + low).expect("two digits")).collect()
    }

    fn tuple(source: &str, destination: &str) -> Tuple {
        Tuple::new(source.parse().expect("an address"), destination.parse().expect("an address"))
    }

    /// An answer with this payload.
    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(16 + payload.len()).expect("a short message");
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 2]);
        bytes.extend(SEQUENCE.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes
    }

    fn told(bytes: &[u8]) -> String {
        match read(bytes, SEQUENCE) {
            Ok(Some(_)) => "an entry".to_owned(),
            Ok(None) => "another's".to_owned(),
            Err(Error::Io(error)) => format!("{:?}", error.kind()),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn a_question_is_as_the_kernel_takes_it() {
        for (source, destination, expected) in [
            ("10.244.0.1:44596", "10.96.0.10:80", QUESTION),
            ("[::ffff:10.244.0.1]:44596", "10.96.0.10:80", QUESTION),
            ("[fd00:244::1]:34350", "[fd00:96::11]:80", QUESTION_V6),
            ("[fd00:244::1%7]:34350", "[fd00:96::11]:80", QUESTION_V6),
        ] {
            let asked = tuple(source, destination);
            assert_eq!(request(Direction::Original, asked, SEQUENCE), Some(bytes(expected)), "{source}");
            let mut turned = bytes(expected);
            // The attribute's kind.
            turned[22] = 2;
            assert_eq!(request(Direction::Reply, asked, SEQUENCE), Some(turned), "{source}");
        }
        assert_eq!(request(Direction::Original, tuple("10.0.0.1:1", "[fd00::1]:2"), SEQUENCE), None);
    }

    #[test]
    fn an_entry_has_both_tuples() {
        for (answer, original, reply) in [
            (ANSWER, ("10.244.0.1:44596", "10.96.0.10:80"), ("10.244.0.2:8080", "10.244.0.1:44596")),
            (
                ANSWER_V6,
                ("[fd00:244::1]:34350", "[fd00:96::11]:80"),
                ("[fd00:244::3]:8080", "[fd00:244::99]:34350"),
            ),
        ] {
            let expected = Entry { original: tuple(original.0, original.1), reply: tuple(reply.0, reply.1) };
            let entry = read(&bytes(answer), SEQUENCE).expect("an entry");
            assert_eq!(entry, Some(expected));
            assert_eq!(
                (expected.tuple(Direction::Original), expected.tuple(Direction::Reply)),
                (expected.original, expected.reply)
            );
        }
    }

    #[test]
    fn answers() {
        const ERROR: u16 = 2;
        const ENTRY: u16 = 0x0100;
        let error = |code: i32| message(ERROR, &[&code.to_ne_bytes()[..], &[0; 16]].concat());
        let answer = bytes(ANSWER);
        let [header, original, reply] = [16..20, 20..72, 72..124].map(|range| answer[range].to_vec());
        let entry = |attributes: &[&[u8]]| message(ENTRY, &[&header[..], &attributes.concat()].concat());
        // Without the ports, and with the length that it has then.
        let no_ports = [&[24, 0], &original[2..24]].concat();
        let later = [12, 0, 200, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        for (what, bytes, expected) in [
            ("an entry", answer.clone(), "an entry"),
            ("its tuples alone", entry(&[&original, &reply]), "an entry"),
            ("an attribute of a later kernel", entry(&[&later, &reply, &original]), "an entry"),
            ("one tuple", entry(&[&original]), "InvalidData"),
            ("the other", entry(&[&reply]), "InvalidData"),
            ("no ports", entry(&[&no_ports, &reply]), "InvalidData"),
            ("no attribute", entry(&[]), "InvalidData"),
            ("no header of netfilter's", message(ENTRY, &[2, 0]), "InvalidData"),
            ("cut", answer[..100].to_vec(), "InvalidData"),
            ("nothing", vec![], "InvalidData"),
            ("a length of zero", vec![0; 16], "InvalidData"),
            ("not tracked", bytes(NOT_FOUND), "NotFound"),
            ("not permitted", error(-1), "NotPermitted"),
            ("no such subsystem", error(-22), "NotSupported"),
            ("no such family", error(-95), "NotSupported"),
            ("no memory", error(-12), "OutOfMemory"),
            ("a code that is no number of ours", error(i32::MIN), "Uncategorized"),
            ("a code that is no error", error(2), "Uncategorized"),
            ("an acknowledgement", error(0), "InvalidData"),
            ("an end of many", message(3, &[0; 4]), "InvalidData"),
            ("a question", message(ENTRY + 1, &[&header[..], &original].concat()), "InvalidData"),
            ("another subsystem's", message(0x0a00, &header), "InvalidData"),
        ] {
            assert_eq!(told(&bytes), expected, "{what}");
        }
        let mut late = answer;
        late[8] += 1;
        assert_eq!(told(&late), "another's");
    }

    proptest! {
        #[test]
        fn no_answer_breaks_the_reader(
            noise in vec(any::<u8>(), 0..200),
            kept in 0..260_usize,
            changed in vec((0..260_usize, any::<u8>()), 0..4),
            whole in prop_oneof![Just(ANSWER), Just(ANSWER_V6), Just(NOT_FOUND), Just("")],
        ) {
            let mut answer = bytes(whole);
            for (at, byte) in changed {
                if let Some(place) = answer.get_mut(at) {
                    *place = byte;
                }
            }
            let _ = read(&answer, SEQUENCE);
            answer.truncate(kept);
            answer.extend(noise);
            let _ = read(&answer, SEQUENCE);
        }

        #[test]
        fn a_question_asks_for_what_is_asked(source: SocketAddr, destination: SocketAddr, sequence: u32) {
            let asked = Tuple::new(source, destination);
            let question = request(Direction::Reply, asked, sequence);
            prop_assert_eq!(question.is_some(), asked.source.is_ipv4() == asked.destination.is_ipv4());
            if let Some(question) = question {
                let message = NetlinkMessage::<NetfilterMessage>::deserialize(&question).expect("a message");
                let NetlinkPayload::InnerMessage(NetfilterMessage {
                    inner: NetfilterMessageInner::Conntrack(ConntrackMessage::Get(attributes)),
                    ..
                }) = message.payload else { panic!("another message") };
                let [ConntrackAttribute::CtaTupleReply(parts)] = &attributes[..] else { panic!("{attributes:?}") };
                prop_assert_eq!(Tuple::from_parts(parts), Some(asked));
            }
        }
    }
}
