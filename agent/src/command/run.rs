//! `redtap run` and `redtap record`: the daemon.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};

use super::{
    Error,
    exporters::{Exporters, Otlp, Watch},
    live::{self, LogFilter},
    privileges,
};
use crate::{
    config::{Config, ConfigError, NativeHistograms, Print},
    confine::{Confinement, Part},
    export::{
        http::{self, Server},
        page::{self, PageSource},
        print::Printer,
        prometheus::{Form, Native},
    },
    identity::{
        Proc,
        engines::Engines,
        host,
        inspector::Inspector,
        kubernetes::{self, Cluster},
    },
    pipeline::Lines,
    probe::{
        Probes, State,
        conntrack::{self, Conntrack, Resolver},
        diag,
    },
    reader::{Orders, Reader},
    record::Writer,
    trace::Spans,
};

/// Batches of printed lines on their way out.
const PRINT_QUEUE: usize = 64;

/// `redtap run`: until SIGINT or SIGTERM. SIGHUP has it read its configuration again, as `reload` does.
pub fn run(config: &Config, reload: impl Fn() -> Result<Config, ConfigError>) -> Result<ExitCode, Error> {
    let filter = live::start_log(config);
    let server = http::bind(&http_options(config))?;
    serve(config, Some(server), None, None, &Reload { read: &reload, filter })
}

/// `redtap record`: until the time is up, SIGINT or SIGTERM.
pub fn record(config: &Config, file: &Path, duration: Option<Duration>) -> Result<ExitCode, Error> {
    let filter = live::start_log(config);
    let what = format!("write {}", file.display());
    // Heads of requests are in it, with what secrets they carry: for the owner alone.
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file);
    let file = file.map_err(Error::io(what))?;
    let unchanged = || Ok(config.clone());
    serve(config, None, Some(file), duration, &Reload { read: &unchanged, filter })
}

/// How the configuration is read again.
struct Reload<'a> {
    read: &'a dyn Fn() -> Result<Config, ConfigError>,
    filter: LogFilter,
}

fn http_options(config: &Config) -> http::Options {
    http::Options {
        listen: config.listen.clone(),
        health_listen: config.health_listen.clone(),
        web_config: config.web_config.clone(),
        advertise: config.advertise_address.clone(),
        form: Form {
            native: match config.native_histograms {
                NativeHistograms::Off => Native::Off,
                NativeHistograms::Beside => Native::Beside,
                NativeHistograms::Instead => Native::Instead,
            },
            created: config.created_timestamps,
        },
    }
}

