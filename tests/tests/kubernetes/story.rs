//! The course of a story: things are made in a namespace of its own, clients ask servers, and what the agent tells is
//! compared with what the clients counted.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use redtap_tests::cluster::attribution::{Attribution, attribution, expected, strange_peers, told};
use redtap_tests::cluster::workload::{Identity, Ledger, PROGRAM};
use redtap_tests::cluster::{Cluster, PATIENCE, container_id};
use redtap_tests::wait;
use serde_json::{Value, json};

use crate::manifest::{container, pod, service, spec};
use crate::world::World;

/// What must be told of a story's exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Whose each was, and nothing less.
    All,
    /// Each, but not of each whose it was: the agent cannot know.
    NothingWrong,
}

/// A story.
pub struct Story<'a> {
    /// What it shares with others.
    pub world: &'a World,
    /// Where its things are.
    pub namespace: String,
    /// The status of its answers.
    pub status: u16,
    /// What its clients counted.
    pub ledgers: Vec<Ledger>,
    /// How many requests were answered that are not of the story.
    pub aside: AtomicU64,
    /// Who took part so far.
    services: BTreeSet<String>,
}

impl<'a> Story<'a> {
    /// Begins one.
    pub fn begin(world: &'a World, name: &str) -> Result<Self> {
        let story = Self {
            world,
            namespace: name.to_owned(),
            status: world.status(),
            ledgers: Vec::new(),
            aside: AtomicU64::new(0),
            services: BTreeSet::from(["client".to_owned()]),
        };
        story.make_namespace()?;
        Ok(story)
    }

