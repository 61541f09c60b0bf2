//! A host where processes, connections, namespaces, cgroups and settings come and go for minutes: what the agent holds
//! at the end is what it held at the beginning. `cargo xtask soak` has it told; without `REDTAP_SOAK_MINUTES` it is
//! left out.

mod churn;
mod reading;
mod table;

use std::io::Write as _;
use std::time::Duration;

use redtap_tests::agent::Agent;
use redtap_tests::gate;

use crate::churn::World;
use crate::reading::{Reading, grown};
use crate::table::table;

/// How long everything comes and goes before the beginning: whatever is learnt once is learnt then, and the agent keeps as many
/// services that are no more as it ever will, each for five minutes.
const WARM_UP: Duration = Duration::from_secs(330);

const MINUTE: Duration = Duration::from_secs(60);

/// Looks at the beginning, when nothing comes and goes any more; the least of each number counts. What the agent keeps of
/// what has ended goes within 30 seconds.
const LOOKS: usize = 6;

/// Looks at the end, at most: as long as something has grown.
const LAST_LOOKS: usize = 18;

#[test]
fn what_comes_and_goes_leaves_nothing_behind() {
    let Ok(minutes) = std::env::var("REDTAP_SOAK_MINUTES") else {
        // Past the test runner's capture: what is left out must be seen.
        let _ = writeln!(std::io::stderr(), "soak: left out: takes minutes (cargo xtask soak as root)");
        return;
    };
    let minutes: u32 = minutes.parse().expect("REDTAP_SOAK_MINUTES is a number");
    let Some(turn) = gate::privileged("soak") else { return };
    // To find who makes something grow.
    let kinds = std::env::var("REDTAP_SOAK_ONLY").unwrap_or_default();
    let kinds = kinds.split(',').filter(|kind| !kind.is_empty()).map(str::to_owned).collect();
    let world = World::start(kinds, |file| Agent::start_silent(&turn.redtap, &["--config", file]));
    println!("warming up: {}", world.live(WARM_UP));
    let begin = (1..LOOKS).fold(look(&world), |least, _| least.least(look(&world)));
    println!("begin: {begin}");
    let mut readings = Vec::new();
    for minute in 1..=minutes {
        let done = world.live(MINUTE);
        let reading = Reading::of(&world.agent);
        println!("minute {minute} of {minutes}: {reading}; {done}");
        readings.push(reading);
    }
    let mut end = look(&world);
    for _ in 1..LAST_LOOKS {
        if grown(&begin, &end).is_empty() {
            break;
        }
        end = end.least(look(&world));
    }
    println!("end: {end}\n\n{}", table(&begin, &readings, &end));
    let grown = grown(&begin, &end);
    assert!(grown.is_empty(), "not as it began: {}", grown.join("; "));
    let ended = world.agent.stop();
    assert!(ended.status.success(), "{ended:?}");
}

/// What the agent holds some seconds after whatever was last.
fn look(world: &World) -> Reading {
    churn::pause(reading::APART);
    Reading::of(&world.agent)
}
