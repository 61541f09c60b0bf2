//! DNS by cases: messages as bytes, connections cut anywhere.

use std::{borrow::Cow, fmt::Write as _};

use proptest::prelude::*;

use super::{
    Connection, Message, code_name, kind_name,
    message::{Read, read},
    parse, recognise,
};
use crate::{
    protocol::{
        Direction::{self, Rx, Tx},
        Output, Parse, Parser, Piece, Recognition,
    },
    testing::deterministic,
    time::Nanos,
};

/// A title, bytes, and what is told of them.
struct Case {
    title: &'static str,
    bytes: Vec<u8>,
    told: &'static str,
}

fn cases() -> Vec<Case> {
    let blocks = include_str!("cases.txt").split("\n== ").skip(1);
    blocks
        .map(|block| {
            let (title, rest) = block.split_once('\n').unwrap();
            let (hex, told) = rest.split_once("-> ").unwrap();
            Case { title, bytes: unhex(hex), told: told.trim_end() }
        })
        .collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

fn described(message: &Message) -> String {
    let way = if message.is_response { "answer" } else { "query" };
    let mut text = format!("{way} {} {}", message.id, code_name(message.code));
    if message.truncated {
        text += " truncated";
    }
    let name = if message.name.is_empty() { "." } else { &*message.name };
    write!(text, " {name} {}", kind_name(message.kind)).unwrap();
    for (address, seconds) in &message.addresses {
        write!(text, " {address}/{seconds}").unwrap();
    }
    text
}

#[test]
fn every_message_is_told_as_it_is() {
    let mut complaints = String::new();
    let cases = cases();
    assert!(cases.len() > 50);
    for case in &cases {
        let told = match read(&case.bytes) {
            Read::Message(message) => described(&message),
            Read::Other => "another kind".to_owned(),
            Read::Garbage => "nothing".to_owned(),
        };
        if told != case.told {
            complaints += &format!("\n{}:\n  told     {told}\n  expected {}", case.title, case.told);
        }
        assert_eq!(
            parse(&case.bytes).map(|message| described(&message)).is_some(),
            told.contains(' ') && told != "another kind"
        );
    }
    assert!(complaints.is_empty(), "{complaints}");
}

#[test]
fn names_of_codes_and_types() {
    let codes = [0, 2, 3, 11, 12, 16, 23, 24, 4095].map(code_name);
    assert_eq!(codes.join(" "), "noerror servfail nxdomain dsotypeni 12 badvers badcookie 24 4095");
    let kinds = [0, 1, 5, 15, 16, 28, 33, 64, 65, 255, 65280].map(kind_name);
    assert_eq!(kinds.join(" "), "TYPE0 A CNAME MX TXT AAAA SRV SVCB HTTPS ANY TYPE65280");
    assert!(matches!(code_name(3), Cow::Borrowed(_)));
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

#[test]
fn a_connection_is_recognised_by_its_first_header_or_not_at_all() {
    for case in cases() {
        let expected = match case.told {
            "nothing" => continue,
            "another kind" => Recognition::Request,
            _ if case.title == "two questions" || case.title == "addresses in a query are nobody's" => {
                Recognition::No
            }
            told if told.starts_with("query") => Recognition::Request,
            _ => Recognition::Response,
        };
        let bytes = framed(&case.bytes);
        // What is cut counts more records than it has bytes for.
        if !case.title.contains("cut") {
            assert_eq!(recognise(&bytes), expected, "{}", case.title);
        }
        for cut in 0..14 {
            assert_eq!(recognise(&bytes[..cut]), Recognition::NeedMore, "{} cut to {cut}", case.title);
        }
    }
    let others: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /dns-query HTTP/1.1\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\x00",
        b"\x00\x0b\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00",
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ];
    for other in others {
        assert_eq!(recognise(other), Recognition::No, "{other:?}");
    }
}

/// One direction of a connection, as the flow table hands it on.
struct Feed {
    connection: Connection,
    output: Output,
    buffer: Vec<u8>,
    at: u64,
    skip_to: u64,
    invalid: bool,
}

impl Feed {
    fn new(requests: Direction) -> Self {
        let connection = Connection::new(requests);
        Self {
            connection,
            output: Output::new(false),
            buffer: Vec::new(),
            at: 1 << 32,
            skip_to: 0,
            invalid: false,
        }
    }

    fn piece<'a>(at: u64, bytes: &'a [u8]) -> Piece<'a> {
        Piece { at, bytes, first: Nanos(1), last: Nanos(2), ends_segment: true }
    }

    fn feed(&mut self, direction: Direction, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        while !self.invalid {
            let skipped = usize::try_from(self.skip_to.saturating_sub(self.at)).unwrap().min(self.buffer.len());
            self.buffer.drain(..skipped);
            self.at += skipped as u64;
            if self.buffer.is_empty() {
                break;
            }
            match self.connection.parse(direction, &Self::piece(self.at, &self.buffer), &mut self.output) {
                Parse::Done(used) => {
                    assert!(used > 0);
                    self.buffer.drain(..used);
                    self.at += used as u64;
                }
                Parse::Skip(to) => {
                    assert!(to > self.at);
                    self.skip_to = to;
                }
                Parse::NeedMore => break,
                Parse::Invalid => self.invalid = true,
            }
        }
    }

    fn lose(&mut self, direction: Direction, count: u64) {
        let to = self.at + self.buffer.len() as u64 + count;
        self.connection.gap(direction, &Self::piece(self.at, &self.buffer), to, &mut self.output);
        self.buffer.clear();
        self.at = to;
    }

    fn told(&self) -> Vec<String> {
        self.output.messages.iter().map(|heard| described(&heard.message)).collect()
    }
}

