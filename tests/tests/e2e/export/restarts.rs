//! A Collector that is killed again and again under load: what was produced is exported, or counted as dropped.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use redtap_tests::agent::{Agent, ROOMY};
use redtap_tests::caller::Caller;
use redtap_tests::collector::{Collector, Security};
use redtap_tests::exporter::{Figures, balanced, otlp};
use redtap_tests::gate;
use redtap_tests::process::Place;
use redtap_tests::servers::nginx;
use redtap_tests::wait::{self, PATIENCE};

const KILLS: usize = 10;

/// Exchanges between two kills, at least.
const LOAD: usize = 300;

/// How much the agent may grow over ten outages. Its queue of spans is bounded by their number.
const GROWTH: f64 = 16.0 * 1024.0 * 1024.0;

#[test]
fn killed_ten_times_under_load() {
    let Some(turn) = gate::privileged("a Collector killed ten times") else { return };
    let mut collector = Collector::start(Security::Plain);
    let endpoint = collector.grpc(Security::Plain);
    let more = [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_BSP_MAX_QUEUE_SIZE", "2048")];
    let agent = Agent::launch(&turn.redtap, &ROOMY, &otlp(&endpoint, &more));
    let server = nginx(&Place::Host);
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut memory = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut caller = Caller::connect(server.address());
            while !over.load(Ordering::Relaxed) {
                caller.get("/small", &[]);
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
        for _ in 0..KILLS {
            let before = asked.load(Ordering::Relaxed);
            await_load(&asked, before + LOAD);
            let exported = Figures::of(&agent.scrape(), "otlp_traces").exported;
            let flowing = wait::within(PATIENCE * 2, || {
                (Figures::of(&agent.scrape(), "otlp_traces").exported > exported).then_some(())
            });
            if flowing.is_none() {
                over.store(true, Ordering::Relaxed);
                panic!("no recovery: {:?}: {}", Figures::of(&agent.scrape(), "otlp_traces"), agent.log());
            }
            collector.kill();
            await_load(&asked, asked.load(Ordering::Relaxed) + LOAD);
            let scrape = agent.scrape();
            assert_eq!(scrape.dropped(), [], "capture is touched");
            memory.push(scrape.sum("process_resident_memory_bytes", &[]));
            collector.restart();
        }
        over.store(true, Ordering::Relaxed);
    });
    let asked = u64::try_from(asked.into_inner()).expect("a number of requests");
    // Everything in the queue arrives in the end.
    let empty = wait::within(PATIENCE * 4, || {
        let figures = Figures::of(&agent.scrape(), "otlp_traces");
        // The fences of the books and these scrapes are exchanges as well.
        (figures.queued <= 4).then_some(())
    });
    assert!(empty.is_some(), "still queued: {:?}", Figures::of(&agent.scrape(), "otlp_traces"));
    let figures = balanced(&agent);
    let counted = agent.scrape().count("http_server_request_duration_seconds_count", &[("service_name", "nginx")]);
    assert_eq!(counted, asked, "the page counts what was asked");
    let (first, last) = (memory[0], memory[KILLS - 1]);
    assert!(last < first + GROWTH, "memory at each kill: {memory:?}");
    // Delivered at least once: no span is with the Collector that was not produced.
    collector.stop();
    let distinct: BTreeSet<_> = collector.spans().into_iter().map(|span| (span.trace_id, span.span_id)).collect();
    let distinct = u64::try_from(distinct.len()).expect("a number of spans");
    assert!(distinct <= figures.handed(), "{distinct} spans, {figures:?}");
    assert!(distinct > 0, "no span arrived");
}

fn await_load(asked: &AtomicUsize, count: usize) {
    let reached = wait::within(PATIENCE, || (asked.load(Ordering::Relaxed) >= count).then_some(()));
    assert!(reached.is_some(), "the load stands still at {}", asked.load(Ordering::Relaxed));
}
