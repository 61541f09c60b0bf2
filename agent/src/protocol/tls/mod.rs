//! TLS, as far as it is in the clear: handshakes (RFC 8446, RFC 5246 and older) and the certificates they show.
//!
//! [`record`] has the records and puts messages together, [`hello`] and [`certificate`] read them, [`Connection`] knows
//! which may come when, and when a handshake is over. Nothing is decrypted; what cannot be told is not told.

mod certificate;
mod connection;
mod fingerprint;
mod handshake;
mod hello;
mod names;
mod recognise;
mod record;

#[cfg(test)]
mod tests;

pub use connection::Connection;
pub use handshake::{Certificate, Certificates, Handshake, Outcome};
pub use names::{alert_name, cipher_name, group_name, protocol_name, version_name};
pub use recognise::recognise;
