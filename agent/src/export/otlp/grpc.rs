//! OTLP over gRPC.

use std::{error::Error as _, marker::PhantomData, time::Duration};

use hyper::{
    body::Bytes,
    http::uri::{PathAndQuery, Scheme},
};
use prost::bytes::BufMut as _;
use tokio::{task::JoinSet, time::timeout};
use tonic::{
    Code, Request, Response, Status,
    client::Grpc,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
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
        task.spawn(self.clone().call::<R::Answer>(R::PATH, request.protobuf()));
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

    async fn call<A>(self, path: &'static str, message: Bytes) -> Result<Response<A>, Status>
    where
        A: prost::Message + Default + 'static,
    {
        let mut grpc = Grpc::new(self.channel);
        if let Some(encoding) = self.compression {
            // A server answers in kind.
            grpc = grpc.send_compressed(encoding).accept_compressed(encoding);
        }
        grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata;
        if !self.timeout.is_zero() {
            request.set_timeout(self.timeout);
        }
        grpc.unary(request, PathAndQuery::from_static(path), Encoded(PhantomData)).await
    }
}

/// Of requests that are in protocol buffers already, and of answers that are to be.
struct Encoded<A>(PhantomData<A>);

impl<A: prost::Message + Default + 'static> Codec for Encoded<A> {
    type Encode = Bytes;
    type Decode = A;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(PhantomData)
    }

    fn decoder(&mut self) -> Self {
        Self(PhantomData)
    }
}

impl<A> Encoder for Encoded<A> {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(message);
        Ok(())
    }
}

impl<A: prost::Message + Default> Decoder for Encoded<A> {
    type Item = A;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<A>, Status> {
        A::decode(from).map(Some).map_err(|error| Status::internal(error.to_string()))
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
