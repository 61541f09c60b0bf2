//! What is on a page, in which order.

use std::fmt;

use super::{
    exposition::{Exposition, HistogramView, Value},
    labels::{self, SeriesLabels},
    net, spans, tls,
};
use crate::{
    exchange::Role,
    export::{
        agent::{AgentSnapshot, Table},
        page::Page,
        process::ProcessStats,
    },
    red::{self, BODY_SIZE, Bounds, DURATION, Histogram, PART, Parts, STREAM_DURATION, Series, StreamSeries},
    semconv::{self, Attribute, Kind, Metric},
};

/// Writes all families of `page`. A family without a sample is left out.
pub fn write(page: &Page, out: &mut dyn Exposition) -> fmt::Result {
    let version = labels::set(&[(semconv::VERSION, env!("CARGO_PKG_VERSION"))]);
    out.family(&semconv::BUILD, &mut |samples| samples.info(&version))?;
    requests(&page.red, out)?;
    streams(&page.red, out)?;
    exchanges(&page.red, out)?;
    net::write(&page.net, out)?;
    tls::write(&page.net, out)?;
    spans::write(page, out)?;
    books(&page.agent, out)?;
    flows(&page.agent, out)?;
    tables(page, out)?;
    programs(&page.agent, out)?;
    page.agent.process.map_or(Ok(()), |process| write_process(&process, out))
}

/// A server's series, or a client's.
fn of(role: Role, series: &Series) -> Option<&Series> {
    (series.key.role == role).then_some(series)
}

fn requests(red: &red::Snapshot, out: &mut dyn Exposition) -> fmt::Result {
    use Role::{Client, Server};
    let labels = &SeriesLabels::new(red);
    let rows = &red.series;

    let duration = &DURATION;
    let metric = &semconv::HTTP_SERVER_REQUEST_DURATION;
    histograms(metric, duration, labels, rows, |row| of(Server, row).map(|row| &row.duration), out)?;
    let metric = &semconv::HTTP_CLIENT_REQUEST_DURATION;
    histograms(metric, duration, labels, rows, |row| of(Client, row).map(|row| &row.duration), out)?;

    let size = &BODY_SIZE;
    let metric = &semconv::HTTP_SERVER_REQUEST_BODY_SIZE;
    histograms(metric, size, labels, rows, |row| of(Server, row).map(|row| &row.request_body), out)?;
    let metric = &semconv::HTTP_CLIENT_REQUEST_BODY_SIZE;
    histograms(metric, size, labels, rows, |row| of(Client, row).map(|row| &row.request_body), out)?;
    let metric = &semconv::HTTP_SERVER_RESPONSE_BODY_SIZE;
    histograms(metric, size, labels, rows, |row| of(Server, row).map(|row| &row.response_body), out)?;
    let metric = &semconv::HTTP_CLIENT_RESPONSE_BODY_SIZE;
    histograms(metric, size, labels, rows, |row| of(Client, row).map(|row| &row.response_body), out)?;

    let parts = |row: &Series| -> Option<&Parts> { red.parts.get(usize::try_from(row.parts?).ok()?) };
    let part = &PART;
    let metric = &semconv::HTTP_SERVER_QUEUE_DURATION;
    histograms(metric, part, labels, rows, |row| parts(row).map(|parts| &parts.queue), out)?;
    let metric = &semconv::HTTP_SERVER_TIME_TO_FIRST_BYTE;
    histograms(metric, part, labels, rows, |row| parts(row).map(|parts| &parts.first_byte), out)?;
    let metric = &semconv::HTTP_SERVER_TRANSFER_DURATION;
    histograms(metric, part, labels, rows, |row| parts(row).map(|parts| &parts.transfer), out)?;
    let metric = &semconv::HTTP_SERVER_ACK_DURATION;
    histograms(metric, part, labels, rows, |row| parts(row).map(|parts| &parts.acknowledgement), out)
}

