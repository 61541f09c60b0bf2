use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;

use super::*;
use crate::{
    red::{Bounds, Exemplar, Exponential, Histogram},
    semconv::{
        BUILD, FLOWS, HTTP_REQUEST_METHOD, HTTP_RESPONSE_STATUS_CODE, HTTP_SERVER_REQUEST_DURATION, PROCESS_CPU,
        SEGMENTS, SERVICE_NAME, TARGET, TLS_RESUMED, Unit,
    },
};

static BOUNDS: Bounds<2> = Bounds { upper: [5_000_000, 1_000_000_000], unit: Unit::Seconds };

/// What a scripted page tells.
enum Told {
    Number(&'static Metric, Attributes, u64, Value),
    Histogram(Attributes, u64, Vec<u64>, Option<Exemplar>),
}

fn service(name: &str) -> Attributes {
    Attributes::of([(SERVICE_NAME, Arc::<str>::from(name))])
}

fn resource() -> Arc<Resource> {
    Arc::new(Resource {
        agent_service: "redtap".into(),
        common: vec![("host.name".into(), "h".into())],
        host: "h".into(),
    })
}

fn encode(encoder: &mut Encoder, now: u64, told: &[Told]) -> Vec<ExportMetricsServiceRequest> {
    encoder.encode_with(now, HashMap::new(), |sink| {
        told.iter().try_for_each(|told| match told {
            Told::Number(metric, attributes, start, value) => {
                sink.family(metric, &mut |points| points.number(Point { attributes, start: *start }, *value))
            }
            Told::Histogram(attributes, start, values, exemplar) => {
                let (mut histogram, mut exponential) = (Histogram::EMPTY, Exponential::default());
                for value in values {
                    histogram.observe(&BOUNDS, *value);
                    exponential.observe(metrics::exported(Unit::Seconds, u128::from(*value)));
                }
                let exemplars = [None, *exemplar, None];
                let view = HistogramView::new(&BOUNDS, &histogram).with(Some(&exponential), &exemplars);
                sink.family(&HTTP_SERVER_REQUEST_DURATION, &mut |points| {
                    points.histogram(Point { attributes, start: *start }, &view)
                })
            }
        })
    })
}

fn metrics_of(request: &ExportMetricsServiceRequest) -> Vec<(&str, &proto::Metric)> {
    let resources = request.resource_metrics.iter();
    let all = resources.flat_map(|resource| {
        let named = resource.resource.as_ref().unwrap().attributes.iter().find(|pair| pair.key == "service.name");
        let Some(any_value::Value::StringValue(name)) = &named.unwrap().value.as_ref().unwrap().value else {
            panic!()
        };
        resource
            .scope_metrics
            .iter()
            .flat_map(move |scope| scope.metrics.iter().map(|metric| (name.as_str(), metric)))
    });
    all.collect()
}

fn number(metric: &proto::Metric) -> &proto::NumberDataPoint {
    match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => &sum.data_points[0],
        Data::Gauge(gauge) => &gauge.data_points[0],
        other => panic!("{other:?}"),
    }
}

