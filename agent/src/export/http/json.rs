//! JSON documents as answers.

use std::io;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::body;
use crate::export::{
    graph::Invalid,
    page::{Page, PageError, PageSource, Want},
};

/// The media type of all of them.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Why there is no document.
#[derive(Debug)]
pub enum Failure {
    /// A parameter is not valid.
    Invalid(Invalid),
    /// There is no page to make it from.
    Page(PageError),
    /// What it should be about is not there.
    NotFound,
}

/// Where a document goes.
pub struct Sink<'a>(&'a mut body::ChunkWriter);

impl Sink<'_> {
    /// Writes the document, which is all there is.
    ///
    /// # Errors
    /// If the client is gone.
    pub fn write(self, document: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(self.0, document).map_err(io::Error::from)
    }
}

/// Answers with the document that `write` makes of a page, on a thread of its own: a large graph takes milliseconds,
/// and is never in memory as a whole.
pub async fn stream(
    source: PageSource,
    write: impl FnOnce(&Page, Sink<'_>) -> io::Result<()> + Send + 'static,
) -> Result<Response, Failure> {
    let (page, permit) = source.page(Want::Graph).await?;
    let (mut writer, chunks) = body::channel();
    tokio::task::spawn_blocking(move || {
        // A writer that is not finished breaks the response off, which is all there is to do if this fails.
        if write(&page, Sink(&mut writer)).is_ok() {
            let _ = writer.finish();
        }
        drop(permit);
    });
    Ok(([(header::CONTENT_TYPE, JSON)], Body::new(chunks)).into_response())
}

/// Answers with a small document.
pub fn small(document: &impl Serialize) -> Response {
    // Documents have text keys and numbers that are finite or null: they can be written.
    let text = serde_json::to_string(document).unwrap_or_default();
    ([(header::CONTENT_TYPE, JSON)], text).into_response()
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<PageError> for Failure {
    fn from(error: PageError) -> Self {
        Self::Page(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Invalid(invalid) => {
                let document = serde_json::json!({ "error": invalid.to_string() });
                (StatusCode::BAD_REQUEST, small(&document)).into_response()
            }
            Self::Page(error) => error.into_response(),
            // The words of k8spacket's API.
            Self::NotFound => (StatusCode::NOT_FOUND, "Not Found 404").into_response(),
        }
    }
}
