//! Conversations on raw sockets, told step by step in text files.
//!
//! One thread holds both ends of the connection and takes the steps of a case one after another; bytes that one end
//! sends have been read at the other before the next step. So a case is deterministic: which bytes share a segment,
//! what is answered before what is asked, and who ends the connection when.

mod case;
mod run;
mod text;
mod wire;

pub use case::{Case, End, Side, Step, StreamExpectation, load};
pub use run::{Chunking, Run, Stop};
pub use wire::{Family, Wire};

/// Makes one exchange on a connection of its own and gives the server's port.
///
/// # Panics
/// When loopback does not work.
#[must_use]
pub fn fence() -> u16 {
    let mut wire = Wire::open(Family::V4);
    wire.send(Side::Client, b"GET /fence HTTP/1.1\r\nHost: fence\r\n\r\n", true);
    wire.send(Side::Server, b"HTTP/1.1 204 No Content\r\n\r\n", true);
    wire.end(Side::Client, End::Close);
    wire.port()
}
