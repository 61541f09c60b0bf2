//! Bringing a cluster up.

use std::process::Child;

use anyhow::{Context as _, Result, bail};

use super::{Cluster, Component, NODE, NODE_ADDRESS, PATIENCE, assert_root, clean, output};
use crate::gate::tool;
use crate::wait;

impl Cluster {
    /// Brings it up, after whatever is left of an earlier one was brought down, and waits until its node is ready.
    ///
    /// # Errors
    /// When it does not get ready, with the last lines of every log; nothing of it is left then.
    pub fn up(&self) -> Result<()> {
        assert_root()?;
        self.down().context("cannot end what an earlier run has left")?;
        self.bring_up().or_else(|error| {
            let error = error.context(format!("the cluster does not come up\n{}", self.last_words()));
            self.down().context("and what there was of it does not go")?;
            Err(error)
        })
    }

    fn bring_up(&self) -> Result<()> {
        // What the last one logged was kept for a look at it, until now.
        let _ = std::fs::remove_dir_all(self.file("log"));
        self.settle()?;
        self.make_network()?;
        self.make_cgroups()?;
        let mut running = Vec::new();
        for component in [Component::Etcd, Component::Containerd, Component::ApiServer] {
            running.push((component, self.start(component)?));
        }
        self.until("containerd to answer", &mut running, || {
            output(self.containerd_client()?.arg("version")).map(drop)
        })?;
        self.make_image("pause:1", None)?;
        self.until("the API server to be ready", &mut running, || self.ask(&["get", "--raw=/readyz"]).map(drop))?;
        // Before kubelet asks for it: one that has to make it itself is not ready for long.
        self.apply(&format!("{{apiVersion: v1, kind: Node, metadata: {{name: {NODE}}}}}"))?;
        for component in [Component::ControllerManager, Component::Scheduler, Component::Proxy, Component::Kubelet]
        {
            running.push((component, self.start(component)?));
        }
        self.until("the node to be ready", &mut running, || {
            self.ask(&["wait", "--for=condition=Ready", "--timeout=1s", &format!("node/{NODE}")]).map(drop)
        })?;
        // Pods are refused before it is there.
        self.until("the default service account", &mut running, || {
            self.ask(&["get", "serviceaccount", "default"]).map(drop)
        })
    }

    /// A network with nothing in it but the node's own address and a way to everywhere, which ends at the other end of a
    /// wire: addresses of Services must lead somewhere, lest they are refused before they are translated.
    fn make_network(&self) -> Result<()> {
        let address = format!("{NODE_ADDRESS}/24");
        output(clean(&tool("ip")).args(["netns", "add", &self.name]))?;
        for arguments in [
            ["link", "set", "lo", "up"].as_slice(),
            &["link", "add", "uplink", "type", "veth", "peer", "name", "nowhere"],
            &["address", "add", &address, "dev", "uplink"],
            &["link", "set", "nowhere", "up"],
            &["link", "set", "uplink", "up"],
            &["route", "add", "default", "dev", "uplink"],
        ] {
            output(clean(&tool("ip")).args(["-n", &self.name]).args(arguments))?;
        }
        self.inside(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1"))?
            .context("cannot have the node forward")
    }

    /// Waits until `attempt` succeeds, as long as every component runs.
    fn until(
        &self,
        what: &str,
        running: &mut [(Component, Child)],
        mut attempt: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let mut last = None;
        let mut ended = None;
        let done = wait::within(PATIENCE, || {
            for (component, child) in running.iter_mut() {
                if let Ok(Some(status)) = child.try_wait() {
                    ended = Some((*component, status));
                    return Some(());
                }
            }
            attempt().map_err(|error| last = Some(error)).ok()
        });
        match (done, ended, last) {
            (_, Some((component, status)), _) => bail!("{} ended: {status}", component.program()),
            (Some(()), None, _) => Ok(()),
            (None, None, last) => Err(last.unwrap_or_else(|| anyhow::anyhow!("no attempt")))
                .with_context(|| format!("waited {PATIENCE:?} for {what}")),
        }
    }
}
