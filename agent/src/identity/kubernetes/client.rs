//! The HTTP client, which counts what the API server is asked and notices when it does not answer.

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::{Request, Response, body::Incoming};
use hyper_util::{
    client::legacy::{
        self,
        connect::{Connect, HttpConnector},
    },
    rt::{TokioExecutor, TokioTimer},
};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, ConfigExt},
};
use tokio::{task, time};
use tower_service::Service;
use tracing::{Dispatch, dispatcher};

use super::{
    Resource, Status,
    access::{Access, NoAccess},
    pace::Pace,
};
use crate::{identity::host::monotonic_now, time::Nanos};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// When the kernel asks whether a silent peer is still there, how often again, and how many times: a watch on
/// which nothing happens would not notice for minutes.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);

/// How long an unused connection is kept: a Job is asked for now and then, the watches have theirs for themselves.
const IDLE: Duration = Duration::from_secs(50);

/// Idle connections kept.
const MAX_IDLE: usize = 2;

/// A client of the API server. No connection is made yet; a program that gives out credentials is run.
pub(super) async fn connect(access: &Access, status: &Arc<Status>, pace: Pace) -> Result<Client, NoAccess> {
    let config = access.config().await?;
    let status = Arc::clone(status);
    let log = dispatcher::get_default(Dispatch::clone);
    // Such a program, and reading files, may take their time.
    let built = task::spawn_blocking(move || build(&config, status, log, pace)).await;
    built.map_err(|_| NoAccess::Credentials)?.map_err(|_| NoAccess::Credentials)
}

/// The client's layers: the server's place, credentials and headers of its configuration, then ours.
///
/// Not those that [`kube`] would put there: they log every failure, and try again where we would not know of it.
fn build(config: &Config, status: Arc<Status>, log: Dispatch, pace: Pace) -> Result<Client, kube::Error> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_keepalive(Some(KEEPALIVE.0));
    connector.set_keepalive_interval(Some(KEEPALIVE.1));
    connector.set_keepalive_retries(Some(KEEPALIVE.2));
    let connector = config.rustls_https_connector_with_connector(connector)?;
    let http = legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(MAX_IDLE)
        .build(connector);
    let asking = Asking { http, status, log, pace, next_watch: Arc::default() };
    let builder = ClientBuilder::new(asking, &config.default_namespace).with_layer(&config.extra_headers_layer()?);
    Ok(match config.auth_layer()? {
        Some(credentials) => builder.with_layer(&credentials).with_layer(&config.base_uri_layer()).build(),
        None => builder.with_layer(&config.base_uri_layer()).build(),
    })
}

const AWAY: &str = "the api server does not answer; what is known of the cluster stays";

/// Asks, counts, and notices when nobody answers.
#[derive(Clone)]
struct Asking<C> {
    http: legacy::Client<C, Body>,
    status: Arc<Status>,
    /// Requests are made where the log is shut.
    log: Dispatch,
    pace: Pace,
    /// When the next watch of each resource may begin, on the monotonic clock.
    next_watch: Arc<[AtomicU64; Resource::ALL.len()]>,
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Box<dyn Error + Send + Sync>>> + Send>>;

impl<C: Connect + Clone + Send + Sync + 'static> Service<Request<Body>> for Asking<C> {
    type Response = Response<Incoming>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let (http, status, log) = (self.http.clone(), Arc::clone(&self.status), self.log.clone());
        let answer = self.pace.answer;
        let resource = asked_for(request.uri().path());
        let is_watch =
            request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
        let wait = if is_watch { self.turn(resource) } else { Duration::ZERO };
        Box::pin(async move {
            time::sleep(wait).await;
            status.requested(resource);
            let asked = time::timeout(answer, http.request(request)).await;
            match asked.map_err(|_| Late(answer).into()).and_then(|answer| answer.map_err(Self::Error::from)) {
                Ok(response) => {
                    if status.answered(resource) {
                        dispatcher::with_default(&log, || tracing::info!("the api server is back"));
                    }
                    Ok(response)
                }
                Err(error) => {
                    if status.missed(resource) {
                        dispatcher::with_default(&log, || tracing::warn!(error = %Chain(&*error), "{AWAY}"));
                    }
                    Err(error)
                }
            }
        })
    }
}

impl<C> Asking<C> {
    /// How long a watch has to wait for its turn.
    fn turn(&self, resource: Resource) -> Duration {
        let next = &self.next_watch[resource.index()];
        let now = monotonic_now();
        let turn = now.max(Nanos(next.load(Ordering::Relaxed)));
        next.store(turn.plus(self.pace.between_watches).0, Ordering::Relaxed);
        turn.since(now)
    }
}

/// What a path of the API asks for: the last segment that names a resource. A base path of the server's may
/// precede it.
fn asked_for(path: &str) -> Resource {
    let named = |segment: &str| Resource::ALL.into_iter().find(|resource| resource.name() == segment);
    let job = path.contains("/apis/batch/").then_some(Resource::Jobs);
    job.or_else(|| path.rsplit('/').find_map(named)).unwrap_or(Resource::Pods)
}

#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct Late(Duration);

/// An error with those that caused it.
struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(formatter, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
