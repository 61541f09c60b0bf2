//! The text of a web configuration file.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use hyper::header::{HeaderName, HeaderValue};
use serde::{Deserialize, de::IgnoredAny};

use super::{WebError, text};

/// What the toolkit lets be configured, and the values that it takes of each, any if none are listed.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

/// A file that is understood, paths as they are from here.
#[derive(Debug, Default)]
pub struct File {
    /// For TLS.
    pub tls: Option<TlsFiles>,
    /// Fields for all answers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Users and the bcrypt hashes of their passwords.
    pub users: BTreeMap<String, String>,
    /// Where the bearer token is.
    pub token: Option<PathBuf>,
}

/// What TLS is made of.
#[derive(Debug)]
pub struct TlsFiles {
    /// The certificate, the chain to its issuer after it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// What clients' certificates must lead to.
    pub client_ca: Option<PathBuf>,
    /// What is wanted of clients.
    pub client_auth: ClientAuth,
    /// Whether version 1.2 is spoken.
    pub tls12: bool,
    /// Whether version 1.3 is spoken.
    pub tls13: bool,
}

/// What is wanted of clients, in the words of Go's `tls.ClientAuthType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ClientAuth {
    /// Nothing.
    #[default]
    #[serde(rename = "NoClientCert")]
    No,
    /// A certificate, of anyone; or none.
    #[serde(rename = "RequestClientCert")]
    Request,
    /// A certificate, of anyone.
    #[serde(rename = "RequireAnyClientCert")]
    RequireAny,
    /// A certificate of ours, or none.
    #[serde(rename = "VerifyClientCertIfGiven")]
    VerifyIfGiven,
    /// A certificate of ours.
    #[serde(rename = "RequireAndVerifyClientCert")]
    RequireAndVerify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
