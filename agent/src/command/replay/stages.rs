//! What a recording is put through: all of the pipeline, or its first stages alone, by which one sees where the time goes.

use std::{fmt, hint::black_box, time::Duration};

use crate::{
    command::Error,
    decode::{self, Event},
    flow::{Nobody, Table},
    identity::host,
    merge::Merge,
    record::{Frame, Recording},
    time::Nanos,
};

/// Whoever takes the records of a recording, in their order.
pub trait Stage {
    /// Takes one.
    fn record(&mut self, bytes: &[u8]);

    /// Some time has passed in the recording.
    fn sweep(&mut self, _: Nanos) {}

    /// All that had come at some moment was taken.
    ///
    /// # Errors
    /// When what came of it cannot be handed on.
    fn turn(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// How much time passes in the recording between two looks at what waits.
const SWEEP_NS: u64 = 100_000_000;

/// Puts the recording through, and gives the time that it took.
///
/// # Errors
/// When the recording is damaged, or what comes of it cannot be handed on.
pub fn run(recording: &Recording, stage: &mut impl Stage) -> Result<Duration, Error> {
    let began = host::monotonic_now();
    let mut merge = Merge::new(recording.rings);
    let mut swept = 0;
    for frame in recording.frames() {
        match frame? {
            Frame::Record(ring, record) => merge.push(ring, record),
            Frame::Process(_) => {}
            Frame::Watermark(moment) => {
                merge.emit(moment, |record| stage.record(record));
                if moment.0.saturating_sub(swept) >= SWEEP_NS && moment.0 != u64::MAX {
                    swept = moment.0;
                    stage.sweep(moment);
                }
                stage.turn()?;
            }
        }
    }
    merge.emit(Nanos(u64::MAX), |record| stage.record(record));
    stage.turn()?;
    Ok(host::monotonic_now().since(began))
}

/// Puts records in their order, and no more.
struct Merged;

impl Stage for Merged {
    fn record(&mut self, bytes: &[u8]) {
        black_box(bytes);
    }
}

/// Types them as well.
struct Decoded;

impl Stage for Decoded {
    fn record(&mut self, bytes: &[u8]) {
        let _ = black_box(decode::decode(bytes));
    }
}

/// Finds exchanges in them as well, which nobody takes.
struct Parsed(Table);

impl Stage for Parsed {
    fn record(&mut self, bytes: &[u8]) {
        match decode::decode(bytes) {
            Ok(Event::Segment(header, payload)) => self.0.segment(&header, payload, &mut Nobody),
            Ok(Event::Opened(opened)) => self.0.opened(&opened, &mut Nobody),
            Ok(Event::Closed(closed)) => self.0.closed(&closed, &mut Nobody),
            _ => {}
        }
    }

    fn sweep(&mut self, now: Nanos) {
        self.0.sweep(now, &mut Nobody);
        self.0.expire(now, &mut Nobody);
    }
}

/// Where the time of a run through the whole pipeline goes.
pub struct Shares {
    /// What each stage takes, and the stages before it.
    until: [(&'static str, Duration); 4],
    exchanges: u64,
}

impl Shares {
    /// Measures the first stages, as part of a `whole` in which so many exchanges were found. `table` is as empty as that of
    /// the whole was.
    ///
    /// # Errors
    /// Those of [`run`].
    pub fn of(recording: &Recording, table: Table, whole: Duration, exchanges: u64) -> Result<Self, Error> {
        let merged = run(recording, &mut Merged)?;
        let decoded = run(recording, &mut Decoded)?;
        let parsed = run(recording, &mut Parsed(table))?;
        let until = [
            ("merge", merged),
            ("decode", decoded),
            ("flow and protocol", parsed),
            ("identity and series", whole),
        ];
        Ok(Self { until, exchanges })
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = Duration::ZERO;
        for (index, (stage, until)) in self.until.iter().enumerate() {
            let each = until.saturating_sub(before).as_nanos() / u128::from(self.exchanges.max(1));
            let comma = if index == 0 { "" } else { ", " };
            write!(out, "{comma}{each} ns {stage}")?;
            before = *until;
        }
        Ok(())
    }
}
