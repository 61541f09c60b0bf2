//! `dist --check`: the release once more, of a copy of the sources in another directory.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::Files;
use crate::process::{command, output, say};
use crate::workspace;

/// Makes it by `make`, of the sources in one directory and in cargo's other, and compares.
///
/// # Errors
/// When it cannot be made, or is not the same.
pub fn check(first: &Files, make: &dyn Fn(&Path, &Path) -> Result<Files>) -> Result<()> {
    let directory = workspace::scratch("dist-again")?;
    fs::remove_dir_all(&directory).context("cannot remove an older copy")?;
    let (root, target) = (directory.join("a/copy/of/redtap"), directory.join("built"));
    copy(&root)?;
    say(&format!("once more, of a copy: {}", root.display()));
    let second = make(&root, &target)?;
    let differing = differing(first, &second);
    if !differing.is_empty() {
        bail!("not the same bytes when made in {}: {}", root.display(), differing.join(", "));
    }
    // Two gigabytes, which nobody needs.
    fs::remove_dir_all(&directory).context("cannot remove the copy")?;
    say("once more, and the same bytes");
    Ok(())
}

/// Copies every file that git knows, or would.
fn copy(to: &Path) -> Result<()> {
    let root = workspace::root();
    let listing = ["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"];
    let files =
        output(command("git").current_dir(&root).args(listing)).context("cannot list the repository's files")?;
    // One that is listed may be removed in the work tree.
    for file in files.lines().filter(|file| root.join(file).is_file()) {
        let path = to.join(file);
        fs::create_dir_all(path.parent().context("a file in a directory")?)?;
        fs::copy(root.join(file), &path).with_context(|| format!("cannot copy {file}"))?;
    }
    Ok(())
}

/// Names of files that are in one alone, or another in the other.
fn differing<'a>(first: &'a Files, second: &'a Files) -> Vec<&'a str> {
    let mut names: Vec<_> = first.keys().chain(second.keys()).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| first.get(*name) != second.get(*name));
    names
}

#[cfg(test)]
mod tests {
    use super::{Files, differing};

    #[test]
    fn what_is_missing_or_another_is_named() {
        let files = |files: &[(&str, &str)]| -> Files {
            files.iter().map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec())).collect()
        };
        let first = files(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let second = files(&[("a", "1"), ("b", "2"), ("d", "1")]);
        assert_eq!(differing(&first, &second), ["b", "c", "d"]);
        assert!(differing(&first, &first).is_empty());
    }
}
