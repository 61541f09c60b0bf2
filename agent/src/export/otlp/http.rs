//! OTLP over HTTP/1.1: protocol buffers or JSON.

use std::{io::Write as _, time::SystemTime};

use flate2::{Compression as Level, write::GzEncoder};
use hyper::{
    HeaderMap,
    body::Bytes,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, USER_AGENT},
};
use prost::Message as _;

use super::{
    client::{self, Accepted, Export, Failure, quoted},
    config::{Compression, Destination, Protocol},
    retry::{self, Retry, RpcStatus},
};
use crate::export::client::{Answer, Client as Transport, ClientError};

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A client for one destination.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Transport,
    destination: Destination,
}

impl Client {
    /// Opens nothing yet.
    ///
    /// # Errors
    /// If the certificates are unusable.
    pub fn new(destination: &Destination) -> Result<Self, ClientError> {
        let transport = Transport::new(&destination.tls, destination.timeout)?;
        Ok(Self { transport, destination: destination.clone() })
    }

    /// One attempt.
    ///
    /// # Errors
    /// If the server does not take it.
    pub async fn export<R: Export>(&self, request: &R) -> Result<Accepted, Failure> {
        let (body, content_type) = match self.destination.protocol {
            Protocol::HttpJson => (json(request)?, JSON),
            Protocol::HttpProtobuf | Protocol::Grpc => (request.protobuf(), PROTOBUF),
        };
        let (body, encoding) = packed(body, self.destination.compression);
        let mut headers = self.destination.headers.clone();
        headers.insert(CONTENT_TYPE, content_type);
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(client::USER_AGENT));
        if let Some(encoding) = encoding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        let answer = self.transport.post(&self.destination.endpoint, headers, body).await;
        let broken = |error: ClientError| Failure::Again { after: None, error: error.to_string(), broken: true };
        let answer = answer.map_err(broken)?;
        if answer.status.is_success() {
            return Ok(R::accepted(read(&answer).unwrap_or_default()));
        }
        Err(failure(&answer))
    }
}

fn json<R: Export>(request: &R) -> Result<Bytes, Failure> {
    let text = request.json().and_then(|mut value| {
        strip(&mut value);
        serde_json::to_vec(&value)
    });
    text.map(Bytes::from).map_err(|error| Failure::Final { error: error.to_string() })
}

/// Leaves out what is not there: the Collector takes a number or nothing for one, but no `null` (the least and the
/// largest of a histogram, among others).
fn strip(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(strip);
        }
        serde_json::Value::Array(elements) => elements.iter_mut().for_each(strip),
        _ => {}
    }
}

/// The body and its `Content-Encoding`. Packing into memory cannot fail; if it does, the body goes as it is.
fn packed(body: Bytes, compression: Compression) -> (Bytes, Option<&'static str>) {
    let (packed, name) = match compression {
        Compression::None => return (body, None),
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
            (encoder.write_all(&body).and_then(|()| encoder.finish()), "gzip")
        }
        Compression::Zstd => (zstd::bulk::compress(&body, zstd::DEFAULT_COMPRESSION_LEVEL), "zstd"),
    };
    packed.map_or((body, None), |packed| (packed.into(), Some(name)))
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(JSON.as_bytes()))
}

/// What a server says of a request that it took; `None`: nothing that is understood.
fn read<A: prost::Message + Default + serde::de::DeserializeOwned>(answer: &Answer) -> Option<A> {
    if is_json(&answer.headers) {
        serde_json::from_slice(&answer.body).ok()
    } else {
        A::decode(answer.body.clone()).ok()
    }
}

fn failure(answer: &Answer) -> Failure {
    #[expect(clippy::disallowed_methods, reason = "retry-after may be a date")]
    let now = SystemTime::now();
    let error = match message(answer) {
        Some(message) => format!("{}: {message}", answer.status),
        None => answer.status.to_string(),
    };
    match retry::of_http(answer.status, &answer.headers, now) {
        Retry::After(after) => Failure::Again { after, error, broken: false },
        Retry::Never => Failure::Final { error },
    }
}

/// The message of the `google.rpc.Status` that a refusal has for a body.
fn message(answer: &Answer) -> Option<String> {
    let message = if is_json(&answer.headers) {
        let status: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
        status.get("message")?.as_str()?.to_owned()
    } else {
        answer.headers.get(CONTENT_TYPE).filter(|value| value.as_bytes().starts_with(PROTOBUF.as_bytes()))?;
        RpcStatus::decode(answer.body.clone()).ok()?.message
    };
    (!message.is_empty()).then(|| quoted(&message))
}
