//! TCP segments as they are on the wire, without what no two connections share.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

/// Flags of a TCP header (RFC 9293 §3.1).
const FIN: u16 = 0x001;
const SYN: u16 = 0x002;
const RST: u16 = 0x004;
const PSH: u16 = 0x008;
const ACK: u16 = 0x010;

/// Kinds of options: two of a single byte, and two whose values are the connection's own (RFC 2018, RFC 7323).
const END: u8 = 0;
const NOTHING: u8 = 1;
const SELECTIVE: u8 = 5;
const TIMESTAMPS: u8 = 8;

/// What the headers of a segment say that two connections over the same path share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Header {
    /// Of IP.
    version: u8,
    /// IPv4's time to live, IPv6's hop limit.
    hop_limit: u8,
    /// DSCP and ECN.
    traffic_class: u8,
    dont_fragment: bool,
    /// Bytes of IPv4's options, or of IPv6's extension headers.
    extensions: usize,
    /// All twelve bits after the data offset, reserved ones included.
    flags: u16,
    urgent: u16,
    /// Each TCP option whole, but for the values of timestamps and selective acknowledgements, which are 0.
    options: Vec<Vec<u8>>,
}

/// A captured segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Whence and whereto.
    ports: [u16; 2],
    sequence: u32,
    acknowledged: u32,
    window: u16,
    header: Header,
    payload: Vec<u8>,
}

/// A segment's place in its connection, all numbers counted from the SYNs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placed {
    from_client: bool,
    at: u32,
    length: usize,
    acknowledged: u32,
    window: u16,
    header: Header,
}

/// A segment that carries bytes, or begins or ends something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    at: u32,
    length: usize,
    header: Header,
}

/// One direction of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// The stream.
    pub bytes: Vec<u8>,
    /// What carried it, each the first time that it was sent, in the order of the stream.
    pub carried: Vec<Carried>,
    /// Every header that there was, those of mere acknowledgements included, but not of what was sent again: that is
    /// marked otherwise (RFC 3168 §6.1.5).
    pub headers: BTreeSet<Header>,
    /// Segments of which all was sent before.
    pub again: usize,
}

/// A connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversation {
    /// From who connected.
    pub client: Way,
    /// To who connected.
    pub server: Way,
    /// Every segment of both, as captured.
    pub all: Vec<Placed>,
    /// It was reset, or both sides' ends were acknowledged.
    pub over: bool,
}

impl Segment {
    /// Reads a packet from its IP header on; `None` when it is not of TCP.
    ///
    /// # Panics
    /// On a malformed packet: the kernel made it.
    #[must_use]
    pub fn read(packet: &[u8]) -> Option<Self> {
        let packet = SlicedPacket::from_ip(packet).unwrap_or_else(|error| panic!("{error}: {packet:02x?}"));
        let Some(TransportSlice::Tcp(tcp)) = packet.transport else { return None };
        let (version, hop_limit, traffic_class, dont_fragment, extensions) = match packet.net? {
            NetSlice::Ipv4(net) => {
                let ip = net.header();
                let traffic_class = ip.dcp().value() << 2 | ip.ecn().value();
                (4, ip.ttl(), traffic_class, ip.dont_fragment(), ip.options().len())
            }
            NetSlice::Ipv6(net) => {
                let ip = net.header();
                (6, ip.hop_limit(), ip.traffic_class(), true, net.extensions().slice().len())
            }
            NetSlice::Arp(_) => return None,
        };
        let flags = tcp.header_slice().get(12..14).and_then(|bits| bits.try_into().ok()).map(u16::from_be_bytes);
        let header = Header {
            version,
            hop_limit,
            traffic_class,
            dont_fragment,
            extensions,
            flags: flags.expect("twenty bytes of header") & 0xfff,
            urgent: tcp.urgent_pointer(),
            options: options(tcp.options()),
        };
        Some(Self {
            ports: [tcp.source_port(), tcp.destination_port()],
            sequence: tcp.sequence_number(),
            acknowledged: tcp.acknowledgment_number(),
            window: tcp.window_size(),
            header,
            payload: tcp.payload().to_vec(),
        })
    }

    /// Whether it comes from somebody who may take no more for now.
    #[must_use]
    pub fn shuts(&self, server: u16) -> bool {
        self.ports[1] == server && self.window == 0 && !self.header.has(RST)
    }
}

impl Header {
    /// Whether it tells apart what has arrived (RFC 2018), be it what arrived twice (RFC 2883).
    #[must_use]
    pub fn is_selective(&self) -> bool {
        self.options.iter().any(|option| option.first() == Some(&SELECTIVE))
    }

    /// The same without what depends on where a mass of bytes is cut: which segments push, and whether the end comes
    /// with the last bytes or after them.
    #[must_use]
    pub fn anywhere(&self) -> Self {
        Self { flags: self.flags & !(PSH | FIN), ..self.clone() }
    }

    fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// Takes options apart (RFC 9293 §3.2).
fn options(mut rest: &[u8]) -> Vec<Vec<u8>> {
    let mut options = Vec::new();
    while let [kind, after @ ..] = rest {
        let length = match (*kind, after) {
            (END | NOTHING, _) | (_, []) => 1,
            (_, [length, ..]) => usize::from(*length).clamp(2, rest.len()),
        };
        let (option, others) = rest.split_at(length);
        let mut option = option.to_vec();
        if matches!(*kind, SELECTIVE | TIMESTAMPS) {
            option.iter_mut().skip(2).for_each(|byte| *byte = 0);
        }
        options.push(option);
        rest = others;
    }
    options
}

/// The connections to the port `server` among captured segments, in the order of their SYNs.
#[must_use]
pub fn conversations(segments: &[Segment], server: u16) -> Vec<Conversation> {
    let mut clients: Vec<u16> = Vec::new();
    for segment in segments.iter().filter(|segment| segment.ports[1] == server && segment.header.has(SYN)) {
        if !clients.contains(&segment.ports[0]) {
            clients.push(segment.ports[0]);
        }
    }
    clients.into_iter().map(|client| conversation(segments, client, server)).collect()
}

fn conversation(segments: &[Segment], client: u16, server: u16) -> Conversation {
    let of_it: Vec<&Segment> =
        segments.iter().filter(|segment| [[client, server], [server, client]].contains(&segment.ports)).collect();
    let from = |port: u16| of_it.iter().copied().filter(move |segment| segment.ports[0] == port);
    let start = |port: u16| from(port).find(|segment| segment.header.has(SYN)).map_or(0, |syn| syn.sequence);
    let starts = [start(client), start(server)];
    let placed = |segment: &Segment| {
        let from_client = segment.ports[0] == client;
        let [own, other] = if from_client { starts } else { [starts[1], starts[0]] };
        let acknowledged =
            if segment.header.has(ACK) { segment.acknowledged.wrapping_sub(other) } else { segment.acknowledged };
        Placed {
            from_client,
            at: segment.sequence.wrapping_sub(own),
            length: segment.payload.len(),
            acknowledged,
            window: segment.window,
            header: segment.header.clone(),
        }
    };
    let all: Vec<Placed> = of_it.iter().map(|segment| placed(segment)).collect();
    let reset = all.iter().any(|placed| placed.header.has(RST));
    let ended = [true, false].into_iter().all(|from_client| {
        let end = all.iter().find(|placed| placed.from_client == from_client && placed.header.has(FIN));
        end.is_some_and(|end| {
            let after = end.at.wrapping_add(u32::try_from(end.length).expect("a short segment"));
            all.iter().any(|other| other.from_client != from_client && other.acknowledged > after)
        })
    });
    Conversation {
        client: way(from(client).map(|segment| (placed(segment), segment.payload.as_slice()))),
        server: way(from(server).map(|segment| (placed(segment), segment.payload.as_slice()))),
        all,
        over: reset || ended,
    }
}

fn way<'a>(segments: impl Iterator<Item = (Placed, &'a [u8])>) -> Way {
    let mut segments: Vec<_> = segments.collect();
    // What two CPUs send at a time may arrive the other way round.
    segments.sort_by_key(|(placed, _)| placed.at);
    let mut way = Way::default();
    // The next byte of the stream, the first being 1.
    let mut next: usize = 1;
    let mut signalled = BTreeSet::new();
    for (placed, payload) in segments {
        let signals = placed.header.flags & (SYN | FIN | RST);
        if payload.is_empty() && signals == 0 {
            way.headers.insert(placed.header);
            continue;
        }
        let at = usize::try_from(placed.at).expect("a short stream");
        let known = next.saturating_sub(at).min(payload.len());
        let new = &payload[known..];
        if new.is_empty() && (signals == 0 || !signalled.insert(signals)) {
            way.again += 1;
            continue;
        }
        signalled.insert(signals);
        assert!(new.is_empty() || at + known == next, "bytes {next} to {at} of a stream were not captured");
        way.bytes.extend(new);
        next += new.len();
        way.headers.insert(placed.header.clone());
        way.carried.push(Carried { at: placed.at, length: placed.length, header: placed.header });
    }
    way
}

impl fmt::Display for Header {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
        let named = NAMES.iter().enumerate().filter(|(bit, _)| self.flags >> bit & 1 == 1);
        let flags: Vec<&str> = named.map(|(_, name)| *name).collect();
        write!(formatter, "{}", flags.join("+"))?;
        if self.flags >> 8 != 0 {
            write!(formatter, "+{:#x}", self.flags & 0xf00)?;
        }
        write!(formatter, " IPv{} hops {} class {:#04x}", self.version, self.hop_limit, self.traffic_class)?;
        write!(formatter, " df {} ip options {}", self.dont_fragment, self.extensions)?;
        write!(formatter, " urgent {} options {:?}", self.urgent, self.options)
    }
}

impl fmt::Display for Carried {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}+{} {}", self.at, self.length, self.header)
    }
}

impl fmt::Display for Conversation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for placed in &self.all {
            let arrow = if placed.from_client { '>' } else { '<' };
            let Placed { at, length, acknowledged, window, header, .. } = placed;
            writeln!(formatter, "{arrow} {at}+{length} ack {acknowledged} window {window} {header}")?;
        }
        Ok(())
    }
}

/// The first segment in which two lists differ, as text.
#[must_use]
pub fn first_difference(expected: &[Carried], actual: &[Carried]) -> Option<String> {
    let longest = expected.len().max(actual.len());
    let at = (0..longest).find(|at| expected.get(*at) != actual.get(*at))?;
    let mut text = format!("segment {at} of {} and {}:", expected.len(), actual.len());
    for segment in [expected.get(at), actual.get(at)] {
        let _ = match segment {
            Some(segment) => write!(text, "\n    {segment}"),
            None => write!(text, "\n    none"),
        };
    }
    Some(text)
}

#[cfg(test)]
mod tests;
