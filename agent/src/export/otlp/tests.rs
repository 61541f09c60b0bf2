use axum::body::Body;
use hyper::Response;
use tokio::sync::watch;

use super::{
    config::{Config, Limits},
    testing::{Answer, Server, destination, span},
    *,
};
use crate::export::{
    client::{TlsOptions, testing as http_testing},
    exporter::ExporterView,
    page::{self, Page},
};

fn traces(protocol: &str, endpoint: &str) -> Traces {
    Traces {
        destination: destination(protocol, endpoint, TlsOptions::default()),
        delay: Duration::from_millis(20),
        export_timeout: Duration::from_secs(20),
        max_queue: 100,
        max_batch: 4,
        limits: Limits { count: 128, length: None },
        sensitive_query: crate::identity::select::QueryKeys::default(),
    }
}

fn grpc(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> (Server, Traces) {
    let server = Server::start(([127, 0, 0, 1], 0).into(), None, answer);
    let config = traces("grpc", &format!("http://{}", server.address));
    (server, config)
}

fn lost(view: &ExporterView) -> u64 {
    view.dropped.iter().map(|(_, count)| count).sum()
}

#[tokio::test]
async fn every_span_is_sent_and_the_end_of_the_sender_is_the_end() {
    let (server, config) = grpc(|_| Answer::Accepts);
    let exporter = Exporter::new("test", config.max_queue);
    let (mut sender, receiver) = queue::queue(Arc::clone(&exporter));
    let (_held, asked) = watch::channel(false);
    let shutdown = Shutdown::new(asked, client::GRACE);
    let running = tokio::spawn(run_traces(config, Arc::default(), receiver, Arc::clone(&exporter), shutdown));
    sender.push(&mut (0..10).map(span).collect());
    drop(sender);
    running.await.unwrap();
    let view = exporter.view();
    assert_eq!((view.sent, view.failed, view.queued, lost(&view)), (10, 0, 0, 0));
    assert!(view.last_success > 0);
    let received = server.received();
    let scopes = received.iter().map(|request| &request.traces.resource_spans[0].scope_spans[0]);
    let sizes: Vec<_> = scopes.map(|scope| scope.spans.len()).collect();
    assert_eq!(sizes, [4, 4, 2]);
}

#[tokio::test]
async fn at_the_end_what_waits_is_sent() {
    let (server, config) = grpc(|_| Answer::Accepts);
    let config = Traces { delay: Duration::from_secs(3600), ..config };
    let exporter = Exporter::new("test", config.max_queue);
    let (mut sender, receiver) = queue::queue(Arc::clone(&exporter));
    let (ask, asked) = watch::channel(false);
    let shutdown = Shutdown::new(asked, client::GRACE);
    sender.push(&mut (0..3).map(span).collect());
    let running = tokio::spawn(run_traces(config, Arc::default(), receiver, Arc::clone(&exporter), shutdown));
    ask.send(true).unwrap();
    running.await.unwrap();
    assert_eq!((exporter.view().sent, server.received().len()), (3, 1));
    sender.push(&mut vec![span(3)]);
    assert_eq!(exporter.view().dropped, [("shutdown", 1)]);
}

#[tokio::test]
async fn a_server_that_never_answers_costs_what_is_counted() {
    let (server, config) = grpc(|_| Answer::Hangs);
    let exporter = Exporter::new("test", 10);
    let (mut sender, receiver) = queue::queue(Arc::clone(&exporter));
    let (ask, asked) = watch::channel(false);
    let shutdown = Shutdown::new(asked, Duration::from_secs(2));
    let running = tokio::spawn(run_traces(config, Arc::default(), receiver, Arc::clone(&exporter), shutdown));
    for round in 0..5 {
        sender.push(&mut (0..4).map(|index| span(round * 4 + index)).collect());
    }
    assert_eq!(exporter.view().queued, 10);
    assert_eq!(exporter.view().dropped, [("queue_full", 10)]);
    while server.received().is_empty() {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    ask.send(true).unwrap();
    running.await.unwrap();
    // What was under way and what waited have one time together.
    assert!(began.elapsed() < Duration::from_millis(3800));
    let view = exporter.view();
    assert_eq!((view.sent, view.queued), (0, 0));
    assert_eq!(view.dropped, [("queue_full", 10), ("shutdown", 10)]);
}

#[tokio::test]
async fn what_is_produced_is_sent_or_counted_whatever_the_server_does() {
    let unavailable = || tonic::Status::unavailable("no");
    let (server, config) = grpc(move |index| match index % 7 {
        1 => Answer::Rejects(1),
        2 => Answer::Breaks,
        4 => Answer::Fails(tonic::Status::invalid_argument("no")),
        5 => Answer::Fails(unavailable()),
        _ => Answer::Accepts,
    });
    let exporter = Exporter::new("test", 20);
    let (mut sender, receiver) = queue::queue(Arc::clone(&exporter));
    let (_held, asked) = watch::channel(false);
    let shutdown = Shutdown::new(asked, client::GRACE);
    let running = tokio::spawn(run_traces(config, Arc::default(), receiver, Arc::clone(&exporter), shutdown));
    for round in 0..10 {
        sender.push(&mut (0..3).map(|index| span(round * 3 + index)).collect());
        tokio::task::yield_now().await;
    }
    drop(sender);
    running.await.unwrap();
    let view = exporter.view();
    assert_eq!((view.sent + lost(&view), view.queued), (30, 0), "{view:?}");
    assert!(view.dropped.iter().any(|(reason, _)| *reason == "rejected"), "{view:?}");
    assert!(view.failed >= 2 && server.received().len() >= 5, "{view:?}");
}

/// Answers as a reader does, until nobody asks any more.
async fn reader(mut requests: page::PageRequests) {
    loop {
        if let Some(request) = requests.try_recv() {
            request.answer(Page::default());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn metrics(endpoint: &str, interval: Duration) -> Metrics {
    let variables = [("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", endpoint)];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let (config, warnings) = Config::from_variables(variables);
    assert_eq!(warnings, []);
    Metrics { interval, ..config.metrics.unwrap() }
}

#[tokio::test]
async fn metrics_are_sent_now_and_then_and_at_the_end() {
    let server = http_testing::Server::start(None, |_, _| Some(Response::new(Body::empty()))).await;
    let (source, requests) = page::channel();
    let reading = tokio::spawn(reader(requests));
    let exporter = Exporter::new("test", 0);
    let (ask, asked) = watch::channel(false);
    let config = metrics(&server.uri("http", "/v1/metrics").to_string(), Duration::from_millis(20));
    let shutdown = Shutdown::new(asked, client::GRACE);
    let running = tokio::spawn(run_metrics(config, Arc::default(), source, Arc::clone(&exporter), shutdown));
    while server.received().len() < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    ask.send(true).unwrap();
    running.await.unwrap();
    reading.abort();
    let view = exporter.view();
    assert!(view.sent > 0 && view.failed == 0 && view.queued == 0, "{view:?}");

    // With an interval that never comes, the end alone sends.
    let (source, requests) = page::channel();
    let reading = tokio::spawn(reader(requests));
    let before = server.received().len();
    let (_, asked) = watch::channel(true);
    let config = metrics(&server.uri("http", "/v1/metrics").to_string(), Duration::from_secs(3600));
    let shutdown = Shutdown::new(asked, client::GRACE);
    run_metrics(config, Arc::default(), source, exporter, shutdown).await;
    reading.abort();
    assert_eq!(server.received().len(), before + 1);
}

#[tokio::test]
async fn metrics_are_sent_by_grpc_too() {
    let server = Server::start(([127, 0, 0, 1], 0).into(), None, |_| Answer::Accepts);
    let (source, requests) = page::channel();
    let reading = tokio::spawn(reader(requests));
    let to = destination("grpc", &format!("http://{}", server.address), TlsOptions::default());
    let config = Metrics { destination: to, ..metrics("http://unused/", Duration::from_secs(3600)) };
    let (_, asked) = watch::channel(true);
    let exporter = Exporter::new("test", 0);
    run_metrics(config, Arc::default(), source, Arc::clone(&exporter), Shutdown::new(asked, client::GRACE)).await;
    reading.abort();
    let received: u64 = server.received().iter().map(|request| request.metrics.items()).sum();
    assert!(received > 0 && exporter.view().sent == received, "{:?}", exporter.view());
}

#[tokio::test]
async fn without_a_reader_there_are_no_metrics_and_the_end_comes_nevertheless() {
    let (source, requests) = page::channel();
    drop(requests);
    let exporter = Exporter::new("test", 0);
    let (ask, asked) = watch::channel(false);
    drop(ask);
    let config = metrics("http://127.0.0.1:1/", Duration::from_secs(3600));
    run_metrics(config, Arc::default(), source, Arc::clone(&exporter), Shutdown::new(asked, client::GRACE)).await;
    assert_eq!((exporter.view().sent, exporter.view().failed), (0, 1));
}
