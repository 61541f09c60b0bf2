//! Debian's packages.

use anyhow::{Context as _, Result, bail};

use crate::process::{as_root, command, find, output, run, say, succeeds};

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
        let already = std::path::Path::new(Self::POLICY).exists();
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
