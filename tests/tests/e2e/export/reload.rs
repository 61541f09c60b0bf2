//! SIGHUP: what changed is said and in force, and an invalid configuration leaves the old one.

use std::path::Path;

use redtap_tests::agent::Agent;
use redtap_tests::caller::Caller;
use redtap_tests::endpoint::{Endpoint, Reply};
use redtap_tests::gate;
use redtap_tests::process::{Place, scratch, signal};
use redtap_tests::servers::nginx;
use redtap_tests::wait::{self, PATIENCE};
use rustix::process::Signal;

/// Writes a configuration and tells the agent of it; waits until it says something with `told`.
fn reload(agent: &Agent, file: &Path, text: &str, told: &str) {
    let before = agent.log().matches(told).count();
    std::fs::write(file, text).expect("a file");
    signal(agent.pid(), Signal::HUP);
    let said = wait::within(PATIENCE, || (agent.log().matches(told).count() > before).then_some(()));
    assert!(said.is_some(), "nothing said of {told:?}: {}", agent.log());
}

#[test]
fn the_configuration_is_read_again() {
    let Some(turn) = gate::privileged("SIGHUP") else { return };
    let directory = scratch();
    let file = directory.path().join("redtap.yaml");
    let (first, second) = (Endpoint::start(Reply::status(200)), Endpoint::start(Reply::status(200)));
    let text = |endpoint: &Endpoint, more: &str| {
        format!("remote_write_url: {}/api/v1/write\nremote_write_interval: 1s\n{more}", endpoint.url())
    };
    std::fs::write(&file, text(&first, "")).expect("a file");
    let path = file.display().to_string();
    let agent = Agent::start(&turn.redtap, &["--config", &path]);
    let server = nginx(&Place::Host);
    let mut caller = Caller::connect(server.address());
    caller.get("/small", &[]);
    let _ = first.until(1, PATIENCE);
    // Another receiver, without a restart.
    reload(&agent, &file, &text(&second, ""), "remote_write_url");
    let _ = second.until(1, PATIENCE);
    // An attribute less.
    let status = |agent: &Agent| {
        let page = agent.scrape();
        page.find("http_server_request_duration_seconds_count", &[("service_name", "nginx")])
            .any(|(labels, _)| labels.contains_key("http_response_status_code"))
    };
    wait::until("the exchange to be counted", || status(&agent).then_some(()));
    let without = "exclude_attributes: 'http.*:http.response.status_code'\n";
    reload(&agent, &file, &text(&second, without), "exclude_attributes");
    wait::until("the attribute to go", || (!status(&agent)).then_some(()));
    // What cannot change in a running agent is said to need a restart.
    let listen = format!("{without}ring_size: 1MiB\n");
    reload(&agent, &file, &text(&second, &listen), "ring_size");
    assert!(agent.log().contains("restart"), "{}", agent.log());
    // An invalid one changes nothing.
    let count = second.requests().len();
    reload(&agent, &file, "remote_write_interval: soon\n", "soon");
    let _ = second.until(count + 2, PATIENCE);
    assert!(!status(&agent));
    caller.get("/small", &[]);
    let labels = [("service_name", "nginx")];
    wait::until("counting to go on", || {
        let count = agent.scrape().count("http_server_request_duration_seconds_count", &labels);
        (count == 2).then_some(())
    });
}

#[test]
fn the_same_again_changes_nothing() {
    let Some(turn) = gate::privileged("SIGHUP for nothing") else { return };
    let agent = Agent::start(&turn.redtap, &[]);
    let port = redtap_tests::raw::fence();
    for _ in 0..5 {
        signal(agent.pid(), Signal::HUP);
    }
    agent.until("the fence", |lines| (redtap_tests::agent::exchanges_at(lines, port).len() == 2).then_some(()));
    agent.fence();
    let end = agent.stop();
    assert!(end.status.success(), "{end:?}");
}
