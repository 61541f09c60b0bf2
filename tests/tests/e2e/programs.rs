//! A program that the kernel does not take takes its own feature with it, and no other.

use redtap_tests::agent::{Agent, exchanges_at};
use redtap_tests::caller::Caller;
use redtap_tests::gate;
use redtap_tests::line::Role;
use redtap_tests::process::{Place, output};
use redtap_tests::redtap::command;
use redtap_tests::servers::nginx;

/// Nothing is measured without these.
const REQUIRED: [&str; 2] = ["ingress", "egress"];

const REQUESTS: usize = 20;

/// The programs of this kernel, as `redtap check` tells.
fn programs(redtap: &std::path::Path) -> Vec<String> {
    let report = output(command(redtap).args(["check", "--json"]));
    let report: serde_json::Value = serde_json::from_str(&report).expect("a report");
    let features = report["features"].as_array().expect("features");
    let names = features.iter().map(|feature| feature["name"].as_str().expect("a name").to_owned());
    // The last one is none of the kernel's.
    names.filter(|name| name != "socket_diagnostics").collect()
}

#[test]
fn each_can_be_done_without() {
    let Some(turn) = gate::privileged("each program can be done without") else { return };
    let programs = programs(&turn.redtap);
    assert!(REQUIRED.iter().all(|name| programs.iter().any(|program| program == name)), "{programs:?}");
    let server = nginx(&Place::Host);
    for without in programs.iter().filter(|name| !REQUIRED.contains(&name.as_str())) {
        let flags = ["--print", "json", "--without-programs", without];
        let agent = Agent::launch(&turn.redtap, &flags, &[]);
        let mut caller = Caller::connect(server.address());
        for _ in 0..REQUESTS {
            assert_eq!(caller.get("/hello", &[]), 200);
        }
        drop(caller);
        let told = agent.until("every exchange at both ends", |lines| {
            let exchanges = exchanges_at(lines, server.address().port());
            (exchanges.len() >= 2 * REQUESTS).then_some(exchanges)
        });
        agent.fence();
        for role in [Role::Client, Role::Server] {
            let count =
                told.iter().filter(|exchange| exchange.role == role && exchange.status == Some(200)).count();
            assert_eq!(count, REQUESTS, "without {without}: {role:?}");
        }
        let page = agent.scrape();
        // For this one its twin stands in.
        if without == "pickup_btf" {
            assert_eq!(page.count("redtap_program_attached", &[("program", "pickup_raw")]), 1);
            assert!(agent.stop().status.success());
            continue;
        }
        for program in &programs {
            let expected = u64::from(program != without);
            let found = page.count("redtap_program_attached", &[("program", program)]);
            assert_eq!(found, expected, "without {without}: {program}");
        }
        let log = agent.log();
        let is_said = log.lines().any(|line| line.contains("not attached") && line.contains(without.as_str()));
        assert!(is_said, "without {without}: {log}");
        assert!(agent.stop().status.success(), "without {without}");
    }
}

#[test]
fn what_is_required_or_unknown_cannot() {
    let Some(turn) = gate::privileged("programs that are required") else { return };
    for (name, told) in [("ingress", "sock_ops"), ("sock_opz", "sock_ops")] {
        let ended = command(&turn.redtap).args(["check", "--without-programs", name]).output().expect("redtap");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success() && said.contains(told), "{name}: {said}");
    }
}
