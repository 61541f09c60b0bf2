use opentelemetry::trace::{SpanId, TraceId};

use super::{super::legacy, *};
use crate::{
    red::{Bounds, Exponential},
    semconv::{
        FLOWS, HTTP_REQUEST_METHOD, HTTP_RESPONSE_STATUS_CODE, HTTP_SERVER_REQUEST_DURATION, SEGMENTS,
        SERVICE_NAME, STATE, TARGET, Unit,
    },
};

static BOUNDS: Bounds<2> = Bounds { upper: [5_000_000, 1_000_000_000], unit: Unit::Seconds };

/// 2 s and 1 s after the epoch, in nanoseconds.
const NOW: u64 = 2_000_000_000;
const START: u64 = 1_000_000_000;

fn builder(native: bool, classic_too: bool) -> Builder {
    let labels =
        [("job", "redtap"), ("zone", "a"), ("instance", "h"), ("job", "later"), ("empty", ""), ("le", "x")];
    let labels = labels.map(|(name, value)| (name.into(), value.into()));
    Builder::new(labels.to_vec(), Histograms { native, classic_too })
}

/// A series as a line of text: its name and labels, and its samples.
fn lines(messages: &[Message]) -> Vec<String> {
    let mut lines = Vec::new();
    for Message { request, samples } in messages {
        let text = |index: &u32| request.symbols[*index as usize].as_str();
        assert_eq!(request.symbols[0], "");
        let mut count = 0;
        for series in &request.timeseries {
            let pairs: Vec<_> =
                series.labels_refs.chunks(2).map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
            assert!(pairs.is_sorted_by(|a, b| a.0 < b.0), "{pairs:?}");
            assert!(pairs.iter().all(|(name, value)| !name.is_empty() && !value.is_empty()), "{pairs:?}");
            assert!(series.samples.is_empty() != series.histograms.is_empty());
            count += series.samples.len() + series.histograms.len();
            let name = pairs.iter().find(|(name, _)| *name == "__name__").unwrap().1;
            let labels: Vec<_> = pairs
                .iter()
                .filter(|(name, _)| !["__name__", "job", "instance", "zone"].contains(name))
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            for sample in &series.samples {
                let value =
                    if sample.value.to_bits() == STALE { "stale".to_owned() } else { sample.value.to_string() };
                let at = format!("@{}<{}", sample.timestamp, sample.start_timestamp);
                lines.push(format!("{name}{{{}}} {value}{at}", labels.join(",")));
            }
            for histogram in &series.histograms {
                let value = if histogram.sum.to_bits() == STALE {
                    "stale".to_owned()
                } else {
                    format!("{}/{} {:?}", histogram.count_int.unwrap(), histogram.sum, histogram.positive_deltas)
                };
                lines.push(format!("{name}{{{}}} {value}", labels.join(",")));
            }
            for exemplar in &series.exemplars {
                let labels: Vec<_> = exemplar.labels_refs.iter().map(text).collect();
                lines.push(format!("  {} {}@{}", labels.join(" "), exemplar.value, exemplar.timestamp));
            }
        }
        assert_eq!(*samples, count as u64);
    }
    lines
}

