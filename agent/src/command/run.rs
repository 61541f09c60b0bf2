//! `redtap run` and `redtap record`: the daemon.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    net::TcpListener,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};

use super::{Error, live};
use crate::{
    config::{Config, Print},
    export::{
        http,
        page::{self, PageSource},
        print::Printer,
    },
    identity::host,
    pipeline::Lines,
    probe::{Probes, State, diag},
    reader::Reader,
    record::Writer,
};

/// Batches of printed lines on their way out.
const PRINT_QUEUE: usize = 64;

/// `redtap run`: until SIGINT or SIGTERM.
pub fn run(config: &Config) -> Result<ExitCode, Error> {
    live::start_log(config);
    let listener = http::bind(config.listen)?;
    serve(config, Some(listener), None, None)
}

/// `redtap record`: until the time is up, SIGINT or SIGTERM.
pub fn record(config: &Config, file: &Path, duration: Option<Duration>) -> Result<ExitCode, Error> {
    live::start_log(config);
    let what = format!("write {}", file.display());
    // Heads of requests are in it, with what secrets they carry: for the owner alone.
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file);
    let file = file.map_err(Error::io(what))?;
    serve(config, None, Some(file), duration)
}

fn serve(
    config: &Config,
    listener: Option<TcpListener>,
    file: Option<File>,
    duration: Option<Duration>,
) -> Result<ExitCode, Error> {
    let (probes, ends) = live::load(config)?;
    announce(config, &probes, listener.as_ref());
    let wall = host::boot_offset();
    let printer = Printer::for_stdout(config.print);
    let own_pid = if config.include_self { 0 } else { std::process::id() };
    let mut identities = live::identities();
    let recorder = match file {
        Some(file) => {
            identities = identities.for_recording();
            let rings = u32::try_from(ends.rings.len()).unwrap_or(u32::MAX);
            Some(Writer::new(BufWriter::new(file), wall, rings).map_err(Error::io("write the recording"))?)
        }
        None => None,
    };
    let printed = (config.print != Print::Off).then(print_thread);
    let (source, pages) = page::channel();
    let stop = Arc::new(AtomicBool::new(false));
    let reader = Reader {
        probes,
        rings: ends.rings,
        hints: ends.hints,
        stats: ends.stats,
        live: ends.live,
        datagrams: ends.datagrams,
        log: ends.log,
        pipeline: live::pipeline(config, identities, printer, wall, own_pid),
        pages,
        printed: printed.as_ref().map(|(sender, _)| sender.clone()),
        existing: Some(existing_connections()),
        recorder,
        stop: Arc::clone(&stop),
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
        .max_blocking_threads(page::MAX_SCRAPES)
        .build()
        .map_err(Error::io("start the runtime"))?;
    let outside = runtime.block_on(outside(listener, source, duration, &mut reader_ended));
    stop.store(true, Ordering::Relaxed);
    let inside = reader.join().map_err(|_| Error::Panicked)?;
    if let Some((sender, thread)) = printed {
        drop(sender);
        // A reader of our output that does not read keeps its lines to itself, and does not keep us.
        if thread_ends(&thread, Duration::from_millis(300)) {
            let _ = thread.join();
        }
    }
    outside?;
    inside.map_err(Error::io("write the recording"))?;
    Ok(ExitCode::SUCCESS)
}

/// Serves until a signal, the end of the time, or the end of the reader.
async fn outside(
    listener: Option<TcpListener>,
    source: PageSource,
    duration: Option<Duration>,
    reader_ended: &mut tokio::sync::oneshot::Receiver<()>,
) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::io("watch for SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::io("watch for SIGINT"))?;
    let over = async {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: detaching"),
            _ = interrupt.recv() => tracing::info!("SIGINT: detaching"),
            () = elapsed(duration) => tracing::info!("the time is up: detaching"),
            _ = reader_ended => tracing::error!("the reader has ended"),
        }
    };
    match listener {
        Some(listener) => http::serve(listener, source, over).await.map_err(Error::io("serve HTTP")),
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
fn announce(config: &Config, probes: &Probes, listener: Option<&TcpListener>) {
    let attached = probes.programs().iter().filter(|status| status.state == State::Attached);
    let names: Vec<_> = attached.map(|status| status.program.name).collect();
    tracing::info!(programs = names.join(" "), "attached");
    for status in probes.programs() {
        if let State::Refused(reason) = &status.state {
            let program = status.program;
            tracing::warn!(program = program.name, lost = program.lost, %reason, "not attached");
        }
    }
    if let Some(address) = listener.and_then(|listener| listener.local_addr().ok()) {
        tracing::info!("metrics at http://{address}/metrics, status at http://{address}/");
    }
    if config.print == Print::Off {
        tracing::info!("exchanges are not printed; --print pretty shows them");
    }
}

/// Lists the connections that are open already, on a thread of its own.
fn existing_connections() -> Receiver<diag::Pass> {
    let (sender, receiver) = sync_channel(1);
    let spawned = thread::Builder::new().name("redtap-diag".to_owned()).spawn(move || {
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
            if out.write_all(&lines.bytes).and_then(|()| out.flush()).is_err() {
                return;
            }
        }
    });
    (sender, thread)
}

/// Waits for a thread to end, for so long.
fn thread_ends(thread: &thread::JoinHandle<()>, patience: Duration) -> bool {
    let step = Duration::from_millis(5);
    let mut waited = Duration::ZERO;
    while !thread.is_finished() && waited < patience {
        thread::sleep(step);
        waited += step;
    }
    thread.is_finished()
}
