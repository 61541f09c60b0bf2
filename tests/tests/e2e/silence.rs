//! Nothing captured reaches the log, whatever its level.

use std::process::Command;

use redtap_tests::agent::Agent;
use redtap_tests::endpoint::{Endpoint, Reply};
use redtap_tests::gate::{self, tool};
use redtap_tests::line::Role;
use redtap_tests::process::{Place, output};
use redtap_tests::servers::nginx;
use redtap_tests::wait;

/// What is sent in every place that a request has.
const MARK: &str = "hush-4be1";

#[test]
fn nothing_captured_is_logged_at_any_level() {
    let Some(turn) = gate::privileged("the log at its loudest") else { return };
    let receiver = Endpoint::start(Reply::status(200));
    let url = receiver.url();
    let environment =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")];
    let flags = ["--print", "json", "--log", "trace", "--bpf-log", "debug", "--capture-headers", "x-mark"];
    let agent = Agent::launch(&turn.redtap, &flags, &environment);
    let server = nginx(&Place::Host);
    let target = format!("{}/{MARK}/a?key={MARK}&sig={MARK}", server.base());
    let field = |name: &str| format!("{name}: {MARK}");
    // A status does not matter; what is sent does.
    output(Command::new(tool("curl")).args(["-sS", "-o", "/dev/null", "-X", MARK, &target]));
    let mut post = Command::new(tool("curl"));
    post.args(["-sS", "-o", "/dev/null", "--data", MARK, "--user", &format!("{MARK}:{MARK}"), "--cookie", MARK]);
    for name in ["X-Mark", "Authorization", "traceparent", "tracestate", "b3", "Host", MARK] {
        post.args(["--header", &field(name)]);
    }
    output(post.arg(&target));
    agent.fence();
    let told = agent.exchanges(server.port());
    let seen = told.iter().filter(|told| told.role == Role::Server && format!("{told:?}").contains(MARK));
    assert!(seen.count() >= 1, "it is told where it is to be: {told:?}");
    let has_spans = || receiver.requests().iter().any(|request| request.path.ends_with("/v1/traces"));
    wait::until("spans", || has_spans().then_some(()));
    let _ = agent.scrape();
    let log = agent.log();
    assert!(log.contains("TRACE"), "the log is not at its loudest: {log}");
    let leaks: Vec<_> = log.lines().filter(|line| line.contains(MARK)).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}