#[test]
fn kinds_units_and_resources() {
    let status = service("cart").with(HTTP_RESPONSE_STATUS_CODE, 200_u16).with(TLS_RESUMED, true);
    let mut encoder = Encoder::new(resource(), Temporality::Cumulative, Histograms::Explicit);
    let requests = encode(
        &mut encoder,
        900,
        &[
            Told::Number(&TARGET, service("cart"), 1, Value::Integer(1)),
            Told::Number(&BUILD, Attributes::new(), 1, Value::Integer(1)),
            Told::Number(&FLOWS, status, 5, Value::Integer(7)),
            Told::Number(&SEGMENTS, Attributes::new(), 6, Value::Integer(u64::MAX)),
            Told::Number(&PROCESS_CPU, Attributes::new(), 2_000, Value::Float(0.25)),
        ],
    );
    assert_eq!(requests.len(), 1);
    assert_eq!(count_points(&requests[0]), 4);
    let metrics = metrics_of(&requests[0]);
    let heads: Vec<_> = metrics.iter().map(|(service, metric)| (*service, &*metric.name, &*metric.unit)).collect();
    let expected = [
        ("redtap", "redtap_build_info", ""),
        ("redtap", "redtap.segments", ""),
        ("redtap", "process_cpu_seconds", "s"),
        ("cart", "redtap.flows", ""),
    ];
    assert_eq!(heads, expected);
    let (build, segments, cpu, flows) = (metrics[0].1, metrics[1].1, metrics[2].1, metrics[3].1);
    assert_eq!((number(build).value, number(build).start_time_unix_nano), (Some(Number::AsInt(1)), 0));
    assert!(matches!(&build.data, Some(Data::Gauge(_))));
    let Some(Data::Sum(sum)) = &segments.data else { panic!() };
    assert!(sum.is_monotonic && sum.aggregation_temporality() == AggregationTemporality::Cumulative);
    // Beyond what OTLP's integers reach.
    assert_eq!(number(segments).value, Some(Number::AsDouble(18_446_744_073_709_551_615.0)));
    // A start that is not yet is now.
    assert_eq!((number(cpu).value, number(cpu).start_time_unix_nano), (Some(Number::AsDouble(0.25)), 900));
    assert_eq!((number(flows).time_unix_nano, number(flows).start_time_unix_nano), (900, 0));
    let attributes = &number(flows).attributes;
    assert_eq!(attributes.len(), 2);
    assert_eq!(attributes[0], points::key_value("http.response.status_code", any_value::Value::IntValue(200)));
    assert_eq!(attributes[1], points::key_value("tls.resumed", any_value::Value::BoolValue(true)));

    let of_cart = requests[0].resource_metrics[1].resource.as_ref().unwrap();
    let text = |key: &str, value: &str| points::key_value(key, any_value::Value::StringValue(value.to_owned()));
    let expected = [text("service.name", "cart"), text("service.instance.id", "h:cart"), text("host.name", "h")];
    assert_eq!(of_cart.attributes, expected);
    let scope = requests[0].resource_metrics[1].scope_metrics[0].scope.as_ref().unwrap();
    assert_eq!((&*scope.name, &*scope.version), ("redtap", env!("CARGO_PKG_VERSION")));
}

fn exemplar(at: u64) -> Option<Exemplar> {
    let (trace_id, span_id) = (TraceId::from(7), SpanId::from(9));
    Some(Exemplar { trace_id, span_id, value: 6_000_000, at })
}

#[test]
fn histograms_of_either_form() {
    let values = vec![1_000_000, 6_000_000, 3_000_000_000];
    let told = [Told::Histogram(service("cart"), 3, values, exemplar(8))];
    let mut explicit = Encoder::new(resource(), Temporality::Cumulative, Histograms::Explicit);
    let requests = encode(&mut explicit, 10, &told);
    let Some(Data::Histogram(histogram)) = &metrics_of(&requests[0])[0].1.data else { panic!() };
    let point = &histogram.data_points[0];
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano, point.count), (3, 10, 3));
    assert_eq!((&point.explicit_bounds, &point.bucket_counts), (&vec![0.005, 1.0], &vec![1, 1, 1]));
    assert_eq!((point.sum, point.exemplars.len()), (Some(3.007), 1));
    assert_eq!(point.exemplars[0].trace_id, TraceId::from(7).to_bytes());
    assert_eq!(point.exemplars[0].span_id, SpanId::from(9).to_bytes());
    assert_eq!(point.exemplars[0].value, Some(proto::exemplar::Value::AsDouble(0.006)));

    let mut exponential = Encoder::new(resource(), Temporality::Cumulative, Histograms::Exponential);
    let requests = encode(&mut exponential, 10, &told);
    let Some(Data::ExponentialHistogram(histogram)) = &metrics_of(&requests[0])[0].1.data else { panic!() };
    let point = &histogram.data_points[0];
    let positive = point.positive.as_ref().unwrap();
    assert_eq!((point.count, point.scale, positive.bucket_counts.iter().sum::<u64>()), (3, 3, 3));
    // 2^(-80/8) < 0.001 <= 2^(-79/8)
    assert_eq!((positive.offset, positive.bucket_counts[0]), (-80, 1));
    assert_eq!((point.exemplars.len(), point.sum), (1, Some(3.007)));
}

