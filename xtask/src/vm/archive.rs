//! A root file system as the kernel unpacks it at boot: an archive in cpio's format `newc`
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::process::{command, output};

/// Kinds of files, in the upper bits of their modes (inode(7)).
const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// What a path is.
#[derive(Debug)]
struct Node {
    mode: u32,
    content: Vec<u8>,
}

/// A root file system that grows.
#[derive(Debug, Default)]
pub struct Root {
    /// By path without the leading `/`, so that directories come before what is in them.
    nodes: BTreeMap<PathBuf, Node>,
}

impl Root {
    /// An empty directory.
    pub fn directory(&mut self, path: &str) {
        self.put(Path::new(path), DIRECTORY | 0o755, Vec::new());
    }

    /// A symbolic link.
    pub fn link(&mut self, path: &str, to: &str) {
        self.put(Path::new(path), LINK | 0o777, to.as_bytes().to_vec());
    }

    /// A file.
    pub fn file(&mut self, path: &str, mode: u32, content: Vec<u8>) {
        self.put(Path::new(path), FILE | mode, content);
    }

    /// A file of the host at its own place; of a program, its interpreter and libraries as well.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn host_file(&mut self, path: &Path) -> Result<()> {
        self.host_file_as(path, path)
    }

    /// A file of the host at another place.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn host_file_as(&mut self, path: &Path, place: &Path) -> Result<()> {
        // The directory is the one that is meant, not a link to it: a root has /usr/lib and a link /lib.
        let parent = place.parent().context("a file has a directory")?;
        let name = place.file_name().context("a file has a name")?;
        let place = parent.canonicalize().unwrap_or_else(|_| parent.to_owned()).join(name);
        if self.nodes.contains_key(&relative(&place)) {
            return Ok(());
        }
        let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mode = fs::metadata(path)?.permissions().mode() & 0o777;
        let libraries = if content.starts_with(b"\x7fELF") { libraries(path)? } else { Vec::new() };
        self.put(&place, FILE | mode, content);
        libraries.iter().try_for_each(|library| self.host_file(library))
    }

    /// A directory of the host with all that is in it and that `wanted` takes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn host_directory(&mut self, path: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<()> {
        for entry in fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
            let path = entry?.path();
            // A link to nowhere is left out.
            let Ok(metadata) = fs::metadata(&path) else { continue };
            match wanted(&path) {
                true if metadata.is_dir() => self.host_directory(&path, wanted)?,
                true if metadata.is_file() => self.host_file(&path)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn put(&mut self, path: &Path, mode: u32, content: Vec<u8>) {
        let path = relative(path);
        for parent in path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
            let directory = || Node { mode: DIRECTORY | 0o755, content: Vec::new() };
            self.nodes.entry(parent.to_owned()).or_insert_with(directory);
        }
        self.nodes.insert(path, Node { mode, content });
    }

    /// The archive.
    ///
    /// # Errors
    /// When a file is too large for it.
    pub fn archive(&self) -> Result<Vec<u8>> {
        let mut archive = Vec::new();
        for (number, (path, node)) in (1..).zip(&self.nodes) {
            let name = path.to_str().with_context(|| format!("{} is no text", path.display()))?;
            member(&mut archive, number, name, node)?;
        }
        member(&mut archive, 0, "TRAILER!!!", &Node { mode: 0, content: Vec::new() })?;
        Ok(archive)
    }
}

fn relative(path: &Path) -> PathBuf {
    path.components().filter(|component| matches!(component, Component::Normal(_))).collect()
}

fn member(archive: &mut Vec<u8>, number: u32, name: &str, node: &Node) -> Result<()> {
    let size = u32::try_from(node.content.len()).ok().filter(|size| *size < u32::MAX);
    let size = size.with_context(|| format!("{name} is too large"))?;
    let length = u32::try_from(name.len() + 1).context("a long name")?;
    let links = if node.mode & DIRECTORY != 0 { 2 } else { 1 };
    // Number, mode, owner, group, links, time, size, device and device of a device file, name's length, checksum.
    let fields = [number, node.mode, 0, 0, links, 0, size, 0, 0, 0, 0, length, 0];
    archive.extend(b"070701");
    for field in fields {
        archive.extend(format!("{field:08x}").bytes());
    }
    archive.extend(name.bytes());
    archive.push(0);
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend(&node.content);
    archive.resize(archive.len().next_multiple_of(4), 0);
    Ok(())
}

/// The interpreter and the libraries of a program or library; none of a static one.
fn libraries(path: &Path) -> Result<Vec<PathBuf>> {
    // The libraries are the distribution's, whatever the caller's environment says.
    let mut ldd = command("ldd");
    let Ok(text) = output(ldd.arg(path).env_remove("LD_LIBRARY_PATH")) else { return Ok(Vec::new()) };
    ensure!(!text.contains("not found"), "{} lacks a library: {text}", path.display());
    Ok(listed(&text))
}

/// The paths in what `ldd` prints: `name => /path (address)`, or `/path (address)` of an interpreter.
fn listed(text: &str) -> Vec<PathBuf> {
    let words = text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    words.map(PathBuf::from).collect()
}

/// The directories that are links into `/usr` where the host has them so.
pub fn merged() -> Vec<(String, String)> {
    let links = ["bin", "sbin", "lib", "lib64"].into_iter().filter_map(|name| {
        let to = fs::read_link(Path::new("/").join(name)).ok()?;
        Some((name.to_owned(), to.to_str()?.to_owned()))
    });
    links.collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Root, listed};

    #[test]
    fn directories_come_before_what_is_in_them() {
        let mut root = Root::default();
        root.file("/b/c/d", 0o755, b"12345".to_vec());
        root.link("/a", "b/c");
        let archive = root.archive().unwrap();
        let names: Vec<_> = archive
            .split(|byte| *byte == 0)
            .filter_map(|text| std::str::from_utf8(text).ok()?.split_once("070701"))
            .map(|(_, header)| (header[8..16].to_owned(), header[104..].to_owned()))
            .collect();
        let expected = [
            ("0000a1ff", "a"),
            ("000041ed", "b"),
            ("000041ed", "b/c"),
            ("000081ed", "b/c/d"),
            ("00000000", "TRAILER!!!"),
        ];
        assert_eq!(names, expected.map(|(mode, name)| (mode.to_owned(), name.to_owned())));
        assert_eq!(archive.len() % 4, 0);
    }

    #[test]
    fn what_ldd_prints_is_read() {
        let text = "\tlinux-vdso.so.1 (0x1)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x2)\n\t/lib64/ld.so (0x3)\n";
        assert_eq!(listed(text), ["/lib/x/libc.so.6", "/lib64/ld.so"].map(PathBuf::from));
        assert!(listed("\tstatically linked\n").is_empty());
    }
}
