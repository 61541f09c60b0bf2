use super::*;

/// Sun, 06 Nov 1994 08:49:37 GMT.
const EXAMPLE: u64 = 784_111_777;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    for (text, expected) in [
        ("0", Some(0)),
        ("120", Some(120)),
        (" 7 ", Some(7)),
        ("99999999999999999999999", Some(u64::MAX)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(10)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", Some(10)),
        ("Sun Nov  6 08:49:37 1994", Some(10)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
        ("Thu, 29 Feb 1996 08:49:37 GMT", Some(41_472_010)),
        ("Mon, 01 Jan 2001 00:00:00 GMT", Some(194_195_433)),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("Sun, 06 Nov 1994", None),
        ("Sun, 06 Now 1994 08:49:37 GMT", None),
        ("Sun, 32 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 24:00:00 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 CET", None),
    ] {
        let got = retry_after(text, at(EXAMPLE - 10));
        assert_eq!(got, expected.map(Duration::from_secs), "{text:?}");
    }
}

#[test]
fn http_statuses() {
    let with = HeaderMap::from_iter([(header::RETRY_AFTER, "3".parse().unwrap())]);
    for status in 300..600 {
        let code = StatusCode::from_u16(status).unwrap();
        let retryable = matches!(status, 429 | 502 | 503 | 504);
        let expected = |delay| if retryable { Retry::After(delay) } else { Retry::Never };
        assert_eq!(of_http(code, &HeaderMap::new(), at(0)), expected(None), "{status}");
        assert_eq!(of_http(code, &with, at(0)), expected(Some(Duration::from_secs(3))), "{status}");
    }
}

#[test]
fn grpc_statuses() {
    let info = RetryInfo { retry_delay: Some(RetryDelay { seconds: 2, nanos: 500_000_000 }) };
    let any =
        |name: &str, value: Vec<u8>| Any { type_url: format!("type.googleapis.com/google.rpc.{name}"), value };
    let details = vec![any("DebugInfo", vec![1]), any("RetryInfo", info.encode_to_vec())];
    let details = RpcStatus { code: 8, message: String::new(), details }.encode_to_vec();
    let delay = Some(Duration::from_millis(2500));
    for code in 1..=16 {
        let code = Code::from(code);
        let (without, with) = match code {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => (Retry::After(None), Retry::After(delay)),
            Code::ResourceExhausted => (Retry::Never, Retry::After(delay)),
            _ => (Retry::Never, Retry::Never),
        };
        assert_eq!(of_grpc(&Status::new(code, "")), without, "{code:?}");
        assert_eq!(of_grpc(&Status::with_details(code, "", details.clone().into())), with, "{code:?}");
        assert_eq!(of_grpc(&Status::with_details(code, "", vec![7; 9].into())), without, "{code:?}");
    }
}

#[test]
fn waits_grow_to_a_bound_and_are_never_shorter_than_asked() {
    for seed in 0..50 {
        let mut backoff = Backoff::new(INITIAL, Rng::with_seed(seed));
        let mut middle = INITIAL;
        for _ in 0..20 {
            let wait = backoff.wait(None);
            assert!(
                wait >= middle.mul_f64(0.49) && wait <= middle.mul_f64(1.51).min(MAX),
                "{wait:?} of {middle:?}"
            );
            middle = middle.mul_f64(FACTOR).min(MAX);
        }
        assert_eq!(backoff.wait(Some(Duration::from_secs(77))), Duration::from_secs(77));
        assert_eq!(backoff.wait(Some(Duration::MAX)), MAX_THROTTLE);
        backoff.reset();
        assert!(backoff.wait(Some(Duration::ZERO)) <= INITIAL.mul_f64(1.5));
    }
    let waits = |seed| Backoff::new(INITIAL, Rng::with_seed(seed)).wait(None);
    assert_ne!(waits(1), waits(2));
}
