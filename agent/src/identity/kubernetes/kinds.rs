//! The kinds of objects that are followed: what is asked for, and what becomes of it.

use std::{collections::BTreeMap, fmt::Debug, future::Future, sync::Arc};

use kube::runtime::watcher::Config;
use serde::de::DeserializeOwned;

use super::{
    Change, Resource, convert,
    follow::Context,
    objects::{NodeObject, PodObject, ServiceObject, SliceObject},
    owner::{self, Found},
};

/// A kind of objects that can be followed.
pub(super) trait Followed:
    kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
    const RESOURCE: Resource;

    /// What is lost if it may not be seen.
    const WITHOUT: &'static str;

    /// What is asked for, page by page.
    fn query(node: &str) -> Config;

    /// What is kept of it. `None`: it is no object.
    fn change(&self, context: &mut Context) -> impl Future<Output = Option<Change>> + Send;
}

impl Followed for PodObject {
    const RESOURCE: Resource = Resource::Pods;
    const WITHOUT: &'static str = "this node's pods are not known by name";

    /// Out of the server's memory, where pods are sorted by nodes: for a page of a list it may read all pods of
    /// the cluster from its database, for every agent. There are not many pods on a node.
    fn query(node: &str) -> Config {
        Config { page_size: None, ..Config::default().any_semantic().fields(&format!("spec.nodeName={node}")) }
    }

    async fn change(&self, context: &mut Context) -> Option<Change> {
        let (meta, none) = (&self.metadata, BTreeMap::new());
        let references = meta.owner_references.as_deref().unwrap_or_default();
        let owner = match owner::find(references, meta.labels.as_ref().unwrap_or(&none)) {
            Found::Owner(owner) => owner,
            Found::Job(uid, name) => {
                let namespace = meta.namespace.as_deref().unwrap_or_default();
                let cron_job = context.jobs.cron_job(namespace, &name, uid).await;
                Some(owner::of_job(name, cron_job))
            }
        };
        convert::pod(self, owner, &context.selection).map(|pod| Change::Pod(Arc::new(pod)))
    }
}

impl Followed for ServiceObject {
    const RESOURCE: Resource = Resource::Services;
    const WITHOUT: &'static str = "services are not known by their addresses";

    fn query(_: &str) -> Config {
        Config::default().page_size(500)
    }

    async fn change(&self, _: &mut Context) -> Option<Change> {
        convert::service(self).map(|service| Change::Service(Box::new(service)))
    }
}

impl Followed for SliceObject {
    const RESOURCE: Resource = Resource::EndpointSlices;
    const WITHOUT: &'static str = "pods of other nodes are not known by their addresses";

    /// A slice has up to a thousand endpoints, some 300 bytes each.
    fn query(_: &str) -> Config {
        Config::default().page_size(100)
    }

    async fn change(&self, _: &mut Context) -> Option<Change> {
        convert::slice(self).map(|slice| Change::Slice(Box::new(slice)))
    }
}

impl Followed for NodeObject {
    const RESOURCE: Resource = Resource::Nodes;
    const WITHOUT: &'static str =
        "nodes are not known by their addresses, and pods of other nodes only by their ports";

    /// A node has tens of kilobytes, of the images on it.
    fn query(_: &str) -> Config {
        Config::default().page_size(50)
    }

    async fn change(&self, _: &mut Context) -> Option<Change> {
        convert::node(self).map(|node| Change::Node(Box::new(node)))
    }
}
