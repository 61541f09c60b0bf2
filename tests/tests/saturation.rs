//! As many exchanges as this host can make: none is lost, or, where loss is forced, none is lost silently.

use std::process::Command;
use std::time::{Duration, Instant};

use redtap_tests::agent::Agent;
use redtap_tests::gate::{self, built, tool};
use redtap_tests::line::Outcome;
use redtap_tests::metrics::{Labels, Scrape};
use redtap_tests::process::{Place, output, signal};
use redtap_tests::servers::{Server, nginx, nginx_requests};
use redtap_tests::wait;
use rustix::process::Signal;

/// How long the reading of all printed lines may take.
const READING: Duration = Duration::from_secs(60);

/// Connections under load.
const CONNECTIONS: u64 = 64;

/// What `wrk` counted.
struct Wrk {
    answers: u64,
    errors: bool,
}

/// One run of `wrk`: `seconds` long, keep-alive.
fn wrk(server: &Server, seconds: u32) -> Wrk {
    let mut command = Command::new(tool("wrk"));
    command
        .args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s")])
        .arg(format!("{}/hello", server.base()));
    let text = output(&mut command);
    let line =
        text.lines().find(|line| line.contains(" requests in ")).unwrap_or_else(|| panic!("no count: {text}"));
    let answers = line.split_ascii_whitespace().next().and_then(|number| number.parse().ok()).expect("a count");
    Wrk { answers, errors: text.contains("Socket errors") || text.contains("Non-2xx") }
}

/// One run of our own load: exactly so many requests, which are all answered.
fn load(server: &Server, requests: u64, path: &str) -> u64 {
    let mut load = Command::new(built("exact-load"));
    load.arg(server.address().to_string());
    load.args([CONNECTIONS.to_string(), requests.to_string(), path.to_owned()]);
    output(&mut load).trim().parse().expect("a count")
}

/// The scrape that tells of so many exchanges of our own load, of any outcome.
fn told_of(agent: &Agent, exact: u64) -> Option<Scrape> {
    let scrape = agent.scrape();
    (exchanges(&scrape, "client", "exact-load", None) == exact).then_some(scrape)
}

fn exchanges(scrape: &Scrape, role: &str, service: &str, status: Option<&str>) -> u64 {
    let name = format!("http_{role}_request_duration_seconds_count");
    match status {
        Some(status) => scrape.count(&name, &[("service_name", service), ("http_response_status_code", status)]),
        None => scrape.count(&name, &[("service_name", service)]),
    }
}

/// Scrapes again and again, each time closing the books, while `load` runs.
fn scraped_during<T: Send>(agent: &Agent, load: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let load = scope.spawn(load);
        let mut scrapes = 0;
        let mut last = Instant::now();
        while !load.is_finished() {
            // Once a second, as a Prometheus that is in a hurry.
            wait::within(Duration::from_secs(1).saturating_sub(last.elapsed()), || {
                load.is_finished().then_some(())
            });
            last = Instant::now();
            let _ = agent.scrape();
            scrapes += 1;
        }
        assert!(scrapes > 0);
        load.join().expect("load")
    })
}

#[test]
fn every_exchange_is_counted_at_saturation() {
    let Some(turn) = gate::privileged("saturation") else { return };
    let wanted: u64 = std::env::var("REDTAP_SATURATION_EXCHANGES")
        .map_or(5_000_000, |value| value.parse().expect("REDTAP_SATURATION_EXCHANGES is a number"));
    let server = nginx(&Place::Host);
    let agent = Agent::start_silent(&turn.redtap, &[]);
    let before = nginx_requests(&server);

    // `wrk` stops in the middle: what was asked last, at most once a connection, it does not count.
    let (mut counted, mut runs) = (0, 0);
    while counted < wanted {
        let run = scraped_during(&agent, || wrk(&server, 10));
        assert!(!run.errors && run.answers > 0, "wrk failed");
        counted += run.answers;
        runs += 1;
    }
    // Our own load does not stop in the middle: exactly so many are asked and answered.
    let exact = wanted / 5;
    assert_eq!(scraped_during(&agent, || load(&server, exact, "/hello")), exact);
    // nginx counts what it has read; this question is one too.
    let asked = nginx_requests(&server) - before - 1;

    let scrape = wait::within(wait::PATIENCE, || told_of(&agent, exact)).unwrap_or_else(|| agent.scrape());
    println!("wrk counted {counted} in {runs} runs, our own load {exact}, nginx {asked}");
    let dropped: Vec<_> = scrape.find("redtap_dropped_total", &[]).filter(|(_, count)| *count > 0.0).collect();
    assert!(dropped.is_empty(), "dropped: {dropped:?}");
    // The agent was asked whether it is ready before it was, and may have seen both sides of one answer only.
    let unobserved = scrape.count("redtap_exchanges_total", &[("outcome", "unobserved")]);
    assert!(unobserved <= 2, "{unobserved} unobserved");
    assert_eq!(exchanges(&scrape, "client", "exact-load", Some("200")), exact, "our own load");
    assert_eq!(exchanges(&scrape, "client", "exact-load", None), exact, "our own load, of any outcome");

    let wrk_answered = exchanges(&scrape, "client", "wrk", Some("200"));
    let wrk_asked = exchanges(&scrape, "client", "wrk", None);
    let in_flight = CONNECTIONS * runs;
    assert!(
        (counted..=counted + in_flight).contains(&wrk_answered),
        "wrk's {counted}: the agent tells {wrk_answered}"
    );
    assert!(
        (wrk_answered..=counted + in_flight).contains(&wrk_asked),
        "wrk's {counted}: the agent tells {wrk_asked} asked"
    );
    // nginx may not have read what `wrk` asked last, before it went away.
    let served = exchanges(&scrape, "server", "nginx", None);
    /// Our questions for its count; the last may not be told yet.
    const OWN: u64 = 2;
    assert!((asked + 1..=asked + in_flight + OWN).contains(&served), "nginx's {asked}: the agent tells {served}");
    for (role, service) in [("server", "nginx"), ("client", "wrk"), ("client", "exact-load")] {
        let name = format!("http_{role}_request_duration_seconds_count");
        let invented =
            |labels: &Labels| labels.get("http_response_status_code").is_some_and(|status| status != "200");
        let of_service = [("service_name", service)];
        let strange: Vec<_> = scrape.find(&name, &of_service).filter(|(has, _)| invented(has)).collect();
        assert!(strange.is_empty(), "a status that nobody sent: {strange:?}");
    }
}

