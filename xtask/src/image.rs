//! `image`: the container image of the agent, as an archive and without a container engine. It is the one that
//! `deploy/container/Containerfile` describes, and the same bytes whenever it is made of the same files.

mod archive;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

pub use self::archive::sha256;
use self::archive::{Entry, archive, digest};
use crate::architecture::Architecture;
use crate::process::say;
use crate::{apt, build, workspace};

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

/// What the image is called in the chart.
const NAME: &str = concat!("localhost/redtap:", env!("CARGO_PKG_VERSION"));

/// What is made, and where it goes.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The archive; in the target directory if not given.
    #[arg(long)]
    pub output: Option<PathBuf>,
    /// What the image is called.
    #[arg(long, default_value = NAME)]
    pub name: String,
    /// A directory to put the image's files into, instead of making the archive.
    #[arg(long)]
    pub root: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { output: None, name: NAME.to_owned(), root: None }
    }
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
    let binary = build::release()?;
    if !Path::new(CERTIFICATES).is_file() {
        ensure!(apt::there(), "no {CERTIFICATES}: install your system's ca-certificates");
        apt::install(&["ca-certificates"], "authorities that the image's exporters trust")?;
    }
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    Ok(vec![
        Entry::file("LICENSE", 0o644, read(&workspace::root().join("LICENSE"))?),
        Entry::directory("etc"),
        // For the configuration file.
        Entry::directory("etc/redtap"),
        Entry::directory("etc/ssl"),
        Entry::directory("etc/ssl/certs"),
        Entry::file("etc/ssl/certs/ca-certificates.crt", 0o644, read(Path::new(CERTIFICATES))?),
        Entry::file("redtap", 0o755, read(&binary)?),
    ])
}

/// The image's configuration (OCI Image Format, "Image Configuration"), for a layer with this digest.
fn configuration(layer: &str) -> Result<Value> {
    let labels: serde_json::Map<_, _> =
        LABELS.map(|(name, value)| (name.to_owned(), value.into())).into_iter().collect();
    Ok(json!({
        "created": archive::CREATED,
        "architecture": Architecture::of_host()?.debian(),
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
