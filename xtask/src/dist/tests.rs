use std::io::Read as _;

use flate2::read::GzDecoder;

use super::*;

fn example() -> BTreeMap<String, (u32, Vec<u8>)> {
    let entries = [("redtap", 0o755, "binary"), ("LICENSE", 0o644, "licence"), ("a/b/c.md", 0o644, "words")];
    entries.map(|(path, mode, content)| (path.to_owned(), (mode, content.as_bytes().to_vec()))).into()
}

#[test]
fn an_archive_has_one_directory_and_files_of_root_from_one_moment() {
    let packed = archive("redtap-1", &example(), 1_700_000_000).unwrap();
    let mut plain = Vec::new();
    GzDecoder::new(packed.as_slice()).read_to_end(&mut plain).unwrap();
    let mut archive = tar::Archive::new(plain.as_slice());
    let listed: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            let owner = (header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap());
            assert_eq!(owner, (0, 0, 1_700_000_000));
            (entry.path().unwrap().display().to_string(), header.mode().unwrap())
        })
        .collect();
    let expected = [
        ("redtap-1/", 0o755),
        ("redtap-1/LICENSE", 0o644),
        ("redtap-1/a/", 0o755),
        ("redtap-1/a/b/", 0o755),
        ("redtap-1/a/b/c.md", 0o644),
        ("redtap-1/redtap", 0o755),
    ];
    assert_eq!(listed, expected.map(|(path, mode)| (path.to_owned(), mode)));
}

#[test]
fn a_packed_archive_tells_no_name_and_no_time() {
    let packed = archive("redtap-1", &example(), 1_700_000_000).unwrap();
    // RFC 1952, 2.3: two bytes of magic, deflate, no flags, no time.
    assert_eq!(packed[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
    assert_eq!(packed, archive("redtap-1", &example(), 1_700_000_000).unwrap());
}

#[test]
fn checksums_are_those_of_sha256sum() {
    let files = Files::from([
        ("b".to_owned(), b"abc".to_vec()),
        ("a".to_owned(), Vec::new()),
        (CHECKSUMS.to_owned(), b"not of itself".to_vec()),
    ]);
    let expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a\n\
                    ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b\n";
    assert_eq!(checksums(&files), expected);
}

#[test]
fn what_comes_along_is_in_the_repository() {
    let entries = entries(&workspace::root(), Vec::new()).unwrap();
    for path in ["LICENSE", "README.md", "deploy/systemd/redtap.service", "docs/configuration.md", "redtap"] {
        assert!(entries.contains_key(path), "no {path}");
    }
}
