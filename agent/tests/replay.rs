//! `redtap replay` over recordings of real traffic (curl and Python against nginx and Python's `http.server`), made by
//! `redtap record`: no privileges, no kernel. What it prints is a snapshot; only what differs from run to run of the
//! recorder (ports, processes, moments) is left out, and the order of the moments is checked.

use std::{path::Path, process::Command};

use serde_json::Value;

/// The agent's binary, without the environment: a `REDTAP_` variable of the build would be a setting to it.
fn redtap() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redtap"));
    command.env_clear();
    command
}

/// What is told of a recording, a line an exchange or stream.
fn replayed(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(name);
    let output = redtap().arg("replay").arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| told(&serde_json::from_str(line).unwrap())).collect()
}

fn told(line: &Value) -> String {
    moments_are_in_order(line);
    let keys = [
        "record",
        "role",
        "outcome",
        "kind",
        "service.name",
        "http.request.method",
        "http.request.method_original",
        "url.path",
        "url.query",
        "network.protocol.version",
        "http.response.status_code",
        "error.type",
        "http.request.body.size",
        "http.response.body.size",
        "stream",
        "client_bytes",
        "server_bytes",
    ];
    let words = keys.iter().filter_map(|key| line.get(key)).map(|value| match value {
        Value::String(word) => word.clone(),
        other => other.to_string(),
    });
    words.collect::<Vec<_>>().join(" ") + "\n"
}

fn moments_are_in_order(line: &Value) {
    for (earlier, later) in [
        ("request_first_byte", "request_last_byte"),
        ("request_first_byte", "picked_up"),
        ("request_first_byte", "response_first_byte"),
        ("response_first_byte", "response_last_byte"),
        ("response_last_byte", "response_acknowledged"),
        ("opened", "closed"),
    ] {
        if let (Some(first), Some(last)) = (line[earlier].as_u64(), line[later].as_u64()) {
            assert!(first <= last, "{earlier} after {later} in {line}");
        }
    }
}

#[test]
fn nginx() {
    insta::assert_snapshot!(replayed("nginx.rec"), @r#"
    exchange client ok curl GET /a 1.1 200 0 12
    exchange server ok nginx GET /a 1.1 200 0 12
    exchange client ok curl GET /b 1.1 200 0 12
    exchange server ok nginx GET /b 1.1 200 0 12
    exchange client ok curl HEAD /head 1.1 200 0 0
    exchange server ok nginx HEAD /head 1.1 200 0 0
    exchange client ok curl DELETE /x sig=REDACTED&y=1 1.1 200 0 12
    exchange server ok nginx DELETE /x sig=REDACTED&y=1 1.1 200 0 12
    exchange client ok curl GET /big/f 1.1 206 0 100000
    exchange server ok nginx GET /big/f 1.1 206 0 100000
    exchange client error curl GET /big/none 1.1 404 404 0 153
    exchange server ok nginx GET /big/none 1.1 404 0 153
    exchange client ok python3.11 GET /1 1.1 200 0 12
    exchange server ok nginx GET /1 1.1 200 0 12
    exchange client ok python3.11 GET /2 1.1 200 0 12
    exchange server ok nginx GET /2 1.1 200 0 12
    exchange client ok python3.11 _OTHER PURGE /3 1.0 200 0 12
    exchange server ok nginx _OTHER PURGE /3 1.0 200 0 12
    "#);
}

#[test]
fn python() {
    insta::assert_snapshot!(replayed("python.rec"), @r#"
    exchange client ok curl GET /chunked 1.1 200 0 30
    exchange server ok python3.11 GET /chunked 1.1 200 0 30
    exchange client error curl GET /fail 1.1 500 500 0 3
    exchange server error python3.11 GET /fail 1.1 500 500 0 3
    exchange client ok curl PUT /put 1.1 204 200000 0
    exchange server ok python3.11 PUT /put 1.1 204 200000 0
    exchange client reset curl GET /close 1.1 connection_closed 0
    exchange server reset python3.11 GET /close 1.1 connection_closed 0
    exchange client ok python3.11 GET /ws 1.1 101 0 websocket
    exchange server ok python3.11 GET /ws 1.1 101 0 websocket
    stream server websocket python3.11 4 7
    stream client websocket python3.11 4 7
    "#);
}

#[test]
fn nothing_recorded_is_logged_at_any_level() {
    for name in ["nginx.rec", "python.rec"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(name);
        let output = redtap().args(["replay", "--log", "trace"]).arg(&file).output().unwrap();
        assert!(output.status.success());
        let log = String::from_utf8(output.stderr).unwrap();
        let mut looked_for = 0;
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let texts = ["url.path", "url.query"].into_iter().filter_map(|key| line[key].as_str());
            // Shorter ones are part of other words.
            for text in texts.filter(|text| text.len() > 4) {
                looked_for += 1;
                assert!(!log.contains(text), "{text} is in the log: {log}");
            }
        }
        assert!(looked_for > 0, "{name} has nothing to look for");
    }
}

#[test]
fn what_is_no_recording_is_said() {
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let output = redtap().args(["replay", other]).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("not a recording"), "{said}");
}
