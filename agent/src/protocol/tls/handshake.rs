//! What was read of a TLS handshake.

use std::time::Duration;

use crate::{exchange::Role, time::Nanos};

/// A TLS handshake, as far as it was in the clear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handshake {
    /// Server or client side.
    pub role: Role,
    /// First byte of the first `ClientHello`.
    pub began: Nanos,
    /// From there to the message that completed it; `None` unless it was established.
    pub duration: Option<Duration>,
    /// How it ended.
    pub outcome: Outcome,
    /// `server_name` (RFC 6066 §3), lower case; with an encrypted hello (ECH) the public one.
    pub server_name: Option<Box<str>>,
    /// Protocols the client offered (ALPN, RFC 7301), those that are text.
    pub protocols_offered: Vec<Box<str>>,
    /// The protocol the server chose in the clear (TLS 1.2 and older).
    pub protocol: Option<Box<str>>,
    /// Versions the client offered, as on the wire (0x0304 is TLS 1.3), without GREASE (RFC 8701), newest first.
    pub versions_offered: Vec<u16>,
    /// The version the server chose.
    pub version: Option<u16>,
    /// Cipher suites the client offered, in its order, without GREASE.
    pub ciphers_offered: Vec<u16>,
    /// The cipher suite the server chose (IANA registry).
    pub cipher: Option<u16>,
    /// The group of the key exchange (IANA registry "TLS Supported Groups"), where it is told.
    pub group: Option<u16>,
    /// An earlier session was resumed, or in TLS 1.3 another key taken that both had; `None`: not known.
    pub resumed: Option<bool>,
    /// The server asked for a second `ClientHello` (RFC 8446 §4.1.4).
    pub retried: bool,
    /// The server asked for the client's certificate in the clear.
    pub client_certificate_requested: bool,
    /// What the server showed of itself.
    pub server_certificates: Certificates,
    /// What the client showed of itself.
    pub client_certificates: Certificates,
    /// Fingerprint of the client's offer in the form of JA4, where it was asked for.
    pub fingerprint: Option<Box<str>>,
}

/// How a handshake ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Both ends finished it.
    Established,
    /// An end gave it up with an alert (RFC 8446 §6.2); `None`: the alert was encrypted.
    Alert {
        /// The client sent it.
        by_client: bool,
        /// Its description.
        description: Option<u8>,
    },
    /// The connection ended before it was complete, without an alert.
    Abandoned,
    /// Part of it passed unseen.
    #[default]
    Unobserved,
}

/// Certificates of one end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Certificates {
    /// It showed none: it was not asked, or an earlier session was resumed.
    #[default]
    None,
    /// They are encrypted (TLS 1.3); of a client, whether there are any is as well.
    Encrypted,
    /// The chain, the end's own first, as far as it could be read.
    Shown(Vec<Certificate>),
}

/// An X.509 certificate (RFC 5280).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Subject, RFC 4514 style.
    pub subject: Box<str>,
    /// Issuer, likewise.
    pub issuer: Box<str>,
    /// Subject alternative names: DNS names, addresses, e-mail addresses and URIs.
    pub alternative_names: Vec<Box<str>>,
    /// Serial number, hexadecimal, lower case, two digits a byte.
    pub serial: Box<str>,
    /// Beginning of validity, seconds since 1970.
    pub not_before: i64,
    /// End of validity, seconds since 1970.
    pub not_after: i64,
}
