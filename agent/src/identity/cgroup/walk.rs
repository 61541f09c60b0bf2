//! The cgroups that exist, out of the mounted hierarchy.

use std::{
    collections::VecDeque,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Entries of a directory looked at, on average: a cgroup's has some 50 files and its children.
const ENTRIES_PER_CGROUP: usize = 256;

/// How much of a hierarchy is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkLimits {
    /// Cgroups told of, those nearest to the root first.
    pub cgroups: usize,
    /// Levels below the root.
    pub depth: usize,
}

impl Default for WalkLimits {
    fn default() -> Self {
        Self { cgroups: 32_768, depth: 32 }
    }
}

/// What a walk came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Cgroups told of, the root among them.
    pub found: usize,
    /// Directories that were gone when it was their turn, could not be read, or lie beyond the limits, each without
    /// what is below it.
    pub passed_over: u64,
}

/// Tells `found` of the id and the path of every cgroup at or below `root`, a directory of cgroup v2, parents first.
///
/// Ids are the inode numbers of the directories. Symbolic links are not followed and other mounts are not entered;
/// cgroups may come and go meanwhile.
///
/// # Errors
///
/// `root` cannot be read.
pub(super) fn walk(root: &Path, limits: WalkLimits, found: &mut dyn FnMut(u64, &str)) -> io::Result<Walked> {
    let top = fs::metadata(root)?;
    let mut listing = fs::read_dir(root)?;
    let mut entries = limits.cgroups.saturating_mul(ENTRIES_PER_CGROUP);
    let mut walked = Walked { found: 1, passed_over: 0 };
    found(top.ino(), "/");
    let mut waiting: VecDeque<(PathBuf, String, usize)> = VecDeque::new();
    let (mut path, mut depth) = (String::new(), 0);
    loop {
        for entry in listing.by_ref() {
            let Some(left) = entries.checked_sub(1) else {
                walked.passed_over += 1 + u64::try_from(waiting.len()).unwrap_or(u64::MAX);
                return Ok(walked);
            };
            entries = left;
            let Ok(entry) = entry else {
                walked.passed_over += 1;
                break;
            };
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let is_within = walked.found < limits.cgroups && depth < limits.depth;
            let Some(metadata) = entry.metadata().ok().filter(|_| is_within) else {
                walked.passed_over += 1;
                continue;
            };
            if metadata.dev() != top.dev() {
                continue;
            }
            let path = format!("{path}/{}", entry.file_name().to_string_lossy());
            walked.found += 1;
            found(metadata.ino(), &path);
            waiting.push_back((entry.path(), path, depth + 1));
        }
        let next = loop {
            let Some((directory, path, depth)) = waiting.pop_front() else { return Ok(walked) };
            match fs::read_dir(directory) {
                Ok(listing) => break (listing, path, depth),
                Err(_) => walked.passed_over += 1,
            }
        };
        (listing, path, depth) = next;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn check(what: &str, root: &Path, limits: WalkLimits, paths: &[&str], passed_over: u64) {
        let mut found = Vec::new();
        let walked = walk(root, limits, &mut |id, path| {
            let directory = root.join(path.trim_start_matches('/'));
            assert_eq!(fs::metadata(directory).map(|metadata| metadata.ino()).ok(), Some(id), "{what}: {path}");
            found.push(path.to_owned());
        });
        assert_eq!(walked.ok(), Some(Walked { found: found.len(), passed_over }), "{what}");
        found.sort();
        assert_eq!(found, paths, "{what}");
    }

    #[test]
    fn directories_are_found_within_the_limits() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        for directory in ["a/b/c", "d"] {
            fs::create_dir_all(root.path().join(directory))?;
        }
        fs::write(root.path().join("a/cgroup.procs"), "")?;
        symlink(root.path(), root.path().join("link"))?;
        let limits = |cgroups, depth| WalkLimits { cgroups, depth };
        let whole = ["/", "/a", "/a/b", "/a/b/c", "/d"];
        check("all", root.path(), WalkLimits::default(), &whole, 0);
        check("just enough", root.path(), limits(5, 3), &whole, 0);
        check("one short", root.path(), limits(4, 3), &["/", "/a", "/a/b", "/d"], 1);
        check("two deep", root.path(), limits(9, 2), &["/", "/a", "/a/b", "/d"], 1);
        check("the root", root.path(), limits(9, 0), &["/"], 2);
        check("less than the root", root.path(), limits(0, 9), &["/"], 1);
        Ok(())
    }

    #[test]
    fn a_directory_of_too_many_files_is_left() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        for file in 0..=ENTRIES_PER_CGROUP {
            fs::write(root.path().join(file.to_string()), "")?;
        }
        check("files", root.path(), WalkLimits { cgroups: 1, depth: 9 }, &["/"], 1);
        Ok(())
    }

    #[test]
    fn what_goes_meanwhile_is_passed_over() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        fs::create_dir_all(root.path().join("a/b"))?;
        let walked = walk(root.path(), WalkLimits::default(), &mut |_, path| {
            if path == "/a" {
                fs::remove_dir_all(root.path().join("a")).expect("removed");
            }
        })?;
        assert_eq!(walked, Walked { found: 2, passed_over: 1 });
        Ok(())
    }

    #[test]
    fn what_may_not_be_read_is_passed_over() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let closed = root.path().join("a");
        fs::create_dir_all(closed.join("b"))?;
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000))?;
        // Nothing is closed to root.
        if fs::read_dir(&closed).is_err() {
            check("closed", root.path(), WalkLimits::default(), &["/", "/a"], 1);
        }
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700))
    }
}
