//! What the exporters show to servers, and what they want to see of them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::ClientError;

/// Files of PEM. A server's certificate is always looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Certificates that a server's must lead to; without it, those of the system.
    pub ca: Option<PathBuf>,
    /// The own certificate, the chain to its issuer after it.
    pub certificate: Option<PathBuf>,
    /// The own certificate's key: PKCS #8, PKCS #1 or SEC 1.
    pub key: Option<PathBuf>,
}

/// TLS 1.2 and 1.3 by ring, without ALPN. It asks for no process-wide provider.
///
/// # Errors
/// If a file of `options` is unusable.
pub fn config(options: &TlsOptions) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(roots(options.ca.as_deref())?);
    match (&options.certificate, &options.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = certificates("a certificate", certificate)?;
            let reason = |error| unreadable("a key", key, &error);
            let key = PrivateKeyDer::from_pem_file(key).map_err(reason)?;
            Ok(builder.with_client_auth_cert(chain, key)?)
        }
        _ => Err(ClientError::HalfAPair),
    }
}

/// The certificates of `ca`, or those that the system trusts. If the system has none, no server is trusted.
fn roots(ca: Option<&Path>) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    let Some(ca) = ca else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    for certificate in certificates("a ca certificate", ca)? {
        roots.add(certificate).map_err(|error| unreadable("a ca certificate", ca, &error))?;
    }
    Ok(roots)
}

/// All certificates of a file, which has one at least.
fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let read = |error| unreadable(what, path, &error);
    let all = CertificateDer::pem_file_iter(path).map_err(read)?;
    let all = all.collect::<Result<Vec<_>, _>>().map_err(read)?;
    if all.is_empty() { Err(unreadable(what, path, &"there is none in it")) } else { Ok(all) }
}

fn unreadable(what: &'static str, path: &Path, reason: &impl ToString) -> ClientError {
    ClientError::File { what, path: path.to_owned(), reason: reason.to_string() }
}
