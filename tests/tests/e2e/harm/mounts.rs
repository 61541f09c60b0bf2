//! The cgroup hierarchy that an agent watches is taken from it.

use std::process::Command;

use redtap_tests::agent::{Agent, ROOMY};
use redtap_tests::container::Cgroup;
use redtap_tests::gate::{self, tool};
use redtap_tests::process::{Place, output};
use redtap_tests::remains::Remains;
use redtap_tests::servers::nginx;

use super::load::Load;
use super::{Wrapped, assert_counted};

#[test]
fn cgroup2_is_unmounted_under_the_agent() {
    let Some(turn) = gate::privileged("cgroup2 unmounted") else { return };
    let server = nginx(&Place::Host);
    let before = Remains::now();
    // Of its own, so that nobody else loses the mount.
    let own = Wrapped::new(&turn.redtap, "exec unshare --mount --propagation private", "");
    let agent = Agent::start_silent(&own.script, &ROOMY);
    let mounted = || {
        let mounts = std::fs::read_to_string(format!("/proc/{}/mounts", agent.pid())).expect("a table of mounts");
        let mounts = mounts.lines().map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        mounts.filter(|fields| fields[2] == "cgroup2").map(|fields| fields[1].clone()).collect::<Vec<_>>()
    };
    let places = mounted();
    assert!(!places.is_empty(), "no cgroup2 is mounted");
    let load = Load::start(server.address());
    for place in places {
        let mut enter = Command::new(tool("nsenter"));
        enter.arg(format!("--mount=/proc/{}/ns/mnt", agent.pid()));
        output(enter.arg(tool("umount")).args(["--lazy", &place]));
    }
    assert!(mounted().is_empty(), "still mounted: {:?}", mounted());
    load.goes_on();
    // A cgroup, and a process in it, that the agent cannot look at.
    let cgroup = Cgroup::new(&format!("redtap-harm-{}", std::process::id()));
    let ask = format!(
        "echo $$ > {} && exec curl -sS --fail -o /dev/null {}/small",
        cgroup.members().display(),
        server.base()
    );
    output(Place::Host.command(&tool("sh")).args(["-c", &ask]));
    load.goes_on_for_a_while();
    let told = load.stop("cgroup2 unmounted");
    let scrape = assert_counted(&agent, told.answers + 1);
    assert!(scrape.dropped().is_empty(), "{:?}", scrape.dropped());
    let end = agent.stop();
    assert!(end.status.success(), "{end:?}");
    before.assert_no_more();
}
