//! The host's clock is set. That is done in a virtual machine only.

use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use redtap_tests::agent::{Agent, ROOMY};
use redtap_tests::gate::{self, tool};
use redtap_tests::process::{Place, output};
use redtap_tests::remains::Remains;
use redtap_tests::servers::nginx;

use super::assert_counted;
use super::load::Load;

/// Far more seconds than any exchange takes, far fewer than the clock is set by: a bound of the histograms.
const MOST: &str = "5";

const HOUR: i64 = 3600;

#[test]
fn the_clock_is_set_forward_and_back_under_load() {
    let Some(turn) = gate::privileged("a clock that is set") else { return };
    if std::env::var_os("REDTAP_VM").is_none() {
        let _ =
            writeln!(std::io::stderr(), "a clock that is set: left out: needs a virtual machine (cargo xtask vm)");
        return;
    }
    let server = nginx(&Place::Host);
    let before = Remains::now();
    let agent = Agent::start_silent(&turn.redtap, &ROOMY);
    let clock = Clock::new();
    let load = Load::start(server.address());
    for set_to in [HOUR, -HOUR, 0] {
        clock.set(set_to);
        load.goes_on_for_a_while();
        let _ = agent.scrape();
    }
    let told = load.stop("a clock that is set");
    let scrape = assert_counted(&agent, told.answers);
    assert!(scrape.dropped().is_empty(), "{:?}", scrape.dropped());
    for role in ["server", "client"] {
        let name = format!("http_{role}_request_duration_seconds");
        let all = scrape.count(&format!("{name}_count"), &[]);
        let buckets = format!("{name}_bucket");
        let is_most = |le: &String| le.parse::<f64>().ok() == MOST.parse().ok();
        let short = scrape.find(&buckets, &[]).filter(|(labels, _)| labels.get("le").is_some_and(is_most));
        let short: f64 = short.map(|(_, count)| count).sum();
        assert_eq!(
            format!("{short:.0}"),
            all.to_string(),
            "{role}: exchanges that took {MOST} s at most, and all"
        );
        let sums = format!("{name}_sum");
        for (labels, sum) in scrape.find(&sums, &[]) {
            assert!(sum >= 0.0, "{role}: {labels:?} took {sum} s");
        }
        assert!(all >= told.answers, "{role}: {all}");
    }
    assert!(agent.stop().status.success());
    before.assert_no_more();
}

/// The wall clock; set right again on drop.
struct Clock {
    wall: SystemTime,
    at: Instant,
}

impl Clock {
    fn new() -> Self {
        Self { wall: SystemTime::now(), at: Instant::now() }
    }

    /// Sets it that many seconds ahead of the true time.
    fn set(&self, ahead: i64) {
        let truth = (self.wall + self.at.elapsed()).duration_since(SystemTime::UNIX_EPOCH);
        let truth = truth.as_ref().map_or(0, Duration::as_secs);
        let wanted = truth.checked_add_signed(ahead).expect("a time");
        output(Command::new(tool("busybox")).args(["date", "-s", &format!("@{wanted}")]));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time");
        assert!(now.as_secs().abs_diff(wanted) < 60, "the clock was not set");
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.set(0);
        }
    }
}
