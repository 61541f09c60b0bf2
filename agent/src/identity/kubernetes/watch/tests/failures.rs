use std::{fs, time::Duration};

use tokio::{sync::mpsc::channel, time};

use super::super::{
    testing::{
        Log, PATIENCE, QUICK, Watch, at,
        objects::{job, node, pod, service, slice},
        server::{PAGE, Server},
        small_cluster, write_kubeconfig,
    },
    *,
};
use crate::identity::kubernetes::{Cluster, Failure, OwnerKind, ResourceStatus};

#[tokio::test]
async fn what_vanished_while_versions_expired_is_gone() {
    let server = small_cluster().await;
    server.put("pods", pod("db-0", "10.0.0.2", ""));
    let mut watch = Watch::of(&server);
    watch.until_ready().await;
    server.expire();
    server.delete("pods", "web-5f8-a", None);
    server.delete("endpointslices", "api-x", None);
    server.expire();
    watch
        .until("what is gone is gone", |cluster, status| {
            at(cluster, "10.0.0.1", 1) == "nobody"
                && at(cluster, "10.0.1.1", 8080) == "nobody"
                && status.iter().any(|status| status.failures.contains(&(Failure::Expired, 1)))
        })
        .await;
    watch.until("the rest is not", |cluster, _| at(cluster, "10.0.0.2", 1) == "-/db-0/n1").await;
    assert!(server.asked("list pods") > 1);
}

#[tokio::test]
async fn a_broken_connection_costs_a_request_and_no_list() {
    let server = small_cluster().await;
    let mut watch = Watch::of(&server);
    watch.until_ready().await;
    for round in 1..=3_u8 {
        server.bookmark("pods");
        server.cut();
        let ip = format!("10.0.9.{round}");
        server.put("pods", pod("db-0", &ip, ""));
        watch.until("the change after it", |cluster, _| at(cluster, &ip, 1) == "-/db-0/n1").await;
    }
    assert_eq!(server.asked("list pods"), 1);
    assert!(server.asked("watch pods") <= 8, "{}", server.asked("watch pods"));
}

#[tokio::test]
async fn a_server_that_is_away_is_lost_once_and_back_once() {
    let (log, mut server) = (Log::listen(), small_cluster().await);
    server.stop().await;
    let mut watch = Watch::of(&server);
    let is_away = |status: &[ResourceStatus]| status.iter().filter(|status| status.away).count() == 4;
    watch.until("away at the start", |_, status| is_away(status)).await;
    server.start_again().await;
    watch.until_ready().await;
    watch.until("back", |_, status| status.iter().all(|status| !status.away)).await;
    server.stop().await;
    watch.until("away again", |_, status| is_away(status) && status[0].requests > 20).await;
    assert_eq!(at(&watch.cluster, "10.0.0.1", 1), "-/web-5f8-a/n1", "what is known stays");
    assert!(watch.of_resource(Resource::Pods).synced);
    server.put("pods", pod("db-0", "10.0.0.2", ""));
    server.start_again().await;
    watch.until("a change", |cluster, _| at(cluster, "10.0.0.2", 1) == "-/db-0/n1").await;
    watch.until("back", |_, status| status.iter().all(|status| !status.away)).await;
    assert_eq!(server.asked("list pods"), 1, "nothing has to be listed again");
    let told = log.told();
    let count = |what: &str| told.iter().filter(|line| line.contains(what)).count();
    assert_eq!((count("does not answer"), count("is back"), told.len()), (2, 2, 4), "{told:#?}");
}

#[tokio::test]
async fn what_is_forbidden_is_said_once_and_lost_alone() {
    for (verb, resource, of) in [
        ("list", "pods", Resource::Pods),
        ("watch", "pods", Resource::Pods),
        ("list", "services", Resource::Services),
        ("watch", "services", Resource::Services),
        ("list", "endpointslices", Resource::EndpointSlices),
        ("watch", "endpointslices", Resource::EndpointSlices),
        ("list", "nodes", Resource::Nodes),
        ("watch", "nodes", Resource::Nodes),
    ] {
        let (log, server) = (Log::listen(), small_cluster().await);
        server.answer(verb, resource, 403);
        let mut watch = Watch::of(&server);
        watch.until("forbidden", |_, status| status.iter().any(|status| status.forbidden)).await;
        watch.until_ready().await;
        let asked = server.asked(&format!("{verb} {resource}"));
        watch.until("tried again", |_, _| server.asked(&format!("{verb} {resource}")) > asked + 1).await;
        let is_lost = |cluster: &Cluster| cluster.objects(of).entries == 0 || of == Resource::Pods;
        watch
            .until("lost", |cluster, status| {
                !cluster.is_listed(of)
                    && is_lost(cluster)
                    && !status.iter().any(|status| status.resource == of && status.synced)
            })
            .await;
        let known = [
            (Resource::Pods, "10.0.0.1", 1),
            (Resource::Services, "10.96.0.1", 80),
            (Resource::EndpointSlices, "10.0.1.1", 8080),
            (Resource::Nodes, "192.168.0.1", 22),
        ];
        for (other, ip, port) in known {
            assert_eq!(at(&watch.cluster, ip, port) == "nobody", other == of, "{verb} {resource}: {ip}");
        }
        server.behave();
        watch
            .until("allowed", |cluster, status| {
                cluster.is_listed(of) && status.iter().all(|status| !status.forbidden || verb == "watch")
            })
            .await;
        server.put("pods", pod("web-5f8-a", "10.0.0.1", ""));
        server.put("services", service("web", "10.96.0.1"));
        server.put("endpointslices", slice("api", "api-0", "10.0.1.1"));
        server.put("nodes", node("n1", "192.168.0.1"));
        watch
            .until("all is well", |cluster, status| {
                known.iter().all(|(_, ip, port)| at(cluster, ip, *port) != "nobody")
                    && status.iter().all(|status| !status.forbidden)
            })
            .await;
        let told = log.told();
        let line = format!("verb=\"{verb}\" resource=\"{resource}\"");
        assert!(told.len() == 2 && told.iter().all(|told| told.contains(&line)), "{told:#?}");
        assert!(told[0].contains("forbids it") && told[1].contains("allows it again"), "{told:#?}");
    }
}

