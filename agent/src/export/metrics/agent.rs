//! Families of the agent's own: its books, its tables, its exporters, its programs, itself.

use std::fmt;

use super::{Attributes, Point, Sink, Value};
use crate::{
    export::{
        agent::{AgentSnapshot, Program, Table},
        exporter::ExporterView,
        page::Page,
        process::ProcessStats,
    },
    identity::kubernetes::ResourceStatus,
    red,
    semconv::{self, Attribute, Metric},
};

/// Writes all of them.
pub fn write(page: &Page, out: &mut dyn Sink) -> fmt::Result {
    let agent = &Agent { started: page.started };
    let version = Attributes::of([(semconv::VERSION, env!("CARGO_PKG_VERSION"))]);
    agent.numbers(&semconv::BUILD, [(version, Value::Integer(1))], out)?;
    exchanges(&page.red, agent, out)?;
    books(&page.agent, agent, out)?;
    flows(&page.agent, agent, out)?;
    tables(page, agent, out)?;
    exporters(&page.exporters, agent, out)?;
    kubernetes(&page.kubernetes, agent, out)?;
    programs(&page.agent, agent, out)?;
    privileges(&page.agent, agent, out)?;
    page.agent.process.map_or(Ok(()), |process| write_process(&process, agent, out))
}

/// All that the agent counts, it counts since its start.
struct Agent {
    started: u64,
}

impl Agent {
    /// A family of counters or gauges.
    fn numbers(
        &self,
        metric: &'static Metric,
        rows: impl IntoIterator<Item = (Attributes, Value)>,
        out: &mut dyn Sink,
    ) -> fmt::Result {
        let rows: Vec<_> = rows.into_iter().collect();
        if rows.is_empty() {
            return Ok(());
        }
        out.family(metric, &mut |points| {
            let mut rows = rows.iter();
            rows.try_for_each(|(attributes, value)| {
                points.number(Point { attributes, start: self.started }, *value)
            })
        })
    }
}

fn exchanges(red: &red::Snapshot, agent: &Agent, out: &mut dyn Sink) -> fmt::Result {
    let rows = red.exchanges.iter().map(|(role, outcome, count)| {
        let all = Attributes::of([
            (semconv::PROTOCOL, "http"),
            (semconv::ROLE, role.as_str()),
            (semconv::OUTCOME, outcome.as_str()),
        ]);
        (all, Value::Integer(count))
    });
    agent.numbers(&semconv::EXCHANGES, rows, out)
}

/// The equation of the books: segments = accounted + dropped + pending.
fn books(snapshot: &AgentSnapshot, agent: &Agent, out: &mut dyn Sink) -> fmt::Result {
    let directed = |counts: [u64; 2]| by(semconv::DIRECTION, ["ingress", "egress"].into_iter().zip(counts));
    agent.numbers(&semconv::SEGMENTS, directed(snapshot.kernel.segments), out)?;
    agent.numbers(&semconv::SEGMENT_BYTES, directed(snapshot.kernel.bytes), out)?;
    agent.numbers(&semconv::SEGMENTS_ACCOUNTED, by(semconv::AS, snapshot.accounted()), out)?;
    agent.numbers(&semconv::SEGMENTS_PENDING, alone(snapshot.pending), out)?;
    let dropped = snapshot.all_dropped().into_iter().map(|dropped| {
        let unit = (semconv::UNIT, dropped.unit.as_str());
        (Attributes::of([unit, (semconv::REASON, dropped.reason)]), Value::Integer(dropped.count))
    });
    agent.numbers(&semconv::DROPPED, dropped, out)?;
    agent.numbers(&semconv::RECORDS, by(semconv::KIND, snapshot.records.iter().copied()), out)?;
    agent.numbers(&semconv::RECORDS_LATE, alone(snapshot.late), out)
}

