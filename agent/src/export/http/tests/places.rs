//! Sockets in the file system, the listener for health, discovery, and packed pages.

use std::{io::Read, os::unix::fs::FileTypeExt};

use flate2::read::GzDecoder;
use tokio::net::UnixStream;

use super::*;

const GET_METRICS: &str = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[test]
fn a_socket_in_the_file_system_serves_the_same_and_goes_with_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("redtap.sock");
    let at_path = Options { listen: Listen::Unix(path.clone()), ..options() };
    run(&mut Builder::new_current_thread(), &at_path, |places, requests| {
        assert_eq!(places.main, Listen::Unix(path.clone()));
        let path = path.clone();
        answered(requests, async move {
            let mut stream = UnixStream::connect(&path).await.unwrap();
            stream.write_all(GET_METRICS.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("redtap_flows_opened_total 0\n"));
            assert!(path.metadata().unwrap().file_type().is_socket());
        })
    });
    assert!(!path.exists());
}

#[test]
fn health_has_a_place_of_its_own_that_is_open_to_everyone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("web.yml");
    let hash = bcrypt::hash("secret", 4).unwrap();
    std::fs::write(&file, format!("basic_auth_users:\n  prometheus: {hash}\n")).unwrap();
    let both =
        Options { health_listen: Some(listen("127.0.0.1:0").unwrap()), web_config: Some(file), ..options() };
    run(&mut Builder::new_current_thread(), &both, |places, requests| async move {
        let health = address(&places.health.clone().unwrap());
        assert!(get(health, "/healthz", "").await.ends_with("\r\n\r\nok\n"));
        assert!(get(health, "/readyz", "").await.starts_with("HTTP/1.1 503 "));
        requests.set_ready();
        assert!(get(health, "/readyz", "").await.ends_with("\r\n\r\nready\n"));
        for path in ["/", "/metrics", "/http_sd", "/api/v1/services"] {
            assert!(get(health, path, "").await.starts_with("HTTP/1.1 404 "), "{path}");
        }
        // Where passwords are asked for, they are asked for all.
        for path in ["/metrics", "/healthz", "/readyz", "/http_sd", "/nowhere"] {
            assert!(get(places.tcp(), path, "").await.starts_with("HTTP/1.1 401 "), "{path}");
        }
        // A crowd at the main door leaves this one open.
        let mut silent = Vec::new();
        for _ in 0..server::MAX_CONNECTIONS {
            silent.push(TcpStream::connect(places.tcp()).await.unwrap());
        }
        assert!(get(health, "/healthz", "").await.ends_with("\r\n\r\nok\n"));
    });
}

#[test]
fn this_agent_is_discovered() {
    with_server(|address, requests| async move {
        let _reader = requests;
        let answer = get(address, "/http_sd", "Accept: application/json\r\n").await;
        assert!(answer.contains("content-type: application/json\r\n"), "{answer}");
        let groups: serde_json::Value = serde_json::from_str(&body_of(&answer, "HTTP/1.1 200 ")).unwrap();
        assert_eq!(groups[0]["targets"], serde_json::json!([address.to_string()]));
        assert_eq!(groups[0]["labels"]["__meta_redtap_version"], env!("CARGO_PKG_VERSION"));
        let host = groups[0]["labels"]["__meta_redtap_host"].as_str().unwrap();
        assert!(!host.is_empty());
        assert_eq!((groups.as_array().unwrap().len(), groups[0].as_object().unwrap().len()), (1, 2));
        let posted =
            ask(address, "POST /http_sd HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        assert!(posted.await.starts_with("HTTP/1.1 405 "));
    });
}

#[test]
fn all_addresses_are_discovered_as_the_one_that_was_reached() {
    let everywhere = Options { listen: listen("[::]:0").unwrap(), ..options() };
    run(&mut Builder::new_current_thread(), &everywhere, |places, requests| async move {
        let _reader = requests;
        let reached = SocketAddr::from(([127, 0, 0, 1], places.tcp().port()));
        let answer = get(reached, "/http_sd", "").await;
        assert!(answer.contains(&format!("\"targets\":[\"{reached}\"]")), "{answer}");
    });
}

/// The bytes of a chunked body.
fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|pair| pair == b"\r\n") {
        let length = usize::from_str_radix(str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        whole.extend_from_slice(&body[end + 2..end + 2 + length]);
        body = &body[end + 2 + length + 2..];
    }
    whole
}

#[test]
fn pages_are_packed_for_those_who_take_it() {
    with_server(|address, requests| async move {
        let asked = async {
            for (headers, packed) in [("", false), ("Accept-Encoding: gzip\r\n", true)] {
                let request = format!("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n");
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).await.unwrap();
                let head = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
                let (head, body) = (str::from_utf8(&answer[..head]).unwrap(), unchunked(&answer[head + 4..]));
                assert!(head.contains("vary: Accept, Accept-Encoding"), "{head}");
                assert_eq!(head.contains("content-encoding: gzip"), packed, "{head}");
                let mut text = String::new();
                if packed {
                    GzDecoder::new(&*body).read_to_string(&mut text).unwrap();
                } else {
                    text = String::from_utf8(body).unwrap();
                }
                assert!(text.contains("redtap_flows_opened_total 0\n"), "{text}");
            }
        };
        answered(requests, asked).await;
    });
}
