//! The server over real connections on the loopback.

mod access;
mod crowd;
mod hostile;
mod places;

use std::{future::Future, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Builder,
    sync::oneshot,
    time::{Instant, timeout},
};

use super::*;
use crate::{
    config::value::endpoint::{Listen, listen},
    export::page::{self, PATIENCE, Page, PageRequests},
};

/// Longer than any test here takes on a slow machine, and than the server bears with a connection.
const DEADLINE: Duration = Duration::from_secs(300);

/// Runs `test` against a server, whose reader end it gets; then the server must end.
fn with_server<F: Future<Output = ()>>(test: impl FnOnce(SocketAddr, PageRequests) -> F) {
    run(&mut Builder::new_current_thread(), &options(), |places, requests| test(places.tcp(), requests));
}

/// The same in a time that jumps ahead whenever all wait.
fn with_server_in_paused_time<F: Future<Output = ()>>(test: impl FnOnce(SocketAddr, PageRequests) -> F) {
    let mut builder = Builder::new_current_thread();
    run(builder.start_paused(true), &options(), |places, requests| test(places.tcp(), requests));
}

/// A port of the loopback, for everyone.
fn options() -> Options {
    Options {
        listen: listen("127.0.0.1:0").unwrap(),
        health_listen: None,
        web_config: None,
        advertise: None,
        form: Form::default(),
    }
}

/// Where a server listens.
struct Places {
    main: Listen,
    health: Option<Listen>,
}

impl Places {
    fn tcp(&self) -> SocketAddr {
        address(&self.main)
    }
}

fn address(place: &Listen) -> SocketAddr {
    match place {
        Listen::Tcp(address) => *address,
        Listen::Unix(path) => panic!("{}", path.display()),
    }
}

fn run<F: Future<Output = ()>>(
    builder: &mut Builder,
    options: &Options,
    test: impl FnOnce(Places, PageRequests) -> F,
) {
    let runtime = builder.enable_all().build().unwrap();
    let (source, requests) = page::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    runtime.block_on(async {
        let server = bind(options).unwrap();
        let places = Places { main: server.listen().clone(), health: server.health_listen() };
        let server = server.serve(source, async { drop(stopped.await) });
        let test = async {
            test(places, requests).await;
            drop(stop);
        };
        let (served, ()) = timeout(DEADLINE, async { tokio::join!(server, test) }).await.unwrap();
        served.unwrap();
    });
}

/// Runs `asked` while pages are answered.
async fn answered(requests: PageRequests, asked: impl Future<Output = ()>) {
    tokio::select! {
        () = asked => {}
        () = answer(requests) => {}
    }
}

/// Sends `request` and reads to the end of the connection.
async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn get(address: SocketAddr, path: &str, headers: &str) -> String {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n")).await
}

/// Answers pages until it is dropped.
async fn answer(mut requests: PageRequests) {
    loop {
        if let Some(request) = requests.try_recv() {
            request.answer(Page::default());
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn every_page_answers() {
    with_server(|address, requests| async move {
        let asked = async {
            for (path, headers, expected) in [
                (
                    "/metrics",
                    "",
                    ["HTTP/1.1 200 ", "content-type: text/plain; version=0.0.4", "redtap_flows_opened_total 0\n"],
                ),
                (
                    "/metrics",
                    "Accept: text/html\r\nAccept: application/openmetrics-text;version=1.0.0\r\n",
                    ["HTTP/1.1 200 ", "content-type: application/openmetrics-text; version=1.0.0", "# EOF\n"],
                ),
                ("/", "", ["HTTP/1.1 200 ", "content-type: text/html", "<h1>redtap "]),
                ("/healthz", "", ["HTTP/1.1 200 ", "", "ok\n"]),
                ("/readyz", "", ["HTTP/1.1 503 ", "", "no program is attached yet\n"]),
                ("/other", "", ["HTTP/1.1 404 ", "", ""]),
            ] {
                let answer = get(address, path, headers).await;
                for part in expected {
                    assert!(answer.contains(part), "{path} {headers}: no {part:?} in {answer}");
                }
            }
            let posted = ask(
                address,
                "POST /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
            );
            assert!(posted.await.starts_with("HTTP/1.1 405 "));
        };
        answered(requests, asked).await;
    });
}

#[test]
fn ready_once_the_reader_says_so_and_unhealthy_once_it_is_gone() {
    with_server(|address, requests| async move {
        requests.set_ready();
        assert!(get(address, "/readyz", "").await.starts_with("HTTP/1.1 200 "));
        drop(requests);
        assert!(get(address, "/readyz", "").await.starts_with("HTTP/1.1 503 "));
        assert!(get(address, "/healthz", "").await.starts_with("HTTP/1.1 503 "));
        let metrics = get(address, "/metrics", "").await;
        assert!(
            metrics.starts_with("HTTP/1.1 503 ") && metrics.ends_with("the reader has stopped\n"),
            "{metrics}"
        );
    });
}

#[test]
fn a_reader_that_does_not_answer_costs_a_sentence() {
    with_server_in_paused_time(|address, requests| async move {
        let began = Instant::now();
        let metrics = get(address, "/metrics", "").await;
        assert!(metrics.contains("the reader did not answer within 5 seconds\n"), "{metrics}");
        assert!(began.elapsed() >= PATIENCE);
        // It kept answering meanwhile, and nobody waits for what was given up.
        let mut requests = requests;
        assert!(requests.try_recv().is_none());
    });
}

#[test]
fn a_connection_that_asks_nothing_is_closed() {
    with_server_in_paused_time(|address, requests| async move {
        let _reader = requests;
        for sent in ["", "GET /healthz HTTP/1.1\r\nHost: a\r\n"] {
            let answer = ask(address, sent).await;
            assert_eq!(answer, "", "{sent:?}");
        }
    });
}

#[test]
fn a_connection_is_kept_for_the_next_request() {
    with_server(|address, requests| async move {
        let _reader = requests;
        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..3 {
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"ok\n") {
                assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed early");
            }
        }
    });
}

#[test]
fn a_connection_beyond_the_limit_waits_for_one_to_go() {
    with_server_in_paused_time(|address, requests| async move {
        let _reader = requests;
        let mut silent = Vec::new();
        for _ in 0..server::MAX_CONNECTIONS {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut late = TcpStream::connect(address).await.unwrap();
        late.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        // Shorter than the silent ones are borne with.
        let early = timeout(Duration::from_secs(5), late.read_to_string(&mut answer)).await;
        assert!(early.is_err(), "{answer}");
        drop(silent.pop());
        late.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("ok\n"), "{answer}");
    });
}

#[test]
fn kept_connections_make_room_for_a_new_one() {
    with_server_in_paused_time(|address, requests| async move {
        let _reader = requests;
        let mut kept = Vec::new();
        for _ in 0..3 * server::MAX_CONNECTIONS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"ok\n") {
                // Sooner than an idle one is given up.
                let read = timeout(Duration::from_secs(5), stream.read_buf(&mut answer)).await;
                assert_ne!(read.expect("an answer").unwrap(), 0, "closed early");
            }
            kept.push(stream);
        }
    });
}

