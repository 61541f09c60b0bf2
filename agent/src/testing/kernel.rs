//! The kernel side's decisions over a socket's segments: what `agent-ebpf/src/cgroup_skb.rs` does with them, around
//! the same state (`redtap_ebpf::Flow`), without a kernel.

use redtap_ebpf::{
    Closed, Flow, Fresh, Hint, Kind, MARK_LEN, MAX_CAPTURE, MAX_WINDOWS, Opened, Role as Opening, Segment, Ship,
    WINDOW, closed,
    flow::{hint, state},
    segment, tcp,
};

use super::Packet;
use crate::exchange::Role;

/// The socket's cookie in every test.
pub const COOKIE: u64 = 7;

/// The state of a connection that is open (include/net/tcp_states.h).
const TCP_ESTABLISHED: u8 = 1;

/// The process that owns it.
pub const PID: u32 = 4242;

/// A record on its way to the agent.
#[derive(Clone, Debug)]
pub enum Record {
    /// The connection appears.
    Opened(Opened),
    /// A window of a segment.
    Segment(Segment, Vec<u8>),
    /// The connection ends.
    Closed(Closed),
}

/// What the kernel side knows of one socket.
pub struct Kernel {
    /// The state kept with the socket.
    pub flow: Flow,
    /// Hints written for the socket: the last one stands.
    pub hint: Option<Hint>,
    /// How often hints were published.
    pub epoch: u64,
    /// Records on their way.
    pub records: Vec<Record>,
    role: Role,
    capture: u32,
}

impl Kernel {
    /// A socket on this side of a connection that has just been opened; without first sequence numbers (of the
    /// client and the server), one that is older than the agent.
    #[must_use]
    pub fn new(role: Role, starts: Option<[u32; 2]>, capture: u32) -> Self {
        let mut flow = Flow { cookie: COOKIE, ..Flow::default() };
        if let Some([client, server]) = starts {
            let (rx, tx, opening) = match role {
                Role::Server => (client, server, state::PASSIVE),
                Role::Client => (server, client, state::ACTIVE),
            };
            flow.rx.start(rx);
            flow.tx.start(tx);
            (flow.rx_seq, flow.tx_seq) = (rx, tx);
            flow.state |= opening;
            if role == Role::Client {
                flow.pid = PID;
            }
        }
        let is_new = starts.is_some();
        let mut kernel = Self { flow, hint: None, epoch: 0, records: Vec::new(), role, capture };
        if is_new {
            kernel.opens(super::BEGINNING.0);
        }
        kernel
    }

    /// The application reads what has arrived.
    pub fn picks_up(&mut self, now: u64) {
        if self.flow.state & state::AWAITS_PICKUP != 0 {
            self.flow.state &= !state::AWAITS_PICKUP;
            self.flow.picked_up = now;
            self.flow.pid = PID;
        }
    }

    /// A segment passes.
    pub fn passes(&mut self, packet: &Packet, now: u64) {
        let egress = packet.from == self.role;
        self.note_flags(packet, egress, now);
        let ends = packet.fin || packet.rst;
        if packet.bytes.is_empty() {
            if ends && self.flow.state & state::ANNOUNCED != 0 {
                let header = self.header(packet, egress, now);
                self.deliver(packet.lost, header, &[]);
            }
            return;
        }
        let Some((offset, limit)) = self.with_payload(packet, egress, ends) else { return };
        if self.flow.state & state::ANNOUNCED == 0 {
            self.opens(now);
        }
        if egress {
            self.flow.ack_wait = self.flow.tx.next;
            self.flow.state |= state::AWAITS_ACK;
        }
        let header = self.header(packet, egress, now);
        self.ship(packet, header, offset, limit);
    }

    fn note_flags(&mut self, packet: &Packet, egress: bool, now: u64) {
        let flow = &mut self.flow;
        if !egress && flow.state & state::AWAITS_ACK != 0 && tcp::at_or_after(packet.ack, flow.ack_wait) {
            flow.state &= !state::AWAITS_ACK;
            flow.acked = now;
        }
        flow.state |= match (packet.fin, packet.rst, egress) {
            (_, true, true) => state::RST_SENT,
            (_, true, false) => state::RST_RECEIVED,
            (true, false, true) => state::FIN_SENT,
            (true, false, false) => state::FIN_RECEIVED,
            (false, false, _) => 0,
        };
    }

    /// From where on and how much of a segment goes into the ring, if any.
    fn with_payload(&mut self, packet: &Packet, egress: bool, ends: bool) -> Option<(u32, u32)> {
        let (seq, len) = (packet.seq, u32::try_from(packet.bytes.len()).unwrap());
        let flow = &mut self.flow;
        let direction = if egress { &mut flow.tx } else { &mut flow.rx };
        let Fresh::From(from) = direction.advance(seq, len) else { return None };
        let silent = hint::OPAQUE | hint::STREAM;
        if flow.mode & silent != 0 && !ends {
            return None;
        }
        if !egress {
            flow.state |= state::AWAITS_PICKUP;
        }
        if flow.hint_epoch != self.epoch {
            flow.hint_epoch = self.epoch;
            if let Some(hint) = &self.hint {
                flow.apply(hint);
                if flow.mode & silent != 0 && !ends {
                    return None;
                }
            }
        }
        let ends_push = ends || packet.psh;
        let (other_next, direction) =
            if egress { (flow.rx.next, &mut flow.tx) } else { (flow.tx.next, &mut flow.rx) };
        let mut ship = direction.ship(seq, len, from, other_next, ends_push);
        if flow.mode & silent != 0 || (ship == Ship::Body && ends) {
            ship = Ship::Mark;
        }
        match ship {
            Ship::Body => None,
            Ship::Mark => Some((len.saturating_sub(MARK_LEN), MARK_LEN)),
            Ship::Head(offset) => {
                let mut limit = self.capture;
                if len - offset > limit {
                    if packet.bytes.ends_with(b"\r\n\r\n") {
                        flow.state |= state::SUSPECT;
                        limit = MAX_CAPTURE;
                    } else if flow.mode & hint::FULL != 0
                        || (flow.state & state::SUSPECT != 0 && flow.mode & hint::SINGLE == 0)
                    {
                        limit = MAX_CAPTURE;
                    }
                }
                Some((offset, limit))
            }
        }
    }

