//! Listening, and serving connections within limits.

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpListener as StdListener},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, sleep_until, timeout},
};
use tower_service::Service;

use super::routes;
use crate::export::page::PageSource;

/// Connections served at once; further ones wait in the listen queue.
pub(super) const MAX_CONNECTIONS: usize = 64;

/// From a connection's beginning to the first request on it, head complete.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// From a request to the end of its answer and the next request: longer than the usual scrape intervals, so that their
/// connections are kept.
const NEXT_REQUEST: Duration = Duration::from_secs(75);

/// How long open answers may take at shutdown.
const GRACE: Duration = Duration::from_millis(500);

/// Largest head of a request.
const MAX_HEAD: usize = 16 << 10;

/// Why the address cannot be listened on, and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another socket has it.
    #[error(
        "cannot listen on {0}: the address is already in use; stop what uses it, or choose another with --listen"
    )]
    InUse(SocketAddr),
    /// A port below 1024, without the capability that it takes.
    #[error(
        "cannot listen on {0}: permission denied; \
         choose a port above 1023 with --listen, or run with CAP_NET_BIND_SERVICE"
    )]
    Denied(SocketAddr),
    /// No interface has it.
    #[error("cannot listen on {0}: this host has no such address; choose another with --listen")]
    NoSuchAddress(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {0}: {1}")]
    Other(SocketAddr, io::Error),
}

/// Listens on `address`. Before anything is attached, so that a taken port costs nothing.
///
/// # Errors
/// [`BindError`].
pub fn bind(address: SocketAddr) -> Result<StdListener, BindError> {
    let listener =
        StdListener::bind(address).and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    listener.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse(address),
        io::ErrorKind::PermissionDenied => BindError::Denied(address),
        io::ErrorKind::AddrNotAvailable => BindError::NoSuchAddress(address),
        _ => BindError::Other(address, error),
    })
}

/// Serves until `shutdown`, then lets open answers end for a moment.
///
/// # Errors
/// If `listener` cannot be handed to the runtime.
pub async fn serve(
    listener: StdListener,
    source: PageSource,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let router = routes(source);
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, permit) = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            () = &mut shutdown => break,
        };
        let connection = Connection { router: router.clone(), deadline: Arc::default(), began: Instant::now() };
        connection.serve(stream, &graceful, permit);
    }
    drop(listener);
    // Whoever does not take the answer in time does not get it.
    let _ = timeout(GRACE, graceful.shutdown()).await;
    Ok(())
}

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    let permit = Arc::clone(room).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            // Out of descriptors, or a connection that broke at once: neither ends the server, the former needs time.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// A connection with one rule for slow heads, slow readers and idleness: it is closed at a deadline that only a further
/// request moves.
#[derive(Clone)]
struct Connection {
    router: Router,
    /// Milliseconds since `began`.
    deadline: Arc<AtomicU64>,
    began: Instant,
}

impl Connection {
    fn serve(self, stream: TcpStream, graceful: &GracefulShutdown, permit: Option<OwnedSemaphorePermit>) {
        self.extend(FIRST_REQUEST);
        let watch = self.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            self.extend(NEXT_REQUEST);
            let mut router = self.router.clone();
            Service::<Request<Body>>::call(&mut router, request.map(Body::new))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            tokio::select! {
                // An error is a client that went away or spoke no HTTP; nobody here can do anything about it.
                ended = connection => drop(ended),
                () = watch.passed() => {}
            }
            drop(permit);
        });
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