/// A family of those histograms that `select` finds in the series and that observed anything.
fn histograms<'a, const N: usize>(
    metric: &Metric,
    bounds: &'static Bounds<N>,
    labels: &SeriesLabels,
    series: &'a [Series],
    select: impl Fn(&'a Series) -> Option<&'a Histogram<N>>,
    out: &mut dyn Exposition,
) -> fmt::Result {
    let rows = || {
        let selected = series.iter().enumerate().filter_map(|(index, series)| Some((index, select(series)?)));
        selected.filter(|(_, histogram)| histogram.count > 0)
    };
    if rows().next().is_none() {
        return Ok(());
    }
    out.family(metric, &mut |samples| {
        for (index, histogram) in rows() {
            samples.histogram(labels.get(index), &HistogramView::new(bounds, histogram))?;
        }
        Ok(())
    })
}

fn streams(red: &red::Snapshot, out: &mut dyn Exposition) -> fmt::Result {
    let rows: Vec<(String, &StreamSeries)> =
        red.streams.iter().map(|series| (labels::stream(red, &series.key), series)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let each = |value: fn(&StreamSeries) -> u64| {
        rows.iter().map(|(labels, series)| (labels.clone(), Value::Integer(value(series)))).collect()
    };
    numbers(&semconv::STREAMS_OPENED, each(|series| series.opened), out)?;
    numbers(&semconv::STREAMS_ACTIVE, each(StreamSeries::active), out)?;
    let directed = rows.iter().flat_map(|(labels, series)| {
        ["client_to_server", "server_to_client"].into_iter().zip(series.bytes).map(|(direction, bytes)| {
            let mut labels = labels.clone();
            labels::push(&mut labels, semconv::DIRECTION, direction);
            (labels, Value::Integer(bytes))
        })
    });
    numbers(&semconv::STREAMS_BYTES, directed.collect(), out)?;
    if rows.iter().all(|(_, series)| series.closed == 0) {
        return Ok(());
    }
    out.family(&semconv::STREAMS_DURATION, &mut |samples| {
        for (labels, series) in rows.iter().filter(|(_, series)| series.closed > 0) {
            samples.histogram(labels, &HistogramView::new(&STREAM_DURATION, &series.duration))?;
        }
        Ok(())
    })
}

fn exchanges(red: &red::Snapshot, out: &mut dyn Exposition) -> fmt::Result {
    let rows = red.exchanges.iter().map(|(role, outcome, count)| {
        let labels = labels::set(&[
            (semconv::PROTOCOL, "http"),
            (semconv::ROLE, role.as_str()),
            (semconv::OUTCOME, outcome.as_str()),
        ]);
        (labels, Value::Integer(count))
    });
    numbers(&semconv::EXCHANGES, rows.collect(), out)
}

/// The equation of the books: segments = accounted + dropped + pending.
fn books(agent: &AgentSnapshot, out: &mut dyn Exposition) -> fmt::Result {
    let directed = |counts: [u64; 2]| by(semconv::DIRECTION, ["ingress", "egress"].into_iter().zip(counts));
    numbers(&semconv::SEGMENTS, directed(agent.kernel.segments), out)?;
    numbers(&semconv::SEGMENT_BYTES, directed(agent.kernel.bytes), out)?;
    numbers(&semconv::SEGMENTS_ACCOUNTED, by(semconv::AS, agent.accounted()), out)?;
    numbers(&semconv::SEGMENTS_PENDING, alone(agent.pending), out)?;
    let dropped = agent.all_dropped().into_iter().map(|dropped| {
        let unit = (semconv::UNIT, dropped.unit.as_str());
        (labels::set(&[unit, (semconv::REASON, dropped.reason)]), Value::Integer(dropped.count))
    });
    numbers(&semconv::DROPPED, dropped.collect(), out)?;
    numbers(&semconv::RECORDS, by(semconv::KIND, agent.records.iter().copied()), out)?;
    numbers(&semconv::RECORDS_LATE, alone(agent.late), out)
}

fn flows(agent: &AgentSnapshot, out: &mut dyn Exposition) -> fmt::Result {
    numbers(&semconv::FLOWS, by(semconv::STATE, agent.flows.by_state()), out)?;
    numbers(&semconv::FLOWS_OPENED, alone(agent.opened), out)?;
    numbers(&semconv::FLOWS_CLOSED, alone(agent.closed), out)?;
    numbers(&semconv::FLOWS_EVICTED, alone(agent.evicted), out)
}

fn tables(page: &Page, out: &mut dyn Exposition) -> fmt::Result {
    let count = |entries: usize| u64::try_from(entries).unwrap_or(u64::MAX);
    let red = &page.red;
    let requests = red.series.len() - red.overflow_series;
    let kinds = [("request", requests), ("overflow", red.overflow_series), ("stream", red.streams.len())];
    numbers(&semconv::SERIES, by(semconv::KIND, kinds.map(|(kind, entries)| (kind, count(entries)))), out)?;
    numbers(&semconv::SERIES_OVERFLOWED, alone(red.overflowed), out)?;

    let own = [("series", requests, red.series_limit), ("server_addresses", red.servers.len(), red.server_limit)];
    let own = own.map(|(name, entries, limit)| Table { name, entries: count(entries), limit: count(limit) });
    let net = page.net.tables.iter().map(|table| {
        let (entries, limit) = (count(table.entries), count(table.limit));
        Table { name: table.name, entries, limit }
    });
    let net: Vec<_> = net.collect();
    let all = || page.agent.tables.iter().chain(&own).chain(&net);
    numbers(&semconv::TABLE_ENTRIES, by(semconv::TABLE, all().map(|table| (table.name, table.entries))), out)?;
    numbers(&semconv::TABLE_LIMIT, by(semconv::TABLE, all().map(|table| (table.name, table.limit))), out)?;
    let overflowed = page.net.tables.iter().map(|table| (table.name, table.overflowed));
    numbers(&semconv::TABLE_OVERFLOWED, by(semconv::TABLE, overflowed), out)
}

#[expect(clippy::cast_precision_loss, reason = "53 bits of nanoseconds are a hundred days of CPU time")]
fn programs(agent: &AgentSnapshot, out: &mut dyn Exposition) -> fmt::Result {
    let name = |name: &str| labels::set(&[(semconv::PROGRAM, name)]);
    let run = agent.programs.iter().filter_map(|program| Some((name(&program.name), program.run?)));
    let run: Vec<_> = run.collect();
    let seconds = run.iter().map(|(labels, run)| (labels.clone(), Value::Float(run.run_ns as f64 / 1e9)));
    numbers(&semconv::PROGRAM_RUN, seconds.collect(), out)?;
    let runs = run.iter().map(|(labels, run)| (labels.clone(), Value::Integer(run.run_count)));
    numbers(&semconv::PROGRAM_RUNS, runs.collect(), out)?;
    let attached = agent.programs.iter();
    let attached = attached.map(|program| (name(&program.name), Value::Integer(u64::from(program.attached))));
    numbers(&semconv::PROGRAM_ATTACHED, attached.collect(), out)
}

fn write_process(process: &ProcessStats, out: &mut dyn Exposition) -> fmt::Result {
    let float = |value: f64| vec![(String::new(), Value::Float(value))];
    numbers(&semconv::PROCESS_CPU, float(process.cpu.as_secs_f64()), out)?;
    numbers(&semconv::PROCESS_RESIDENT_MEMORY, alone(process.resident_bytes), out)?;
    numbers(&semconv::PROCESS_OPEN_FDS, alone(process.open_fds), out)?;
    numbers(&semconv::PROCESS_START_TIME, float(process.started.as_secs_f64()), out)
}

/// One sample without labels.
fn alone(value: u64) -> Vec<(String, Value)> {
    vec![(String::new(), Value::Integer(value))]
}

/// Samples told apart by one attribute.
fn by<'a>(attribute: Attribute, rows: impl IntoIterator<Item = (&'a str, u64)>) -> Vec<(String, Value)> {
    let rows = rows.into_iter();
    rows.map(|(value, count)| (labels::set(&[(attribute, value)]), Value::Integer(count))).collect()
}

/// A family of counters or gauges.
fn numbers(metric: &Metric, rows: Vec<(String, Value)>, out: &mut dyn Exposition) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    out.family(metric, &mut |samples| {
        rows.iter().try_for_each(|(labels, value)| match metric.kind {
            Kind::Counter => samples.counter(labels, *value),
            Kind::Gauge | Kind::Histogram | Kind::Info => samples.gauge(labels, *value),
        })
    })
}