fn numbers(builder: &mut Builder, now: u64, points: &[(&'static Metric, Attributes, Value)]) -> Vec<Message> {
    builder.build(now, |sink| {
        points.iter().try_for_each(|(metric, attributes, value)| {
            sink.family(metric, &mut |points| points.number(Point { attributes, start: START }, *value))
        })
    })
}

fn histogram(builder: &mut Builder, now: u64, exemplars: [Option<u64>; 3]) -> Vec<Message> {
    let (mut histogram, mut exponential) = (red::Histogram::EMPTY, Exponential::default());
    for value in [1_000_000, 6_000_000, 6_000_000, 3_000_000_000] {
        histogram.observe(&BOUNDS, value);
        exponential.observe(crate::export::metrics::exported(Unit::Seconds, u128::from(value)));
    }
    let exemplars = exemplars.map(|at| {
        let (trace_id, span_id) = (TraceId::from(7), SpanId::from(9));
        at.map(|at| red::Exemplar { trace_id, span_id, value: 4_000_000, at })
    });
    let view = HistogramView::new(&BOUNDS, &histogram).with(Some(&exponential), &exemplars);
    let attributes = Attributes::of([(SERVICE_NAME, "cart")]);
    builder.build(now, |sink| {
        sink.family(&HTTP_SERVER_REQUEST_DURATION, &mut |points| {
            points.histogram(Point { attributes: &attributes, start: START }, &view)
        })
    })
}

#[test]
fn numbers_with_their_labels() {
    let cart = Attributes::of([(SERVICE_NAME, "cart")]);
    let messages = numbers(
        &mut builder(false, false),
        NOW,
        &[
            (&TARGET, cart.clone(), Value::Integer(1)),
            (
                &SEGMENTS,
                cart.with(HTTP_RESPONSE_STATUS_CODE, 200_u16).with(HTTP_REQUEST_METHOD, ""),
                Value::Integer(7),
            ),
            (&FLOWS, Attributes::of([(STATE, "open")]), Value::Float(0.5)),
        ],
    );
    assert_eq!(
        lines(&messages),
        [
            "target_info{service_name=cart} 1@2000<0",
            "redtap_segments_total{http_response_status_code=200,service_name=cart} 7@2000<1000",
            "redtap_flows{state=open} 0.5@2000<0",
        ]
    );
    let request = &messages[0].request;
    let series = &request.timeseries[1];
    let labels: Vec<_> = series.labels_refs.iter().map(|index| &*request.symbols[*index as usize]).collect();
    let expected = [
        ["__name__", "redtap_segments_total"],
        ["http_response_status_code", "200"],
        ["instance", "h"],
        ["job", "redtap"],
        ["service_name", "cart"],
        ["zone", "a"],
    ];
    assert_eq!(labels, expected.concat());
    let metadata = series.metadata.unwrap();
    assert_eq!(
        (metadata.r#type(), &*request.symbols[metadata.help_ref as usize]),
        (MetricType::Counter, SEGMENTS.help)
    );
    assert_eq!(series.created_timestamp, 1000);
}

#[test]
fn what_a_series_says_itself_comes_before_what_all_say() {
    let mut builder = Builder::new(vec![("service_name".into(), "all".into())], Histograms::default());
    let own = Attributes::of([(SERVICE_NAME, "cart")]);
    let messages = numbers(
        &mut builder,
        NOW,
        &[(&FLOWS, own, Value::Integer(1)), (&SEGMENTS, Attributes::new(), Value::Integer(1))],
    );
    let expected =
        ["redtap_flows{service_name=cart} 1@2000<0", "redtap_segments_total{service_name=all} 1@2000<1000"];
    assert_eq!(lines(&messages), expected);
}

const CLASSIC: [&str; 6] = [
    "http_server_request_duration_seconds_bucket{le=0.005,service_name=cart} 1@2000<1000",
    "http_server_request_duration_seconds_bucket{le=1.0,service_name=cart} 3@2000<1000",
    "  span_id 0000000000000009 trace_id 00000000000000000000000000000007 0.004@1500",
    "http_server_request_duration_seconds_bucket{le=+Inf,service_name=cart} 4@2000<1000",
    "http_server_request_duration_seconds_sum{service_name=cart} 3.013@2000<1000",
    "http_server_request_duration_seconds_count{service_name=cart} 4@2000<1000",
];

const NATIVE: [&str; 2] = [
    "http_server_request_duration_seconds{service_name=cart} 4/3.013 [1, 1, -1]",
    "  span_id 0000000000000009 trace_id 00000000000000000000000000000007 0.004@1500",
];

#[test]
fn histograms_of_either_form() {
    let exemplars = [None, Some(1_500_000_000), None];
    assert_eq!(lines(&histogram(&mut builder(false, false), NOW, exemplars)), CLASSIC);
    assert_eq!(lines(&histogram(&mut builder(false, true), NOW, exemplars)), CLASSIC);
    assert_eq!(lines(&histogram(&mut builder(true, false), NOW, exemplars)), NATIVE);
    let both = lines(&histogram(&mut builder(true, true), NOW, exemplars));
    assert_eq!(both, [&NATIVE[..], &CLASSIC[..]].concat());
}

#[test]
fn an_exemplar_is_told_of_once() {
    let exemplars =
        |messages: &[Message]| lines(messages).into_iter().filter(|line| line.starts_with(' ')).count();
    let at = |milliseconds: u64| Some(milliseconds * 1_000_000);
    for native in [false, true] {
        let mut builder = builder(native, false);
        assert_eq!(exemplars(&histogram(&mut builder, NOW, [at(1), None, None])), 1);
        assert_eq!(exemplars(&histogram(&mut builder, NOW, [at(1), None, None])), 0);
        assert_eq!(exemplars(&histogram(&mut builder, NOW, [at(1), at(5), at(4)])), 2);
        // Of the same millisecond: for a receiver, that may be before.
        let sooner = at(5).map(|at| at + 999_999);
        assert_eq!(exemplars(&histogram(&mut builder, NOW, [at(1), sooner, at(4)])), 0);
        // A bucket's is new to it; to the histogram as a whole it comes too late.
        let mut builder = self::builder(native, false);
        histogram(&mut builder, NOW, [at(7), None, None]);
        assert_eq!(exemplars(&histogram(&mut builder, NOW, [None, at(6), None])), usize::from(!native));
    }
}

#[test]
fn what_is_gone_is_said_to_have_ended_once() {
    let mut builder = builder(true, true);
    let gauge = (&FLOWS, Attributes::of([(STATE, "open")]), Value::Integer(1));
    let counter = (&SEGMENTS, Attributes::new(), Value::Integer(1));
    numbers(&mut builder, NOW, &[gauge.clone(), counter.clone()]);
    let expected = ["redtap_flows{state=open} 1@3000<0", "redtap_segments_total{} stale@3000<0"];
    assert_eq!(lines(&numbers(&mut builder, 3_000_000_000, std::slice::from_ref(&gauge))), expected);
    assert_eq!(lines(&numbers(&mut builder, 4_000_000_000, &[gauge])), ["redtap_flows{state=open} 1@4000<0"]);
    assert_eq!(lines(&numbers(&mut builder, 5_000_000_000, &[])), ["redtap_flows{state=open} stale@5000<0"]);
    assert_eq!(numbers(&mut builder, 6_000_000_000, &[]), []);

    histogram(&mut builder, NOW, [None; 3]);
    assert_eq!(
        lines(&numbers(&mut builder, 3_000_000_000, &[])),
        [
            "http_server_request_duration_seconds{service_name=cart} stale",
            "http_server_request_duration_seconds_bucket{le=0.005,service_name=cart} stale@3000<0",
            "http_server_request_duration_seconds_bucket{le=1.0,service_name=cart} stale@3000<0",
            "http_server_request_duration_seconds_bucket{le=+Inf,service_name=cart} stale@3000<0",
            "http_server_request_duration_seconds_sum{service_name=cart} stale@3000<0",
            "http_server_request_duration_seconds_count{service_name=cart} stale@3000<0",
        ]
    );
}

#[test]
fn a_start_that_is_not_before_the_sample_is_none() {
    let counter = (&SEGMENTS, Attributes::new(), Value::Integer(1));
    assert_eq!(
        lines(&numbers(&mut builder(false, false), START, &[counter])),
        ["redtap_segments_total{} 1@1000<0"]
    );
}

#[test]
fn requests_are_bounded_and_a_point_is_in_one() {
    let attributes: Vec<_> =
        (0..1000_u32).map(|index| Attributes::of([(SERVICE_NAME, format!("s{index}"))])).collect();
    let mut histogram = red::Histogram::EMPTY;
    histogram.observe(&BOUNDS, 1);
    let view = HistogramView::new(&BOUNDS, &histogram);
    let messages = builder(false, false).build(NOW, |sink| {
        sink.family(&HTTP_SERVER_REQUEST_DURATION, &mut |points| {
            attributes
                .iter()
                .try_for_each(|attributes| points.histogram(Point { attributes, start: START }, &view))
        })
    });
    assert_eq!(messages.iter().map(|message| message.samples).sum::<u64>(), 5000);
    assert!(messages.iter().all(|message| message.samples <= MAX_SAMPLES as u64 && message.samples % 5 == 0));
    assert_eq!((messages.len(), lines(&messages).len()), (3, 5000));

    let long = "x".repeat(MAX_TEXT / 4);
    let attributes: Vec<_> =
        (0..10_u32).map(|index| Attributes::of([(STATE, format!("{long}{index}"))])).collect();
    let messages = builder(false, false).build(NOW, |sink| {
        sink.family(&FLOWS, &mut |points| {
            attributes
                .iter()
                .try_for_each(|attributes| points.number(Point { attributes, start: START }, Value::Integer(1)))
        })
    });
    assert_eq!(messages.iter().map(|message| message.samples).collect::<Vec<_>>(), [4, 4, 2]);
}

#[test]
fn the_older_version_has_the_same() {
    let messages = histogram(&mut builder(true, true), NOW, [None, Some(1_500_000_000), None]);
    let request = legacy::request(&messages[0].request);
    assert_eq!(request.timeseries.len(), 6);
    let native = &request.timeseries[0];
    let labels: Vec<_> = native.labels.iter().map(|label| (&*label.name, &*label.value)).collect();
    assert_eq!(labels[0], ("__name__", "http_server_request_duration_seconds"));
    assert_eq!((native.histograms[0].start_timestamp, native.histograms[0].count_int), (0, Some(4)));
    let bucket = &request.timeseries[2];
    assert_eq!((bucket.samples[0].value, bucket.samples[0].start_timestamp), (3.0, 0));
    assert_eq!(bucket.exemplars[0].labels[1].name, "trace_id");
    let [family] = &request.metadata[..] else { panic!("{:?}", request.metadata) };
    assert_eq!(
        (&*family.metric_family_name, family.r#type()),
        ("http_server_request_duration_seconds", MetricType::Histogram)
    );
    assert_eq!((&*family.help, &*family.unit), (HTTP_SERVER_REQUEST_DURATION.help, "seconds"));
}
