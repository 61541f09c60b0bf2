//! Trace context by cases: those of the W3C test suite, of the B3 and Jaeger documents, and hostile ones.

use proptest::prelude::*;

use super::*;
use crate::testing::deterministic;

/// What a head's lines carry: `trace span sampled random`, `-` for what is not known; and the state.
fn read(head: &str, order: &str) -> (String, String) {
    let mut fields = Fields::default();
    for line in head.lines() {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no field: {line}"));
        fields.add(name.as_bytes(), value.trim_ascii().as_bytes());
    }
    let mut state = Vec::new();
    let carried = parse(&fields, Propagators::parse(order).unwrap()).map(|(carried, found)| {
        found.append_to(&mut state);
        carried
    });
    (carried.map(|carried| text(&carried)).unwrap_or_default(), String::from_utf8(state).unwrap())
}

fn text(carried: &Carried) -> String {
    let ids = carried.ids.map_or("-".to_owned(), |(trace, span)| format!("{trace} {span}"));
    let sampled = match carried.sampled {
        Some(true) => "sampled",
        Some(false) => "not",
        None => "-",
    };
    format!("{ids} {sampled}{}", if carried.random { " random" } else { "" })
}

const ALL: &str = "tracecontext,b3,b3multi,jaeger";

fn check(order: &str, cases: &[(&str, &str)]) {
    for (head, expected) in cases {
        assert_eq!(read(head, order).0, *expected, "{head}");
    }
}

const W3C: &str = "12345678901234567890123456789012 1234567890123456 sampled";

#[test]
fn traceparent_as_the_test_suite_has_it() {
    const ID: &str = "12345678901234567890123456789012-1234567890123456";
    let valid = [
        "traceparent: 00-ID-01",
        "TraceParent: 00-ID-01",
        "TrAcEpArEnT: 00-ID-01",
        "traceparent:  \t00-ID-01\t ",
        "traceparent: 00-ID-05",
        "traceparent: cc-ID-01",
        "traceparent: cc-ID-01-what-the-future-will-be-like",
        "traceparent: 01-ID-09-",
    ];
    for head in valid {
        assert_eq!(read(&head.replace("ID", ID), ALL).0, W3C, "{head}");
    }
    let invalid = [
        "traceparent:",
        "trace-parent: 00-ID-01",
        "trace.parent: 00-ID-01",
        "traceparent: 00-ID-01\ntraceparent: 00-ID-01",
        "traceparent:\ntraceparent: 00-ID-01",
        "traceparent: 00-ID-01-what-the-future-will-be-like",
        "traceparent: 00-ID-01-",
        "traceparent: 00-ID-01.",
        "traceparent: cc-ID-01.what-the-future-will-not-be-like",
        "traceparent: cc-ID-0",
        "traceparent: ff-ID-01",
        "traceparent: FF-ID-01",
        "traceparent: .0-ID-01",
        "traceparent: 0.-ID-01",
        "traceparent: 000-ID-01",
        "traceparent: 0000-ID-01",
        "traceparent: 0-ID-01",
        "traceparent: 00-ID-.0",
        "traceparent: 00-ID-0.",
        "traceparent: 00-ID-001",
        "traceparent: 00-ID-1",
        "traceparent: 00-ID",
        "traceparent: 00_ID-01",
        "traceparent: 00-00000000000000000000000000000000-1234567890123456-01",
        "traceparent: 00-.2345678901234567890123456789012-1234567890123456-01",
        "traceparent: 00-1234567890123456789012345678901.-1234567890123456-01",
        "traceparent: 00-1234567890123456789012345678901A-1234567890123456-01",
        "traceparent: 00-123456789012345678901234567890123-1234567890123456-01",
        "traceparent: 00-1234567890123456789012345678901-1234567890123456-01",
        "traceparent: 00-12345678901234567890123456789012-0000000000000000-01",
        "traceparent: 00-12345678901234567890123456789012-.234567890123456-01",
        "traceparent: 00-12345678901234567890123456789012-123456789012345.-01",
        "traceparent: 00-12345678901234567890123456789012-123456789012345F-01",
        "traceparent: 00-12345678901234567890123456789012-12345678901234567-01",
        "traceparent: 00-12345678901234567890123456789012-123456789012345-01",
        "traceparent: 00-+2345678901234567890123456789012-1234567890123456-01",
    ];
    for head in invalid {
        let head = format!("{}\ntracestate: foo=1", head.replace("ID", ID));
        assert_eq!(read(&head, ALL), (String::new(), String::new()), "{head}");
    }
    check(
        ALL,
        &[
            (
                "traceparent: 00-12345678901234567890123456789012-1234567890123456-00",
                &W3C.replace("sampled", "not"),
            ),
            ("traceparent: 00-12345678901234567890123456789012-1234567890123456-03", &format!("{W3C} random")),
            ("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff", JAEGER_RANDOM),
        ],
    );
}

