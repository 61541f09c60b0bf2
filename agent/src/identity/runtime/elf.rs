//! The language of a native executable by the marks that its compiler left in it.
//!
//! A reader of our own, for it needs little (two headers, names of sections, a search of bytes) and reads files that
//! anybody may have made: libraries for ELF want the file in memory or cache whatever the file's own tables ask for,
//! while this one reads at most [`MAX_READ`] bytes, each table in one piece of bounded size.

use std::io::{Read, Seek, SeekFrom};

use memchr::memmem;

use super::Language;

/// Bytes read of one executable, in all.
pub const MAX_READ: usize = 1 << 20;

/// Section and program headers looked at; linkers make a few dozen.
const MAX_HEADERS: usize = 512;

/// Bytes of the table of section names.
const MAX_NAMES: usize = 32 << 10;

/// Bytes of `.comment`, which has a line of each compiler.
const MAX_COMMENT: usize = 8 << 10;

/// Bytes of `.data` searched for .NET's mark.
const MAX_DATA: usize = 256 << 10;

/// Bytes of one note segment.
const MAX_NOTES: usize = 4 << 10;

/// Bytes of read-only data searched at a time.
const WINDOW: usize = 64 << 10;

/// The longest mark that may lie across two windows.
const OVERLAP: usize = 64;

/// Bytes of the file's head searched for [`UPX`].
const MAX_HEAD: u64 = 1 << 10;

/// What UPX leaves near the head of what it packed.
const UPX: &[u8] = b"UPX!";

/// The digest (SHA-256 of `.net core bundle`) by which .NET's host of an application finds what is bundled with it
/// (`bundle_marker_t`, dotnet/runtime's src/native/corehost).
const BUNDLE: [u8; 32] = [
    0x8b, 0x12, 0x02, 0xb9, 0x6a, 0x61, 0x20, 0x38, 0x72, 0x7b, 0x93, 0x02, 0x14, 0xd7, 0xa0, 0x32, 0x13, 0xf5,
    0xb9, 0xe6, 0xef, 0xae, 0x33, 0x18, 0xee, 0x3b, 0x2d, 0xce, 0x24, 0xb3, 0x6a, 0xae,
];

/// The owner of the note that Go's linker makes of the build's id.
const GO_NOTE: &[u8] = b"Go\0\0";

/// The head of what `go version -m` shows, which lies at the start of a segment (Go's debug/buildinfo).
const GO_BUILD: &[u8] = b"\xff Go buildinf:";

const NOTE: u32 = 4;
const LOAD: u32 = 1;
const NOBITS: u32 = 8;
const WRITABLE: u32 = 2;

/// The language of an executable file; `None` where it is not one, cannot be read, or is packed.
///
/// Marks, in this order: names of sections (Go, .NET's native ones, GraalVM, PyInstaller, Swift), the compiler's line
/// in `.comment` (Rust), .NET's mark of a host, paths of Rust's own library in read-only data. Where the section table
/// is gone there are Go's note and read-only segments. An executable without any is C or C++; of mixed ones, a C++
/// program with a part in Rust is taken for Rust.
///
/// Reads at most [`MAX_READ`] bytes, whatever the file says.
#[must_use]
pub fn by_elf(file: &mut (impl Read + Seek)) -> Option<Language> {
    let mut image = Image::open(file)?;
    let sections = image.sections();
    if let Some(language) = sections.iter().find_map(|section| by_section(&section.name)) {
        return Some(language);
    }
    let named = |name: &[u8]| sections.iter().find(|section| section.name == name).map(|section| section.part);
    if let Some(comment) = named(b".comment")
        && contains(&image.read(comment, MAX_COMMENT), b"rustc version ")
    {
        return Some(Language::Rust);
    }
    if let Some(data) = named(b".data")
        && contains(&image.read(data, MAX_DATA), &BUNDLE)
    {
        return Some(Language::DotNet);
    }
    if let Some(constants) = named(b".rodata") {
        return Some(if image.is_rust(constants) { Language::Rust } else { Language::Cpp });
    }
    image.by_segments()
}

