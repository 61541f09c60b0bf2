//! Pages of all formats, of families told by hand.

use opentelemetry::trace::{SpanId, TraceId};
use prost::Message as _;

use super::{message::MetricFamily, *};
use crate::{
    export::metrics::{Attributes, HistogramView, Point, Value},
    red::{Bounds, Exemplar, Exponential, Histogram},
    semconv::{self, Unit},
};

const SECOND: u64 = 1_000_000_000;

/// When everything in these tests began.
const START: u64 = 1_720_000_000 * SECOND + 5_000_000;

static BOUNDS: Bounds<3> = Bounds { upper: [SECOND / 200, SECOND, 10 * SECOND], unit: Unit::Seconds };

fn exemplar(value: u64) -> Option<Exemplar> {
    Some(Exemplar {
        trace_id: TraceId::from(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128),
        span_id: SpanId::from(0x00f0_67aa_0ba9_02b7_u64),
        value,
        at: START + SECOND + 1,
    })
}

/// A page of a family of each kind, the values of its histogram kept in both ways.
fn tell(sink: &mut dyn Sink) -> fmt::Result {
    let none = Attributes::new();
    let service = |name: &str| Attributes::of([(semconv::SERVICE_NAME, name.to_owned())]);
    let shop = service("sh\"op\\\n");
    sink.family(&semconv::BUILD, &mut |points| {
        let attributes = shop.with(semconv::REASON, "x");
        points.number(Point { attributes: &attributes, start: 0 }, Value::Integer(1))
    })?;
    sink.family(&semconv::TCP_BYTES, &mut |points| {
        let attributes = shop.with(semconv::SERVER_PORT, 80_u16);
        points.number(Point { attributes: &attributes, start: START }, Value::Integer(7))?;
        points.number(Point { attributes: &service("other"), start: 0 }, Value::Float(0.5))
    })?;
    sink.family(&semconv::FLOWS, &mut |points| {
        points.number(Point { attributes: &none, start: START }, Value::Integer(3))
    })?;
    sink.family(&semconv::HTTP_SERVER_REQUEST_DURATION, &mut |points| {
        let (mut histogram, mut exponential) = (Histogram::<3>::default(), Exponential::default());
        for value in [SECOND / 1_000, SECOND / 4, SECOND / 2, 20 * SECOND] {
            histogram.observe(&BOUNDS, value);
            exponential.observe(value as f64 / 1e9);
        }
        let exemplars = [None, exemplar(SECOND / 4), None, exemplar(20 * SECOND)];
        let both = HistogramView::new(&BOUNDS, &histogram).with(Some(&exponential), &exemplars);
        points.histogram(Point { attributes: &shop, start: START }, &both)?;
        points.histogram(Point { attributes: &none, start: 0 }, &HistogramView::new(&BOUNDS, &histogram))
    })
}

fn written(format: Format, form: Form) -> Vec<u8> {
    let mut page = Vec::new();
    with(format, form, &mut page, tell).unwrap();
    page
}

fn text(format: Format, form: Form) -> String {
    String::from_utf8(written(format, form)).unwrap()
}

fn families(native: Native) -> Vec<MetricFamily> {
    let page = written(Format::Protobuf, Form { native, created: false });
    let mut rest = &page[..];
    let mut families = Vec::new();
    while !rest.is_empty() {
        families.push(MetricFamily::decode_length_delimited(&mut rest).unwrap());
    }
    families
}

