//! Asks the API server for what is needed and hands on what it tells, for as long as anybody takes it.
//!
//! This node's pods are watched, by a selector that the server applies; and, for the addresses of others, the
//! cluster's services, slices of endpoints and nodes. Each of these goes its own way: what is forbidden, or fails,
//! is lost alone. If nobody takes the changes, no more are read.

use std::{future::Future, sync::Arc};

use kube::Client;
use tokio::{sync::mpsc::Sender, time};

use super::{
    Change, Resource, Selection, Status,
    access::Access,
    client,
    follow::{Context, Ended, follow},
    jobs::Jobs,
    objects::{NodeObject, PodObject, ServiceObject, SliceObject},
    pace::{Backoff, Pace},
};

/// Whose addresses are asked for, besides this node's pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Peers {
    /// Those of all services, of the pods behind them, and of all nodes.
    #[default]
    Services,
    /// Nobody's: on a large cluster, and for one who does not ask, all that would be memory for nothing.
    Off,
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// This node's name ([`node_name`]).
    pub node: String,
    /// Whose addresses are asked for.
    pub peers: Peers,
    /// Which labels and annotations are kept.
    pub selection: Selection,
    /// How often.
    pub pace: Pace,
}

/// The name that this node goes by in the cluster: the one given, which a pod has from the downward API, or else
/// the host's name as the kubelet takes it.
#[must_use]
pub fn node_name(given: Option<&str>) -> String {
    match given.map(str::trim).filter(|name| !name.is_empty()) {
        Some(name) => name.to_owned(),
        None => rustix::system::uname().nodename().to_string_lossy().trim().to_lowercase(),
    }
}

/// Watches until the receiver of `changes` is gone. It can be dropped at any time; every way of the API server to
/// fail is one to try again.
pub async fn run(access: Access, options: Options, changes: Sender<Change>, status: Arc<Status>) {
    status.wants(Resource::Pods);
    if options.peers == Peers::Services {
        for resource in [Resource::Services, Resource::EndpointSlices, Resource::Nodes] {
            status.wants(resource);
        }
    }
    let mut backoff = Backoff::new(&options.pace);
    let mut complained = false;
    loop {
        match client::connect(&access, &status, options.pace).await {
            Ok(client) => {
                complained = false;
                match follow_all(&client, &options, &changes, &status).await {
                    Ended::Closed => return,
                    Ended::Unauthorized => {}
                }
            }
            Err(error) => {
                if !complained {
                    tracing::warn!(%error, "the api server cannot be asked");
                }
                complained = true;
            }
        }
        if closed_within(&changes, backoff.wait()).await {
            return;
        }
    }
}

async fn follow_all(client: &Client, options: &Options, changes: &Sender<Change>, status: &Arc<Status>) -> Ended {
    let context = || Context {
        client: client.clone(),
        node: options.node.clone(),
        selection: options.selection.clone(),
        jobs: Jobs::new(client.clone(), Arc::clone(status), options.pace),
        pace: options.pace,
        changes: changes.clone(),
        status: Arc::clone(status),
    };
    let closed = async {
        changes.closed().await;
        Ended::Closed
    };
    let pods = first(closed, follow::<PodObject>(context()));
    match options.peers {
        Peers::Off => pods.await,
        Peers::Services => {
            let others = first(follow::<ServiceObject>(context()), follow::<SliceObject>(context()));
            first(pods, first(others, follow::<NodeObject>(context()))).await
        }
    }
}

/// What the first of two to end ends with.
async fn first<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    tokio::select! {
        ended = one => ended,
        ended = other => ended,
    }
}

/// Waits; true if there is nobody to take changes any more.
async fn closed_within(changes: &Sender<Change>, wait: time::Duration) -> bool {
    time::timeout(wait, changes.closed()).await.is_ok()
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
