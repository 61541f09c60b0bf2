//! The reader thread: from the rings to finished exchanges, and answers to whoever asks for a page.

mod pace;

use std::{
    fs::File,
    io::{self, BufWriter},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TryRecvError, TrySendError},
    },
    thread,
    time::Duration,
};

use hashbrown::HashSet;
use rustix::process::setpriority_process;

use self::pace::Pace;
use crate::{
    confine::{Confinement, Part},
    decode,
    exchange::Role,
    export::{
        agent::{AgentSnapshot, DropUnit, Dropped, Flows, Program, ProgramRun, Table},
        otlp::queue::Sender,
        page::{Page, PageRequest, PageRequests},
        process::ProcessStats,
    },
    flow::Owner,
    identity::{
        host,
        kubernetes::{self, Change},
    },
    merge::Merge,
    pipeline::{HintChange, Lines, Pipeline},
    probe::{
        Datagrams, Hints, Intake, KernelStats, Live, Probes, Rings, State, conntrack::Resolver, diag,
        log::KernelLog,
    },
    record::{Frame, Writer},
    time::Nanos,
    trace::Span,
};

/// How far behind the clock records are put in order: a record whose program has read the clock has reached its
/// ring by then.
const SETTLING: Duration = Duration::from_micros(500);

/// How often finished exchanges that wait are looked at.
const SWEEP: Duration = Duration::from_millis(100);

/// How often all connections are looked at.
const EXPIRE: Duration = Duration::from_secs(1);

/// How often the kernel is asked what connections have carried of which no record tells, if nobody asks for a page.
const LIVE: Duration = Duration::from_secs(5);

/// And how often at most, however many pages are asked for.
const LIVE_AT_MOST: Duration = Duration::from_millis(50);

/// What Kubernetes says is taken in a turn at most; the rest waits where it is.
const CHANGES: usize = 4096;

/// Scheduling priority of the thread, as nice(2) counts.
const NICE: i32 = -10;

/// What the thread works with.
pub struct Reader {
    /// The programs, attached for as long as this lives.
    pub probes: Probes,
    /// Records.
    pub rings: Rings,
    /// What the kernel is told.
    pub hints: Hints,
    /// The kernel half of the books.
    pub stats: KernelStats,
    /// What flows have carried of which no record tells.
    pub live: Live,
    /// Who talked to whom by UDP.
    pub datagrams: Datagrams,
    /// The other half.
    pub pipeline: Pipeline,
    /// Who asks for pages.
    pub pages: PageRequests,
    /// Where printed lines go; full or gone, they are counted as dropped.
    pub printed: Option<SyncSender<Lines>>,
    /// What Kubernetes says, where it is asked.
    pub changes: Option<tokio::sync::mpsc::Receiver<Change>>,
    /// How that fares: what is known of it is entered there.
    pub kubernetes: Option<Arc<kubernetes::Status>>,
    /// Who tells whom a translated address stands for, where that can be had.
    pub resolver: Option<Resolver>,
    /// The connections that were open before.
    pub existing: Option<Receiver<diag::Pass>>,
    /// Where raw records go.
    pub recorder: Option<Writer<BufWriter<File>>>,
    /// The kernel's log.
    pub log: Option<KernelLog>,
    /// Where spans go.
    pub spans: Option<Sender<Span>>,
    /// Told from outside.
    pub orders: Arc<Orders>,
    /// What the thread gives up.
    pub confinement: Confinement,
    /// The capabilities that features need, and whether they were given.
    pub capabilities: Vec<(&'static str, bool)>,
}

/// What the reader is told from outside.
#[derive(Debug, Default)]
pub struct Orders {
    stage: AtomicU8,
    has_settled: AtomicBool,
    series_ttl: AtomicU64,
}

impl Orders {
    const SETTLE: u8 = 1;
    const END: u8 = 2;

