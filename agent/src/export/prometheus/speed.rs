//! How long a large page takes. `cargo test --release -p redtap --lib speed -- --ignored --nocapture` says it.

use std::time::{Duration, Instant};

use super::*;
use crate::{
    export::metrics::{Attributes, HistogramView, Point, Value},
    red::{DURATION, Exemplar, Exponential, Histogram},
    semconv,
};

const SERIES: usize = 10_000;

/// How long a page of so many series may take.
const BUDGET: Duration = Duration::from_millis(20);

/// Tells a sink of a page.
type Tell<'a> = &'a dyn Fn(&mut dyn Sink) -> fmt::Result;

/// Counts what it is given.
struct Count(usize);

impl Out for Count {
    fn write(&mut self, bytes: &[u8]) -> fmt::Result {
        self.0 += bytes.len();
        Ok(())
    }
}

fn attributes(index: usize) -> Attributes {
    let mut all = Attributes::of([(semconv::SERVICE_NAME, format!("service-{}", index % 97))]);
    all.push(semconv::HTTP_REQUEST_METHOD, "GET");
    all.push(semconv::HTTP_RESPONSE_STATUS_CODE, 200_u16);
    all.push(semconv::URL_SCHEME, "http");
    all.push(semconv::NETWORK_PROTOCOL_VERSION, "1.1");
    all.push(semconv::SERVER_ADDRESS, format!("shop-{index}.example.com"));
    all.push(semconv::SERVER_PORT, 8080_u16);
    all
}

/// The fastest of a few pages: what the machine was about meanwhile is no part of it.
fn fastest(format: Format, tell: Tell<'_>) -> (Duration, usize) {
    let page = || {
        let mut out = Count(0);
        #[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
        let began = Instant::now();
        with(format, Form::default(), &mut out, tell).unwrap();
        (began.elapsed(), out.0)
    };
    (0..20).map(|_| page()).min().unwrap()
}

#[test]
#[ignore = "a measurement, which means something in a release build only"]
fn a_page_of_ten_thousand_series() {
    let all: Vec<Attributes> = (0..SERIES).map(attributes).collect();
    let (mut histogram, mut exponential) = (Histogram::default(), Exponential::default());
    for value in (1..=1_000_u64).map(|step| step * step * 3_137) {
        histogram.observe(&DURATION, value);
        exponential.observe(value as f64 / 1e9);
    }
    let exemplar = Exemplar {
        trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.into(),
        span_id: 0x00f0_67aa_0ba9_02b7_u64.into(),
        value: 7_000_000,
        at: 1_720_000_000_123_456_789,
    };
    // Each traced request leaves one, so that a few buckets of a series have one of the last minutes.
    let exemplars = std::array::from_fn::<_, 15, _>(|index| (4..8).contains(&index).then_some(exemplar));
    let plain = HistogramView::new(&DURATION, &histogram).with(Some(&exponential), &[]);
    let traced = HistogramView::new(&DURATION, &histogram).with(Some(&exponential), &exemplars);
    let point = |attributes| Point { attributes, start: 1_720_000_000_000_000_000 };

    let numbers = |sink: &mut dyn Sink| {
        sink.family(&semconv::TCP_BYTES, &mut |points| {
            all.iter().try_for_each(|attributes| points.number(point(attributes), Value::Integer(123_456_789)))
        })
    };
    let histograms = |view: &HistogramView<'_>, sink: &mut dyn Sink| {
        sink.family(&semconv::HTTP_SERVER_REQUEST_DURATION, &mut |points| {
            all.iter().try_for_each(|attributes| points.histogram(point(attributes), view))
        })
    };
    let pages: [(&str, Tell<'_>); 3] = [
        ("10,000 counters", &numbers),
        ("10,000 histograms of 17 lines", &|sink| histograms(&plain, sink)),
        ("10,000 histograms, four exemplars each", &|sink| histograms(&traced, sink)),
    ];
    let mut late = Vec::new();
    for (name, tell) in pages {
        for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
            let (took, bytes) = fastest(format, tell);
            println!("{name:40} {format:?}: {took:?}, {bytes} bytes");
            if took > BUDGET {
                late.push((name, format, took));
            }
        }
    }
    assert!(late.is_empty(), "{late:?}");
}
