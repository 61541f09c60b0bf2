//! The HTTP client of the exporters: one pooled connection or a few, TLS with the user's certificates, a deadline
//! for each request, and bounded answers.

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tls;

use std::{error::Error, fmt, future::poll_fn, path::PathBuf, pin::Pin, time::Duration};

use axum::body::Body;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::{Body as _, Bytes, Incoming},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::timeout;

pub use self::tls::{TlsOptions, config as tls_config};

/// Most of an answer's body that is kept; the rest is not read. The OTLP specification's bound for responses; all
/// that is of use to us is far shorter.
pub const MAX_ANSWER: usize = 4 << 20;

/// How long the way to a server may take to open, so that a host that does not answer is noticed before a
/// request's deadline.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an unused connection is kept: servers commonly close theirs after a minute or two.
const IDLE: Duration = Duration::from_secs(50);

/// Idle connections kept for a server: an exporter has one request under way.
const MAX_IDLE: usize = 2;

/// Why there is no answer, or no client. No text of it has a header's value or a URL in it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A file of [`TlsOptions`] cannot be read, or is not PEM with what is expected of it.
    #[error("cannot read {what} from {}: {reason}", path.display())]
    File {
        /// What was expected of it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// As the reader puts it.
        reason: String,
    },
    /// A certificate without a key, or a key without a certificate.
    #[error("a client certificate needs both a certificate and a key")]
    HalfAPair,
    /// TLS cannot be set up with these files.
    #[error("cannot set up tls: {0}")]
    Tls(#[from] rustls::Error),
    /// No request can be made of these parts.
    #[error("the request is malformed: {0}")]
    Malformed(#[from] hyper::http::Error),
    /// No connection, or it broke before the answer.
    #[error("the request failed: {}", Chain(.0))]
    Failed(#[source] legacy::Error),
    /// The connection broke within the answer.
    #[error("the answer broke off: {}", Chain(.0))]
    BrokeOff(#[source] hyper::Error),
    /// No whole answer within the time that is given to one.
    #[error("no answer within {0:?}")]
    Late(Duration),
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body, cut off after [`MAX_ANSWER`] bytes.
    pub body: Bytes,
}

/// A client of HTTP/1.1, plain and TLS. It follows no redirect, uses no proxy and keeps no cookie.
#[derive(Clone, Debug)]
pub struct Client {
    inner: legacy::Client<HttpsConnector<HttpConnector>, Body>,
    timeout: Duration,
}

impl Client {
    /// A client that gives each request `timeout` until its answer is there whole; zero: any time.
    ///
    /// # Errors
    /// If the files of `tls` are unusable.
    pub fn new(tls: &TlsOptions, timeout: Duration) -> Result<Self, ClientError> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls_config(tls)?);
        let connector = builder.https_or_http().enable_http1().wrap_connector(connector);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector);
        Ok(Self { inner, timeout })
    }

    /// Sends `body` and waits for the answer, whatever its status. `uri` is absolute; `Host` and `Content-Length`
    /// are added to `headers`.
    ///
    /// # Errors
    /// If there is no whole answer; any of these may be tried again.
    pub async fn post(&self, uri: &Uri, headers: HeaderMap, body: Bytes) -> Result<Answer, ClientError> {
        let mut request = Request::builder().method(Method::POST).uri(uri).body(Body::from(body))?;
        *request.headers_mut() = headers;
        let asked = async { read(self.inner.request(request).await.map_err(ClientError::Failed)?).await };
        if self.timeout.is_zero() {
            return asked.await;
        }
        timeout(self.timeout, asked).await.map_err(|_| ClientError::Late(self.timeout))?
    }
}

/// Takes the answer in, up to [`MAX_ANSWER`] bytes of its body. One that is longer costs its connection.
async fn read(response: Response<Incoming>) -> Result<Answer, ClientError> {
    let (head, mut incoming) = response.into_parts();
    let mut body = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut incoming).poll_frame(context)).await {
        let Ok(data) = frame.map_err(ClientError::BrokeOff)?.into_data() else { continue };
        let room = MAX_ANSWER - body.len();
        body.extend(data.iter().take(room));
        if data.len() > room {
            break;
        }
    }
    Ok(Answer { status: head.status, headers: head.headers, body: body.into() })
}

/// An error with what it came from, without repetition.
struct Chain<'a, E>(&'a E);

impl<E: Error> fmt::Display for Chain<'_, E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut last = self.0.to_string();
        let mut source = self.0.source();
        while let Some(error) = source {
            let text = error.to_string();
            if !last.contains(&text) {
                write!(formatter, ": {text}")?;
            }
            (last, source) = (text, error.source());
        }
        Ok(())
    }
}
