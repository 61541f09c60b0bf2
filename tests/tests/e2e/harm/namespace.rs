//! A network namespace that vanishes with connections in it.

use std::collections::BTreeMap;

use redtap_tests::agent::{Agent, ROOMY};
use redtap_tests::caller::Caller;
use redtap_tests::flows::OTHERS;
use redtap_tests::gate;
use redtap_tests::kernel::map_entries;
use redtap_tests::metrics::Scrape;
use redtap_tests::namespace::Namespace;
use redtap_tests::process::Place;
use redtap_tests::remains::Remains;
use redtap_tests::servers::{Server, nginx};
use redtap_tests::wait::{self, PATIENCE};

use super::assert_counted;
use super::load::Load;

/// Connections that are open as the namespace vanishes.
const CONNECTIONS: u64 = 200;

/// The agent's tables of what there is of connections now; the others keep names and series for a while.
const TABLES: [&str; 5] = ["flows", "hints", "waiting", "lookups", "handshakes"];

/// The kernel's.
const MAPS: [&str; 2] = ["LIVE", "HINTS"];

#[test]
fn a_namespace_that_vanishes_leaves_its_counts_and_nothing_in_the_tables() {
    let Some(turn) = gate::privileged("a namespace that vanishes") else { return };
    let outside = nginx(&Place::Host);
    let before = Remains::now();
    let agent = Agent::start_silent(&turn.redtap, &ROOMY);
    let (tables_before, maps_before) = (tables(&agent.scrape()), MAPS.map(map_entries));
    let namespace = Namespace::new("vanishing");
    // What nobody holds any more is given up soon, though its end reaches nobody.
    namespace.run(&["sh", "-c", "echo 1 >/proc/sys/net/ipv4/tcp_orphan_retries"]);
    let inside = nginx(&namespace.place());
    let load = Load::start(outside.address());
    let callers = callers(&namespace, &inside);
    let followed = tables(&agent.scrape())["flows"];
    assert!(followed >= tables_before["flows"] + 2 * CONNECTIONS, "{followed} connections followed");
    // Its loopback first, so that no end of a connection arrives; then its name, and all that is in it.
    namespace.run(&["ip", "link", "set", "lo", "down"]);
    drop(namespace);
    drop(callers);
    drop(inside);
    load.goes_on();
    let told = load.stop("a namespace that vanishes");
    let scrape = assert_counted(&agent, told.answers + CONNECTIONS);
    assert!(scrape.dropped().is_empty(), "{:?}", scrape.dropped());
    let mut now = (tables(&scrape), maps_before);
    let back = wait::within(PATIENCE, || {
        now = (tables(&agent.scrape()), MAPS.map(map_entries));
        let own = TABLES.iter().all(|table| now.0[*table] <= tables_before[*table] + OTHERS);
        let kernels = now.1.iter().zip(maps_before).all(|(now, before)| *now <= before + OTHERS);
        (own && kernels).then_some(())
    });
    println!("{tables_before:?} and {maps_before:?} before, {now:?} after");
    assert!(back.is_some(), "{tables_before:?} and {maps_before:?} before, {now:?} after");
    let end = agent.stop();
    assert!(end.status.success(), "{end:?}");
    before.assert_no_more();
}

/// Connections within a namespace, each with one exchange behind it.
fn callers(namespace: &Namespace, server: &Server) -> Vec<Caller> {
    namespace.enter(|| {
        let caller = |_| {
            let mut caller = Caller::connect(server.address());
            assert_eq!(caller.get("/small", &[]), 200);
            caller
        };
        (0..CONNECTIONS).map(caller).collect()
    })
}

/// Entries of each of the agent's tables.
fn tables(scrape: &Scrape) -> BTreeMap<String, u64> {
    let names = scrape.find("redtap_table_entries", &[]).filter_map(|(labels, _)| labels.get("table"));
    names.map(|name| (name.clone(), scrape.count("redtap_table_entries", &[("table", name)]))).collect()
}
