//! What is on a page, in which order.

use std::fmt;

use super::{
    HistogramView, Sink, Value, agent, labels, net, rows::Rows, selecting::Selecting, spans, target, tls,
};
use crate::{
    exchange::Role,
    export::page::Page,
    red::{self, BODY_SIZE, DURATION, PART, Parts, STREAM_DURATION, Stats, StreamStats},
    semconv,
};

/// Writes all families of `page`, with the attributes that its selection leaves them. A family without a point is left out.
///
/// # Errors
/// Those of `out`.
pub fn write(page: &Page, out: &mut dyn Sink) -> fmt::Result {
    let out = &mut Selecting::new(&page.selection, out);
    target::write(page, out)?;
    requests(&page.red, out)?;
    streams(&page.red, out)?;
    net::write(&page.net, out)?;
    tls::write(&page.net, page.started, out)?;
    spans::write(page, out)?;
    agent::write(page, out)
}

fn requests(red: &red::Snapshot, out: &mut dyn Sink) -> fmt::Result {
    let of = |role: Role| {
        let all = red.series.iter().filter(move |series| series.role == role);
        Rows::distinct(all.map(|series| (labels::request(red, series), series.start, &series.value)))
    };
    let (server, client) = (of(Role::Server), of(Role::Client));
    fn duration(stats: &Stats) -> Option<HistogramView<'_>> {
        let exponential = Some(&stats.exponential).filter(|histogram| !histogram.is_empty());
        Some(HistogramView::new(&DURATION, &stats.duration).with(exponential, stats.exemplars()))
    }
    server.views(&semconv::HTTP_SERVER_REQUEST_DURATION, duration, out)?;
    client.views(&semconv::HTTP_CLIENT_REQUEST_DURATION, duration, out)?;

    let size = &BODY_SIZE;
    server.histograms(&semconv::HTTP_SERVER_REQUEST_BODY_SIZE, size, |stats| &stats.request_body, out)?;
    client.histograms(&semconv::HTTP_CLIENT_REQUEST_BODY_SIZE, size, |stats| &stats.request_body, out)?;
    server.histograms(&semconv::HTTP_SERVER_RESPONSE_BODY_SIZE, size, |stats| &stats.response_body, out)?;
    client.histograms(&semconv::HTTP_CLIENT_RESPONSE_BODY_SIZE, size, |stats| &stats.response_body, out)?;

    let parts = red.series.iter().filter_map(|series| Some((series, series.value.parts.as_deref()?)));
    let parts = Rows::distinct(parts.map(|(series, parts)| (labels::request(red, series), series.start, parts)));
    let part = &PART;
    parts.histograms(&semconv::HTTP_SERVER_QUEUE_DURATION, part, |parts: &Parts| &parts.queue, out)?;
    parts.histograms(&semconv::HTTP_SERVER_TIME_TO_FIRST_BYTE, part, |parts| &parts.first_byte, out)?;
    parts.histograms(&semconv::HTTP_SERVER_TRANSFER_DURATION, part, |parts| &parts.transfer, out)?;
    parts.histograms(&semconv::HTTP_SERVER_ACK_DURATION, part, |parts| &parts.acknowledgement, out)
}

fn streams(red: &red::Snapshot, out: &mut dyn Sink) -> fmt::Result {
    let all = red.streams.iter();
    let rows = Rows::distinct(all.map(|series| (labels::stream(red, series), series.start, &series.value)));
    rows.numbers(&semconv::STREAMS_OPENED, |stats| Value::Integer(stats.opened), out)?;
    rows.numbers(&semconv::STREAMS_ACTIVE, |stats| Value::Integer(stats.active()), out)?;
    let directions = ["client_to_server", "server_to_client"];
    let bytes = |stats: &StreamStats| stats.bytes.map(|bytes| Some(Value::Integer(bytes)));
    rows.numbers_by(&semconv::STREAMS_BYTES, semconv::DIRECTION, directions, bytes, out)?;
    rows.histograms(&semconv::STREAMS_DURATION, &STREAM_DURATION, |stats| &stats.duration, out)
}