const JAEGER_RANDOM: &str = "0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 sampled random";

#[test]
fn tracestate_as_the_test_suite_has_it() {
    let key = "z".repeat(256);
    let value = format!("k={}", "v".repeat(256));
    let members = (1..=33).map(|number| format!("a{number}=1")).collect::<Vec<_>>();
    let (most, too_many) = (members[..32].join(","), members.join(","));
    let all = "a0_-*/@z=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~ a";
    for (state, expected) in [
        ("tracestate: foo=1", "foo=1"),
        ("TraceState: foo=1", "foo=1"),
        ("trace-state: foo=1", ""),
        ("trace.state: foo=1", ""),
        ("tracestate:", ""),
        ("tracestate: foo=1\ntracestate:", "foo=1"),
        ("tracestate:\ntracestate: foo=1", "foo=1"),
        (
            "tracestate: foo=1,bar=2\ntracestate: rojo=1,congo=2\ntracestate: baz=3",
            "foo=1,bar=2,rojo=1,congo=2,baz=3",
        ),
        ("tracestate: foo=1,foo=2", "foo=1,foo=2"),
        ("tracestate: foo=1 \t , \t bar=2, \t baz=3", "foo=1,bar=2,baz=3"),
        ("tracestate: foo=1,,bar=2,", "foo=1,bar=2"),
        ("tracestate: foo= 1", "foo= 1"),
        ("tracestate: foo@bar=1", "foo@bar=1"),
        ("tracestate: 0foo=1", "0foo=1"),
        ("tracestate: foo =1", ""),
        ("tracestate: FOO=1", ""),
        ("tracestate: foo.bar=1", ""),
        ("tracestate: @foo=1,bar=2", ""),
        ("tracestate: _foo=1,bar=2", ""),
        ("tracestate: foo,bar=3", ""),
        ("tracestate: foo=,bar=3", ""),
        ("tracestate: =1", ""),
        ("tracestate: foo=bar=baz", ""),
        ("tracestate: foo=\u{e4}", ""),
        ("tracestate: foo=a\tb", ""),
        (&format!("tracestate: {all}"), all),
        (&format!("tracestate: {most}"), &most),
        (&format!("tracestate: {too_many}"), ""),
        (&format!("tracestate: {key}=1"), &format!("{key}=1")),
        (&format!("tracestate: {key}z=1"), ""),
        (&format!("tracestate: {value}"), &value),
        (&format!("tracestate: {value}v"), ""),
        (&"tracestate: a=1\n".repeat(8), "a=1,a=1,a=1,a=1,a=1,a=1,a=1,a=1"),
        (&"tracestate: a=1\n".repeat(9), ""),
    ] {
        let head = format!("traceparent: 00-12345678901234567890123456789012-1234567890123456-01\n{state}");
        assert_eq!(read(&head, ALL), (W3C.to_owned(), expected.to_owned()), "{state}");
        assert_eq!(read(state.trim_end(), ALL), (String::new(), String::new()), "without traceparent: {state}");
    }
}

#[test]
fn a_long_state_loses_whole_members() {
    // Members by their keys.
    let state = |keys: &str| {
        let length = |key| match key {
            'f' => 7,
            'g' => 8,
            'l' => 200,
            'm' => 250,
            _ => 100,
        };
        let member = |key| format!("{key}={}", "x".repeat(length(key) - 2));
        keys.chars().map(member).collect::<Vec<_>>().join(",")
    };
    for (keys, kept) in [
        ("abcde", "abcde"),
        ("abcdef", "abcdef"),
        ("abcdeg", "abcde"),
        ("abcdefg", "abcdef"),
        ("labcde", "abcde"),
        ("abl", "abl"),
        // The long one on the right goes, the other may stay.
        ("lam", "la"),
        ("lamb", "lab"),
        ("mml", "mm"),
    ] {
        let head = format!(
            "traceparent: 00-12345678901234567890123456789012-1234567890123456-01\ntracestate: {}",
            state(keys)
        );
        assert_eq!(read(&head, ALL).1, state(kept), "{keys}");
    }
    assert_eq!([state("abcdef").len(), state("mml").len()], [512, 702]);
}

const B3: &str = "80f198ee56343ba864fe8b2a57d3eff7 e457b5a2e4d86bd1";

