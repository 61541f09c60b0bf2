//! What becomes of exchanges in the registry.

use opentelemetry::trace::{SpanId, TraceId};

use super::*;
use crate::{
    exchange::{Details, ErrorType, Method, Times},
    series::OVERFLOW_SERIES,
    time::Nanos,
};

const OPTIONS: Options = Options {
    series_per_service: 4,
    series_total: 6,
    server_addresses: 3,
    extras: Extras { exponential: true, parts: true },
};

/// A server's answered GET: 1 ms in the queue, 2 to the first byte, 3 of transfer, 4 to the acknowledgement.
fn exchange() -> Exchange {
    let at = |milliseconds: u64| Some(Nanos(milliseconds * 1_000_000));
    Exchange {
        cookie: 1,
        index: 0,
        role: Role::Server,
        outcome: Outcome::Ok,
        by_rst: false,
        method: Some(Method::Get),
        status: Some(200),
        minor_version: 1,
        request_body: Some(0),
        response_body: Some(612),
        partial: false,
        stream: None,
        times: Times {
            request_first: at(100),
            request_last: at(100),
            picked_up: at(101),
            response_first: at(103),
            response_last: at(106),
            acknowledged: at(110),
        },
        local: None,
        peer: None,
        pid: 7,
        details: Details::default(),
        ..Exchange::default()
    }
}

fn snapshot(registry: &Registry) -> Snapshot {
    registry.snapshot(|service| Arc::new(Service::named(&format!("service-{}", service.0))))
}

#[test]
fn an_exchange_is_in_its_series_in_every_part() {
    let mut registry = Registry::new(OPTIONS);
    registry.record(&exchange(), ServiceId(1), None, None);
    registry.record(&exchange(), ServiceId(1), None, None);
    let snapshot = snapshot(&registry);
    let [series] = snapshot.series.as_slice() else { panic!("one series") };
    let (stats, parts) = (&series.value, series.value.parts.as_ref().unwrap());
    assert_eq!((stats.duration.count, stats.duration.sum), (2, 12_000_000));
    assert_eq!((stats.request_body.sum, stats.response_body.sum), (0, 1224));
    let sums = [parts.queue.sum, parts.first_byte.sum, parts.transfer.sum, parts.acknowledgement.sum];
    assert_eq!(sums, [2_000_000, 4_000_000, 6_000_000, 8_000_000]);
    assert_eq!(&*snapshot.services[&ServiceId(1)].name, "service-1");
}

#[test]
fn what_was_not_seen_is_in_no_histogram() {
    let mut registry = Registry::new(OPTIONS);
    registry.record(&Exchange { outcome: Outcome::Unobserved, ..exchange() }, ServiceId(1), None, None);
    assert!(snapshot(&registry).series.is_empty());
    assert_eq!(registry.exchanges().total(), 1);

    let unknown = Exchange { request_body: None, response_body: None, times: Times::default(), ..exchange() };
    registry.record(&unknown, ServiceId(1), None, None);
    let snapshot = snapshot(&registry);
    let stats = &snapshot.series[0].value;
    assert_eq!([stats.duration.count, stats.request_body.count, stats.response_body.count], [0; 3]);
    assert_eq!(stats.parts.as_ref().unwrap().queue.count, 0);
}

#[test]
fn an_answer_that_broke_off_has_no_transfer() {
    let mut registry = Registry::new(OPTIONS);
    registry.record(&Exchange { outcome: Outcome::Reset, by_rst: true, ..exchange() }, ServiceId(1), None, None);
    let snapshot = snapshot(&registry);
    let stats = &snapshot.series[0].value;
    let parts = stats.parts.as_ref().unwrap();
    assert_eq!(stats.duration.count, 1);
    assert_eq!(snapshot.series[0].labels.unwrap().error, Some(ErrorType::ConnectionReset));
    assert_eq!((parts.first_byte.count, parts.transfer.count), (1, 0));
}

#[test]
fn clients_are_told_apart_by_server_and_have_no_parts() {
    let mut registry = Registry::new(OPTIONS);
    for authority in ["a", "A:80", "b"] {
        let details = Details { authority: authority.into(), ..Details::default() };
        registry.record(&Exchange { role: Role::Client, details, ..exchange() }, ServiceId(1), None, None);
    }
    let snapshot = snapshot(&registry);
    let counts: Vec<u64> = snapshot.series.iter().map(|series| series.value.duration.count).collect();
    assert_eq!(counts, [2, 1]);
    assert!(snapshot.series.iter().all(|series| series.value.parts.is_none()));
}

