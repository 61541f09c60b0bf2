use std::fs;

use axum::body::Body;
use hyper::Response;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
use prost::Message as _;
use tonic::{Code, Status};

use super::*;
use crate::export::{
    client::{
        TlsOptions,
        testing::{self as http_testing, Pki},
    },
    otlp::{
        config::{Compression, Limits},
        retry::{Any, RetryDelay, RetryInfo, RpcStatus},
        spans::Encoder,
        testing::{Answer, Server, destination, span},
    },
};

/// Longer than all that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

fn request(spans: u64) -> spans::Request {
    let spans: Vec<_> = (0..spans).map(span).collect();
    let limits = Limits { count: 128, length: None };
    let (mut requests, _) =
        Encoder::new(Arc::default(), limits, crate::identity::select::QueryKeys::default()).requests(&spans);
    requests.pop().unwrap()
}

/// As whoever reads it has it.
fn read(request: &spans::Request) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(&*request.bytes).unwrap()
}

fn any_port() -> std::net::SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// A session whose waits are short.
fn session(destination: Destination) -> (Session, Arc<Exporter>) {
    let exporter = Exporter::new("test", 100);
    let mut session = Session::new(destination, Arc::clone(&exporter));
    session.backoff = Backoff::new(Duration::from_millis(5), Rng::with_seed(1));
    (session, exporter)
}

/// An end that is not near, as long as the sender is held.
fn endless() -> (watch::Sender<bool>, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (sender, Shutdown::new(receiver, GRACE))
}

async fn deliver(session: &mut Session, spans: u64, patience: Duration) -> Outcome {
    let (_held, mut shutdown) = endless();
    session.deliver(&request(spans), Instant::now() + patience, &mut shutdown).await
}

/// Sent, failed and dropped.
fn figures(exporter: &Exporter) -> (u64, u64, Vec<(&'static str, u64)>) {
    let view = exporter.view();
    (view.sent, view.failed, view.dropped)
}

fn throttled(code: Code, delay: RetryDelay) -> Status {
    let info = RetryInfo { retry_delay: Some(delay) }.encode_to_vec();
    let any = Any { type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(), value: info };
    let details = RpcStatus { code: 8, message: String::new(), details: vec![any] }.encode_to_vec();
    Status::with_details(code, "slow down", details.into())
}

#[tokio::test]
async fn what_is_sent_arrives_by_every_protocol_and_packing() {
    let grpc = Server::start(any_port(), None, |_| Answer::Accepts);
    let http = http_testing::Server::start(None, |_, _| Some(Response::new(Body::empty()))).await;
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let encoding = match compression {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
            Compression::Zstd => Some("zstd"),
        };
        let to = destination("grpc", &format!("http://{}", grpc.address), TlsOptions::default());
        let (mut session, exporter) = session(Destination { compression, ..to });
        assert_eq!(deliver(&mut session, 3, PATIENCE).await, Outcome::Delivered);
        assert_eq!(figures(&exporter), (3, 0, vec![]));
        let received = grpc.received().pop().unwrap();
        assert_eq!(received.traces, read(&request(3)));
        let header =
            |name| received.headers.get(name).map(|value: &hyper::header::HeaderValue| value.to_str().unwrap());
        assert_eq!((header("grpc-encoding"), header("x-tenant")), (encoding, Some("blue")));
        assert!(header("user-agent").unwrap().starts_with(USER_AGENT), "{received:?}");
        assert_eq!(header("grpc-timeout"), Some("1000000u"));

        for (protocol, content_type) in
            [("http/protobuf", "application/x-protobuf"), ("http/json", "application/json")]
        {
            let to = destination(protocol, &http.uri("http", "/my/v1/traces").to_string(), TlsOptions::default());
            let (mut session, exporter) = self::session(Destination { compression, ..to });
            assert_eq!(deliver(&mut session, 3, PATIENCE).await, Outcome::Delivered);
            assert_eq!(figures(&exporter), (3, 0, vec![]));
            let received = http.received().pop().unwrap();
            assert_eq!(received.uri, "/my/v1/traces");
            let header = |name| received.headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!((header("content-encoding"), header("content-type")), (encoding, Some(content_type)));
            assert_eq!((header("x-tenant"), header("user-agent")), (Some("blue"), Some(USER_AGENT)));
            let body = match compression {
                Compression::None => received.body.to_vec(),
                Compression::Gzip => {
                    let mut plain = Vec::new();
                    let mut decoder = flate2::read::GzDecoder::new(&received.body[..]);
                    std::io::Read::read_to_end(&mut decoder, &mut plain).unwrap();
                    plain
                }
                Compression::Zstd => zstd::stream::decode_all(&received.body[..]).unwrap(),
            };
            let sent: ExportTraceServiceRequest = if protocol == "http/json" {
                let text = str::from_utf8(&body).unwrap();
                for part in
                    ["\"traceId\":\"abababab", "\"spanId\":\"0000000000000001\"", "\"startTimeUnixNano\":\"1001"]
                {
                    assert!(text.contains(part), "{text}");
                }
                serde_json::from_slice(&body).unwrap()
            } else {
                ExportTraceServiceRequest::decode(&body[..]).unwrap()
            };
            assert_eq!(sent, read(&request(3)));
        }
    }
}

