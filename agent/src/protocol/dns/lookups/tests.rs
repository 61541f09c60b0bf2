//! Lookups by conversations as text.

use std::{net::SocketAddr, time::Duration};

use proptest::prelude::*;

use super::{Asker, Lookups};
use crate::{
    exchange::Role,
    protocol::{
        Direction::{Rx, Tx},
        dns::{Heard, Lookup, Message, Outcome, Transport, code_name, kind_name, parse, tests::bytes_of},
    },
    testing::deterministic,
    time::Nanos,
};

fn asker(cookie: u64, peer: u16) -> Asker {
    let local = SocketAddr::from(([10, 0, 0, 1], 40_000));
    let peer = SocketAddr::from(([10, 0, 0, 2], 53 + peer));
    Asker { cookie, pid: 7, cgroup: 0, local, peer, transport: Transport::Udp }
}

fn plain(id: u16, name: &str) -> Message {
    let kind = u16::from(!name.is_empty());
    Message { id, is_response: false, code: 0, truncated: false, name: name.into(), kind, addresses: Vec::new() }
}

fn line(lookup: &Lookup) -> String {
    let role = if lookup.role == Role::Client { "client" } else { "server" };
    let outcome = match lookup.outcome {
        Outcome::Answered(code) => code_name(code),
        Outcome::Timeout => "timeout".into(),
    };
    let Lookup { cookie, name, attempts, duration, server, .. } = lookup;
    format!(
        "{role} {cookie} {} {name} {} {outcome} {duration:?} x{attempts}",
        server.port(),
        kind_name(lookup.kind)
    )
}

/// Plays a conversation: `time(ms) cookie peer > id name type` is a query sent, `?` one received, `<` an answer
/// received and `!` one sent, with its code last; `time expire`, `time close cookie`. Three wait at most, for a
/// second.
fn check(story: &str, conversation: &[&str], expected: &[&str]) {
    let mut lookups = Lookups::new(3, Duration::from_secs(1));
    let mut told = Vec::new();
    for step in conversation {
        let words: Vec<_> = step.split(' ').collect();
        let number = |index: usize| words[index].parse::<u64>().unwrap();
        let time = Nanos(number(0) * 1_000_000);
        match words[1] {
            "expire" => lookups.expire(time, &mut |lookup| told.push(line(&lookup))),
            "close" => lookups.closed(number(2), time, &mut |lookup| told.push(line(&lookup))),
            _ => {
                let direction = if matches!(words[3], ">" | "!") { Tx } else { Rx };
                let kind = match words[6] {
                    "A" => 1,
                    "AAAA" => 28,
                    _ => 0,
                };
                let id = u16::try_from(number(4)).unwrap();
                let code = words.get(7).map_or(0, |code| code.parse().unwrap());
                let is_response = matches!(words[3], "<" | "!");
                let name = words[5].trim_matches('.').into();
                let message = Message { is_response, code, name, kind, ..plain(id, "") };
                let from = asker(number(1), u16::try_from(number(2)).unwrap());
                let lookup = lookups.heard(from, &Heard { direction, time, message });
                told.extend(lookup.iter().map(line));
            }
        }
    }
    told.push(format!("{} wait, {} evicted", lookups.len(), lookups.evicted()));
    assert_eq!(told, expected, "{story}");
}

