//! Much of it in one answer.

use std::fs::File;
use std::process::Command;

use redtap_tests::agent::Agent;
use redtap_tests::gate::{self, tool};
use redtap_tests::ledger::{Entry, Expect};
use redtap_tests::line::ROLES;
use redtap_tests::process::{Place, output};
use redtap_tests::servers::nginx;

#[test]
fn a_gibibyte_by_sendfile_is_one_exchange() {
    let Some(turn) = gate::privileged("a gibibyte by sendfile") else { return };
    const GIBIBYTE: u64 = 1 << 30;
    let server = nginx(&Place::Host);
    let file = File::create(server.directory.path().join("gibibyte")).expect("a file to serve");
    file.set_len(GIBIBYTE).expect("a sparse file");
    let agent = Agent::start(&turn.redtap, &[]);
    let mut curl = Command::new(tool("curl"));
    curl.args(["-sS", "-o", "/dev/null", "-w", "%{size_download}"]).arg(format!("{}/gibibyte", server.base()));
    // The connection goes on: what follows a gibibyte is found.
    curl.args(["--next", "-sS", "-o", "/dev/null", "-w", ",%{size_download}"])
        .arg(format!("{}/small", server.base()));
    assert_eq!(output(&mut curl), format!("{GIBIBYTE},612"));
    let sized = |target: &str, size| {
        ROLES.map(|role| Entry {
            request_body: Expect::Is(0),
            response_body: Expect::Is(size),
            ..Entry::answered(role, server.port(), "GET", target, 200)
        })
    };
    let expected = [sized("/gibibyte", GIBIBYTE), sized("/small", 612)].concat();
    agent.assert_ledger("a gibibyte", &server.ports, &expected);
    let _ = agent.scrape();
}