fn by_section(name: &[u8]) -> Option<Language> {
    match name {
        b".go.buildinfo" | b".note.go.buildid" | b".gopclntab" | b".data.rel.ro.gopclntab" => Some(Language::Go),
        b"__managedcode" | b".dotnet_eh_table" => Some(Language::DotNet),
        b".svm_heap" => Some(Language::Java),
        b"pydata" => Some(Language::Python),
        _ if name.starts_with(b"swift5_") => Some(Language::Swift),
        _ => None,
    }
}

/// A stretch of the file.
#[derive(Clone, Copy)]
struct Part {
    offset: u64,
    length: u64,
}

struct Section {
    name: Vec<u8>,
    part: Part,
}

struct Segment {
    kind: u32,
    flags: u32,
    part: Part,
}

/// How numbers are written: in 32- or 64-bit files, with the low byte first or last.
#[derive(Clone, Copy)]
struct Form {
    is_wide: bool,
    is_little: bool,
}

impl Form {
    fn half(self, bytes: &[u8], narrow: usize, wide: usize) -> Option<u16> {
        let field = *bytes.get(self.choose(narrow, wide)..)?.first_chunk()?;
        Some(if self.is_little { u16::from_le_bytes(field) } else { u16::from_be_bytes(field) })
    }

    fn word(self, bytes: &[u8], narrow: usize, wide: usize) -> Option<u32> {
        let field = *bytes.get(self.choose(narrow, wide)..)?.first_chunk()?;
        Some(if self.is_little { u32::from_le_bytes(field) } else { u32::from_be_bytes(field) })
    }

    /// An offset or a size, of 4 bytes in a 32-bit file and of 8 in a 64-bit file.
    fn size(self, bytes: &[u8], narrow: usize, wide: usize) -> Option<u64> {
        if !self.is_wide {
            return self.word(bytes, narrow, wide).map(u64::from);
        }
        let field = *bytes.get(wide..)?.first_chunk()?;
        Some(if self.is_little { u64::from_le_bytes(field) } else { u64::from_be_bytes(field) })
    }

    fn part(self, bytes: &[u8], offset: (usize, usize), length: (usize, usize)) -> Option<Part> {
        let offset = self.size(bytes, offset.0, offset.1)?;
        Some(Part { offset, length: self.size(bytes, length.0, length.1)? })
    }

    const fn choose(self, narrow: usize, wide: usize) -> usize {
        if self.is_wide { wide } else { narrow }
    }
}

/// An ELF file (System V ABI, chapter 4; field offsets as in elf(5)), of which nothing is believed.
struct Image<'a, F> {
    file: &'a mut F,
    form: Form,
    header: Vec<u8>,
    /// Bytes that may still be read.
    left: usize,
}

impl<'a, F: Read + Seek> Image<'a, F> {
    /// An executable, position-independent or not.
    fn open(file: &'a mut F) -> Option<Self> {
        let form = Form { is_wide: false, is_little: false };
        let mut image = Self { file, form, header: Vec::new(), left: MAX_READ };
        image.header = image.read(Part { offset: 0, length: 64 }, 64);
        let [0x7f, b'E', b'L', b'F', class @ 1..=2, order @ 1..=2, ..] = image.header[..] else { return None };
        image.form = Form { is_wide: class == 2, is_little: order == 1 };
        matches!(image.form.half(&image.header, 16, 16)?, 2 | 3).then_some(image)
    }

    /// The beginning of a part, as much as the file and the limits give.
    fn read(&mut self, part: Part, limit: usize) -> Vec<u8> {
        let length = usize::try_from(part.length).unwrap_or(usize::MAX).min(limit).min(self.left);
        self.left -= length;
        let mut bytes = Vec::new();
        if length > 0 && self.file.seek(SeekFrom::Start(part.offset)).is_ok() {
            let reader = self.file.by_ref().take(u64::try_from(length).unwrap_or(0));
            // What was read before an error is as good as a file that ends there.
            let _ = { reader }.read_to_end(&mut bytes);
        }
        bytes
    }

    /// The entries of one of the header's tables, if they are as long as this form's are.
    fn table(&mut self, offset: Option<u64>, length: Option<u16>, count: Option<u16>, own: usize) -> Vec<u8> {
        let (Some(offset), Some(length), Some(count)) = (offset, length, count) else { return Vec::new() };
        if usize::from(length) != own {
            return Vec::new();
        }
        let whole = u64::from(length) * u64::from(count);
        self.read(Part { offset, length: whole }, MAX_HEADERS * own)
    }

