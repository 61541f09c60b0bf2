//! A kernel's modules, in the order in which they have to be loaded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, str};

use anyhow::{Context as _, Result, bail};

use crate::process::{command, line};

/// What the stories and the agent need beyond what is compiled in; where one is missing it is compiled in, or newer.
const WANTED: [&str; 13] = [
    "inet_diag",
    "tcp_diag",
    "veth",
    "tls",
    "nf_tables",
    "nft_reject",
    "nft_reject_inet",
    "nft_reject_ipv4",
    "nft_numgen",
    "nft_limit",
    "nft_ct",
    "nf_conntrack",
    "nf_conntrack_netlink",
];

/// Reads them from a directory `lib/modules/VERSION`: names and what is in them, what others need first.
///
/// # Errors
/// When one cannot be read.
pub fn modules(directory: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = BTreeMap::new();
    list(&directory.join("kernel"), &mut files)?;
    let mut ordered = Vec::new();
    for name in WANTED {
        add(name, &files, &mut ordered)?;
    }
    Ok(ordered)
}

fn list(directory: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else if let Some((name, _)) =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split_once(".ko"))
        {
            // Files have dashes where the kernel has underscores.
            files.insert(name.replace('-', "_"), path);
        }
    }
    Ok(())
}

fn add(name: &str, files: &BTreeMap<String, PathBuf>, ordered: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let Some(path) = files.get(name) else { return Ok(()) };
    if ordered.iter().any(|(known, _)| known == name) {
        return Ok(());
    }
    let module = content(path)?;
    for needed in depends(&module) {
        add(&needed, files, ordered)?;
    }
    ordered.push((name.to_owned(), module));
    Ok(())
}

fn content(path: &Path) -> Result<Vec<u8>> {
    let program = match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => return fs::read(path).with_context(|| format!("cannot read {}", path.display())),
    };
    let mut unpack = command(program);
    unpack.arg("-dc").arg(path);
    let output = unpack.output().with_context(|| format!("cannot start {}", line(&unpack)))?;
    if !output.status.success() {
        bail!("{}: {}", output.status, line(&unpack));
    }
    Ok(output.stdout)
}

/// The modules that a module says it needs (`depends=` in its section `.modinfo`).
fn depends(module: &[u8]) -> Vec<String> {
    let said = module.split(|byte| *byte == 0).find_map(|text| text.strip_prefix(b"depends="));
    let names = said.and_then(|names| str::from_utf8(names).ok()).unwrap_or_default();
    names.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

#[cfg(test)]
mod tests {
    use super::depends;

    #[test]
    fn what_a_module_needs_is_read() {
        assert_eq!(depends(b"\x7fELF\0license=GPL\0depends=nf_tables,x-y\0name=a\0"), ["nf_tables", "x_y"]);
        assert!(depends(b"a\0depends=\0b").is_empty());
        assert!(depends(b"nothing").is_empty());
    }
}
