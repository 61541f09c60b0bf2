//! The HTTP server: `/metrics`, `/healthz`, `/readyz`, `/http_sd`, the graph and a status page.

mod body;
mod connection;
mod discovery;
mod encoding;
mod graph;
mod json;
mod listen;
mod server;
mod socket;
mod status;
mod web;

use std::sync::Arc;

use axum::{
    Extension, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};

use self::{
    discovery::{Discovery, http_sd},
    encoding::{GZIP, Packed, takes_gzip},
};
pub use self::{
    listen::BindError,
    server::{Options, Server, bind},
    web::WebError,
};
use super::{
    page::{PageError, PageSource, Want},
    prometheus::{self, Form},
};

/// What answers differ by.
const VARY: &str = "Accept, Accept-Encoding";

fn routes(source: PageSource, form: Form, discovery: Discovery) -> Router {
    let metrics = get(move |source, headers| metrics(source, headers, form));
    Router::new()
        .route("/", get(index))
        .route("/metrics", metrics)
        .route("/http_sd", get(http_sd).layer(Extension(Arc::new(discovery))))
        .merge(health())
        .merge(graph::routes())
        .with_state(source)
}

/// Those that are for everyone, at an address of their own.
fn health_routes(source: PageSource) -> Router {
    health().with_state(source)
}

fn health() -> Router<PageSource> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz))
}

/// The page is written on a thread of its own: a large one takes milliseconds, and other requests are not to wait.
async fn metrics(State(source): State<PageSource>, headers: HeaderMap, form: Form) -> Result<Response, PageError> {
    let negotiated = prometheus::negotiate(Some(&accepted(&headers)));
    let gzip = takes_gzip(&headers);
    let (page, permit) = source.page(Want::Metrics).await?;
    let (writer, chunks) = body::channel();
    tokio::task::spawn_blocking(move || {
        let mut packed = Packed::new(writer, gzip);
        // A writer that is not finished breaks the response off, which is all there is to do if this fails.
        if prometheus::write(&page, negotiated, form, &mut packed).is_ok() {
            let _ = packed.finish();
        }
        drop(permit);
    });
    let headers = [(header::CONTENT_TYPE, negotiated.content_type), (header::VARY, VARY)];
    let mut response = (headers, Body::new(chunks)).into_response();
    if gzip {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(GZIP));
    }
    Ok(response)
}

async fn index(State(source): State<PageSource>) -> Result<Response, PageError> {
    let (page, _permit) = source.page(Want::Metrics).await?;
    let text = status::html(&page);
    let policy = [(header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'")];
    Ok((policy, Html(text)).into_response())
}

/// Whether the process works: it answers, and its reader exists.
async fn healthz(State(source): State<PageSource>) -> (StatusCode, &'static str) {
    if source.is_alive() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the reader has stopped\n")
    }
}

/// Whether it observes.
async fn readyz(State(source): State<PageSource>) -> (StatusCode, &'static str) {
    if source.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no program is attached yet\n")
    }
}

/// All `Accept` fields as one list (RFC 9110 §5.3).
fn accepted(headers: &HeaderMap) -> String {
    let fields = headers.get_all(header::ACCEPT).iter();
    fields.filter_map(|field| field.to_str().ok()).collect::<Vec<_>>().join(",")
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        (StatusCode::SERVICE_UNAVAILABLE, [(header::CONTENT_TYPE, plain)], format!("{self}\n")).into_response()
    }
}

#[cfg(test)]
mod tests;
