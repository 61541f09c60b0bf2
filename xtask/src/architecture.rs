//! The architectures that redtap is released for, and what building for another than this host's takes.

use std::env::consts::ARCH;

use anyhow::{Context as _, Result, ensure};

use crate::process::{command, find, output, run, say};
use crate::{apt, workspace};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Architecture {
    /// 64 bits of Intel and AMD.
    Amd64,
    /// 64 bits of Arm.
    Arm64,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// This host's.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn of_host() -> Result<Self> {
        let own = Self::ALL.into_iter().find(|architecture| architecture.rust() == ARCH);
        own.with_context(|| format!("nothing is released for {ARCH}"))
    }

    /// As Rust and the kernel call it.
    pub const fn rust(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// As Debian, Go and container images call it.
    pub const fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Rust's target.
    pub fn target(self) -> String {
        format!("{}-unknown-linux-gnu", self.rust())
    }

    /// The C compiler that builds and links for it on any host, by the name that Debian gives it.
    pub fn compiler(self) -> String {
        format!("{}-linux-gnu-gcc", self.rust())
    }

    /// Installs what building for it takes: rustup's standard library and, where this host is another, a compiler and libc.
    ///
    /// # Errors
    /// When something cannot be had.
    pub fn setup(self) -> Result<()> {
        let target = self.target();
        if find("rustup").is_some() {
            let installed =
                output(command("rustup").current_dir(workspace::root()).args(["target", "list", "--installed"]))?;
            if !installed.lines().any(|line| line == target) {
                say(&format!("adding rustup's {target}: the standard library for {}", self.debian()));
                run(command("rustup").current_dir(workspace::root()).args(["target", "add", &target]))?;
            }
        }
        if self.is_hosts() || find(&self.compiler()).is_some() {
            return Ok(());
        }
        // Debian's names of packages have dashes where those of compilers have underscores.
        let gcc = format!("gcc-{}-linux-gnu", self.rust().replace('_', "-"));
        let libc = format!("libc6-dev-{}-cross", self.debian());
        ensure!(apt::there(), "missing: {gcc} {libc} (Debian's names): what builds for {}", self.debian());
        apt::install(&[&gcc, &libc], &format!("a compiler and libc.a for {}", self.debian()))
    }

    /// Whether it is this host's.
    pub fn is_hosts(self) -> bool {
        self.rust() == ARCH
    }
}
