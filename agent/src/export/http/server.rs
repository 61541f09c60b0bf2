//! Listening, and serving connections within limits.

use std::{
    fmt,
    future::{Future, pending},
    io,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};

use super::{
    connection::{Closing, Connection},
    discovery::Discovery,
    health_routes,
    listen::{BindError, Bound, SocketFile},
    routes,
    socket::{Listener, Stream},
    web::Web,
};
use crate::{
    config::value::endpoint::Listen,
    export::{page::PageSource, prometheus::Form},
};

/// Connections served at once. Kept ones that are idle make room; where there are none, further ones wait in the listen queue.
pub(super) const MAX_CONNECTIONS: usize = 64;

/// The same of the listener for health, where answers are short and few ask.
const MAX_HEALTH_CONNECTIONS: usize = 16;

/// How long open answers may take at shutdown.
const GRACE: Duration = Duration::from_millis(500);

/// Where and how pages are served.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where everything is served.
    pub listen: Listen,
    /// Where `/healthz` and `/readyz` are served as well, to everyone.
    pub health_listen: Option<Listen>,
    /// Prometheus' web configuration file: TLS, passwords and a token for `listen`.
    pub web_config: Option<PathBuf>,
    /// `HOST:PORT` at which others reach `listen`, for `/http_sd`; without it, its address.
    pub advertise: Option<String>,
    /// What metrics look like, as far as scrapers have no say.
    pub form: Form,
}

/// A server that listens, and does not yet answer.
#[derive(Debug)]
pub struct Server {
    main: Bound,
    health: Option<Bound>,
    web: Web,
    listen: Listen,
    advertise: Option<String>,
    form: Form,
}

/// Listens, as `options` say. Before anything is attached, so that a taken port costs nothing.
///
/// # Errors
/// [`BindError`].
pub fn bind(options: &Options) -> Result<Server, BindError> {
    let web = Web::new(options.web_config.as_deref())?;
    let main = Bound::new(&options.listen, "--listen")?;
    let health = options.health_listen.as_ref().map(|place| Bound::new(place, "--health-listen")).transpose()?;
    let listen = main.place().map_err(|error| BindError::Other(options.listen.clone(), error))?;
    Ok(Server { main, health, web, listen, advertise: options.advertise.clone(), form: options.form })
}

/// What pages are served at, as people have it: `http://127.0.0.1:9440`, `https://…` or `unix:/PATH`.
impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.listen, &self.web.current().tls) {
            (Listen::Tcp(address), None) => write!(formatter, "http://{address}"),
            (Listen::Tcp(address), Some(_)) => write!(formatter, "https://{address}"),
            (place @ Listen::Unix(_), _) => place.fmt(formatter),
        }
    }
}

impl Server {
    /// Where pages are served: a port of 0 has become one.
    #[must_use]
    pub const fn listen(&self) -> &Listen {
        &self.listen
    }

    /// Where health is served besides; a port of 0 has become one.
    #[must_use]
    pub fn health_listen(&self) -> Option<Listen> {
        self.health.as_ref().and_then(|bound| bound.place().ok())
    }

    /// Serves until `shutdown`, then lets open answers end for a moment.
    ///
    /// # Errors
    /// If a listener cannot be handed to the runtime.
    pub async fn serve(self, source: PageSource, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let discovery = Discovery::new(self.advertise, self.listen);
        let health = match self.health {
            Some(bound) => {
                let open = Web::new(None).map_err(io::Error::other)?;
                Some(Door::new(bound, MAX_HEALTH_CONNECTIONS, health_routes(source.clone()), open)?)
            }
            None => None,
        };
        let main = Door::new(self.main, MAX_CONNECTIONS, routes(source, self.form, discovery), self.web)?;
        let (stop, _) = watch::channel(());
        let health_serves = async {
            match &health {
                Some(door) => door.serve(&stop).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = main.serve(&stop) => {}
            () = health_serves => {}
            () = shutdown => {}
        }
        drop((main, health));
        // Whoever does not take the answer in time does not get it.
        stop.send_replace(());
        let _ = timeout(GRACE, stop.closed()).await;
        Ok(())
    }
}

/// A listener, and what is behind it.
struct Door {
    listener: Listener,
    room: Arc<Semaphore>,
    /// For the connection that has been kept for longest.
    crowded: Arc<Notify>,
    router: Router,
    web: Arc<Web>,
    _file: Option<SocketFile>,
}

impl Door {
    fn new(bound: Bound, room: usize, router: Router, web: Web) -> io::Result<Self> {
        let Bound { socket, file } = bound;
        let listener = Listener::new(socket)?;
        let (room, web) = (Arc::new(Semaphore::new(room)), Arc::new(web));
        Ok(Self { listener, room, crowded: Arc::default(), router, web, _file: file })
    }

    /// Accepts and serves, without end.
    async fn serve(&self, stop: &watch::Sender<()>) {
        while let Some((stream, permit)) = self.accept().await {
            let (router, web) = (self.router.clone(), Arc::clone(&self.web));
            let closing = Closing { stop: stop.subscribe(), crowded: Arc::clone(&self.crowded) };
            Connection::spawn(router, web, stream, closing, permit);
        }
    }

    /// The next connection, once there is room for it.
    async fn accept(&self) -> Option<(Stream, OwnedSemaphorePermit)> {
        if self.room.available_permits() == 0 {
            self.crowded.notify_one();
        }
        let permit = Arc::clone(&self.room).acquire_owned().await.ok()?;
        loop {
            match self.listener.accept().await {
                Ok(stream) => return Some((stream, permit)),
                // Out of descriptors, or a connection that broke at once: neither ends the server, the former needs
                // time.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}
