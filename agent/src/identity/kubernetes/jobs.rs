//! Whose a Job is: the one question about owners that pods do not answer themselves.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use hashbrown::HashMap;
use kube::{Api, Client};
use tokio::time::{Instant, timeout};

use super::{
    Failure, Resource, Status,
    course::failure_of,
    follow::muted,
    objects::JobObject,
    owner,
    pace::{Backoff, Pace, jittered},
    uid::Uid,
};

/// Jobs whose owner is remembered, the latest.
const MAX_JOBS: usize = 1024;

/// How long the news of a pod waits for its Job's owner.
const PATIENCE: Duration = Duration::from_secs(2);

/// Jobs and the CronJobs that made them. Each is asked for once, for nothing but its metadata.
pub(super) struct Jobs {
    client: Client,
    status: Arc<Status>,
    pace: Pace,
    known: HashMap<Uid, Option<Arc<str>>>,
    order: VecDeque<Uid>,
    backoff: Backoff,
    /// No Job is asked for before that.
    not_before: Option<Instant>,
}

impl Jobs {
    pub(super) fn new(client: Client, status: Arc<Status>, pace: Pace) -> Self {
        Self {
            client,
            status,
            pace,
            known: HashMap::new(),
            order: VecDeque::new(),
            backoff: Backoff::new(&pace),
            not_before: None,
        }
    }

    /// The CronJob that made a Job; `None`: no CronJob did, or it cannot be known now.
    pub(super) async fn cron_job(&mut self, namespace: &str, name: &str, uid: Uid) -> Option<Arc<str>> {
        if let Some(known) = self.known.get(&uid) {
            return known.clone();
        }
        if self.not_before.is_some_and(|moment| Instant::now() < moment) {
            return None;
        }
        self.status.wants(Resource::Jobs);
        let api = Api::<JobObject>::namespaced(self.client.clone(), namespace);
        match timeout(PATIENCE, muted(api.get(name))).await {
            Ok(Ok(job)) => {
                let references = job.metadata.owner_references.unwrap_or_default();
                self.answered();
                // Another Job of that name says nothing of this one.
                let is_same = job.metadata.uid.as_deref().map(Uid::parse) == Some(uid);
                let cron_job = owner::cron_job(&references).filter(|_| is_same);
                self.remember(uid, cron_job.clone());
                cron_job
            }
            Ok(Err(kube::Error::Api(answer))) if answer.code == 404 => {
                self.answered();
                self.remember(uid, None);
                None
            }
            Ok(Err(error)) => {
                self.failed(failure_of(&error));
                None
            }
            Err(_) => {
                self.failed(Failure::Unreachable);
                None
            }
        }
    }

    fn answered(&mut self) {
        self.status.synced(Resource::Jobs);
        self.backoff.reset();
        if self.status.allows(Resource::Jobs) {
            tracing::info!(verb = "get", resource = Resource::Jobs.name(), "the api server allows it again");
        }
    }

    fn failed(&mut self, failure: Failure) {
        self.status.failed(Resource::Jobs, failure);
        let mut wait = self.backoff.wait();
        if failure == Failure::Forbidden {
            if self.status.forbids(Resource::Jobs) {
                tracing::warn!(
                    verb = "get",
                    resource = Resource::Jobs.name(),
                    "the api server forbids it: jobs are not known by their cron jobs"
                );
            } else {
                wait = jittered(self.pace.forbidden_wait);
            }
        }
        self.not_before = Some(Instant::now() + wait);
    }

    fn remember(&mut self, uid: Uid, cron_job: Option<Arc<str>>) {
        if self.order.len() >= MAX_JOBS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.known.insert(uid, cron_job);
        self.order.push_back(uid);
        self.status.counted(Resource::Jobs, self.known.len());
    }
}
