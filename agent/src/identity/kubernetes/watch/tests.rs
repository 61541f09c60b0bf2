mod failures;

use serde_json::json;
use tokio::time;

use super::{
    testing::{
        Log, PATIENCE, QUICK, Watch, at,
        objects::{job, pod, service, slice},
        server::Server,
        small_cluster,
    },
    *,
};
use crate::{
    identity::kubernetes::{Cluster, OwnerKind},
    time::Nanos,
};

#[tokio::test]
async fn everything_is_listed_and_followed() {
    let (log, server) = (Log::listen(), small_cluster().await);
    let mut watch = Watch::of(&server);
    watch.until_ready().await;
    let known = |cluster: &Cluster| {
        [("10.0.0.1", 99), ("10.96.0.1", 80), ("10.0.1.1", 8080), ("192.168.0.1", 22)]
            .map(|(ip, port)| at(cluster, ip, port))
    };
    assert_eq!(known(&watch.cluster), ["-/web-5f8-a/n1", "web/-/-", "api/api-0/n2", "-/-/n1"]);
    let local = watch.cluster.pod("web-5f8-a").expect("the pod is known");
    let owner = local.owner.as_ref().map(|owner| (owner.kind, &*owner.name));
    assert_eq!(owner, Some((OwnerKind::Deployment, "web")));
    assert_eq!(local.labels, [("k8s.pod.label.tier".into(), "gold".into())]);
    assert!(watch.cluster.pod("z").is_none(), "it is on another node");

    server.put("pods", pod("db-0", "10.0.0.2", "apps/v1 StatefulSet db"));
    server.put("endpointslices", slice("api", "api-1", "10.0.1.2"));
    server.put("services", service("web", "10.96.0.2"));
    server.delete("nodes", "n1", None);
    watch
        .until("changes", |cluster, _| {
            at(cluster, "10.0.0.2", 1) == "-/db-0/n1"
                && at(cluster, "10.0.1.2", 8080) == "api/api-1/n2"
                && at(cluster, "10.0.1.1", 8080) == "nobody"
                && at(cluster, "10.96.0.2", 80) == "web/-/-"
                && at(cluster, "192.168.0.1", 22) == "nobody"
        })
        .await;
    let asked: Vec<String> = ["endpointslices", "nodes", "pods", "services"]
        .iter()
        .flat_map(|resource| [format!("list {resource}"), format!("watch {resource}")])
        .collect();
    assert!(asked.iter().all(|what| server.asked(what) == 1), "each is asked for once");
    assert_eq!(server.requests().len(), asked.len(), "and nothing else is");
    let requests: u64 = watch.status.snapshot().iter().map(|status| status.requests).sum();
    assert_eq!(requests, 8, "every request is counted");
    watch.status.count(&watch.cluster);
    let pods = watch.of_resource(Resource::Pods);
    assert_eq!((pods.objects, pods.synced, pods.last_event.is_some()), (2, true, true));
    assert_eq!(log.told(), [""; 0]);
}

#[tokio::test]
async fn lists_come_in_pages_and_pods_from_memory() {
    let server = Server::start().await;
    for number in 0..1100_u32 {
        let ip = format!("10.96.{}.{}", number / 256, number % 256);
        server.put("services", service(&format!("s{number}"), &ip));
    }
    let mut watch = Watch::of(&server);
    watch.until_ready().await;
    assert_eq!(watch.cluster.objects(Resource::Services).entries, 1100);
    watch.until("watched", |_, _| server.asked("watch services") > 0).await;
    assert_eq!(server.asked("list services"), 3);
    let queries = server.queries("list pods").join(" ");
    assert!(
        queries.contains("fieldSelector=spec.nodeName%3Dn1") && queries.contains("resourceVersion=0"),
        "{queries}"
    );
    let queries = server.queries("watch services").join(" ");
    assert!(queries.contains("allowWatchBookmarks=true") && queries.contains("resourceVersion=1101"), "{queries}");
}

