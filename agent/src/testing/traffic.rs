//! Conversations made up: exchanges of every framing and size, one after another or pipelined, with what is to be told
//! of each of them and when.

use std::ops::Range;

use proptest::prelude::*;

use super::{Cuts, Wire, host};
use crate::{
    exchange::{Role, Times},
    time::Nanos,
};

/// A message's body.
#[derive(Clone, Debug)]
pub enum Body {
    /// None, and no field that tells of one.
    Absent,
    /// So many bytes, announced.
    Length(usize),
    /// Chunks of these sizes, and whether a trailer follows.
    Chunked(Vec<usize>, bool),
}

/// An exchange to be.
#[derive(Clone, Debug)]
pub struct Plan {
    method: &'static str,
    status: u16,
    request: Body,
    response: Body,
    /// Bytes of fields that mean nothing, in each head.
    padding: [usize; 2],
    /// Each head is a write of its own, and so is each chunk.
    separate: [bool; 2],
}

/// A message as it is sent, in writes.
struct Message {
    writes: Vec<Vec<u8>>,
    body: usize,
}

/// What is to be told of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// As [`super::Told::lines`] writes it.
    pub line: String,
    /// Its target, which no other has.
    pub target: String,
    /// Its bytes on each side, from the first that was sent.
    ranges: [Range<usize>; 2],
}

/// A conversation, and what is to be told of it.
#[derive(Debug)]
pub struct Traffic {
    /// Its segments.
    pub wire: Wire,
    /// Its exchanges, in order.
    pub planned: Vec<Planned>,
}

impl Traffic {
    /// Exchanges in batches: so many requests are sent, and then they are answered; the next batch begins when its
    /// first `early` answers are still to come.
    #[must_use]
    pub fn new(plans: &[Plan], batch: usize, early: usize, mut cuts: Cuts, starts: [u32; 2]) -> Self {
        let mut wire = Wire::new(starts[0], starts[1]);
        let mut planned = Vec::new();
        let mut sent = [0, 0];
        let mut asked = 0;
        let mut answered = 0;
        while answered < plans.len() {
            let until = plans.len().min(asked.max(answered + batch));
            let requests: Vec<Message> =
                (asked..until).map(|index| message(&plans[index], Role::Client, index)).collect();
            for (index, request) in (asked..until).zip(&requests) {
                let line = plans[index].line(index);
                let range = extend(&mut sent[0], request);
                planned.push(Planned { line, target: target(index), ranges: [range, 0..0] });
            }
            write(&mut wire, Role::Client, requests, &mut cuts, batch > 1);
            asked = until;
            let until = if asked < plans.len() { asked.saturating_sub(early).max(answered + 1) } else { asked };
            let answers: Vec<Message> =
                (answered..until).map(|index| message(&plans[index], Role::Server, index)).collect();
            for (index, answer) in (answered..until).zip(&answers) {
                planned[index].ranges[1] = extend(&mut sent[1], answer);
            }
            write(&mut wire, Role::Server, answers, &mut cuts, batch > 1);
            answered = until;
        }
        wire.end(Role::Server, true);
        wire.end(Role::Client, true);
        Self { wire, planned }
    }

    /// The times of each exchange's first and last bytes: those of the segments that carry them.
    #[must_use]
    pub fn times(&self) -> Vec<Times> {
        let mut ends: [Vec<(usize, Nanos)>; 2] = [Vec::new(), Vec::new()];
        for (from, length, time) in host::passages(&self.wire) {
            let ends = &mut ends[usize::from(from == Role::Server)];
            let before = ends.last().map_or(0, |(end, _)| *end);
            ends.push((before + length, time));
        }
        let time = |side: usize, byte: usize| {
            let segment = ends[side].partition_point(|(end, _)| *end <= byte);
            ends[side].get(segment).map(|(_, time)| *time)
        };
        let of = |planned: &Planned| {
            let [request, response] = &planned.ranges;
            Times {
                request_first: time(0, request.start),
                request_last: time(0, request.end - 1),
                response_first: time(1, response.start),
                response_last: time(1, response.end - 1),
                ..Times::default()
            }
        };
        self.planned.iter().map(of).collect()
    }
}

fn target(index: usize) -> String {
    format!("/{index}")
}

fn extend(sent: &mut usize, message: &Message) -> Range<usize> {
    let from = *sent;
    *sent += message.writes.iter().map(Vec::len).sum::<usize>();
    from..*sent
}

