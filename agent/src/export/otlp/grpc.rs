//! OTLP over gRPC.

use std::{error::Error as _, time::Duration};

use hyper::http::uri::Scheme;
use opentelemetry_proto::tonic::collector::{
    metrics::v1::metrics_service_client::MetricsServiceClient, trace::v1::trace_service_client::TraceServiceClient,
};
use tokio::{task::JoinSet, time::timeout};
use tonic::{
    Code, Request, Status,
    codec::CompressionEncoding,
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};

use super::{
    client::{Accepted, Export, Failure, USER_AGENT, chain, quoted},
    config::{Compression, Destination},
    retry::{self, Retry},
    tls,
};
use crate::export::client::ClientError;

/// A client for one destination.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    metadata: MetadataMap,
    compression: Option<CompressionEncoding>,
    timeout: Duration,
}

impl Client {
    /// Opens nothing yet.
    ///
    /// # Errors
    /// If the certificates are unusable.
    pub fn new(destination: &Destination) -> Result<Self, ClientError> {
        let uri = &destination.endpoint;
        let endpoint = Endpoint::from(tls::with_scheme(uri, Scheme::HTTP)).origin(uri.clone());
        let endpoint = endpoint.clone().user_agent(USER_AGENT).unwrap_or(endpoint);
        let channel = if uri.scheme() == Some(&Scheme::HTTPS) {
            endpoint.connect_with_connector_lazy(tls::secure(&destination.tls)?)
        } else {
            endpoint.connect_with_connector_lazy(tls::plain())
        };
        Ok(Self {
            channel,
            metadata: MetadataMap::from_headers(destination.headers.clone()),
            compression: match destination.compression {
                Compression::None => None,
                Compression::Gzip => Some(CompressionEncoding::Gzip),
                Compression::Zstd => Some(CompressionEncoding::Zstd),
            },
            timeout: destination.timeout,
        })
    }

    /// One attempt.
    ///
    /// # Errors
    /// If the server does not take it.
    pub async fn export<R: Export>(&self, request: &R) -> Result<Accepted, Failure> {
        // In a task of its own: tonic panics on a `grpc-status-details-bin` that is not Base64.
        let mut task = JoinSet::new();
        task.spawn(request.clone().call(self.clone()));
        let answered = task.join_next();
        let answered = if self.timeout.is_zero() {
            answered.await
        } else {
            let late = || format!("no answer within {:?}", self.timeout);
            let again = |_| Failure::Again { after: None, error: late(), broken: true };
            timeout(self.timeout, answered).await.map_err(again)?
        };
        match answered {
            Some(Ok(Ok(answer))) => Ok(R::accepted(answer.into_inner())),
            Some(Ok(Err(status))) => Err(failure(&status)),
            Some(Err(_)) | None => Err(Failure::Final { error: "the answer is malformed".to_owned() }),
        }
    }

    /// A request with what is sent along.
    pub fn request<R>(&self, message: R) -> Request<R> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        if !self.timeout.is_zero() {
            request.set_timeout(self.timeout);
        }
        request
    }

    /// The service for spans.
    #[must_use]
    pub fn traces(&self) -> TraceServiceClient<Channel> {
        let client = TraceServiceClient::new(self.channel.clone());
        match self.compression {
            None => client,
            // A server answers in kind.
            Some(encoding) => client.send_compressed(encoding).accept_compressed(encoding),
        }
    }

    /// The service for metrics.
    #[must_use]
    pub fn metrics(&self) -> MetricsServiceClient<Channel> {
        let client = MetricsServiceClient::new(self.channel.clone());
        match self.compression {
            None => client,
            // A server answers in kind.
            Some(encoding) => client.send_compressed(encoding).accept_compressed(encoding),
        }
    }
}

/// A status with a source is none of the server's: the connection was not made, or broke.
fn failure(status: &Status) -> Failure {
    if status.source().is_some() {
        return Failure::Again { after: None, error: chain(status), broken: true };
    }
    let error = format!("{:?}: {}", status.code(), quoted(status.message()));
    match retry::of_grpc(status) {
        Retry::After(after) => {
            let broken = matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded);
            Failure::Again { after, error, broken }
        }
        Retry::Never => Failure::Final { error },
    }
}
