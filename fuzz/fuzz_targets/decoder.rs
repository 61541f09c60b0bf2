//! Any bytes as records of several rings and as a recorded file, through the whole pipeline: no panic.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use redtap::{
    flow::{Limits, Table},
    identity::{self, Identities, Process, Replayed},
    merge::Merge,
    net::{self, Want},
    pipeline::{Options, Pipeline},
    protocol::Output,
    record::{Frame, Recording},
    red,
    route::{self, Routes},
    time::{Nanos, WallOffset},
    trace::{Sampler, Spans},
};

fn pipeline() -> Pipeline {
    let table = Table::new(Limits { flows: 8, request_timeout: Duration::from_secs(1) }, Output::new(true));
    let options = Options {
        identities: Identities::new(Box::new(Replayed::default()), identity::Limits::default()),
        registry: red::Registry::new(red::Options {
            series_per_service: 4,
            series_total: 8,
            server_addresses: 4,
            extras: red::Extras { exponential: true, parts: true },
        }),
        net: net::Registry::new(net::Options {
            series_per_service: 4,
            series_total: 8,
            names: 4,
            edges: 4,
            handshakes: 4,
            addresses: false,
            service_graph: true,
            span_metrics: true,
        }),
        names: 8,
        routes: Routes::new(route::Options::default()),
        printer: None,
        tracing: Spans::new(Sampler::default(), true, 1),
        wall: WallOffset(0),
        own_pid: 0,
    };
    Pipeline::new(options, table)
}

fuzz_target!(|data: &[u8]| {
    let mut pipeline = pipeline();
    let mut merge = Merge::new(2);
    if let Ok(recording) = Recording::from_bytes(data.to_vec()) {
        for frame in recording.frames().map_while(Result::ok) {
            match frame {
                Frame::Record(ring, record) => merge.push(ring, record),
                Frame::Process(body) => drop(Process::from_record(body)),
                Frame::Watermark(moment) => merge.emit(moment, |record| pipeline.record(record)),
            }
        }
    } else {
        // A byte for the ring, a byte for the length in units of 8, then a record.
        let mut rest = data;
        while let [ring, length, tail @ ..] = rest {
            let (record, tail) = tail.split_at((usize::from(*length) * 8).min(tail.len()));
            rest = tail;
            merge.push(usize::from(*ring), record);
        }
    }
    merge.emit(Nanos(u64::MAX), |record| pipeline.record(record));
    pipeline.sweep(Nanos(u64::MAX));
    pipeline.expire(Nanos(u64::MAX));
    pipeline.stop();
    let _ = pipeline.snapshot(Want::Graph);
});