#[test]
fn budgets_hold_and_nothing_is_lost() {
    let mut registry = Registry::new(OPTIONS);
    for service in 1..=3 {
        for status in 0..10 {
            registry.record(
                &Exchange { status: Some(200 + status), ..exchange() },
                ServiceId(service),
                None,
                None,
            );
        }
    }
    let snapshot = snapshot(&registry);
    let of = |service: Option<u32>, overflow: bool| {
        let of_service = snapshot.series.iter().filter(move |series| series.service == service.map(ServiceId));
        of_service
            .filter(|series| series.labels.is_none() == overflow)
            .map(|series| series.value.duration.count)
            .sum::<u64>()
    };
    assert_eq!([of(Some(1), false), of(Some(2), false), of(Some(3), false)], [4, 2, 0]);
    assert_eq!([of(Some(1), true), of(Some(2), true), of(Some(3), true)], [6, 8, 10]);
    assert_eq!((snapshot.overflowed, snapshot.overflow_series), (24, 3));
}

#[test]
fn a_server_beyond_the_table_goes_to_the_overflow_series() {
    let mut registry = Registry::new(Options { series_per_service: 100, series_total: 100, ..OPTIONS });
    for host in 0..5 {
        let details = Details { authority: format!("host-{host}").into(), ..Details::default() };
        registry.record(&Exchange { role: Role::Client, details, ..exchange() }, ServiceId(1), None, None);
    }
    let snapshot = snapshot(&registry);
    assert_eq!((snapshot.servers.len(), snapshot.overflow_series, snapshot.overflowed), (3, 1, 2));
}

#[test]
fn services_beyond_the_overflow_series_share_one() {
    let mut registry = Registry::new(Options { series_total: 0, ..OPTIONS });
    let services = u32::try_from(OVERFLOW_SERIES).unwrap() + 10;
    for service in 0..services {
        registry.record(&exchange(), ServiceId(service), None, None);
    }
    let snapshot = snapshot(&registry);
    assert_eq!(snapshot.series.len(), OVERFLOW_SERIES + 1);
    let shared = snapshot.series.iter().find(|series| series.service.is_none()).unwrap();
    assert_eq!(shared.value.duration.count, 10);
}

#[test]
fn a_sampled_trace_is_kept_with_the_bucket_it_fell_into() {
    let mut registry = Registry::new(OPTIONS);
    let exemplar = |at| Exemplar { trace_id: TraceId::from(7), span_id: SpanId::from(9), value: 12_000_000, at };
    registry.record(&exchange(), ServiceId(1), None, None);
    assert!(snapshot(&registry).series[0].value.exemplars().is_empty());
    registry.record(&exchange(), ServiceId(1), None, Some(exemplar(1)));
    registry.record(&exchange(), ServiceId(1), None, Some(exemplar(2)));
    registry.record(&exchange(), ServiceId(1), None, Some(exemplar(1)));
    let snapshot = snapshot(&registry);
    let stats = &snapshot.series[0].value;
    let kept: Vec<_> =
        (0..).zip(stats.exemplars()).filter_map(|(bucket, kept)| Some((bucket, (*kept)?))).collect();
    assert_eq!(kept, [(1, exemplar(2))], "6 ms lie between 5 and 10");
    assert_eq!((stats.duration.count, stats.exponential.buckets()), (4, &[4][..]));
}

#[test]
fn silent_series_go_but_for_those_of_open_streams() {
    let mut registry = Registry::new(OPTIONS);
    registry.tick(Nanos(10), WallOffset(1000), None);
    registry.record(&exchange(), ServiceId(1), None, None);
    registry.stream_opened(StreamKind::WebSocket, Role::Server, ServiceId(1));
    registry.tick(Nanos(20), WallOffset(1000), Some(Nanos(15)));
    let gone = snapshot(&registry);
    assert_eq!((gone.series.len(), gone.streams.len()), (0, 1));
    registry.record(&exchange(), ServiceId(1), None, None);
    let back = snapshot(&registry);
    assert_eq!((back.series[0].value.duration.count, back.series[0].start), (1, 1020));
}