#[tokio::test]
async fn without_the_right_to_jobs_they_go_by_themselves() {
    let (log, server) = (Log::listen(), Server::start().await);
    server.answer("get", "jobs", 403);
    server.put("jobs", job("nightly-1", "nightly"));
    server.put("pods", pod("a", "10.0.0.1", "batch/v1 Job nightly-1"));
    let mut watch = Watch::of(&server);
    watch.until_ready().await;
    let owner = |cluster: &Cluster| cluster.pod("a").and_then(|pod| pod.owner.clone()).map(|owner| owner.kind);
    assert_eq!(owner(&watch.cluster), Some(OwnerKind::Job));
    assert!(watch.of_resource(Resource::Jobs).forbidden);
    server.behave();
    let mut round = 0_u8;
    while owner(&watch.cluster) != Some(OwnerKind::CronJob) {
        round += 1;
        let ip = format!("10.0.9.{round}");
        server.put("pods", pod("a", &ip, "batch/v1 Job nightly-1"));
        watch.until("told again", |cluster, _| at(cluster, &ip, 1) == "-/a/n1").await;
    }
    let told = log.told();
    assert!(told.len() == 2 && told[0].contains("verb=\"get\" resource=\"jobs\""), "{told:#?}");
}

#[tokio::test]
async fn an_answer_that_is_none_is_counted_and_not_quoted() {
    let (log, server) = (Log::listen(), small_cluster().await);
    assert!(PAGE.contains("hush"));
    for (resource, status) in [("services", 200), ("nodes", 500), ("endpointslices", 404)] {
        server.answer("list", resource, status);
    }
    let mut watch = Watch::of(&server);
    watch
        .until("failures", |_, status| {
            let has = |resource: Resource, failure| {
                let of = status.iter().find(|status| status.resource == resource).expect("it is one");
                of.failures.iter().any(|(kind, count)| *kind == failure && *count > 2)
            };
            has(Resource::Services, Failure::Decode)
                && has(Resource::Nodes, Failure::Refused)
                && has(Resource::EndpointSlices, Failure::Refused)
        })
        .await;
    server.behave();
    watch.until_ready().await;
    assert_eq!(at(&watch.cluster, "10.96.0.1", 80), "web/-/-");
    let told = log.told();
    assert!(told.len() == 3 && told.iter().all(|line| line.contains("verb=\"list\"")), "{told:#?}");
}

#[tokio::test]
async fn credentials_that_expire_are_read_anew() {
    let (log, server) = (Log::listen(), small_cluster().await);
    server.demand("first");
    let mut watch = Watch::of(&server);
    watch.until_ready().await;
    server.demand("second");
    server.cut();
    watch
        .until("refused", |_, status| {
            status[0].failures.iter().any(|(failure, count)| *failure == Failure::Unauthorized && *count > 4)
        })
        .await;
    write_kubeconfig(&watch.kubeconfig, &server, "second");
    server.put("pods", pod("db-0", "10.0.0.2", ""));
    watch.until("a change", |cluster, _| at(cluster, "10.0.0.2", 1) == "-/db-0/n1").await;
    let told = log.told();
    assert!(
        told.len() <= 4 && told.iter().all(|line| line.contains("does not accept the credentials")),
        "{told:#?}"
    );
}

#[tokio::test]
async fn a_kubeconfig_may_come_late() {
    let (log, server) = (Log::listen(), small_cluster().await);
    let mut watch = Watch::of(&server);
    fs::remove_file(&watch.kubeconfig).expect("there is one");
    watch.running.abort();
    let (sender, changes) = channel(10);
    let options = Options { node: "n1".into(), pace: QUICK, ..Options::default() };
    let access = Access::Kubeconfig(vec![watch.kubeconfig.clone()]);
    watch.changes = changes;
    watch.running = tokio::spawn(run(access, options, sender, Arc::clone(&watch.status)));
    time::timeout(PATIENCE, async {
        while log.told().is_empty() {
            time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("it is said that there is none");
    write_kubeconfig(&watch.kubeconfig, &server, "");
    watch.until_ready().await;
    let told = log.told();
    assert!(told.len() == 1 && told[0].contains("cannot be asked"), "{told:#?}");
}

#[tokio::test]
async fn a_server_that_ends_every_watch_at_once_is_not_run_down() {
    let server = small_cluster().await;
    server.hurry();
    let pace = Pace { between_watches: Duration::from_millis(50), ..QUICK };
    let began = time::Instant::now();
    let mut watch = Watch::with(&server, Peers::Off, 100, pace);
    watch.until("many watches", |_, _| server.asked("watch pods") >= 10).await;
    assert!(began.elapsed() >= Duration::from_millis(9 * 50));
    assert_eq!(server.asked("list pods"), 1);
}
