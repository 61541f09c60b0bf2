//! Families of connections, datagrams and lookups.

use std::fmt;

use super::{
    Attributes, HistogramView, Sink, Value, exported, labels,
    rows::{Rows, some},
};
use crate::{
    exchange::Role,
    net::{
        CLOSE_REASONS, CONNECT, CONNECT_FAILURES, CloseReason, DnsSeries, DnsStats, Failures, LIFE, ROUND_TRIP,
        Snapshot, TcpStats, UdpStats,
    },
    red::DURATION,
    semconv::{self, Unit},
};

/// The order of pairs.
const DIRECTIONS: [&str; 2] = ["sent", "received"];

/// Writes all of them.
pub fn write(net: &Snapshot, out: &mut dyn Sink) -> fmt::Result {
    tcp(net, out)?;
    failures(net, out)?;
    udp(net, out)?;
    dns(net, out)
}

/// What is rare and not asked for when all is well (`some`) has no samples of zero.
fn tcp(net: &Snapshot, out: &mut dyn Sink) -> fmt::Result {
    let rows = Rows::new(net.tcp.iter().map(|series| (labels::peer(net, series), series.start, &series.value)));
    let directed = |pair: [u64; 2]| pair.map(|count| Some(Value::Integer(count)));
    let active = |stats: &TcpStats| Value::Integer(u64::try_from(stats.active).unwrap_or_default());
    let reasons = CLOSE_REASONS.map(CloseReason::as_str);
    let full = |stats: &TcpStats| stats.window_full.map(seconds);

    rows.numbers(&semconv::TCP_CONNECTIONS_OPENED, |stats| Value::Integer(stats.opened), out)?;
    rows.numbers(&semconv::TCP_CONNECTIONS_ACTIVE, active, out)?;
    let metric = &semconv::TCP_CONNECTIONS_CLOSED;
    rows.numbers_by(metric, semconv::REASON, reasons, |stats| stats.closed.map(some), out)?;
    rows.histograms(&semconv::TCP_CONNECT_DURATION, &CONNECT, |stats| &stats.connect, out)?;
    rows.histograms(&semconv::TCP_CONNECTION_DURATION, &LIFE, |stats| &stats.life, out)?;
    let direction = semconv::DIRECTION;
    rows.numbers_by(&semconv::TCP_BYTES, direction, DIRECTIONS, |stats| directed(stats.bytes), out)?;
    rows.numbers_by(&semconv::TCP_SEGMENTS, direction, DIRECTIONS, |stats| directed(stats.segments), out)?;
    rows.numbers(&semconv::TCP_RETRANSMITTED_SEGMENTS, |stats| Value::Integer(stats.retransmits), out)?;
    let metric = &semconv::TCP_DUPLICATE_BYTES;
    rows.numbers_by(metric, direction, DIRECTIONS, |stats| stats.duplicate.map(some), out)?;
    rows.some_numbers(&semconv::TCP_OUT_OF_ORDER_BYTES, |stats| some(stats.out_of_order), out)?;
    rows.numbers_by(&semconv::TCP_WINDOW_FULL, direction, DIRECTIONS, full, out)?;
    rows.histograms(&semconv::TCP_ROUND_TRIP_TIME, &ROUND_TRIP, |stats| &stats.round_trip, out)
}

fn failures(net: &Snapshot, out: &mut dyn Sink) -> fmt::Result {
    let failing = net.tcp.iter().filter_map(|series| Some((series, series.value.failures.as_deref()?)));
    let causes = CONNECT_FAILURES.map(|cause| cause.as_str());
    let all = failing.clone().map(|(series, failures)| (labels::peer(net, series), series.start, failures));
    let counts = |failures: &Failures| failures.count.map(some);
    Rows::new(all).numbers_by(&semconv::TCP_CONNECTS_FAILED, semconv::CAUSE, causes, counts, out)?;
    let by_cause = failing.flat_map(|(series, failures)| {
        let peer = labels::peer(net, series);
        let causes = causes.into_iter().zip(&failures.after);
        causes.map(move |(cause, after)| (peer.with(semconv::CAUSE, cause), series.start, after))
    });
    Rows::new(by_cause).histograms(&semconv::TCP_CONNECT_FAILED_DURATION, &CONNECT, |after| after, out)
}

fn udp(net: &Snapshot, out: &mut dyn Sink) -> fmt::Result {
    let rows = Rows::new(net.udp.iter().map(|series| (labels::peer(net, series), series.start, &series.value)));
    let bytes = |stats: &UdpStats| stats.bytes.map(|count| Some(Value::Integer(count)));
    let packets = |stats: &UdpStats| stats.packets.map(|count| Some(Value::Integer(count)));
    rows.numbers_by(&semconv::UDP_BYTES, semconv::DIRECTION, DIRECTIONS, bytes, out)?;
    rows.numbers_by(&semconv::UDP_PACKETS, semconv::DIRECTION, DIRECTIONS, packets, out)
}

fn dns(net: &Snapshot, out: &mut dyn Sink) -> fmt::Result {
    let of = |role: Role| {
        let all = net.dns.iter().filter(move |series| series.role == role);
        Rows::new(all.map(|series| (lookup(net, series), series.start, &series.value)))
    };
    fn view(stats: &DnsStats) -> Option<HistogramView<'_>> {
        Some(HistogramView::new(&DURATION, &stats.duration).with(Some(&stats.exponential), &[]))
    }
    of(Role::Client).views(&semconv::DNS_LOOKUP_DURATION, view, out)?;
    of(Role::Server).views(&semconv::DNS_SERVER_LOOKUP_DURATION, view, out)
}

/// The attributes of a series of lookups; the family says its role.
fn lookup(net: &Snapshot, series: &DnsSeries) -> Attributes {
    let mut all = labels::of(net, series.service);
    let Some(labels) = &series.labels else {
        all.push(semconv::OTEL_METRIC_OVERFLOW, true);
        return all;
    };
    if let Some(name) = &labels.name {
        all.push(semconv::DNS_QUESTION_NAME, name);
    }
    if let Some(error) = labels.error {
        all.push(semconv::ERROR_TYPE, error.to_string());
    }
    all
}

/// Nanoseconds, if there are any.
fn seconds(nanoseconds: u64) -> Option<Value> {
    (nanoseconds > 0).then(|| Value::Float(exported(Unit::Seconds, u128::from(nanoseconds))))
}
