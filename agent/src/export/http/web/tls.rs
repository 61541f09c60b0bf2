//! TLS as a web configuration file wants it, by ring.

use std::{path::Path, sync::Arc};

use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem, pem::PemObject},
    server::{
        NoClientAuth, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    version::{TLS12, TLS13},
};

use super::{
    WebError,
    file::{ClientAuth, TlsFiles},
    text,
};

/// The one protocol that is spoken (RFC 7301).
const HTTP_1_1: &[u8] = b"http/1.1";

/// What `files` come to; `path` names the file that named them.
///
/// # Errors
/// If one of them is unusable, or the key is not the certificate's.
pub fn config(path: &Path, files: &TlsFiles) -> Result<ServerConfig, WebError> {
    let invalid = |message| WebError::Invalid { path: path.to_owned(), message };
    let provider = Arc::new(ring::default_provider());
    let versions: Vec<_> = [(files.tls12, &TLS12), (files.tls13, &TLS13)]
        .into_iter()
        .filter_map(|(spoken, version)| spoken.then_some(version))
        .collect();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|error| invalid(error.to_string()))?;
    let chain = certificates("the certificate", &files.certificate)?;
    let key = text("the key", &files.key)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| unusable(&files.key, &error))?;
    let mut config = builder
        .with_client_cert_verifier(verifier(files, provider)?)
        .with_single_cert(chain, key)
        .map_err(|error| invalid(format!("cert_file and key_file are no pair that can be used: {error}")))?;
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(config)
}

fn verifier(files: &TlsFiles, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, WebError> {
    let mandatory = matches!(files.client_auth, ClientAuth::RequireAny | ClientAuth::RequireAndVerify);
    match files.client_auth {
        ClientAuth::No => Ok(Arc::new(NoClientAuth)),
        ClientAuth::Request | ClientAuth::RequireAny => Ok(Arc::new(Anyone { mandatory, provider })),
        ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify => {
            let path = files.client_ca.as_deref().unwrap_or(Path::new(""));
            let refused = |message| WebError::Invalid { path: path.to_owned(), message };
            let mut roots = RootCertStore::empty();
            for certificate in certificates("the client ca certificate", path)? {
                roots.add(certificate).map_err(|error| refused(error.to_string()))?;
            }
            let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let builder = if mandatory { builder } else { builder.allow_unauthenticated() };
            Ok(builder.build().map_err(|error| refused(error.to_string()))?)
        }
    }
}

/// All certificates of a file, which has one at least.
fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, WebError> {
    let text = text(what, path)?;
    let all = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| unusable(path, &error))?;
    if all.is_empty() { Err(unusable(path, &pem::Error::NoItemsFound)) } else { Ok(all) }
}

/// Without a word of the text, which the library would show.
fn unusable(path: &Path, error: &pem::Error) -> WebError {
    let message = match error {
        pem::Error::NoItemsFound => "there is none in it, in the form of PEM",
        _ => "it is no PEM",
    };
    WebError::Invalid { path: path.to_owned(), message: message.to_owned() }
}

/// Wants to see a certificate, of anyone, who must have its key.
#[derive(Debug)]
struct Anyone {
    mandatory: bool,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Anyone {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
