//! Where the instructions go that being watched at both ends adds: in the kernel, as it measures its programs, and in the agent,
//! as `redtap replay --bench` measures its stages.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::{Cost, LOADS, rounded};

/// What tells how long a program ran.
const METRIC: &str = "redtap_program_run_seconds_total{";

/// Each request is an exchange at both ends.
const ENDS: f64 = 2.0;

/// What the machine told, by load.
#[derive(Debug, Default)]
pub struct Shares {
    /// Instructions of all programs together.
    ran: BTreeMap<String, f64>,
    /// Instructions of each stage for an exchange, in the order of the pipeline.
    stages: BTreeMap<String, Vec<(String, f64)>>,
}

impl Shares {
    /// Takes a line, if it is about this: `ran LOAD before|after METRIC`, or `shares LOAD` and what a replay said.
    ///
    /// # Errors
    /// When it is, and is not to be understood.
    pub fn take(&mut self, line: &str) -> Result<()> {
        let what = line.splitn(4, ' ').collect::<Vec<_>>();
        match what.as_slice() {
            ["ran", load, when, metric] if metric.starts_with(METRIC) => {
                let seconds: f64 =
                    metric.rsplit(' ').next().unwrap_or_default().parse().context(line.to_owned())?;
                let sign = if *when == "before" { -1.0 } else { 1.0 };
                *self.ran.entry((*load).to_owned()).or_default() += sign * seconds * 1e9;
            }
            ["shares", load, "of", each] => {
                let stages = each.strip_prefix("each: ").context(line.to_owned())?.split(", ").map(|stage| {
                    let (number, name) = stage.split_once(" ns ")?;
                    Some((name.to_owned(), number.parse().ok()?))
                });
                let stages = stages.collect::<Option<_>>().context(line.to_owned())?;
                self.stages.insert((*load).to_owned(), stages);
            }
            _ => {}
        }
        Ok(())
    }

    /// In Markdown, for each load of which all is known; `cost` gives what being watched adds to a request of a load, and what
    /// of it is the agent's, and `asked` the requests during which the programs were measured.
    pub fn table(&self, cost: impl Fn(&str) -> Option<Cost>, asked: impl Fn(&str) -> Option<f64>) -> String {
        let mut names = Vec::new();
        let mut rows: Vec<(String, Vec<f64>)> = Vec::new();
        for (load, name) in LOADS {
            let (Some(cost), Some(asked), Some(stages)) = (cost(load), asked(load), self.stages.get(load)) else {
                continue;
            };
            let programs = self.ran.get(load).copied().unwrap_or_default() / asked;
            let mut column = vec![
                ("kernel: the programs".to_owned(), programs),
                ("kernel: what calls them, and all else".to_owned(), cost.whole - cost.agent - programs),
            ];
            let stages: Vec<_> =
                stages.iter().map(|(stage, each)| (format!("agent: {stage}"), each * ENDS)).collect();
            let pipeline: f64 = stages.iter().map(|(_, instructions)| instructions).sum();
            column.extend(stages);
            column.push(("agent: rings, clock, system calls".to_owned(), cost.agent - pipeline));
            names.push(name);
            for (index, (stage, instructions)) in column.into_iter().enumerate() {
                if rows.len() == index {
                    rows.push((stage, Vec::new()));
                }
                rows[index].1.push(instructions);
            }
        }
        if names.is_empty() {
            return String::new();
        }
        let mut text = format!(
            "| of both ends watched | {} |\n| --- |{}\n",
            names.join(" | "),
            " ---: |".repeat(names.len())
        );
        for (stage, numbers) in rows {
            let cells: Vec<String> = numbers.into_iter().map(rounded).collect();
            text += &format!("| {stage} | {} |\n", cells.join(" | "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Cost, Shares};

    #[test]
    fn what_is_told_becomes_a_table() {
        let mut shares = Shares::default();
        for line in [
            "ran kept before redtap_program_run_seconds_total{program=\"ingress\"} 0.5",
            "ran kept before redtap_program_runs_total{program=\"ingress\"} 7",
            "ran kept after redtap_program_run_seconds_total{program=\"ingress\"} 0.501",
            "ran kept after redtap_program_run_seconds_total{program=\"egress\"} 0.001",
            "shares kept 200 exchanges from 400 records in 0.001 s: 9 exchanges/s",
            "shares kept of each: 100 ns merge, 2000 ns flow and protocol",
            "cost both kept 1",
        ] {
            shares.take(line).unwrap();
        }
        let cost = |load: &str| (load == "kept").then_some(Cost { whole: 15_000.0, agent: 5_000.0 });
        let table = shares.table(cost, |_| Some(1_000.0));
        let expected = "\
            | of both ends watched | a request, connections kept alive |\n\
            | --- | ---: |\n\
            | kernel: the programs | 2,000 |\n\
            | kernel: what calls them, and all else | 8,000 |\n\
            | agent: merge | 200 |\n\
            | agent: flow and protocol | 4,000 |\n\
            | agent: rings, clock, system calls | 800 |\n";
        assert_eq!(table, expected);
        assert_eq!(shares.table(|_| None, |_| None), "");
        assert!(shares.take("shares kept of each: 100 merge").is_err());
    }
}