/// The bytes of a case.
pub fn bytes_of(title: &str) -> Vec<u8> {
    cases().into_iter().find(|case| case.title == title).unwrap().bytes
}

#[test]
fn garbage_ends_it() {
    let query = bytes_of("a query");
    let answer = bytes_of("an answer of two addresses");
    let garbage = [
        vec![0, 11, 0, 0, 0],
        framed(&answer),
        framed(&bytes_of("a name that points to itself")),
        [framed(&query), vec![0, 0, 0]].concat(),
    ];
    for bytes in garbage {
        let mut feed = Feed::new(Tx);
        feed.feed(Tx, &bytes);
        assert!(feed.invalid, "{bytes:?}");
    }
    let mut feed = Feed::new(Tx);
    feed.feed(Rx, &framed(&query));
    assert!(feed.invalid, "a query from the server");
}

#[test]
fn after_a_loss_it_goes_on_with_the_next_message() {
    let (answer, next) = (bytes_of("an answer of two addresses"), bytes_of("no such name"));
    let [told, next_told] = [&answer, &next].map(|bytes| described(&parse(bytes).unwrap()));
    let whole = framed(&answer);
    let one_address = told.replace(" 192.0.2.2/300", "");
    // How much arrives, how much is lost of this message and of the next, what is told.
    let stories: [(usize, usize, usize, &[&str]); 6] = [
        (whole.len() - 3, 3, 0, &[&one_address, &next_told]),
        (whole.len() - 3, 2, 0, &[&one_address, &next_told]),
        (40, whole.len() - 40, 0, &["answer 4660 noerror example.com A", &next_told]),
        (20, whole.len() - 20, 0, &[&next_told]),
        (1, whole.len() - 1, 0, &[&next_told]),
        // Nothing but the second message after that begins where a message can be seen to.
        (whole.len() - 3, 3, 5, &[&one_address, &next_told]),
    ];
    for (arrives, lost, of_next, expected) in stories {
        let mut feed = Feed::new(Rx);
        feed.feed(Tx, &whole[..arrives]);
        feed.lose(Tx, (lost + of_next) as u64);
        feed.feed(Tx, &whole[arrives + lost..]);
        feed.feed(Tx, &framed(&next)[of_next..]);
        if of_next > 0 {
            feed.feed(Tx, &framed(&next));
        }
        assert!(!feed.invalid);
        assert_eq!(feed.told(), expected, "{arrives} arrive, {lost} and {of_next} are lost");
    }
}

#[test]
fn a_length_that_was_seen_tells_where_the_next_message_begins() {
    let (query, unusual) = (framed(&bytes_of("a query")), framed(&bytes_of("two questions")));
    assert_eq!(recognise(&unusual), Recognition::No);
    for lost in [3, 2, 0] {
        let mut feed = Feed::new(Tx);
        feed.feed(Tx, &query[..query.len() - 3]);
        feed.lose(Tx, lost as u64);
        feed.feed(Tx, &query[query.len() - 3 + lost..]);
        feed.feed(Tx, &unusual);
        assert_eq!(feed.told(), ["query 0 noerror a.local A"], "{lost} bytes are lost");
    }
}

fn in_a_row(way: &str) -> (Vec<u8>, Vec<String>) {
    let messages: Vec<_> = cases().into_iter().filter(|case| case.told.starts_with(way)).collect();
    let bytes = messages.iter().flat_map(|case| framed(&case.bytes)).collect();
    (bytes, messages.iter().map(|case| case.told.to_owned()).collect())
}

proptest! {
    #![proptest_config(deterministic(64))]

    #[test]
    fn pipelined_messages_are_told_however_they_are_cut(sizes in prop::collection::vec(1_usize..200, 1..60)) {
        for (way, direction) in [("query", Tx), ("answer", Rx)] {
            let (bytes, expected) = in_a_row(way);
            let mut feed = Feed::new(Tx);
            let (mut rest, mut sizes) = (bytes.as_slice(), sizes.iter().cycle());
            while !rest.is_empty() {
                let (piece, tail) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
                feed.feed(direction, piece);
                rest = tail;
            }
            prop_assert!(!feed.invalid && feed.buffer.is_empty());
            prop_assert_eq!(feed.told(), expected);
        }
    }

    #[test]
    fn any_bytes_may_come(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
        losses in prop::collection::vec((1_usize..300, 0_u64..300), 1..20),
        case in any::<prop::sample::Index>(),
    ) {
        let mut message = case.get(&cases()).bytes.clone();
        let (mut stream, _) = in_a_row("answer");
        for (place, byte) in changes {
            if !message.is_empty() {
                *place.get_mut(&mut message) = byte;
            }
            *place.get_mut(&mut stream) = byte;
        }
        if let Some(message) = parse(&message) {
            prop_assert!(message.name.len() <= 1004 && message.addresses.len() <= 256);
            prop_assert!(message.name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
        }
        let mut feed = Feed::new(Rx);
        let mut rest = stream.as_slice();
        for (size, lost) in losses {
            let (piece, tail) = rest.split_at(rest.len().min(size));
            feed.feed(Tx, piece);
            feed.lose(Tx, lost);
            rest = tail;
        }
        prop_assert!(feed.output.messages.len() <= stream.len() / 14);
    }
}
