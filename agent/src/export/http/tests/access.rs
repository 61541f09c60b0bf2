//! TLS and authentication, and their change while the server runs.

use std::{fs, path::PathBuf, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio_rustls::TlsConnector;

use super::*;
use crate::export::client::{TlsOptions, testing::Pki, tls_config};

const GET_HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// A directory with certificates, and the web configuration file in it.
struct Site {
    directory: TempDir,
    pki: Pki,
}

impl Site {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let pki = Pki::new(directory.path());
        Self { directory, pki }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("web.yml")
    }

    /// The file with TLS, and `more` of its section.
    fn write_tls(&self, more: &str) {
        let text = format!("tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n{more}");
        fs::write(self.file(), text).unwrap();
    }

    fn options(&self) -> Options {
        Options { web_config: Some(self.file()), ..super::options() }
    }
}

/// What comes of asking for health by TLS: the answer, or the error.
async fn by_tls(address: SocketAddr, options: &TlsOptions) -> Result<String, String> {
    let connector = TlsConnector::from(Arc::new(tls_config(options).unwrap()));
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::from(address.ip());
    let asked = async {
        let mut stream = connector.connect(name, stream).await?;
        stream.write_all(GET_HEALTH.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    asked.await.map_err(|error| error.to_string())
}

#[test]
fn tls_with_each_wish_for_certificates_of_clients() {
    let site = Site::new();
    // A certificate that its owner has signed.
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Pki::new(elsewhere.path());
    let anonymous = site.pki.client(false);
    let known = site.pki.client(true);
    let stranger = TlsOptions { ca: anonymous.ca.clone(), ..other.client(true) };
    let ca = "  client_ca_file: ca.pem\n";
    for (wish, ca, [takes_anonymous, takes_known, takes_stranger]) in [
        ("NoClientCert", "", [true, true, true]),
        ("RequestClientCert", "", [true, true, true]),
        ("RequireAnyClientCert", "", [false, true, true]),
        ("VerifyClientCertIfGiven", ca, [true, true, false]),
        ("RequireAndVerifyClientCert", ca, [false, true, false]),
    ] {
        for version in ["TLS12", "TLS13"] {
            site.write_tls(&format!(
                "{ca}  client_auth_type: {wish}\n  min_version: {version}\n  max_version: {version}\n"
            ));
            run(&mut Builder::new_current_thread(), &site.options(), |places, requests| {
                let (anonymous, known, stranger) = (&anonymous, &known, &stranger);
                async move {
                    let _reader = requests;
                    for (client, taken) in
                        [(anonymous, takes_anonymous), (known, takes_known), (stranger, takes_stranger)]
                    {
                        let answer = by_tls(places.tcp(), client).await;
                        let told = answer.as_ref().is_ok_and(|answer| answer.ends_with("\r\n\r\nok\n"));
                        assert_eq!(told, taken, "{wish} {version}: {answer:?}");
                    }
                }
            });
        }
    }
}

#[test]
fn http_where_tls_is_spoken_is_told_so_and_silence_is_not_waited_for() {
    let site = Site::new();
    site.write_tls("");
    let mut builder = Builder::new_current_thread();
    run(builder.start_paused(true), &site.options(), |places, requests| async move {
        let _reader = requests;
        let answer = get(places.tcp(), "/metrics", "").await;
        assert!(answer.starts_with("HTTP/1.0 400 ") && answer.contains("HTTP request to an HTTPS server"));
        // Half a handshake, and none.
        for sent in ["\x16\x03\x01", ""] {
            assert_eq!(ask(places.tcp(), sent).await, "", "{sent:?}");
        }
    });
}

#[test]
fn those_with_a_password_or_the_token_are_let_in() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("web.yml");
    let hash = bcrypt::hash("se:cret", 4).unwrap();
    fs::write(directory.path().join("token"), "abc.DEF-123=\n").unwrap();
    let text = format!(
        "basic_auth_users:\n  prometheus: {hash}\nbearer_token_file: token\n\
         http_server_config:\n  headers:\n    X-Frame-Options: deny\n"
    );
    fs::write(&file, text).unwrap();
    let guarded = Options { web_config: Some(file), ..options() };
    run(&mut Builder::new_current_thread(), &guarded, |places, requests| async move {
        let _reader = requests;
        let basic = |credentials: &str| format!("Basic {}", BASE64_STANDARD.encode(credentials));
        // The second time from memory.
        for _ in 0..2 {
            for (field, status) in [
                (basic("prometheus:se:cret"), 200),
                (basic("prometheus:se:cret").replace("Basic", "bAsIc"), 200),
                (basic("prometheus:secret"), 401),
                (basic("prometheus:"), 401),
                (basic("prometheus"), 401),
                (basic("other:se:cret"), 401),
                (basic(""), 401),
                ("Basic".to_owned(), 401),
                ("Basic !!!".to_owned(), 401),
                ("Bearer abc.DEF-123=".to_owned(), 200),
                ("bearer  abc.DEF-123=".to_owned(), 200),
                ("Bearer abc.DEF-123".to_owned(), 401),
                ("Bearer abc.DEF-123=,".to_owned(), 401),
                ("Bearer".to_owned(), 401),
                ("Digest abc.DEF-123=".to_owned(), 401),
                (String::new(), 401),
            ] {
                let answer = get(places.tcp(), "/healthz", &format!("Authorization: {field}\r\n")).await;
                assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{field}: {answer}");
                assert!(answer.contains("x-frame-options: deny\r\n"), "{field}: {answer}");
                let challenge = "www-authenticate: Basic realm=\"redtap\", charset=\"UTF-8\"\r\n\
                    www-authenticate: Bearer realm=\"redtap\"\r\n";
                assert_eq!(answer.contains(challenge), status == 401, "{field}: {answer}");
            }
            // Which of two is meant is not for us to guess.
            let both = "Authorization: Bearer abc.DEF-123=\r\nAuthorization: Bearer abc.DEF-123=\r\n";
            assert!(get(places.tcp(), "/healthz", both).await.starts_with("HTTP/1.1 401 "));
        }
    });
}

#[test]
fn a_changed_file_counts_for_the_next_request_on_an_open_connection() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("web.yml");
    fs::write(&file, "").unwrap();
    let guarded = Options { web_config: Some(file.clone()), ..options() };
    let mut builder = Builder::new_current_thread();
    run(builder.start_paused(true), &guarded, |places, requests| async move {
        let _reader = requests;
        let mut stream = TcpStream::connect(places.tcp()).await.unwrap();
        for (text, expected) in [
            (None, "HTTP/1.1 200 "),
            (Some("bearer_token_file: web.yml\nbasic_auth_users: {a: no hash}\n"), "HTTP/1.1 200 "),
            (Some("bearer_token_file: token\n"), "HTTP/1.1 401 "),
            (Some("no: configuration\n"), "HTTP/1.1 401 "),
            (Some("http_server_config: {http2: false}\n"), "HTTP/1.1 200 "),
        ] {
            fs::write(directory.path().join("token"), "abc").unwrap();
            if let Some(text) = text {
                fs::write(&file, text).unwrap();
            }
            tokio::time::advance(Duration::from_secs(1)).await;
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"ok\n") && !answer.ends_with(b"Unauthorized\n") {
                assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed early");
            }
            let answer = String::from_utf8(answer).unwrap();
            assert!(answer.starts_with(expected), "{text:?}: {answer}");
        }
    });
}

#[test]
fn a_new_certificate_counts_once_its_key_has_come() {
    let site = Site::new();
    site.write_tls("");
    let elsewhere = tempfile::tempdir().unwrap();
    let new = Pki::new(elsewhere.path());
    run(&mut Builder::new_current_thread(), &site.options(), |places, requests| {
        let (site, new) = (&site, &new);
        async move {
            let _reader = requests;
            let (trusts_old, trusts_new) = (site.pki.client(false), new.client(false));
            assert!(by_tls(places.tcp(), &trusts_old).await.is_ok());
            fs::copy(new.path("server.pem"), site.pki.path("server.pem")).unwrap();
            look_again().await;
            assert!(by_tls(places.tcp(), &trusts_old).await.is_ok());
            fs::copy(new.path("server.key"), site.pki.path("server.key")).unwrap();
            look_again().await;
            assert!(by_tls(places.tcp(), &trusts_new).await.is_ok());
            assert!(by_tls(places.tcp(), &trusts_old).await.is_err());
        }
    });
}

/// Lets the time pass after which files are looked at again.
async fn look_again() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
}
