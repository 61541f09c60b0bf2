//! Segments as a network delivers them: late, twice, cut anew.

use proptest::prelude::*;

use crate::{
    exchange::Role,
    testing::{Case, Cuts, Event, HTTP1, Host, Packet, Setup, Step, Wire, any_starts, deterministic, short},
};

/// What happens to a run of segments of one direction on their way.
#[derive(Clone, Debug)]
struct Mischief {
    /// Each segment may be overtaken by so many that were sent after it.
    overtaken: Vec<usize>,
    /// From 4 on, a segment is sent again so much later, with some that precede or follow it. From 6 on, it did not
    /// arrive before, and is sent again with one that did and one that is yet to be sent.
    repeated: Vec<usize>,
}

fn mischief() -> impl Strategy<Value = Mischief> {
    let places = || prop::collection::vec(0_usize..8, 1..20);
    (places(), places()).prop_map(|(overtaken, repeated)| Mischief { overtaken, repeated })
}

/// The events of a conversation as the socket of `role` sees them: what it sends leaves in order, what it receives
/// arrives as the mischief wants, but before anything that answers it.
fn disturbed(wire: &Wire, role: Role, mischief: &Mischief) -> Wire {
    let mut events = Vec::new();
    let mut run: Vec<Packet> = Vec::new();
    let mut turn = 0;
    for event in &wire.events {
        match event {
            Event::Packet(packet) if packet.from != role && !packet.bytes.is_empty() => run.push(packet.clone()),
            event => {
                events.extend(delivered(std::mem::take(&mut run), mischief, &mut turn).map(Event::Packet));
                events.push(event.clone());
            }
        }
    }
    events.extend(delivered(run, mischief, &mut turn).map(Event::Packet));
    let mut disturbed = wire.clone();
    disturbed.events = events;
    disturbed
}

fn delivered(run: Vec<Packet>, mischief: &Mischief, turn: &mut usize) -> impl Iterator<Item = Packet> + use<> {
    let mut at: Vec<(usize, Packet)> = Vec::new();
    for (index, packet) in run.iter().enumerate() {
        *turn += 1;
        let late = mischief.overtaken[*turn % mischief.overtaken.len()];
        let again = mischief.repeated[*turn % mischief.repeated.len()];
        if again < 6 {
            at.push((2 * (index + late), packet.clone()));
        }
        let (from, until, when) = match again {
            0..4 => continue,
            4 | 5 => (index.saturating_sub(again % 2), index + 1 + again % 3, index + again),
            _ => (index, index + 3, index + 1),
        };
        let bytes = run[from..until.min(run.len())].iter().flat_map(|packet| packet.bytes.clone()).collect();
        at.push((2 * when + 1, Packet { bytes, ..run[from].clone() }));
    }
    at.sort_by_key(|(when, _)| *when);
    at.into_iter().map(|(_, packet)| packet)
}

/// Cases whose segments may arrive in any order: a lost record cannot be told from a late segment, and without the
/// connection's beginning nothing tells where it begins.
fn is_whole(case: &Case) -> bool {
    let orderly = |step: &Step| !matches!(step, Step::Send { lost: true, .. } | Step::AgentStarts);
    case.steps.iter().all(orderly) && !case.as_written && case.capture != Some(1024)
}

proptest! {
    #![proptest_config(deterministic(64))]

    #[test]
    fn late_and_repeated_segments_change_nothing(
        mischief in mischief(),
        sizes in prop::collection::vec(prop_oneof![20_usize..200, 500_usize..5000], 1..20),
        starts in any_starts(),
    ) {
        for case in HTTP1.iter().filter(|case| is_whole(case)) {
            let wire = Wire::of(case, starts, Cuts::of(&sizes));
            for role in [Role::Server, Role::Client] {
                let host = Host::watch(&disturbed(&wire, role, &mischief), Setup::exhaustive(role));
                let complaints = host.complaints();
                prop_assert!(complaints.is_empty(), "{}: {complaints:?}", case.name);
                let told = host.stops().lines();
                prop_assert!(told == case.expected, "{} ({}): told:\n{}", case.name, role.as_str(), short(&told));
            }
        }
    }
}
