use super::*;
use crate::{
    export::graph::testing::{handshake, seen},
    net::Snapshot,
    protocol::tls::Handshake,
};

fn modern() -> Handshake {
    Handshake {
        server_name: Some("example.org".into()),
        versions_offered: vec![0x0304, 0x0303, 0x9999],
        version: Some(0x0304),
        ciphers_offered: vec![0x1301, 0xfefe],
        cipher: Some(0x1301),
        server_certificates: Certificates::Encrypted,
        ..Handshake::default()
    }
}

fn certificate(name: &str, alternative_names: &[&str]) -> Certificate {
    Certificate {
        subject: format!("CN={name}").into(),
        issuer: "CN=Example CA,O=Example".into(),
        alternative_names: alternative_names.iter().map(|name| (*name).into()).collect(),
        serial: "0a1b".into(),
        not_before: 1_767_225_600,
        not_after: 1_798_761_599,
    }
}

fn older() -> Handshake {
    let chain = vec![certificate("example.org", &["example.org", "192.0.2.7"]), certificate("Example CA", &[])];
    Handshake {
        versions_offered: vec![0x0303],
        version: Some(0x0303),
        ciphers_offered: vec![0xc02f],
        cipher: Some(0xc02f),
        server_certificates: Certificates::Shown(chain),
        ..Handshake::default()
    }
}

fn net() -> Snapshot {
    let late = HandshakeView { last_seen: seen(5), ..handshake(2, older()) };
    Snapshot { handshakes: vec![late, handshake(1, modern())], ..Snapshot::default() }
}

#[test]
fn handshakes_in_a_list() {
    let all =
        connections(&net(), &Query::default()).iter().map(|connection| connection.id.clone()).collect::<Vec<_>>();
    assert_eq!(all, ["1", "2"]);
    let net = net();
    let late = connections(&net, &Query::parse(Some("from=1778580000000&include=nothing")).unwrap());
    insta::assert_snapshot!(serde_json::to_string_pretty(&late).unwrap(), @r#"
    [
      {
        "id": "2",
        "src": "10.0.0.1",
        "srcName": "web",
        "srcNamespace": "",
        "dst": "192.0.2.7",
        "dstName": "example.org",
        "dstPort": 443,
        "domain": "",
        "usedTLSVersion": "TLS 1.2",
        "usedCipherSuite": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "lastSeen": "2026-05-12T10:00:00.005Z"
      }
    ]
    "#);
    let none = Snapshot::default();
    assert_eq!(serde_json::to_string(&connections(&none, &Query::default())).unwrap(), "[]");
}

#[test]
fn details_of_a_handshake_that_showed_certificates() {
    let net = net();
    insta::assert_snapshot!(serde_json::to_string_pretty(&details(&net, "2")).unwrap(), @r#"
    {
      "id": "2",
      "domain": "",
      "dst": "192.0.2.7",
      "port": 443,
      "clientTLSVersions": [
        "TLS 1.2"
      ],
      "clientCipherSuites": [
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
      ],
      "usedTLSVersion": "TLS 1.2",
      "usedCipherSuite": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
      "certificate": {
        "notBefore": "2026-01-01T00:00:00Z",
        "notAfter": "2026-12-31T23:59:59Z",
        "serverChain": "Certificate:\n    Data:\n        Serial Number: 0a1b\n        Issuer: CN=Example CA,O=Example\n        Validity:\n            Not Before: 2026-01-01T00:00:00Z\n            Not After: 2026-12-31T23:59:59Z\n        Subject: CN=example.org\n        Subject Alternative Names: example.org, 192.0.2.7\nCertificate:\n    Data:\n        Serial Number: 0a1b\n        Issuer: CN=Example CA,O=Example\n        Validity:\n            Not Before: 2026-01-01T00:00:00Z\n            Not After: 2026-12-31T23:59:59Z\n        Subject: CN=Example CA\n",
        "lastScrape": "2026-05-12T10:00:00.005Z"
      },
      "handshake": {
        "count": 3,
        "outcome": "established"
      }
    }
    "#);
    insta::assert_snapshot!(details(&net, "2").unwrap().certificate.server_chain, @r#"
    Certificate:
        Data:
            Serial Number: 0a1b
            Issuer: CN=Example CA,O=Example
            Validity:
                Not Before: 2026-01-01T00:00:00Z
                Not After: 2026-12-31T23:59:59Z
            Subject: CN=example.org
            Subject Alternative Names: example.org, 192.0.2.7
    Certificate:
        Data:
            Serial Number: 0a1b
            Issuer: CN=Example CA,O=Example
            Validity:
                Not Before: 2026-01-01T00:00:00Z
                Not After: 2026-12-31T23:59:59Z
            Subject: CN=Example CA
    "#);
}

#[test]
fn details_of_a_handshake_that_encrypted_them() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&details(&net(), "1")).unwrap(), @r#"
    {
      "id": "1",
      "domain": "example.org",
      "dst": "192.0.2.7",
      "port": 443,
      "clientTLSVersions": [
        "TLS 1.3",
        "TLS 1.2",
        ""
      ],
      "clientCipherSuites": [
        "TLS_AES_128_GCM_SHA256",
        "0xFEFE"
      ],
      "usedTLSVersion": "TLS 1.3",
      "usedCipherSuite": "TLS_AES_128_GCM_SHA256",
      "certificate": {
        "notBefore": "0001-01-01T00:00:00Z",
        "notAfter": "0001-01-01T00:00:00Z",
        "serverChain": "Not seen: TLS 1.3 encrypts certificates.\n",
        "lastScrape": "2026-05-12T10:00:00Z"
      },
      "handshake": {
        "count": 3,
        "outcome": "established"
      }
    }
    "#);
}

#[test]
fn chains_that_were_not_shown_say_why() {
    let client = Certificates::Shown(vec![certificate("client", &[])]);
    for (handshake_, server, client) in [
        (
            Handshake { resumed: Some(true), ..Handshake::default() },
            "Not shown: an earlier session was resumed.\n",
            0,
        ),
        (Handshake { resumed: Some(false), ..Handshake::default() }, "Not shown.\n", 0),
        (Handshake { client_certificates: client, ..modern() }, "Not seen: TLS 1.3 encrypts certificates.\n", 1),
    ] {
        let net = Snapshot { handshakes: vec![handshake(1, handshake_)], ..Snapshot::default() };
        let shown = details(&net, "1").unwrap().certificate;
        assert_eq!(shown.server_chain, server);
        assert_eq!(shown.client_chain.matches("Subject: CN=client\n").count(), client);
        assert_eq!(shown.not_after, UNKNOWN);
    }
}

#[test]
fn an_id_that_nothing_has() {
    for id in ["3", "", "x", "-1", "18446744073709551616", "1 "] {
        assert!(details(&net(), id).is_none(), "{id}");
    }
}
