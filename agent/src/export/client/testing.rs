//! A real server on loopback, and certificates for it, for the tests of what speaks HTTP to others.

use std::{
    convert::Infallible,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
};

use axum::body::{Body, to_bytes};
use hyper::{HeaderMap, Request, Response, Uri, body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

use super::TlsOptions;

/// Most of a request that is taken.
const MAX_REQUEST: usize = 64 << 20;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A server until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// A server that answers the n-th request (from 0) as `answer` says; `None` never answers.
    pub(crate) async fn start(
        tls: Option<ServerConfig>,
        answer: impl Fn(usize, &Received) -> Option<Response<Body>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&received), Arc::new(answer));
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (log, answer, acceptor) = (Arc::clone(&log), Arc::clone(&answer), acceptor.clone());
                let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                    let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                    async move {
                        let (head, body) = request.into_parts();
                        let body = to_bytes(Body::new(body), MAX_REQUEST).await.unwrap();
                        let request = Received { uri: head.uri, headers: head.headers, body };
                        let index = {
                            let mut log = log.lock().unwrap();
                            log.push(request.clone());
                            log.len() - 1
                        };
                        match answer(index, &request) {
                            Some(response) => Ok::<_, Infallible>(response),
                            None => std::future::pending().await,
                        }
                    }
                });
                tokio::spawn(async move {
                    // A client that goes away, or shows the wrong certificate, is the client's test.
                    match acceptor {
                        Some(acceptor) => {
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                        }
                        None => drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await),
                    }
                });
            }
        });
        Self { address, received, accepting }
    }

    /// What came so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Its address with `path`.
    pub(crate) fn uri(&self, scheme: &str, path: &str) -> Uri {
        format!("{scheme}://{}{path}", self.address).parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// An authority with a certificate for 127.0.0.1 and one for a client, made by `openssl` in `directory`.
pub(crate) struct Pki {
    directory: PathBuf,
}

impl Pki {
    pub(crate) fn new(directory: &Path) -> Self {
        let pki = Self { directory: directory.to_owned() };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        pki.openssl(&format!("req -x509 {key} -subj /CN=authority -keyout ca.key -out ca.pem"));
        for (name, extensions) in
            [("server", "subjectAltName=IP:127.0.0.1\n"), ("client", "extendedKeyUsage=clientAuth\n")]
        {
            fs::write(directory.join("extensions"), extensions).unwrap();
            pki.openssl(&format!("req {key} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
            let signed = format!("-in {name}.csr -out {name}.pem -extfile extensions");
            pki.openssl(&format!("x509 -req {signed} -CA ca.pem -CAkey ca.key -CAcreateserial -days 2"));
        }
        pki
    }

    /// Where a file of it is: `ca.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A server's side, which wants to see a certificate of a client or not.
    pub(crate) fn server(&self, clients: bool) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = if clients {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(self.path("ca.pem")).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let chain = vec![CertificateDer::from_pem_file(self.path("server.pem")).unwrap()];
        builder.with_single_cert(chain, PrivateKeyDer::from_pem_file(self.path("server.key")).unwrap()).unwrap()
    }

    /// A client's side that trusts the authority, with the client's certificate or without.
    pub(crate) fn client(&self, certificate: bool) -> TlsOptions {
        TlsOptions {
            ca: Some(self.path("ca.pem")),
            certificate: certificate.then(|| self.path("client.pem")),
            key: certificate.then(|| self.path("client.key")),
        }
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(&self.directory).output();
        let output = output.expect("openssl is needed to make certificates");
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
