//! What the agent is allowed to ask, taken from it verb by verb.

use anyhow::{Context as _, Result};
use redtap_tests::cluster::PATIENCE;
use redtap_tests::wait;
use serde_json::{Value, json};

use crate::agent::LABEL;
use crate::story::{Demand, Story};
use crate::workloads::{ask_by_cron_job, one_server};
use crate::world::World;

/// For each verb of each resource: the agent starts without it, says so, and attributes nothing wrongly.
pub fn each_withheld(world: &World) -> Result<()> {
    let mut story = Story::begin(world, "permissions")?;
    let (client, address) = one_server(&story)?;
    let (cluster, agent) = (story.cluster(), &world.agent);
    let roles = cluster.get(&["clusterroles", "--selector", LABEL])?;
    let role = roles["items"].get(0).context("the agent has no ClusterRole")?;
    let permissions = permissions(&role["rules"]);
    let apply = |permissions: &[Permission]| cluster.apply(&with(role, permissions).to_string());
    let played = permissions.iter().enumerate().try_for_each(|(index, withheld)| {
        let mut others = permissions.clone();
        others.remove(index);
        apply(&others)?;
        agent.restart(cluster)?;
        story.load(&client, &address, 40, None)?;
        ask_by_cron_job(&mut story, &address, &format!("nightly-{index}"))?;
        println!("  without {} {}:", withheld.verb, withheld.resource);
        story.settle(Demand::NothingWrong)?;
        let says =
            |log: &str| log.lines().any(|line| line.contains(&withheld.resource) && line.contains(&withheld.verb));
        let said = wait::within(wait::PATIENCE, || agent.log(cluster).is_ok_and(|log| says(&log)).then_some(()));
        agent.remember_log(cluster);
        said.with_context(|| {
            format!("the log does not say that it may not {} {}", withheld.verb, withheld.resource)
        })
    });
    apply(&permissions)?;
    agent.restart(cluster)?;
    played?;
    wait::within(PATIENCE, || agent.scrape(cluster).is_ok().then_some(())).context("no agent")?;
    story.recovers(&client, &address)?;
    story.load(&client, &address, 100, None)?;
    story.end(Demand::All)
}

/// A verb on a resource.
#[derive(Clone, Debug)]
struct Permission {
    group: String,
    resource: String,
    verb: String,
}

/// All that a role's rules allow, one by one.
fn permissions(rules: &Value) -> Vec<Permission> {
    let texts = |rule: &Value, key: &str| -> Vec<String> {
        let list = rule[key].as_array().cloned().unwrap_or_default();
        list.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let mut all = Vec::new();
    for rule in rules.as_array().into_iter().flatten() {
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                for verb in texts(rule, "verbs") {
                    all.push(Permission { group: group.clone(), resource: resource.clone(), verb });
                }
            }
        }
    }
    all
}

/// The role, allowing this only.
fn with(role: &Value, permissions: &[Permission]) -> Value {
    let rules: Vec<_> = permissions
        .iter()
        .map(|Permission { group, resource, verb }| {
            json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]})
        })
        .collect();
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": role["metadata"]["name"], "labels": role["metadata"]["labels"]},
        "rules": rules,
    })
}
