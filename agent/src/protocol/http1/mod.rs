//! HTTP/1.0 and HTTP/1.1 (RFC 9112): heads, message framing by position, and the pairing of requests with
//! answers.
//!
//! Framing, in the order of RFC 9112 §6.3: no body after HEAD, 1xx, 204 and 304; a tunnel after a 2xx to CONNECT
//! and after 101; `Transfer-Encoding: chunked` before any `Content-Length`; conflicting lengths are no framing,
//! and such a message ends where the other side speaks next; a response without either lasts until the server
//! closes. Bodies are passed over by position.

mod captured;
mod chunked;
mod connection;
mod forwarded;
mod head;
mod headers;

#[cfg(test)]
mod tests;

pub use connection::Connection;
pub use head::{Memo, recognise, recognise_known, recognise_partial};
pub use headers::{Header, Headers};
