//! Debian's stock kernels for virtual machines, unpacked in the target directory and nowhere else on the host.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::architecture::Architecture;
use crate::process::{find, say};
use crate::{apt, workspace};

/// Where they are taken from: each release of Debian that is still looked after has its own.
const SOURCES: &str = "deb http://deb.debian.org/debian bullseye main
deb http://deb.debian.org/debian-security bullseye-security main
deb http://deb.debian.org/debian bookworm main
deb http://deb.debian.org/debian-security bookworm-security main
deb http://deb.debian.org/debian trixie main
deb http://deb.debian.org/debian-security trixie-security main
deb http://deb.debian.org/debian trixie-backports main
deb http://deb.debian.org/debian sid main
";

/// The newest there is.
const NEWEST: &str = "newest";

/// What is booted unless asked otherwise: the kernels of Debian 11, 12 and 13, the long-term one after that, the newest.
pub const LINES: [&str; 5] = ["5.10", "6.1", "6.12", "6.18", NEWEST];

/// What the names of packages end with, before the architecture: few drivers, and all that a virtual machine needs.
const FLAVOUR: &str = "-cloud-";

/// A kernel, unpacked.
#[derive(Debug)]
pub struct Kernel {
    /// What `uname -r` says, without the flavour.
    pub version: String,
    /// What boots.
    pub image: PathBuf,
    /// The directory of its modules.
    pub modules: PathBuf,
    /// What it runs on.
    pub architecture: Architecture,
}

/// Where those for an architecture are kept.
fn directory(architecture: Architecture) -> Result<PathBuf> {
    workspace::scratch(match architecture {
        Architecture::Amd64 => "vm/kernels",
        Architecture::Arm64 => "vm/kernels-arm64",
    })
}

fn flavour(architecture: Architecture) -> String {
    format!("{FLAVOUR}{}", architecture.debian())
}

/// A program of Debian's package for an architecture, unpacked beside the kernels, which must be there.
///
/// # Errors
/// When it cannot be had.
pub fn program(package: &str, path: &str, architecture: Architecture) -> Result<PathBuf> {
    let directory = directory(architecture)?;
    let root = directory.join("programs");
    if !root.join(path).is_file() {
        say(&format!("fetching Debian's package {package} for {}", architecture.debian()));
        apt::Private::new(&directory, SOURCES, architecture)?.unpack(package, &root)?;
    }
    Ok(root.join(path))
}

/// The newest kernel of each of these lines (`6.12`, or `newest`); one that is there already is not asked for again.
///
/// # Errors
/// When one cannot be had.
pub fn kernels(lines: &[String], architecture: Architecture) -> Result<Vec<Kernel>> {
    let directory = directory(architecture)?;
    let there = |line: &str| -> Option<String> { fs::read_to_string(directory.join(line)).ok() };
    if lines.iter().any(|line| there(line).is_none()) {
        ensure!(
            apt::there() && find("dpkg-deb").is_some(),
            "needs apt and dpkg to fetch Debian's kernels: {}",
            lines.join(" ")
        );
        say("fetching Debian's lists of packages of four releases (60 MB)");
        let apt = apt::Private::new(&directory, SOURCES, architecture)?;
        let images = apt.names("linux-image-")?;
        let binaries = apt.names("linux-binary-")?;
        for line in lines.iter().filter(|line| there(line).is_none()) {
            let flavour = flavour(architecture);
            let version =
                newest(&images, line, &flavour).with_context(|| format!("Debian has no kernel {line}"))?;
            unpack(&apt, &binaries, version, &flavour, &directory.join("root").join(version))?;
            fs::write(directory.join(line), version)?;
        }
    }
    lines
        .iter()
        .map(|line| {
            let version = there(line).with_context(|| format!("no kernel {line}"))?;
            Kernel::at(&directory.join("root").join(&version), version, architecture)
        })
        .collect()
}

fn unpack(apt: &apt::Private, binaries: &[String], version: &str, flavour: &str, root: &Path) -> Result<()> {
    say(&format!("fetching Debian's kernel {version}, to be unpacked in the target directory (30 MB)"));
    // Newer packaging has the kernel and its modules apart, and nothing in the package of old.
    let kinds: &[&str] = if binaries.contains(&format!("linux-binary-{version}{flavour}")) {
        &["binary", "modules"]
    } else {
        &["image"]
    };
    for kind in kinds {
        apt.unpack(&format!("linux-{kind}-{version}{flavour}"), root)?;
    }
    Ok(())
}

/// The newest version of a line among the names of images.
fn newest<'a>(images: &'a [String], line: &str, flavour: &str) -> Option<&'a str> {
    let versions = images.iter().filter_map(|name| name.strip_prefix("linux-image-")?.strip_suffix(flavour));
    let of_line = |version: &&str| match line {
        NEWEST => version.starts_with(|first: char| first.is_ascii_digit()),
        _ => version.strip_prefix(line).is_some_and(|rest| rest.starts_with('.')),
    };
    versions.filter(of_line).max_by_key(|version| numbers(version))
}

/// The numbers in a version, by which versions are ordered.
fn numbers(version: &str) -> Vec<u64> {
    let parts = version.split(|character: char| !character.is_ascii_digit());
    parts.filter_map(|number| number.parse().ok()).collect()
}

impl Kernel {
    fn at(root: &Path, version: String, architecture: Architecture) -> Result<Self> {
        let flavour = flavour(architecture);
        let name = format!("{version}{flavour}");
        // Both are places of Debian's packages, older and newer.
        let first = |paths: [String; 2]| paths.iter().map(|path| root.join(path)).find(|path| path.exists());
        let modules = first([format!("usr/lib/modules/{name}"), format!("lib/modules/{name}")]);
        let image = first([format!("boot/vmlinuz-{name}"), format!("usr/lib/modules/{name}/vmlinuz")]);
        match (image, modules) {
            (Some(image), Some(modules)) => Ok(Self { version, image, modules, architecture }),
            _ => bail!("no kernel {version} in {}", root.display()),
        }
    }

    /// Its first two numbers, as tables name it.
    pub fn line(&self) -> String {
        numbers(&self.version).iter().take(2).map(u64::to_string).collect::<Vec<_>>().join(".")
    }
}

#[cfg(test)]
mod tests {
    use super::newest;

    #[test]
    fn the_newest_of_a_line_is_chosen_by_its_numbers() {
        let images = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-6.1.0-57-amd64",
            "linux-image-6.1.0-58-cloud-amd64-unsigned",
            "linux-image-6.12.9+deb12-cloud-amd64",
            "linux-image-6.12.118+deb12-cloud-amd64",
            "linux-image-6.12.118+deb13-cloud-amd64",
            "linux-image-cloud-amd64",
            "linux-image-7.3.4+deb13-cloud-amd64",
            "linux-image-7.2.13+deb14-cloud-amd64",
        ]
        .map(str::to_owned);
        for (line, expected) in [
            ("6.1", Some("6.1.0-56")),
            ("6.12", Some("6.12.118+deb13")),
            ("newest", Some("7.3.4+deb13")),
            ("5.10", None),
        ] {
            assert_eq!(newest(&images, line, "-cloud-amd64"), expected, "{line}");
        }
    }
}
