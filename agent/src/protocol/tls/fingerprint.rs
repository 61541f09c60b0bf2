//! JA4, a fingerprint of TLS clients: <https://github.com/FoxIO-LLC/ja4/blob/main/technical_details/JA4.md>.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The largest count that two digits can tell.
const MOST: usize = 99;

/// Hexadecimal digits that are kept of a hash.
const HASH_DIGITS: usize = 12;

const SERVER_NAME: u16 = 0;
const PROTOCOLS: u16 = 16;

/// What of a `ClientHello` goes into the fingerprint; no GREASE.
#[derive(Debug, Default)]
pub struct Seen<'a> {
    /// The newest version it offers.
    pub version: u16,
    /// Cipher suites, in its order.
    pub ciphers: &'a [u16],
    /// Types of extensions, in its order.
    pub extensions: Vec<u16>,
    /// Signature algorithms, in its order.
    pub signatures: Vec<u16>,
    /// The first protocol of ALPN.
    pub protocol: Option<&'a [u8]>,
}

impl Seen<'_> {
    /// The fingerprint of a client over TCP: `t13d1516h2_8daaf6152771_e5627efa2ab1`.
    #[must_use]
    pub fn ja4(&self) -> Box<str> {
        let version = match self.version {
            0x0304 => "13",
            0x0303 => "12",
            0x0302 => "11",
            0x0301 => "10",
            0x0300 => "s3",
            0x0002 => "s2",
            _ => "00",
        };
        let named = if self.extensions.contains(&SERVER_NAME) { 'd' } else { 'i' };
        let (ciphers, extensions) = (self.ciphers.len().min(MOST), self.extensions.len().min(MOST));
        let [first, last] = ends(self.protocol.unwrap_or_default());

        let hashed = self.extensions.iter().copied().filter(|kind| ![SERVER_NAME, PROTOCOLS].contains(kind));
        let mut list = sorted(hashed);
        let signatures = self.signatures.iter().copied().filter(|value| !super::hello::is_grease(*value));
        let signatures = joined(signatures);
        if !list.is_empty() && !signatures.is_empty() {
            list = format!("{list}_{signatures}");
        }
        let ciphers_hash = hash(&sorted(self.ciphers.iter().copied()));
        let extensions_hash = hash(&list);
        format!("t{version}{named}{ciphers:02}{extensions:02}{first}{last}_{ciphers_hash}_{extensions_hash}")
            .into()
    }
}

/// First and last character of a protocol's name, or of its hexadecimal form where they are no letters or digits.
fn ends(protocol: &[u8]) -> [char; 2] {
    let (Some(first), Some(last)) = (protocol.first(), protocol.last()) else { return ['0', '0'] };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(*first), char::from(*last)];
    }
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    [digit(first >> 4), digit(last & 0x0f)]
}

fn sorted(values: impl Iterator<Item = u16>) -> String {
    let mut values: Vec<u16> = values.collect();
    values.sort_unstable();
    joined(values.into_iter())
}

fn joined(values: impl Iterator<Item = u16>) -> String {
    let mut text = String::new();
    for value in values {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{value:04x}");
    }
    text
}

fn hash(list: &str) -> String {
    if list.is_empty() {
        return "0".repeat(HASH_DIGITS);
    }
    let digits = Sha256::digest(list.as_bytes());
    let mut text = String::new();
    for byte in digits.iter().take(HASH_DIGITS / 2) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
