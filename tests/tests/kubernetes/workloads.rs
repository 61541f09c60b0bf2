//! Every kind of owner that a pod may have, and names that people gave.

use anyhow::{Result, ensure};
use redtap_tests::cluster::workload::{Identity, Ledger};
use serde_json::{Value, json};

use crate::manifest::{PORT, container, job, job_spec, knowing, pod, server, service, set, spec};
use crate::story::{Demand, Story};
use crate::world::World;

/// How many requests a client makes, where it does not matter.
pub const REQUESTS: u32 = 200;

/// Two pods of a Deployment behind a Service, called by a Deployment.
pub fn deployment(world: &World) -> Result<()> {
    let mut story = Story::begin(world, "deployment")?;
    let namespace = story.namespace.clone();
    let identity = |name: &str| Identity::of_pod(&namespace, "main").owned("k8s_deployment_name", name);
    let address = story.service("server")?;
    let caller = knowing(spec(&[container("main", &identity("caller"), &["wait"])]), "server", &address);
    story.apply(&[
        set("Deployment", &namespace, "server", Some(2), spec(&[server("main", &identity("server"), PORT)])),
        set("Deployment", &namespace, "caller", Some(1), caller),
    ])?;
    story.rolled_out("deployment/server")?;
    story.rolled_out("deployment/caller")?;
    let client = story.container(&story.pod_of("caller")?, "main")?;
    story.reachable(&client, "server", 2)?;
    let ledger = story.load(&client, "server", REQUESTS, None)?;
    ensure!(ledger.answered() == u64::from(REQUESTS) && ledger.answers.len() == 2, "{ledger:?}");
    story.end(Demand::All)
}

/// Two pods of a StatefulSet, each with a name that stays.
pub fn stateful_set(world: &World) -> Result<()> {
    of_set(world, "StatefulSet", "k8s_statefulset_name", Some(2))
}

/// The pod of a DaemonSet.
pub fn daemon_set(world: &World) -> Result<()> {
    of_set(world, "DaemonSet", "k8s_daemonset_name", None)
}

fn of_set(world: &World, kind: &str, label: &'static str, replicas: Option<u32>) -> Result<()> {
    let kind_in_names = kind.to_ascii_lowercase();
    let mut story = Story::begin(world, &kind_in_names)?;
    let namespace = story.namespace.clone();
    let identity = Identity::of_pod(&namespace, "main").owned(label, "server");
    let mut set = set(kind, &namespace, "server", replicas, spec(&[server("main", &identity, PORT)]));
    if kind == "StatefulSet" {
        set["spec"]["serviceName"] = json!("server");
    }
    story.apply(&[set])?;
    let address = story.service("server")?;
    story.rolled_out(&format!("{kind_in_names}/server"))?;
    let client = story.client()?;
    let servers = replicas.map_or(1, |replicas| replicas as usize);
    story.reachable(&client, &address, servers)?;
    let ledger = story.load(&client, &address, REQUESTS, None)?;
    ensure!(ledger.answered() == u64::from(REQUESTS) && ledger.answers.len() == servers, "{ledger:?}");
    story.end(Demand::All)
}

/// A Deployment `server` of one pod behind a Service, whose address is given, and a client that reaches it.
pub fn one_server(story: &Story<'_>) -> Result<(String, String)> {
    let namespace = &story.namespace;
    let identity = Identity::of_pod(namespace, "main").owned("k8s_deployment_name", "server");
    story.apply(&[set("Deployment", namespace, "server", Some(1), spec(&[server("main", &identity, PORT)]))])?;
    let address = story.service("server")?;
    story.rolled_out("deployment/server")?;
    let client = story.client()?;
    story.reachable(&client, &address, 1)?;
    Ok((client, address))
}

/// A Job that asks for two seconds, and is gone.
pub fn job_of_two_seconds(world: &World) -> Result<()> {
    let mut story = Story::begin(world, "job")?;
    let (_, address) = one_server(&story)?;
    let identity = Identity::of_pod(&story.namespace, "main").owned("k8s_job_name", "asker");
    let asker = container("main", &identity, &["load", &story.url(&address), "40", "20"]);
    story.apply(&[job(&story.namespace, "asker", spec(&[asker]))])?;
    story.wait_for("job/asker", "condition=Complete")?;
    story.ledgers = Ledger::read(&story.ask(&["logs", "job/asker"])?)?;
    story.end(Demand::All)
}

/// A Job made from a CronJob: its pods are the CronJob's, once removed.
pub fn cron_job(world: &World) -> Result<()> {
    let mut story = Story::begin(world, "cronjob")?;
    let (_, address) = one_server(&story)?;
    ask_by_cron_job(&mut story, &address, "nightly-now")?;
    story.end(Demand::All)
}

/// Has a Job called `name` ask, of a CronJob that is never due.
pub fn ask_by_cron_job(story: &mut Story<'_>, address: &str, name: &str) -> Result<()> {
    let identity = Identity::of_pod(&story.namespace, "main").owned("k8s_cronjob_name", "nightly");
    let asker = container("main", &identity, &["load", &story.url(address), "40", "20"]);
    story.apply(&[json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly", "namespace": story.namespace},
        "spec": {"schedule": "0 0 30 2 *", "jobTemplate": {"spec": job_spec(spec(&[asker]))}},
    })])?;
    let job = format!("job/{name}");
    story.ask(&["create", "job", name, "--from=cronjob/nightly"])?;
    story.wait_for(&job, "condition=Complete")?;
    let written = story.ask(&["logs", &job])?;
    story.ledgers.extend(Ledger::read(&written)?);
    Ok(())
}

/// Services that are called what somebody said: a variable before an annotation, an annotation before the owner.
pub fn named_by_hand(world: &World) -> Result<()> {
    let mut story = Story::begin(world, "named")?;
    let namespace = story.namespace.clone();
    let identity = |name: &str| Identity::of_pod(&namespace, "main").with("service_name", name);
    let mut by_variable = server("main", &identity("by-variable"), PORT);
    if let Some(variables) = by_variable["env"].as_array_mut() {
        variables.push(json!({"name": "OTEL_SERVICE_NAME", "value": "by-variable"}));
    }
    let by_annotation = server("main", &identity("by-annotation"), PORT);
    let mut things =
        [pod(&namespace, "first", spec(&[by_variable])), pod(&namespace, "second", spec(&[by_annotation]))];
    for thing in &mut things {
        thing["metadata"]["annotations"] = json!({"resource.opentelemetry.io/service.name": "by-annotation"});
    }
    story.apply(&things)?;
    let client = story.client()?;
    for name in ["first", "second"] {
        story.apply(&[service(&namespace, name, Value::Null)])?;
        let address = story.service(name)?;
        story.reachable(&client, &address, 1)?;
        story.load(&client, &address, 40, None)?;
    }
    story.end(Demand::All)
}
