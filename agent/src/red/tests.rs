//! What becomes of exchanges in the registry.

use super::*;
use crate::{
    exchange::{Details, ErrorType, Method, Times},
    time::Nanos,
};

const OPTIONS: Options = Options { series_per_service: 4, series_total: 6, server_addresses: 3, timings: true };

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
    registry.snapshot(|service| format!("service-{}", service.0).into())
}

#[test]
fn an_exchange_is_in_its_series_in_every_part() {
    let mut registry = Registry::new(OPTIONS);
    registry.record(&exchange(), ServiceId(1));
    registry.record(&exchange(), ServiceId(1));
    let snapshot = snapshot(&registry);
    let [series] = snapshot.series.as_slice() else { panic!("one series") };
    let [parts] = snapshot.parts.as_slice() else { panic!("one set of parts") };
    assert_eq!((series.duration.count, series.duration.sum), (2, 12_000_000));
    assert_eq!((series.request_body.sum, series.response_body.sum), (0, 1224));
    let sums = [parts.queue.sum, parts.first_byte.sum, parts.transfer.sum, parts.acknowledgement.sum];
    assert_eq!(sums, [2_000_000, 4_000_000, 6_000_000, 8_000_000]);
    assert_eq!(&*snapshot.services[&ServiceId(1)], "service-1");
}

#[test]
fn what_was_not_seen_is_in_no_histogram() {
    let mut registry = Registry::new(OPTIONS);
    registry.record(&Exchange { outcome: Outcome::Unobserved, ..exchange() }, ServiceId(1));
    assert!(snapshot(&registry).series.is_empty());
    assert_eq!(registry.exchanges().total(), 1);

    let unknown = Exchange { request_body: None, response_body: None, times: Times::default(), ..exchange() };
    registry.record(&unknown, ServiceId(1));
    let snapshot = snapshot(&registry);
    let series = &snapshot.series[0];
    assert_eq!([series.duration.count, series.request_body.count, series.response_body.count], [0; 3]);
    assert_eq!(snapshot.parts[0].queue.count, 0);
}

#[test]
fn an_answer_that_broke_off_has_no_transfer() {
    let mut registry = Registry::new(OPTIONS);
    registry.record(&Exchange { outcome: Outcome::Reset, by_rst: true, ..exchange() }, ServiceId(1));
    let snapshot = snapshot(&registry);
    assert_eq!(snapshot.series[0].duration.count, 1);
    assert_eq!(snapshot.series[0].key.labels.unwrap().error, Some(ErrorType::ConnectionReset));
    assert_eq!((snapshot.parts[0].first_byte.count, snapshot.parts[0].transfer.count), (1, 0));
}

#[test]
fn clients_are_told_apart_by_server_and_have_no_parts() {
    let mut registry = Registry::new(OPTIONS);
    for authority in ["a", "A:80", "b"] {
        let details = Details { authority: authority.into(), ..Details::default() };
        registry.record(&Exchange { role: Role::Client, details, ..exchange() }, ServiceId(1));
    }
    let snapshot = snapshot(&registry);
    let counts: Vec<u64> = snapshot.series.iter().map(|series| series.duration.count).collect();
    assert_eq!(counts, [2, 1]);
    assert!(snapshot.parts.is_empty());
}

#[test]
fn budgets_hold_and_nothing_is_lost() {
    let mut registry = Registry::new(OPTIONS);
    for service in 1..=3 {
        for status in 0..10 {
            registry.record(&Exchange { status: Some(200 + status), ..exchange() }, ServiceId(service));
        }
    }
    let snapshot = snapshot(&registry);
    let of = |service: Option<u32>, overflow: bool| {
        let of_service = snapshot.series.iter().filter(move |series| series.key.service == service.map(ServiceId));
        of_service
            .filter(|series| series.key.labels.is_none() == overflow)
            .map(|series| series.duration.count)
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
        registry.record(&Exchange { role: Role::Client, details, ..exchange() }, ServiceId(1));
    }
    let snapshot = snapshot(&registry);
    assert_eq!((snapshot.servers.len(), snapshot.overflow_series, snapshot.overflowed), (3, 1, 2));
}

#[test]
fn services_beyond_the_overflow_series_share_one() {
    let mut registry = Registry::new(Options { series_total: 0, ..OPTIONS });
    let services = u32::try_from(OVERFLOW_SERIES).unwrap() + 10;
    for service in 0..services {
        registry.record(&exchange(), ServiceId(service));
    }
    let snapshot = snapshot(&registry);
    assert_eq!(snapshot.series.len(), OVERFLOW_SERIES + 1);
    let shared = snapshot.series.iter().find(|series| series.key.service.is_none()).unwrap();
    assert_eq!(shared.duration.count, 10);
}