    /// Series that nothing is told of for so long go; zero: they never do.
    pub fn set_series_ttl(&self, ttl: Duration) {
        self.series_ttl.store(u64::try_from(ttl.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Observe no more, and finish what is under way; pages are still made.
    pub fn settle(&self) {
        self.stage.fetch_max(Self::SETTLE, Ordering::Relaxed);
    }

    /// All that was seen is finished, and on the pages from now on.
    #[must_use]
    pub fn has_settled(&self) -> bool {
        self.has_settled.load(Ordering::Acquire)
    }

    /// Make no more pages either.
    pub fn end(&self) {
        self.stage.fetch_max(Self::END, Ordering::Relaxed);
    }

    fn stage(&self) -> u8 {
        self.stage.load(Ordering::Relaxed)
    }
}

/// What the loop keeps between turns.
struct Turn {
    merge: Merge,
    swept: Nanos,
    expired: Nanos,
    asked_live: Nanos,
    /// Flows with live totals that were not known when the kernel was last asked.
    strays: HashSet<u64>,
    lines_dropped: u64,
    pace: Pace,
}

/// From the rings into the merge, and into the recording if there is one.
struct IntoMerge<'a> {
    merge: &'a mut Merge,
    recorder: Option<&'a mut Writer<BufWriter<File>>>,
    written: io::Result<()>,
}

impl Intake for IntoMerge<'_> {
    fn has_room(&self, ring: usize) -> bool {
        self.merge.has_room(ring)
    }

    fn take(&mut self, ring: usize, record: &[u8]) {
        let record = record.get(..decode::length_of(record)).unwrap_or(record);
        self.merge.push(ring, record);
        if let (Some(recorder), Ok(())) = (&mut self.recorder, &self.written) {
            self.written = recorder.frame(Frame::Record(ring, record));
        }
    }
}

impl Reader {
    /// Runs until told to stop. Detaches everything on return.
    ///
    /// # Errors
    /// When the recording cannot be written.
    pub fn run(mut self) -> io::Result<()> {
        let now = host::monotonic_now();
        let mut turn = Turn {
            merge: Merge::new(self.rings.len()),
            swept: now,
            expired: now,
            asked_live: now,
            strays: HashSet::new(),
            lines_dropped: 0,
            pace: Pace::new(now),
        };
        // The reader must run when the host is busiest: what it does not read in time is lost. It uses a small part of
        // a CPU, so that nobody waits for it long.
        if let Err(error) = setpriority_process(None, NICE) {
            tracing::debug!(%error, "the reader runs at the ordinary priority");
        }
        self.confinement.enter(Part::Reader);
        self.pipeline.sinks.translates = self.resolver.is_some();
        self.pipeline.table.expect_existing(self.existing.is_some());
        self.tick(now);
        self.pages.set_ready();
        loop {
            let settling = self.orders.stage() >= Orders::SETTLE;
            if !settling && self.rings.wait(turn.pace.interval()) {
                // What it is about is only looked at once it has settled.
                thread::sleep(SETTLING);
            }
            self.turn(&mut turn, settling)?;
            if settling {
                break;
            }
        }
        self.orders.has_settled.store(true, Ordering::Release);
        while self.orders.stage() < Orders::END {
            self.answer(&turn, None);
            thread::sleep(pace::LONGEST);
        }
        Ok(())
    }

    fn turn(&mut self, turn: &mut Turn, stopping: bool) -> io::Result<()> {
        let now = host::monotonic_now();
        self.take_changes(now);
        self.pipeline.sinks.identities.take_findings(now);
        self.drain(&mut turn.merge)?;
        let watermark = if stopping {
            Nanos(u64::MAX)
        } else {
            Nanos(now.0.saturating_sub(u64::try_from(SETTLING.as_nanos()).unwrap_or(u64::MAX)))
        };
        let mut records = 0;
        turn.merge.emit(watermark, |record| {
            records += 1;
            self.pipeline.record(record);
        });
        turn.pace.took(records, now);
        if let Some(recorder) = &mut self.recorder {
            let mut described = Vec::new();
            for process in self.pipeline.sinks.identities.take_described() {
                described.clear();
                process.to_record(&mut described);
                recorder.frame(Frame::Process(&described))?;
            }
            recorder.frame(Frame::Watermark(watermark))?;
        }
        self.take_existing();
        if now.since(turn.swept) >= SWEEP || stopping {
            turn.swept = now;
            self.pipeline.sweep(now);
        }
        if now.since(turn.expired) >= EXPIRE {
            turn.expired = now;
            self.tick(now);
            self.pipeline.expire(now);
            self.datagrams.turn(now);
            if let (Some(status), Some(cluster)) = (&self.kubernetes, self.pipeline.sinks.identities.cluster()) {
                status.count(cluster);
            }
        }
        if let Err(error) = self.datagrams.take_out(now, |key, counts| self.pipeline.datagrams(key, counts)) {
            tracing::debug!(%error, "cannot read the table of datagrams");
        }
        let request = self.pages.try_recv();
        let patience = if request.is_some() || stopping { LIVE_AT_MOST } else { LIVE };
        if now.since(turn.asked_live) >= patience {
            turn.asked_live = now;
            self.ask_live(turn, now);
        }
        if stopping {
            self.pipeline.stop();
            if let Some(recorder) = &mut self.recorder {
                recorder.flush()?;
            }
        }
        self.resolve();
        self.tell_kernel();
        self.hand_on_lines(turn);
        if let Some(log) = &mut self.log {
            log.flush();
        }
        if let Some(spans) = &mut self.spans {
            spans.push(&mut self.pipeline.sinks.spans);
        }
        self.answer(turn, request);
        Ok(())
    }

