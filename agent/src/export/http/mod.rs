//! The HTTP server: `/metrics`, `/healthz`, `/readyz`, the graph and a status page.

mod body;
mod graph;
mod json;
mod server;
mod status;

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};

pub use self::server::{BindError, bind, serve};
use super::{
    page::{PageError, PageSource, Want},
    prometheus,
};

fn routes(source: PageSource) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .merge(graph::routes())
        .with_state(source)
}

/// The page is written on a thread of its own: a large one takes milliseconds, and other requests are not to wait.
async fn metrics(State(source): State<PageSource>, headers: HeaderMap) -> Result<Response, PageError> {
    let negotiated = prometheus::negotiate(Some(&accepted(&headers)));
    let (page, permit) = source.page(Want::Metrics).await?;
    let (mut writer, chunks) = body::channel();
    tokio::task::spawn_blocking(move || {
        // A writer that is not finished breaks the response off, which is all there is to do if this fails.
        let _ = prometheus::write(page, negotiated.format, &mut writer).and_then(|()| writer.finish());
        drop(permit);
    });
    let headers = [(header::CONTENT_TYPE, negotiated.content_type), (header::VARY, "Accept")];
    Ok((headers, Body::new(chunks)).into_response())
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