#[test]
fn the_text_format() {
    insta::assert_snapshot!(text(Format::Text, Form { native: Native::Instead, created: true }), @r#"
    # HELP redtap_build_info What this agent was built from
    # TYPE redtap_build_info gauge
    redtap_build_info{service_name="sh\"op\\\n",reason="x"} 1
    # HELP redtap_tcp_bytes_total Distinct payload bytes of TCP connections, those open included
    # TYPE redtap_tcp_bytes_total counter
    redtap_tcp_bytes_total{service_name="sh\"op\\\n",server_port="80"} 7
    redtap_tcp_bytes_total{service_name="other"} 0.5
    # HELP redtap_flows Connections now followed, by state
    # TYPE redtap_flows gauge
    redtap_flows 3
    # HELP http_server_request_duration_seconds Duration of HTTP server requests
    # TYPE http_server_request_duration_seconds histogram
    http_server_request_duration_seconds_bucket{service_name="sh\"op\\\n",le="0.005"} 1
    http_server_request_duration_seconds_bucket{service_name="sh\"op\\\n",le="1.0"} 3
    http_server_request_duration_seconds_bucket{service_name="sh\"op\\\n",le="10.0"} 3
    http_server_request_duration_seconds_bucket{service_name="sh\"op\\\n",le="+Inf"} 4
    http_server_request_duration_seconds_sum{service_name="sh\"op\\\n"} 20.751
    http_server_request_duration_seconds_count{service_name="sh\"op\\\n"} 4
    http_server_request_duration_seconds_bucket{le="0.005"} 1
    http_server_request_duration_seconds_bucket{le="1.0"} 3
    http_server_request_duration_seconds_bucket{le="10.0"} 3
    http_server_request_duration_seconds_bucket{le="+Inf"} 4
    http_server_request_duration_seconds_sum 20.751
    http_server_request_duration_seconds_count 4
    "#);
}

#[test]
fn openmetrics() {
    insta::assert_snapshot!(text(Format::OpenMetrics, Form { native: Native::Instead, created: true }), @r#"
    # HELP redtap_build What this agent was built from
    # TYPE redtap_build info
    redtap_build_info{service_name="sh\"op\\\n",reason="x"} 1
    # HELP redtap_tcp_bytes Distinct payload bytes of TCP connections, those open included
    # TYPE redtap_tcp_bytes counter
    # UNIT redtap_tcp_bytes bytes
    redtap_tcp_bytes_total{service_name="sh\"op\\\n",server_port="80"} 7
    redtap_tcp_bytes_created{service_name="sh\"op\\\n",server_port="80"} 1720000000.005
    redtap_tcp_bytes_total{service_name="other"} 0.5
    # HELP redtap_flows Connections now followed, by state
    # TYPE redtap_flows gauge
    redtap_flows 3
    # HELP http_server_request_duration_seconds Duration of HTTP server requests
    # TYPE http_server_request_duration_seconds histogram
    # UNIT http_server_request_duration_seconds seconds
    http_server_request_duration_seconds_bucket{service_name="sh\"op\\\n",le="0.005"} 1
    http_server_request_duration_seconds_bucket{service_name="sh\"op\\\n",le="1.0"} 3 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736",span_id="00f067aa0ba902b7"} 0.25 1720000001.005
    http_server_request_duration_seconds_bucket{service_name="sh\"op\\\n",le="10.0"} 3
    http_server_request_duration_seconds_bucket{service_name="sh\"op\\\n",le="+Inf"} 4 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736",span_id="00f067aa0ba902b7"} 20 1720000001.005
    http_server_request_duration_seconds_sum{service_name="sh\"op\\\n"} 20.751
    http_server_request_duration_seconds_count{service_name="sh\"op\\\n"} 4
    http_server_request_duration_seconds_created{service_name="sh\"op\\\n"} 1720000000.005
    http_server_request_duration_seconds_bucket{le="0.005"} 1
    http_server_request_duration_seconds_bucket{le="1.0"} 3
    http_server_request_duration_seconds_bucket{le="10.0"} 3
    http_server_request_duration_seconds_bucket{le="+Inf"} 4
    http_server_request_duration_seconds_sum 20.751
    http_server_request_duration_seconds_count 4
    # EOF
    "#);
}

#[test]
fn created_lines_are_left_out_unless_asked_for() {
    let (with, without) =
        [true, false].map(|created| text(Format::OpenMetrics, Form { created, ..Form::default() })).into();
    let kept: Vec<&str> = with.lines().filter(|line| !line.contains("_created")).collect();
    assert_eq!(without.lines().collect::<Vec<_>>(), kept);
    assert_eq!(with.lines().count() - kept.len(), 2);
}

#[test]
fn messages() {
    let families = families(Native::Off);
    let heads = families.iter().map(|family| {
        let unit = family.unit.as_deref().unwrap_or("-");
        (family.name.as_deref().unwrap(), format!("{:?}", family.r#type()), unit, family.metric.len())
    });
    assert_eq!(
        heads.collect::<Vec<_>>(),
        [
            ("redtap_build_info", "Gauge".to_owned(), "-", 1),
            ("redtap_tcp_bytes_total", "Counter".to_owned(), "bytes", 2),
            ("redtap_flows", "Gauge".to_owned(), "-", 1),
            ("http_server_request_duration_seconds", "Histogram".to_owned(), "seconds", 2),
        ]
    );
    let counter = families[1].metric[0].counter.unwrap();
    let start = counter.start.unwrap();
    assert_eq!((counter.value, start.seconds, start.nanos), (Some(7.0), 1_720_000_000, 5_000_000));
    assert_eq!(families[1].metric[1].counter.unwrap().start, None);
    let labels = |metric: &message::Metric| {
        let labels = metric.label.iter().map(|label| (label.name.clone().unwrap(), label.value.clone().unwrap()));
        labels.collect::<Vec<_>>()
    };
    let shop = ("service_name".to_owned(), "sh\"op\\\n".to_owned());
    assert_eq!(labels(&families[1].metric[0]), [shop.clone(), ("server_port".to_owned(), "80".to_owned())]);
    assert_eq!(labels(&families[2].metric[0]), []);
    assert_eq!(labels(&families[3].metric[0]), [shop]);
    assert_eq!(families[2].metric[0].gauge.unwrap().value, Some(3.0));
    assert_eq!(families[2].metric[0].counter, None);
}

#[test]
fn histograms_have_the_buckets_that_are_asked_for() {
    for (native, bounds, in_buckets, schema, exemplars) in
        [(Native::Off, 4, 2, None, 0), (Native::Beside, 4, 2, Some(3), 0), (Native::Instead, 0, 0, Some(3), 2)]
    {
        let histograms = families(native).pop().unwrap().metric;
        let [both, bounded] = &histograms[..] else { panic!("{histograms:?}") };
        let both = both.histogram.as_ref().unwrap();
        assert_eq!((both.sample_count, both.sample_sum), (Some(4), Some(20.751)), "{native:?}");
        assert_eq!(both.start.map(|start| start.seconds), Some(1_720_000_000), "{native:?}");
        assert_eq!(
            (both.bucket.len(), both.schema, both.exemplars.len()),
            (bounds, schema, exemplars),
            "{native:?}"
        );
        let in_bounds = both.bucket.iter().filter_map(|bucket| bucket.exemplar.as_ref());
        let all: Vec<_> = in_bounds.chain(&both.exemplars).collect();
        assert_eq!(all.len(), in_buckets + exemplars, "{native:?}");
        assert_eq!(all[0].label[0].value.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(all[0].label[1].value.as_deref(), Some("00f067aa0ba902b7"));
        assert_eq!((all[0].value, all[0].timestamp.unwrap().nanos), (Some(0.25), 5_000_001));
        let deltas: &[i64] = if schema.is_some() { &[1, 0, 0, 0] } else { &[] };
        assert_eq!(both.positive_delta, deltas, "{native:?}");
        let zero = (both.zero_threshold, both.zero_count);
        let expected = schema.map(|_| (2_f64.powi(-128), 0)).unzip();
        assert_eq!(zero, expected, "{native:?}");
        let spans = both.positive_span.iter().map(|span| (span.offset.unwrap(), span.length.unwrap()));
        // Of 0.001, 0.25, 0.5 and 20 seconds: ceil(log2(value) * 8).
        let expected: &[_] = if schema.is_some() { &[(-79, 1), (62, 1), (7, 1), (42, 1)] } else { &[] };
        assert_eq!(spans.collect::<Vec<_>>(), expected, "{native:?}");

        // One that is kept in one way only has all its buckets, and is of the kind of the first.
        let bounded = bounded.histogram.as_ref().unwrap();
        let buckets =
            bounded.bucket.iter().map(|bucket| (bucket.upper_bound.unwrap(), bucket.cumulative_count.unwrap()));
        assert_eq!(
            buckets.collect::<Vec<_>>(),
            [(0.005, 1), (1.0, 3), (10.0, 3), (f64::INFINITY, 4)],
            "{native:?}"
        );
        let rest = (bounded.schema, bounded.zero_count, bounded.positive_span.len(), bounded.exemplars.len());
        let expected = if native == Native::Off { (None, None, 0, 0) } else { (Some(0), Some(4), 1, 0) };
        assert_eq!((rest, bounded.start), (expected, None), "{native:?}");
        assert!(bounded.bucket.iter().all(|bucket| bucket.exemplar.is_none()), "{native:?}");
    }
}

/// Prometheus refuses a native histogram whose buckets do not add up, and its whole sample with it.
#[test]
fn native_buckets_that_do_not_add_up_are_left_out() {
    let (mut histogram, mut exponential) = (Histogram::<3>::default(), Exponential::default());
    histogram.observe(&BOUNDS, SECOND);
    exponential.observe(1.0);
    exponential.observe(0.0);
    let view = HistogramView::new(&BOUNDS, &histogram).with(Some(&exponential), &[]);
    assert!(native::of(&view).is_none());
    histogram.observe(&BOUNDS, 0);
    let view = HistogramView::new(&BOUNDS, &histogram).with(Some(&exponential), &[]);
    assert!(native::of(&view).is_some());
}

/// The numbers of a page of messages as the lines of the text format.
fn lines(families: &[MetricFamily]) -> Vec<String> {
    let mut lines = Vec::new();
    for family in families {
        let name = family.name.as_deref().unwrap();
        for metric in &family.metric {
            let labels = metric.label.iter().map(|label| {
                let value = label
                    .value
                    .as_deref()
                    .unwrap()
                    .replace('\\', r"\\")
                    .replace('"', r#"\""#)
                    .replace('\n', r"\n");
                format!("{}=\"{value}\"", label.name.as_deref().unwrap())
            });
            let labels: Vec<String> = labels.collect();
            let mut line = |suffix: &str, le: Option<f64>, value: f64| {
                let le = le.map(|le| {
                    format!("le=\"{}\"", if le.is_finite() { text::bound(le) } else { "+Inf".to_owned() })
                });
                let labels: Vec<String> = labels.iter().cloned().chain(le).collect();
                let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
                lines.push(format!("{name}{suffix}{labels} {value}"));
            };
            metric.counter.iter().for_each(|counter| line("", None, counter.value.unwrap()));
            metric.gauge.iter().for_each(|gauge| line("", None, gauge.value.unwrap()));
            if let Some(histogram) = &metric.histogram {
                for bucket in &histogram.bucket {
                    line("_bucket", bucket.upper_bound, bucket.cumulative_count.unwrap() as f64);
                }
                line("_sum", None, histogram.sample_sum.unwrap());
                line("_count", None, histogram.sample_count.unwrap() as f64);
            }
        }
    }
    lines
}

#[test]
fn all_formats_have_the_same_samples() {
    let samples = |page: String| -> Vec<String> {
        let samples = page.lines().filter(|line| !line.starts_with('#'));
        samples.map(|line| line.split(" # ").next().unwrap().to_owned()).collect()
    };
    let expected = samples(text(Format::Text, Form::default()));
    assert_eq!(samples(text(Format::OpenMetrics, Form::default())), expected);
    assert_eq!(lines(&families(Native::Beside)), expected);
}

/// Heads are written as they are.
#[test]
fn no_help_needs_escaping() {
    for metric in semconv::METRICS {
        assert!(!metric.help.is_empty() && !metric.help.contains(['\\', '"', '\n']), "{}", metric.help);
    }
}

/// Takes so many bytes.
struct Room(usize);

impl Out for Room {
    fn write(&mut self, bytes: &[u8]) -> fmt::Result {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_writing() {
    for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
        let all = written(format, Form::default()).len();
        for (room, expected) in [(all, Ok(())), (all - 1, Err(fmt::Error)), (0, Err(fmt::Error))] {
            assert_eq!(with(format, Form::default(), &mut Room(room), tell), expected, "{format:?} {room}");
        }
        // An endless page ends with its reader.
        let endless = |sink: &mut dyn Sink| {
            let attributes = Attributes::new();
            loop {
                sink.family(&semconv::FLOWS, &mut |points| {
                    points.number(Point { attributes: &attributes, start: 0 }, Value::Integer(1))
                })?;
            }
        };
        assert_eq!(with(format, Form::default(), &mut Room(1 << 20), endless), Err(fmt::Error), "{format:?}");
    }
}
