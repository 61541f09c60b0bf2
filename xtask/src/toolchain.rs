//! The compiler and the linker of the kernel side.

use std::path::Path;
use std::{env, fs};

use anyhow::{Context as _, Result, bail};

use crate::process::{command, find, output, run, say, succeeds};
use crate::{apt, workspace};

/// The rustup toolchain that stands for the distribution's compiler; `agent/build.rs` looks for it.
const LINKED: &str = "redtap-bpf";

/// Debian's compiler of Rust, and its `core` for the kernel side's target.
const DEBIAN_COMPILER: [&str; 2] = ["rustc-web", "libstd-rust-web-dev-bpf"];

/// The `bpf-linker` that goes with the aya of the workspace.
const LINKER_VERSION: &str = "^0.13";

/// A compiler that can build the kernel side.
#[derive(Debug)]
pub struct Compiler {
    /// rustup's name of it.
    pub toolchain: String,
    /// Where `core` comes from.
    pub core: Core,
}

/// Where a compiler has `core` for `bpfel-unknown-none` from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    /// It comes compiled.
    Prebuilt,
    /// It is compiled from the component rust-src, which takes a nightly.
    Source,
}

impl Compiler {
    /// The compiler that `agent/build.rs` will take, in its order.
    ///
    /// # Errors
    /// When the one named by `REDTAP_BPF_TOOLCHAIN` is not there.
    pub fn find() -> Result<Option<Self>> {
        if let Some(named) = env::var("REDTAP_BPF_TOOLCHAIN").ok().filter(|name| !name.is_empty()) {
            let found = Self::of(&named, Core::Prebuilt).or_else(|| Self::of(&named, Core::Source));
            return match found {
                Some(compiler) => Ok(Some(compiler)),
                None => {
                    bail!("REDTAP_BPF_TOOLCHAIN names {named}, which has neither `core` for eBPF nor rust-src")
                }
            };
        }
        Ok(Self::of("nightly", Core::Source).or_else(|| Self::of(LINKED, Core::Prebuilt)))
    }

    /// Installs one: Debian's where apt has it, else rustup's nightly.
    ///
    /// # Errors
    /// When neither can be had.
    pub fn install() -> Result<Self> {
        if find("rustup").is_none() {
            bail!("rustup is missing: it chooses the compiler of the kernel side; see https://rustup.rs");
        }
        let why = "the kernel side's compiler, with `core` for eBPF";
        if apt::there() && (apt::missing(&DEBIAN_COMPILER).is_empty() || apt::can_install(&DEBIAN_COMPILER)?) {
            apt::install(&DEBIAN_COMPILER, why)?;
            say(&format!("linking /usr as rustup's toolchain {LINKED}: how cargo finds Debian's compiler"));
            run(command("rustup").args(["toolchain", "link", LINKED, "/usr"]))?;
            return Self::of(LINKED, Core::Prebuilt).context("Debian's compiler has no `core` for eBPF");
        }
        say("installing rustup's nightly with rust-src: the kernel side's compiler, with the source of `core`");
        run(command("rustup").args(["toolchain", "install", "nightly", "--profile", "minimal"]))?;
        run(command("rustup").args(["component", "add", "rust-src", "--toolchain", "nightly"]))?;
        Self::of("nightly", Core::Source).context("rustup's nightly has no source of `core`")
    }

    fn of(toolchain: &str, core: Core) -> Option<Self> {
        let compiler = Self { toolchain: toolchain.to_owned(), core };
        let root = output(compiler.rustc().args(["--print", "sysroot"])).ok()?;
        let has = match core {
            Core::Prebuilt => "lib/rustlib/bpfel-unknown-none/lib",
            Core::Source => "lib/rustlib/src/rust/library/core",
        };
        Path::new(&root).join(has).exists().then_some(compiler)
    }

    fn rustc(&self) -> std::process::Command {
        let mut rustc = command("rustup");
        rustc.args(["run", &self.toolchain, "rustc"]);
        rustc
    }

    /// The major version of its LLVM.
    fn llvm(&self) -> Result<u32> {
        let version = output(self.rustc().arg("-vV"))?;
        version
            .lines()
            .find_map(|line| line.strip_prefix("LLVM version: "))
            .and_then(|version| version.split('.').next())
            .and_then(|major| major.parse().ok())
            .with_context(|| format!("the toolchain {} does not tell its LLVM", self.toolchain))
    }

    /// Whether the installed linker reads what this compiler writes: it links a function.
    fn is_linked_by_what_is_there(&self) -> Result<bool> {
        let directory = workspace::scratch("linker")?;
        let (source, bitcode, object) =
            (directory.join("probe.rs"), directory.join("probe.bc"), directory.join("probe.o"));
        fs::write(&source, "#![no_std]\n#[unsafe(no_mangle)]\npub extern \"C\" fn probe() -> i32 {\n    1\n}\n")?;
        let compiling = ["--edition=2024", "--crate-type=lib", "--emit=llvm-bc", "-o"];
        output(self.rustc().args(compiling).args([&bitcode, &source])).context("cannot compile a function")?;
        let linking = ["--target=bpfel", "--emit=obj", "--export=probe", "-o"];
        Ok(succeeds(command("bpf-linker").args(linking).args([&object, &bitcode])))
    }
}

/// Installs `bpf-linker` built for the compiler's LLVM, unless it is there.
///
/// # Errors
/// When it cannot be built, or does not link what the compiler writes.
pub fn install_linker(compiler: &Compiler) -> Result<()> {
    let there = find("bpf-linker").is_some();
    if there && compiler.is_linked_by_what_is_there()? {
        return Ok(());
    }
    let llvm = compiler.llvm()?;
    let state = if there { "does not link what the compiler writes" } else { "is missing" };
    say(&format!("bpf-linker {state}: building it for LLVM {llvm}, a minute or two (cargo install)"));
    let mut install = command("cargo");
    install.args(["install", "--locked", "--force", "--version", LINKER_VERSION, "bpf-linker"]);
    install.args(["--no-default-features", "--features", &format!("llvm-{llvm}")]);
    if apt::there() {
        let (development, polly) = (format!("llvm-{llvm}-dev"), format!("libpolly-{llvm}-dev"));
        let mut packages = vec![&*development, &polly, "zlib1g-dev", "libzstd-dev", "libxml2-dev"];
        if find("c++").is_none() {
            packages.push("g++");
        }
        apt::install(&packages, "bpf-linker is built with the compiler's LLVM")?;
        let prefix = format!("/usr/lib/llvm-{llvm}");
        install.env("RUSTFLAGS", format!("-L {prefix}/lib")).env("LLVM_PREFIX", prefix);
    }
    run(&mut install).with_context(|| {
        format!("cannot build bpf-linker; it needs LLVM {llvm} with headers, whose place LLVM_PREFIX tells")
    })?;
    if !compiler.is_linked_by_what_is_there()? {
        bail!("bpf-linker does not link what the toolchain {} writes", compiler.toolchain);
    }
    Ok(())
}
