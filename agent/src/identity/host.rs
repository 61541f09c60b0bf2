//! Facts of the host that the agent needs once: its cgroup hierarchy, its clocks, its processors.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use rustix::time::{ClockId, clock_gettime};

use crate::time::{Nanos, WallOffset};

/// Where [`cgroup2_root`]'s text comes from. Of the kernel's two tables of mounts only this one tells which part of
/// a file system is mounted.
pub const MOUNT_TABLE: &str = "/proc/self/mountinfo";

const POSSIBLE_CPUS: &str = "/sys/devices/system/cpu/possible";

/// The highest number of processors a kernel is built for (`NR_CPUS`, with `MAXSMP`).
const MAX_CPUS: u32 = 8192;

/// Samples taken for [`boot_offset`].
const OFFSET_SAMPLES: usize = 8;

/// Where cgroup v2 is mounted, by the text of [`MOUNT_TABLE`] (proc(5)); `override_` is believed as it is.
///
/// Wherever the mount is (`/sys/fs/cgroup`, beside version 1 at `/sys/fs/cgroup/unified`, elsewhere), one that shows
/// the hierarchy from its root is preferred to one that shows a part (as bound into containers), and the first one
/// where there are several. Mounts that a later one covers are not there.
#[must_use]
pub fn cgroup2_root(override_: Option<&Path>, mounts: &str) -> Option<PathBuf> {
    if let Some(path) = override_ {
        return Some(path.to_owned());
    }
    let mounts: Vec<Mount<'_>> = mounts.lines().filter_map(Mount::parse).collect();
    let visible = || {
        let candidates = mounts.iter().enumerate().filter(|(_, mount)| mount.kind == "cgroup2");
        candidates
            .filter(|&(index, mount)| !is_covered(mount, mounts.get(index + 1..).unwrap_or_default(), &mounts))
            .map(|(_, mount)| mount)
    };
    visible().find(|mount| mount.root == "/").or_else(|| visible().next()).map(|mount| unescape(mount.point))
}

/// A line of [`MOUNT_TABLE`]; paths with their octal escapes.
struct Mount<'a> {
    id: u32,
    parent: u32,
    root: &'a str,
    point: &'a str,
    kind: &'a str,
}

impl<'a> Mount<'a> {
    /// `id parent major:minor root point options [tags] - kind source options`
    fn parse(line: &'a str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ');
        Some(Self {
            id: fields.next()?.parse().ok()?,
            parent: fields.next()?.parse().ok()?,
            root: fields.nth(1)?,
            point: fields.next()?,
            kind: file_system.split(' ').next()?,
        })
    }
}

/// Whether one of the later mounts hides `mount`: it lies over the mount point or over a directory on the way there,
/// and is not itself on the way (in the tables of most systems `/` comes after `/sys`, which is mounted in it).
fn is_covered(mount: &Mount<'_>, later: &[Mount<'_>], all: &[Mount<'_>]) -> bool {
    later.iter().any(|other| Path::new(mount.point).starts_with(other.point) && !is_ancestor(other.id, mount, all))
}

fn is_ancestor(id: u32, mount: &Mount<'_>, all: &[Mount<'_>]) -> bool {
    let mut parent = mount.parent;
    // A chain longer than the table would be a circle.
    for _ in all {
        if parent == id {
            return true;
        }
        let Some(next) = all.iter().find(|other| other.id == parent) else { return false };
        parent = next.parent;
    }
    false
}

/// A path of a mount table: `\ooo` is the byte of that octal number (`mangle_path`, fs/seq_file.c).
fn unescape(path: &str) -> PathBuf {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let escaped = tail.split_first_chunk().filter(|_| byte == b'\\');
        match escaped.and_then(|(digits, after)| Some((octal(*digits)?, after))) {
            Some((byte, after)) => {
                decoded.push(byte);
                rest = after;
            }
            None => decoded.push(byte),
        }
    }
    OsString::from_vec(decoded).into()
}

fn octal(digits: [u8; 3]) -> Option<u8> {
    let value = digits
        .iter()
        .try_fold(0_u32, |value, digit| matches!(digit, b'0'..=b'7').then(|| value * 8 + u32::from(digit - b'0')));
    u8::try_from(value?).ok()
}

/// Now, on the clock of the kernel's records.
#[must_use]
pub fn monotonic_now() -> Nanos {
    Nanos(u64::try_from(read_clock(ClockId::Monotonic)).unwrap_or_default())
}

/// The wall clock's distance from the monotonic clock at this moment, from the tightest of several samples. It holds
/// until the wall clock is set.
#[must_use]
pub fn boot_offset() -> WallOffset {
    let sample = || {
        let before = read_clock(ClockId::Monotonic);
        let wall = read_clock(ClockId::Realtime);
        let width = read_clock(ClockId::Monotonic) - before;
        (width, wall - (before + width / 2))
    };
    let (_, offset) = (1..OFFSET_SAMPLES)
        .map(|_| sample())
        .fold(sample(), |best, next| if next.0 < best.0 { next } else { best });
    WallOffset(offset)
}

