//! An image of one layer, as an archive: an OCI image layout with the index of `docker save` beside it, which is what
//! Docker itself writes since version 25. Nothing in it tells when or by whom it was made.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::tarball::Tarball;

/// When everything was made, as far as an image has to say so.
pub const CREATED: &str = "1970-01-01T00:00:00Z";

/// The same, in seconds since then.
const MODIFIED: u64 = 0;

/// A file or directory of root's.
#[derive(Debug)]
pub struct Entry {
    /// Where it is, from the root.
    pub path: &'static str,
    /// Its permissions.
    pub mode: u32,
    /// What is in it; a directory if `None`.
    pub content: Option<Vec<u8>>,
}

impl Entry {
    /// A file.
    pub const fn file(path: &'static str, mode: u32, content: Vec<u8>) -> Self {
        Self { path, mode, content: Some(content) }
    }

    /// A directory.
    pub const fn directory(path: &'static str) -> Self {
        Self { path, mode: 0o755, content: None }
    }
}

/// The archive of an image that is called `name` (`repository:tag`) and has `entries` in its layer. `configuration` gives
/// its configuration, by the layer's digest.
///
/// # Errors
/// When a path is too long for an archive, or there is no configuration.
pub fn archive(name: &str, entries: &[Entry], configuration: &dyn Fn(&str) -> Result<Value>) -> Result<Vec<u8>> {
    let (_, tag) = name.rsplit_once(':').with_context(|| format!("no tag in {name:?}"))?;
    let mut layer = Tarball::new(MODIFIED);
    for entry in entries {
        layer.add(entry.path, entry.mode, entry.content.as_deref())?;
    }
    // Not compressed: its digest then depends on what is in it alone.
    let layer = Blob::new("application/vnd.oci.image.layer.v1.tar", layer.end()?);
    let configuration = configuration(&layer.digest)?.to_string().into_bytes();
    let configuration = Blob::new("application/vnd.oci.image.config.v1+json", configuration);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": Blob::MANIFEST,
        "config": configuration.descriptor(),
        "layers": [layer.descriptor()],
    });
    let manifest = Blob::new(Blob::MANIFEST, manifest.to_string().into_bytes());
    let mut listed = manifest.descriptor();
    // containerd goes by the first, others by the second.
    listed["annotations"] = json!({ "io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [listed],
    });
    let docker = json!([{ "Config": configuration.path(), "RepoTags": [name], "Layers": [layer.path()] }]);

    let mut image = Tarball::new(MODIFIED);
    image.add("blobs", 0o755, None)?;
    image.add("blobs/sha256", 0o755, None)?;
    let mut blobs = [layer, configuration, manifest];
    blobs.sort_by(|one, other| one.digest.cmp(&other.digest));
    for blob in &blobs {
        image.add(&blob.path(), 0o644, Some(&blob.content))?;
    }
    image.add("index.json", 0o644, Some(index.to_string().as_bytes()))?;
    image.add("manifest.json", 0o644, Some(docker.to_string().as_bytes()))?;
    image.add("oci-layout", 0o644, Some(br#"{"imageLayoutVersion":"1.0.0"}"#))?;
    image.end()
}

/// `sha256:` and the digest in hexadecimal digits.
pub fn digest(content: &[u8]) -> String {
    format!("sha256:{}", sha256(content))
}

/// The digest in hexadecimal digits (FIPS 180-4).
pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What others refer to by its digest.
struct Blob {
    kind: &'static str,
    digest: String,
    content: Vec<u8>,
}

impl Blob {
    const MANIFEST: &'static str = "application/vnd.oci.image.manifest.v1+json";

    fn new(kind: &'static str, content: Vec<u8>) -> Self {
        Self { kind, digest: digest(&content), content }
    }

    fn path(&self) -> String {
        format!("blobs/{}", self.digest.replace(':', "/"))
    }

    fn descriptor(&self) -> Value {
        json!({ "mediaType": self.kind, "digest": self.digest, "size": self.content.len() })
    }
}