    fn sections(&mut self) -> Vec<Section> {
        let Self { form, ref header, .. } = *self;
        let names = form.half(header, 0x32, 0x3e);
        let offset = form.size(header, 0x20, 0x28);
        let (length, count) = (form.half(header, 0x2e, 0x3a), form.half(header, 0x30, 0x3c));
        let own = form.choose(40, 64);
        let table = self.table(offset, length, count, own);
        let entries = || table.chunks_exact(own);
        let part = |entry: &[u8]| form.part(entry, (0x10, 0x18), (0x14, 0x20));
        let names = names.and_then(|index| part(entries().nth(usize::from(index))?));
        let Some(names) = names.map(|names| self.read(names, MAX_NAMES)) else { return Vec::new() };
        let section = |entry: &[u8]| {
            let start = usize::try_from(form.word(entry, 0, 0)?).ok()?;
            let name = names.get(start..)?.split(|&byte| byte == 0).next()?.to_vec();
            let part = part(entry).filter(|_| form.word(entry, 4, 4) != Some(NOBITS))?;
            Some(Section { name, part })
        };
        entries().filter_map(section).collect()
    }

    fn segments(&mut self) -> Vec<Segment> {
        let Self { form, ref header, .. } = *self;
        let offset = form.size(header, 0x1c, 0x20);
        let (length, count) = (form.half(header, 0x2a, 0x36), form.half(header, 0x2c, 0x38));
        let own = form.choose(32, 56);
        let table = self.table(offset, length, count, own);
        let segment = |entry: &[u8]| {
            let (kind, flags) = (form.word(entry, 0, 0)?, form.word(entry, 24, 4)?);
            Some(Segment { kind, flags, part: form.part(entry, (4, 8), (16, 32))? })
        };
        table.chunks_exact(own).filter_map(segment).collect()
    }

    /// What there is to see without sections.
    fn by_segments(&mut self) -> Option<Language> {
        let segments = self.segments();
        if !segments.iter().any(|segment| segment.kind == LOAD)
            || contains(&self.read(Part { offset: 0, length: MAX_HEAD }, WINDOW), UPX)
        {
            return None;
        }
        let of_kind = |wanted: u32| segments.iter().filter(move |segment| segment.kind == wanted);
        if of_kind(NOTE).any(|segment| contains(&self.read(segment.part, MAX_NOTES), GO_NOTE))
            || of_kind(LOAD).any(|segment| contains(&self.read(segment.part, WINDOW), GO_BUILD))
        {
            return Some(Language::Go);
        }
        let is_rust = of_kind(LOAD).any(|segment| segment.flags & WRITABLE == 0 && self.is_rust(segment.part));
        Some(if is_rust { Language::Rust } else { Language::Cpp })
    }

    /// Whether constants show the paths that places in Rust's own library have, `/rustc/<commit>/library/…` or a
    /// distribution's `/rustc-1.…`, or the variable that every panic reads.
    fn is_rust(&mut self, constants: Part) -> bool {
        let mut part = constants;
        while part.length > 0 && self.left > 0 {
            let window = self.read(part, WINDOW);
            if has_rust_path(&window) || contains(&window, b"RUST_BACKTRACE") {
                return true;
            }
            let Some(step) = window.len().checked_sub(OVERLAP).filter(|&step| step > 0) else { return false };
            let step = u64::try_from(step).unwrap_or(u64::MAX);
            part = Part { offset: part.offset.saturating_add(step), length: part.length.saturating_sub(step) };
        }
        false
    }
}

fn has_rust_path(bytes: &[u8]) -> bool {
    memmem::find_iter(bytes, b"/rustc").any(|at| match bytes.get(at + b"/rustc".len()..) {
        Some([b'/', commit @ ..]) => commit
            .split_at_checked(40)
            .is_some_and(|(commit, rest)| rest.first() == Some(&b'/') && commit.iter().all(u8::is_ascii_hexdigit)),
        Some([b'-', b'0'..=b'9', b'.', ..]) => true,
        _ => false,
    })
}

fn contains(bytes: &[u8], mark: &[u8]) -> bool {
    memmem::find(bytes, mark).is_some()
}

#[cfg(test)]
mod tests;
