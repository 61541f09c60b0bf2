//! Debian's packages: installed, or unpacked apart from the host's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::architecture::Architecture;
use crate::process::{as_root, command, find, output, run, say, succeeds};
use crate::workspace;

/// Whether this is a system with apt.
pub fn there() -> bool {
    find("apt-get").is_some() && find("dpkg-query").is_some()
}

/// The packages of `wanted` that are not installed.
pub fn missing<'a>(wanted: &[&'a str]) -> Vec<&'a str> {
    // Prints what is known, and fails for what is not.
    let known = command("dpkg-query")
        .args(["--show", "--showformat", "${db:Status-Status} ${Package}\n"])
        .args(wanted)
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let installed: Vec<&str> = known.lines().filter_map(|line| line.strip_prefix("installed ")).collect();
    wanted.iter().copied().filter(|package| !installed.contains(package)).collect()
}

/// Whether apt can install these without removing anything; fetches the lists of packages when it seems not.
///
/// # Errors
/// When the lists cannot be fetched.
pub fn can_install(packages: &[&str]) -> Result<bool> {
    let simulate = || succeeds(command("apt-get").args(["install", "--simulate", "--no-remove"]).args(packages));
    if simulate() {
        return Ok(true);
    }
    say("apt does not know these packages, or not these versions of them: fetching its lists (apt-get update)");
    run(&mut as_root("apt-get", &["update", "--quiet=2"])?).context("cannot fetch the lists of packages")?;
    Ok(simulate())
}

/// Installs packages, without what they recommend and without starting the services they bring.
///
/// # Errors
/// When one cannot be had.
pub fn install(packages: &[&str], why: &str) -> Result<()> {
    let _turn = workspace::turn("apt")?;
    let packages = missing(packages);
    if packages.is_empty() {
        return Ok(());
    }
    say(&format!("installing {}: {why}", packages.join(" ")));
    if !can_install(&packages)? {
        bail!("apt cannot install {}: {why}", packages.join(" "));
    }
    let guard = ServiceGuard::put()?;
    // A variable given to `env` also passes through sudo.
    let mut args = vec!["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--quiet=2"];
    args.extend(["--no-install-recommends", "--no-remove", "-o", "Dpkg::Use-Pty=0"]);
    // Another may be installing.
    args.extend(["-o", "DPkg::Lock::Timeout=300"]);
    args.extend(&packages);
    let installed = run(as_root("env", &args)?.stdin(std::process::Stdio::null()).stdout(std::io::stderr()));
    guard.remove()?;
    installed
}

/// What Debian asks before a package starts its service: an answer that it may not.
struct ServiceGuard {
    /// The system has an answer of its own, which stays.
    already: bool,
}

impl ServiceGuard {
    const POLICY: &str = "/usr/sbin/policy-rc.d";

    fn put() -> Result<Self> {
        let already = Path::new(Self::POLICY).exists();
        if !already {
            // 101: action forbidden by policy.
            let script = format!("printf '#!/bin/sh\\nexit 101\\n' > {0} && chmod 755 {0}", Self::POLICY);
            output(&mut as_root("sh", &["-c", &script])?).context("cannot keep services from starting")?;
        }
        Ok(Self { already })
    }

    fn remove(self) -> Result<()> {
        if !self.already {
            output(&mut as_root("rm", &["-f", Self::POLICY])?)
                .context("cannot remove the answer about services")?;
        }
        Ok(())
    }
}

/// An apt of its own, that knows nothing of the host's packages and changes nothing of them.
pub struct Private {
    directory: PathBuf,
    configuration: PathBuf,
}

impl Private {
    /// Makes one in `directory`, and fetches the lists of what there is for an architecture.
    ///
    /// # Errors
    /// When they cannot be fetched.
    pub fn new(directory: &Path, sources: &str, architecture: Architecture) -> Result<Self> {
        let apt = directory.join("apt");
        for needed in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(apt.join(needed)).with_context(|| format!("cannot make {needed}"))?;
        }
        fs::write(apt.join("sources.list"), sources)?;
        fs::write(apt.join("status"), "")?;
        let (path, architecture) = (apt.display(), architecture.debian());
        let text = format!(
            "Dir::Etc::sourcelist \"{path}/sources.list\";\nDir::Etc::sourceparts \"/dev/null\";\n\
             Dir::Etc::preferencesparts \"/dev/null\";\nDir::State::lists \"{path}/lists\";\n\
             Dir::State::status \"{path}/status\";\nDir::Cache \"{path}/cache\";\n\
             Acquire::Languages \"none\";\nAPT::Sandbox::User \"\";\n\
             APT::Architecture \"{architecture}\";\nAPT::Architectures {{ \"{architecture}\"; }};\n"
        );
        let configuration = apt.join("apt.conf");
        fs::write(&configuration, text)?;
        let private = Self { directory: directory.to_owned(), configuration };
        run(private.tool("apt-get").args(["update", "--quiet=2"]))
            .context("cannot fetch Debian's lists of packages")?;
        Ok(private)
    }

    /// Names of packages that begin with `prefix`.
    ///
    /// # Errors
    /// When apt does not tell.
    pub fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let found = output(self.tool("apt-cache").args(["search", "--names-only", &format!("^{prefix}")]))?;
        let names = found.lines().filter_map(|line| line.split(' ').next());
        Ok(names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect())
    }

    /// Fetches a package and unpacks it below `root`.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn unpack(&self, package: &str, root: &Path) -> Result<()> {
        run(self.tool("apt-get").args(["download", "--quiet=2", package]))
            .with_context(|| format!("cannot fetch Debian's package {package}"))?;
        let archive = newest(&self.directory, package)?;
        fs::create_dir_all(root)?;
        run(command("dpkg-deb").arg("--extract").args([archive.as_path(), root]))?;
        fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))
    }

    fn tool(&self, program: &str) -> Command {
        let mut tool = command(program);
        tool.arg("-c").arg(&self.configuration).current_dir(&self.directory);
        tool
    }
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
