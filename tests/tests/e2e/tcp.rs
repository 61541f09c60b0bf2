//! Connections: how they begin, what they carry, how they end, told as the kernel tells it.

mod churn;
mod failures;
mod labels;
mod live;
mod loss;
mod orderly;
mod sockets;
mod stall;

use std::any::Any;
use std::thread;

use redtap_tests::agent::Agent;
use redtap_tests::flows::{Side, faults};
use redtap_tests::gate;
use redtap_tests::hosts::{Hosts, VERSIONS, Version};
use redtap_tests::line::Role;
use redtap_tests::metrics::Scrape;
use redtap_tests::wait::{self, PATIENCE};

use sockets::Scene;

/// What is left open when a story is told.
type Left = Box<dyn Any + Send>;

/// A story of the connections to one port, and what both ends are to say of it.
struct Story {
    name: &'static str,
    run: fn(&Scene<'_>) -> Left,
    client: Side,
    server: Side,
}

#[test]
fn connections_end_and_fail_as_told() {
    let Some(turn) = gate::privileged("connections end and fail as told") else { return };
    let hosts = Hosts::new("stories");
    hosts.client.set("ipv4/tcp_syn_retries", "1");
    // Linux 6.5; before, SYNs are as if it were 0.
    const LINEAR: &str = "ipv4/tcp_syn_linear_timeouts";
    if hosts.client.has(LINEAR) {
        hosts.client.set(LINEAR, "0");
    }
    // Who has the address is given up before the SYN is.
    hosts.client.set("ipv4/neigh/wire/retrans_time_ms", "100");
    hosts.client.set("ipv6/neigh/wire/retrans_time_ms", "100");
    failures::routes(&hosts.client);
    let stories: Vec<_> = failures::STORIES.iter().chain(orderly::STORIES).collect();
    let agent = Agent::start_silent(&turn.redtap, &[]);
    let all = stories.iter().flat_map(|story| VERSIONS.map(|version| (*story, version)));
    let all: Vec<_> = all.zip(20_001..).collect();
    // All at once: some wait for seconds.
    let left: Vec<Left> = thread::scope(|scope| {
        let run = |((story, version), port): &((&'static Story, Version), u16)| {
            let (story, scene) = (*story, Scene { hosts: &hosts, version: *version, port: *port });
            scope.spawn(move || (story.run)(&scene))
        };
        let threads: Vec<_> = all.iter().map(run).collect();
        let ends = threads.into_iter().zip(&all).map(|(thread, ((story, version), _))| {
            thread.join().unwrap_or_else(|_| panic!("{} ({version:?}) did not go as told", story.name))
        });
        ends.collect()
    });
    let mut wrong = Vec::new();
    let told = wait::within(PATIENCE, || {
        let scrape = agent.scrape();
        wrong = all.iter().filter_map(|(story, port)| differs(&scrape, *story, *port)).collect();
        wrong.is_empty().then_some(())
    });
    assert!(told.is_some(), "{} of {} stories told otherwise:\n{}", wrong.len(), all.len(), wrong.join("\n"));
    drop(left);
}

fn differs(scrape: &Scrape, (story, version): (&Story, Version), port: u16) -> Option<String> {
    let mut wrong = faults(scrape, port, Role::Client, &story.client);
    wrong.extend(faults(scrape, port, Role::Server, &story.server));
    (!wrong.is_empty()).then(|| format!("{} ({version:?}, port {port}): {}", story.name, wrong.join("; ")))
}
