//! What to do when following objects fails: by what failed, how often, and whether that was said already.

use std::{sync::Arc, time::Duration};

use kube::{client::AuthError, runtime::watcher};
use tokio::time::Instant;

use super::{
    Failure, Resource, Status,
    pace::{Backoff, Pace, jittered},
};

/// Refusals in a row after which a verb counts as forbidden: an API server that starts refuses everything until it
/// has read its roles.
const REFUSALS: u32 = 5;

/// Watches that cannot be begun, in a row, after which all is listed anew: the version to go on from may be none
/// that the server will ever have.
const FAILED_WATCHES: u32 = 3;

/// Failures in a row that are worth a line in the log.
const WORTH_A_LINE: u32 = 2;

/// Answers in a row that the credentials are not valid, after which they are read anew.
const UNAUTHORIZED: u32 = 3;

/// How long a watch must hold to be allowed again.
const PROBATION: Duration = Duration::from_secs(5);

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// For all objects.
    List,
    /// For their changes.
    Watch,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Go on after this time.
    GoOn(Duration),
    /// List all anew after this time.
    Anew(Duration),
    /// Likewise; nothing is known until then.
    Lost(Duration),
    /// Read the credentials anew.
    End,
}

/// How following one kind of objects goes.
pub(super) struct Course {
    resource: Resource,
    without: &'static str,
    status: Arc<Status>,
    pace: Pace,
    backoff: Backoff,
    forbidden: Option<Verb>,
    /// In a row, as the others.
    failures: u32,
    refusals: u32,
    failed_watches: u32,
    last_failure: Option<Instant>,
}

impl Course {
    /// `without` says what is lost if it is forbidden.
    pub(super) fn new(resource: Resource, without: &'static str, status: Arc<Status>, pace: Pace) -> Self {
        Self {
            resource,
            without,
            status,
            pace,
            backoff: Backoff::new(&pace),
            forbidden: None,
            failures: 0,
            refusals: 0,
            failed_watches: 0,
            last_failure: None,
        }
    }

    /// How long a watch must hold now to count as working; `None`: it need not.
    pub(super) fn probation(&self) -> Option<Duration> {
        (self.forbidden == Some(Verb::Watch)).then_some(PROBATION)
    }

    /// Something came of it.
    pub(super) fn works(&mut self, verb: Verb) {
        // Where watches fail, that lists do not is no reason to ask for more of them.
        if verb == Verb::Watch || self.failed_watches == 0 {
            self.start_anew();
            self.status.is_content(self.resource);
        }
        if self.forbidden == Some(verb) {
            self.forbidden = None;
            if self.status.allows(self.resource) {
                let resource = self.resource.name();
                tracing::info!(verb = verb.name(), resource, "the api server allows it again");
            }
        }
    }

    fn start_anew(&mut self) {
        self.backoff.reset();
        (self.failures, self.refusals, self.failed_watches) = (0, 0, 0);
    }

    /// A listing does not go on.
    pub(super) fn stalled(&mut self) -> Step {
        self.status.failed(self.resource, Failure::Unreachable);
        Step::Anew(self.backoff.wait())
    }

