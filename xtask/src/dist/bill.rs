//! A bill of materials, in JSON as CycloneDX 1.6 has it (ECMA-424): the crates that are in a binary, the kernel side's as
//! well, and the libraries that every static binary of Rust has in it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::tree::{Crate, Tree};
use crate::architecture::Architecture;
use crate::image::sha256;
use crate::process::{command, find, output};

/// The agent's package, and the kernel side's.
const AGENT: &str = "redtap";
const KERNEL_SIDE: &str = "redtap-ebpf";

/// The bill of a binary that was built of the sources in `root`.
///
/// # Errors
/// When cargo does not tell what it is made of.
pub fn bill(architecture: Architecture, root: &Path, binary: &[u8], date: u64) -> Result<Vec<u8>> {
    let known = Known::read(root)?;
    let mut tree = Tree::of(root, AGENT, &["--target", &architecture.target()])?;
    let probes = ["--target", "bpfel-unknown-none", "--no-default-features", "--features", "probes"];
    tree.add(Tree::of(root, KERNEL_SIDE, &probes)?);
    let top = (AGENT.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let mut of_top = tree.0.remove(&top).context("the agent is not in its own tree")?;
    of_top.insert((KERNEL_SIDE.to_owned(), env!("CARGO_PKG_VERSION").to_owned()));

    let system = system(architecture, root)?;
    let mut components = Vec::new();
    for own in tree.0.keys() {
        components.push(known.component(own)?);
    }
    components.extend(system.iter().map(|(_, component)| component.clone()));
    let mut application = known.component(&top)?;
    application["type"] = "application".into();
    application["hashes"] = json!([{ "alg": "SHA-256", "content": sha256(binary) }]);
    let mut dependencies = vec![json!({
        "ref": known.reference(&top),
        "dependsOn": of_top.iter().map(|under| known.reference(under)).chain(system.iter().map(|(name, _)| name.clone()))
            .collect::<Vec<_>>(),
    })];
    dependencies.extend(tree.0.iter().map(|(own, of)| {
        let of: Vec<_> = of.iter().map(|under| known.reference(under)).collect();
        json!({ "ref": known.reference(own), "dependsOn": of })
    }));
    let bill = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": moment(date)?,
            "lifecycles": [{ "phase": "build" }],
            "component": application,
            "properties": [{ "name": "cdx:rustc:sbom:target:triple", "value": architecture.target() }],
        },
        "components": components,
        "dependencies": dependencies,
    });
    let mut text = serde_json::to_vec_pretty(&bill)?;
    text.push(b'\n');
    Ok(text)
}

/// What cargo knows of all crates.
struct Known {
    packages: BTreeMap<Crate, Value>,
    checksums: BTreeMap<Crate, String>,
}

impl Known {
    fn read(root: &Path) -> Result<Self> {
        let mut cargo = command("cargo");
        cargo.current_dir(root).args(["metadata", "--locked", "--quiet", "--all-features", "--format-version=1"]);
        let told = output(&mut cargo)?;
        let told: Value = serde_json::from_str(&told).context("what cargo metadata tells")?;
        let packages = told["packages"].as_array().into_iter().flatten().filter_map(|package| {
            let text = |key: &str| package[key].as_str().map(str::to_owned);
            Some(((text("name")?, text("version")?), package.clone()))
        });
        let lock = std::fs::read_to_string(root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
        Ok(Self { packages: packages.collect(), checksums: checksums(&lock) })
    }

    /// What a crate is called in the bill: where it comes from a registry, its package URL (purl-spec, `cargo`).
    fn reference(&self, own: &Crate) -> String {
        let is_foreign = self.packages.get(own).is_none_or(|package| !package["source"].is_null());
        let (name, version) = (&own.0, own.1.replace('+', "%2B"));
        if is_foreign { format!("pkg:cargo/{name}@{version}") } else { format!("{name}@{version}") }
    }

    fn component(&self, own: &Crate) -> Result<Value> {
        let (name, version) = own;
        let package = self.packages.get(own).with_context(|| format!("cargo does not know {name} {version}"))?;
        let reference = self.reference(own);
        let mut component = json!({ "type": "library", "bom-ref": reference, "name": name, "version": version });
        if let Some(checksum) = self.checksums.get(own) {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        if let Some(license) = package["license"].as_str() {
            component["licenses"] = json!([{ "expression": expression(license) }]);
        }
        if reference.starts_with("pkg:") {
            component["purl"] = reference.into();
        }
        if let Some(repository) = package["repository"].as_str() {
            component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
        }
        Ok(component)
    }
}

/// A licence as SPDX writes it; cargo once let a slash stand for OR.
fn expression(license: &str) -> String {
    license.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ")
}

/// Checksums in a Cargo.lock: a table for each package, a line for each of its keys.
fn checksums(lock: &str) -> BTreeMap<Crate, String> {
    let packages = lock.split("[[package]]").filter_map(|package| {
        let value = |key: &str| -> Option<String> {
            let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))?;
            Some(line.trim_end_matches('"').to_owned())
        };
        Some(((value("name")?, value("version")?), value("checksum")?))
    });
    packages.collect()
}

