//! TLS by cases: `agent/tests/cases/tls`, recorded from OpenSSL and Go, as each end sees them, however the bytes are cut.
//!
//! ```text
//! case name
//! # why
//! late           the beginning of the connection was not seen; before the bytes
//! > hex          the client sends, a millisecond after what came before; an indented line goes on with the last
//! < hex          the server sends
//! >.. 40         so many bytes of the client pass unseen
//! lost           records of the connection were lost
//! fin            the connection ends; `fin >.. 40`: so many bytes more had passed
//! forgotten      the connection is forgotten
//! = line         what is told: see `told`
//! ```

use std::{fmt::Write as _, path::Path};

use proptest::prelude::*;

use super::{
    Certificate, Certificates, Connection, Handshake, Outcome, alert_name, cipher_name, fingerprint::Seen,
    group_name, hello, protocol_name, recognise, record::MAX_MESSAGE, version_name,
};
use crate::{
    exchange::Role,
    protocol::{Appetite, Direction, End, Output, Parse, Parser as _, Piece, Recognition},
    testing::deterministic,
    time::Nanos,
};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Late,
    Send(bool, Vec<u8>),
    Unseen(bool, u64),
    Lost,
    Fin(Option<(bool, u64)>),
    Forgotten,
}

#[derive(Clone, Debug, Default)]
struct Case {
    name: String,
    steps: Vec<Step>,
    expected: Vec<String>,
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn unseen(text: &str) -> (bool, u64) {
    (text.starts_with('>'), text.get(3..).unwrap().trim().parse().unwrap())
}

fn load() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/tls");
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut cases: Vec<Case> = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap().replace("\n  ", "");
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix("case ") {
                cases.push(Case { name: name.into(), ..Case::default() });
                continue;
            }
            let case = cases.last_mut().expect("a case has a name");
            let step = match line.split_once(' ').unwrap_or((line, "")) {
                ("=", told) => {
                    case.expected.push(told.into());
                    continue;
                }
                (">", hex) => Step::Send(true, unhex(hex)),
                ("<", hex) => Step::Send(false, unhex(hex)),
                (">.." | "<..", _) => Step::Unseen(line.starts_with('>'), unseen(line).1),
                ("fin", rest) => Step::Fin((!rest.is_empty()).then(|| unseen(rest))),
                ("late", _) => Step::Late,
                ("lost", _) => Step::Lost,
                ("forgotten", _) => Step::Forgotten,
                _ => panic!("{}: {line}", file.display()),
            };
            case.steps.push(step);
        }
    }
    assert!(!cases.is_empty());
    cases
}

/// One direction as `flow::Stream` feeds it.
#[derive(Default)]
struct Feed {
    next: u64,
    skip_to: u64,
}

impl Feed {
    /// `false`: the parser says that this is not TLS.
    fn bytes(
        &mut self,
        connection: &mut Connection,
        direction: Direction,
        mut bytes: &[u8],
        time: Nanos,
        output: &mut Output,
    ) -> bool {
        while !bytes.is_empty() {
            if self.skip_to > self.next {
                let skipped = (self.skip_to - self.next).min(bytes.len() as u64);
                self.next += skipped;
                bytes = &bytes[usize::try_from(skipped).unwrap()..];
                if self.next < self.skip_to {
                    return true;
                }
                let empty = Piece { at: self.next, bytes: &[], first: time, last: time, ends_segment: false };
                assert_ne!(connection.parse(direction, &empty, output), Parse::Invalid);
                continue;
            }
            let piece = Piece { at: self.next, bytes, first: time, last: time, ends_segment: true };
            match connection.parse(direction, &piece, output) {
                Parse::Done(0) | Parse::NeedMore => panic!("every byte is used as it comes"),
                Parse::Done(used) => {
                    self.next += used as u64;
                    bytes = &bytes[used..];
                }
                Parse::Skip(to) => {
                    assert!(to > self.next);
                    self.skip_to = to;
                }
                Parse::Invalid => return false,
            }
        }
        true
    }

    fn unseen(
        &mut self,
        connection: &mut Connection,
        direction: Direction,
        count: u64,
        time: Nanos,
        output: &mut Output,
    ) {
        let to = self.next + count;
        if to > self.skip_to {
            let empty = Piece { at: self.next, bytes: &[], first: time, last: time, ends_segment: false };
            connection.gap(direction, &empty, to, output);
        }
        self.next = to;
    }
}

const MILLISECOND: u64 = 1_000_000;

