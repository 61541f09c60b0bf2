//! File systems that are full: under a recording, under the agent's log, under what it prints.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use redtap_tests::agent::{Agent, ROOMY};
use redtap_tests::gate::{self, tool};
use redtap_tests::process::{Place, Service, output, scratch, signal};
use redtap_tests::redtap::command;
use redtap_tests::remains::Remains;
use redtap_tests::servers::nginx;
use rustix::process::Signal;
use tempfile::TempDir;

use super::load::Load;
use super::{Wrapped, assert_counted};

/// A file system in memory with room for 1 MiB; unmounted on drop.
struct Disk {
    directory: TempDir,
}

impl Disk {
    fn empty() -> Self {
        let directory = scratch();
        let mut mount = Command::new(tool("mount"));
        mount.args(["-t", "tmpfs", "-o", "size=1m", "redtap-disk"]).arg(directory.path());
        output(&mut mount);
        Self { directory }
    }

    /// Without room for another byte.
    fn full() -> Self {
        let disk = Self::empty();
        let mut file = File::create(disk.path("full")).expect("a file");
        while file.write_all(&[0; 4096]).is_ok() {}
        disk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn size(&self, name: &str) -> u64 {
        fs::metadata(self.path(name)).expect("a file").len()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new(tool("umount")).arg("--lazy").arg(self.directory.path()).status();
    }
}

#[test]
fn a_recording_that_fills_the_disk_ends_with_an_error() {
    let Some(turn) = gate::privileged("a recording that fills the disk") else { return };
    let disk = Disk::empty();
    let server = nginx(&Place::Host);
    let before = Remains::now();
    let load = Load::start(server.address());
    let file = disk.path("records");
    let mut recorder = Service::start("redtap record", command(&turn.redtap).arg("record").arg(&file));
    let status = recorder.ended();
    load.goes_on();
    load.stop("a recording that fills the disk");
    let log = recorder.log();
    assert_eq!(status.code(), Some(1), "{log}");
    let told = log.contains("cannot write the recording") && log.contains("No space left on device");
    assert!(told && !log.contains("panicked"), "{log}");
    assert!(disk.size("records") > 900 * 1024, "{} bytes", disk.size("records"));
    before.assert_no_more();
    // What there was room for can be read.
    let replay = command(&turn.redtap).arg("replay").arg(&file).args(["--print", "json"]).output();
    let replay = replay.expect("the agent's binary runs");
    let errors = String::from_utf8_lossy(&replay.stderr);
    println!("{} bytes of exchanges, {}: {errors}", replay.stdout.len(), replay.status);
    assert!(!replay.stdout.is_empty() && !errors.contains("panicked"), "{errors}");
}

#[test]
fn a_log_on_a_full_disk_keeps_nobody_from_counting() {
    let Some(turn) = gate::privileged("a log on a full disk") else { return };
    let disk = Disk::full();
    let server = nginx(&Place::Host);
    let before = Remains::now();
    let log = disk.path("log");
    let own = Wrapped::new(&turn.redtap, "exec", &format!("2>{}", log.display()));
    let agent = Agent::start_silent(&own.script, &[&ROOMY[..], &["--log", "debug"]].concat());
    let load = Load::start(server.address());
    for _ in 0..5 {
        // It says what it makes of that.
        signal(agent.pid(), Signal::HUP);
        load.goes_on();
        let _ = agent.scrape();
    }
    let told = load.stop("a log on a full disk");
    let scrape = assert_counted(&agent, told.answers);
    assert!(scrape.dropped().is_empty(), "{:?}", scrape.dropped());
    assert_eq!(disk.size("log"), 0, "there was room");
    let end = agent.stop();
    assert!(end.status.success(), "{end:?}");
    before.assert_no_more();
}

#[test]
fn lines_for_a_full_disk_are_counted_as_dropped() {
    let Some(turn) = gate::privileged("lines for a full disk") else { return };
    let disk = Disk::full();
    let server = nginx(&Place::Host);
    let before = Remains::now();
    let lines = disk.path("lines");
    let own = Wrapped::new(&turn.redtap, "exec", &format!(">{}", lines.display()));
    let agent = Agent::start(&own.script, &ROOMY);
    let load = Load::start(server.address());
    load.goes_on();
    let _ = agent.scrape();
    load.goes_on_for_a_while();
    let told = load.stop("lines for a full disk");
    let scrape = assert_counted(&agent, told.answers);
    let lost = scrape.count("redtap_dropped_total", &[("unit", "exchange")]);
    println!("{lost} lines dropped, {} answers", told.answers);
    // Both sides of each.
    assert!(lost > told.answers, "{lost} lines dropped, {} answers", told.answers);
    assert_eq!(lost, scrape.count("redtap_dropped_total", &[]), "dropped otherwise");
    assert_eq!(disk.size("lines"), 0, "there was room");
    let end = agent.stop();
    assert!(end.status.success(), "{end:?}");
    before.assert_no_more();
}