/// The libraries of Rust and of C, by their names in the bill.
fn system(architecture: Architecture, root: &Path) -> Result<Vec<(String, Value)>> {
    let rustc = output(command("rustc").current_dir(root).arg("--version"))?;
    let rustc = rustc.split(' ').nth(1).with_context(|| format!("no version of rustc: {rustc}"))?.to_owned();
    let mut system = vec![library("std", &rustc, "MIT OR Apache-2.0", format!("pkg:generic/rust-std@{rustc}"))];
    let package = match architecture.is_hosts() {
        true => "libc6-dev".to_owned(),
        false => format!("libc6-dev-{}-cross", architecture.debian()),
    };
    // Other distributions have no such package, and glibc does not tell its version where it is linked statically.
    let version = match find("dpkg-query") {
        Some(_) => output(command("dpkg-query").args(["--show", "--showformat", "${Version}", &package])).ok(),
        None => None,
    };
    let version = version.unwrap_or_else(|| "unknown".to_owned());
    system.push(library("glibc", &version, "LGPL-2.1-or-later", format!("pkg:deb/debian/{package}@{version}")));
    Ok(system)
}

fn library(name: &str, version: &str, license: &str, purl: String) -> (String, Value) {
    let component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "licenses": [{ "expression": license }],
        "purl": purl,
    });
    (purl, component)
}

/// A time in seconds since 1970, as RFC 3339 has it.
fn moment(date: u64) -> Result<String> {
    output(command("date").args(["--utc", "--date", &format!("@{date}"), "+%Y-%m-%dT%H:%M:%SZ"]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn checksums_are_read() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"r\"\nchecksum = \"12ab\"\n\
                    dependencies = [\n \"b\",\n]\n\n[[package]]\nname = \"own\"\nversion = \"0.1.0\"\n";
        let expected = [(("a".to_owned(), "1.0.0".to_owned()), "12ab".to_owned())];
        assert_eq!(checksums(lock), BTreeMap::from(expected));
    }

    #[test]
    fn licences_are_expressions() {
        assert_eq!(expression("MIT/Apache-2.0"), "MIT OR Apache-2.0");
        assert_eq!(expression("MIT AND ISC"), "MIT AND ISC");
    }

    #[test]
    fn time_is_told_as_everywhere() {
        assert_eq!(moment(1_700_000_000).unwrap(), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn a_bill_names_what_the_binary_has_in_it_and_nothing_twice() {
        let bill = bill(Architecture::Amd64, &crate::workspace::root(), b"abc", 0).unwrap();
        assert_eq!(bill, super::bill(Architecture::Amd64, &crate::workspace::root(), b"abc", 0).unwrap());
        let bill: Value = serde_json::from_slice(&bill).unwrap();
        let components = bill["components"].as_array().unwrap();
        let names: Vec<_> = components.iter().map(|component| component["name"].as_str().unwrap()).collect();
        for name in ["aya", "aya-ebpf", "redtap-ebpf", "tokio", "zstd-sys", "std", "glibc"] {
            assert!(names.contains(&name), "no {name}");
        }
        for name in ["syn", "aya-build", "cc", "proptest", "libtest-mimic", "redtap"] {
            assert!(!names.contains(&name), "{name} is in no binary");
        }
        let references: Vec<_> = components.iter().map(|component| &component["bom-ref"]).collect();
        let known: BTreeSet<_> = references.iter().map(|reference| reference.to_string()).collect();
        assert_eq!(known.len(), references.len());
        let own = bill["metadata"]["component"]["bom-ref"].to_string();
        for dependency in bill["dependencies"].as_array().unwrap() {
            let from = dependency["ref"].to_string();
            assert!(known.contains(&from) || from == own, "{from}");
            for to in dependency["dependsOn"].as_array().unwrap() {
                assert!(known.contains(&to.to_string()), "{to}");
            }
        }
        let foreign = components.iter().filter(|component| component["purl"].as_str().is_some_and(is_crate));
        assert!(foreign.clone().count() > 100);
        for component in foreign {
            assert!(component["hashes"][0]["content"].is_string(), "{component}");
            assert!(component["licenses"][0]["expression"].is_string(), "{component}");
        }
    }

    fn is_crate(purl: &str) -> bool {
        purl.starts_with("pkg:cargo/")
    }
}
