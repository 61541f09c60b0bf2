//! The routes of the graph: those of k8spacket's API, `/api/v1/graph` and `/api/v1/services`.

use std::time::Duration;

use axum::{
    Router,
    extract::{Path, RawQuery, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
    routing::get,
};

use super::json::{self, Failure};
use crate::{
    export::{
        graph::{Query, flat, nodegraph, services, tls},
        page::{PageSource, Want},
    },
    identity::host,
};

/// All of them.
pub fn routes() -> Router<PageSource> {
    Router::new()
        .route("/nodegraph/api/health", get(async || StatusCode::OK))
        .route("/nodegraph/api/graph/fields", get(node_graph_fields))
        .route("/nodegraph/api/graph/data", get(node_graph_data))
        .route("/nodegraph/connections", get(connections))
        .route("/tlsparser/api/data", get(handshakes))
        .route("/tlsparser/api/data/", get(handshakes))
        .route("/tlsparser/api/data/{id}", get(handshake))
        .route("/tlsparser/connections", get(handshakes))
        .route("/tlsparser/connections/", get(handshakes))
        .route("/tlsparser/connections/{id}", get(handshake))
        .route("/api/v1/graph", get(graph))
        .route("/api/v1/services", get(all_services))
}

async fn node_graph_fields(RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let query = Query::parse(query.as_deref())?;
    Ok(json::small(&nodegraph::fields(query.statistic)))
}

async fn node_graph_data(
    State(source): State<PageSource>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let query = Query::parse(query.as_deref())?;
    let answer = json::stream(source, move |page, sink| sink.write(&nodegraph::data(&page.net, &query)));
    let mut response = answer.await?;
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Ok(response)
}

async fn connections(State(source): State<PageSource>, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let query = Query::parse(query.as_deref())?;
    json::stream(source, move |page, sink| sink.write(&nodegraph::connections(&page.net, &query))).await
}

async fn handshakes(State(source): State<PageSource>, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let query = Query::parse(query.as_deref())?;
    json::stream(source, move |page, sink| sink.write(&tls::connections(&page.net, &query))).await
}

async fn handshake(State(source): State<PageSource>, Path(id): Path<String>) -> Result<Response, Failure> {
    let (page, _permit) = source.page(Want::Graph).await?;
    let details = tls::details(&page.net, &id).ok_or(Failure::NotFound)?;
    Ok(json::small(&details))
}

async fn graph(State(source): State<PageSource>, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let query = Query::parse(query.as_deref())?;
    json::stream(source, move |page, sink| sink.write(&flat::graph(&page.net, &query))).await
}

async fn all_services(State(source): State<PageSource>) -> Result<Response, Failure> {
    let (page, _permit) = source.page(Want::Metrics).await?;
    let now = Duration::from_nanos(host::boot_offset().epoch(host::monotonic_now()));
    let started = page.agent.process.map(|process| process.started);
    Ok(json::small(&services::services(&page.red, &page.net, now, started)))
}
