//! `redtap replay`: the user-space pipeline over a recorded file.

use std::{
    fs::File,
    io::{self, Write},
    process::ExitCode,
};

use super::{Error, live};
use crate::{
    cli::Replay,
    config::Config,
    export::print::Printer,
    identity::{Process, Replayed, host},
    merge::Merge,
    pipeline::Pipeline,
    record::{Frame, Recording},
    time::Nanos,
    trace::{Sampler, Spans},
};

/// Runs the pipeline over the file; with `--bench`, silently and with the time it took.
pub fn replay(config: &Config, arguments: &Replay) -> Result<ExitCode, Error> {
    let what = format!("read {}", arguments.file.display());
    let file = File::open(&arguments.file).map_err(Error::io(what))?;
    let recording = Recording::read(file)?;
    let mut processes = Replayed::default();
    for frame in recording.frames() {
        if let Frame::Process(body) = frame?
            && let Some(process) = Process::from_record(body)
        {
            processes.insert(process);
        }
    }
    let identities = live::identities(config, processes);
    let printer = match arguments.bench {
        true => None,
        false => Printer::for_stdout(arguments.print, config.sensitive_query.clone()),
    };
    let parts = live::Parts {
        identities,
        printer,
        tracing: Spans::new(Sampler::default(), false, 0),
        wall: recording.wall,
        own_pid: 0,
        is_exponential: false,
    };
    let mut pipeline = live::pipeline(config, parts);
    let began = host::monotonic_now();
    let mut out = io::stdout().lock();
    run(&recording, &mut pipeline, &mut out)?;
    if arguments.bench {
        let elapsed = host::monotonic_now().since(began).as_secs_f64();
        let exchanges = pipeline.sinks.registry.exchanges().total();
        let records: u64 = pipeline.kinds().iter().map(|(_, count)| count).sum();
        let rate = exchanges as f64 / elapsed;
        writeln!(out, "{exchanges} exchanges from {records} records in {elapsed:.3} s: {rate:.0} exchanges/s")
            .map_err(Error::io("write to standard output"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// How much time passes in the recording between two looks at what waits.
const SWEEP_NS: u64 = 100_000_000;

fn run(recording: &Recording, pipeline: &mut Pipeline, out: &mut impl Write) -> Result<(), Error> {
    let mut merge = Merge::new(recording.rings);
    let mut swept = 0;
    for frame in recording.frames() {
        match frame? {
            Frame::Record(ring, record) => merge.push(ring, record),
            Frame::Process(_) => {}
            Frame::Watermark(moment) => {
                merge.emit(moment, |record| pipeline.record(record));
                if moment.0.saturating_sub(swept) >= SWEEP_NS && moment.0 != u64::MAX {
                    swept = moment.0;
                    pipeline.sweep(moment);
                    pipeline.expire(moment);
                }
            }
        }
        let lines = &mut pipeline.sinks.lines;
        if lines.count > 0 {
            out.write_all(&lines.bytes).map_err(Error::io("write to standard output"))?;
            lines.bytes.clear();
            lines.count = 0;
        }
        pipeline.sinks.hints.clear();
    }
    merge.emit(Nanos(u64::MAX), |record| pipeline.record(record));
    pipeline.stop();
    out.write_all(&pipeline.sinks.lines.bytes).map_err(Error::io("write to standard output"))
}