    /// Makes the pages that are asked for.
    fn answer(&mut self, turn: &Turn, first: Option<PageRequest>) {
        let mut next = first.or_else(|| self.pages.try_recv());
        while let Some(request) = next {
            let (red, net) = self.pipeline.snapshot(request.want());
            request.answer(Page { red, net, agent: self.agent_snapshot(turn), ..Page::default() });
            next = self.pages.try_recv();
        }
    }

    fn tick(&mut self, now: Nanos) {
        self.pipeline.sinks.series_ttl = Duration::from_nanos(self.orders.series_ttl.load(Ordering::Relaxed));
        self.pipeline.sinks.tick(now, host::boot_offset());
    }

    /// Asks the kernel what connections have carried of which no record tells, and tells what all have.
    fn ask_live(&mut self, turn: &mut Turn, now: Nanos) {
        let mut unknown = HashSet::new();
        let read = self.live.read(|cookie, totals| {
            if !self.pipeline.live(cookie, totals, now) {
                unknown.insert(cookie);
            }
        });
        if let Err(error) = read {
            tracing::debug!(%error, "cannot read the live totals");
        }
        // One that stays unknown is no flow whose beginning is still on its way: its end was lost, or it was forgotten for
        // want of room.
        for cookie in unknown.iter().filter(|cookie| turn.strays.contains(*cookie)) {
            self.live.remove(*cookie);
        }
        turn.strays = unknown;
        self.pipeline.tell_progress(now);
    }

    fn drain(&mut self, merge: &mut Merge) -> io::Result<()> {
        let mut intake = IntoMerge { merge, recorder: self.recorder.as_mut(), written: Ok(()) };
        self.rings.drain(&mut intake);
        intake.written
    }

    /// Takes what Kubernetes says.
    fn take_changes(&mut self, now: Nanos) {
        let Some(changes) = &mut self.changes else { return };
        for _ in 0..CHANGES {
            let Ok(change) = changes.try_recv() else { return };
            self.pipeline.sinks.identities.take_change(change, now);
        }
    }

    /// Asks connection tracking, and takes what it has answered.
    fn resolve(&mut self) {
        let Some(resolver) = &self.resolver else { return };
        for question in self.pipeline.sinks.untranslated.drain(..) {
            // One that is refused goes by the address that it has, once its patience is over.
            let _ = resolver.ask(question);
        }
        for (question, behind) in resolver.answers() {
            self.pipeline.table.translated(question.cookie, question.local, question.peer, behind);
        }
    }

    /// Enters the connections that were open before the agent, once they are known.
    fn take_existing(&mut self) {
        let Some(existing) = &self.existing else { return };
        let pass = match existing.try_recv() {
            Ok(pass) => pass,
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => diag::Pass::default(),
        };
        self.existing = None;
        for failure in &pass.failures {
            tracing::warn!(%failure, "not all connections that were open before could be listed");
        }
        let mut entered = 0_usize;
        let now = host::monotonic_now();
        for socket in pass.sockets.iter().filter(|socket| socket.state != diag::state::LISTEN) {
            let role = pass.listeners.accepted(socket).then_some(Role::Server);
            let owner = Owner { pid: socket.pid, cgroup: socket.cgroup, ..Owner::default() };
            self.pipeline.table.existing(socket.cookie, socket.local, socket.peer, owner, role, now);
            entered += 1;
        }
        self.pipeline.table.expect_existing(false);
        tracing::info!(connections = entered, namespaces = pass.namespaces, "connections open before the agent");
    }

    fn tell_kernel(&mut self) {
        for change in self.pipeline.sinks.hints.drain(..) {
            match change {
                HintChange::Set(cookie, hint, first) => self.hints.set(cookie, hint, first),
                HintChange::Forget(cookie) => self.hints.remove(cookie),
            }
        }
        self.hints.publish();
        for cookie in self.pipeline.sinks.not_live.drain(..) {
            self.live.remove(cookie);
        }
    }