#[tokio::test]
async fn without_peers_only_pods_are_asked_for() {
    let server = small_cluster().await;
    let mut watch = Watch::with(&server, Peers::Off, 100, QUICK);
    watch.until_ready().await;
    server.put("pods", pod("db-0", "10.0.0.2", ""));
    watch.until("a change", |cluster, _| at(cluster, "10.0.0.2", 1) == "-/db-0/n1").await;
    assert_eq!(server.requests().into_iter().collect::<Vec<_>>(), ["list pods", "watch pods"]);
}

#[tokio::test]
async fn a_jobs_owner_is_asked_for_once() {
    let server = Server::start().await;
    server.put("jobs", job("nightly-1", "nightly"));
    for name in ["a", "b"] {
        server.put("pods", pod(name, "10.0.0.1", "batch/v1 Job nightly-1"));
        server.put("pods", pod(&format!("{name}-gone"), "10.0.0.1", "batch/v1 Job gone"));
    }
    let mut watch = Watch::of(&server);
    watch.until_ready().await;
    let owner = |cluster: &Cluster, pod: &str| {
        cluster.pod(pod)?.owner.clone().map(|owner| (owner.kind, owner.name, owner.through))
    };
    let nightly = (OwnerKind::CronJob, "nightly".into(), Some("nightly-1".into()));
    for (pod, expected) in [("a", &nightly), ("b", &nightly), ("a-gone", &(OwnerKind::Job, "gone".into(), None))] {
        assert_eq!(owner(&watch.cluster, pod).as_ref(), Some(expected), "{pod}");
    }
    assert_eq!(server.asked("get jobs"), 2);
    let jobs = watch.of_resource(Resource::Jobs);
    assert_eq!((jobs.requests, jobs.objects), (2, 2));
}

#[tokio::test]
async fn the_last_that_is_told_of_a_pod_counts() {
    let server = small_cluster().await;
    let mut watch = Watch::of(&server);
    watch.until_ready().await;
    let mut last = pod("web-5f8-a", "10.0.0.1", "apps/v1 ReplicaSet web-5f8");
    last["status"]["containerStatuses"] = json!([{"name": "app", "containerID": "containerd://7"}]);
    server.delete("pods", "web-5f8-a", Some(last));
    watch.until("gone", |cluster, _| at(cluster, "10.0.0.1", 1) == "nobody").await;
    let pod = watch.cluster.pod("web-5f8-a").expect("it is remembered");
    assert!(pod.container("7").is_some());
}

#[tokio::test]
async fn who_does_not_take_changes_pauses_the_watch() {
    let server = Server::start().await;
    for number in 0..300_u32 {
        server.put("pods", pod(&format!("p{number}"), &format!("10.0.{}.{}", number / 250, number % 250 + 1), ""));
    }
    let mut watch = Watch::with(&server, Peers::Off, 1, QUICK);
    let mut pods = 0;
    while pods < 300 {
        assert!(watch.changes.len() <= 1);
        assert_eq!(server.asked("watch pods"), 0, "no more is asked for");
        let change =
            time::timeout(PATIENCE, watch.changes.recv()).await.expect("a change").expect("the watch runs");
        pods += usize::from(matches!(change, Change::Pod(_)));
        watch.cluster.apply(change, Nanos(1));
    }
    watch.until_ready().await;
    assert_eq!(watch.cluster.objects(Resource::Pods).entries, 300);
}

#[tokio::test]
async fn it_ends_with_its_receiver() {
    for is_up in [true, false] {
        let mut server = small_cluster().await;
        if !is_up {
            server.stop().await;
        }
        let mut watch = Watch::of(&server);
        if is_up {
            watch.until_ready().await;
        }
        watch.changes.close();
        while watch.changes.recv().await.is_some() {}
        let ended = time::timeout(PATIENCE, &mut watch.running).await;
        assert!(ended.is_ok_and(|ended| ended.is_ok()), "server up: {is_up}");
    }
}

#[test]
fn a_node_goes_by_the_name_given_or_by_the_hosts() {
    assert_eq!(node_name(Some(" Node-1 ")), "Node-1");
    let host = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    for none in [None, Some(""), Some(" ")] {
        assert_eq!(node_name(none), host);
    }
}
