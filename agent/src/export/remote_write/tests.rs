use axum::body::Body;
use hyper::{Response, header::HeaderValue};
use prost::Message as _;
use tokio::{sync::watch, task::JoinHandle};

use super::{
    proto::{Request, v1},
    *,
};
use crate::export::{
    agent::AgentSnapshot,
    client::testing::{Pki, Received, Server},
    exporter::ExporterView,
    page::{self, PageRequests},
};

/// Longer than any test takes.
const NEVER: Duration = Duration::from_secs(3600);

fn options(url: Uri) -> Options {
    Options {
        url,
        interval: NEVER,
        timeout: TIMEOUT,
        version: Version::Auto,
        authorization: Authorization::None,
        headers: HeaderMap::new(),
        tls: TlsOptions::default(),
        queue_bytes: 1 << 20,
        external_labels: Vec::new(),
        native: false,
        classic_too: false,
    }
}

fn status(status: u16) -> Option<Response<Body>> {
    Some(Response::builder().status(status).body(Body::empty()).unwrap())
}

/// What a receiver of 2.0 says that has taken all of a request, but for some.
fn written(request: &Received, but: usize) -> Option<Response<Body>> {
    let samples = samples(request) - but;
    let response = Response::builder().status(204).header("X-Prometheus-Remote-Write-Samples-Written", samples);
    Some(response.body(Body::empty()).unwrap())
}

fn body(request: &Received) -> Vec<u8> {
    snap::raw::Decoder::new().decompress_vec(&request.body).unwrap()
}

fn samples(request: &Received) -> usize {
    match request.headers["x-prometheus-remote-write-version"].to_str().unwrap() {
        "2.0.0" => {
            Request::decode(&*body(request)).unwrap().timeseries.iter().map(|series| series.samples.len()).sum()
        }
        _ => v1::WriteRequest::decode(&*body(request))
            .unwrap()
            .timeseries
            .iter()
            .map(|series| series.samples.len())
            .sum(),
    }
}

/// `run` with a page to write.
struct Running {
    exporter: Arc<Exporter>,
    end: watch::Sender<bool>,
    task: JoinHandle<Result<(), ClientError>>,
    reader: JoinHandle<()>,
}

