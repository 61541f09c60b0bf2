//! Follows the objects of one kind: all of them first, then every change, and all of them again when the thread is
//! lost.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use futures_core::Stream;
use kube::{
    Api, Client,
    runtime::watcher::{Event, watcher},
};
use tokio::{
    sync::mpsc::Sender,
    time::{sleep, timeout},
};
use tracing::{Dispatch, dispatcher};

use super::{
    Change, Failure, Resource, Selection, Status, convert,
    course::{Course, Step, Verb},
    jobs::Jobs,
    kinds::Followed,
    pace::Pace,
};
use crate::identity::host::monotonic_now;

/// How long the next object of a listing may be waited for.
const LISTING_PATIENCE: Duration = Duration::from_secs(60);

/// How long a watch is asked for, in seconds, from and to: so that all agents' do not end together. A connection
/// that dies before is noticed by the kernel.
const WATCH_SECONDS: (u32, u32) = (480, 600);

/// What one kind of objects is followed with.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) node: String,
    pub(super) selection: Selection,
    pub(super) jobs: Jobs,
    pub(super) pace: Pace,
    pub(super) changes: Sender<Change>,
    pub(super) status: Arc<Status>,
}

/// Why nothing is followed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Nobody takes changes.
    Closed,
    /// The credentials are not valid any more.
    Unauthorized,
}

/// Follows one kind of objects.
pub(super) async fn follow<K: Followed>(mut context: Context) -> Ended {
    let mut course = Course::new(K::RESOURCE, K::WITHOUT, Arc::clone(&context.status), context.pace);
    loop {
        if let Err(ended) = follow_once::<K>(&mut context, &mut course).await {
            return ended;
        }
    }
}

/// Follows until all has to be listed anew.
async fn follow_once<K: Followed>(context: &mut Context, course: &mut Course) -> Result<(), Ended> {
    let seconds = fastrand::u32(WATCH_SECONDS.0..=WATCH_SECONDS.1);
    let mut events =
        pin!(watcher(Api::<K>::all(context.client.clone()), K::query(&context.node).timeout(seconds)));
    let mut is_listing = true;
    loop {
        let patience = if is_listing { Some(LISTING_PATIENCE) } else { course.probation() };
        let step = match next(events.as_mut(), patience).await {
            Some(Some(Ok(event))) => {
                is_listing = match event {
                    Event::Init => true,
                    Event::InitDone => false,
                    _ => is_listing,
                };
                hand_on(event, context, course).await?;
                continue;
            }
            Some(Some(Err(error))) => course.failed(&error),
            Some(None) => Step::Anew(Duration::ZERO),
            None if is_listing => course.stalled(),
            None => {
                course.works(Verb::Watch);
                continue;
            }
        };
        let is_lost = matches!(step, Step::Lost(_));
        if is_lost && context.changes.send(Change::Lost(K::RESOURCE)).await.is_err() {
            return Err(Ended::Closed);
        }
        match step {
            Step::GoOn(wait) => sleep(wait).await,
            Step::Anew(wait) | Step::Lost(wait) => {
                sleep(wait).await;
                return Ok(());
            }
            Step::End => return Err(Ended::Unauthorized),
        }
    }
}

async fn hand_on<K: Followed>(event: Event<K>, context: &mut Context, course: &mut Course) -> Result<(), Ended> {
    let resource = K::RESOURCE;
    let changes = match event {
        // Nothing has been asked yet.
        Event::Init => [Some(Change::Listing(resource)), None],
        Event::InitApply(object) => [object.change(context).await, None],
        Event::InitDone => {
            course.works(Verb::List);
            context.status.synced(resource);
            [Some(Change::Listed(resource)), None]
        }
        Event::Apply(object) => {
            course.works(Verb::Watch);
            [object.change(context).await, None]
        }
        Event::Delete(object) => {
            course.works(Verb::Watch);
            // The last that is told of a pod may be the first that tells its containers' ids.
            let last = if resource == Resource::Pods { object.change(context).await } else { None };
            [last, convert::uid(object.meta()).map(|uid| Change::Deleted(resource, uid))]
        }
    };
    // An object without a name or a UID, which no server has.
    if changes.iter().all(Option::is_none) {
        context.status.failed(resource, Failure::Decode);
    }
    context.status.event(resource, monotonic_now());
    for change in changes.into_iter().flatten() {
        context.changes.send(change).await.map_err(|_| Ended::Closed)?;
    }
    Ok(())
}

/// The next of a stream; `None`: nothing came in time.
async fn next<S: Stream>(mut events: Pin<&mut S>, patience: Option<Duration>) -> Option<Option<S::Item>> {
    let next = muted(poll_fn(|context| events.as_mut().poll_next(context)));
    match patience {
        Some(patience) => timeout(patience, next).await.ok(),
        None => Some(next.await),
    }
}

/// Runs with the log shut: [`kube`] would say at every attempt what is said once here, and quote whole answers
/// that it cannot read, secrets and all.
pub(super) async fn muted<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let nobody = Dispatch::none();
    poll_fn(|context| dispatcher::with_default(&nobody, || future.as_mut().poll(context))).await
}