fn flows(snapshot: &AgentSnapshot, agent: &Agent, out: &mut dyn Sink) -> fmt::Result {
    agent.numbers(&semconv::FLOWS, by(semconv::STATE, snapshot.flows.by_state()), out)?;
    agent.numbers(&semconv::FLOWS_OPENED, alone(snapshot.opened), out)?;
    agent.numbers(&semconv::FLOWS_CLOSED, alone(snapshot.closed), out)?;
    agent.numbers(&semconv::FLOWS_EVICTED, alone(snapshot.evicted), out)
}

fn tables(page: &Page, agent: &Agent, out: &mut dyn Sink) -> fmt::Result {
    let count = |entries: usize| u64::try_from(entries).unwrap_or(u64::MAX);
    let red = &page.red;
    let requests = red.series.len() - red.overflow_series;
    let kinds = [("request", requests), ("overflow", red.overflow_series), ("stream", red.streams.len())];
    agent.numbers(
        &semconv::SERIES,
        by(semconv::KIND, kinds.map(|(kind, entries)| (kind, count(entries)))),
        out,
    )?;
    agent.numbers(&semconv::SERIES_OVERFLOWED, alone(red.overflowed), out)?;

    let own = [("series", requests, red.series_limit), ("server_addresses", red.servers.len(), red.server_limit)];
    let own = own.map(|(name, entries, limit)| Table { name, entries: count(entries), limit: count(limit) });
    let net = page.net.tables.iter().map(|table| {
        let (entries, limit) = (count(table.entries), count(table.limit));
        Table { name: table.name, entries, limit }
    });
    let net: Vec<_> = net.collect();
    let all = || page.agent.tables.iter().chain(&own).chain(&net);
    agent.numbers(
        &semconv::TABLE_ENTRIES,
        by(semconv::TABLE, all().map(|table| (table.name, table.entries))),
        out,
    )?;
    agent.numbers(&semconv::TABLE_LIMIT, by(semconv::TABLE, all().map(|table| (table.name, table.limit))), out)?;
    let overflowed = page.net.tables.iter().map(|table| (table.name, table.overflowed));
    agent.numbers(&semconv::TABLE_OVERFLOWED, by(semconv::TABLE, overflowed), out)
}

/// What each exporter shows of itself.
#[expect(clippy::cast_precision_loss, reason = "53 bits of milliseconds are longer than recorded history")]
fn exporters(exporters: &[ExporterView], agent: &Agent, out: &mut dyn Sink) -> fmt::Result {
    let each = |value: fn(&ExporterView) -> Value| {
        exporters
            .iter()
            .map(move |exporter| (Attributes::of([(semconv::EXPORTER, exporter.name)]), value(exporter)))
    };
    agent.numbers(&semconv::EXPORT_QUEUE_LENGTH, each(|exporter| Value::Integer(exporter.queued)), out)?;
    agent.numbers(&semconv::EXPORT_QUEUE_LIMIT, each(|exporter| Value::Integer(exporter.limit)), out)?;
    agent.numbers(&semconv::EXPORTED, each(|exporter| Value::Integer(exporter.sent)), out)?;
    agent.numbers(&semconv::EXPORT_FAILURES, each(|exporter| Value::Integer(exporter.failed)), out)?;
    let dropped = exporters.iter().flat_map(|exporter| {
        let reasons = exporter.dropped.iter();
        reasons.map(|(reason, count)| {
            let all = [(semconv::EXPORTER, exporter.name), (semconv::REASON, *reason)];
            (Attributes::of(all), Value::Integer(*count))
        })
    });
    agent.numbers(&semconv::EXPORT_DROPPED, dropped, out)?;
    let succeeded = exporters.iter().filter(|exporter| exporter.last_success > 0);
    let succeeded = succeeded.map(|exporter| {
        let at = exporter.last_success as f64 / 1e3;
        (Attributes::of([(semconv::EXPORTER, exporter.name)]), Value::Float(at))
    });
    agent.numbers(&semconv::EXPORT_LAST_SUCCESS, succeeded, out)
}

