//! Clients that take their time, ask for too much, or for what is not there.

use super::*;

/// As `connection.rs` has it, and a little.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
const SLACK: Duration = Duration::from_secs(2);

#[test]
fn a_head_that_comes_byte_by_byte_does_not_keep_its_connection() {
    with_server_in_paused_time(|address, requests| async move {
        let _reader = requests;
        let began = Instant::now();
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A client that always has something to say, and never ends.
        for byte in b"GET /healthz HTTP/1.1\r\nX-Slow: ".iter().chain(std::iter::repeat(&b'a')) {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert!(began.elapsed() < FIRST_REQUEST + SLACK, "it is still borne with");
        }
    });
}

#[test]
fn a_client_that_does_not_take_its_answers_does_not_keep_its_connection() {
    with_server_in_paused_time(|address, requests| async move {
        let _reader = requests;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
        let began = Instant::now();
        // Either the socket's buffers are full and the server waits, or it has closed: it never gives more room.
        while timeout(Duration::from_secs(200), stream.write_all(&request)).await.is_ok_and(|sent| sent.is_ok()) {
            assert!(began.elapsed() < Duration::from_secs(600), "answers are kept for a client that takes none");
        }
        drop(stream);
        assert!(get(address, "/healthz", "").await.ends_with("ok\n"));
    });
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    with_server(|address, requests| async move {
        let _reader = requests;
        let long = "a".repeat(64 << 10);
        for request in [
            format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
            format!("GET /healthz?{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
            format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: {long}\r\n\r\n"),
            format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(10_000)),
        ] {
            assert_refused(address, request.as_bytes()).await;
        }
        assert!(get(address, "/healthz", "").await.ends_with("ok\n"));
    });
}

/// Sends what the server may break off in the middle, and sees that the answer is none of success.
async fn assert_refused(address: SocketAddr, request: &[u8]) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    // A reset is an answer, too.
    let _ = stream.read_to_end(&mut answer).await;
    let shown = String::from_utf8_lossy(&answer);
    let refused = ["HTTP/1.1 400 ", "HTTP/1.1 404 ", "HTTP/1.1 414 ", "HTTP/1.1 431 "];
    assert!(answer.is_empty() || refused.iter().any(|status| shown.starts_with(status)), "{shown}");
}

#[test]
fn a_body_is_not_waited_for() {
    with_server_in_paused_time(|address, requests| async move {
        let _reader = requests;
        let began = Instant::now();
        for framing in ["Content-Length: 1000000000000", "Transfer-Encoding: chunked"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let head = format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"ok\n") {
                assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "{framing}: closed early");
            }
        }
        assert!(began.elapsed() < FIRST_REQUEST);
    });
}

#[test]
fn paths_lead_nowhere() {
    with_server(|address, requests| async move {
        let _reader = requests;
        for path in [
            "/../etc/passwd",
            "/../../../../etc/passwd",
            "/metrics/../../etc/passwd",
            "/%2e%2e/%2e%2e/etc/passwd",
            "/..%2f..%2fetc%2fpasswd",
            "/..%c0%af..%c0%afetc/passwd",
            "/....//....//etc/passwd",
            "/..\\..\\etc\\passwd",
            "//etc/passwd",
            "/etc/passwd",
            "/proc/self/environ",
            "/proc/1/cwd/etc/passwd",
            "/tlsparser/connections/../../../etc/passwd",
            "/nodegraph/api/../../../../proc/self/environ",
            "//metrics",
            "/metrics/",
            "/metrics/.",
            "/METRICS",
            "/metrics%00",
            "/metrics%2f",
            "/healthz/../metrics",
            "/debug/pprof/",
            "/.git/config",
            "file:///etc/passwd",
            "http://127.0.0.1:1/latest/meta-data",
            "*",
            "127.0.0.1:80",
        ] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            assert_refused(address, request.as_bytes()).await;
        }
    });
}

#[test]
fn what_is_no_request_costs_no_page() {
    with_server(|address, requests| async move {
        let mut requests = requests;
        for request in [
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET /metrics\0 HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /metrics HTTP/9.9\r\nHost: a\r\n\r\n",
            b"GET  /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /metrics HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"GET /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"\xff\xfe\xfd\r\n\r\n",
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let _ = stream.write_all(request).await;
            // Nothing more is to come, which is an end in the middle of some of these.
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            let shown = String::from_utf8_lossy(&answer);
            assert!(!shown.starts_with("HTTP/1.1 200 "), "{request:?}: {shown}");
            assert!(requests.try_recv().is_none(), "{request:?}");
        }
    });
}
