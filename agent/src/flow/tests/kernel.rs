//! The kernel side's decisions and the table together: what is not shipped must not be missed.

use proptest::prelude::*;

use crate::{
    exchange::{Exchange, Outcome, Role},
    testing::{Cuts, Host, Plan, Planned, Setup, Told, Traffic, any_plan, any_starts, deterministic},
};

/// Sizes of segments, not too small for what is to be sent in them.
fn sizes() -> impl Strategy<Value = Vec<usize>> {
    let size = || prop_oneof![1_usize..100, 500_usize..3000, Just(1448), Just(65_483), 1_usize..Cuts::MOST];
    prop_oneof![
        Just(vec![1448]),
        Just(vec![16_384]),
        Just(vec![Cuts::MOST]),
        prop::collection::vec(size(), 1..30).prop_map(|mut sizes| {
            sizes.push(32_768);
            sizes
        }),
    ]
}

/// How a host may watch.
fn setup() -> impl Strategy<Value = Setup> {
    let role = prop::sample::select(vec![Role::Server, Role::Client]);
    let capture = prop::sample::select(vec![1024_u32, 1024, 2048, 16_384, 65_536]);
    let delays = prop_oneof![Just(vec![0]), Just(vec![]), prop::collection::vec(0_usize..60, 1..10)];
    (role, capture, delays).prop_map(|(role, capture, hint_delays)| Setup { role, capture, hint_delays })
}

fn told(traffic: &Traffic, setup: Setup) -> Told {
    let host = Host::watch(&traffic.wire, setup);
    let complaints = host.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");
    host.stops()
}

/// Every exchange is told as it was, at its time.
fn exact(traffic: &Traffic, setup: Setup) -> Result<(), TestCaseError> {
    let told = told(traffic, setup);
    let expected: Vec<&str> = traffic.planned.iter().map(|planned| planned.line.as_str()).collect();
    prop_assert_eq!(told.lines(), expected);
    for (exchange, expected) in told.exchanges.iter().zip(traffic.times()) {
        let mut times = exchange.times;
        (times.picked_up, times.acknowledged) = (None, None);
        prop_assert_eq!(times, expected, "{:?}", exchange);
    }
    Ok(())
}

/// Nothing is told of an exchange that is not so, although not all of it may be told.
fn sound(planned: &[Planned], told: &Told) -> Result<(), TestCaseError> {
    for exchange in told.exchanges.iter().filter(|exchange| exchange.outcome != Outcome::Unobserved) {
        let target = String::from_utf8_lossy(&exchange.details.target).into_owned();
        let is_it = |planned: &&Planned| {
            planned.target == target || (exchange.partial && planned.target.starts_with(&target))
        };
        let found: Vec<&Planned> = planned.iter().filter(is_it).collect();
        prop_assert!(found.iter().any(|planned| agrees(exchange, planned)), "{:?}\nof {:?}", exchange, found);
    }
    Ok(())
}

/// What is told of an exchange is what the plan says, but for what is not told.
fn agrees(exchange: &Exchange, planned: &Planned) -> bool {
    let words: Vec<&str> = planned.line.split(' ').collect();
    let size = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)?.parse().ok()).unwrap_or(0);
    exchange.method.map(crate::exchange::Method::as_str) == words.first().copied()
        && exchange.status.is_none_or(|status| words.get(2) == Some(&status.to_string().as_str()))
        && exchange.request_body.is_none_or(|told| told == size("req="))
        && exchange.response_body.is_none_or(|told| told == size("resp="))
}

proptest! {
    #![proptest_config(deterministic(400))]

    /// One request at a time: exact whatever is captured, whatever the kernel was told, and when.
    #[test]
    fn keep_alive_is_exact(
        plans in prop::collection::vec(any_plan(1 << 20), 1..12),
        sizes in sizes(),
        starts in any_starts(),
        setup in setup(),
    ) {
        exact(&Traffic::new(&plans, 1, 0, Cuts::of(&sizes), starts), setup)?;
    }

    /// Many requests at a time: exact where all is captured.
    #[test]
    fn pipelines_are_exact_when_captured(
        plans in prop::collection::vec(any_plan(3000), 1..40),
        (batch, early) in (1_usize..20, 0_usize..5),
        sizes in sizes(),
        starts in any_starts(),
        setup in setup(),
    ) {
        let traffic = Traffic::new(&plans, batch, early, Cuts::of(&sizes), starts);
        exact(&traffic, Setup { capture: redtap_ebpf::MAX_CAPTURE, ..setup })?;
    }

    /// Many requests at a time, of which too little was captured before the kernel was told: what is told is so, where
    /// all are answered before others follow.
    #[test]
    fn pipelines_are_never_told_wrongly(
        plans in prop::collection::vec(any_plan(3000).prop_map(Plan::plain), 1..40),
        batch in 1_usize..20,
        sizes in sizes(),
        starts in any_starts(),
        setup in setup(),
    ) {
        let traffic = Traffic::new(&plans, batch, 0, Cuts::of(&sizes), starts);
        sound(&traffic.planned, &told(&traffic, setup))?;
    }

    /// Records are lost: what is told is so.
    #[test]
    fn losses_are_never_told_wrongly(
        plans in prop::collection::vec(any_plan(20_000), 1..12),
        sizes in sizes(),
        starts in any_starts(),
        setup in setup(),
        lost in prop::collection::vec(0_usize..200, 1..6),
    ) {
        let mut traffic = Traffic::new(&plans, 1, 0, Cuts::of(&sizes), starts);
        traffic.wire.lose(&lost);
        sound(&traffic.planned, &told(&traffic, setup))?;
    }
}
