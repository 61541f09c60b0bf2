//! An API server that is not there, or does not answer.

use anyhow::{Context as _, Result, ensure};
use redtap_tests::cluster::workload::Identity;
use redtap_tests::cluster::{Component, PATIENCE};
use redtap_tests::metrics::Scrape;
use redtap_tests::wait;

use crate::manifest::{PORT, server, set, spec};
use crate::story::{Demand, Story};
use crate::workloads::one_server;
use crate::world::World;

/// It dies, and is started again two minutes later. What was there before stays known; what comes after, becomes known.
pub fn away(world: &World) -> Result<()> {
    let mut story = Story::begin(world, "away")?;
    let namespace = story.namespace.clone();
    let (client, address) = one_server(&story)?;
    let cluster = story.cluster();
    cluster.while_gone(Component::ApiServer, || {
        // The time passes by this: five a second.
        let ledger = story.load(&client, &address, 600, Some(5))?;
        ensure!(ledger.answered() == 600, "{ledger:?}");
        story.settle(Demand::All)
    })?;
    cluster.wait_for_api()?;
    let identity = Identity::of_pod(&namespace, "main").owned("k8s_deployment_name", "newcomer");
    story.apply(&[set(
        "Deployment",
        &namespace,
        "newcomer",
        Some(1),
        spec(&[server("main", &identity, PORT)]),
    )])?;
    let address = story.service("newcomer")?;
    story.rolled_out("deployment/newcomer")?;
    story.reachable(&client, &address, 1)?;
    story.recovers(&client, &address)?;
    story.load(&client, &address, 100, None)?;
    story.end(Demand::All)
}

/// It takes connections and says nothing while the agent starts. The agent tells what it sees, and whose it was once it
/// can know.
pub fn hanging_at_start(world: &World) -> Result<()> {
    let mut story = Story::begin(world, "hanging")?;
    let (client, address) = one_server(&story)?;
    let (cluster, agent) = (story.cluster(), &world.agent);
    let container = agent.container(cluster)?;
    let began = |page: &Scrape| page.sum("process_start_time_seconds", &[]);
    let before = began(&agent.scrape(cluster)?);
    cluster.while_frozen(Component::ApiServer, || {
        cluster.kill_container(&container)?;
        let is_new = || agent.scrape(cluster).is_ok_and(|page| began(&page) > before).then_some(());
        wait::within(PATIENCE, is_new).context("the agent was not started again")?;
        story.load(&client, &address, 100, Some(50))?;
        story.settle(Demand::NothingWrong)
    })?;
    cluster.wait_for_api()?;
    story.recovers(&client, &address)?;
    story.load(&client, &address, 100, None)?;
    story.end(Demand::All)
}
