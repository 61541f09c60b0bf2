//! What redtap sends to, for the tests: a real OpenTelemetry Collector and a real Prometheus, both in the target
//! directory and nowhere else on the host.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::architecture::Architecture;
use crate::process::{command, find, output, say};
use crate::{apt, go::built, workspace};

/// Where Prometheus is taken from: the last release of Debian has none that speaks remote write 2.0.
const SOURCES: &str = "deb http://deb.debian.org/debian sid main\n";

/// Packages, and the program that each is taken for.
const PACKAGES: [(&str, &str); 2] = [("prometheus", "prometheus"), ("promtool", "promtool")];

/// Directories in `tests/`, and what they are; Debian's Prometheus is built without its receiver of OTLP.
const GO_PROGRAMS: [(&str, &str); 2] =
    [("collector", "the OpenTelemetry Collector"), ("otlp-receiver", "Prometheus' receiver of OTLP")];

/// The least Prometheus that the tests work with.
const PROMETHEUS: [u32; 2] = [3, 5];

/// The programs, as environment variables for the tests.
///
/// # Errors
/// When one cannot be had.
pub fn programs() -> Result<[(&'static str, PathBuf); 4]> {
    let directory = prometheus().context("no Prometheus for the tests")?;
    let [collector, receiver] = GO_PROGRAMS.map(|(name, what)| built(name, what));
    let [(_, prometheus), (_, promtool)] = PACKAGES;
    Ok([
        ("REDTAP_COLLECTOR", collector?),
        ("REDTAP_OTLP_RECEIVER", receiver?),
        ("REDTAP_PROMETHEUS", directory.join("usr/bin").join(prometheus)),
        ("REDTAP_PROMTOOL", directory.join("usr/bin").join(promtool)),
    ])
}

/// Unpacks Debian's Prometheus, without installing it, and gives the directory.
fn prometheus() -> Result<PathBuf> {
    let directory = workspace::scratch("prometheus")?;
    let _turn = workspace::turn("prometheus")?;
    let root = directory.join("root");
    let there = || PACKAGES.iter().all(|(_, program)| root.join("usr/bin").join(program).is_file());
    if !there() {
        if !apt::there() || find("dpkg-deb").is_none() {
            bail!("needs apt and dpkg; or put prometheus and promtool into {}", root.join("usr/bin").display());
        }
        say("fetching Prometheus from Debian's unstable, to be unpacked in the target directory (36 MB)");
        let apt = apt::Private::new(&directory, SOURCES, Architecture::of_host()?)?;
        for (package, _) in PACKAGES {
            apt.unpack(package, &root)?;
        }
    }
    check(&root.join("usr/bin/prometheus"))?;
    Ok(root)
}

/// It runs here, and is new enough.
fn check(prometheus: &Path) -> Result<()> {
    let said = output(command(&prometheus.to_string_lossy()).arg("--version"))
        .context("Debian's Prometheus does not run on this host")?;
    let version = version(&said).with_context(|| format!("no version in {said:?}"))?;
    ensure!(version >= PROMETHEUS, "Prometheus {version:?} is older than {PROMETHEUS:?}");
    Ok(())
}

/// Of `prometheus, version 3.5.3+ds1 (branch: …`, the first two numbers.
fn version(said: &str) -> Option<[u32; 2]> {
    let (_, rest) = said.split_once("version ")?;
    let mut numbers = rest.split(|character: char| !character.is_ascii_digit());
    Some([numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?])
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_version_is_read() {
        assert_eq!(
            version("prometheus, version 3.5.3+ds1 (branch: debian/sid)\n  go version: 1.26"),
            Some([3, 5])
        );
        assert_eq!(version("prometheus, version 3.10.0"), Some([3, 10]));
        assert_eq!(version("no such thing"), None);
    }
}