/// How the watches of the Kubernetes API fare, those that are wanted.
fn kubernetes(watches: &[ResourceStatus], agent: &Agent, out: &mut dyn Sink) -> fmt::Result {
    let wanted = || watches.iter().filter(|watch| watch.wanted);
    let each = |value: fn(&ResourceStatus) -> u64| {
        by(semconv::RESOURCE, wanted().map(move |watch| (watch.resource.name(), value(watch))))
    };
    let objects = |watch: &ResourceStatus| u64::try_from(watch.objects).unwrap_or(u64::MAX);
    agent.numbers(&semconv::KUBERNETES_OBJECTS, each(objects), out)?;
    agent.numbers(&semconv::KUBERNETES_SYNCED, each(|watch| u64::from(watch.synced)), out)?;
    agent.numbers(&semconv::KUBERNETES_REQUESTS, each(|watch| watch.requests), out)?;
    let failures = wanted().flat_map(|watch| {
        let failed = watch.failures.iter().filter(|(_, count)| *count > 0);
        failed.map(|(failure, count)| {
            let all = [(semconv::RESOURCE, watch.resource.name()), (semconv::REASON, failure.name())];
            (Attributes::of(all), Value::Integer(*count))
        })
    });
    agent.numbers(&semconv::KUBERNETES_FAILURES, failures, out)
}

#[expect(clippy::cast_precision_loss, reason = "53 bits of nanoseconds are a hundred days of CPU time")]
fn programs(snapshot: &AgentSnapshot, agent: &Agent, out: &mut dyn Sink) -> fmt::Result {
    let name = |program: &Program| Attributes::of([(semconv::PROGRAM, program.name.clone())]);
    let run = snapshot.programs.iter().filter_map(|program| Some((name(program), program.run?)));
    let run: Vec<_> = run.collect();
    let seconds = run.iter().map(|(all, run)| (all.clone(), Value::Float(run.run_ns as f64 / 1e9)));
    agent.numbers(&semconv::PROGRAM_RUN, seconds, out)?;
    let runs = run.iter().map(|(all, run)| (all.clone(), Value::Integer(run.run_count)));
    agent.numbers(&semconv::PROGRAM_RUNS, runs, out)?;
    let attached = snapshot.programs.iter();
    let attached = attached.map(|program| (name(program), Value::Integer(u64::from(program.attached))));
    agent.numbers(&semconv::PROGRAM_ATTACHED, attached, out)
}

/// What the agent was given, and what it gave up.
fn privileges(snapshot: &AgentSnapshot, agent: &Agent, out: &mut dyn Sink) -> fmt::Result {
    let each = |rows: &[(&'static str, bool)]| -> Vec<_> {
        rows.iter().map(|(name, holds)| (*name, u64::from(*holds))).collect()
    };
    agent.numbers(&semconv::CONFINED, by(semconv::BY, each(&snapshot.confined)), out)?;
    agent.numbers(&semconv::CAPABILITY_GIVEN, by(semconv::CAPABILITY, each(&snapshot.capabilities)), out)
}

fn write_process(process: &ProcessStats, agent: &Agent, out: &mut dyn Sink) -> fmt::Result {
    let float = |value: f64| [(Attributes::new(), Value::Float(value))];
    agent.numbers(&semconv::PROCESS_CPU, float(process.cpu.as_secs_f64()), out)?;
    agent.numbers(&semconv::PROCESS_RESIDENT_MEMORY, alone(process.resident_bytes), out)?;
    agent.numbers(&semconv::PROCESS_OPEN_FDS, alone(process.open_fds), out)?;
    agent.numbers(&semconv::PROCESS_START_TIME, float(process.started.as_secs_f64()), out)
}

/// One point without attributes.
const fn alone(value: u64) -> [(Attributes, Value); 1] {
    [(Attributes::new(), Value::Integer(value))]
}

/// Points told apart by one attribute.
fn by<'a>(
    attribute: Attribute,
    rows: impl IntoIterator<Item = (&'static str, u64)> + 'a,
) -> impl Iterator<Item = (Attributes, Value)> {
    let rows = rows.into_iter();
    rows.map(move |(value, count)| (Attributes::of([(attribute, value)]), Value::Integer(count)))
}