fn read_clock(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

/// One more than the highest number a processor of this host can have, those not (yet) online included: the length
/// of a table indexed by processor.
///
/// # Errors
///
/// The kernel's list cannot be read, or is none.
pub fn cpu_count_possible() -> io::Result<u32> {
    parse_cpu_count(&fs::read_to_string(POSSIBLE_CPUS)?)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a list of processors"))
}

/// The range that ports of outgoing connections are taken from (Documentation/networking/ip-sysctl.rst).
const PORT_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// The lowest ephemeral port; the kernel's default where the range cannot be read.
#[must_use]
pub fn ephemeral_low() -> u16 {
    let range = fs::read_to_string(PORT_RANGE).unwrap_or_default();
    range.split_whitespace().next().and_then(|low| low.parse().ok()).unwrap_or(32_768)
}

/// One more than the highest number in a list like `0-3,8-11` (Documentation/admin-guide/cputopology.rst).
fn parse_cpu_count(list: &str) -> Option<u32> {
    let mut highest = None;
    for range in list.trim_end().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        if first > last {
            return None;
        }
        highest = highest.max(Some(last));
    }
    highest.filter(|&highest| highest < MAX_CPUS).map(|highest| highest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(what: &str, mounts: &str, expected: Option<&str>) {
        let found = cgroup2_root(None, mounts);
        assert_eq!(found, expected.map(PathBuf::from), "{what}");
    }

    #[test]
    fn cgroup2_mounts() {
        let sys = "24 31 0:22 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n";
        let root = "31 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n";
        let unified = "30 24 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
        check("systemd", &format!("{sys}{unified}{root}"), Some("/sys/fs/cgroup"));
        check("none", &format!("{sys}{root}"), None);
        check("empty", "", None);
        let version1 = "32 24 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                        33 32 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                        34 32 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        check("hybrid", &format!("{sys}{version1}{root}"), Some("/sys/fs/cgroup/unified"));
        check(
            "covered by a later mount",
            &format!("{sys}{unified}{version1}{root}"),
            Some("/sys/fs/cgroup/unified"),
        );
        let part = "40 31 0:27 /kubepods/pod1 /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n\
                    41 31 0:27 / /host/cgroup ro - cgroup2 cgroup2 rw\n";
        check("the root before a part", &format!("{root}{part}"), Some("/host/cgroup"));
        let only_part = "40 31 0:27 /../.. /a ro - cgroup2 cgroup2 rw\n";
        check("a part rather than nothing", &format!("{root}{only_part}"), Some("/a"));
        let odd = "42 31 0:27 / /my\\040cg\\134x\\011 rw - cgroup2 none rw\n";
        check("escapes", &format!("{root}{odd}"), Some("/my cg\\x\t"));
        let twice = "43 31 0:27 / /b rw - cgroup2 none rw\n44 31 0:27 / /a rw - cgroup2 none rw\n";
        check("the first of equals", &format!("{root}{twice}"), Some("/b"));
        let beside = "45 31 0:27 / /cg rw - cgroup2 none rw\n46 31 0:9 / /cg2 rw - tmpfs none rw\n";
        check("a longer name covers nothing", &format!("{root}{beside}"), Some("/cg"));
        check("optional fields", "36 31 0:27 / /c rw shared:1 master:2 - cgroup2 x rw\n", Some("/c"));
        check("malformed", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n- - -\n1 2 - cgroup2\n", None);
        check("a circle", "1 2 0:1 / /a rw - cgroup2 x rw\n2 1 0:1 / /a/b rw - tmpfs x rw\n", Some("/a"));
    }

    #[test]
    fn an_override_is_believed() {
        let path = Path::new("/elsewhere");
        assert_eq!(cgroup2_root(Some(path), "").as_deref(), Some(path));
    }

    #[test]
    fn escapes_that_are_none_stay() {
        for (escaped, path) in [
            ("/a\\040b", "/a b"),
            ("/a\\", "/a\\"),
            ("/a\\04", "/a\\04"),
            ("/a\\089", "/a\\089"),
            ("/a\\777", "/a\\777"),
            ("/\\134040", "/\\040"),
        ] {
            assert_eq!(unescape(escaped), PathBuf::from(path), "{escaped}");
        }
    }

    #[test]
    fn processor_lists() {
        for (list, expected) in [
            ("0\n", Some(1)),
            ("0-3\n", Some(4)),
            ("0-3,8-11\n", Some(12)),
            ("8-11,0-3", Some(12)),
            ("0,2", Some(3)),
            ("", None),
            ("\n", None),
            ("3-1", None),
            ("0-", None),
            ("x", None),
            ("0-8191", Some(8192)),
            ("0-8192", None),
            ("4294967295", None),
        ] {
            assert_eq!(parse_cpu_count(list), expected, "{list:?}");
        }
    }

    #[test]
    fn the_wall_clock_is_the_offset_away() {
        let moment = monotonic_now();
        let wall = u64::try_from(read_clock(ClockId::Realtime)).expect("the epoch is past");
        let told = boot_offset().epoch(moment);
        assert!(told.abs_diff(wall) < 1_000_000_000, "{told} is not {wall}");
        assert!(monotonic_now() >= moment);
    }

    #[test]
    fn this_host_has_processors() {
        let online = std::thread::available_parallelism().expect("the number of processors");
        let possible = cpu_count_possible().expect("the kernel's list of processors");
        assert!(possible as usize >= online.get());
    }
}
