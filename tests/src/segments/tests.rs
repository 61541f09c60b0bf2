//! Packets written by hand, as loopback carries them.

use super::{Conversation, Segment, conversations, first_difference};

const CLIENT: u16 = 40_000;
const SERVER: u16 = 80;

/// A packet of IPv4 with these flags, the numbers counted from each side's first.
fn packet(from_client: bool, flags: u8, at: u32, acknowledged: u32, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let (ports, starts) = match from_client {
        true => ([CLIENT, SERVER], [u32::MAX - 1, 1000]),
        false => ([SERVER, CLIENT], [1000, u32::MAX - 1]),
    };
    let header = 20 + options.len();
    let length = u16::try_from(20 + header + payload.len()).expect("a short packet");
    let mut packet = vec![0x45, 0x02, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1];
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
    packet.extend(starts[0].wrapping_add(at).to_be_bytes());
    let acknowledged = if flags & 0x10 == 0 { 0 } else { starts[1].wrapping_add(acknowledged) };
    packet.extend(acknowledged.to_be_bytes());
    packet.extend([u8::try_from(header / 4).expect("a short header") << 4, flags, 1, 0, 0, 0, 0, 0]);
    packet.extend(options);
    packet.extend(payload);
    packet
}

fn told(packets: &[Vec<u8>]) -> Vec<Conversation> {
    let segments: Vec<Segment> = packets.iter().filter_map(|packet| Segment::read(packet)).collect();
    conversations(&segments, SERVER)
}

/// Timestamps of `value`, aligned.
fn timestamps(value: u8) -> Vec<u8> {
    vec![1, 1, 8, 10, value, value, value, value, 0, 0, 0, value]
}

fn exchange(chance: u8) -> Vec<Vec<u8>> {
    let syn = |value| [vec![2, 4, 0xff, 0xd7, 4, 2, 8, 10], vec![value; 8], vec![1, 3, 3, 7]].concat();
    let stamps = timestamps(chance);
    vec![
        packet(true, 0x02, 0, 0, &syn(chance), b""),
        packet(false, 0x12, 0, 1, &syn(chance), b""),
        packet(true, 0x10, 1, 1, &stamps, b""),
        packet(true, 0x18, 1, 1, &stamps, b"ask"),
        packet(false, 0x10, 1, 4, &stamps, b""),
        packet(false, 0x18, 1, 4, &stamps, b"tell"),
        packet(true, 0x11, 4, 5, &stamps, b""),
        packet(false, 0x11, 5, 5, &stamps, b""),
        packet(true, 0x10, 5, 6, &stamps, b""),
    ]
}

#[test]
fn a_connection_is_put_together_across_the_end_of_sequence_numbers() {
    let told = told(&exchange(1));
    let [conversation] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(
        (conversation.client.bytes.as_slice(), conversation.server.bytes.as_slice()),
        (&b"ask"[..], &b"tell"[..])
    );
    let placed = |way: &super::Way| way.carried.iter().map(|one| (one.at, one.length)).collect::<Vec<_>>();
    assert_eq!(placed(&conversation.client), [(0, 0), (1, 3), (4, 0)]);
    assert_eq!(placed(&conversation.server), [(0, 0), (1, 4), (5, 0)]);
    assert!(conversation.over);
}

#[test]
fn it_is_over_with_the_last_acknowledgement_or_a_reset() {
    let over = |packets: &[Vec<u8>]| told(packets).first().is_some_and(|conversation| conversation.over);
    let mut packets = exchange(1);
    packets.pop();
    assert!(!over(&packets));
    packets.push(packet(true, 0x14, 5, 6, &[], b""));
    assert!(over(&packets));
}

#[test]
fn values_of_timestamps_do_not_matter() {
    assert_eq!(told(&exchange(1)), told(&exchange(2)));
}

#[test]
fn whatever_else_changes_is_seen() {
    let usual = told(&exchange(1));
    let check = |what: &str, change: fn(&mut Vec<u8>)| {
        let mut packets = exchange(1);
        change(&mut packets[3]);
        assert_ne!(told(&packets), usual, "{what}");
    };
    check("time to live", |packet| packet[8] = 63);
    check("ECN", |packet| packet[1] = 0x03);
    check("may be fragmented", |packet| packet[6] = 0);
    check("a flag", |packet| packet[33] = 0x10);
    check("a reserved bit", |packet| packet[32] |= 0x02);
    check("an option's kind", |packet| packet[42] = 9);
    check("the window", |packet| packet[35] = 1);
    check("what is acknowledged", |packet| packet[31] ^= 1);
    check("a byte of the stream", |packet| *packet.last_mut().expect("a payload") = b'K');
}

#[test]
fn what_is_sent_again_is_carried_once() {
    let mut packets = exchange(1);
    packets.insert(4, packets[3].clone());
    packets.insert(1, packets[0].clone());
    let told = told(&packets);
    let [conversation] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(conversation.client.again, 2);
    let usual = super::tests::told(&exchange(1));
    assert_eq!(first_difference(&usual[0].client.carried, &conversation.client.carried), None);
}

#[test]
fn a_segment_cut_in_two_is_a_difference() {
    let mut packets = exchange(1);
    packets[3] = packet(true, 0x18, 1, 1, &timestamps(1), b"a");
    packets.insert(4, packet(true, 0x18, 2, 1, &timestamps(1), b"sk"));
    let (usual, cut) = (told(&exchange(1)), told(&packets));
    assert_eq!(usual[0].client.bytes, cut[0].client.bytes);
    let difference = first_difference(&usual[0].client.carried, &cut[0].client.carried);
    assert!(difference.is_some_and(|text| text.starts_with("segment 1 of 3 and 4:\n    1+3 PSH+ACK")));
}
