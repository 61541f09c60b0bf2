//! The systemd unit of `deploy/`: under what of it can be had without systemd, the agent does all that it does.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use redtap_tests::agent::{Agent, exchanges_at};
use redtap_tests::gate::{self, built, own, tool};
use redtap_tests::line::Role;
use redtap_tests::process::{Service, output, scratch, status};
use redtap_tests::redtap::{Refusal, command};
use redtap_tests::unit::{Confined, Unit};

const UNIT: &str = "../deploy/systemd/redtap.service";
const CONFIGURATION: &str = "../deploy/systemd/redtap.yaml";
const OLDER_CONNECTIONS: &str = "../deploy/systemd/older-connections.conf";

/// A user that is neither root nor the agent's.
const SOMEBODY: &str = "64124";

/// What somebody calls a service, in its environment.
const NAME: &str = "cart-of-somebody";

/// The executable of another one, longer than the name of a thread can be.
const EXECUTABLE: &str = "server-of-somebody";

/// The most that `systemd-analyze security` may find fault with, in tenths.
const EXPOSURE: &str = "26";

#[test]
fn under_the_units_directives_it_does_all_that_it_does() {
    let Some(turn) = gate::privileged("the systemd unit") else { return };
    let unit = Unit::read(&own(UNIT));
    for (directive, why) in unit.untried() {
        // Past the test runner's capture: what is left out must be seen.
        let _ = writeln!(std::io::stderr(), "{directive}: not tried: {why}");
    }
    let confined = Confined::new(&turn.redtap, &unit, &unit.capabilities());
    let configuration = fs::read_to_string(own(CONFIGURATION)).expect("a configuration");
    let configuration = confined.file("redtap.yaml", &configuration).display().to_string();
    let agent = start(&confined, &configuration);

    let field = |name: &str| status(agent.pid(), name);
    assert_ne!(field("Uid"), "0\t0\t0\t0");
    assert_eq!((field("NoNewPrivs").as_str(), field("Seccomp").as_str()), ("1", "2"));
    let bits = |set: &str| u64::from_str_radix(&field(set), 16).expect("a set of capabilities");
    assert_eq!(
        usize::try_from(bits("CapBnd").count_ones()),
        Ok(unit.capabilities().len()),
        "{:b}",
        bits("CapBnd")
    );
    // What is left of them once all is set up, `confine` tells of each thread.
    for set in ["CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(bits(set) & !bits("CapBnd"), 0, "{set}");
    }
    let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", agent.pid())).expect("mounts");
    let writable = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).filter(|mount| {
        let allowed = ["/proc", "/dev", "/tmp", "/var/tmp"];
        mount[5].starts_with("rw") && !allowed.iter().any(|place| mount[4].starts_with(place))
    });
    assert_eq!(writable.map(|mount| mount[4].to_owned()).collect::<Vec<_>>(), [""; 0]);

    assert!(!agent.log().contains("not attached"), "{}", agent.log());
    assert_eq!(names_told(&agent), [NAME, EXECUTABLE]);
    agent.fence();
    let page = agent.scrape();
    for means in ["no_new_privs", "capabilities", "seccomp"] {
        assert_eq!(page.count("redtap_confined", &[("by", means)]), 1, "{means}: {}", agent.log());
    }
    let end = agent.stop();
    assert!(end.status.success(), "{end:?}");

    let mistake = confined.file("mistake.yaml", "listne: 127.0.0.1:9440\n");
    let mut run = command(&confined.program());
    let refusal = Refusal::of(run.arg("run").arg("--config").arg(mistake));
    let status = refusal.status.and_then(|status| status.code()).map(|code| code.to_string());
    assert_eq!(status.as_deref(), Some(unit.value("RestartPreventExitStatus")), "{refusal:?}");
}

