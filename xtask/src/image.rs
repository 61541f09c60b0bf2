//! `image`: the container image of the agent, as an archive and without a container engine. It is the one that
//! `deploy/container/Containerfile` describes, and the same bytes whenever it is made of the same files.

mod archive;

use std::env::consts::ARCH;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use self::archive::{Entry, archive, digest};
use crate::process::{command, run, say};
use crate::{apt, setup, workspace};

/// Where the image's configuration says that it was made.
const LABELS: [(&str, &str); 5] = [
    ("org.opencontainers.image.title", "redtap"),
    (
        "org.opencontainers.image.description",
        "Requests, errors and durations of every process on a Linux host, from its sockets' packets",
    ),
    ("org.opencontainers.image.version", env!("CARGO_PKG_VERSION")),
    ("org.opencontainers.image.source", env!("CARGO_PKG_REPOSITORY")),
    ("org.opencontainers.image.licenses", env!("CARGO_PKG_LICENSE")),
];

/// Authorities that vouch for receivers, as Debian's ca-certificates has them; the agent looks in the same place.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Names are looked for in /etc/hosts and then asked for: the two ways that are in libc itself, where others are
/// libraries to be loaded.
const NAME_SERVICES: &str = "hosts: files dns\n";

/// What is made, and where it goes.
#[derive(Debug)]
pub struct Options {
    /// The archive; in the target directory if not given.
    pub output: Option<PathBuf>,
    /// What the image is called.
    pub name: String,
    /// A directory for the files that are in the image, in place of the archive.
    pub root: Option<PathBuf>,
}

/// Makes the image and gives its archive, which `docker load`, `podman load`, `ctr images import` and `skopeo` read.
///
/// # Errors
/// When the agent does not build, or there are no certificates.
pub fn image(options: &Options) -> Result<PathBuf> {
    let entries = entries()?;
    if let Some(root) = &options.root {
        unpack(root, &entries)?;
        say(&format!("the image's files: {}", root.display()));
        return Ok(root.clone());
    }
    let image = archive(&options.name, &entries, &configuration)?;
    let output = match &options.output {
        Some(output) => output.clone(),
        None => workspace::scratch("image")?.join("redtap.tar"),
    };
    fs::write(&output, &image).with_context(|| format!("cannot write {}", output.display()))?;
    let megabytes = image.len() / 1_000_000;
    say(&format!("{}: {} ({megabytes} MB, {})", options.name, output.display(), digest(&image)));
    Ok(output)
}

/// The image's files and directories, each directory before what is in it.
fn entries() -> Result<Vec<Entry>> {
    let binary = static_binary()?;
    if !Path::new(CERTIFICATES).is_file() {
        ensure!(apt::there(), "no {CERTIFICATES}: install your system's ca-certificates");
        apt::install(&["ca-certificates"], "authorities that the image's exporters trust")?;
    }
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    Ok(vec![
        Entry::file("LICENSE", 0o644, read(&workspace::root().join("LICENSE"))?),
        Entry::directory("etc"),
        Entry::file("etc/nsswitch.conf", 0o644, NAME_SERVICES.into()),
        // For the configuration file.
        Entry::directory("etc/redtap"),
        Entry::directory("etc/ssl"),
        Entry::directory("etc/ssl/certs"),
        Entry::file("etc/ssl/certs/ca-certificates.crt", 0o644, read(Path::new(CERTIFICATES))?),
        Entry::file("redtap", 0o755, binary),
    ])
}

/// Builds the agent so that it needs no file but itself.
///
/// It is linked with glibc, as everywhere: musl's allocator costs more, and does not give memory back. Since glibc
/// 2.34, looking up names by files and DNS works in such a binary. It is not for hosts, where the name services of
/// nsswitch.conf may be libraries of another glibc.
fn static_binary() -> Result<Vec<u8>> {
    setup::setup()?;
    let target = format!("{ARCH}-unknown-linux-gnu");
    let mut flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    flags += " -C target-feature=+crt-static -C strip=debuginfo";
    let mut cargo = command("cargo");
    // Naming the target keeps the flags from what runs while building.
    cargo.current_dir(workspace::root()).args(["build", "--package", "redtap", "--release", "--target", &target]);
    run(cargo.env("RUSTFLAGS", flags.trim()).env("REDTAP_REQUIRE_PROBES", "1")).with_context(|| {
        format!("redtap does not build as a static binary: it takes rustup's {target} and libc.a (libc6-dev)")
    })?;
    let path = workspace::built(&format!("{target}/release"), "redtap")?;
    let binary = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(is_static(&binary), "{} is not static", path.display());
    Ok(binary)
}

/// Whether a little-endian ELF executable of 64 bits asks for no interpreter (elf(5)): no program header is a
/// `PT_INTERP`.
fn is_static(elf: &[u8]) -> bool {
    const PT_INTERP: u64 = 3;
    let number = |at: usize, size: usize| -> Option<u64> {
        let bytes = elf.get(at..at.checked_add(size)?)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    };
    let kind = |header: u64| {
        let at = number(0x20, 8)?.checked_add(header.checked_mul(number(0x36, 2)?)?)?;
        number(usize::try_from(at).ok()?, 4)
    };
    let headers = number(0x38, 2).filter(|_| elf.starts_with(b"\x7fELF\x02\x01"));
    headers.is_some_and(|headers| (0..headers).all(|header| kind(header).is_some_and(|kind| kind != PT_INTERP)))
}

/// The image's configuration (OCI Image Format, "Image Configuration"), for a layer with this digest.
fn configuration(layer: &str) -> Result<Value> {
    let architecture = match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("no word for {other} in images"),
    };
    let labels: serde_json::Map<_, _> =
        LABELS.map(|(name, value)| (name.to_owned(), value.into())).into_iter().collect();
    Ok(json!({
        "created": archive::CREATED,
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": "0:0",
            "Env": ["PATH=/"],
            "Entrypoint": ["/redtap"],
            "Cmd": ["run"],
            "WorkingDir": "/",
            "Labels": labels,
        },
        "rootfs": { "type": "layers", "diff_ids": [layer] },
        "history": [{ "created": archive::CREATED, "created_by": "cargo xtask image" }],
    }))
}

/// Writes the files below `root`.
fn unpack(root: &Path, entries: &[Entry]) -> Result<()> {
    for entry in entries {
        let path = root.join(entry.path);
        match &entry.content {
            None => fs::create_dir_all(&path),
            Some(content) => fs::create_dir_all(root).and_then(|()| fs::write(&path, content)),
        }
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(entry.mode)))
        .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