fn serve(
    config: &Config,
    server: Option<Server>,
    file: Option<File>,
    duration: Option<Duration>,
    reload: &Reload<'_>,
) -> Result<ExitCode, Error> {
    let (probes, ends) = live::load(config)?;
    announce(config, &probes, server.as_ref());
    let watch = if file.is_some() { None } else { Watch::of(config)? };
    let capabilities = privileges::given();
    let confinement = privileges::confine(config, server.as_ref(), watch.as_ref().map(|(watch, _)| &watch.access));
    let wall = host::boot_offset();
    let printer = Printer::for_stdout(config.print, config.sensitive_query.clone());
    let own_pid = if config.include_self { 0 } else { std::process::id() };
    let root = live::cgroup(config)?;
    let mut identities = live::identities(config, Proc::new().with_cgroups(root.clone()));
    let inspector = || Inspector::start("/proc".into(), Engines::under(Path::new("/")));
    match confinement.within(Part::Inspector, inspector).flatten() {
        Ok(inspector) => identities = identities.with_inspector(inspector),
        Err(error) => tracing::warn!(%error, "languages are told by the names of executables alone"),
    }
    match identities.walk_cgroups(&root, host::monotonic_now()) {
        Ok(cgroups) => tracing::debug!(cgroups, "cgroups there are"),
        Err(error) => {
            tracing::warn!(%error, root = %root.display(), "cgroups made before the agent cannot be listed")
        }
    }
    let (watch, changes) = watch.unzip();
    if changes.is_some() {
        identities = identities.with_cluster(Cluster::new(kubernetes::Limits::default()));
    }
    let recorder = match file {
        Some(file) => {
            identities = identities.for_recording();
            let rings = u32::try_from(ends.rings.len()).unwrap_or(u32::MAX);
            Some(Writer::new(BufWriter::new(file), wall, rings).map_err(Error::io("write the recording"))?)
        }
        None => None,
    };
    let printed = match config.print {
        Print::Off => None,
        _ => {
            Some(confinement.within(Part::Printer, print_thread).map_err(Error::io("start the printing thread"))?)
        }
    };
    let (source, pages) = page::channel();
    let otlp = Otlp::new(config);
    let is_exponential = otlp.is_exponential();
    let started = wall.epoch(host::monotonic_now());
    let start = || Exporters::start(config, otlp, source.clone(), started);
    let (mut exporters, spans) =
        confinement.within(Part::Exporters, start).map_err(Error::io("start the exporters"))??;
    let kubernetes = watch.map(|watch| exporters.watch(watch));
    let tracing = Spans::new(live::sampler(config), spans.is_some(), fastrand::u64(..));
    let orders = Arc::new(Orders::default());
    orders.set_series_ttl(config.series_ttl);
    let reader = Reader {
        probes,
        rings: ends.rings,
        hints: ends.hints,
        stats: ends.stats,
        live: ends.live,
        datagrams: ends.datagrams,
        log: ends.log,
        pipeline: live::pipeline(
            config,
            live::Parts { identities, printer, tracing, wall, own_pid, is_exponential },
        ),
        pages,
        printed: printed.as_ref().map(|(sender, _)| sender.clone()),
        resolver: if changes.is_some() { resolver(&confinement) } else { None },
        changes,
        kubernetes,
        existing: Some(existing_connections(&confinement)),
        recorder,
        spans,
        orders: Arc::clone(&orders),
        confinement: confinement.clone(),
        capabilities,
    };
    let (ended, mut reader_ended) = tokio::sync::oneshot::channel();
    let reader = thread::Builder::new()
        .name("redtap-reader".to_owned())
        .spawn(move || {
            let result = reader.run();
            // Nobody listens any more once a signal has come first.
            let _ = ended.send(());
            result
        })
        .map_err(Error::io("start the reader thread"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Pages are written on them, and passwords checked.
        .max_blocking_threads(page::MAX_SCRAPES + 1)
        .build()
        .map_err(Error::io("start the runtime"))?;
    // Last, for the threads above have what theirs needs from this one.
    confinement.enter(Part::Listener);
    confinement.announce();
    let mut running = Running { config: config.clone(), exporters: &mut exporters, orders: &orders, reload };
    let outside = runtime.block_on(outside(server, source, duration, &mut reader_ended, &mut running));
    // The last metrics and spans are those of all that was seen.
    orders.settle();
    wait_until(Duration::from_secs(1), || orders.has_settled() || reader.is_finished());
    exporters.stop();
    orders.end();
    let inside = reader.join().map_err(|_| Error::Panicked)?;
    if let Some((sender, thread)) = printed {
        drop(sender);
        // A reader of our output that does not read keeps its lines to itself, and does not keep us.
        if wait_until(Duration::from_millis(300), || thread.is_finished()) {
            let _ = thread.join();
        }
    }
    outside?;
    inside.map_err(Error::io("write the recording"))?;
    Ok(ExitCode::SUCCESS)
}

/// Serves until a signal, the end of the time, or the end of the reader.
async fn outside(
    server: Option<Server>,
    source: PageSource,
    duration: Option<Duration>,
    reader_ended: &mut tokio::sync::oneshot::Receiver<()>,
    running: &mut Running<'_>,
) -> Result<(), Error> {
    let mut hangup = signal(SignalKind::hangup()).map_err(Error::io("watch for SIGHUP"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::io("watch for SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::io("watch for SIGINT"))?;
    let reloads = async {
        while hangup.recv().await.is_some() {
            running.reload();
        }
        std::future::pending().await
    };
    let over = async {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: detaching"),
            _ = interrupt.recv() => tracing::info!("SIGINT: detaching"),
            () = elapsed(duration) => tracing::info!("the time is up: detaching"),
            _ = reader_ended => tracing::error!("the reader has ended"),
            () = reloads => {}
        }
    };
    match server {
        Some(server) => server.serve(source, over).await.map_err(Error::io("serve HTTP")),
        None => {
            over.await;
            Ok(())
        }
    }
}

async fn elapsed(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

/// Says what is attached, what is not and why, and where the metrics are.
fn announce(config: &Config, probes: &Probes, server: Option<&Server>) {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let attached = probes.programs().iter().filter(|status| status.state == State::Attached);
    let names: Vec<_> = attached.map(|status| status.program.name).collect();
    tracing::info!(programs = names.join(" "), "attached");
    for status in probes.programs() {
        if let State::Refused(reason) = &status.state {
            let program = status.program;
            tracing::warn!(program = program.name, lost = program.lost, %reason, "not attached");
        }
    }
    if let Some(server) = server {
        tracing::info!("metrics at {server}/metrics, status at {server}/");
    }
    if config.print == Print::Off {
        tracing::info!("exchanges are not printed; --print pretty shows them");
    }
}

/// What tells whom the addresses of services stand for.
fn resolver(confinement: &Confinement) -> Option<Resolver> {
    let start = || Conntrack::open().and_then(|open| Resolver::start(open).map_err(conntrack::Error::Io));
    match confinement.within(Part::Conntrack, start).map_err(conntrack::Error::Io).flatten() {
        Ok(resolver) => Some(resolver),
        Err(error) => {
            tracing::warn!(%error, "services that are asked by their own address are not told from the pods behind them");
            None
        }
    }
}

/// Lists the connections that are open already, on a thread of its own.
fn existing_connections(confinement: &Confinement) -> Receiver<diag::Pass> {
    let (sender, receiver) = sync_channel(1);
    let confinement = confinement.clone();
    let spawned = thread::Builder::new().name("redtap-diag".to_owned()).spawn(move || {
        confinement.enter(Part::Diagnosis);
        // The reader may have stopped meanwhile.
        let _ = sender.send(diag::pass(&diag::Bounds::default()));
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "connections open before the agent are learnt from their traffic alone");
    }
    receiver
}

/// Writes printed lines to standard output, so that a slow reader of it slows nobody else down.
fn print_thread() -> (SyncSender<Lines>, thread::JoinHandle<()>) {
    let (sender, receiver) = sync_channel::<Lines>(PRINT_QUEUE);
    let thread = thread::spawn(move || {
        let mut out = io::stdout();
        for lines in receiver {
            if let Err(error) = out.write_all(&lines.bytes).and_then(|()| out.flush()) {
                tracing::warn!(%error, "standard output cannot be written: what would be printed is dropped from now on");
                return;
            }
        }
    });
    (sender, thread)
}

/// Waits for something to happen, for so long.
fn wait_until(patience: Duration, happened: impl Fn() -> bool) -> bool {
    let step = Duration::from_millis(5);
    let mut waited = Duration::ZERO;
    while !happened() && waited < patience {
        thread::sleep(step);
        waited += step;
    }
    happened()
}

/// What a new configuration can change.
struct Running<'a> {
    config: Config,
    exporters: &'a mut Exporters,
    orders: &'a Orders,
    reload: &'a Reload<'a>,
}

impl Running<'_> {
    /// Reads the configuration again and takes up what can be. One that is not valid leaves the old in force.
    fn reload(&mut self) {
        let config = match (self.reload.read)() {
            Ok(config) => config,
            Err(error) => {
                tracing::error!(%error, "SIGHUP: the configuration is not valid; the old one stays in force");
                return;
            }
        };
        config.warnings().iter().for_each(|warning| tracing::warn!("SIGHUP: {warning}"));
        let changes = self.config.changes(&config);
        if changes.is_empty() {
            tracing::info!("SIGHUP: the configuration has not changed");
            return;
        }
        for change in &changes {
            let (setting, from, to) = (change.key, &change.from, &change.to);
            match change.live {
                true => tracing::info!(setting, from, to, "SIGHUP: changed"),
                false => tracing::warn!(setting, from, to, "SIGHUP: this takes a restart"),
            }
        }
        if changes.iter().any(|change| change.live) {
            self.reload.filter.set(&config);
            self.orders.set_series_ttl(config.series_ttl);
            let resends = |key: &str| key.starts_with("remote_write_") || key == "external_labels";
            self.exporters.configure(&config, changes.iter().any(|change| resends(change.key)));
        }
        self.config = config;
    }
}
