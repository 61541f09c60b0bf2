//! `manifests`: the plain manifest of `deploy/kubernetes`, which is the chart with its default values.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::go::{built, go};
use crate::process::{command, output, run, say};
use crate::workspace;

/// Directory in `tests/` of the program that renders charts as Helm does.
const HELM: &str = "helm";

/// The chart, from the workspace's directory.
const CHART: &str = "deploy/kubernetes/chart/redtap";

/// The manifest, from the workspace's directory.
const PLAIN: &str = "deploy/kubernetes/redtap.yaml";

/// What the chart leaves to the one who installs it.
const BEGINNING: &str = "\
# redtap on every Linux node, in a namespace of its own: kubectl apply -f redtap.yaml
#
# Made from the chart beside it, with its default values, by `cargo xtask manifests`: change that, and this follows.
# The image has to be on the nodes, or another one named in the DaemonSet. Kubernetes 1.30 or newer.
apiVersion: v1
kind: Namespace
metadata:
  name: redtap
  labels:
    # hostPID, hostNetwork, a directory of the node's and capabilities are what other levels are there to refuse.
    pod-security.kubernetes.io/enforce: privileged
---
";

/// Writes the manifest; or, with `check`, tests the chart and complains if the manifest is not what comes of it.
///
/// # Errors
/// When the chart is not sound, or the manifest is another.
pub fn manifests(check: bool) -> Result<()> {
    let path = workspace::root().join(PLAIN);
    let made = format!("{BEGINNING}{}\n", render(&[])?);
    if !check {
        return fs::write(&path, made).with_context(|| format!("cannot write {PLAIN}"));
    }
    let there = fs::read_to_string(&path).with_context(|| format!("cannot read {PLAIN}"))?;
    if let Some(difference) = first_difference(&there, &made) {
        bail!("{PLAIN} is not what the chart gives: {difference}; cargo xtask manifests makes it so");
    }
    say(&format!("{PLAIN}: as the chart gives it"));
    // With the flags of the build, so that what that compiled is there for it.
    run(go(HELM).args(["test", "-trimpath", "."])).context("the chart's test fails")
}

/// The manifests of the chart, as the release `redtap` in the namespace `redtap`, with the values of files, the later
/// ones being stronger.
///
/// # Errors
/// When the values do not fit its schema, or what comes of them is nothing that Kubernetes would take.
pub fn render(values: &[&Path]) -> Result<String> {
    let helm = built(HELM, "Helm's templates")?;
    let mut helm = command(&helm.to_string_lossy());
    for file in values {
        helm.arg("-values").arg(file);
    }
    output(helm.arg(workspace::root().join(CHART))).context("cannot render the chart")
}

/// Where two texts first differ, in words.
fn first_difference(there: &str, made: &str) -> Option<String> {
    if there == made {
        return None;
    }
    let (mut old, mut new) = (there.split('\n'), made.split('\n'));
    let mut number = 0;
    loop {
        number += 1;
        match (old.next(), new.next()) {
            (Some(old), Some(new)) if old == new => {}
            (None, None) => return None,
            (old, new) => {
                let [old, new] =
                    [old, new].map(|line| line.map_or("the end".to_owned(), |line| format!("{line:?}")));
                return Some(format!("line {number} is {old} instead of {new}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::first_difference;

    #[test]
    fn the_first_difference_is_told() {
        for (there, made, expected) in [
            ("a\nb\n", "a\nb\n", None),
            ("a\nb\nc\n", "a\nB\nC\n", Some(r#"line 2 is "b" instead of "B""#)),
            ("a\n", "a\nb\n", Some(r#"line 2 is "" instead of "b""#)),
            ("a\nb", "a", Some(r#"line 2 is "b" instead of the end"#)),
            ("a\n", "a", Some(r#"line 2 is "" instead of the end"#)),
        ] {
            assert_eq!(first_difference(there, made).as_deref(), expected, "{there:?} {made:?}");
        }
    }
}