impl Running {
    fn start(options: Options) -> Self {
        let (source, mut requests): (_, PageRequests) = page::channel();
        let reader = tokio::spawn(async move {
            loop {
                if let Some(request) = requests.try_recv() {
                    request.answer(Page { agent: AgentSnapshot::default(), ..Page::default() });
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        let exporter = Exporter::new("remote_write", 1 << 20);
        let (end, asked) = watch::channel(false);
        let resource = Arc::new(Resource { host: "h".into(), ..Resource::default() });
        let shutdown = Shutdown::new(asked, Duration::from_millis(200));
        let task = tokio::spawn(run(options, resource, source, Arc::clone(&exporter), shutdown));
        Self { exporter, end, task, reader }
    }

    /// The figures once they are as expected.
    async fn until(&self, what: impl Fn(&ExporterView) -> bool) -> ExporterView {
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let view = self.exporter.view();
                if what(&view) {
                    return view;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{:?}", self.exporter.view()))
    }

    async fn end(self) -> ExporterView {
        self.end.send(true).unwrap();
        self.task.await.unwrap().unwrap();
        self.reader.abort();
        self.exporter.view()
    }
}

#[tokio::test]
async fn a_receiver_of_2_0_gets_it() {
    let server = Server::start(None, |_, request| written(request, 0)).await;
    let directory = tempfile::tempdir().unwrap();
    let password = directory.path().join("password");
    std::fs::write(&password, "user:secret\n").unwrap();
    let headers = HeaderMap::from_iter(
        [("x-scope-orgid", "7"), ("content-type", "mine")]
            .map(|(name, value)| (hyper::header::HeaderName::from_static(name), HeaderValue::from_static(value))),
    );
    let running = Running::start(Options {
        headers,
        authorization: Authorization::Basic(password),
        external_labels: vec![("zone".into(), "a".into()), ("job".into(), "other".into())],
        ..options(server.uri("http", "/api/v1/write"))
    });
    let view = running.until(|view| view.sent > 0 && view.queued == 0).await;
    assert_eq!((view.failed, &view.dropped[..]), (0, &[][..]));
    assert!(view.last_success > 0);
    let [request] = &server.received()[..] else { panic!() };
    assert_eq!(request.uri, "/api/v1/write");
    for (name, value) in [
        ("content-encoding", "snappy"),
        ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
        ("x-prometheus-remote-write-version", "2.0.0"),
        ("user-agent", concat!("redtap/", env!("CARGO_PKG_VERSION"))),
        ("authorization", "Basic dXNlcjpzZWNyZXQ="),
        ("x-scope-orgid", "7"),
    ] {
        assert_eq!(request.headers[name], value, "{name}");
    }
    assert!(!request.headers.contains_key("retry-attempt"));
    let message = Request::decode(&*body(request)).unwrap();
    for text in ["redtap_build_info", "other", "h", "zone", "instance"] {
        assert!(message.symbols.iter().any(|symbol| symbol == text), "{text}");
    }
    assert!(!message.symbols.iter().any(|symbol| symbol == "redtap"));
    assert_eq!(view.sent as usize, samples(request));
    // The last page is written at the end.
    let view = running.end().await;
    assert_eq!((server.received().len(), view.queued, &view.dropped[..]), (2, 0, &[][..]));
}

#[tokio::test]
async fn a_receiver_of_1_0_gets_that() {
    // It answers 415; or takes what it does not understand; or calls it a bad request.
    for answer in [415, 200, 400] {
        let server = Server::start(None, move |_, request| {
            let is_legacy = request.headers["x-prometheus-remote-write-version"] == "0.1.0";
            status(if is_legacy { 204 } else { answer })
        })
        .await;
        let running =
            Running::start(Options { interval: Duration::from_millis(20), ..options(server.uri("http", "/")) });
        running.until(|view| view.sent > 0).await;
        // Nothing of 2.0 comes after what was in the queue.
        let one = samples(&server.received()[1]) as u64;
        running.until(|view| view.sent >= 4 * one).await;
        let view = running.end().await;
        let received = server.received();
        let of_v2 = received.iter().filter(|request| request.headers["content-type"] != "application/x-protobuf");
        assert_eq!((of_v2.count(), view.failed, &view.dropped[..]), (1, 1, &[][..]), "{answer}");
        let message = v1::WriteRequest::decode(&*body(&received[1])).unwrap();
        assert!(!message.metadata.is_empty());
        assert_eq!(view.sent as usize, received[1..].iter().map(samples).sum::<usize>());
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_the_rest_is_not() {
    let retry = |status: u16, after: &'static str| {
        Some(Response::builder().status(status).header("retry-after", after).body(Body::empty()).unwrap())
    };
    let server = Server::start(None, move |index, request| match index {
        0 => retry(503, "0"),
        1 => retry(429, "garbage"),
        2 => status(500),
        _ => written(request, 0),
    })
    .await;
    let running = Running::start(options(server.uri("http", "/")));
    let view = running.until(|view| view.sent > 0).await;
    assert_eq!((view.failed, &view.dropped[..]), (3, &[][..]));
    let attempts: Vec<_> =
        server.received().iter().map(|request| request.headers.get("retry-attempt").cloned()).collect();
    let expected = [None, Some("1"), Some("2"), Some("3")].map(|text| text.map(HeaderValue::from_static));
    assert_eq!(attempts, expected);
    let bodies: Vec<_> = server.received().into_iter().map(|request| request.body).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    running.end().await;

    for (code, version, reason) in [
        (404, Version::Auto, "refused"),
        (401, Version::V1, "refused"),
        (415, Version::V2, "refused"),
        (200, Version::V2, "refused"),
        (400, Version::Auto, "refused"),
        (415, Version::V1, "refused"),
    ] {
        let server = Server::start(None, move |_, _| status(code)).await;
        let running = Running::start(Options { version, ..options(server.uri("http", "/")) });
        let view = running.until(|view| !view.dropped.is_empty()).await;
        assert_eq!((view.sent, view.dropped[0].0), (0, reason), "{code} {version:?}");
        assert_eq!(view.dropped[0].1 as usize, samples(&server.received()[0]));
        assert!(view.failed > 0);
        drop(running);
    }
}

#[tokio::test]
async fn what_a_receiver_did_not_write_is_counted() {
    let server = Server::start(None, |index, request| {
        let mut response = written(request, 3)?;
        if index == 1 {
            *response.status_mut() = hyper::StatusCode::BAD_REQUEST;
        }
        Some(response)
    })
    .await;
    let running = Running::start(options(server.uri("http", "/")));
    let view = running.until(|view| view.sent > 0).await;
    let all = samples(&server.received()[0]) as u64;
    assert_eq!((view.sent, view.dropped), (all - 3, vec![("rejected", 3)]));
    let view = running.end().await;
    assert_eq!((view.sent, view.dropped), (2 * (all - 3), vec![("refused", 3), ("rejected", 3)]));
}

#[tokio::test]
async fn a_receiver_that_is_away_costs_bounded_memory() {
    let server = Server::start(None, |_, _| status(503)).await;
    let queue_bytes = 64 << 10;
    let running = Running::start(Options {
        interval: Duration::from_millis(1),
        queue_bytes,
        ..options(server.uri("http", "/"))
    });
    let view = running.until(|view| view.dropped.iter().any(|(reason, _)| *reason == "queue_full")).await;
    assert!(view.queued > 0 && view.queued <= queue_bytes as u64);
    // The end does not wait for it.
    let view = running.end().await;
    assert_eq!((view.sent, view.queued), (0, 0));
    assert!(view.dropped.iter().any(|(reason, count)| *reason == "shutdown" && *count > 0), "{:?}", view.dropped);
}

#[tokio::test]
async fn a_receiver_with_certificates() {
    let directory = tempfile::tempdir().unwrap();
    let pki = Pki::new(directory.path());
    let server = Server::start(Some(pki.server(true)), |_, request| written(request, 0)).await;
    let token = directory.path().join("token");
    let tls = pki.client(true);
    let authorization = Authorization::Bearer(token.clone());
    let running = Running::start(Options { tls, authorization, ..options(server.uri("https", "/")) });
    // The token is not there yet.
    running.until(|view| view.failed > 0).await;
    std::fs::write(&token, "abc\n").unwrap();
    running.until(|view| view.sent > 0).await;
    assert_eq!(server.received()[0].headers["authorization"], "Bearer abc");
    running.end().await;

    let tls = TlsOptions { ca: Some(directory.path().join("none")), ..TlsOptions::default() };
    let (source, _requests) = page::channel();
    let (_end, asked) = watch::channel(false);
    let shutdown = Shutdown::new(asked, NEVER);
    let options = Options { tls, ..options(server.uri("https", "/")) };
    let ended = run(options, Arc::default(), source, Exporter::new("remote_write", 1), shutdown).await;
    assert!(matches!(ended, Err(ClientError::File { .. })));
}
