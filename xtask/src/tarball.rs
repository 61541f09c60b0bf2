//! Archives of root's files that are the same bytes whenever they are made of the same files: in tar's format `ustar`
//! (POSIX, pax), and packed by gzip (RFC 1952).

use std::io::Write as _;

use anyhow::{Context as _, Result};
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

/// A tar archive in memory.
pub struct Tarball {
    builder: Builder<Vec<u8>>,
    modified: u64,
}

impl Tarball {
    /// An empty one, all of whose files were changed `modified` seconds after 1970.
    pub fn new(modified: u64) -> Self {
        Self { builder: Builder::new(Vec::new()), modified }
    }

    /// Adds a file, or a directory where there is no content.
    ///
    /// # Errors
    /// When the path is too long for an archive.
    pub fn add(&mut self, path: &str, mode: u32, content: Option<&[u8]>) -> Result<()> {
        let mut header = Header::new_ustar();
        let path = if content.is_some() { path.to_owned() } else { format!("{path}/") };
        header.set_path(&path).with_context(|| format!("no path for an archive: {path}"))?;
        header.set_entry_type(if content.is_some() { EntryType::Regular } else { EntryType::Directory });
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.modified);
        header.set_size(u64::try_from(content.map_or(0, <[u8]>::len))?);
        header.set_cksum();
        let content = content.unwrap_or_default();
        self.builder.append(&header, content).with_context(|| format!("cannot archive {path}"))
    }

    /// The archive.
    ///
    /// # Errors
    /// Never: it is in memory.
    pub fn end(self) -> Result<Vec<u8>> {
        self.builder.into_inner().context("cannot end an archive")
    }
}

/// Packs by gzip, without a name and a time.
///
/// # Errors
/// Never: it is in memory.
pub fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let mut packed = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    packed.write_all(content).and_then(|()| packed.finish()).context("cannot pack an archive")
}