#[test]
fn b3_in_one_field_and_in_several() {
    let ids = "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1";
    let single = |state: &str| format!("b3: {ids}{state}");
    let multi = "X-B3-TraceId: 80f198ee56343ba864fe8b2a57d3eff7\nX-B3-SpanId: e457b5a2e4d86bd1";
    let cases = [
        (single("-1"), format!("{B3} sampled")),
        (single("-1-05e3ac9a4f6e3b90"), format!("{B3} sampled")),
        (single("-0"), format!("{B3} not")),
        (single("-d"), format!("{B3} sampled")),
        (single(""), format!("{B3} -")),
        (single("").to_uppercase(), format!("{B3} -")),
        (
            "b3: a3ce929d0e0e4736-00f067aa0ba902b7-1".into(),
            "0000000000000000a3ce929d0e0e4736 00f067aa0ba902b7 sampled".into(),
        ),
        ("b3: 0".into(), "- not".into()),
        ("b3: 1".into(), "- sampled".into()),
        ("b3: d".into(), "- sampled".into()),
        ("b3: 2".into(), String::new()),
        ("b3:".into(), String::new()),
        ("b3: 80f198ee56343ba864fe8b2a57d3eff7".into(), String::new()),
        (single("-"), String::new()),
        (single("-2"), String::new()),
        (single("-1-"), String::new()),
        (single("-1-05e3ac9a4f6e3b9"), String::new()),
        (single("-1-05e3ac9a4f6e3b90-1"), String::new()),
        ("b3: 80f198ee56343ba864fe8b2a57d3eff-e457b5a2e4d86bd1-1".into(), String::new()),
        ("b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd-1".into(), String::new()),
        ("b3: 00000000000000000000000000000000-e457b5a2e4d86bd1-1".into(), String::new()),
        ("b3: a3ce929d0e0e4736-0000000000000000-1".into(), String::new()),
        (multi.into(), format!("{B3} -")),
        (format!("{multi}\nX-B3-Sampled: 1"), format!("{B3} sampled")),
        (format!("{multi}\nx-b3-sampled: true"), format!("{B3} sampled")),
        (format!("{multi}\nX-B3-Sampled: 0"), format!("{B3} not")),
        (format!("{multi}\nX-B3-Sampled: false"), format!("{B3} not")),
        (format!("{multi}\nX-B3-Sampled: 0\nX-B3-Flags: 1"), format!("{B3} sampled")),
        (format!("{multi}\nX-B3-Sampled: 0\nX-B3-Flags: 0"), format!("{B3} not")),
        (format!("{multi}\nX-B3-Sampled: maybe"), String::new()),
        (format!("{multi}\nX-B3-ParentSpanId: 05e3ac9a4f6e3b90\nX-B3-Sampled: 1"), format!("{B3} sampled")),
        ("X-B3-Sampled: 0".into(), "- not".into()),
        ("X-B3-Flags: 1".into(), "- sampled".into()),
        ("X-B3-TraceId: 80f198ee56343ba864fe8b2a57d3eff7".into(), String::new()),
        ("X-B3-SpanId: e457b5a2e4d86bd1\nX-B3-Sampled: 1".into(), String::new()),
        (format!("b3: 0\n{multi}\nX-B3-Sampled: 1"), "- not".into()),
        (format!("b3: nonsense\n{multi}\nX-B3-Sampled: 1"), format!("{B3} sampled")),
    ];
    for order in [ALL, "b3", "b3multi"] {
        for (head, expected) in &cases {
            assert_eq!(read(head, order).0, *expected, "{head}");
        }
    }
}

