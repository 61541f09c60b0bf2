use std::collections::BTreeMap;
use std::io::Read as _;

use super::*;

const NAME: &str = "localhost/redtap:0.1.0";

/// What an archive holds: content and permissions, by path.
fn held(archive: &[u8]) -> BTreeMap<String, (Vec<u8>, u32)> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let header = entry.header();
        let owner = (header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap());
        assert_eq!(owner, (0, 0, 0), "{:?}", entry.path());
        let (path, mode) = (entry.path().unwrap().display().to_string(), header.mode().unwrap());
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (path, (content, mode))
    });
    entries.collect()
}

fn example() -> Vec<u8> {
    let entries = [
        Entry::directory("etc"),
        Entry::file("etc/words", 0o644, b"some words".to_vec()),
        Entry::file("redtap", 0o755, vec![7; 5000]),
    ];
    archive(NAME, &entries, &configuration).unwrap()
}

#[test]
fn the_same_files_are_the_same_image() {
    assert_eq!(example(), example());
}

#[test]
fn one_digest_leads_to_the_next_and_in_the_end_to_the_files() {
    let image = held(&example());
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    let blob = |descriptor: &Value| {
        let wanted = descriptor["digest"].as_str().unwrap();
        let (content, _) = &image[&format!("blobs/{}", wanted.replace(':', "/"))];
        assert_eq!(digest(content), wanted);
        assert_eq!(descriptor["size"], content.len());
        content.clone()
    };
    assert_eq!(json(&image["oci-layout"].0)["imageLayoutVersion"], "1.0.0");
    let index = json(&image["index.json"].0);
    assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], NAME);
    let manifest = json(&blob(&index["manifests"][0]));
    let configuration = json(&blob(&manifest["config"]));
    let layer = blob(&manifest["layers"][0]);
    assert_eq!(configuration["rootfs"]["diff_ids"][0], digest(&layer));
    assert_eq!(configuration["config"]["Entrypoint"][0], "/redtap");
    let files = held(&layer);
    let listed: Vec<_> =
        files.iter().map(|(path, (content, mode))| (path.as_str(), content.len(), *mode)).collect();
    assert_eq!(listed, [("etc/", 0, 0o755), ("etc/words", 10, 0o644), ("redtap", 5000, 0o755)]);

    let docker = json(&image["manifest.json"].0);
    assert_eq!(docker[0]["RepoTags"][0], NAME);
    for path in [&docker[0]["Config"], &docker[0]["Layers"][0]] {
        assert!(image.contains_key(path.as_str().unwrap()), "{path}");
    }
}

#[test]
fn a_name_without_a_tag_is_refused() {
    assert!(archive("redtap", &[], &configuration).is_err());
}

#[test]
fn the_containerfile_says_the_same() {
    let file = include_str!("../../../deploy/container/Containerfile");
    let configuration = configuration("sha256:0").unwrap();
    let config = &configuration["config"];
    let labels = config["Labels"].as_object().unwrap().iter().map(|(name, value)| format!("LABEL {name}={value}"));
    let labels: Vec<_> = labels.collect();
    let expected = [
        format!("ENTRYPOINT {}", config["Entrypoint"]),
        format!("CMD {}", config["Cmd"]),
        format!("USER {}", config["User"].as_str().unwrap()),
        format!("WORKDIR {}", config["WorkingDir"].as_str().unwrap()),
        format!("ENV {}", config["Env"][0].as_str().unwrap()),
    ];
    for line in labels.iter().chain(&expected) {
        assert!(file.lines().any(|there| there == line), "no {line}");
    }
    assert_eq!(file.matches("LABEL ").count(), LABELS.len());
}

#[test]
fn the_chart_is_of_this_version() {
    let chart = include_str!("../../../deploy/kubernetes/chart/redtap/Chart.yaml");
    let version = format!("appVersion: {}", env!("CARGO_PKG_VERSION"));
    assert!(chart.lines().any(|line| line == version), "no {version}");
}