#[tokio::test]
async fn grpc_answers() {
    let soon = RetryDelay { seconds: 0, nanos: 200_000_000 };
    let fails = |code| Answer::Fails(Status::new(code, "no"));
    let exhausted = Answer::Fails(throttled(Code::ResourceExhausted, soon));
    let unavailable = Answer::Fails(throttled(Code::Unavailable, soon));
    for (answer, outcome, expected, at_least) in [
        (fails(Code::Unavailable), Outcome::Delivered, (3, 1, vec![]), 0),
        (fails(Code::DeadlineExceeded), Outcome::Delivered, (3, 1, vec![]), 0),
        (unavailable, Outcome::Delivered, (3, 1, vec![]), 200),
        (exhausted, Outcome::Delivered, (3, 1, vec![]), 200),
        (fails(Code::ResourceExhausted), Outcome::Refused, (0, 1, vec![]), 0),
        (fails(Code::InvalidArgument), Outcome::Refused, (0, 1, vec![]), 0),
        (fails(Code::Unknown), Outcome::Refused, (0, 1, vec![]), 0),
        (Answer::Rejects(2), Outcome::Delivered, (1, 0, vec![("rejected", 2)]), 0),
        (Answer::Rejects(9), Outcome::Delivered, (0, 0, vec![("rejected", 3)]), 0),
        (Answer::Hangs, Outcome::Delivered, (3, 1, vec![]), 1000),
        (Answer::Breaks, Outcome::Delivered, (3, 1, vec![]), 0),
        (Answer::Garbles, Outcome::Refused, (0, 1, vec![]), 0),
    ] {
        let first = answer.clone();
        let answer_of = move |index| if index == 0 { first.clone() } else { Answer::Accepts };
        let server = Server::start(any_port(), None, answer_of);
        let to = destination("grpc", &format!("http://{}", server.address), TlsOptions::default());
        let (mut session, exporter) = session(to);
        let began = Instant::now();
        assert_eq!(deliver(&mut session, 3, PATIENCE).await, outcome, "{answer:?}");
        assert_eq!(figures(&exporter), expected, "{answer:?}");
        assert!(began.elapsed() >= Duration::from_millis(at_least), "{answer:?}");
        // What was delivered or refused is not sent again.
        if !matches!(answer, Answer::Garbles) {
            assert_eq!(
                server.received().len(),
                usize::try_from(expected.1).unwrap().max(1)
                    + usize::from(outcome == Outcome::Delivered && expected.1 == 1),
                "{answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn http_answers() {
    let partial = ExportTracePartialSuccess { rejected_spans: 2, error_message: "too old".to_owned() };
    let partial = ExportTraceServiceResponse { partial_success: Some(partial) };
    let (protobuf, json) = ("application/x-protobuf", "application/json");
    let message = RpcStatus { code: 3, message: "bad".to_owned(), details: vec![] }.encode_to_vec();
    for (status, headers, body, outcome, expected, at_least) in [
        (
            200,
            vec![("content-type", protobuf)],
            partial.encode_to_vec(),
            Outcome::Delivered,
            (1, 0, vec![("rejected", 2)]),
            0,
        ),
        (
            200,
            vec![("content-type", json)],
            serde_json::to_vec(&partial).unwrap(),
            Outcome::Delivered,
            (1, 0, vec![("rejected", 2)]),
            0,
        ),
        (202, vec![], b"<html>thanks".to_vec(), Outcome::Delivered, (3, 0, vec![]), 0),
        (503, vec![], vec![], Outcome::Delivered, (3, 1, vec![]), 0),
        (429, vec![("retry-after", "1")], vec![], Outcome::Delivered, (3, 1, vec![]), 1000),
        (
            503,
            vec![("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")],
            vec![],
            Outcome::Delivered,
            (3, 1, vec![]),
            0,
        ),
        (400, vec![("content-type", protobuf)], message, Outcome::Refused, (0, 1, vec![]), 0),
        (
            400,
            vec![("content-type", json)],
            b"{\"message\":\"bad\"}".to_vec(),
            Outcome::Refused,
            (0, 1, vec![]),
            0,
        ),
        (404, vec![], b"nothing here".to_vec(), Outcome::Refused, (0, 1, vec![]), 0),
        (500, vec![("retry-after", "1")], vec![], Outcome::Refused, (0, 1, vec![]), 0),
        (301, vec![("location", "/")], vec![], Outcome::Refused, (0, 1, vec![]), 0),
        // Never answers.
        (0, vec![], vec![], Outcome::Delivered, (3, 1, vec![]), 1000),
    ] {
        let what = format!("{status} {headers:?}");
        let server = http_testing::Server::start(None, move |index, _| {
            let mut response = Response::builder().status(if index == 0 { status } else { 200 });
            if index > 0 {
                return Some(response.body(Body::empty()).unwrap());
            }
            for (name, value) in &headers {
                response = response.header(*name, *value);
            }
            response.body(Body::from(body.clone())).ok()
        })
        .await;
        let to =
            destination("http/protobuf", &server.uri("http", "/v1/traces").to_string(), TlsOptions::default());
        let (mut session, exporter) = session(to);
        let began = Instant::now();
        assert_eq!(deliver(&mut session, 3, PATIENCE).await, outcome, "{what}");
        assert_eq!(figures(&exporter), expected, "{what}");
        assert!(began.elapsed() >= Duration::from_millis(at_least), "{what}");
    }
}

#[tokio::test]
async fn a_pause_that_the_server_asked_for_holds_for_the_next_request_too() {
    let slow = RetryDelay { seconds: 1, nanos: 0 };
    let server = Server::start(any_port(), None, move |index| match index {
        0 => Answer::Fails(throttled(Code::Unavailable, slow)),
        _ => Answer::Accepts,
    });
    let to = destination("grpc", &format!("http://{}", server.address), TlsOptions::default());
    let (mut session, exporter) = session(to);
    let began = Instant::now();
    assert_eq!(deliver(&mut session, 1, Duration::from_millis(300)).await, Outcome::Expired);
    assert_eq!(server.received().len(), 1);
    assert_eq!(deliver(&mut session, 2, PATIENCE).await, Outcome::Delivered);
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(figures(&exporter), (2, 1, vec![]));
}

#[tokio::test]
async fn a_server_that_comes_back_is_found() {
    for protocol in ["grpc", "http/protobuf"] {
        let listener = std::net::TcpListener::bind(any_port()).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let to = destination(protocol, &format!("http://{address}"), TlsOptions::default());
        let (mut session, exporter) = session(to);
        assert_eq!(deliver(&mut session, 1, Duration::from_millis(200)).await, Outcome::Expired);
        let failed = exporter.view().failed;
        assert!(failed > 1, "{failed}");
        if protocol == "grpc" {
            let server = Server::start(address, None, |_| Answer::Accepts);
            assert_eq!(deliver(&mut session, 1, PATIENCE).await, Outcome::Delivered);
            drop(server);
            assert_eq!(deliver(&mut session, 1, Duration::from_millis(200)).await, Outcome::Expired);
            let _server = Server::start(address, None, |_| Answer::Accepts);
            assert_eq!(deliver(&mut session, 1, PATIENCE).await, Outcome::Delivered);
            assert_eq!(exporter.view().sent, 2);
        }
    }
}

#[tokio::test]
async fn certificates_of_either_side_are_looked_at_and_replaced_ones_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let pki = Pki::new(directory.path());
    let accept = |_: usize, _: &_| Some(Response::new(Body::empty()));
    for asks in [false, true] {
        let grpc = Server::start(any_port(), Some(pki.server(asks)), |_| Answer::Accepts);
        let http = http_testing::Server::start(Some(pki.server(asks)), accept).await;
        for (protocol, endpoint) in
            [("grpc", format!("https://{}", grpc.address)), ("http/json", http.uri("https", "/").to_string())]
        {
            let short = Duration::from_millis(500);
            let (mut session, _) = session(destination(protocol, &endpoint, pki.client(true)));
            assert_eq!(deliver(&mut session, 1, PATIENCE).await, Outcome::Delivered, "{protocol} {asks}");
            let (mut session, _) = self::session(destination(protocol, &endpoint, TlsOptions::default()));
            assert_eq!(deliver(&mut session, 1, short).await, Outcome::Expired, "{protocol} {asks}");
            let (mut session, exporter) = self::session(destination(protocol, &endpoint, pki.client(false)));
            let expected = if asks { Outcome::Expired } else { Outcome::Delivered };
            assert_eq!(deliver(&mut session, 1, short).await, expected, "{protocol} {asks}");
            assert_eq!(exporter.view().failed > 0, asks);

            let ca = directory.path().join("current.pem");
            fs::copy(pki.path("client.pem"), &ca).unwrap();
            let tls = TlsOptions { ca: Some(ca.clone()), ..pki.client(true) };
            let (mut session, exporter) = self::session(destination(protocol, &endpoint, tls));
            assert_eq!(deliver(&mut session, 1, short).await, Outcome::Expired, "{protocol} {asks}");
            fs::remove_file(&ca).unwrap();
            assert_eq!(deliver(&mut session, 1, short).await, Outcome::Expired, "{protocol} {asks}");
            fs::copy(pki.path("ca.pem"), &ca).unwrap();
            assert_eq!(deliver(&mut session, 1, PATIENCE).await, Outcome::Delivered, "{protocol} {asks}");
            assert_eq!(exporter.view().sent, 1);
        }
    }
}

#[tokio::test]
async fn the_end_is_waited_for_no_longer_than_granted() {
    let server = Server::start(any_port(), None, |_| Answer::Hangs);
    let to = destination("grpc", &format!("http://{}", server.address), TlsOptions::default());
    let (mut session, _) = session(to);
    let (sender, receiver) = watch::channel(false);
    let mut shutdown = Shutdown::new(receiver, Duration::from_millis(300));
    sender.send(true).unwrap();
    shutdown.near().await;
    let began = Instant::now();
    let deadline = began + PATIENCE;
    assert_eq!(session.deliver(&request(1), deadline, &mut shutdown).await, Outcome::Shutdown);
    assert!(began.elapsed() >= Duration::from_millis(250) && began.elapsed() < PATIENCE / 2);
    // The second request has no time of its own.
    let began = Instant::now();
    assert_eq!(session.deliver(&request(1), deadline, &mut shutdown).await, Outcome::Shutdown);
    assert!(began.elapsed() < Duration::from_millis(200));
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_our_own_is_cut_short_at_the_end() {
    let (sender, receiver) = watch::channel(false);
    let pause = |asked| Pause { until: Instant::now() + Duration::from_secs(20), asked };
    let mut shutdown = Shutdown::new(receiver, GRACE);
    let began = Instant::now();
    pause(false).pass(&mut shutdown).await;
    assert_eq!(began.elapsed(), Duration::from_secs(20));
    drop(sender);
    let began = Instant::now();
    pause(false).pass(&mut shutdown).await;
    assert_eq!(began.elapsed(), LAST_WAITS);
    pause(true).pass(&mut shutdown).await;
    assert_eq!(began.elapsed(), LAST_WAITS + Duration::from_secs(20));
}

#[test]
fn foreign_texts_are_shortened_and_errors_told_with_their_causes() {
    assert_eq!(quoted("a\n\u{1b}[31mb"), "a[31mb");
    assert_eq!(quoted(&"ä".repeat(QUOTED + 1)).chars().count(), QUOTED);
    let error = ClientError::HalfAPair;
    assert_eq!(chain(&error), error.to_string());
}