    pub(super) fn failed(&mut self, error: &watcher::Error) -> Step {
        let told = Told::by(error);
        self.status.failed(self.resource, told.failure);
        // Failures that are far apart have nothing to do with one another, though nothing may have changed
        // between.
        if self.last_failure.is_some_and(|last| last.elapsed() > 4 * self.pace.longest_wait)
            && self.forbidden.is_none()
        {
            self.start_anew();
        }
        self.last_failure = Some(Instant::now());
        self.failures += 1;
        match told.failure {
            Failure::Forbidden => self.refused(told.verb),
            Failure::Unauthorized => {
                self.complain(
                    &told,
                    self.failures >= WORTH_A_LINE,
                    "the api server does not accept the credentials",
                );
                if self.failures >= UNAUTHORIZED { Step::End } else { Step::GoOn(self.backoff.wait()) }
            }
            // That is said where it is noticed.
            Failure::Unreachable => Step::GoOn(self.backoff.wait()),
            Failure::Expired => {
                self.failed_watches += u32::from(told.verb == Verb::Watch);
                if told.is_start { Step::Anew(self.backoff.wait()) } else { Step::GoOn(self.backoff.wait()) }
            }
            Failure::Decode => {
                self.complain(&told, true, "an answer of the api server cannot be read");
                let is_one_of_many = told.verb == Verb::Watch && !told.is_start;
                Step::GoOn(if is_one_of_many { Duration::ZERO } else { self.backoff.wait() })
            }
            Failure::Refused => {
                let is_missing = told.code == NOT_FOUND;
                self.complain(&told, is_missing || self.failures >= WORTH_A_LINE, "the api server refuses it");
                self.failed_watches += u32::from(told.is_start);
                if is_missing {
                    Step::Anew(jittered(self.pace.forbidden_wait))
                } else if told.is_start && self.failed_watches.is_multiple_of(FAILED_WATCHES) {
                    Step::Anew(self.backoff.wait())
                } else {
                    Step::GoOn(self.backoff.wait())
                }
            }
        }
    }

    fn refused(&mut self, verb: Verb) -> Step {
        self.refusals += 1;
        if self.forbidden.is_none() && self.refusals < REFUSALS {
            return Step::GoOn(self.backoff.wait());
        }
        self.forbidden = Some(verb);
        if self.status.forbids(self.resource) {
            let (verb, resource, without) = (verb.name(), self.resource.name(), self.without);
            tracing::warn!(verb, resource, "the api server forbids it: {without}");
        }
        Step::Lost(jittered(self.pace.forbidden_wait))
    }

    fn complain(&self, told: &Told, is_worth_it: bool, what: &str) {
        if is_worth_it && self.status.complains(self.resource) {
            let (verb, resource, code) = (told.verb.name(), self.resource.name(), told.code);
            tracing::warn!(verb, resource, code, "{what}");
        }
    }
}

impl Verb {
    const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Watch => "watch",
        }
    }
}

const NOT_FOUND: u16 = 404;

/// What an error tells. Its text is not among it: that may be anything that somebody on the way answered.
struct Told {
    verb: Verb,
    /// A watch did not even begin.
    is_start: bool,
    failure: Failure,
    /// The HTTP status; 0: there was none.
    code: u16,
}

impl Told {
    fn by(error: &watcher::Error) -> Self {
        let by = |verb, is_start, error: &kube::Error| {
            let code = if let kube::Error::Api(answer) = error { answer.code } else { 0 };
            Self { verb, is_start, failure: failure_of(error), code }
        };
        match error {
            watcher::Error::InitialListFailed(error) => by(Verb::List, false, error),
            watcher::Error::WatchStartFailed(error) => by(Verb::Watch, true, error),
            watcher::Error::WatchFailed(error) => by(Verb::Watch, false, error),
            watcher::Error::WatchError(answer) => {
                Self { verb: Verb::Watch, is_start: false, failure: of_code(answer.code), code: answer.code }
            }
            watcher::Error::NoResourceVersion => {
                Self { verb: Verb::List, is_start: false, failure: Failure::Decode, code: 0 }
            }
        }
    }
}

/// What kind of failure an error is.
pub(super) fn failure_of(error: &kube::Error) -> Failure {
    match error {
        kube::Error::Api(answer) => of_code(answer.code),
        kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => Failure::Decode,
        kube::Error::Auth(_) => Failure::Unauthorized,
        kube::Error::Service(error) if error.is::<AuthError>() => Failure::Unauthorized,
        _ => Failure::Unreachable,
    }
}

const fn of_code(code: u16) -> Failure {
    match code {
        401 => Failure::Unauthorized,
        403 => Failure::Forbidden,
        410 => Failure::Expired,
        _ => Failure::Refused,
    }
}

#[cfg(test)]
mod tests;
