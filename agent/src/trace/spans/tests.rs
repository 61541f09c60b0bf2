//! Where exchanges stand in their traces, by every sampler.

use proptest::prelude::*;

use super::*;
use crate::{testing::deterministic, trace::Ratio};

const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
const SPAN: u64 = 0xb7ad_6b71_6920_3331;
const SERVICE: ServiceId = ServiceId(1);

fn carried(sampled: Option<bool>) -> Option<Carried> {
    Some(Carried { ids: Some((TraceId::from(TRACE), SpanId::from(SPAN))), sampled, random: true })
}

fn decision_only(sampled: bool) -> Option<Carried> {
    Some(Carried { ids: None, sampled: Some(sampled), random: false })
}

/// Answered after so many milliseconds.
fn exchange(role: Role, trace: Option<Carried>, status: u16, took: u64) -> Exchange {
    let mut exchange = Exchange { role, trace, status: Some(status), ..Exchange::default() };
    exchange.outcome = if status < 500 { Outcome::Ok } else { Outcome::Error };
    exchange.times.request_first = Some(Nanos(1_000_000_000));
    exchange.times.response_last = Some(Nanos(1_000_000_000 + took * 1_000_000));
    exchange
}

fn sampler(name: &str) -> Sampler {
    let (name, arg) = name.split_once(' ').map_or((name, None), |(name, arg)| (name, Some(arg)));
    Sampler::parse(name, arg).unwrap()
}

#[test]
fn samplers_do_as_their_names_say() {
    let (yes, no, open) = (carried(Some(true)), carried(Some(false)), carried(None));
    let (accept, deny) = (decision_only(true), decision_only(false));
    // Nothing carried; kept by the caller, not kept, left open; only a decision to keep, and not to.
    let requests = [None, yes, no, open, accept, deny];
    for (name, expected) in [
        ("always_on", [true; 6]),
        ("always_off", [false; 6]),
        ("traceidratio", [true; 6]),
        ("traceidratio 0", [false; 6]),
        ("parentbased_always_on", [true, true, false, true, true, false]),
        ("parentbased_always_off", [false, true, false, false, true, false]),
        ("parentbased_traceidratio 1", [true, true, false, true, true, false]),
        ("parentbased_traceidratio 0", [false, true, false, false, true, false]),
        ("errors_and_slowest 1", [true; 6]),
        ("errors_and_slowest 0", [false; 6]),
    ] {
        for role in [Role::Server, Role::Client] {
            let mut spans = Spans::new(sampler(name), true, 7);
            let decisions = requests.map(|trace| spans.decide(&exchange(role, trace, 200, 1), SERVICE));
            assert_eq!(decisions.map(|decision| decision.export), expected, "{name} {role:?}");
            assert!(decisions.iter().all(|decision| decision.ids.is_some() == decision.export), "{name}");
        }
    }
}

#[test]
fn a_server_continues_the_trace_and_a_client_is_the_span_it_told_of() {
    let mut spans = Spans::new(Sampler::default(), true, 7);
    let mut ids = |role, trace| spans.decide(&exchange(role, trace, 200, 1), SERVICE).ids.unwrap();
    let server = ids(Role::Server, carried(Some(true)));
    assert_eq!((server.trace_id, server.parent), (TraceId::from(TRACE), Some(SpanId::from(SPAN))));
    assert!(server.random && server.span_id != SpanId::from(SPAN));
    let client = ids(Role::Client, carried(Some(true)));
    assert_eq!((client.trace_id, client.span_id), (TraceId::from(TRACE), SpanId::from(SPAN)));
    assert_eq!((client.parent, client.random), (None, true));
    let not_random = carried(Some(true)).map(|carried| Carried { random: false, ..carried });
    assert!(!ids(Role::Server, not_random).random);
    for trace in [None, decision_only(true)] {
        let (first, second) = (ids(Role::Server, trace), ids(Role::Client, trace));
        assert_eq!((first.parent, first.random, second.parent, second.random), (None, true, None, true));
        assert!(first.trace_id != second.trace_id && first.span_id != second.span_id);
    }
}

#[test]
fn without_an_exporter_only_sampled_ids_of_others_are_told() {
    for name in ["always_on", "always_off", "errors_and_slowest 1"] {
        let mut spans = Spans::new(sampler(name), false, 7);
        for role in [Role::Server, Role::Client] {
            for trace in [None, carried(Some(false)), carried(None), decision_only(true)] {
                assert_eq!(spans.decide(&exchange(role, trace, 500, 1), SERVICE), Decision::NONE, "{trace:?}");
            }
            let decision = spans.decide(&exchange(role, carried(Some(true)), 200, 1), SERVICE);
            let (trace_id, span_id) = (TraceId::from(TRACE), SpanId::from(SPAN));
            let ids = SpanIds { trace_id, span_id, parent: None, random: true };
            assert_eq!(decision, Decision { ids: Some(ids), export: false });
        }
    }
}

