//! TLS handshakes in the shapes of k8spacket's API (`/tlsparser/…`).
//!
//! Certificates are those that the handshakes showed; no server is ever asked for them.

use std::{fmt::Write, time::SystemTime};

use serde::Serialize;

use super::{
    Query,
    nodegraph::moment,
    text::{Rfc3339, unix},
};
use crate::{
    net::{self, HandshakeView, TlsError},
    protocol::tls::{self, Certificate, Certificates},
};

/// Go's zero time, which stands for a time that is not known.
const UNKNOWN: &str = "0001-01-01T00:00:00Z";

/// An element of `/tlsparser/api/data` and `/tlsparser/connections/`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection<'a> {
    id: String,
    src: String,
    src_name: &'a str,
    src_namespace: &'a str,
    dst: String,
    dst_name: &'a str,
    dst_port: u16,
    domain: &'a str,
    #[serde(rename = "usedTLSVersion")]
    used_tls_version: &'static str,
    used_cipher_suite: String,
    #[serde(serialize_with = "moment")]
    last_seen: SystemTime,
}

/// `/tlsparser/api/data/{id}` and `/tlsparser/connections/{id}`
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Details<'a> {
    id: String,
    domain: &'a str,
    dst: String,
    port: u16,
    #[serde(rename = "clientTLSVersions")]
    client_tls_versions: Vec<&'static str>,
    client_cipher_suites: Vec<String>,
    #[serde(rename = "usedTLSVersion")]
    used_tls_version: &'static str,
    used_cipher_suite: String,
    certificate: Shown,
    handshake: Facts<'a>,
}

/// What k8spacket does not tell of a handshake. What is not known is left out.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Facts<'a> {
    /// How often a handshake between the two was seen.
    count: u64,
    /// `established`, `unobserved`, or what `error_type` of the metrics says.
    outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resumed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_exchange_group: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    protocols_offered: &'a [Box<str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ja4: Option<&'a str>,
}

/// What a handshake showed of its ends.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    not_before: String,
    not_after: String,
    server_chain: String,
    /// k8spacket has no such field.
    #[serde(skip_serializing_if = "String::is_empty")]
    client_chain: String,
    last_scrape: String,
}

/// The handshakes that `query` admits, by id; of the query, only the times count.
#[must_use]
pub fn connections<'a>(net: &'a net::Snapshot, query: &Query) -> Vec<Connection<'a>> {
    let shown = net.handshakes.iter().filter(|view| query.admits_time(view.last_seen));
    let mut all: Vec<&HandshakeView> = shown.collect();
    all.sort_by_key(|view| view.id);
    let connection = |view: &'a HandshakeView| Connection {
        id: view.id.to_string(),
        src: view.client.to_canonical().to_string(),
        src_name: &view.client_name,
        src_namespace: "",
        dst: view.server.ip().to_canonical().to_string(),
        dst_name: &view.server_name,
        dst_port: view.server.port(),
        domain: domain(view),
        used_tls_version: view.handshake.version.map_or("", version),
        used_cipher_suite: view.handshake.cipher.map_or_else(String::new, cipher),
        last_seen: view.last_seen,
    };
    all.into_iter().map(connection).collect()
}

/// All that is known of the handshakes under `id`; `None`: there are none.
#[must_use]
pub fn details<'a>(net: &'a net::Snapshot, id: &str) -> Option<Details<'a>> {
    let id: u64 = id.parse().ok()?;
    let view = net.handshakes.iter().find(|view| view.id == id)?;
    let handshake = &view.handshake;
    Some(Details {
        id: view.id.to_string(),
        domain: domain(view),
        dst: view.server.ip().to_canonical().to_string(),
        port: view.server.port(),
        client_tls_versions: handshake.versions_offered.iter().copied().map(version).collect(),
        client_cipher_suites: handshake.ciphers_offered.iter().copied().map(cipher).collect(),
        used_tls_version: handshake.version.map_or("", version),
        used_cipher_suite: handshake.cipher.map_or_else(String::new, cipher),
        certificate: shown(view),
        handshake: facts(view),
    })
}

