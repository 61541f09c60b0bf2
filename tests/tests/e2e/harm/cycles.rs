//! An agent that comes and goes.

use redtap_tests::agent::Agent;
use redtap_tests::gate;
use redtap_tests::process::Place;
use redtap_tests::remains::Remains;
use redtap_tests::servers::nginx;

use super::load::Load;

#[test]
fn started_and_ended_again_and_again_under_load() {
    let Some(turn) = gate::privileged("starts and ends") else { return };
    let cycles =
        std::env::var("REDTAP_CYCLES").map_or(64, |value| value.parse().expect("REDTAP_CYCLES is a number"));
    let server = nginx(&Place::Host);
    let before = Remains::now();
    let load = Load::start(server.address());
    for cycle in 0_u32..cycles {
        let agent = Agent::start_silent(&turn.redtap, &[]);
        load.goes_on();
        assert!(cycle > 0 || before.is_loaded_since(), "the agent has loaded nothing that bpftool sees");
        if cycle.is_multiple_of(2) {
            let end = agent.stop();
            assert!(end.status.success(), "{end:?}");
        } else {
            agent.kill();
        }
    }
    load.stop("starts and ends");
    before.assert_no_more();
}
