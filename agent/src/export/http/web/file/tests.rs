use super::*;

fn parse(text: &str) -> Result<File, String> {
    File::parse(Path::new("/etc/redtap/web.yml"), text).map_err(|error| error.to_string())
}

#[test]
fn everything_that_can_be_said() {
    let file = parse(
        "tls_server_config:
  cert_file: server.pem
  key_file: /keys/server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ../ca.pem
  min_version: TLS13
  max_version: TLS13
  prefer_server_cipher_suites: true
http_server_config:
  http2: true
  headers:
    X-Content-Type-Options: nosniff
    Strict-Transport-Security: max-age=31536000
basic_auth_users:
  alice: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi
  bob: $2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay
bearer_token_file: token
",
    )
    .unwrap();
    let tls = file.tls.as_ref().unwrap();
    assert_eq!((tls.tls12, tls.tls13, tls.client_auth), (false, true, ClientAuth::RequireAndVerify));
    assert_eq!(file.users.keys().collect::<Vec<_>>(), ["alice", "bob"]);
    let headers: Vec<_> = file.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    assert_eq!(
        headers,
        [("strict-transport-security", &b"max-age=31536000"[..]), ("x-content-type-options", b"nosniff")]
    );
    let named: Vec<_> = file.named().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(
        named,
        ["/etc/redtap/server.pem", "/keys/server.key", "/etc/redtap/../ca.pem", "/etc/redtap/token"]
    );
}

#[test]
fn nothing_is_plain_http_for_everyone() {
    for text in ["", "# nothing\n", "tls_server_config:\n", "tls_server_config: {}\nbasic_auth_users: {}\n"] {
        let file = parse(text).unwrap();
        assert!(file.tls.is_none() && file.users.is_empty() && file.token.is_none(), "{text:?}");
    }
}

#[test]
fn what_is_wrong_is_a_sentence_without_secrets() {
    let tls = "tls_server_config: {cert_file: a, key_file: b, ";
    for (text, expected) in [
        (
            "tls_config: {}\n".to_owned(),
            ":1: unknown key \"tls_config\"; known here are tls_server_config, http_server_config, \
             basic_auth_users, bearer_token_file",
        ),
        (
            "http_server_config:\n  http3: true\n".to_owned(),
            ":2: unknown key \"http3\"; known here are http2, headers",
        ),
        (format!("{tls}max_version: TLS11}}"), ": tls_server_config: versions before TLS12 are not spoken"),
        (format!("{tls}min_version: TLS10}}"), ": tls_server_config: versions before TLS12 are not spoken"),
        (
            format!("{tls}min_version: TLS13, max_version: TLS12}}"),
            ": tls_server_config.min_version is above max_version",
        ),
        (format!("{tls}min_version: SSL30}}"), ":1: \"SSL30\" is none of TLS10, TLS11, TLS12, TLS13"),
        (
            format!("{tls}cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]}}"),
            ": tls_server_config.cipher_suites cannot be configured: all suites that are spoken are good ones",
        ),
        (
            format!("{tls}client_allowed_sans: [a]}}"),
            ": tls_server_config.client_allowed_sans cannot be configured: \
             the names in clients' certificates are not looked at",
        ),
        (
            format!("{tls}client_auth_type: RequireAndVerifyClientCert}}"),
            ": tls_server_config.client_auth_type needs client_ca_file",
        ),
        (format!("{tls}client_ca_file: ca}}"), ": tls_server_config has client_ca_file without client_auth_type"),
        ("tls_server_config: {cert_file: a}".to_owned(), ": tls_server_config has cert_file without key_file"),
        ("tls_server_config: {key_file: a}".to_owned(), ": tls_server_config has key_file without cert_file"),
        (
            "tls_server_config: {client_auth_type: RequireAnyClientCert}".to_owned(),
            ": tls_server_config wants certificates of clients and has no cert_file",
        ),
        (
            "http_server_config: {headers: {Server: x}}".to_owned(),
            ": http_server_config.headers.Server cannot be configured",
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: allow}}".to_owned(),
            ": http_server_config.headers.X-Frame-Options must be deny or sameorigin",
        ),
        (
            "basic_auth_users: {alice: hunter2}".to_owned(),
            ": basic_auth_users: what \"alice\" has is no bcrypt hash of a password",
        ),
        (
            "basic_auth_users: {'al:ice': $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi}"
                .to_owned(),
            ": basic_auth_users: \"al:ice\" has a colon in it",
        ),
        ("basic_auth_users: alice:hunter2".to_owned(), ":1: "),
        ("basic_auth_users:\n  alice: hunter2\n  alice: hunter2\n".to_owned(), ":3: a key stands there twice"),
        ("{hunter2".to_owned(), ":1: not a web configuration in YAML"),
    ] {
        let error = parse(&text).map(|_| ()).unwrap_err();
        assert!(error.starts_with(&format!("/etc/redtap/web.yml{expected}")), "{text:?}: {error}");
        assert!(!error.contains("hunter2") && !error.contains('\n'), "{text:?}: {error}");
    }
}