fn counter(start: u64, value: u64) -> Told {
    Told::Number(&SEGMENTS, service("cart"), start, Value::Integer(value))
}

/// Start, end and value of the only point, if there is one.
fn only(requests: &[ExportMetricsServiceRequest]) -> Option<(u64, u64, i64)> {
    let [request] = requests else {
        assert!(requests.is_empty());
        return None;
    };
    let metrics = metrics_of(request);
    let Some(Data::Sum(sum)) = &metrics[0].1.data else { panic!() };
    assert_eq!(sum.aggregation_temporality(), AggregationTemporality::Delta);
    let point = &sum.data_points[0];
    let Some(Number::AsInt(value)) = point.value else { panic!() };
    Some((point.start_time_unix_nano, point.time_unix_nano, value))
}

#[test]
fn differences_are_to_what_arrived() {
    let mut encoder = Encoder::new(resource(), Temporality::Delta, Histograms::Explicit);
    assert_eq!(only(&encode(&mut encoder, 10, &[counter(1, 5)])), Some((1, 10, 5)));
    // Not delivered: all of it again.
    assert_eq!(only(&encode(&mut encoder, 20, &[counter(1, 8)])), Some((1, 20, 8)));
    encoder.delivered();
    assert_eq!(only(&encode(&mut encoder, 30, &[counter(1, 8)])), None);
    encoder.delivered();
    assert_eq!(only(&encode(&mut encoder, 40, &[counter(1, 9)])), Some((20, 40, 1)));
    // An answer to the one before, twice, changes nothing.
    encoder.delivered();
    encoder.delivered_part(0);
    assert_eq!(only(&encode(&mut encoder, 50, &[counter(1, 12)])), Some((40, 50, 3)));
    encoder.delivered();
    // Another start is another count, and so is one that fell.
    assert_eq!(only(&encode(&mut encoder, 60, &[counter(55, 20)])), Some((55, 60, 20)));
    encoder.delivered();
    assert_eq!(only(&encode(&mut encoder, 70, &[counter(55, 1)])), Some((55, 70, 1)));
    // What was gone for a page is new.
    encoder.delivered();
    assert_eq!(only(&encode(&mut encoder, 80, &[])), None);
    assert_eq!(only(&encode(&mut encoder, 90, &[counter(85, 1)])), Some((85, 90, 1)));
    // A gauge has no differences.
    encoder.delivered();
    for now in [100, 110] {
        let gauge = Told::Number(&FLOWS, Attributes::new(), 1, Value::Integer(4));
        assert_eq!(number(metrics_of(&encode(&mut encoder, now, &[gauge])[0])[0].1).value, Some(Number::AsInt(4)));
        encoder.delivered();
    }
}

