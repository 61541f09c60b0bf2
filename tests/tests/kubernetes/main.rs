//! Stories in a real Kubernetes, where the agent runs as its own DaemonSet from its own manifest and image.
//!
//! Every client keeps a ledger of who answered it, in the words in which those say who they are. Each exchange of it must
//! be told of at both ends: rightly, or honestly as unknown; never wrongly. Each story answers its requests with a status
//! of its own, by which its exchanges are found in the agent's page whatever they are attributed to.
//!
//! All stories share one cluster. Those that leave alone what others see come a few at once; the others after them, one by
//! one, and last those that leave the agent with less than it had.

mod agent;
mod api;
mod change;
mod containers;
mod manifest;
mod networks;
mod permissions;
mod scale;
mod story;
mod workloads;
mod world;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};
use redtap_tests::gate;

use crate::world::World;

/// Its name, and what it does. It fails with an error or a panic.
type Story = (&'static str, fn(&World) -> anyhow::Result<()>);

/// How many come at once: they mostly wait.
const AT_ONCE: usize = 4;

const TOGETHER: [Story; 14] = [
    ("a_deployment_behind_a_service", workloads::deployment),
    ("a_stateful_set", workloads::stateful_set),
    ("a_daemon_set", workloads::daemon_set),
    ("a_job_of_two_seconds", workloads::job_of_two_seconds),
    ("a_job_of_a_cron_job", workloads::cron_job),
    ("services_named_by_hand", workloads::named_by_hand),
    ("a_headless_service", networks::headless),
    ("a_node_port", networks::node_port),
    ("a_proxy_before_a_service", networks::proxy),
    ("every_way_is_one_edge_of_the_graph", networks::graph),
    ("pods_with_the_network_of_the_node", networks::of_the_node),
    ("two_containers_of_one_pod", containers::two),
    ("init_and_ephemeral_containers", containers::init_and_ephemeral),
    ("a_namespace_that_is_deleted_and_made_again", change::namespace_again),
];

const ALONE: [Story; 8] = [
    ("a_pod_that_answers_once_and_ends", containers::once),
    ("a_rolling_update_under_load", change::rolling_update),
    ("fifty_pods_that_come_and_go", change::churn),
    ("an_address_of_one_pod_after_another", change::address_reuse),
    ("an_api_server_that_is_away_for_two_minutes", api::away),
    ("an_api_server_that_does_not_answer_when_the_agent_starts", api::hanging_at_start),
    ("each_permission_withheld", permissions::each_withheld),
    ("five_hundred_nodes_and_five_thousand_pods", scale::peers),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runs = std::env::var_os("REDTAP_KUBERNETES").is_some_and(|value| value == "1");
    if !runs {
        eprintln!(
            "kubernetes: {} stories left out: cargo xtask test --kubernetes, as root",
            TOGETHER.len() + ALONE.len()
        );
    }
    let turn =
        runs.then(|| gate::privileged("kubernetes").expect("REDTAP_PRIVILEGED=1 beside REDTAP_KUBERNETES=1"));
    // Brought up by the first story that runs, since none may.
    let world = Arc::new(OnceLock::new());
    let trial = |(name, story): Story| {
        let world = Arc::clone(&world);
        let run = move || {
            let world = world.get_or_init(World::new).as_ref().ok_or("no cluster: why, is told above")?;
            story(world).map_err(|error| {
                world.agent.remember_log(&world.cluster);
                Failed::from(format!("{error:#}\n{}", world.agent.last_words()))
            })
        };
        Trial::test(name, run).with_ignored_flag(!runs)
    };
    let run = |stories: &[Story], at_once| {
        let arguments = Arguments { test_threads: Some(at_once), ..arguments.clone() };
        libtest_mimic::run(&arguments, stories.iter().copied().map(trial).collect())
    };
    let failed = [run(&TOGETHER, AT_ONCE), run(&ALONE, 1)].iter().any(libtest_mimic::Conclusion::has_failed);
    let world = Arc::into_inner(world).and_then(OnceLock::into_inner);
    if let Some(Some(world)) = world
        && let Err(error) = world.end()
    {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    drop(turn);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
