//! An agent that stands still: its rings fill up, and the kernel side has nobody to tell.

use std::time::Duration;

use redtap_tests::agent::Agent;
use redtap_tests::gate;
use redtap_tests::process::{Place, signal};
use redtap_tests::remains::Remains;
use redtap_tests::servers::nginx;
use redtap_tests::wait::{self, PATIENCE};
use rustix::process::Signal;

use super::load::Load;
use super::{assert_counted, served};

#[test]
fn stopped_under_load_and_continued() {
    let Some(turn) = gate::privileged("an agent that is stopped") else { return };
    let stopped = std::env::var("REDTAP_STOPPED_SECONDS")
        .map_or(10, |value| value.parse().expect("REDTAP_STOPPED_SECONDS is a number"));
    let server = nginx(&Place::Host);
    let before = Remains::now();
    let agent = Agent::start_silent(&turn.redtap, &[]);
    let load = Load::start(server.address());
    signal(agent.pid(), Signal::STOP);
    let begin = load.answers();
    let _ = wait::within(Duration::from_secs(stopped), || None::<()>);
    let meanwhile = load.answers() - begin;
    signal(agent.pid(), Signal::CONT);
    load.goes_on();
    let told = load.stop("stopped");
    assert!(meanwhile > 0);

    // An exchange that is not counted lost a segment at least.
    let mut lost = Vec::new();
    let covered = wait::within(PATIENCE, || {
        let scrape = agent.scrape();
        lost = scrape.dropped();
        let segments = scrape.count("redtap_dropped_total", &[("unit", "segment")]);
        (served(&scrape) + segments >= told.answers).then_some(())
    });
    let counted = served(&agent.scrape());
    println!("{meanwhile} were answered meanwhile; counted {counted} of {}, dropped {lost:?}", told.answers);
    assert!(covered.is_some(), "{} answered, {counted} counted, dropped {lost:?}", told.answers);
    // None is made up.
    assert!(counted <= told.answers, "{} answered, {counted} counted", told.answers);

    let load = Load::start(server.address());
    load.goes_on();
    let after = load.stop("after it was stopped").answers;
    let scrape = assert_counted(&agent, counted + after);
    assert_eq!(scrape.dropped(), lost, "dropped since");
    assert!(agent.stop().status.success());
    before.assert_no_more();
}
