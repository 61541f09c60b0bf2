//! What redtap sends to, for the tests: a real OpenTelemetry Collector and a real Prometheus, both in the target
//! directory and nowhere else on the host.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::process::{command, find, output, run, say};
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
    let root = directory.join("root");
    let there = || PACKAGES.iter().all(|(_, program)| root.join("usr/bin").join(program).is_file());
    if !there() {
        if !apt::there() || find("dpkg-deb").is_none() {
            bail!("needs apt and dpkg; or put prometheus and promtool into {}", root.join("usr/bin").display());
        }
        say("fetching Prometheus from Debian's unstable, to be unpacked in the target directory (36 MB)");
        let configuration = private_apt(&directory)?;
        let apt = |program: &str| {
            let mut apt = command(program);
            apt.arg("-c").arg(&configuration).current_dir(&directory);
            apt
        };
        run(apt("apt-get").args(["update", "--quiet=2"])).context("cannot fetch Debian's lists of packages")?;
        for (package, _) in PACKAGES {
            run(apt("apt-get").args(["download", "--quiet=2", package]))
                .with_context(|| format!("cannot fetch Debian's package {package}"))?;
            let archive = newest(&directory, package)?;
            run(command("dpkg-deb").arg("--extract").args([&archive, &root]))?;
            fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))?;
        }
    }
    check(&root.join("usr/bin/prometheus"))?;
    Ok(root)
}

/// A configuration of apt that knows nothing of the host's packages and changes nothing of them.
fn private_apt(directory: &Path) -> Result<PathBuf> {
    let apt = directory.join("apt");
    for needed in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(apt.join(needed)).with_context(|| format!("cannot make {needed}"))?;
    }
    fs::write(apt.join("sources.list"), SOURCES)?;
    fs::write(apt.join("status"), "")?;
    let path = apt.display();
    let text = format!(
        "Dir::Etc::sourcelist \"{path}/sources.list\";\nDir::Etc::sourceparts \"/dev/null\";\n\
         Dir::Etc::preferencesparts \"/dev/null\";\nDir::State::lists \"{path}/lists\";\n\
         Dir::State::status \"{path}/status\";\nDir::Cache \"{path}/cache\";\n\
         Acquire::Languages \"none\";\nAPT::Sandbox::User \"\";\n"
    );
    let configuration = apt.join("apt.conf");
    fs::write(&configuration, text)?;
    Ok(configuration)
}

/// The archive of `package` that apt left in `directory`.
fn newest(directory: &Path, package: &str) -> Result<PathBuf> {
    let begins = format!("{package}_");
    let entries = fs::read_dir(directory)?.filter_map(|entry| Some(entry.ok()?.path()));
    let archives = entries.filter(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.starts_with(&begins) && name.ends_with(".deb")
    });
    archives.max().with_context(|| format!("apt left no archive of {package}"))
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
