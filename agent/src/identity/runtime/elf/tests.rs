use std::io::{self, Cursor};

use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;

const EXECUTABLE: u16 = 2;
const SHARED: u16 = 3;

/// Names and contents.
type Sections<'a> = &'a [(&'a str, &'a [u8])];

/// Kinds, flags and contents.
type Segments<'a> = &'a [(u32, u32, &'a [u8])];

/// Numbers as a file of this form has them.
#[derive(Clone, Copy, Debug)]
struct Writer {
    is_wide: bool,
    is_little: bool,
}

const WIDE: Writer = Writer { is_wide: true, is_little: true };

impl Writer {
    fn put(self, out: &mut Vec<u8>, value: u64, length: usize) {
        if self.is_little {
            out.extend_from_slice(&value.to_le_bytes()[..length]);
        } else {
            out.extend_from_slice(&value.to_be_bytes()[8 - length..]);
        }
    }

    fn size(self, out: &mut Vec<u8>, value: usize) {
        self.put(out, value as u64, if self.is_wide { 8 } else { 4 });
    }

    /// An executable of these sections and segments: header, contents, names, both tables.
    fn image(self, kind: u16, sections: Sections<'_>, segments: Segments<'_>) -> Vec<u8> {
        let (header, section, segment) = if self.is_wide { (64, 64, 56) } else { (52, 40, 32) };
        let mut contents = vec![0; header];
        let mut place = |bytes: &[u8]| {
            let offset = contents.len();
            contents.extend_from_slice(bytes);
            (offset, bytes.len())
        };
        let mut names = vec![0];
        let mut named = |name: &str| {
            let offset = names.len();
            names.extend_from_slice(name.as_bytes());
            names.push(0);
            offset
        };
        let mut placed: Vec<_> = sections.iter().map(|(name, bytes)| (named(name), 1, place(bytes))).collect();
        let own = named(".shstrtab");
        placed.push((own, 3, place(&names)));
        let placed_segments: Vec<_> =
            segments.iter().map(|&(kind, flags, bytes)| (kind, flags, place(bytes))).collect();

        let (mut sections, mut segments) = (vec![0; section], Vec::new());
        for &(name, kind, (offset, length)) in &placed {
            self.put(&mut sections, name as u64, 4);
            self.put(&mut sections, kind, 4);
            [0, 0, offset, length].iter().for_each(|&value| self.size(&mut sections, value));
            self.put(&mut sections, 0, 8);
            [0, 0].iter().for_each(|&value| self.size(&mut sections, value));
        }
        for &(kind, flags, (offset, length)) in &placed_segments {
            self.put(&mut segments, kind.into(), 4);
            if self.is_wide {
                self.put(&mut segments, flags.into(), 4);
            }
            [offset, 0, 0, length, length].iter().for_each(|&value| self.size(&mut segments, value));
            if !self.is_wide {
                self.put(&mut segments, flags.into(), 4);
            }
            self.size(&mut segments, 0);
        }
        let (segments_at, sections_at) = (contents.len(), contents.len() + segments.len());
        let mut image = vec![0x7f, b'E', b'L', b'F', 1 + u8::from(self.is_wide), 2 - u8::from(self.is_little), 1];
        image.resize(16, 0);
        for (value, length) in [(u64::from(kind), 2), (62, 2), (1, 4)] {
            self.put(&mut image, value, length);
        }
        for value in [0, segments_at, sections_at] {
            self.size(&mut image, value);
        }
        self.put(&mut image, 0, 4);
        for value in [header, segment, placed_segments.len(), section, placed.len() + 1, placed.len()] {
            self.put(&mut image, value as u64, 2);
        }
        assert_eq!(image.len(), header, "the header has its length");
        contents[..header].copy_from_slice(&image);
        [contents, segments, sections].concat()
    }
}

fn rust_path() -> Vec<u8> {
    format!("x/rustc/{}/library/std/src/io.rs", "59807616e1".repeat(4)).into_bytes()
}

#[test]
fn marks_tell_the_language() {
    let path = rust_path();
    let late = [vec![b'.'; 3 * WINDOW - 20], path.clone(), vec![b'.'; 100]].concat();
    let too_late = [vec![b'.'; MAX_READ], path.clone()].concat();
    let bundled = [&[0; 100][..], &BUNDLE].concat();
    let cases: [(&str, Sections<'_>, Language); 18] = [
        ("Go", &[(".text", b""), (".go.buildinfo", b"")], Language::Go),
        ("Go by its tables", &[(".gopclntab", b"")], Language::Go),
        ("Go with C", &[(".comment", b"GCC: 12"), (".note.go.buildid", b""), (".rodata", &path)], Language::Go),
        ("Rust by its comment", &[(".comment", b"GCC: 12\0rustc version 1.95.0\0")], Language::Rust),
        ("Rust stripped", &[(".comment", b"GCC: 12\0"), (".rodata", &path)], Language::Rust),
        ("Rust by a distribution", &[(".rodata", b"/usr/src/rustc-1.85.0/library/std")], Language::Rust),
        ("Rust without places", &[(".rodata", b"`RUST_BACKTRACE=1`")], Language::Rust),
        ("Rust across windows", &[(".rodata", &late)], Language::Rust),
        ("Rust beyond what is read", &[(".rodata", &too_late)], Language::Cpp),
        ("an application's host", &[(".data", &bundled), (".rodata", b"x")], Language::DotNet),
        (".NET made native", &[("__managedcode", b""), (".rodata", b"x")], Language::DotNet),
        ("GraalVM", &[(".svm_heap", b"")], Language::Java),
        ("PyInstaller", &[(".rodata", b"x"), ("pydata", b"")], Language::Python),
        ("Swift", &[("swift5_typeref", b"")], Language::Swift),
        ("C", &[(".comment", b"GCC: 12\0"), (".data", b"x"), (".rodata", b"rustc")], Language::Cpp),
        ("C that speaks of Rust", &[(".rodata", b"/rustc/x /rustc-1 /rustc/59807616e1/ /rustcx/")], Language::Cpp),
        ("C without constants", &[(".text", b"x")], Language::Cpp),
        ("a name alike", &[(".go.buildinfo2", b""), (".rodata", b"")], Language::Cpp),
    ];
    for (what, sections, expected) in cases {
        for is_wide in [true, false] {
            for is_little in [true, false] {
                for kind in [EXECUTABLE, SHARED] {
                    let image = Writer { is_wide, is_little }.image(kind, sections, &[(LOAD, 5, b"code")]);
                    let found = by_elf(&mut Cursor::new(image));
                    assert_eq!(found, Some(expected), "{what}, wide {is_wide}, little {is_little}, kind {kind}");
                }
            }
        }
    }
}

#[test]
fn without_sections_segments_tell() {
    let path = rust_path();
    let cases: [(&str, Segments<'_>, Option<Language>); 8] = [
        ("Go without its note", &[(LOAD, 4, b"x"), (LOAD, 6, b"\xff Go buildinf:\x08\x02")], Some(Language::Go)),
        ("Go", &[(LOAD, 4, &path), (NOTE, 4, b"\x04\0\0\0\x04\0\0\0\x04\0\0\0Go\0\0abcd")], Some(Language::Go)),
        ("Rust", &[(LOAD, 5, b"code"), (LOAD, 4, &path)], Some(Language::Rust)),
        ("not by what is writable", &[(LOAD, 5, b"code"), (LOAD, 6, &path)], Some(Language::Cpp)),
        ("C", &[(LOAD, 5, b"code"), (NOTE, 4, b"GNU\0")], Some(Language::Cpp)),
        ("packed", &[(LOAD, 5, b"UPX!")], None),
        ("nothing to load", &[(NOTE, 4, b"Go\0\0")], None),
        ("nothing", &[], None),
    ];
    for (what, segments, expected) in cases {
        for is_wide in [true, false] {
            let mut image = Writer { is_wide, ..WIDE }.image(SHARED, &[], segments);
            // No names of sections, as sstrip leaves it.
            let count = if is_wide { 0x3c } else { 0x30 };
            image[count..count + 4].fill(0);
            assert_eq!(by_elf(&mut Cursor::new(image)), expected, "{what}, wide {is_wide}");
        }
    }
}

#[test]
fn what_is_no_executable_has_no_language() {
    let whole = WIDE.image(EXECUTABLE, &[(".rodata", b"x")], &[(LOAD, 5, b"code")]);
    let with = |at: usize, byte: u8| {
        let mut image = whole.clone();
        image[at] = byte;
        image
    };
    for (what, image) in [
        ("nothing", Vec::new()),
        ("a script", b"#!/bin/sh\n".to_vec()),
        ("its magic alone", b"\x7fELF".to_vec()),
        ("no class", with(4, 3)),
        ("no order", with(5, 0)),
        ("an object file", with(16, 1)),
        ("a core dump", with(16, 4)),
    ] {
        assert_eq!(by_elf(&mut Cursor::new(image)), None, "{what}");
    }
    assert_eq!(by_elf(&mut Cursor::new(whole)), Some(Language::Cpp));
}

/// A file of any length that counts what is read of it.
struct Counting {
    head: Vec<u8>,
    at: u64,
    read: usize,
    reads: usize,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = usize::try_from(self.at).unwrap_or(usize::MAX);
        for (index, byte) in buffer.iter_mut().enumerate() {
            *byte = self.head.get(at.saturating_add(index)).copied().unwrap_or(b'/');
        }
        self.at = self.at.saturating_add(buffer.len() as u64);
        self.read += buffer.len();
        self.reads += 1;
        Ok(buffer.len())
    }
}

impl Seek for Counting {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(at) = position else { return Err(io::ErrorKind::Unsupported.into()) };
        self.at = at;
        Ok(at)
    }
}

fn check_bounds(head: Vec<u8>) -> (usize, usize) {
    let mut file = Counting { head, at: 0, read: 0, reads: 0 };
    let _ = by_elf(&mut file);
    assert!(file.read <= MAX_READ, "{} bytes read", file.read);
    (file.read, file.reads)
}

#[test]
fn endless_files_are_read_to_the_bound() {
    let constants = vec![b'.'; 2 * MAX_READ];
    let image = WIDE.image(EXECUTABLE, &[(".comment", b"x"), (".rodata", &constants)], &[]);
    let (read, reads) = check_bounds(image);
    assert!(read > MAX_READ - WINDOW, "{read} bytes read");
    assert!(reads < 1000, "{reads} reads");
}

fn image() -> impl Strategy<Value = Vec<u8>> {
    let forms = (any::<bool>(), any::<bool>());
    let names =
        prop_oneof![Just(".comment"), Just(".rodata"), Just(".data"), Just(".go.buildinfo"), Just(".text")];
    let sections = vec((names, vec(any::<u8>(), 0..100)), 0..5);
    let segments = vec((0..6_u32, 0..8_u32, vec(any::<u8>(), 0..100)), 0..5);
    (forms, sections, segments).prop_map(|((is_wide, is_little), sections, segments)| {
        let sections: Vec<(&str, &[u8])> = sections.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
        let segments: Vec<(u32, u32, &[u8])> =
            segments.iter().map(|(kind, flags, bytes)| (*kind, *flags, &bytes[..])).collect();
        Writer { is_wide, is_little }.image(EXECUTABLE, &sections, &segments)
    })
}

proptest! {
    /// Bytes of headers and tables set to anything, also to what makes offsets and counts enormous.
    #[test]
    fn no_image_breaks_the_reader(
        image in image(),
        changes in vec((any::<Index>(), prop_oneof![Just(0xff), Just(0), any::<u8>()]), 0..40),
        in_header in vec((6..64_usize, prop_oneof![Just(0xff), Just(0), any::<u8>()]), 0..6),
        end in any::<Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut image = image;
        for (index, byte) in changes {
            let at = index.index(image.len());
            image[at] = byte;
        }
        for (at, byte) in in_header {
            if let Some(place) = image.get_mut(at) {
                *place = byte;
            }
        }
        if is_cut {
            image.truncate(end.index(image.len()));
        }
        let _ = by_elf(&mut Cursor::new(image.clone()));
        check_bounds(image);
    }

    #[test]
    fn no_bytes_break_the_reader(mut bytes in vec(any::<u8>(), 0..300), is_elf in any::<bool>()) {
        if is_elf {
            bytes.splice(0..bytes.len().min(6), *b"\x7fELF\x02\x01");
        }
        let _ = by_elf(&mut Cursor::new(bytes.clone()));
        check_bounds(bytes);
    }
}
