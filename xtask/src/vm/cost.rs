//! `vm --cost`: what being watched costs, in instructions of client, server, kernel and agent together. The machine's clock
//! counts them, so what else the host does changes nothing.

mod shares;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use self::shares::Shares;
use super::guest::Guest;
use super::kernels::Kernel;
use super::machine::Machine;
use super::record;
use super::{Options, table::grouped};
use crate::process::say;
use crate::workspace;

/// What the table of the README lies between.
const BEGIN: &str = "<!-- cargo xtask vm --cost --record -->";
const END: &str = "<!-- end of cost -->";

/// Client, server and agent compete for its one processor.
const MACHINE: Machine = Machine { memory: 1024, deadline: Duration::from_secs(3600) };

/// By how much the cost of being watched may exceed what is recorded.
const TOLERANCE: f64 = 0.03;

/// What two runs differ by at most, as a part of the whole: addresses and times are never quite the same.
const NOISE: f64 = 0.005;

/// The load that is told of and not compared: from run to run, its acknowledgements fall differently, and by them its cost.
const VARIES: &str = "opaque";

/// Loads as `measured-load` knows them, and as the table does.
const LOADS: [(&str, &str); 4] = [
    ("kept", "a request, connections kept alive"),
    ("churn", "a connection with one request"),
    ("bulk", "1 MiB by sendfile"),
    ("opaque", "64 bytes there and back, not HTTP"),
];

/// Ways to watch, as `cost.sh` knows them, and as the table does; the first is not to.
const WAYS: [(&str, &str); 4] = [
    ("nothing", "nothing watches"),
    ("server", "server watched"),
    ("both", "both ends watched"),
    ("spans", "and spans sent"),
];

/// The way that has the kernel measure the programs.
const MEASURED: &str = "measured";

/// A load under a way to watch.
type Key = (String, String);

/// Instructions a request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cost {
    /// Of all.
    whole: f64,
    /// Of those, the agent's in user space and in its system calls.
    agent: f64,
}

/// What a machine told.
#[derive(Debug, Default)]
struct Costs {
    costs: BTreeMap<Key, Cost>,
    /// HTTP requests made under each way.
    asked: BTreeMap<String, u64>,
    /// Instructions of the agent under each way.
    worked: BTreeMap<String, f64>,
    /// Lines of metrics under each way.
    metrics: Vec<(String, String)>,
    /// Requests of each load while its programs were measured.
    measured: BTreeMap<String, f64>,
    shares: Shares,
}

/// Boots a kernel and measures: all, or what costs the most where it is to be quick.
///
/// # Errors
/// When the machine does not come to its end, a request was lost or miscounted, or being watched costs more than is recorded.
pub fn cost(kernel: &Kernel, redtap: &Path, options: &Options) -> Result<()> {
    ensure!(!(options.quick && options.record), "what is measured quickly is not all that is recorded");
    let mut guest = Guest::default();
    guest.add_built(redtap, PathBuf::from("/usr/local/bin/redtap"))?;
    guest
        .add_built(&workspace::built("debug", "measured-load")?, PathBuf::from("/usr/local/bin/measured-load"))?;
    guest.texts =
        vec![("cost/server.conf", include_str!("server.conf")), ("cost/sink.conf", include_str!("sink.conf"))];
    let quick = if options.quick { "yes" } else { "" };
    guest.steps = format!("QUICK={quick}\n{}", include_str!("cost.sh"));
    let directory = workspace::scratch("vm")?;
    let (root, log) = (directory.join("cost.cpio"), directory.join(format!("{}-cost.log", kernel.version)));
    say(&format!("linux {}, counting instructions: {}", kernel.version, log.display()));
    guest.root(kernel, &root)?;
    let told = MACHINE.run(kernel, &root, &log);
    fs::remove_file(&root).context("cannot remove the root file system")?;
    let costs = Costs::read(&told?)?;
    let (tables, records, programs) = (costs.tables(), costs.records(), costs.programs());
    println!("instructions on linux {}\n\n{tables}\n{records}\n{programs}", kernel.version);
    let file = workspace::root().join("tests/vm/cost.txt");
    costs.books()?;
    if options.record {
        fs::write(&file, costs.written(&kernel.line()))
            .with_context(|| format!("cannot write {}", file.display()))?;
        record::write_between(BEGIN, END, |_| tables)?;
    }
    let complaints = costs.risen(&read(&fs::read_to_string(&file).unwrap_or_default()));
    if !complaints.is_empty() {
        bail!("being watched costs more than tests/vm/cost.txt says (--record to have it so):\n{complaints}");
    }
    Ok(())
}

