use std::{fs, os::unix::fs::MetadataExt};

use proptest::{collection::vec, prelude::*};

use super::*;

fn seconds(seconds: u64) -> Nanos {
    Nanos(1_000_000_000 * seconds)
}

/// Plays a history, a step a line, and returns what it printed.
///
/// `SECOND made ID PATH` and `SECOND removed ID` are events, `SECOND sweep` is one, `get ID` prints the path.
fn play(limit: usize, history: &str) -> (String, Cgroups) {
    let mut cgroups = Cgroups::new(limit);
    let mut printed = Vec::new();
    let number = |word: &str| word.parse::<u64>().expect("a number");
    for line in history.lines() {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            [at, "made", id, path] => cgroups.made(number(id), path, seconds(number(at))),
            [at, "removed", id] => cgroups.removed(number(id), seconds(number(at))),
            [at, "sweep"] => cgroups.sweep(seconds(number(at))),
            ["get", id] => {
                let path = cgroups.get(number(id)).map(|cgroup| cgroup.path.to_string());
                printed.push(path.unwrap_or_else(|| "-".into()));
            }
            _ => panic!("not a step: {line}"),
        }
    }
    (printed.join(" "), cgroups)
}

#[test]
fn histories() {
    for (what, history, expected) in [
        ("nothing told", "get 1", "-"),
        ("told", "1 made 1 /a\nget 1\nget 2", "/a -"),
        ("removed, it stays for a while", "1 made 1 /a\n2 removed 1\n11 sweep\nget 1", "/a"),
        ("and goes then", "1 made 1 /a\n2 removed 1\n12 sweep\nget 1", "-"),
        ("any event sweeps", "1 made 1 /a\n2 removed 1\n12 made 2 /b\nget 1\nget 2", "- /b"),
        ("an id used again", "1 made 1 /a\n2 removed 1\n3 made 1 /b\nget 1", "/b"),
        ("stays after its former's time", "1 made 1 /a\n2 removed 1\n3 made 1 /b\n12 sweep\nget 1", "/b"),
        ("also by the same path", "1 made 1 /a\n2 removed 1\n3 made 1 /a\n12 sweep\nget 1", "/a"),
        ("an id used again, its removal lost", "1 made 1 /a\n3 made 1 /b\nget 1", "/b"),
        ("a removal of its former that is late", "1 made 1 /a\n3 made 1 /b\n2 removed 1\n12 sweep\nget 1", "/b"),
        ("its former told late", "3 made 1 /b\n1 made 1 /a\nget 1", "/b"),
        ("seen before it was removed, told after", "1 made 1 /a\n3 removed 1\n2 made 1 /a\n13 sweep\nget 1", "-"),
        ("removed twice", "1 made 1 /a\n2 removed 1\n9 removed 1\n12 sweep\nget 1", "-"),
        ("removed and never told of", "1 removed 1\nget 1", "-"),
    ] {
        assert_eq!(play(9, history).0, expected, "{what}");
    }
}

#[test]
fn where_there_is_no_room_the_removed_go_first() {
    let history =
        "1 made 1 /a\n1 made 2 /b\n1 made 3 /c\n2 removed 3\n2 removed 2\n3 made 4 /d\nget 1\nget 2\nget 3\nget 4";
    let (printed, cgroups) = play(3, history);
    assert_eq!(printed, "/a /b - /d");
    assert_eq!(cgroups.counts(), Counts { made: 4, evicted: 1, ..Counts::default() });
    assert_eq!(cgroups.fill(), Fill { entries: 3, limit: 3 });
}

#[test]
fn and_then_the_oldest_that_nobody_asks_for() {
    let (printed, cgroups) =
        play(2, "1 made 1 /a\n1 made 2 /b\nget 1\n2 made 3 /c\nget 1\nget 2\nget 3\n3 made 4 /d\nget 4");
    assert_eq!(printed, "/a /a - /c /d");
    assert_eq!(cgroups.counts().evicted, 2);
}

#[test]
fn what_happens_is_counted() {
    let (_, cgroups) = play(9, "1 made 1 /a\n1 made 1 /a\n2 made 1 /b\n3 made 2 /c");
    assert_eq!(cgroups.counts(), Counts { made: 4, reused: 1, ..Counts::default() });
}

#[test]
fn places_are_read_once() {
    let mut cgroups = Cgroups::new(9);
    cgroups.made(1, "/system.slice/nginx.service", seconds(1));
    cgroups.made(2, "/a", seconds(1));
    cgroups.made(3, "/b", seconds(1));
    let place = |id| cgroups.get(id).map(|cgroup| Arc::clone(&cgroup.place)).expect("a known cgroup");
    assert_eq!(place(1).unit.as_deref(), Some("nginx.service"));
    assert!(Arc::ptr_eq(&place(2), &place(3)), "places of which nothing is known are one");
}

#[test]
fn long_paths_are_cut_once_read() {
    let mut cgroups = Cgroups::new(9);
    let path = format!("/{}/nginx.service", "é".repeat(MAX_PATH));
    cgroups.made(1, &path, seconds(1));
    cgroups.made(1, &path, seconds(1));
    let cgroup = cgroups.get(1).expect("a known cgroup");
    assert_eq!((cgroup.path.len(), cgroup.place.unit.as_deref()), (MAX_PATH - 1, Some("nginx.service")));
    assert_eq!(cgroups.counts().reused, 0);
}

#[test]
fn what_exists_is_learned() -> io::Result<()> {
    let root = tempfile::tempdir()?;
    let below = root.path().join("system.slice/nginx.service");
    fs::create_dir_all(&below)?;
    let mut cgroups = Cgroups::new(9);
    let own = fs::metadata(&below)?.ino();
    cgroups.made(own, "/newer", seconds(5));
    let walked = cgroups.walk(root.path(), WalkLimits::default(), seconds(1))?;
    assert_eq!(walked, Walked { found: 3, passed_over: 0 });
    assert_eq!(cgroups.get(own).map(|cgroup| &*cgroup.path), Some("/newer"));
    cgroups.walk(root.path(), WalkLimits { cgroups: 2, depth: 9 }, seconds(6))?;
    assert_eq!(cgroups.counts().passed_over, 1);
    cgroups.walk(root.path(), WalkLimits::default(), seconds(6))?;
    assert_eq!(cgroups.get(own).map(|cgroup| &*cgroup.path), Some("/system.slice/nginx.service"));
    assert!(cgroups.walk(&root.path().join("none"), WalkLimits::default(), seconds(7)).is_err());
    Ok(())
}

proptest! {
    /// Whatever happens, memory stays within the limit, and what was told of last is known.
    #[test]
    fn memory_is_bounded(steps in vec((0..3_u8, 1..20_u64, 0..40_u64), 0..300)) {
        let mut cgroups = Cgroups::new(4);
        for (step, id, second) in steps {
            match step {
                0 => cgroups.made(id, &format!("/{second}"), seconds(second)),
                1 => cgroups.removed(id, seconds(second)),
                _ => {
                    let _ = cgroups.get(id);
                }
            }
            prop_assert!(cgroups.entries.len() <= 4 && cgroups.removals.len() <= 4);
            prop_assert_eq!(cgroups.order.len(), cgroups.entries.len());
        }
        cgroups.made(1, "/last", seconds(99));
        prop_assert_eq!(cgroups.get(1).map(|cgroup| &*cgroup.path), Some("/last"));
    }
}