#[test]
fn what_was_not_seen_whole_is_no_span() {
    for export in [true, false] {
        let mut spans = Spans::new(sampler("always_on"), export, 7);
        let unseen =
            Exchange { outcome: Outcome::Unobserved, ..exchange(Role::Server, carried(Some(true)), 200, 1) };
        assert_eq!(spans.decide(&unseen, SERVICE), Decision::NONE);
    }
}

#[test]
fn failures_and_the_slowest_are_kept_within_the_budget() {
    let sampler = sampler("errors_and_slowest 0").with_budget(10);
    let mut spans = Spans::new(sampler, true, 7);
    let mut kept =
        |trace, status, took| spans.decide(&exchange(Role::Server, trace, status, took), SERVICE).export;
    for _ in 0..200 {
        assert!(!kept(None, 200, 1) && !kept(None, 404, 1), "neither failed nor slow");
    }
    assert!(kept(None, 500, 1));
    assert!(kept(None, 200, 50));
    assert!(kept(carried(Some(false)), 500, 1), "whatever the caller decided");
    let (before, mut all) = (spans.refused(), 0);
    for _ in 0..100 {
        all += u64::from(spans.decide(&exchange(Role::Server, None, 500, 1), SERVICE).export);
    }
    assert_eq!((before, all, spans.refused()), (0, 7, 93), "ten a second, three of which were given out");
    spans.set(Sampler::default(), true);
    assert_eq!(spans.refused(), 93, "what was refused stays counted");
}

#[test]
fn nothing_else_is_a_sampler() {
    for name in Sampler::NAMES {
        assert!(Sampler::parse(name, None).is_ok() && Sampler::parse(name, Some(" ")).is_ok(), "{name}");
    }
    for (name, arg) in [("", None), ("jaeger_remote", None), ("xray", None), ("traceidratio", Some("2"))] {
        assert!(Sampler::parse(name, arg).is_err(), "{name} {arg:?}");
    }
    assert_eq!(Sampler::parse("always_on", Some("no ratio")), Ok(Sampler::Root(Root::AlwaysOn)));
    let expected = Sampler::parse("traceidratio", Some("half")).unwrap_err().to_string();
    assert_eq!(expected, "expected a number from 0 to 1");
}

proptest! {
    #![proptest_config(deterministic(256))]

    /// Whatever the seed, ids are valid, and agents of different seeds agree on every trace.
    #[test]
    fn agents_agree_and_ids_are_never_zero(
        trace in 1_u128..,
        span in 1_u64..,
        seeds in any::<[u64; 2]>(),
        ratio in 0.0_f64..=1.0,
    ) {
        let ratio = Ratio::parse(&ratio.to_string()).unwrap();
        let carried = Carried { ids: Some((TraceId::from(trace), SpanId::from(span))), sampled: None, random: true };
        let agents = seeds.map(|seed| {
            let mut spans = Spans::new(Sampler::ParentBased(Root::Ratio(ratio)), true, seed);
            spans.decide(&exchange(Role::Server, Some(carried), 200, 1), SERVICE).export
        });
        prop_assert_eq!(agents[0], agents[1]);
        let mut spans = Spans::new(Sampler::Root(Root::AlwaysOn), true, seeds[0]);
        for trace in [None, Some(carried)] {
            let ids = spans.decide(&exchange(Role::Server, trace, 200, 1), SERVICE).ids.unwrap();
            prop_assert!(ids.trace_id != TraceId::INVALID && ids.span_id != SpanId::INVALID);
        }
    }

    /// A ratio keeps that part of new traces, and a larger one keeps all that a smaller one does.
    #[test]
    fn ratios_nest(a in 0.0_f64..=1.0, b in 0.0_f64..=1.0, seed in any::<u64>()) {
        let [small, large] = [a.min(b), a.max(b)].map(|ratio| {
            let mut spans = Spans::new(sampler(&format!("traceidratio {ratio}")), true, seed);
            let kept = |_| spans.decide(&exchange(Role::Server, None, 200, 1), SERVICE).export;
            (0..2000).map(kept).collect::<Vec<_>>()
        });
        prop_assert!(small.iter().zip(&large).all(|(small, large)| *large || !small));
        for (ratio, kept) in [(a.min(b), &small), (a.max(b), &large)] {
            let kept = kept.iter().filter(|kept| **kept).count();
            prop_assert!((ratio * 2000.0 - kept as f64).abs() < 150.0, "{ratio}: {kept}");
        }
    }
}