#[test]
fn jaeger_plain_and_url_encoded() {
    let ids = "000000000000000000007f46165474d1 0000c5ceb1c23dcc";
    check(
        ALL,
        &[
            ("uber-trace-id: 7f46165474d1:c5ceb1c23dcc:0:1", &format!("{ids} sampled")),
            ("Uber-Trace-Id: 7F46165474D1:C5CEB1C23DCC:0:01", &format!("{ids} sampled")),
            ("uber-trace-id: 7f46165474d1%3Ac5ceb1c23dcc%3a0%3A1", &format!("{ids} sampled")),
            ("uber-trace-id: 7f46165474d1:c5ceb1c23dcc:0:0", &format!("{ids} not")),
            ("uber-trace-id: 7f46165474d1:c5ceb1c23dcc:0:8", &format!("{ids} not")),
            ("uber-trace-id: 7f46165474d1:c5ceb1c23dcc:0:3", &format!("{ids} sampled")),
            ("uber-trace-id: 7f46165474d1:c5ceb1c23dcc::2", &format!("{ids} sampled")),
            ("uber-trace-id: 7f46165474d1:c5ceb1c23dcc:0", ""),
            ("uber-trace-id: 7f46165474d1:c5ceb1c23dcc:0:1:1", ""),
            ("uber-trace-id: 7f46165474d1:c5ceb1c23dcc:0:001", ""),
            ("uber-trace-id: 7f46165474d1:c5ceb1c23dcc:0:", ""),
            ("uber-trace-id: 0:c5ceb1c23dcc:0:1", ""),
            ("uber-trace-id: 7f46165474d1:0:0:1", ""),
            ("uber-trace-id: :c5ceb1c23dcc:0:1", ""),
            ("uber-trace-id: 7f46165474d1%3Bc5ceb1c23dcc:0:1", ""),
            ("uber-trace-id: 7f46165474d1:10000000000000000:0:1", ""),
            ("uber-trace-id: 100000000000000000000000000000000:1:0:1", ""),
            ("uber-trace-id: -1:1:0:1", ""),
            ("uber-trace-id:", ""),
        ],
    );
}

#[test]
fn the_first_valid_format_in_order_counts() {
    let parent = "traceparent: 00-12345678901234567890123456789012-1234567890123456-01";
    let b3 = "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1";
    let jaeger = "uber-trace-id: a:b:0:1";
    let head = format!("{jaeger}\n{b3}\n{parent}\ntracestate: foo=1");
    let (b3, jaeger) = (format!("{B3} sampled"), format!("{:032x} {:016x} sampled", 0xa, 0xb));
    for (order, expected, state) in [
        (ALL, W3C, "foo=1"),
        ("tracecontext,baggage", W3C, "foo=1"),
        ("b3,tracecontext", &b3, ""),
        ("jaeger , b3multi", &jaeger, ""),
        ("baggage", "", ""),
        ("none", "", ""),
    ] {
        assert_eq!(read(&head, order), (expected.to_owned(), state.to_owned()), "{order}");
    }
    let invalid = head.replace("00-1234", "00-123g");
    assert_eq!(read(&invalid, ALL), (b3, String::new()), "falls back");
}

#[test]
fn propagators_are_those_that_are_known() {
    assert_eq!(Propagators::parse(ALL), Ok(Propagators::default()));
    assert_eq!(Propagators::parse("b3,b3,b3multi").unwrap().formats().collect::<Vec<_>>(), [Format::B3]);
    assert_eq!(Propagators::parse(""), Ok(Propagators::NONE));
    for text in ["xray", "TraceContext", "none,b3", "b3 jaeger"] {
        assert!(Propagators::parse(text).is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(deterministic(512))]

    /// What is written in a format is read from it, and no other bytes give ids that are zero or a state too long.
    #[test]
    fn what_is_written_is_read(trace in 1_u128.., span in 1_u64.., sampled in any::<bool>()) {
        let flag = u8::from(sampled);
        let expected = format!("{trace:032x} {span:016x} {}", if sampled { "sampled" } else { "not" });
        for head in [
            format!("traceparent: 00-{trace:032x}-{span:016x}-{flag:02x}"),
            format!("b3: {trace:032x}-{span:016x}-{flag}"),
            format!("X-B3-TraceId: {trace:032x}\nX-B3-SpanId: {span:016x}\nX-B3-Sampled: {flag}"),
            format!("uber-trace-id: {trace:x}:{span:x}:0:{flag:x}"),
            format!("uber-trace-id: {trace:x}%3A{span:x}%3A0%3A{flag:02x}"),
        ] {
            prop_assert_eq!(read(&head, ALL).0, expected.clone(), "{}", head);
        }
    }

    #[test]
    fn any_state_is_whole_or_nothing(values in prop::collection::vec("[ -~\t]{0,300}|([a-z]{1,4}=[a-z]{1,200},){0,8}", 0..10)) {
        let head: String = values.iter().map(|value| format!("tracestate: {value}\n")).collect();
        let parent = "traceparent: 00-12345678901234567890123456789012-1234567890123456-01";
        let (_, state) = read(&format!("{parent}\n{head}"), ALL);
        prop_assert!(state.len() <= MAX_TRACE_STATE, "{}", state.len());
        prop_assert_eq!(&read(&format!("{parent}\ntracestate: {state}"), ALL).1, &state);
        for member in state.split(',').filter(|member| !member.is_empty()) {
            prop_assert!(values.iter().any(|value| value.contains(member)), "{member}");
        }
    }
}
