//! Executables by inode, so that each is inspected once.

use std::{
    collections::VecDeque,
    fs::{File, Metadata},
    os::unix::fs::MetadataExt,
};

use hashbrown::HashMap;

use super::{Language, by_elf};
use crate::identity::Fill;

/// The content of a file: another inode or a change of this one gives another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExecutableId {
    device: u64,
    inode: u64,
    /// Time of the last change of content or attributes (ctime), which no program can set.
    changed: (i64, i64),
}

impl ExecutableId {
    /// The identity of the file that the metadata are of.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino(), changed: (metadata.ctime(), metadata.ctime_nsec()) }
    }
}

/// The languages of executables, bounded; the one that was inspected first is forgotten first, and inspected again
/// when it is asked for.
#[derive(Debug)]
pub struct Executables {
    languages: HashMap<ExecutableId, Option<Language>>,
    order: VecDeque<ExecutableId>,
    limit: usize,
    inspected: u64,
    evicted: u64,
}

impl Executables {
    /// Nothing inspected; room for `limit` executables.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { languages: HashMap::new(), order: VecDeque::new(), limit: limit.max(1), inspected: 0, evicted: 0 }
    }

    /// The language of an executable by its form ([`by_elf`]), as of `/proc/PID/exe`, which opens also what was deleted
    /// or lies in another mount namespace. `None`: it is nothing that is known, or cannot be read.
    ///
    /// Reads at most [`super::MAX_READ`] bytes, the first time; a file on a network that does not answer can make the
    /// call wait, so it is not for the reader's thread.
    pub fn language(&mut self, file: &File) -> Option<Language> {
        let metadata = file.metadata().ok().filter(Metadata::is_file)?;
        self.language_of(ExecutableId::of(&metadata), || by_elf(&mut &*file))
    }

    /// The language of an executable, from `inspect` where it is not known.
    pub fn language_of(
        &mut self,
        id: ExecutableId,
        inspect: impl FnOnce() -> Option<Language>,
    ) -> Option<Language> {
        if let Some(&language) = self.languages.get(&id) {
            return language;
        }
        let language = inspect();
        self.inspected += 1;
        if self.order.len() >= self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.languages.remove(&oldest);
            self.evicted += 1;
        }
        self.languages.insert(id, language);
        self.order.push_back(id);
        language
    }

    /// The executables in the table.
    #[must_use]
    pub fn fill(&self) -> Fill {
        Fill { entries: self.languages.len(), limit: self.limit }
    }

    /// Executables inspected; never decreases.
    #[must_use]
    pub const fn inspected(&self) -> u64 {
        self.inspected
    }

    /// Executables forgotten for want of room; never decreases.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io};

    use super::*;

    fn id(inode: u64) -> ExecutableId {
        ExecutableId { device: 1, inode, changed: (0, 0) }
    }

    #[test]
    fn each_is_inspected_once_while_there_is_room() {
        let mut executables = Executables::new(2);
        let mut asked = Vec::new();
        for inode in [1, 2, 1, 2, 3, 2, 1] {
            let language = executables.language_of(id(inode), || {
                asked.push(inode);
                (inode != 2).then_some(Language::Go)
            });
            assert_eq!(language, (inode != 2).then_some(Language::Go));
        }
        assert_eq!(asked, [1, 2, 3, 1]);
        assert_eq!((executables.inspected(), executables.evicted()), (4, 2));
        assert_eq!(executables.fill(), Fill { entries: 2, limit: 2 });
    }

    #[test]
    fn files_are_told_apart_by_inode_and_change() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("program");
        fs::write(&path, b"\x7fELF")?;
        let mut executables = Executables::new(9);
        for _ in 0..2 {
            assert_eq!(executables.language(&File::open(&path)?), None);
        }
        assert_eq!(executables.inspected(), 1);
        let before = ExecutableId::of(&fs::metadata(&path)?);
        fs::write(directory.path().join("other"), b"#!/bin/sh")?;
        fs::rename(directory.path().join("other"), &path)?;
        assert_ne!(ExecutableId::of(&fs::metadata(&path)?), before);
        assert_eq!(executables.language(&File::open(&path)?), None);
        assert_eq!(executables.language(&File::open(std::env::current_exe()?)?), Some(Language::Rust));
        assert_eq!(executables.language(&File::open(directory.path())?), None);
        assert_eq!(executables.inspected(), 3);
        Ok(())
    }
}