#[test]
fn differences_of_histograms() {
    let told = |values: &[u64], at| [Told::Histogram(service("cart"), 1, values.to_vec(), exemplar(at))];
    let mut encoder = Encoder::new(resource(), Temporality::Delta, Histograms::Explicit);
    encode(&mut encoder, 10, &told(&[6_000_000], 9));
    encoder.delivered();
    let requests = encode(&mut encoder, 20, &told(&[6_000_000, 7_000_000, 2_000_000_000], 9));
    let Some(Data::Histogram(histogram)) = &metrics_of(&requests[0])[0].1.data else { panic!() };
    let point = &histogram.data_points[0];
    assert_eq!((point.start_time_unix_nano, point.count, &point.bucket_counts), (10, 2, &vec![0, 1, 1]));
    // The exemplar was told of.
    assert!((point.sum.unwrap() - 2.007).abs() < 1e-9 && point.exemplars.is_empty());

    // The range grows so far that the resolution falls between both.
    let mut encoder = Encoder::new(resource(), Temporality::Delta, Histograms::Exponential);
    encode(&mut encoder, 10, &told(&[6_000_000, 6_000_001, 0], 9));
    encoder.delivered();
    let requests =
        encode(&mut encoder, 20, &told(&[6_000_000, 6_000_001, 0, 1, 90_000_000_000_000, 6_000_000], 15));
    let Some(Data::ExponentialHistogram(histogram)) = &metrics_of(&requests[0])[0].1.data else { panic!() };
    let point = &histogram.data_points[0];
    let positive = point.positive.as_ref().unwrap();
    assert!(point.scale < 3, "{}", point.scale);
    assert_eq!((point.count, point.zero_count, positive.bucket_counts.iter().sum::<u64>()), (3, 0, 3));
    assert_eq!((positive.bucket_counts.first(), positive.bucket_counts.last()), (Some(&1), Some(&1)));
    let base = 2_f64.powf(2_f64.powi(-point.scale));
    assert!(base.powi(positive.offset) < 1e-9 && 1e-9 <= base.powi(positive.offset + 1) * 1.000_001);
    assert_eq!(point.exemplars.len(), 1);
}

#[test]
fn many_points_are_many_requests_and_each_is_delivered_for_itself() {
    const COUNT: usize = 2 * MAX_POINTS + 10;
    let names: Vec<Attributes> = (0..COUNT)
        .map(|index| service(&format!("s{}", index % 3)).with(HTTP_REQUEST_METHOD, index.to_string()))
        .collect();
    let mut encoder = Encoder::new(resource(), Temporality::Delta, Histograms::Explicit);
    let all = |encoder: &mut Encoder, value: u64| {
        encoder.encode_with(value, HashMap::new(), |sink| {
            sink.family(&SEGMENTS, &mut |points| {
                names.iter().try_for_each(|attributes| {
                    points.number(Point { attributes, start: 1 }, Value::Integer(value))
                })
            })
        })
    };
    let requests = all(&mut encoder, 100);
    let counts: Vec<_> = requests.iter().map(count_points).collect();
    assert_eq!(counts.iter().sum::<u64>(), COUNT as u64);
    assert!(counts.iter().all(|count| *count <= MAX_POINTS as u64), "{counts:?}");
    assert!(requests.len() >= 3 && requests.iter().all(|request| request.encoded_len() <= MAX_REQUEST));
    assert_eq!(requests[0].resource_metrics.len(), 3);

    encoder.delivered_part(1);
    let starts: Vec<u64> = all(&mut encoder, 200)
        .iter()
        .flat_map(metrics_of)
        .flat_map(|(_, metric)| match &metric.data {
            Some(Data::Sum(sum)) => {
                sum.data_points.iter().map(|point| point.start_time_unix_nano).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(starts.iter().filter(|start| **start == 100).count() as u64, counts[1]);
    assert_eq!(starts.iter().filter(|start| **start == 1).count() as u64, counts[0] + counts[2]);
}

#[test]
fn a_request_is_bounded_in_bytes() {
    let long: Arc<str> = "x".repeat(100_000).into();
    let points: Vec<Attributes> = (0..100_u16)
        .map(|index| service("cart").with(HTTP_REQUEST_METHOD, &long).with(HTTP_RESPONSE_STATUS_CODE, index))
        .collect();
    let mut encoder = Encoder::new(resource(), Temporality::Cumulative, Histograms::Explicit);
    let requests = encoder.encode_with(5, HashMap::new(), |sink| {
        sink.family(&SEGMENTS, &mut |out| {
            points.iter().try_for_each(|attributes| out.number(Point { attributes, start: 1 }, Value::Integer(1)))
        })
    });
    assert_eq!(requests.iter().map(count_points).sum::<u64>(), 100);
    assert!(requests.len() == 4 && requests.iter().all(|request| request.encoded_len() <= MAX_REQUEST));
}