/// Sends messages, each write on its own or all in one.
fn write(wire: &mut Wire, from: Role, messages: Vec<Message>, cuts: &mut Cuts, together: bool) {
    let writes: Vec<Vec<u8>> = messages.into_iter().flat_map(|message| message.writes).collect();
    if together {
        wire.send(from, &writes.concat(), cuts, false);
    } else {
        for write in writes {
            wire.send(from, &write, cuts, false);
        }
    }
}

impl Plan {
    /// Without what cannot be framed when the request is not known: HEAD, and a chunked request, which is taken to
    /// last until the answer where bytes of it are missing.
    #[must_use]
    pub fn plain(mut self) -> Self {
        if self.method == "HEAD" {
            self.method = "GET";
        }
        if let Body::Chunked(chunks, _) = &self.request {
            self.request = Body::Length(chunks.iter().sum());
        }
        self
    }

    fn line(&self, index: usize) -> String {
        let mut line = format!("{} {} {}", self.method, target(index), self.status);
        for (name, role) in [("req", Role::Client), ("resp", Role::Server)] {
            match message(self, role, index).body {
                0 => {}
                size => line += &format!(" {name}={size}"),
            }
        }
        line
    }
}

fn message(plan: &Plan, from: Role, index: usize) -> Message {
    let (mut head, body, side) = match from {
        Role::Client => (format!("{} {} HTTP/1.1\r\nHost: h\r\n", plan.method, target(index)), &plan.request, 0),
        Role::Server => (format!("HTTP/1.1 {} Told\r\n", plan.status), &plan.response, 1),
    };
    head += &format!("X-Padding: {}\r\n", "p".repeat(plan.padding[side]));
    let bodiless = side == 1 && (plan.method == "HEAD" || matches!(plan.status, 204 | 304));
    let mut writes = Vec::new();
    match body {
        Body::Absent if side == 1 && !bodiless => head += "Content-Length: 0\r\n",
        Body::Absent => {}
        Body::Length(length) => {
            head += &format!("Content-Length: {length}\r\n");
            writes.push(filler(*length));
        }
        Body::Chunked(chunks, trailer) => {
            head += "Transfer-Encoding: chunked\r\n";
            for chunk in chunks {
                writes.push([format!("{chunk:x}\r\n").into_bytes(), filler(*chunk), b"\r\n".to_vec()].concat());
            }
            writes.push(if *trailer { b"0\r\nX-Sum: 1\r\n\r\n".to_vec() } else { b"0\r\n\r\n".to_vec() });
        }
    }
    head += "\r\n";
    if bodiless {
        writes.clear();
    }
    let body = writes.iter().map(Vec::len).sum();
    writes.insert(0, head.into_bytes());
    if !plan.separate[side] {
        writes = vec![writes.concat()];
    }
    writes.retain(|write| !write.is_empty());
    Message { writes, body }
}

/// Bytes of a body: letters, so that nothing in it resembles a head or an end of chunks.
fn filler(length: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(length).collect()
}

/// Bodies of at most so many bytes, of which small ones are more likely.
fn any_body(largest: usize) -> impl Strategy<Value = Body> {
    let size = || prop_oneof![3 => 1_usize..200, 2 => 1_usize..5000, 1 => 1_usize..=largest];
    let chunked = (size(), 1_usize..20, any::<bool>()).prop_map(|(size, pieces, trailer)| {
        let piece = (size / pieces).max(1);
        Body::Chunked(vec![piece; pieces], trailer)
    });
    prop_oneof![Just(Body::Absent), size().prop_map(Body::Length), chunked]
}

/// Exchanges with bodies of at most so many bytes.
pub fn any_plan(largest: usize) -> impl Strategy<Value = Plan> {
    let method = prop::sample::select(vec!["GET", "GET", "POST", "PUT", "HEAD", "DELETE"]);
    let status = prop_oneof![3 => Just(200_u16), 4 => 200_u16..=599, 1 => Just(204), 1 => Just(304)];
    let padding = || prop_oneof![4 => 0_usize..100, 1 => 0_usize..700];
    let bodies = [any_body(largest), any_body(largest)];
    (method, status, bodies, [padding(), padding()], any::<[bool; 2]>()).prop_map(
        |(method, status, [request, response], padding, separate)| {
            let request = if matches!(method, "GET" | "HEAD") { Body::Absent } else { request };
            Plan { method, status, request, response, padding, separate }
        },
    )
}
