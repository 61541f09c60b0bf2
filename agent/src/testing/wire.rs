//! A conversation as TCP segments.

use std::time::Duration;

use super::{Case, Step};
use crate::exchange::Role;

/// A segment on its way from one socket to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Who sent it.
    pub from: Role,
    /// Sequence number of its first byte.
    pub seq: u32,
    /// What its sender had received, if all that was sent had arrived.
    pub ack: u32,
    /// Its payload.
    pub bytes: Vec<u8>,
    /// It ends a write.
    pub psh: bool,
    /// Its sender sends no more.
    pub fin: bool,
    /// Its sender breaks the connection.
    pub rst: bool,
    /// Its record will find no room in the ring.
    pub lost: bool,
}

/// What happens on the wire, or to the agent.
#[derive(Clone, Debug)]
pub enum Event {
    /// A segment passes.
    Packet(Packet),
    /// From here on an agent watches.
    AgentStarts,
    /// Nothing happens for so long.
    Wait(Duration),
    /// The connection counts as this by now.
    Class(String),
}

/// Where a stream of bytes is cut into segments: these sizes, again and again.
#[derive(Clone, Debug)]
pub struct Cuts {
    sizes: Vec<usize>,
    used: usize,
}

impl Cuts {
    /// The largest segment: that of generic segmentation offload.
    pub const MOST: usize = 65_536;

    /// Segments of these sizes, in turns.
    #[must_use]
    pub fn of(sizes: &[usize]) -> Self {
        Self { sizes: sizes.to_vec(), used: 0 }
    }

    /// A segment a write.
    #[must_use]
    pub fn whole() -> Self {
        Self::of(&[Self::MOST])
    }

    fn next(&mut self) -> usize {
        let size = self.sizes[self.used % self.sizes.len()];
        self.used += 1;
        size.clamp(1, Self::MOST)
    }
}

/// Both directions of a connection, and what has happened on it so far.
#[derive(Clone, Debug)]
pub struct Wire {
    /// First sequence numbers of the client and the server.
    pub starts: [u32; 2],
    next: [u32; 2],
    /// What has happened.
    pub events: Vec<Event>,
}

impl Wire {
    /// A connection on which nothing was said, with these first sequence numbers of the client and the server.
    #[must_use]
    pub fn new(client: u32, server: u32) -> Self {
        Self { starts: [client, server], next: [client, server], events: Vec::new() }
    }

    /// The segments of a case.
    #[must_use]
    pub fn of(case: &Case, starts: [u32; 2], mut cuts: Cuts) -> Self {
        let mut wire = Self::new(starts[0], starts[1]);
        for step in &case.steps {
            match step {
                Step::Send { from, bytes, lost } => wire.send(*from, bytes, &mut cuts, *lost),
                Step::Fin(from) => wire.end(*from, true),
                Step::Rst(from) => wire.end(*from, false),
                Step::AgentStarts => wire.events.push(Event::AgentStarts),
                Step::Wait(time) => wire.events.push(Event::Wait(*time)),
                Step::Class(class) => wire.events.push(Event::Class(class.clone())),
            }
        }
        wire
    }

    /// The records of these segments are lost.
    pub fn lose(&mut self, indices: &[usize]) {
        for index in indices {
            if let Some(Event::Packet(packet)) = self.events.get_mut(*index) {
                packet.lost = true;
            }
        }
    }

    /// A write, in segments.
    pub fn send(&mut self, from: Role, bytes: &[u8], cuts: &mut Cuts, lost: bool) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (segment, after) = rest.split_at(cuts.next().min(rest.len()));
            rest = after;
            self.packet(from, segment, |packet| {
                packet.psh = after.is_empty();
                packet.lost = lost;
            });
        }
    }

    /// A FIN (`in_order`) or RST of its own.
    pub fn end(&mut self, from: Role, in_order: bool) {
        self.packet(from, &[], |packet| {
            packet.fin = in_order;
            packet.rst = !in_order;
        });
        self.next[side(from)] = self.next[side(from)].wrapping_add(u32::from(in_order));
    }

    fn packet(&mut self, from: Role, bytes: &[u8], set: impl FnOnce(&mut Packet)) {
        let (seq, ack) = (self.next[side(from)], self.next[1 - side(from)]);
        let mut packet =
            Packet { from, seq, ack, bytes: bytes.to_vec(), psh: false, fin: false, rst: false, lost: false };
        set(&mut packet);
        self.next[side(from)] = seq.wrapping_add(u32::try_from(bytes.len()).unwrap());
        self.events.push(Event::Packet(packet));
    }
}

/// The place of a side in pairs of client and server.
const fn side(role: Role) -> usize {
    match role {
        Role::Client => 0,
        Role::Server => 1,
    }
}
