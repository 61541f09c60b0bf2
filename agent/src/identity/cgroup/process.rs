//! The cgroups of one process, out of `/proc/PID/cgroup`.

use super::Place;

/// Lines looked at: a process is in one cgroup of each hierarchy, of which a kernel has little more than a dozen.
const MAX_LINES: usize = 64;

/// Where a process is, by all hierarchies together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The path that says most.
    pub path: String,
    /// What it says.
    pub place: Place,
    /// The path in the hierarchy of cgroup v2, which is the one that sockets' cgroup ids are of; none on a host
    /// without it.
    pub v2_path: Option<String>,
}

/// Reads the text of `/proc/PID/cgroup` (cgroups(7)): `0::/path` for cgroup v2, `N:controllers:/path` for each version
/// 1 hierarchy. `None` when no line is of that form.
///
/// On hosts with both versions a container may be in the one and not in the other. A path that names a container
/// comes before one that names a pod, a unit, a user, in this order; of equals cgroup v2, then systemd's own
/// hierarchy, then the first. Bytes that are not UTF-8 are replaced.
#[must_use]
pub fn of_process(text: &[u8]) -> Option<Membership> {
    let text = String::from_utf8_lossy(text);
    let mut v2_path = None;
    let mut best: Option<(Rank, &str, Place)> = None;
    for line in text.lines().take(MAX_LINES) {
        let Some((controllers, path)) = split(line) else { continue };
        if controllers.is_empty() {
            v2_path = Some(path);
        }
        let place = Place::parse(path);
        let rank = rank(&place, controllers);
        if best.as_ref().is_none_or(|(highest, ..)| rank > *highest) {
            best = Some((rank, path, place));
        }
    }
    let (_, path, place) = best?;
    Some(Membership { path: path.to_owned(), place, v2_path: v2_path.map(str::to_owned) })
}

type Rank = (bool, bool, bool, bool, u8);

fn rank(place: &Place, controllers: &str) -> Rank {
    let hierarchy = match controllers {
        "" => 2,
        "name=systemd" => 1,
        _ => 0,
    };
    let Place { pod_uid, container_id, unit, user, .. } = place;
    (container_id.is_some(), pod_uid.is_some(), unit.is_some(), user.is_some(), hierarchy)
}

/// The controllers and the path of a line; the path may hold colons.
fn split(line: &str) -> Option<(&str, &str)> {
    let (id, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    (id.parse::<u32>().is_ok() && path.starts_with('/')).then_some((controllers, path))
}