/// The body of an answer, of which `head` must be the beginning; chunks are put together.
fn body_of(answer: &str, head: &str) -> String {
    assert!(answer.starts_with(head), "{answer}");
    let (headers, body) = answer.split_once("\r\n\r\n").unwrap();
    if !headers.contains("transfer-encoding: chunked") {
        return body.to_owned();
    }
    let mut lines = body.split("\r\n");
    let mut whole = String::new();
    while let (Some(length), Some(chunk)) = (lines.next(), lines.next()) {
        assert_eq!(usize::from_str_radix(length, 16).unwrap(), chunk.len());
        whole.push_str(chunk);
    }
    whole
}

#[test]
fn every_document_answers() {
    with_server(|address, requests| async move {
        let asked = async {
            for (path, expected) in [
                ("/nodegraph/api/health", ""),
                ("/nodegraph/api/graph/data?from=0&var-x=1", r#"{"nodes":[],"edges":[]}"#),
                ("/nodegraph/connections?include=a%7Cb", "[]"),
                ("/tlsparser/api/data", "[]"),
                ("/tlsparser/api/data/", "[]"),
                ("/tlsparser/connections", "[]"),
                ("/tlsparser/connections/?to=1", "[]"),
                ("/api/v1/graph", r#"{"nodes":[],"edges":[]}"#),
            ] {
                let answer = get(address, path, "").await;
                assert_eq!(body_of(&answer, "HTTP/1.1 200 "), expected, "{path}");
                assert_eq!(answer.contains("content-type: application/json\r\n"), !expected.is_empty(), "{path}");
                let for_all = answer.contains("access-control-allow-origin: *\r\n");
                assert_eq!(for_all, path.starts_with("/nodegraph/api/graph/data"), "{path}");
            }
            let fields = get(address, "/nodegraph/api/graph/fields?stats-type=bytes", "").await;
            assert!(body_of(&fields, "HTTP/1.1 200 ").contains("Bytes responded "));
            let services = body_of(&get(address, "/api/v1/services", "").await, "HTTP/1.1 200 ");
            let services: crate::export::graph::services::Services = serde_json::from_str(&services).unwrap();
            assert!(services.time > 1.5e9 && services.services.is_empty(), "{services:?}");
            for path in ["/tlsparser/api/data/1", "/tlsparser/connections/x%2F"] {
                assert_eq!(body_of(&get(address, path, "").await, "HTTP/1.1 404 "), "Not Found 404", "{path}");
            }
        };
        answered(requests, asked).await;
    });
}

#[test]
fn a_parameter_that_is_not_valid_costs_a_sentence_and_no_page() {
    with_server(|address, requests| async move {
        // Nobody answers pages: what is refused is refused before one is asked for.
        let _reader = requests;
        for (path, expected) in [
            (
                "/nodegraph/api/graph/fields?stats-type=packets",
                r#"parameter stats-type is \"packets\", which is not connection, bytes or duration"#,
            ),
            (
                "/nodegraph/api/graph/data?include=%28",
                r#"parameter include is \"(\", which is not a regular expression that can be used: unclosed group"#,
            ),
            (
                "/nodegraph/connections?from=yesterday",
                r#"parameter from is \"yesterday\", which is not a time in milliseconds since 1970"#,
            ),
            (
                "/tlsparser/api/data?to=x",
                r#"parameter to is \"x\", which is not a time in milliseconds since 1970"#,
            ),
            (
                "/tlsparser/connections/?to=x",
                r#"parameter to is \"x\", which is not a time in milliseconds since 1970"#,
            ),
            ("/api/v1/graph?from=x", r#"parameter from is \"x\", which is not a time in milliseconds since 1970"#),
        ] {
            let answer = get(address, path, "").await;
            assert_eq!(body_of(&answer, "HTTP/1.1 400 "), format!(r#"{{"error":"{expected}"}}"#), "{path}");
        }
    });
}

#[test]
fn documents_without_a_reader_are_a_sentence() {
    with_server(|address, requests| async move {
        drop(requests);
        for path in ["/nodegraph/api/graph/data", "/tlsparser/api/data/1", "/api/v1/graph", "/api/v1/services"] {
            assert_eq!(
                body_of(&get(address, path, "").await, "HTTP/1.1 503 "),
                "the reader has stopped\n",
                "{path}"
            );
        }
    });
}