    fn hand_on_lines(&mut self, turn: &mut Turn) {
        let lines = &mut self.pipeline.sinks.lines;
        let Some(printed) = &self.printed else { return };
        if lines.count == 0 {
            return;
        }
        if let Err(TrySendError::Full(lines) | TrySendError::Disconnected(lines)) =
            printed.try_send(std::mem::take(lines))
        {
            turn.lines_dropped += lines.count;
        }
    }

    fn agent_snapshot(&mut self, turn: &Turn) -> AgentSnapshot {
        let kernel = self.stats.read();
        let pipeline = &self.pipeline;
        let counts = pipeline.table.counts();
        let [(_, undecided), (_, http), (_, opaque), (_, stream), (_, tls), (_, dns)] = pipeline.table.classes();
        let settled = counts.parsed + counts.opaque + counts.early_unclaimed;
        let (processes, services) = (pipeline.sinks.identities.processes(), pipeline.sinks.identities.services());
        let (hints, hints_refused) = self.hints.counts();
        let cgroups = pipeline.sinks.identities.cgroups();
        let inspection = pipeline.sinks.identities.inspection();
        let [languages, containers] = inspection.fill();
        AgentSnapshot {
            kernel,
            parsed: counts.parsed,
            opaque: counts.opaque,
            pending: kernel.shipped.saturating_sub(settled),
            records: pipeline.kinds(),
            late: turn.merge.late(),
            flows: Flows { http, undecided, opaque, stream, tls, dns },
            opened: counts.opened,
            closed: counts.closed,
            evicted: counts.evicted,
            dropped: vec![
                Dropped { unit: DropUnit::Segment, reason: "early_unclaimed", count: counts.early_unclaimed },
                Dropped { unit: DropUnit::Record, reason: "malformed", count: pipeline.malformed() },
                Dropped { unit: DropUnit::Exchange, reason: "print_queue_full", count: turn.lines_dropped },
                Dropped { unit: DropUnit::Event, reason: "hints_full", count: hints_refused },
                Dropped {
                    unit: DropUnit::Record,
                    reason: "dns_malformed",
                    count: pipeline.sinks.messages_malformed,
                },
                Dropped { unit: DropUnit::Record, reason: "dns_lost", count: kernel.messages_lost },
                Dropped { unit: DropUnit::Event, reason: "inspections_full", count: inspection.refused() },
                Dropped { unit: DropUnit::Event, reason: "datagrams_untold", count: kernel.datagrams_untold },
                Dropped { unit: DropUnit::Span, reason: "own_export", count: pipeline.sinks.own_spans },
                Dropped { unit: DropUnit::Span, reason: "traces_budget", count: pipeline.sinks.tracing.refused() },
            ],
            tables: vec![
                table("flows", pipeline.table.len(), pipeline.table.limit()),
                table("processes", processes.entries, processes.limit),
                table("services", services.entries, services.limit),
                table("cgroups", cgroups.entries, cgroups.limit),
                table("languages", languages.entries, languages.limit),
                table("container_names", containers.entries, containers.limit),
                table("waiting", pipeline.sinks.waiting().len(), pipeline.sinks.waiting().limit()),
                table("routes", pipeline.sinks.routes.all().len(), pipeline.sinks.routes.limit()),
                table("address_names", pipeline.sinks.names.len(), pipeline.sinks.names.limit()),
                table("udp_owners", pipeline.sinks.owners.len(), pipeline.sinks.owners.limit()),
                table("lookups", pipeline.sinks.lookups.len(), pipeline.sinks.lookups.limit()),
                Table { name: "hints", entries: hints, limit: Hints::LIMIT },
            ],
            programs: self.programs(),
            confined: self.confinement.in_force().into(),
            capabilities: self.capabilities.clone(),
            process: ProcessStats::read().ok(),
        }
    }

    fn programs(&self) -> Vec<Program> {
        let programs = self.probes.programs().iter();
        let of_this_host = programs.filter(|status| status.state != State::NotNeeded);
        of_this_host
            .map(|status| Program {
                name: status.program.name.into(),
                attached: status.state == State::Attached,
                run: self
                    .probes
                    .run_stats(status.program.name)
                    .map(|(run_ns, run_count)| ProgramRun { run_ns, run_count }),
            })
            .collect()
    }
}

fn table(name: &'static str, entries: usize, limit: usize) -> Table {
    Table { name, entries: entries as u64, limit: limit as u64 }
}