impl Costs {
    fn read(told: &[String]) -> Result<Self> {
        let mut costs = Self::default();
        for line in told {
            let Some(shown) = line.strip_prefix("show ") else { continue };
            if let Some(failure) = shown.strip_prefix("failure ") {
                bail!("in the machine: {failure}");
            }
            if let Some((way, metric)) = shown.strip_prefix("told ").and_then(|rest| rest.split_once(' ')) {
                costs.metrics.push((way.to_owned(), metric.to_owned()));
                continue;
            }
            costs.shares.take(shown)?;
            let words: Vec<&str> = shown.split(' ').collect();
            let [what @ ("warm" | "cost"), way, load, numbers @ ..] = words.as_slice() else { continue };
            let numbers: Vec<f64> = numbers.iter().filter_map(|number| number.parse().ok()).collect();
            let [requests, took, during, after, idle] = numbers.as_slice() else {
                bail!("in the machine: {shown}")
            };
            if *load != "opaque" {
                *costs.asked.entry((*way).to_owned()).or_default() += *requests as u64;
            }
            // What the agent still had to do when the load was over, without what it does for nothing.
            let late = after - idle;
            *costs.worked.entry((*way).to_owned()).or_default() += during + late;
            if *what == "cost" {
                let cost = Cost { whole: (took + late) / requests, agent: (during + late) / requests };
                costs.costs.insert(((*load).to_owned(), (*way).to_owned()), cost);
                if *way == MEASURED {
                    costs.measured.insert((*load).to_owned(), *requests);
                }
            }
        }
        ensure!(costs.of("kept", WAYS[0].0).is_some(), "the machine told of no cost");
        Ok(costs)
    }

    fn of(&self, load: &str, way: &str) -> Option<Cost> {
        self.costs.get(&(load.to_owned(), way.to_owned())).copied()
    }

    /// What a way to watch adds.
    fn added(&self, load: &str, way: &str) -> Option<f64> {
        Some(self.of(load, way)?.whole - self.of(load, WAYS[0].0)?.whole)
    }

    /// What being watched costs, and where that goes.
    fn tables(&self) -> String {
        let cost =
            |load: &str| Some(Cost { whole: self.added(load, "both")?, agent: self.of(load, "both")?.agent });
        let shares = self.shares.table(cost, |load| self.measured.get(load).copied());
        [self.table(), shares].into_iter().filter(|table| !table.is_empty()).collect::<Vec<_>>().join("\n")
    }

    /// In Markdown: the whole with nothing watching, and what each way adds to it.
    fn table(&self) -> String {
        let mut text = format!("| | {} |\n| --- |", WAYS.map(|(_, name)| name).join(" | "));
        text += &format!("{}\n", " ---: |".repeat(WAYS.len()));
        for (load, name) in LOADS {
            let cells = WAYS.map(|(way, _)| {
                let Some(cost) = self.of(load, way) else { return "not measured".to_owned() };
                if way == WAYS[0].0 {
                    return rounded(cost.whole);
                }
                let added = self.added(load, way).unwrap_or_default();
                format!("+{} (agent {})", rounded(added), rounded(cost.agent))
            });
            let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
        }
        text
    }