#[test]
fn each_of_the_units_capabilities_is_needed() {
    let Some(turn) = gate::privileged("the unit's capabilities") else { return };
    let unit = Unit::read(&own(UNIT));
    let all = unit.capabilities();
    let missing = missing_features(&Confined::new(&turn.redtap, &unit, &all));
    for without in &all {
        let fewer: Vec<_> = all.iter().copied().filter(|capability| capability != without).collect();
        let confined = Confined::new(&turn.redtap, &unit, &fewer);
        let missing_now = missing_features(&confined);
        if missing_now == missing {
            let configuration = confined.file("redtap.yaml", "").display().to_string();
            // Where the agent has no way to the configuration, it is needed for that.
            let agent = if *without == "CAP_DAC_READ_SEARCH" {
                Agent::launch(&confined.program(), &["--print", "json"], &[])
            } else {
                start(&confined, &configuration)
            };
            assert_ne!(names_told(&agent), [NAME, EXECUTABLE], "nothing is lost without {without}");
        }
    }
}

#[test]
fn systemd_finds_no_fault_with_the_unit() {
    let Some(turn) = gate::privileged("systemd's own opinion of the unit") else { return };
    let directory = scratch();
    let unit = directory.path().join("redtap.service");
    let installed = Unit::read(&own(UNIT)).value("ExecStart").split(' ').next().unwrap_or_default().to_owned();
    let text =
        fs::read_to_string(own(UNIT)).expect("a unit").replace(&installed, &turn.redtap.display().to_string());
    fs::write(&unit, text).expect("a copy of the unit");
    analyze(&["verify", "--man=no"], &unit);
    analyze(&["security", "--no-pager", "--offline=yes", &format!("--threshold={EXPOSURE}")], &unit);
    let more = directory.path().join("redtap.service.d");
    fs::create_dir(&more).expect("a directory");
    fs::copy(own(OLDER_CONNECTIONS), more.join("older-connections.conf")).expect("a copy");
    analyze(&["verify", "--man=no"], &unit);
}

/// Runs `systemd-analyze`, which tells of directives that it does not know and is content all the same.
fn analyze(arguments: &[&str], unit: &Path) {
    let told = Command::new(tool("systemd-analyze")).args(arguments).arg(unit).output().expect("it runs");
    let [said, complained] = [&told.stdout, &told.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(told.status.success() && complained.is_empty(), "{arguments:?}: {complained}\n{said}");
}

fn start(confined: &Confined, configuration: &str) -> Agent {
    Agent::launch(&confined.program(), &["--config", configuration, "--print", "json"], &[])
}

/// What the agent calls two services of somebody else: one that its environment names, and one that nothing does.
fn names_told(agent: &Agent) -> [String; 2] {
    // Where it was built may be closed to others.
    let directory = scratch();
    let program = directory.path().join(EXECUTABLE);
    fs::copy(built("uring-server"), &program).expect("a copy of a server");
    [Some(NAME), None].map(|name| {
        let port = gate::free_port();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut server = Command::new(tool("setpriv"));
        server.args(["--reuid", SOMEBODY, "--regid", SOMEBODY, "--clear-groups", "--pdeathsig", "TERM", "--"]);
        server.arg(&program).arg(address.to_string()).envs(name.map(|name| ("OTEL_SERVICE_NAME", name)));
        let _server = Service::start("somebody's server", &mut server).ready_at(address);
        let url = format!("http://{address}/");
        output(Command::new(tool("curl")).args(["-sS", "--fail", "-o", "/dev/null", &url]));
        let exchange = agent.until("somebody's exchange", |lines| {
            exchanges_at(lines, port).into_iter().find(|exchange| exchange.role == Role::Server)
        });
        exchange.service_name.unwrap_or_default()
    })
}

/// What `redtap check` finds missing.
fn missing_features(confined: &Confined) -> Vec<String> {
    let told = command(&confined.program()).args(["check", "--json"]).output().expect("it runs");
    let text = String::from_utf8_lossy(&told.stdout);
    let errors = String::from_utf8_lossy(&told.stderr);
    let report: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}\n{errors}"));
    let features = report["features"].as_array().into_iter().flatten().filter(|feature| feature["ok"] == false);
    features.map(|feature| feature["name"].to_string()).collect()
}
