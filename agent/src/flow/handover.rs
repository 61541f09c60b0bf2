//! The last steps of a flow's news: from its parser and its account to whoever is delivered to.

use super::{
    connection::Flow,
    delivery::{Delivery, Link},
    pairs::Pairs,
};
use crate::{
    exchange::{Counters, Role, StreamEnd, Transport},
    protocol::{Output, StreamBounds},
    time::Nanos,
};

/// Tells what a connection has carried.
pub(super) fn progress(cookie: u64, flow: &mut Flow, at_end: bool, pairs: &Pairs, delivery: &mut impl Delivery) {
    if let Some(progress) = flow.progress()
        && delivery.progress(&progress, &mut Link::of(cookie, flow, pairs), at_end)
    {
        flow.account.is_told_now();
    }
}

/// Hands on what a flow's parser has finished. On the server side, and while the process is unknown, an exchange
/// waits for the flow's next record, which brings both.
pub(super) fn deliver(
    cookie: u64,
    flow: &mut Flow,
    output: &mut Output,
    parked: &mut Vec<u64>,
    pairs: &Pairs,
    delivery: &mut impl Delivery,
) {
    while !output.finished.is_empty() {
        let exchange = output.finished.remove(0);
        release(flow, None, cookie, output, pairs, delivery);
        let waits = exchange.role == Role::Server || flow.pid == 0;
        flow.parked = Some(exchange);
        if !waits {
            release(flow, None, cookie, output, pairs, delivery);
        } else if !flow.listed {
            flow.listed = true;
            parked.push(cookie);
        }
    }
    if output.has_no_more() {
        return;
    }
    for bounds in output.opened.drain(..) {
        delivery.stream_opened(&stream(cookie, flow, bounds), &mut Link::of(cookie, flow, pairs));
    }
    for bounds in output.closed.drain(..) {
        delivery.stream_closed(&stream(cookie, flow, bounds), &mut Link::of(cookie, flow, pairs));
    }
    for handshake in output.handshakes.drain(..) {
        delivery.handshake(handshake, &mut Link::of(cookie, flow, pairs));
    }
    for heard in output.messages.drain(..) {
        delivery.message(&heard, &mut Link::of(cookie, flow, pairs));
    }
}

/// Delivers a flow's parked exchange.
pub(super) fn release(
    flow: &mut Flow,
    acked: Option<Nanos>,
    cookie: u64,
    output: &mut Output,
    pairs: &Pairs,
    delivery: &mut impl Delivery,
) {
    let Some(mut exchange) = flow.parked.take() else { return };
    exchange.cookie = cookie;
    exchange.local = flow.local;
    exchange.peer = flow.peer;
    exchange.pid = flow.pid;
    exchange.transport = transport(flow, exchange.began_with, exchange.times.request_first);
    if exchange.role == Role::Server {
        exchange.times.acknowledged = acked.filter(|acked| exchange.times.response_last <= Some(*acked));
    } else {
        exchange.times.picked_up = None;
    }
    delivery.exchange(&exchange, &mut Link::of(cookie, flow, pairs));
    output.recycle(exchange);
}

/// The connection under an exchange that began at this moment.
fn transport(flow: &Flow, before: Counters, began: Option<Nanos>) -> Transport {
    let (account, now) = (&flow.account, flow.account.counters());
    Transport {
        round_trip: account.round_trip(),
        met: Counters {
            retransmits: now.retransmits.wrapping_sub(before.retransmits),
            out_of_order: now.out_of_order.wrapping_sub(before.out_of_order),
        },
        age: began.filter(|_| account.is_new).map(|began| began.since(account.opened)),
    }
}

fn stream(cookie: u64, flow: &Flow, bounds: StreamBounds) -> StreamEnd {
    StreamEnd {
        cookie,
        role: bounds.role,
        kind: bounds.kind,
        opened: bounds.opened,
        closed: bounds.closed,
        sent_by_client: bounds.sent_by_client,
        sent_by_server: bounds.sent_by_server,
        pid: flow.pid,
    }
}