#[test]
fn conversations() {
    check(
        "asked and answered, both types at once, in the other order",
        &["0 1 0 > 5 a A", "1 1 0 > 6 a AAAA", "9 1 0 < 6 a AAAA 3", "12 1 0 < 5 a A 0"],
        &["client 1 53 a AAAA nxdomain 8ms x1", "client 1 53 a A noerror 12ms x1", "0 wait, 0 evicted"],
    );
    check(
        "a server here",
        &["0 2 4 ? 5 a A", "2 2 4 ! 5 a A 5"],
        &["server 2 40000 a A refused 2ms x1", "0 wait, 0 evicted"],
    );
    check(
        "a forwarder asks and is asked on one socket",
        &["0 2 0 ? 5 a A", "1 2 0 > 5 a A", "3 2 0 < 5 a A 0", "4 2 0 ! 5 a A 0"],
        &["client 2 53 a A noerror 2ms x1", "server 2 40000 a A noerror 4ms x1", "0 wait, 0 evicted"],
    );
    check(
        "asked again, answered twice",
        &["0 1 0 > 5 a A", "400 1 0 > 5 a A", "500 1 0 < 5 a A 0", "501 1 0 < 5 a A 0"],
        &["client 1 53 a A noerror 500ms x2", "0 wait, 0 evicted"],
    );
    check(
        "forged: another identifier, name, type, peer, socket",
        &[
            "0 1 0 > 5 a A",
            "1 1 0 < 6 a A 0",
            "2 1 0 < 5 b A 0",
            "3 1 0 < 5 a AAAA 0",
            "4 1 9 < 5 a A 0",
            "5 2 0 < 5 a A 0",
            "6 1 0 ! 5 a A 0",
            "7 1 0 < 5 a A 0",
        ],
        &["client 1 53 a A noerror 7ms x1", "0 wait, 0 evicted"],
    );
    check(
        "a late answer, before and after the timeout is told",
        &["0 1 0 > 5 a A", "999 expire", "1000 1 0 < 5 a A 0", "1001 expire", "1002 1 0 < 5 a A 0", "3000 expire"],
        &["client 1 53 a A timeout 1s x1", "0 wait, 0 evicted"],
    );
    check(
        "asked again after the timeout is another lookup",
        &["0 1 0 > 5 a A", "1000 1 0 > 5 a A", "1005 1 0 < 5 a A 0", "1005 expire"],
        &["client 1 53 a A noerror 5ms x1", "client 1 53 a A timeout 1s x1", "0 wait, 0 evicted"],
    );
    check(
        "an identifier is used again",
        &[
            "0 1 0 > 5 a A",
            "1 1 0 > 5 b A",
            "2 1 0 < 5 b A 0",
            "3 1 0 < 5 a A 0",
            "4 1 0 > 5 a A",
            "6 1 0 < 5 a A 0",
        ],
        &[
            "client 1 53 b A noerror 1ms x1",
            "client 1 53 a A noerror 3ms x1",
            "client 1 53 a A noerror 2ms x1",
            "0 wait, 0 evicted",
        ],
    );
    check(
        "an answer without a question",
        &["0 1 0 > 5 a A", "1 1 0 > 5 b A", "2 1 0 < 5 . - 1", "3 1 0 < 5 b A 0", "4 1 0 < 5 . - 1"],
        &["client 1 53 b A noerror 2ms x1", "client 1 53 a A formerr 4ms x1", "0 wait, 0 evicted"],
    );
    check("a query without a question is none", &["0 1 0 > 5 . -", "1 1 0 < 5 . - 0"], &["0 wait, 0 evicted"]);
    check(
        "no room: the oldest goes",
        &[
            "0 1 0 > 1 a A",
            "1 2 0 > 2 a A",
            "2 1 0 > 3 a A",
            "3 1 0 > 4 a A",
            "4 1 0 < 1 a A 0",
            "5 2 0 < 2 a A 0",
        ],
        &["client 2 53 a A noerror 4ms x1", "2 wait, 1 evicted"],
    );
    check(
        "a socket is closed",
        &[
            "0 1 0 > 1 a A",
            "1 2 0 > 2 a A",
            "2 1 3 > 3 b A",
            "5 close 1",
            "6 1 0 < 1 a A 0",
            "7 close 1",
            "8 close 9",
        ],
        &["client 1 53 a A timeout 5ms x1", "client 1 56 b A timeout 3ms x1", "1 wait, 0 evicted"],
    );
}

#[test]
fn one_identifier_holds_few_places() {
    let mut lookups = Lookups::new(1000, Duration::from_secs(1));
    for index in 0..100 {
        let heard = Heard { direction: Tx, time: Nanos(index), message: plain(5, &format!("n{index}")) };
        assert_eq!(lookups.heard(asker(1, 0), &heard), None);
    }
    assert_eq!((lookups.len(), lookups.evicted()), (16, 84));
}

#[test]
fn an_answer_brings_its_addresses_and_the_process_that_either_is_known_of() {
    let [query, answer] = ["a query", "an answer of two addresses"].map(|title| parse(&bytes_of(title)).unwrap());
    let mut lookups = Lookups::new(3, Duration::from_secs(1));
    let nobody = Asker { pid: 0, transport: Transport::Tcp, ..asker(1, 0) };
    let truncated = Message { truncated: true, ..answer.clone() };
    assert_eq!(lookups.heard(nobody, &Heard { direction: Tx, time: Nanos(5), message: query }), None);
    let told = lookups.heard(asker(1, 0), &Heard { direction: Rx, time: Nanos(9), message: truncated });
    let expected = Lookup {
        cookie: 1,
        cgroup: 0,
        pid: 7,
        role: Role::Client,
        transport: Transport::Tcp,
        server: asker(1, 0).peer,
        name: "example.com".into(),
        kind: 1,
        outcome: Outcome::Answered(0),
        asked: Nanos(5),
        duration: Duration::from_nanos(4),
        attempts: 1,
        addresses: answer.addresses,
        truncated: true,
    };
    assert_eq!(told, Some(expected));
}

proptest! {
    #![proptest_config(deterministic(64))]

    #[test]
    fn lookups_are_told_once_and_stay_bounded(
        steps in prop::collection::vec((0_u8..12, 0_u64..3, 0_u16..3, 0_u8..3, 0_u64..8), 0..200),
        limit in 1_usize..8,
    ) {
        let mut lookups = Lookups::new(limit, Duration::from_nanos(20));
        let (mut now, mut asked, mut told) = (0, 0, 0_u64);
        for (what, cookie, id, name, later) in steps {
            now += later;
            let message = Message { is_response: what & 1 == 1, ..plain(id, ["a", "b", ""][usize::from(name)]) };
            let direction = if what & 2 == 0 { Tx } else { Rx };
            match what {
                0..8 => {
                    asked += u64::from(!message.is_response);
                    let heard = Heard { direction, time: Nanos(now), message };
                    told += u64::from(lookups.heard(asker(cookie, 0), &heard).is_some());
                }
                8 | 9 => lookups.expire(Nanos(now), &mut |_| told += 1),
                _ => lookups.closed(cookie, Nanos(now), &mut |_| told += 1),
            }
            prop_assert!(lookups.len() <= limit);
            prop_assert!(told + lookups.evicted() + lookups.len() as u64 <= asked);
        }
        lookups.expire(Nanos(u64::MAX), &mut |_| told += 1);
        prop_assert!(lookups.is_empty());
    }
}
