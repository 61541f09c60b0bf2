//! What a machine told.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::stories::{STORIES, Story};

/// What became of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// It runs; the instructions that the verifier went through for it, where the kernel tells.
    Attached(Option<u64>),
    /// It was refused: what is lost, and why.
    Refused(String),
}

/// What became of a test: whether it passed, and its seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Test {
    /// It passed.
    pub passed: bool,
    /// Seconds of the guest's clock.
    pub seconds: f64,
}

/// What was found on a kernel.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Its version.
    pub version: String,
    /// Its first two numbers.
    pub line: String,
    /// Programs by name; one that is not needed there is missing.
    pub programs: BTreeMap<String, Program>,
    /// Tests by name.
    pub tests: BTreeMap<String, Test>,
}

impl Outcome {
    /// Reads the lines of a machine.
    ///
    /// # Errors
    /// When the agent's report is not among them.
    pub fn read(version: &str, line: &str, told: &[String]) -> Result<Self> {
        let report: String = told.iter().filter_map(|line| line.strip_prefix("show check ")).collect();
        let report: Value =
            serde_json::from_str(&report).with_context(|| format!("redtap check on {version}: {report}"))?;
        let features = report["features"].as_array().context("no features in the agent's report")?;
        let programs = features.iter().filter_map(|feature| {
            let state = if feature["ok"] == true {
                Program::Attached(feature["verified_instructions"].as_u64())
            } else {
                let text = |key: &str| feature[key].as_str().unwrap_or_default().to_owned();
                Program::Refused(format!("{}; {}", text("lost"), text("reason")))
            };
            Some((feature["name"].as_str()?.to_owned(), state))
        });
        let programs = programs.collect();
        let tests = told.iter().filter_map(|line| test(line.strip_prefix("end ")?)).collect();
        Ok(Self { version: version.to_owned(), line: line.to_owned(), programs, tests })
    }

    /// Whether a story was told well; `None` if it was not told.
    pub fn story(&self, story: &Story) -> Option<bool> {
        let tests: Vec<_> = story.tests.iter().filter_map(|test| self.tests.get(*test)).collect();
        (!tests.is_empty()).then(|| tests.iter().all(|test| test.passed))
    }

    /// What is wrong.
    pub fn failures(&self) -> Vec<String> {
        let tests = STORIES.iter().flat_map(|story| story.tests);
        let failed = tests.filter(|test| self.tests.get(**test).is_some_and(|test| !test.passed));
        let failed = failed.map(|test| format!("linux {}: {test} failed", self.version));
        let nothing = self.programs.get("object").map(|state| format!("linux {}: {state:?}", self.version));
        failed.chain(nothing).collect()
    }
}

/// `NAME STATUS BEGIN END`, times in seconds since boot.
fn test(line: &str) -> Option<(String, Test)> {
    let words: Vec<&str> = line.split(' ').collect();
    let [name, status, begin, end] = words.as_slice() else { return None };
    let seconds = end.parse::<f64>().ok()? - begin.parse::<f64>().ok()?;
    Some(((*name).to_owned(), Test { passed: *status == "0", seconds }))
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Program, Test};

    #[test]
    fn what_a_machine_tells_is_read() {
        let told = [
            "show uname 6.1.0",
            "show check {\"ok\": false, \"features\": [",
            "show check {\"name\": \"ingress\", \"ok\": true, \"verified_instructions\": 7},",
            "show check {\"name\": \"egress\", \"ok\": true},",
            "show check {\"name\": \"sock_ops\", \"ok\": false, \"lost\": \"ends\", \"reason\": \"load\"}]}",
            "begin raw::as_told",
            "end raw::as_told 0 1.50 3.00",
            "end raw::ipv6 137 3.00 4.00",
            "over",
        ]
        .map(str::to_owned);
        let outcome = Outcome::read("6.1.0-9", "6.1", &told).unwrap();
        assert_eq!(outcome.programs["ingress"], Program::Attached(Some(7)));
        assert_eq!(outcome.programs["egress"], Program::Attached(None));
        assert_eq!(outcome.programs["sock_ops"], Program::Refused("ends; load".to_owned()));
        assert_eq!(outcome.tests["raw::as_told"], Test { passed: true, seconds: 1.5 });
        assert_eq!(outcome.failures(), ["linux 6.1.0-9: raw::ipv6 failed"]);
        assert!(Outcome::read("6.1.0-9", "6.1", &[]).is_err());
    }
}