/// What is told of these steps at one end, the bytes cut into pieces of these sizes, in turn.
fn watch(steps: &[Step], role: Role, sizes: &[usize]) -> Vec<Handshake> {
    let requests = if role == Role::Server { Direction::Rx } else { Direction::Tx };
    let late = steps.contains(&Step::Late);
    let mut connection = Connection::new(requests, !late, true);
    let mut output = Output::new(true);
    let mut feeds = [Feed { next: 1 << 32, skip_to: 0 }, Feed { next: 7, skip_to: 0 }];
    let mut sizes = sizes.iter().copied().cycle();
    let mut time = 0;
    for step in steps {
        time += MILLISECOND;
        let now = Nanos(time);
        let direction = |client: bool| if client { requests } else { requests.other() };
        match step {
            Step::Late => time -= MILLISECOND,
            Step::Send(client, bytes) => {
                let mut rest = bytes.as_slice();
                while !rest.is_empty() {
                    let (piece, tail) = rest.split_at(sizes.next().unwrap_or(rest.len()).clamp(1, rest.len()));
                    rest = tail;
                    let feed = &mut feeds[usize::from(*client)];
                    if !feed.bytes(&mut connection, direction(*client), piece, now, &mut output) {
                        return Vec::new();
                    }
                    assert!(connection.kept_bytes() <= 4 * MAX_MESSAGE);
                }
            }
            Step::Unseen(client, count) => {
                let feed = &mut feeds[usize::from(*client)];
                feed.unseen(&mut connection, direction(*client), *count, now, &mut output);
            }
            Step::Lost => connection.note_loss(),
            Step::Fin(more) => {
                let mut ends = [feeds[0].next, feeds[1].next];
                if let Some((client, count)) = more {
                    ends[usize::from(*client)] += count;
                }
                let [server, client] = ends;
                let (rx_end, tx_end) = if role == Role::Server { (client, server) } else { (server, client) };
                connection.close(&End { time: now, rx_end, tx_end, ..End::default() }, &mut output);
            }
            Step::Forgotten => connection.abandon(&End { time: now, ..End::default() }, &mut output),
        }
    }
    if !output.handshakes.is_empty() {
        assert!(connection.is_idle());
        assert_eq!(connection.appetite(Direction::Rx), Appetite::Nothing);
        assert_eq!(connection.appetite(Direction::Tx), Appetite::Nothing);
        assert_eq!(connection.kept_bytes(), 0);
    }
    output.handshakes.into_iter().map(|handshake| *handshake).collect()
}

/// A handshake as the cases write it: how it ended and after how long; the offer; the choice; certificates.
fn told(handshake: &Handshake) -> Vec<String> {
    let mut end = match handshake.outcome {
        Outcome::Established => "established".to_owned(),
        Outcome::Alert { by_client, description } => {
            let by = if by_client { "client" } else { "server" };
            let name = description.map_or("encrypted", |description| alert_name(description).unwrap_or("unknown"));
            format!("alert {name} by {by}")
        }
        Outcome::Abandoned => "abandoned".to_owned(),
        Outcome::Unobserved => "unobserved".to_owned(),
    };
    if let Some(duration) = handshake.duration {
        let _ = write!(end, " after {duration:?}");
    }
    let mut lines = vec![end];
    if !handshake.versions_offered.is_empty() {
        let name = handshake.server_name.as_deref().unwrap_or("-");
        let versions: Vec<_> = handshake.versions_offered.iter().map(|version| version_name(*version)).collect();
        let (versions, protocols) = (versions.join(","), handshake.protocols_offered.join(","));
        let ciphers = handshake.ciphers_offered.len();
        let ja4 = handshake.fingerprint.as_deref().unwrap_or("-");
        lines.push(format!("offer name={name} versions={versions} ciphers={ciphers} protocols={protocols} {ja4}"));
    }
    if let Some(version) = handshake.version {
        let cipher = handshake.cipher.and_then(cipher_name).unwrap_or("-");
        let group = handshake.group.map_or("-", |group| group_name(group).unwrap_or("unknown"));
        let protocol = handshake.protocol.as_deref().unwrap_or("-");
        let resumed = handshake.resumed.map_or("-", |resumed| if resumed { "yes" } else { "no" });
        let retried = if handshake.retried { " retried" } else { "" };
        let version = format!("{}{}", protocol_name(version), version_name(version));
        lines.push(format!(
            "choice {version} {cipher} group={group} protocol={protocol} resumed={resumed}{retried}"
        ));
    }
    if handshake.client_certificate_requested {
        lines.push("client certificate requested".to_owned());
    }
    for (whose, certificates) in
        [("server", &handshake.server_certificates), ("client", &handshake.client_certificates)]
    {
        match certificates {
            Certificates::None => {}
            Certificates::Encrypted => lines.push(format!("{whose} encrypted")),
            Certificates::Shown(chain) => lines.extend(chain.iter().map(|one| format!("{whose} {}", line(one)))),
        }
    }
    lines
}

fn line(certificate: &Certificate) -> String {
    let Certificate { subject, issuer, alternative_names, serial, not_before, not_after } = certificate;
    let names = alternative_names.join(" ");
    format!("{subject} | by {issuer} | {serial} | {not_before}..{not_after} | {names}").trim_end().to_owned()
}