enum Version {
    #[serde(rename = "TLS10")]
    Tls10,
    #[serde(rename = "TLS11")]
    Tls11,
    #[serde(rename = "TLS12")]
    Tls12,
    #[serde(rename = "TLS13")]
    Tls13,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    tls_server_config: Option<TlsServer>,
    http_server_config: Option<HttpServer>,
    basic_auth_users: Option<BTreeMap<String, String>>,
    bearer_token_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TlsServer {
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    client_auth_type: Option<ClientAuth>,
    client_ca_file: Option<PathBuf>,
    min_version: Option<Version>,
    max_version: Option<Version>,
    /// Of no effect in the toolkit either, since Go 1.17.
    #[serde(rename = "prefer_server_cipher_suites")]
    _prefer_server_cipher_suites: Option<bool>,
    cipher_suites: Option<IgnoredAny>,
    curve_preferences: Option<IgnoredAny>,
    client_allowed_sans: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HttpServer {
    /// Only 1.1 is spoken, which every client of the toolkit's speaks as well.
    #[serde(rename = "http2")]
    _http2: Option<bool>,
    headers: Option<BTreeMap<String, String>>,
}

impl File {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// If it is unreadable, has a key that is unknown, or contradicts itself.
    pub fn read(path: &Path) -> Result<Self, WebError> {
        Self::parse(path, &text("the web configuration file", path)?)
    }

    /// The files that it names.
    pub fn named(&self) -> impl Iterator<Item = &Path> {
        let tls = self.tls.iter();
        let tls = tls.flat_map(|tls| [Some(&tls.certificate), Some(&tls.key), tls.client_ca.as_ref()]);
        tls.flatten().chain(&self.token).map(PathBuf::as_path)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, WebError> {
        let document: Option<Document> = serde_saphyr::from_str(text).map_err(|error| syntax(path, &error))?;
        let document = document.unwrap_or_default();
        let invalid = |message| WebError::Invalid { path: path.to_owned(), message };
        let directory = path.parent().unwrap_or(Path::new("."));
        let tls = document.tls_server_config.unwrap_or_default().files(directory).map_err(invalid)?;
        let headers = document.http_server_config.unwrap_or_default().headers.unwrap_or_default();
        let headers = headers.iter().map(|(name, value)| header(name, value)).collect::<Result<_, _>>();
        Ok(Self {
            tls,
            headers: headers.map_err(invalid)?,
            users: users(document.basic_auth_users.unwrap_or_default()).map_err(invalid)?,
            token: document.bearer_token_file.map(|token| directory.join(token)),
        })
    }
}

impl TlsServer {
    /// `None` if there is nothing in it.
    fn files(self, directory: &Path) -> Result<Option<TlsFiles>, String> {
        for (key, reason, given) in [
            ("cipher_suites", "all suites that are spoken are good ones", self.cipher_suites.is_some()),
            ("curve_preferences", "all groups that are spoken are good ones", self.curve_preferences.is_some()),
            (
                "client_allowed_sans",
                "the names in clients' certificates are not looked at",
                self.client_allowed_sans.is_some(),
            ),
        ] {
            if given {
                return Err(format!("tls_server_config.{key} cannot be configured: {reason}"));
            }
        }
        let client_auth = self.client_auth_type.unwrap_or_default();
        let (certificate, key) = match (self.cert_file, self.key_file) {
            (Some(certificate), Some(key)) => (directory.join(certificate), directory.join(key)),
            (Some(_), None) => return Err("tls_server_config has cert_file without key_file".to_owned()),
            (None, Some(_)) => return Err("tls_server_config has key_file without cert_file".to_owned()),
            (None, None) if client_auth == ClientAuth::No && self.client_ca_file.is_none() => return Ok(None),
            (None, None) => {
                return Err("tls_server_config wants certificates of clients and has no cert_file".to_owned());
            }
        };
        let verifies = matches!(client_auth, ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify);
        match &self.client_ca_file {
            None if verifies => return Err("tls_server_config.client_auth_type needs client_ca_file".to_owned()),
            Some(_) if client_auth == ClientAuth::No => {
                return Err("tls_server_config has client_ca_file without client_auth_type".to_owned());
            }
            _ => {}
        }
        let (lowest, highest) =
            (self.min_version.unwrap_or(Version::Tls12), self.max_version.unwrap_or(Version::Tls13));
        if lowest < Version::Tls12 || highest < Version::Tls12 {
            return Err("tls_server_config: versions before TLS12 are not spoken".to_owned());
        }
        if lowest > highest {
            return Err("tls_server_config.min_version is above max_version".to_owned());
        }
        Ok(Some(TlsFiles {
            certificate,
            key,
            client_ca: self.client_ca_file.map(|path| directory.join(path)),
            client_auth,
            tls12: lowest == Version::Tls12,
            tls13: highest == Version::Tls13,
        }))
    }
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let refused = |reason: &dyn fmt::Display| Err(format!("http_server_config.headers.{name} {reason}"));
    let Some((_, values)) = HEADERS.iter().find(|(known, _)| *known == name) else {
        return refused(&"cannot be configured");
    };
    if !values.is_empty() && !values.contains(&value) {
        return refused(&format_args!("must be {}", values.join(" or ")));
    }
    match (HeaderName::from_str(name), HeaderValue::from_str(value)) {
        (Ok(name), Ok(value)) => Ok((name, value)),
        _ => refused(&"is no value of a header"),
    }
}

fn users(users: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, String> {
    for (name, hash) in &users {
        // Between name and password there is a colon (RFC 7617 §2).
        if name.contains(':') {
            return Err(format!("basic_auth_users: {name:?} has a colon in it"));
        }
        if hash.parse::<bcrypt::HashParts>().is_err() {
            return Err(format!("basic_auth_users: what {name:?} has is no bcrypt hash of a password"));
        }
    }
    Ok(users)
}

/// What is wrong, without what is written there: it may be a hash of a password.
fn syntax(path: &Path, error: &serde_saphyr::Error) -> WebError {
    let line = error.location().map_or(1, |location| location.line());
    let message = match error.without_snippet() {
        serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => {
            format!("unknown key {field:?}; known here are {}", expected.join(", "))
        }
        serde_saphyr::Error::SerdeUnknownVariant { variant, expected, .. } => {
            format!("{variant:?} is none of {}", expected.join(", "))
        }
        serde_saphyr::Error::SerdeInvalidType { expected, .. } => format!("expected {expected}"),
        serde_saphyr::Error::DuplicateMappingKey { .. } => "a key stands there twice".to_owned(),
        _ => "not a web configuration in YAML".to_owned(),
    };
    WebError::Syntax { path: path.to_owned(), line, message }
}

#[cfg(test)]
mod tests;
