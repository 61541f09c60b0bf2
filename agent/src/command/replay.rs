//! `redtap replay`: the user-space pipeline over a recorded file.

mod stages;

use std::{
    fs::File,
    io::{self, Write},
    process::ExitCode,
};

use self::stages::{Shares, Stage};
use super::{Error, live};
use crate::{
    cli::Replay,
    config::Config,
    export::print::Printer,
    identity::{Process, Replayed},
    pipeline::Pipeline,
    record::{Frame, Recording},
    time::Nanos,
    trace::{Sampler, Spans},
};

/// Runs the pipeline over the file; with `--bench`, silently, with the time it took and where that went.
pub fn replay(config: &Config, arguments: &Replay) -> Result<ExitCode, Error> {
    let what = format!("read {}", arguments.file.display());
    let file = File::open(&arguments.file).map_err(Error::io(what))?;
    let recording = Recording::read(file)?;
    let printer = match arguments.bench {
        true => None,
        false => Printer::for_stdout(arguments.print, config.sensitive_query.clone()),
    };
    let parts = live::Parts {
        identities: live::identities(config, processes(&recording)?),
        printer,
        tracing: Spans::new(Sampler::default(), false, 0),
        wall: recording.wall,
        own_pid: 0,
        is_exponential: false,
    };
    let mut out = io::stdout().lock();
    let mut whole = Whole { pipeline: live::pipeline(config, parts), out: &mut out };
    let took = stages::run(&recording, &mut whole)?;
    let Whole { mut pipeline, out } = whole;
    pipeline.stop();
    let told = Error::io("write to standard output");
    if !arguments.bench {
        out.write_all(&pipeline.sinks.lines.bytes).map_err(told)?;
        return Ok(ExitCode::SUCCESS);
    }
    let exchanges = pipeline.sinks.registry.exchanges().total();
    let records: u64 = pipeline.kinds().iter().map(|(_, count)| count).sum();
    let (seconds, rate) = (took.as_secs_f64(), exchanges as f64 / took.as_secs_f64());
    let shares = Shares::of(&recording, live::table(config, false), took, exchanges)?;
    writeln!(out, "{exchanges} exchanges from {records} records in {seconds:.3} s: {rate:.0} exchanges/s")
        .and_then(|()| writeln!(out, "of each: {shares}"))
        .map_err(told)?;
    Ok(ExitCode::SUCCESS)
}

/// The processes that a recording describes.
fn processes(recording: &Recording) -> Result<Replayed, Error> {
    let mut processes = Replayed::default();
    for frame in recording.frames() {
        if let Frame::Process(body) = frame?
            && let Some(process) = Process::from_record(body)
        {
            processes.insert(process);
        }
    }
    Ok(processes)
}

/// All of the pipeline, and the printer's lines.
struct Whole<'a, W> {
    pipeline: Pipeline,
    out: &'a mut W,
}

impl<W: Write> Stage for Whole<'_, W> {
    fn record(&mut self, bytes: &[u8]) {
        self.pipeline.record(bytes);
    }

    fn sweep(&mut self, now: Nanos) {
        self.pipeline.sweep(now);
        self.pipeline.expire(now);
    }

    fn turn(&mut self) -> Result<(), Error> {
        let lines = &mut self.pipeline.sinks.lines;
        if lines.count > 0 {
            self.out.write_all(&lines.bytes).map_err(Error::io("write to standard output"))?;
            lines.bytes.clear();
            lines.count = 0;
        }
        self.pipeline.sinks.hints.clear();
        Ok(())
    }
}