/// Where what is told is not what the case says.
fn complaints(case: &Case, sizes: &[usize]) -> String {
    let mut complaints = String::new();
    for role in [Role::Server, Role::Client] {
        let handshakes = watch(&case.steps, role, sizes);
        assert!(handshakes.iter().all(|handshake| handshake.role == role));
        let lines: Vec<String> = handshakes.iter().flat_map(told).collect();
        if lines != case.expected {
            let (told, expected) = (lines.join("\n= "), case.expected.join("\n= "));
            let _ = write!(complaints, "\n{} ({role:?}):\n= {told}\nexpected:\n= {expected}\n", case.name);
        }
    }
    complaints
}

fn check(sizes: &[usize]) {
    let complaints: String = load().iter().map(|case| complaints(case, sizes)).collect();
    assert!(complaints.is_empty(), "{complaints}");
}

#[test]
fn every_case_as_written() {
    check(&[usize::MAX]);
}

#[test]
fn every_case_byte_by_byte() {
    check(&[1]);
}

proptest! {
    #![proptest_config(deterministic(64))]

    #[test]
    fn every_case_in_any_pieces(sizes in prop::collection::vec(prop_oneof![1_usize..9, 1_usize..1500], 1..20)) {
        let complaints: String = load().iter().map(|case| complaints(case, &sizes)).collect();
        prop_assert!(complaints.is_empty(), "{}", complaints);
    }

    #[test]
    fn changed_bytes_end_no_agent(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        size in 1_usize..2000,
    ) {
        let cases = load();
        let mut steps = which.get(&cases).steps.clone();
        for (place, byte) in changes {
            let sent = steps.iter_mut().filter_map(|step| if let Step::Send(_, bytes) = step { Some(bytes) } else { None });
            let mut sent: Vec<&mut u8> = sent.flatten().collect();
            let place = place.index(sent.len());
            *sent[place] = byte;
        }
        let whole = watch(&steps, Role::Server, &[usize::MAX]);
        prop_assert!(whole.len() <= 1);
        prop_assert_eq!(whole, watch(&steps, Role::Server, &[size]));
    }

    #[test]
    fn any_bytes_end_no_agent(sends in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 1..9)) {
        let steps: Vec<Step> = sends.into_iter().map(|(client, bytes)| Step::Send(client, bytes)).collect();
        watch(&steps, Role::Client, &[7]);
    }
}

#[test]
fn lengths_that_lie_keep_no_memory() {
    // A hello of 16 MiB, in records of 16 KiB: given up at once.
    let mut bytes = unhex("1603014000010ffffe0303");
    bytes.resize(5 + 0x4000, 0);
    assert_eq!(recognise(&bytes), Recognition::No);
    assert!(watch(&[Step::Send(true, bytes), Step::Fin(None)], Role::Server, &[usize::MAX]).is_empty());
}

#[test]
fn hellos_are_recognised_by_their_first_bytes() {
    use Recognition::{NeedMore, No, Request};
    for (hex, expected) in [
        ("", NeedMore),
        ("16", NeedMore),
        ("1603", NeedMore),
        ("16030102000100", NeedMore),
        ("1603010200010001fc03", NeedMore),
        ("1603010200010001fc0303", Request),
        ("1603030200010001fc0303", Request),
        ("1603000200010001fc0300", Request),
        ("16030102000100020003030f", Request),
        // A record of one byte; a hello over several records.
        ("160301000101", Request),
        ("16030100050100020003", Request),
        ("1603010000", No),
        ("1603014001", No),
        ("1602", No),
        ("160305", No),
        ("1603010200020000510303", No),
        ("1603010200010100510303", No),
        ("16030102000100001003", No),
        ("1603010200010001fc0203", No),
        ("150301", No),
        ("474554202f20485454502f312e310d0a", No),
        // SSL 2.0's form.
        ("802e0100020015000000100100800300800700c0", No),
    ] {
        assert_eq!(recognise(&unhex(hex)), expected, "{hex}");
    }
}

#[test]
fn fingerprints_are_those_of_ja4() {
    // The example of JA4's description.
    let ciphers = [
        0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d,
        0x002f, 0x0035,
    ];
    let extensions = vec![
        0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b, 0xff01,
        0x000b, 0x000a, 0x0015,
    ];
    let signatures = vec![0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
    let chrome = Seen { version: 0x0304, ciphers: &ciphers, extensions, signatures, protocol: Some(b"h2") };
    assert_eq!(&*chrome.ja4(), "t13d1516h2_8daaf6152771_e5627efa2ab1");
    assert_eq!(&*Seen::default().ja4(), "t00i000000_000000000000_000000000000");
    for (protocol, expected) in
        [(&b"http/1.1"[..], "h1"), (b"x", "xx"), (b"\xab", "ab"), (b"\x30\xcd", "3d"), (b"", "00")]
    {
        let seen = Seen { version: 0x0303, protocol: Some(protocol), ..Seen::default() };
        assert_eq!(seen.ja4().get(8..10), Some(expected), "{protocol:?}");
    }
}

#[test]
fn grease_is_what_the_rfc_lists() {
    let grease: Vec<u16> = (0..=u16::MAX).filter(|value| hello::is_grease(*value)).collect();
    let expected: Vec<u16> = (0..16).map(|digit| 0x0a0a + digit * 0x1010).collect();
    assert_eq!(grease, expected);
}
