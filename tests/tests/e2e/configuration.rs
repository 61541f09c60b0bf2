//! Mistakes in the configuration are told with the key, the value and the nearest valid one.

use redtap_tests::agent::Agent;
use redtap_tests::gate;
use redtap_tests::process::scratch;
use redtap_tests::redtap::{Refusal, command};

/// A mistake, and what its message has to contain.
struct Mistake {
    flags: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    file: &'static str,
    told: &'static [&'static str],
}

const MISTAKE: Mistake = Mistake { flags: &[], environment: &[], file: "", told: &[] };

const MISTAKES: [Mistake; 12] = [
    Mistake { flags: &["--captur-length", "4096"], told: &["--captur-length", "--capture-length"], ..MISTAKE },
    Mistake { flags: &["--capture-length", "many"], told: &["--capture-length", "many"], ..MISTAKE },
    Mistake { flags: &["--capture-length", "1MiB"], told: &["--capture-length", "1MiB", "64KiB"], ..MISTAKE },
    Mistake { flags: &["--ring-size", "5000"], told: &["--ring-size", "5000", "power of two"], ..MISTAKE },
    Mistake { flags: &["--print", "jsn"], told: &["--print", "jsn", "json"], ..MISTAKE },
    Mistake { flags: &["--request-timeout", "5x"], told: &["--request-timeout", "5x"], ..MISTAKE },
    Mistake { flags: &["--listen", "nowhere"], told: &["--listen", "nowhere"], ..MISTAKE },
    Mistake {
        environment: &[("REDTAP_LISTE", "127.0.0.1:1")],
        told: &["REDTAP_LISTE", "REDTAP_LISTEN"],
        ..MISTAKE
    },
    Mistake { environment: &[("REDTAP_CAPTURE_LENGTH", "x")], told: &["REDTAP_CAPTURE_LENGTH", "x"], ..MISTAKE },
    Mistake { file: "capture_lenght: 4096\n", told: &["capture_lenght", "capture_length"], ..MISTAKE },
    Mistake { file: "print: jsn\n", told: &["print", "jsn", "json"], ..MISTAKE },
    Mistake { file: "capture_length: [1]\n", told: &["capture_length"], ..MISTAKE },
];

#[test]
fn mistakes_are_told_with_the_nearest_valid_word() {
    let Some(turn) = gate::privileged("mistakes in the configuration") else { return };
    let directory = scratch();
    let mut failures = String::new();
    for Mistake { flags, environment, file, told } in MISTAKES {
        let mut run = command(&turn.redtap);
        run.arg("run").args(flags).envs(environment.iter().copied());
        if !file.is_empty() {
            let path = directory.path().join("redtap.yaml");
            std::fs::write(&path, file).expect("a configuration file");
            run.arg("--config").arg(path);
        }
        let refusal = Refusal::of(&mut run);
        let silent: Vec<_> = told.iter().filter(|word| !refusal.errors.contains(**word)).collect();
        if !refusal.is_orderly() || !silent.is_empty() {
            failures += &format!("{flags:?} {environment:?} {file:?}: without {silent:?}: {refusal:?}\n");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn a_flag_is_stronger_than_the_environment_and_that_than_the_file() {
    let Some(turn) = gate::privileged("strength of configuration") else { return };
    let directory = scratch();
    let file = |content: &str| {
        let path = directory.path().join("redtap.yaml");
        std::fs::write(&path, content).expect("a configuration file");
        path.display().to_string()
    };
    // Only JSON lines can be told from one another: each stronger source repairs what the weaker one says.
    let (json, pretty) = (file("print: json\n"), [("REDTAP_PRINT", "pretty")]);
    Agent::launch(&turn.redtap, &["--config", &json], &[]).fence();
    Agent::launch(&turn.redtap, &["--print", "json"], &pretty).fence();
    let pretty = file("print: pretty\n");
    let environment = [("REDTAP_PRINT", "json"), ("REDTAP_CONFIG", pretty.as_str())];
    Agent::launch(&turn.redtap, &[], &environment).fence();
}
