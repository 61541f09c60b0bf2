//! `dist`: the release, the same bytes whenever and wherever it is made of the same sources by the same compilers. For each
//! architecture an archive and a bill of materials, and the checksums of all of them.

mod again;
mod bill;
mod tree;
mod tried;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, Result};

use crate::architecture::Architecture;
use crate::image::sha256;
use crate::process::{command, output, say};
use crate::tarball::{Tarball, gzip};
use crate::{build, workspace};

/// What comes along with the binary: files of the repository, and directories with all the files in them.
const ALONG: [&str; 6] = ["CHANGELOG.md", "LICENSE", "README.md", "deploy/README.md", "deploy/systemd", "docs"];

/// The file with everybody's checksum, as `sha256sum --check` reads it.
const CHECKSUMS: &str = "SHA256SUMS";

/// What is made.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Only for these.
    #[arg(long, value_delimiter = ',', default_values = ["amd64", "arm64"])]
    architecture: Vec<Architecture>,
    /// Run the binaries; make all once more, of a copy of the sources in another directory, and complain if a byte is another.
    #[arg(long)]
    check: bool,
}

/// A release: content by name.
type Files = BTreeMap<String, Vec<u8>>;

/// Makes the release in the target directory and prints the checksums. Its date is `SOURCE_DATE_EPOCH` when set, else that of
/// the commit.
///
/// # Errors
/// When the agent does not build, or the second release is not the same as the first.
pub fn dist(options: &Options) -> Result<()> {
    let (root, date) = (workspace::root(), date()?);
    let files = files(&options.architecture, &root, &workspace::target()?, date)?;
    let directory = workspace::scratch("dist")?;
    // Nothing of an older one is to stay.
    fs::remove_dir_all(&directory).context("cannot remove an older release")?;
    let directory = workspace::scratch("dist")?;
    for (name, content) in &files {
        let path = directory.join(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    say(&format!("the release: {}", directory.display()));
    print!("{}", checksums(&files));
    if options.check {
        tried::run(&options.architecture, &workspace::target()?)?;
        again::check(&files, &|root, target| self::files(&options.architecture, root, target, date))?;
    }
    Ok(())
}

/// When the sources were as they are, in seconds since 1970 (reproducible-builds.org, `SOURCE_DATE_EPOCH`).
fn date() -> Result<u64> {
    if let Ok(date) = env::var("SOURCE_DATE_EPOCH") {
        return date.parse().with_context(|| format!("SOURCE_DATE_EPOCH is no number: {date}"));
    }
    let mut git = command("git");
    let date = output(git.current_dir(workspace::root()).args(["log", "-1", "--format=%ct"]));
    date.context("no commit that tells the date: set SOURCE_DATE_EPOCH")?.parse().context("a commit's date")
}

/// Everything, made of the sources in `root` in cargo's directory `target`.
fn files(architectures: &[Architecture], root: &Path, target: &Path, date: u64) -> Result<Files> {
    let mut files = Files::new();
    for architecture in architectures {
        say(&format!("building for {}", architecture.debian()));
        let binary = build::release_for(*architecture, root, target)?;
        let binary = fs::read(&binary).with_context(|| format!("cannot read {}", binary.display()))?;
        let name = format!("redtap-{}-linux-{}", env!("CARGO_PKG_VERSION"), architecture.debian());
        files.insert(format!("{name}.cdx.json"), bill::bill(*architecture, root, &binary, date)?);
        files.insert(format!("{name}.tar.gz"), archive(&name, &entries(root, binary)?, date)?);
    }
    let checksums = checksums(&files).into_bytes();
    files.insert(CHECKSUMS.to_owned(), checksums);
    Ok(files)
}

/// What is in an archive, below its one directory: permissions and content by path.
fn entries(root: &Path, binary: Vec<u8>) -> Result<BTreeMap<String, (u32, Vec<u8>)>> {
    let mut entries = BTreeMap::from([("redtap".to_owned(), (0o755, binary))]);
    for name in ALONG {
        let path = root.join(name);
        let paths = if path.is_dir() { listed(&path)? } else { vec![path] };
        for path in paths {
            let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let name = path.strip_prefix(root).context("a file of the sources")?;
            let name = name.to_str().with_context(|| format!("{} is not UTF-8", name.display()))?;
            entries.insert(name.to_owned(), (0o644, content));
        }
    }
    Ok(entries)
}

/// The files in a directory; not those in directories in it.
fn listed(directory: &Path) -> Result<Vec<PathBuf>> {
    let read = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut paths = Vec::new();
    for entry in read {
        let path = entry?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// The archive, all of it in the directory `name`; directories come before what is in them.
fn archive(name: &str, entries: &BTreeMap<String, (u32, Vec<u8>)>, date: u64) -> Result<Vec<u8>> {
    let mut all = BTreeMap::from([(name.to_owned(), (0o755, None))]);
    for (path, (mode, content)) in entries {
        for (end, _) in path.match_indices('/') {
            all.insert(format!("{name}/{}", &path[..end]), (0o755, None));
        }
        all.insert(format!("{name}/{path}"), (*mode, Some(content.as_slice())));
    }
    let mut archive = Tarball::new(date);
    all.iter().try_for_each(|(path, (mode, content))| archive.add(path, *mode, *content))?;
    gzip(&archive.end()?)
}

/// A line for each file, as `sha256sum` writes it.
fn checksums(files: &Files) -> String {
    let files = files.iter().filter(|(name, _)| *name != CHECKSUMS);
    files.map(|(name, content)| format!("{}  {name}\n", sha256(content))).collect()
}

#[cfg(test)]
mod tests;
