//! What a container did before its engine's file has told its name: it waits for it, for so long and no longer.

use std::{fs, path::Path, process::Command, thread};

use tempfile::TempDir;

use super::*;
use crate::{
    config::Config,
    export::print::JsonPrinter,
    flow::{Limits, Table},
    identity::{ProcSource, Process, engines::Engines, host::monotonic_now, inspector::Inspector},
    pipeline::Pipeline,
    protocol::Output,
    route,
    testing::{BEGINNING, Cuts, Host, Record, Setup, Wire},
    trace::Sampler,
};

/// The one process of a host: in a container of Docker.
struct InContainer;

fn id() -> String {
    "a".repeat(64)
}

impl ProcSource for InContainer {
    fn describe(&mut self, pid: u32, at: Nanos) -> Option<Process> {
        let cgroup = format!("/docker/{}", id());
        Some(Process { pid, start_ticks: 1, since: at, name: "nginx".into(), cgroup, ..Process::default() })
    }
}

/// A pipeline that has seen one exchange of that process, on a host where Docker keeps its files below `root`.
fn after_one_exchange(root: &Path) -> Pipeline {
    let inspector = Inspector::start("/proc".into(), Engines::under(root)).expect("a thread");
    let identities = Identities::new(Box::new(InContainer), crate::identity::Limits::default());
    let config = Config::default();
    let options = Options {
        identities: identities.with_inspector(inspector),
        registry: red::Registry::new(config.red()),
        net: net::Registry::new(config.net()),
        names: 9,
        routes: Routes::new(route::Options::default()),
        printer: Some(Printer::Json(JsonPrinter::default())),
        tracing: Spans::new(Sampler::default(), false, 0),
        wall: WallOffset(0),
        own_pid: 0,
    };
    let table = Table::new(Limits { flows: 8, request_timeout: Duration::from_secs(300) }, Output::new(true));
    let mut pipeline = Pipeline::new(options, table);
    let mut wire = Wire::new(1000, 9000);
    wire.send(Role::Client, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", &mut Cuts::whole(), false);
    wire.send(Role::Server, b"HTTP/1.1 204 No Content\r\n\r\n", &mut Cuts::whole(), false);
    for record in Host::records(&wire, Setup::exhaustive(Role::Server)) {
        let (table, sinks) = (&mut pipeline.table, &mut pipeline.sinks);
        sinks.now = BEGINNING;
        match record {
            Record::Opened(opened) => table.opened(&opened, sinks),
            Record::Segment(header, bytes) => table.segment(&header, &bytes, sinks),
            Record::Closed(closed) => table.closed(&closed, sinks),
        }
    }
    pipeline
}

fn docker() -> (TempDir, std::path::PathBuf) {
    let root = tempfile::tempdir().expect("a directory");
    let container = root.path().join("var/lib/docker/containers").join(id());
    fs::create_dir_all(&container).expect("directories");
    (root, container.join("config.v2.json"))
}

fn after(time: Duration) -> Nanos {
    BEGINNING.plus(Duration::from_secs(1)).plus(time)
}

fn printed(pipeline: &Pipeline) -> String {
    String::from_utf8_lossy(&pipeline.sinks.lines.bytes).into_owned()
}

#[test]
fn an_exchange_waits_for_its_containers_name() {
    let (root, file) = docker();
    fs::write(file, r#"{"Name":"/web"}"#).expect("a file");
    let mut pipeline = after_one_exchange(root.path());
    pipeline.sweep(after(Duration::ZERO));
    assert_eq!((pipeline.sinks.lines.count, pipeline.sinks.waiting().len()), (0, 1));
    let deadline = monotonic_now().plus(Duration::from_secs(10));
    while pipeline.sinks.lines.count == 0 && monotonic_now() < deadline {
        thread::sleep(Duration::from_millis(1));
        pipeline.sinks.identities.take_findings(after(Duration::ZERO));
        pipeline.sweep(after(Duration::ZERO));
    }
    let line = printed(&pipeline);
    assert!(line.contains(r#""service.name":"web""#), "{line}");
    assert_eq!((pipeline.sinks.lines.count, pipeline.sinks.waiting().len()), (1, 0));
}

#[test]
fn an_exchange_goes_out_without_a_name_that_never_comes() {
    let (root, file) = docker();
    // Whoever opens it waits for a writer, and there is none: a file system that is gone.
    assert!(Command::new("mkfifo").arg(file).status().expect("mkfifo").success());
    let mut pipeline = after_one_exchange(root.path());
    for (milliseconds, lines) in [(0, 0), (1_000, 0), (1_900, 0), (2_000, 1), (9_000, 1)] {
        let now = after(Duration::from_millis(milliseconds));
        pipeline.sinks.identities.take_findings(now);
        pipeline.sweep(now);
        assert_eq!(pipeline.sinks.lines.count, lines, "after {milliseconds} ms: {}", printed(&pipeline));
    }
    let line = printed(&pipeline);
    assert!(line.contains(r#""service.name":"nginx""#), "{line}");
}
