//! The connections of gRPC: HTTP/2, plain or within the same TLS as all other exporters'.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    Uri,
    http::uri::{PathAndQuery, Scheme},
};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use tower_service::Service;

use crate::export::client::{ClientError, TlsOptions, tls_config};

/// How long the way to a server may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The protocol's name in TLS (RFC 9113 §3.2).
const H2: &[u8] = b"h2";

/// Opens connections that speak TLS although the address says `http`: tonic takes `https` for its own TLS.
#[derive(Clone, Debug)]
pub struct Connector(HttpsConnector<HttpConnector>);

/// What opens plain connections.
#[must_use]
pub fn plain() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector
}

/// What opens connections within TLS.
///
/// # Errors
/// If the files of `options` are unusable.
pub fn secure(options: &TlsOptions) -> Result<Connector, ClientError> {
    let mut config = tls_config(options)?;
    config.alpn_protocols = vec![H2.to_vec()];
    Ok(Connector(HttpsConnector::from((plain(), Arc::new(config)))))
}

/// `uri` with another scheme.
#[must_use]
pub fn with_scheme(uri: &Uri, scheme: Scheme) -> Uri {
    let mut parts = uri.clone().into_parts();
    parts.scheme = Some(scheme);
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    Uri::from_parts(parts).unwrap_or_default()
}

impl Service<Uri> for Connector {
    type Response = <HttpsConnector<HttpConnector> as Service<Uri>>::Response;
    type Error = <HttpsConnector<HttpConnector> as Service<Uri>>::Error;
    type Future = <HttpsConnector<HttpConnector> as Service<Uri>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        self.0.call(with_scheme(&uri, Scheme::HTTPS))
    }
}