#[test]
fn a_million_distinct_paths_hosts_methods_and_user_agents_leave_memory_and_series_flat() {
    const ROUND: u64 = 100_000;
    const ROUNDS: u64 = 10;
    /// What the allocator may want for itself.
    const GROWTH: f64 = 4.0 * 1024.0 * 1024.0;
    let Some(turn) = gate::privileged("a million distinct requests") else { return };
    let server = nginx(&Place::Host);
    let agent = Agent::start_silent(&turn.redtap, &[]);
    let mut after = Vec::new();
    for round in 1..=ROUNDS {
        let path = format!("/any/{round}/*");
        assert_eq!(scraped_during(&agent, || load(&server, ROUND, &path)), ROUND);
        let told = wait::within(wait::PATIENCE, || told_of(&agent, round * ROUND));
        let page = told.unwrap_or_else(|| {
            let told = exchanges(&agent.scrape(), "client", "exact-load", None);
            panic!("after {round} rounds {told} are told")
        });
        let series = page.find("http_client_request_duration_seconds_count", &[]).count()
            + page.find("http_server_request_duration_seconds_count", &[]).count();
        after.push((series, page.sum("process_resident_memory_bytes", &[])));
    }
    println!("series and resident memory after each {ROUND} requests: {after:?}");
    // All that there is room for came in the first tenth.
    let ((series, resident), (last_series, last_resident)) = (after[0], after[after.len() - 1]);
    assert!(last_series <= series + 10, "{after:?}");
    assert!(last_resident - resident < GROWTH, "{after:?}");
    let page = agent.scrape();
    let overflow = [("service_name", "exact-load"), ("otel_metric_overflow", "true")];
    assert!(
        page.count("http_client_request_duration_seconds_count", &overflow) > 0,
        "nothing overflowed: {after:?}"
    );
    assert_eq!(agent.log().matches("the budget of series is spent").count(), 1, "{}", agent.log());
}

#[test]
fn forced_loss_is_told_and_nothing_is_made_up() {
    let Some(turn) = gate::privileged("forced loss") else { return };
    let server = nginx(&Place::Host);
    let agent = Agent::start(&turn.redtap, &["--ring-size", "64KiB"]);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| wrk(&server, 4));
        let enough = |more: u64| {
            let target = nginx_requests(&server) + more;
            wait::until("load", || (nginx_requests(&server) > target).then_some(()));
        };
        enough(1000);
        signal(agent.pid(), Signal::STOP);
        // Stopped, it drains nothing: this is many rings full.
        enough(20_000);
        signal(agent.pid(), Signal::CONT);
        let _ = agent.scrape();
        load.join().expect("load")
    });
    let scrape = agent.scrape();
    assert!(scrape.count("redtap_dropped_total", &[]) > 0, "nothing was dropped: the test forces no loss");
    // More is told than is read here in time. What is dropped for it must not be the fence.
    let unprinted = scrape.count("redtap_dropped_total", &[("reason", "print_queue_full")]);
    let printed = scrape.count("redtap_exchanges_total", &[]) - unprinted;
    let read = agent.within(READING, |lines| (lines.len() as u64 >= printed).then_some(()));
    assert!(read.is_some(), "{printed} lines are not printed in {READING:?}");
    assert!(
        scrape.count("redtap_exchanges_total", &[("outcome", "unobserved")]) > 0,
        "loss without an unobserved exchange"
    );
    agent.fence();
    let told = agent.exchanges(server.port());
    let invented = told.iter().find(|exchange| exchange.status.is_some_and(|status| status != 200));
    assert!(invented.is_none(), "a status that nobody sent: {invented:?}");
    let misread = told.iter().find(|exchange| {
        exchange.method.as_deref().is_some_and(|method| method != "GET")
            || !["/hello", "/status"].contains(&exchange.path.as_deref().unwrap_or("/hello"))
    });
    assert!(misread.is_none(), "a request that nobody made: {misread:?}");
    let ended: Vec<_> = told
        .iter()
        .filter(|exchange| matches!(exchange.outcome, Outcome::Reset | Outcome::Timeout | Outcome::Error))
        .collect();
    assert!(ended.is_empty(), "an end that nobody made: {ended:?}");
    // And it sees again.
    agent.fence();
    let _ = agent.scrape();
}