    /// Instructions of the agent for each record that it takes from the kernel, of all loads together.
    fn records(&self) -> String {
        let mut text = String::new();
        for (way, worked) in &self.worked {
            let told =
                self.metrics.iter().filter(|(of, line)| of == way && line.starts_with("redtap_records_total"));
            let records: f64 = told.filter_map(|(_, line)| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
            if records > 0.0 {
                let each = rounded(worked / records);
                let _ = writeln!(
                    text,
                    "{way}: {each} instructions of the agent a record, {} records",
                    rounded(records)
                );
            }
        }
        text
    }

    /// Instructions of a run of each program, as the kernel measured them.
    fn programs(&self) -> String {
        let of = |metric: &str| -> BTreeMap<String, f64> {
            let metrics = self.metrics.iter().filter(|(way, _)| way == MEASURED);
            let values = metrics.filter_map(|(_, line)| {
                let (labels, value) = line.strip_prefix(metric)?.rsplit_once(' ')?;
                let program = labels.split('"').nth(1)?;
                Some((program.to_owned(), value.parse().ok()?))
            });
            values.collect()
        };
        let (seconds, runs) = (of("redtap_program_run_seconds_total"), of("redtap_program_runs_total"));
        let mut text = String::new();
        for (program, seconds) in seconds {
            let runs = runs.get(&program).copied().unwrap_or_default();
            if runs > 0.0 {
                let each = rounded(seconds * 1e9 / runs);
                let _ = writeln!(text, "{program}: {each} instructions a run, {} runs", rounded(runs));
            }
        }
        text
    }

    /// Every request is counted at both ends that are watched, and nothing is lost.
    fn books(&self) -> Result<()> {
        for (way, asked) in self.asked.iter().filter(|(way, _)| *way != WAYS[0].0) {
            let sum = |metric: &str, label: &str| -> f64 {
                let lines = self.metrics.iter().filter(|(of, line)| of == way && line.starts_with(metric));
                let lines = lines.filter(|(_, line)| line.contains(label));
                lines.filter_map(|(_, line)| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
            };
            let asked = *asked as f64;
            let served = sum("http_server_request_duration_seconds_count", "service_name=\"cost-server\"");
            ensure!(served == asked, "{way}: {asked} requests, {served} told at the server");
            let client = sum("http_client_request_duration_seconds_count", "service_name=\"measured-load\"");
            ensure!(way == "server" || client == asked, "{way}: {asked} requests, {client} told at the client");
            // Of what the agent's own exports are answered with, no spans are made.
            let dropped = sum("redtap_dropped_total", "") - sum("redtap_dropped_total", "reason=\"own_export\"");
            ensure!(dropped == 0.0, "{way}: {dropped} dropped");
        }
        Ok(())
    }

    /// A line for each way that costs more than is recorded.
    fn risen(&self, recorded: &BTreeMap<Key, f64>) -> String {
        let mut text = String::new();
        for ((load, way), before) in recorded {
            let (Some(now), Some(whole)) = (self.added(load, way), self.of(load, way)) else { continue };
            if now > before * (1.0 + TOLERANCE) + whole.whole * NOISE {
                let _ = writeln!(text, "{load}, {way}: +{}, now +{}", rounded(*before), rounded(now));
            }
        }
        text
    }

    /// `LOAD WAY INSTRUCTIONS`: what each way adds to a request.
    fn written(&self, line: &str) -> String {
        let mut text = format!(
            "# Instructions that being watched adds to a request, on linux {line}: cargo xtask vm --cost --record.\n"
        );
        for (load, _) in LOADS.iter().filter(|(load, _)| *load != VARIES) {
            for (way, _) in &WAYS[1..] {
                if let Some(added) = self.added(load, way) {
                    let _ = writeln!(text, "{load} {way} {added:.0}");
                }
            }
        }
        text
    }
}

fn read(text: &str) -> BTreeMap<Key, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let costs = lines.filter_map(|line| {
        let mut words = line.split(' ');
        Some(((words.next()?.to_owned(), words.next()?.to_owned()), words.next()?.parse().ok()?))
    });
    costs.collect()
}

fn rounded(number: f64) -> String {
    let digits = grouped(number.abs().round() as u64);
    if number < -0.5 { format!("-{digits}") } else { digits }
}

#[cfg(test)]
mod tests {
    use super::{Cost, Costs, read};

    fn told(metrics: &[&str]) -> Costs {
        let mut told = vec![
            "show warm nothing kept 10 9 0 0 0".to_owned(),
            "show cost nothing kept 100 4000000 0 0 0".to_owned(),
            "show warm both kept 10 9 0 0 0".to_owned(),
            "show cost both kept 100 4700000 300000 150000 50000".to_owned(),
        ];
        told.extend(metrics.iter().map(|metric| format!("show told both {metric}")));
        Costs::read(&told).unwrap()
    }

    #[test]
    fn what_is_added_is_told_with_what_came_later() {
        let costs = told(&[]);
        assert_eq!(costs.of("kept", "both"), Some(Cost { whole: 48_000.0, agent: 4000.0 }));
        assert_eq!(costs.added("kept", "both"), Some(8000.0));
        assert!(costs.table().contains("| 40,000 | not measured | +8,000 (agent 4,000) |"), "{}", costs.table());
        assert!(Costs::read(&["show failure no answer".to_owned()]).is_err());
    }

    #[test]
    fn what_is_written_is_compared_with() {
        let costs = told(&[]);
        assert_eq!(costs.risen(&read(&costs.written("6.12"))), "");
        assert_eq!(costs.risen(&read("kept both 7600\n")), "");
        assert_eq!(costs.risen(&read("kept both 7500\n")), "kept, both: +7,500, now +8,000\n");
    }

    #[test]
    fn a_request_that_is_missed_is_told() {
        let server = "http_server_request_duration_seconds_count{service_name=\"cost-server\"}";
        let client = "http_client_request_duration_seconds_count{service_name=\"measured-load\"}";
        let books = |served: u64, dropped: u64| {
            let lines = [
                format!("{server} {served}"),
                format!("{client} 110"),
                format!("redtap_dropped_total{{reason=\"ring\"}} {dropped}"),
            ];
            told(&lines.each_ref().map(String::as_str)).books().is_ok()
        };
        assert_eq!([books(110, 0), books(109, 0), books(110, 1)], [true, false, false]);
    }
}