    /// Makes its namespace.
    pub fn make_namespace(&self) -> Result<()> {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}});
        self.cluster().apply(&namespace.to_string())?;
        // Pods are refused before it is there.
        let account = || {
            let words = ["--namespace", &self.namespace, "get", "serviceaccount", "default"];
            self.cluster().ask(&words).ok().map(drop)
        };
        wait::within(PATIENCE, account).context("no service account in a new namespace")
    }

    /// The cluster.
    pub fn cluster(&self) -> &'a Cluster {
        &self.world.cluster
    }

    /// Makes or changes things.
    pub fn apply(&self, things: &[Value]) -> Result<()> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": things});
        self.cluster().apply(&list.to_string())
    }

    /// Waits until a set of pods is as it is to be.
    pub fn rolled_out(&self, what: &str) -> Result<()> {
        self.cluster().rolled_out(&self.namespace, what)
    }

    /// Waits for a condition of something.
    pub fn wait_for(&self, what: &str, condition: &str) -> Result<()> {
        self.cluster().wait_for(&self.namespace, what, condition)
    }

    /// `kubectl` in its namespace.
    pub fn ask(&self, words: &[&str]) -> Result<String> {
        self.cluster().ask(&[["--namespace", &self.namespace].as_slice(), words].concat())
    }

    /// What the API server has.
    pub fn get(&self, words: &[&str]) -> Result<Value> {
        self.cluster().get(&[["--namespace", &self.namespace].as_slice(), words].concat())
    }

    /// The id of a running container.
    pub fn container(&self, pod: &str, name: &str) -> Result<String> {
        container_id(&self.get(&["pod", pod])?, name)
    }

    /// The name of the first pod of a set, which may have more.
    pub fn pod_of(&self, app: &str) -> Result<String> {
        let pods = self.get(&["pods", "--selector", &format!("app={app}")])?;
        Ok(pods["items"][0]["metadata"]["name"].as_str().with_context(|| format!("no pod of {app}"))?.to_owned())
    }

    /// Makes a pod that waits to be told what to ask, and gives its container.
    pub fn client(&self) -> Result<String> {
        let identity = Identity::of_pod(&self.namespace, "main");
        self.apply(&[pod(&self.namespace, "client", spec(&[container("main", &identity, &["wait"])]))])?;
        self.wait_for("pod/client", "condition=Ready")?;
        self.container("client", "main")
    }

    /// Makes a Service before what is called the same, and gives its address.
    pub fn service(&self, name: &str) -> Result<String> {
        self.apply(&[service(&self.namespace, name, Value::Null)])?;
        let made = self.get(&["service", name])?;
        Ok(made["spec"]["clusterIP"].as_str().context("a Service without an address")?.to_owned())
    }

    /// Waits until requests to `authority` arrive at that many servers. Those requests are not of the story.
    pub fn reachable(&self, client: &str, authority: &str, servers: usize) -> Result<()> {
        let url = format!("http://{authority}/200");
        let asked = |verb: &[&str]| {
            let ledgers = Ledger::read(&self.cluster().run_in(client, &[&[PROGRAM], verb].concat())?)?;
            self.aside.fetch_add(ledgers.iter().map(Ledger::answered).sum::<u64>(), Ordering::Relaxed);
            anyhow::Ok(ledgers)
        };
        let mut seen = 0;
        let found = wait::within(PATIENCE, || {
            // The first waits, lest there are hundreds that are refused.
            let ledgers = asked(&["knock", &url]).and_then(|_| asked(&["load", &url, "60"])).ok()?;
            seen = ledgers.iter().map(|ledger| ledger.answers.len()).max()?;
            (seen >= servers).then_some(())
        });
        found.with_context(|| format!("of {servers} servers behind {authority}, {seen} answer"))
    }

    /// The URL of this story at `authority`.
    pub fn url(&self, authority: &str) -> String {
        format!("http://{authority}/{}/story", self.status)
    }

    /// Has a container ask `authority` so many times, at so many requests a second, and keeps the ledger.
    pub fn load(&mut self, client: &str, authority: &str, count: u32, rate: Option<u32>) -> Result<Ledger> {
        let ledger = self.load_aside(client, authority, count, rate)?;
        self.ledgers.push(ledger.clone());
        Ok(ledger)
    }

    /// The same, without keeping the ledger.
    pub fn load_aside(&self, client: &str, authority: &str, count: u32, rate: Option<u32>) -> Result<Ledger> {
        let (url, count, rate) = (self.url(authority), count.to_string(), rate.map(|rate| rate.to_string()));
        let mut words = vec![PROGRAM, "load", &url, &count];
        words.extend(rate.as_deref());
        let text = self.cluster().run_in(client, &words)?;
        Ok(Ledger::read(&text)?.remove(0))
    }

    /// Compares with what the agent tells, tells the three numbers, and removes what the story has made.
    pub fn end(mut self, demand: Demand) -> Result<()> {
        self.settle(demand)?;
        self.remove()
    }

    /// Removes what it has made.
    pub fn remove(self) -> Result<()> {
        self.ask(&["delete", "namespace", &self.namespace, "--wait=false"]).map(drop)
    }

    /// Compares with what the agent tells. What comes then, comes with another status.
    pub fn settle(&mut self, demand: Demand) -> Result<()> {
        let all = expected(&self.ledgers);
        self.services.extend(all.iter().filter_map(|entry| entry.labels.get("service_name").cloned()));
        let found = self.compare(demand)?;
        println!("  {}: {found}", self.namespace);
        self.world.add(&found);
        let satisfied = found.wrong == 0 && found.missing == 0 && (demand != Demand::All || found.unknown == 0);
        let remarks = found.remarks.join("\n");
        ensure!(satisfied, "{}: {found}; {demand:?} is demanded\n{remarks}", self.namespace);
        let page = self.world.agent.scrape(self.cluster())?;
        let strange = strange_peers(&page, &self.namespace, &self.services);
        ensure!(strange.is_empty(), "{}: connections {strange:?}", self.namespace);
        self.ledgers.clear();
        self.status = self.world.status();
        Ok(())
    }

    /// What the agent tells, once it has told as much as is demanded, or had the time.
    pub fn compare(&self, demand: Demand) -> Result<Attribution> {
        let expected = expected(&self.ledgers);
        let all: u64 = expected.iter().map(|entry| entry.count).sum();
        ensure!(all > 0, "nothing happened in {}", self.namespace);
        let mut last = Err(anyhow::anyhow!("no scrape"));
        wait::within(wait::PATIENCE, || {
            // Scraped ten times a second, not as often as can be.
            wait::within(Duration::from_millis(100), || None::<()>);
            last = self
                .world
                .agent
                .scrape(self.cluster())
                .map(|page| attribution(&expected, &told(&page, self.status)));
            let found = last.as_ref().ok()?;
            let enough = match demand {
                Demand::All => found.right,
                Demand::NothingWrong => found.right + found.unknown,
            };
            (enough >= all).then_some(())
        });
        last
    }

    /// Has `client` ask `authority` again and again until the agent knows whose all of it is; until then, nothing may be
    /// attributed wrongly.
    pub fn recovers(&mut self, client: &str, authority: &str) -> Result<()> {
        let recovered = wait::within(PATIENCE, || {
            let round =
                self.load(client, authority, 20, Some(20)).and_then(|_| self.compare(Demand::NothingWrong));
            let done = match &round {
                Ok(found) if found.wrong == 0 && found.missing == 0 => found.unknown == 0,
                _ => {
                    return Some(
                        round.and_then(|found| Err(anyhow::anyhow!("{found}\n{}", found.remarks.join("\n")))),
                    );
                }
            };
            let settled = self.settle(Demand::NothingWrong);
            (done || settled.is_err()).then_some(settled)
        });
        recovered.with_context(|| format!("{}: the agent does not recover", self.namespace))?
    }
}