fn facts(view: &HandshakeView) -> Facts<'_> {
    let handshake = &view.handshake;
    let group = |group: u16| tls::group_name(group).map_or_else(|| format!("{group:#06x}"), str::to_owned);
    let outcome = match handshake.outcome {
        tls::Outcome::Established => "established".to_owned(),
        tls::Outcome::Unobserved => "unobserved".to_owned(),
        tls::Outcome::Alert { description, .. } => TlsError::Alert(description).to_string(),
        tls::Outcome::Abandoned => TlsError::Abandoned.to_string(),
    };
    Facts {
        count: view.count,
        outcome,
        seconds: handshake.duration.map(|duration| duration.as_secs_f64()),
        resumed: handshake.resumed,
        key_exchange_group: handshake.group.map(group),
        protocols_offered: &handshake.protocols_offered,
        protocol: handshake.protocol.as_deref(),
        ja4: handshake.fingerprint.as_deref(),
    }
}

fn domain(view: &HandshakeView) -> &str {
    view.handshake.server_name.as_deref().unwrap_or_default()
}

/// The name of a version as Go has it; empty for one that it does not know.
const fn version(version: u16) -> &'static str {
    match version {
        0x0300 => "SSL 3.0",
        0x0301 => "TLS 1.0",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        0x0304 => "TLS 1.3",
        _ => "",
    }
}

/// The name of a cipher suite in IANA's registry, or its number as Go writes it.
fn cipher(suite: u16) -> String {
    tls::cipher_name(suite).map_or_else(|| format!("0x{suite:04X}"), str::to_owned)
}

fn shown(view: &HandshakeView) -> Shown {
    let handshake = &view.handshake;
    let own = match &handshake.server_certificates {
        Certificates::Shown(chain) => chain.first(),
        Certificates::None | Certificates::Encrypted => None,
    };
    let time =
        |seconds: Option<i64>| seconds.map_or_else(|| UNKNOWN.to_owned(), |seconds| unix(seconds).to_string());
    Shown {
        not_before: time(own.map(|certificate| certificate.not_before)),
        not_after: time(own.map(|certificate| certificate.not_after)),
        server_chain: match &handshake.server_certificates {
            Certificates::Shown(chain) => chain_text(chain),
            Certificates::Encrypted => "Not seen: TLS 1.3 encrypts certificates.\n".to_owned(),
            Certificates::None if handshake.resumed == Some(true) => {
                "Not shown: an earlier session was resumed.\n".to_owned()
            }
            Certificates::None => "Not shown.\n".to_owned(),
        },
        client_chain: match &handshake.client_certificates {
            Certificates::Shown(chain) => chain_text(chain),
            Certificates::Encrypted | Certificates::None => String::new(),
        },
        last_scrape: Rfc3339(view.last_seen).to_string(),
    }
}

/// The chain for people, much as `openssl x509 -text` begins.
fn chain_text(chain: &[Certificate]) -> String {
    let mut text = String::new();
    for certificate in chain {
        // Writing to a `String` cannot fail.
        let _ = write_certificate(certificate, &mut text);
    }
    text
}

fn write_certificate(certificate: &Certificate, out: &mut String) -> std::fmt::Result {
    writeln!(out, "Certificate:\n    Data:")?;
    writeln!(out, "        Serial Number: {}", certificate.serial)?;
    writeln!(out, "        Issuer: {}", certificate.issuer)?;
    writeln!(out, "        Validity:")?;
    writeln!(out, "            Not Before: {}", unix(certificate.not_before))?;
    writeln!(out, "            Not After: {}", unix(certificate.not_after))?;
    writeln!(out, "        Subject: {}", certificate.subject)?;
    if !certificate.alternative_names.is_empty() {
        writeln!(out, "        Subject Alternative Names: {}", certificate.alternative_names.join(", "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
