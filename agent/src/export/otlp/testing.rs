//! A real gRPC server on loopback, and spans.

use std::{
    convert::Infallible,
    net::{SocketAddr, TcpListener as StdListener},
    sync::{Arc, Mutex},
};

use hyper::{HeaderMap, Request as HttpRequest, Response as HttpResponse, body::Incoming, server::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_proto::tonic::collector::{
    metrics::v1::{
        ExportMetricsServiceRequest, ExportMetricsServiceResponse,
        metrics_service_server::{MetricsService, MetricsServiceServer},
    },
    trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Notify,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;
use tonic::{Request, Response, Status, codec::CompressionEncoding};
use tower_service::Service;

use crate::{
    exchange::{Exchange, Method, Role, Times},
    export::{client::TlsOptions, otlp::config},
    time::{Nanos, WallOffset},
    trace::{Span, SpanIds},
};

/// What becomes of a request.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Accepts,
    /// Takes all but so many.
    Rejects(i64),
    Fails(Status),
    /// Never answers.
    Hangs,
    /// Breaks the connection.
    Breaks,
    /// A status whose details are no Base64.
    Garbles,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) headers: HeaderMap,
    pub(super) traces: ExportTraceServiceRequest,
    pub(super) metrics: ExportMetricsServiceRequest,
}

/// A server until it is dropped; then its connections break.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    accepting: JoinHandle<()>,
}

#[derive(Clone)]
struct Handler {
    answer: Arc<dyn Fn(usize) -> Answer + Send + Sync>,
    received: Arc<Mutex<Vec<Received>>>,
    broken: Arc<Notify>,
}

impl Server {
    /// A server that answers the n-th request (from 0) as `answer` says.
    pub(super) fn start(
        address: SocketAddr,
        tls: Option<ServerConfig>,
        answer: impl Fn(usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = StdListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let received = Arc::default();
        let answer: Arc<dyn Fn(usize) -> Answer + Send + Sync> = Arc::new(answer);
        let acceptor = tls.map(|mut config| {
            config.alpn_protocols = vec![b"h2".to_vec()];
            TlsAcceptor::from(Arc::new(config))
        });
        let log = Arc::clone(&received);
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, received, acceptor) = (Arc::clone(&answer), Arc::clone(&log), acceptor.clone());
                let handler = Handler { answer, received, broken: Arc::default() };
                connections.spawn(async move {
                    // A client that goes away, or shows the wrong certificate, is the client's test.
                    match acceptor {
                        Some(acceptor) => {
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            serve(stream, handler).await;
                        }
                        None => serve(stream, handler).await,
                    }
                });
            }
        });
        Self { address, received, accepting }
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, handler: Handler) {
    let broken = Arc::clone(&handler.broken);
    let service = hyper::service::service_fn(move |request: HttpRequest<Incoming>| {
        let handler = handler.clone();
        async move { Ok::<_, Infallible>(handler.respond(request).await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = connection => {}
        () = broken.notified() => {}
    }
}

impl Handler {
    async fn respond(self, request: HttpRequest<Incoming>) -> HttpResponse<tonic::body::Body> {
        let index = self.received.lock().unwrap().len();
        if matches!((self.answer)(index), Answer::Garbles) {
            return HttpResponse::builder()
                .header("content-type", "application/grpc")
                .header("grpc-status", "14")
                .header("grpc-status-details-bin", "~~~")
                .body(tonic::body::Body::empty())
                .unwrap();
        }
        let (gzip, zstd) = (CompressionEncoding::Gzip, CompressionEncoding::Zstd);
        let answer = if request.uri().path().starts_with("/opentelemetry.proto.collector.trace.v1.TraceService/") {
            TraceServiceServer::new(self).accept_compressed(gzip).accept_compressed(zstd).call(request).await
        } else {
            MetricsServiceServer::new(self).accept_compressed(gzip).accept_compressed(zstd).call(request).await
        };
        answer.unwrap_or_else(|never| match never {})
    }

    /// How many are rejected of the next request.
    async fn next(
        &self,
        headers: HeaderMap,
        traces: ExportTraceServiceRequest,
        metrics: ExportMetricsServiceRequest,
    ) -> Result<i64, Status> {
        let index = {
            let mut received = self.received.lock().unwrap();
            received.push(Received { headers, traces, metrics });
            received.len() - 1
        };
        match (self.answer)(index) {
            Answer::Accepts | Answer::Garbles => Ok(0),
            Answer::Rejects(rejected) => Ok(rejected),
            Answer::Fails(status) => Err(status),
            Answer::Hangs => std::future::pending().await,
            Answer::Breaks => {
                self.broken.notify_one();
                std::future::pending().await
            }
        }
    }
}

#[tonic::async_trait]
impl TraceService for Handler {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (metadata, _, traces) = request.into_parts();
        let rejected_spans =
            self.next(metadata.into_headers(), traces, ExportMetricsServiceRequest::default()).await?;
        let partial = ExportTracePartialSuccess { rejected_spans, error_message: "too old".to_owned() };
        let partial_success = (rejected_spans > 0).then_some(partial);
        Ok(Response::new(ExportTraceServiceResponse { partial_success }))
    }
}

#[tonic::async_trait]
impl MetricsService for Handler {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let (metadata, _, metrics) = request.into_parts();
        self.next(metadata.into_headers(), ExportTraceServiceRequest::default(), metrics).await?;
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

/// The destination that `variables` describe, for spans, by one protocol to `endpoint`.
pub(super) fn destination(protocol: &str, endpoint: &str, tls: TlsOptions) -> config::Destination {
    let variables = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let (config, warnings) = config::Config::from_variables(variables);
    assert_eq!(warnings, []);
    config::Destination { tls, ..config.traces.unwrap().destination }
}

/// A server's span, the `index`-th of its trace.
pub(super) fn span(index: u64) -> Span {
    let times = Times {
        request_first: Some(Nanos(1_000 + index)),
        response_last: Some(Nanos(5_000 + index)),
        ..Times::default()
    };
    Span {
        ids: SpanIds {
            trace_id: TraceId::from_bytes([0xab; 16]),
            span_id: SpanId::from_bytes((index + 1).to_be_bytes()),
            parent: None,
            random: true,
        },
        exchange: Exchange {
            role: Role::Server,
            method: Some(Method::Get),
            status: Some(200),
            outcome: crate::exchange::Outcome::Ok,
            minor_version: 1,
            times,
            pid: 7,
            ..Exchange::default()
        },
        service: std::sync::Arc::new(crate::identity::Service::named("shop")),
        route: None,
        executable: "/usr/bin/shopd".into(),
        vpid: None,
        wall: WallOffset(1_000_000),
    }
}
