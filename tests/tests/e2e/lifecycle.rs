//! Starting, ending, and living beside others.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use redtap_tests::agent::Agent;
use redtap_tests::gate::{self, tool};
use redtap_tests::ledger::Entry;
use redtap_tests::line::{Line, ROLES};
use redtap_tests::links::links;
use redtap_tests::process::{output, scratch};
use redtap_tests::raw;
use redtap_tests::redtap::{Refusal, command};
use redtap_tests::wait;

#[test]
fn sigterm_ends_it_within_a_second() {
    let Some(turn) = gate::privileged("SIGTERM") else { return };
    let before = links();
    let agent = Agent::start(&turn.redtap, &[]);
    assert!(links().len() > before.len(), "the agent has attached nothing that bpftool sees");
    let port = raw::fence();
    let end = agent.stop();
    assert!(end.status.success(), "{end:?}");
    assert!(end.took < Duration::from_secs(1), "{end:?}");
    assert_eq!(links(), before, "attached after the end");
    let told = end
        .lines
        .iter()
        .filter(|line| matches!(line, Line::Exchange(exchange) if exchange.service_port() == Some(port)));
    assert_eq!(told.count(), 2, "an exchange before the signal is told before the end");
}

#[test]
fn sigkill_leaves_nothing_attached() {
    let Some(turn) = gate::privileged("SIGKILL") else { return };
    let before = links();
    Agent::start(&turn.redtap, &[]).kill();
    // The kernel lets go of a dead process's links in its own time.
    wait::until("the killed agent's links to vanish", || (links() == before).then_some(()));
    Agent::start(&turn.redtap, &[]).fence();
}

#[test]
fn two_agents_tell_the_same() {
    let Some(turn) = gate::privileged("two agents") else { return };
    let first = Agent::start(&turn.redtap, &[]);
    let second = Agent::start(&turn.redtap, &[]);
    let port = raw::fence();
    let expected = ROLES.map(|role| Entry::answered(role, port, "GET", "/fence", 204));
    first.assert_ledger("the first of two agents", &[port], &expected);
    second.assert_ledger("the second of two agents", &[port], &expected);
    assert!(second.stop().status.success());
    let port = raw::fence();
    let expected = ROLES.map(|role| Entry::answered(role, port, "GET", "/fence", 204));
    first.assert_ledger("the agent that stayed", &[port], &expected);
    let _ = first.scrape();
}

#[test]
fn a_taken_port_is_told_in_a_sentence() {
    let Some(turn) = gate::privileged("a taken port") else { return };
    let before = links();
    let agent = Agent::start(&turn.redtap, &[]);
    let taken = agent.listen().to_string();
    let refusal = Refusal::of(command(&turn.redtap).args(["run", "--listen", &taken]));
    let told = refusal.errors.contains(&taken) && refusal.errors.contains("--listen");
    assert!(refusal.is_orderly() && told, "without address or remedy: {refusal:?}");
    drop(agent);
    assert_eq!(links(), before);
}

#[test]
fn without_privileges_it_says_so() {
    let Some(turn) = gate::privileged("without privileges") else { return };
    // Where the binary was built may be closed to others.
    let directory = scratch();
    let copy = directory.path().join("redtap");
    std::fs::copy(&turn.redtap, &copy).expect("a copy of the binary");
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).expect("permissions of a copy");
    let nobody =
        ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--"];
    let mut run = Command::new(tool("setpriv"));
    run.args(nobody).arg(&copy).args(["run", "--listen", &format!("127.0.0.1:{}", gate::free_port())]).env_clear();
    let refusal = Refusal::of(&mut run);
    let remedy = refusal.errors.contains("root") || refusal.errors.contains("CAP_BPF");
    assert!(refusal.is_orderly() && remedy, "no remedy: {refusal:?}");
    assert!(refusal.errors.trim().lines().count() <= 3, "more than a sentence: {refusal:?}");
}

#[test]
fn check_tells_what_this_host_has() {
    let Some(turn) = gate::privileged("check") else { return };
    let text = output(command(&turn.redtap).arg("check"));
    let json = output(command(&turn.redtap).args(["check", "--json"]));
    let value: serde_json::Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
    let features = value["features"].as_array().unwrap_or_else(|| panic!("no features: {json}"));
    for hook in ["ingress", "egress", "sock_ops"] {
        assert!(text.contains(hook), "{text}");
        let feature = features.iter().find(|feature| feature["name"] == hook);
        assert!(feature.is_some_and(|feature| feature["ok"] == true), "{hook}: {json}");
    }
}