    fn ship(&mut self, packet: &Packet, header: Segment, offset: u32, limit: u32) {
        let length = header.length;
        let end = length.min(offset.saturating_add(limit));
        let mut header = Segment { flags: header.flags | segment::FIRST, ..header };
        let mut at = offset;
        for _ in 0..MAX_WINDOWS {
            let until = end.min(at + WINDOW);
            self.window(packet, Segment { offset: at, ..header }, until);
            header.flags &= !segment::FIRST;
            (header.picked_up, header.acked) = (0, 0);
            at = until;
            if at == end {
                break;
            }
        }
        if length - end >= MARK_LEN && (packet.psh || packet.fin) {
            self.window(packet, Segment { offset: length - MARK_LEN, ..header }, length);
        }
    }

    fn window(&mut self, packet: &Packet, header: Segment, until: u32) {
        let range = usize::try_from(header.offset).unwrap()..usize::try_from(until).unwrap();
        let bytes = &packet.bytes[range];
        let captured = u16::try_from(bytes.len()).unwrap();
        self.deliver(packet.lost, Segment { captured, ..header }, bytes);
    }

    fn deliver(&mut self, lost: bool, header: Segment, bytes: &[u8]) {
        if !lost {
            self.records.push(Record::Segment(header, bytes.to_vec()));
        } else if bytes.is_empty() || header.flags & segment::FIRST != 0 {
            self.flow.state |= state::LOSS;
            self.flow.picked_up = header.picked_up;
            self.flow.acked = header.acked;
        }
    }

    fn header(&mut self, packet: &Packet, egress: bool, now: u64) -> Segment {
        let flow = &mut self.flow;
        let mut flags = 0;
        for (bit, is_set) in [
            (segment::EGRESS, egress),
            (segment::FIN, packet.fin),
            (segment::RST, packet.rst),
            (segment::PSH, packet.psh),
            (segment::LOSS, flow.state & state::LOSS != 0),
        ] {
            flags |= if is_set { bit } else { 0 };
        }
        flow.state &= !state::LOSS;
        Segment {
            kind: Kind::Segment as u8,
            flags,
            captured: 0,
            length: u32::try_from(packet.bytes.len()).unwrap(),
            cookie: COOKIE,
            time: now,
            seq: packet.seq,
            offset: 0,
            picked_up: std::mem::take(&mut flow.picked_up),
            acked: std::mem::take(&mut flow.acked),
            pid: flow.pid,
            tid: flow.pid,
            srtt_us: flow.srtt_us,
            retransmits: flow.retransmits,
            out_of_order: flow.rx.out_of_order as u32,
            duplicate: flow.rx.duplicate as u32,
            rx_segments: flow.rx_segments,
            tx_segments: flow.tx_segments,
            cgroup: 0,
        }
    }

    fn opens(&mut self, now: u64) {
        self.flow.state |= state::ANNOUNCED;
        let role = match self.flow.state & (state::ACTIVE | state::PASSIVE) {
            state::ACTIVE => Opening::Active,
            state::PASSIVE => Opening::Passive,
            _ => Opening::Unknown,
        };
        let loopback = std::net::Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
        self.records.push(Record::Opened(Opened {
            kind: Kind::Opened as u8,
            role: role as u8,
            family: 4,
            reserved: 0,
            local_port: 80,
            peer_port: 40_000,
            cookie: COOKIE,
            time: now,
            local: loopback,
            peer: loopback,
            cgroup: 0,
            connect_ns: 0,
            pid: self.flow.pid,
            rx_seq: self.flow.rx_seq,
            tx_seq: self.flow.tx_seq,
            tid: 0,
            comm: [0; redtap_ebpf::COMM_LEN],
        }));
    }

    /// The agent was there when the connection was opened.
    #[must_use]
    pub const fn saw_it_open(&self) -> bool {
        self.flow.state & (state::ACTIVE | state::PASSIVE) != 0
    }

    /// The socket is gone: told where the agent saw it open.
    pub fn closes(&mut self, now: u64) {
        if !self.saw_it_open() {
            return;
        }
        if self.flow.state & state::ANNOUNCED == 0 {
            self.opens(now);
        }
        let flow = &self.flow;
        let mut flags = 0;
        for (bit, of) in [
            (closed::FIN_SENT, state::FIN_SENT),
            (closed::FIN_RECEIVED, state::FIN_RECEIVED),
            (closed::RST_SENT, state::RST_SENT),
            (closed::RST_RECEIVED, state::RST_RECEIVED),
            (closed::LOSS, state::LOSS),
        ] {
            flags |= if flow.state & of != 0 { bit } else { 0 };
        }
        self.records.push(Record::Closed(Closed {
            kind: Kind::Closed as u8,
            flags,
            old_state: TCP_ESTABLISHED,
            reserved: 0,
            error: 0,
            cookie: COOKIE,
            time: now,
            totals: flow.totals(now),
            rx_next: flow.rx.next,
            tx_next: flow.tx.next,
            picked_up: flow.picked_up,
            acked: flow.acked,
            pid: flow.pid,
            tid: flow.pid,
            unanswered: 0,
            padding: 0,
        }));
    }
}
