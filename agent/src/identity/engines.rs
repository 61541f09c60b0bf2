//! What container engines call their containers, where no Kubernetes does: by the files that they keep, of which the names alone are
//! read.
//!
//! | engine | file |
//! |---|---|
//! | Docker | `/var/lib/docker/containers/ID/config.v2.json`: an object with `"Name": "/web"` |
//! | Podman, of root | `containers.json` and `volatile-containers.json` in `/var/lib/containers/storage/overlay-containers`: arrays of objects with `id` and `names` |
//!
//! None is an interface that the engines promise. The bias: what is not as expected has no name.

use std::{
    borrow::Cow,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::cgroup::ContainerRuntime;

/// Bytes read of one file: Docker's has some 10 KiB, Podman's about 1 KiB for each container.
const MAX_FILE: u64 = 4 << 20;

/// The longest name that is believed.
const MAX_NAME: usize = 255;

/// Where Docker keeps its containers, and Podman its lists.
const DOCKER: &str = "var/lib/docker/containers";
const PODMAN: &str = "var/lib/containers/storage/overlay-containers";

/// Podman's lists; of containers that go with the host's next start in the second one.
const LISTS: [&str; 2] = ["containers.json", "volatile-containers.json"];

/// The engines that there are.
#[derive(Clone, Debug, Default)]
pub struct Engines {
    docker: Option<PathBuf>,
    podman: Option<PathBuf>,
}

/// `config.v2.json`, of which nothing else is wanted: there are secrets in it.
#[derive(Deserialize)]
struct DockerContainer<'a> {
    #[serde(rename = "Name", borrow)]
    name: Cow<'a, str>,
}

/// An item of Podman's lists.
#[derive(Deserialize)]
struct PodmanContainer<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    names: Vec<Cow<'a, str>>,
}

impl Engines {
    /// Those that keep something below `root`, which is `/`, now.
    #[must_use]
    pub fn under(root: &Path) -> Self {
        let there = |path| Some(root.join(path)).filter(|path| path.is_dir());
        Self { docker: there(DOCKER), podman: there(PODMAN) }
    }

    /// Whether containers of this engine may have names.
    #[must_use]
    pub const fn has(&self, runtime: ContainerRuntime) -> bool {
        match runtime {
            ContainerRuntime::Docker => self.docker.is_some(),
            ContainerRuntime::Podman => self.podman.is_some(),
            _ => false,
        }
    }

    /// The name of a container, by its whole id. Reads files, so it is not for the reader's thread.
    #[must_use]
    pub fn name(&self, runtime: ContainerRuntime, id: &str) -> Option<String> {
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let name = match runtime {
            ContainerRuntime::Docker => {
                docker_name(&read(&self.docker.as_ref()?.join(id).join("config.v2.json"))?)
            }
            ContainerRuntime::Podman => {
                let directory = self.podman.as_ref()?;
                LISTS.iter().find_map(|list| podman_name(&read(&directory.join(list))?, id))
            }
            _ => None,
        };
        name.filter(|name| is_name(name))
    }
}

fn docker_name(config: &[u8]) -> Option<String> {
    let container: DockerContainer<'_> = serde_json::from_slice(config).ok()?;
    Some(container.name.trim_start_matches('/').to_owned())
}

fn podman_name(list: &[u8], id: &str) -> Option<String> {
    let containers: Vec<PodmanContainer<'_>> = serde_json::from_slice(list).ok()?;
    let container = containers.into_iter().find(|container| container.id == id)?;
    container.names.into_iter().next().map(Cow::into_owned)
}

/// Letters, digits and a few marks, as both engines allow (`[a-zA-Z0-9][a-zA-Z0-9_.-]*`).
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_plain)
}

/// A file, unless it is longer than [`MAX_FILE`].
fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_FILE + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MAX_FILE).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use std::{fs, io};

    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0a1b";

    #[test]
    fn names_are_read_where_they_are_kept() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let none = Engines::under(root.path());
        assert!(!none.has(ContainerRuntime::Docker) && !none.has(ContainerRuntime::Podman));
        let (docker, podman) = (root.path().join(DOCKER), root.path().join(PODMAN));
        fs::create_dir_all(docker.join(ID))?;
        fs::create_dir_all(&podman)?;
        fs::write(
            docker.join(ID).join("config.v2.json"),
            r#"{"ID":"0a1b","Config":{"Env":["A=b"]},"Name":"/web"}"#,
        )?;
        fs::write(
            podman.join("containers.json"),
            r#"[{"id":"0a1b","names":["db","other"],"image":"i"},{"id":"ff"}]"#,
        )?;
        fs::write(podman.join("volatile-containers.json"), r#"[{"id":"cc","names":["once"]}]"#)?;
        let engines = Engines::under(root.path());
        for (runtime, id, expected) in [
            (ContainerRuntime::Docker, ID, Some("web")),
            (ContainerRuntime::Docker, "ff", None),
            (ContainerRuntime::Docker, "..", None),
            (ContainerRuntime::Docker, "", None),
            (ContainerRuntime::Podman, ID, Some("db")),
            (ContainerRuntime::Podman, "ff", None),
            (ContainerRuntime::Podman, "cc", Some("once")),
            (ContainerRuntime::Containerd, ID, None),
        ] {
            assert_eq!(engines.name(runtime, id).as_deref(), expected, "{runtime} {id}");
            assert_eq!(none.name(runtime, id), None);
        }
        Ok(())
    }

    #[test]
    fn what_is_not_as_expected_has_no_name() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let container = root.path().join(DOCKER).join(ID);
        fs::create_dir_all(&container)?;
        let engines = Engines::under(root.path());
        let long = format!(r#"{{"Name":"/{}"}}"#, "a".repeat(MAX_NAME + 1));
        let large = format!(r#"{{"Name":"/web"}}{}"#, " ".repeat(4 << 20));
        for text in [
            "",
            "{}",
            "[]",
            r#"{"Name":7}"#,
            r#"{"Name":"/"}"#,
            r#"{"Name":"/a b"}"#,
            r#"{"Name":"/w"#,
            &long,
            &large,
        ] {
            fs::write(container.join("config.v2.json"), text)?;
            assert_eq!(engines.name(ContainerRuntime::Docker, ID), None, "{:?}", text.get(..40));
        }
        fs::write(container.join("config.v2.json"), r#"{"Name":"/w\u0065b_1.a-b"}"#)?;
        assert_eq!(engines.name(ContainerRuntime::Docker, ID).as_deref(), Some("web_1.a-b"));
        Ok(())
    }

    proptest! {
        #[test]
        fn no_file_is_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in r#"[\[{]?("(id|names|Name)"[:,]?|[\[\]{}]){0,12}"#) {
            for bytes in [bytes, text.into_bytes()] {
                let _ = docker_name(&bytes);
                let _ = podman_name(&bytes, ID);
            }
        }
    }
}
