use axum::body::Body;
use hyper::header::{AUTHORIZATION, HeaderValue};

use super::{
    testing::{Pki, Server},
    *,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn client(tls: &TlsOptions) -> Client {
    Client::new(tls, PATIENCE).unwrap()
}

async fn post(client: &Client, uri: &Uri) -> Result<Answer, ClientError> {
    client.post(uri, HeaderMap::new(), Bytes::from_static(b"hello")).await
}

#[tokio::test]
async fn what_is_sent_arrives_and_any_status_is_an_answer() {
    let server = Server::start(None, |index, _| {
        let status = if index == 0 { 204 } else { 503 };
        Some(Response::builder().status(status).header("retry-after", "7").body(Body::from("later")).unwrap())
    })
    .await;
    let client = client(&TlsOptions::default());
    let uri = server.uri("http", "/v1/metrics?x=1");
    let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer x"))]);
    let answer = client.post(&uri, headers, Bytes::from_static(b"hello")).await.unwrap();
    assert_eq!(answer.status, 204);
    let answer = post(&client, &uri).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (503, &b"later"[..]));
    assert_eq!(answer.headers["retry-after"], "7");

    let received = server.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].uri.to_string(), "/v1/metrics?x=1");
    assert_eq!(received[0].headers["authorization"], "Bearer x");
    assert_eq!(received[0].headers["content-length"], "5");
    assert_eq!(received[0].headers["host"], server.address.to_string());
    assert_eq!(&received[0].body[..], b"hello");
}

#[tokio::test]
async fn a_long_answer_is_cut_off() {
    let server = Server::start(None, |_, _| Some(Response::new(Body::from(vec![7; MAX_ANSWER + 1])))).await;
    let answer = post(&client(&TlsOptions::default()), &server.uri("http", "/")).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, MAX_ANSWER));
}

#[tokio::test]
async fn no_answer_in_time_is_late_and_no_server_is_said() {
    let server = Server::start(None, |_, _| None).await;
    let client = Client::new(&TlsOptions::default(), Duration::from_millis(50)).unwrap();
    let uri = server.uri("http", "/");
    assert!(matches!(post(&client, &uri).await, Err(ClientError::Late(_))));

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/secret", free.local_addr().unwrap()).parse().unwrap();
    drop(free);
    let error = post(&Client::new(&TlsOptions::default(), PATIENCE).unwrap(), &uri).await.unwrap_err().to_string();
    assert!(error.contains("onnection refused") && !error.contains("secret"), "{error}");
}

#[tokio::test]
async fn certificates_of_either_side_are_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    let pki = Pki::new(directory.path());
    let answer = |_: usize, _: &_| Some(Response::new(Body::from("ok")));
    let open = Server::start(Some(pki.server(false)), answer).await;
    let closed = Server::start(Some(pki.server(true)), answer).await;
    let system = TlsOptions::default();
    for (server, tls, expected) in [
        (&open, pki.client(false), Ok(200)),
        (&open, pki.client(true), Ok(200)),
        (&open, system, Err("certificate")),
        (&closed, pki.client(true), Ok(200)),
        (&closed, pki.client(false), Err("ertificate")),
    ] {
        let got = post(&client(&tls), &server.uri("https", "/")).await;
        match (got, expected) {
            (Ok(answer), Ok(status)) => assert_eq!(answer.status.as_u16(), status),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (got, expected) => panic!("{tls:?}: {got:?} instead of {expected:?}"),
        }
    }
    // The name counts as well.
    let uri = format!("https://localhost:{}/", open.address.port()).parse().unwrap();
    assert!(post(&client(&pki.client(false)), &uri).await.is_err());
}

#[test]
fn unusable_files_are_said() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let missing = directory.path().join("missing.pem");
    let cases = [
        (TlsOptions { ca: Some(missing.clone()), ..TlsOptions::default() }, "cannot read a ca certificate from"),
        (TlsOptions { ca: Some(empty.clone()), ..TlsOptions::default() }, "there is none in it"),
        (TlsOptions { certificate: Some(empty.clone()), ..TlsOptions::default() }, "both a certificate and a key"),
        (TlsOptions { key: Some(empty.clone()), ..TlsOptions::default() }, "both a certificate and a key"),
        (
            TlsOptions { certificate: Some(missing), key: Some(empty), ..TlsOptions::default() },
            "cannot read a certificate from",
        ),
    ];
    for (tls, expected) in cases {
        let error = Client::new(&tls, PATIENCE).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
