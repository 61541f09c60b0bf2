//! `redtap cardinality`: what costs series on a live agent, and that an exclusion saves what it says.

use redtap_tests::agent::Agent;
use redtap_tests::caller::Caller;
use redtap_tests::gate::{self, Turn};
use redtap_tests::process::{Place, output, scratch};
use redtap_tests::redtap::command;
use redtap_tests::servers::{Server, nginx};
use serde_json::Value;

fn traffic(server: &Server) {
    let mut caller = Caller::connect(server.address());
    for target in ["/small", "/missing", "/large", "/small"] {
        caller.get(target, &[]);
    }
}

fn asked(turn: &Turn, agent: &Agent, more: &[&str]) -> String {
    let url = format!("http://{}", agent.listen());
    output(command(&turn.redtap).args(["cardinality", "--top", "1000", "--url", &url]).args(more))
}

#[test]
fn it_reads_a_live_agent_in_every_form() {
    let Some(turn) = gate::privileged("cardinality") else { return };
    let agent = Agent::start(&turn.redtap, &["--timings"]);
    let server = nginx(&Place::Host);
    traffic(&server);
    agent.fence();
    let text = asked(&turn, &agent, &[]);
    for word in ["http_server_request_duration_seconds", "http_response_status_code", "exclude_attributes"] {
        assert!(text.to_ascii_lowercase().contains(word), "no {word}: {text}");
    }
    let json: Value = serde_json::from_str(&asked(&turn, &agent, &["--json"])).expect("JSON");
    assert!(json.as_object().is_some_and(|object| !object.is_empty()), "{json}");
    let svg = asked(&turn, &agent, &["--svg"]);
    assert!(svg.trim_start().starts_with("<svg") || svg.trim_start().starts_with("<?xml"), "{svg}");
    assert!(svg.contains("<title>") && svg.contains("nginx") && !svg.contains("<script"), "{svg}");
    // The same of a page in a file.
    let directory = scratch();
    let file = directory.path().join("page");
    let accept = "application/openmetrics-text; version=1.0.0";
    let page = redtap_tests::http::get_as(agent.listen(), "/metrics", accept).expect("a page");
    std::fs::write(&file, page.body).expect("a file");
    let of_file = output(command(&turn.redtap).args(["cardinality", "--top", "1000"]).arg(&file));
    assert!(of_file.contains("http_server_request_duration_seconds"), "{of_file}");
}

#[test]
fn an_exclusion_saves_series_and_loses_no_count() {
    let Some(turn) = gate::privileged("excluded attributes") else { return };
    const METRIC: &str = "http_server_request_duration_seconds_count";
    let server = nginx(&Place::Host);
    let counted = |flags: &[&str]| {
        let agent = Agent::start(&turn.redtap, &[&["--routes=false"], flags].concat());
        traffic(&server);
        agent.fence();
        let page = agent.scrape();
        let labels = [("service_name", "nginx")];
        let series = page.find(METRIC, &labels).count();
        let codes = page.find(METRIC, &labels).filter(|(has, _)| has.contains_key("http_response_status_code"));
        (series, codes.count(), page.count(METRIC, &labels))
    };
    assert_eq!(counted(&[]), (2, 2, 4), "one for each status");
    assert_eq!(counted(&["--exclude-attributes", "http.server.*:*status_code,http.server.*:error.*"]), (1, 0, 4));
    // Inclusion is the other way round: what is not named goes, but for what says whose series it is.
    let included = ["--include-attributes", "http.server.*:http.request.method http.server.*:service.name"];
    assert_eq!(counted(&included), (1, 0, 4));
}
