//! One connection: its deadline, TLS, who is let in, and the answers.

use std::{
    convert::Infallible,
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, response::Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Notify, OwnedSemaphorePermit, watch},
    time::{Instant, sleep_until},
};
use tokio_rustls::TlsAcceptor;
use tower_service::Service;

use super::{
    discovery::Reached,
    socket::{Io, Stream},
    web::Web,
};

/// From a connection's beginning to the first request on it, head complete.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// From a request to the end of its answer and the next request: longer than the usual scrape intervals, so that their
/// connections are kept.
const NEXT_REQUEST: Duration = Duration::from_secs(75);

/// Largest head of a request.
const MAX_HEAD: usize = 16 << 10;

/// What the first message of TLS begins with: the content type handshake (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;

/// To one who speaks HTTP where TLS is spoken, in the words of Go's server.
const NO_TLS: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\
    \r\nClient sent an HTTP request to an HTTPS server.\n";

/// A connection with one rule for slow heads, slow readers and idleness: it is closed at a deadline that only a further
/// request moves.
#[derive(Clone)]
pub struct Connection {
    router: Router,
    web: Arc<Web>,
    reached: Reached,
    /// Milliseconds since `began`.
    deadline: Arc<AtomicU64>,
    began: Instant,
    /// A request was answered.
    answered: Arc<Notify>,
}

/// What has a connection end, with the answer under way if there is one.
pub struct Closing {
    /// The server's end.
    pub stop: watch::Receiver<()>,
    /// Others wait for a place: for one that was answered.
    pub crowded: Arc<Notify>,
}

impl Closing {
    async fn due(&mut self, answered: &Notify) {
        let crowded = async {
            answered.notified().await;
            self.crowded.notified().await;
        };
        tokio::select! {
            _ = self.stop.changed() => {}
            () = crowded => {}
        }
    }
}

impl Connection {
    /// Serves `stream` with `router`, to whom `web` lets in, until it is closed or the deadline has passed. The permit
    /// is given back then.
    pub fn spawn(router: Router, web: Arc<Web>, stream: Stream, closing: Closing, permit: OwnedSemaphorePermit) {
        let reached = Reached(stream.local());
        let (deadline, answered, began) = (Arc::default(), Arc::default(), Instant::now());
        let connection = Self { router, web, reached, deadline, began, answered };
        connection.extend(FIRST_REQUEST);
        let watch = connection.clone();
        tokio::spawn(async move {
            tokio::select! {
                // An error is a client that went away or spoke something else; nobody here can do anything about it.
                ended = connection.serve(stream, closing) => drop(ended),
                () = watch.passed() => {}
            }
            drop(permit);
        });
    }

    async fn serve(self, stream: Stream, mut closing: Closing) -> Result<(), hyper::Error> {
        let stream: Box<dyn Io> = match &self.web.current().tls {
            None => Box::new(stream),
            Some(config) => match handshake(stream, config).await {
                Ok(Some(stream)) => stream,
                Ok(None) => return Ok(()),
                Err(error) => {
                    tracing::debug!(%error, "tls handshake failed");
                    return Ok(());
                }
            },
        };
        let answered = Arc::clone(&self.answered);
        let service = service_fn(move |request: Request<Incoming>| self.clone().answer(request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = closing.due(&answered) => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    }

    async fn answer(mut self, request: Request<Incoming>) -> Result<Response, Infallible> {
        self.extend(NEXT_REQUEST);
        let web = self.web.current();
        let refusal = match &web.guard {
            Some(guard) => guard.refusal(request.headers()).await,
            None => None,
        };
        let mut response = match refusal {
            Some(refusal) => refusal,
            None => {
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(self.reached);
                self.router.call(request).await?
            }
        };
        web.complete(response.headers_mut());
        self.answered.notify_one();
        Ok(response)
    }

    fn extend(&self, by: Duration) {
        let deadline = (self.began.elapsed() + by).as_millis();
        self.deadline.store(u64::try_from(deadline).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Ends when the deadline has passed.
    async fn passed(&self) {
        loop {
            let deadline = self.began + Duration::from_millis(self.deadline.load(Ordering::Relaxed));
            if deadline <= Instant::now() {
                return;
            }
            sleep_until(deadline).await;
        }
    }
}

/// What TLS is spoken over from here; `None` if the client does not speak it, and was told so.
async fn handshake(mut stream: Stream, config: &Arc<ServerConfig>) -> io::Result<Option<Box<dyn Io>>> {
    if stream.first_byte().await? == Some(HANDSHAKE) {
        let stream = TlsAcceptor::from(Arc::clone(config)).accept(stream).await?;
        return Ok(Some(Box::new(stream)));
    }
    // What is left unread when the connection is closed would take the answer away.
    let mut unread = vec![0; MAX_HEAD];
    if stream.read(&mut unread).await? > 0 {
        stream.write_all(NO_TLS).await?;
        stream.shutdown().await?;
    }
    Ok(None)
}
