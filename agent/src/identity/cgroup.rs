//! What a cgroup's path says of the processes in it: their pod, container, systemd unit and user.
//!
//! Paths are custom, not standard: the kubelet, container runtimes and systemd each have theirs, and each nests in the
//! others. The bias: a path that fits no custom says nothing, and a directory is a container only by the shape of its
//! name. What a path does not tell is not guessed: that a container is a pod's sandbox ("pause"), for one.

mod process;
mod table;
mod walk;

use std::{borrow::Cow, fmt, mem, sync::Arc};

pub use process::{Membership, of_process};
pub use table::{Cgroup, Cgroups, Counts, REMOVED_GRACE};
pub use walk::{WalkLimits, Walked};

/// Digits of a container id as Docker, containerd, CRI-O and Podman make them.
const ID_DIGITS: usize = 64;

/// The longest name of a directory (NAME_MAX).
const MAX_NAME: usize = 255;

/// Who made a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContainerRuntime {
    /// Docker Engine, by itself or under a kubelet.
    Docker,
    /// containerd, by itself, with nerdctl or under a kubelet.
    Containerd,
    /// CRI-O.
    CriO,
    /// Podman.
    Podman,
    /// LXC, LXD, Incus, or libvirt's LXC.
    Lxc,
    /// systemd-nspawn, or another that registered a machine with systemd-machined.
    Nspawn,
    /// Cloud Foundry's Garden.
    Garden,
}

impl ContainerRuntime {
    /// The value of `container.runtime.name` (OpenTelemetry resource conventions, container; of these they name
    /// `docker` and `containerd`).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Podman => "podman",
            Self::Lxc => "lxc",
            Self::Nspawn => "systemd-nspawn",
            Self::Garden => "garden",
        }
    }
}

impl fmt::Display for ContainerRuntime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Where a process runs, as far as its cgroup's path tells; the default is a plain process of which it tells nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// Uid of the Kubernetes pod, as the API writes it; of a static pod the 32 digits of its configuration's hash,
    /// which the API shows as the annotation `kubernetes.io/config.hash` and not as the uid.
    pub pod_uid: Option<Arc<str>>,
    /// The container: 64 hexadecimal digits in lower case, or the name of a machine (LXC, systemd-nspawn), the handle
    /// of Garden, the `task-number` of ECS on Fargate. In a pod, the one that the kubelet started; elsewhere the
    /// innermost.
    pub container_id: Option<Arc<str>>,
    /// Who made the container, where the path tells.
    pub runtime: Option<ContainerRuntime>,
    /// The innermost systemd unit of the type service, as systemctl writes it: the host's; within a container that
    /// of the container's own systemd, else the one that Podman runs the container for.
    pub unit: Option<Arc<str>>,
    /// The user whose session or service manager it belongs to on the host.
    pub user: Option<u32>,
}

impl Place {
    /// Reads a path from the root of a hierarchy, or relative to a cgroup namespace (`/../../kubepods/…`).
    ///
    /// Scopes and slices of systemd are no units here: `session-3.scope`, `init.scope` and `user@1000.service` hold
    /// whatever somebody started, so they give the user alone, and so do services of `systemd-run` that have no name
    /// but a number. What runtimes run beside their containers (conmon, LXC's monitor, systemd-nspawn) is in none, and
    /// in no pod.
    #[must_use]
    pub fn parse(path: &str) -> Self {
        let mut reader = Reader::default();
        let path = path.strip_suffix(" (deleted)").unwrap_or(path);
        for name in path.split('/').filter(|name| !name.is_empty()) {
            reader.enter(name);
        }
        reader.place
    }

    /// The unit as a person calls it: without `.service`, with its escapes (`\x2d`) undone, and without the instance
    /// where that only tells one connection from the next (`sshd@5-10.0.0.1:22-10.0.0.2:4711.service`).
    #[must_use]
    pub fn unit_name(&self) -> Option<Cow<'_, str>> {
        let unit = self.unit.as_deref()?;
        let name = unit.strip_suffix(".service").unwrap_or(unit);
        let name = match name.split_once('@') {
            Some((template, instance)) if is_connection(instance) => template,
            _ => name,
        };
        Some(unescape(name))
    }
}

/// A path, read from the left.
#[derive(Default)]
struct Reader<'a> {
    place: Place,
    /// What held outside of the pod or container that was entered last.
    outside: Place,
    /// The component before; none at the root of a hierarchy.
    parent: Option<&'a str>,
    /// Components since the root of the host or of the container.
    depth: usize,
}

impl<'a> Reader<'a> {
    fn enter(&mut self, name: &'a str) {
        if name == ".." {
            (self.parent, self.depth) = (None, 0);
            return;
        }
        self.depth += 1;
        if is_conmon(name) {
            if self.place.pod_uid.is_some() && self.place.container_id.is_none() {
                self.place = mem::take(&mut self.outside);
            }
        } else if name == "supervisor" && self.parent.is_some_and(|parent| parent.starts_with("machine-")) {
            self.place = mem::take(&mut self.outside);
        } else if let Some(uid) = pod_uid(name) {
            self.outside = mem::take(&mut self.place);
            self.place.pod_uid = Some(uid);
        }
        if let Some((id, runtime)) = self.container(name) {
            self.enter_container(name, &id, runtime);
        } else {
            self.enter_unit(name);
        }
        self.parent = Some(name);
    }

    /// The container that a directory is, by its name and its parent's.
    fn container(&self, name: &'a str) -> Option<(Cow<'a, str>, Option<ContainerRuntime>)> {
        if let Some((id, runtime)) = engine_container(name, self.parent) {
            return Some((id.into(), runtime));
        }
        if let Some(name) = lxc_name(name, self.parent, self.depth) {
            return Some((name.into(), Some(ContainerRuntime::Lxc)));
        }
        let parent = self.parent?;
        if parent == "garden" && is_handle(name) {
            return Some((name.into(), Some(ContainerRuntime::Garden)));
        }
        if is_fargate_container(name, parent) {
            return Some((name.into(), None));
        }
        machine(name, parent)
    }

    fn enter_container(&mut self, name: &str, id: &str, runtime: Option<ContainerRuntime>) {
        self.depth = 0;
        if self.place.pod_uid.is_some() && self.place.container_id.is_some() {
            // Docker in a pod's container: that of the pod is the one others know.
            return;
        }
        self.outside = self.place.clone();
        // Podman with `--cgroups=split`, as Quadlet has it, divides the cgroup of a unit that is about this container.
        let is_the_units = name.starts_with("libpod-payload-") && self.parent.is_some_and(is_service);
        self.place.unit = self.place.unit.take().filter(|_| is_the_units);
        self.place.container_id = Some(id.into());
        self.place.runtime = runtime;
    }

    fn enter_unit(&mut self, name: &str) {
        // systemd puts `_` before names that the kernel could take for its own files (`cg_escape`).
        let name = name.strip_prefix('_').unwrap_or(name);
        let slice = name.strip_prefix("user-").and_then(|rest| rest.strip_suffix(".slice"));
        let manager = name.strip_prefix("user@").and_then(|rest| rest.strip_suffix(".service"));
        if let Some(user) = slice.or(manager).and_then(|digits| digits.parse().ok()) {
            if self.place.container_id.is_none() {
                self.place.user = Some(user);
            }
            if manager.is_some() {
                self.place.unit = None;
            }
        } else if is_service(name) {
            self.place.unit = Some(name.into()).filter(|_| !is_transient(name));
        }
    }
}

/// `pod<uid>` (cgroupfs driver), or `…kubepods…-pod<uid>.slice` with `_` for `-` (systemd driver), which containerd's
/// form with colons may follow.
fn pod_uid(name: &str) -> Option<Arc<str>> {
    let uid = match name.split_once(".slice") {
        Some((slice, _)) => slice.rsplit_once("-pod").filter(|(above, _)| above.contains("kubepods"))?.1,
        None => name.strip_prefix("pod")?,
    };
    let uid = uid.replace('_', "-");
    (is_uuid(&uid) || is_hex(&uid, 32)).then(|| uid.into())
}

/// Containers of Docker, containerd, CRI-O and Podman: 64 digits, alone (cgroupfs drivers), in `prefix-<id>.scope`
/// (systemd drivers), or in `parent.slice:prefix:<id>` (a runtime without the systemd driver under a kubelet with it).
///
/// 64 digits alone are a container whatever the parent, which users of Docker choose (`--cgroup-parent`).
fn engine_container<'a>(name: &'a str, parent: Option<&str>) -> Option<(&'a str, Option<ContainerRuntime>)> {
    let stem = name.strip_suffix(".scope").unwrap_or(name);
    let (prefix, id) = match stem.rsplit_once([':', '-']) {
        Some((prefix, id)) => (prefix.rsplit(':').next().unwrap_or(prefix), id),
        None => ("", stem),
    };
    if !is_hex(id, ID_DIGITS) {
        return None;
    }
    let runtime = match prefix {
        // Kata's virtual machine monitors, by sandbox.
        "" if parent == Some("kata_overhead") => return None,
        _ if prefix.ends_with("conmon") => return None,
        "" => parent.and_then(runtime_of_parent),
        "docker" => Some(ContainerRuntime::Docker),
        "cri-containerd" | "containerd" | "nerdctl" => Some(ContainerRuntime::Containerd),
        "crio" => Some(ContainerRuntime::CriO),
        "libpod" | "libpod-payload" => Some(ContainerRuntime::Podman),
        _ if name.ends_with(".scope") || stem.contains(':') => None,
        _ => return None,
    };
    Some((id, runtime))
}

/// The directories that runtimes put containers into unless told otherwise. containerd's are its namespaces.
fn runtime_of_parent(parent: &str) -> Option<ContainerRuntime> {
    match parent {
        "docker" | "moby" => Some(ContainerRuntime::Docker),
        "default" | "k8s.io" => Some(ContainerRuntime::Containerd),
        "libpod_parent" => Some(ContainerRuntime::Podman),
        _ => None,
    }
}

/// Whether it holds what CRI-O or Podman run beside a container: `crio-conmon-<id>`, `libpod-conmon-<id>`.
fn is_conmon(name: &str) -> bool {
    let stem = name.strip_suffix(".scope").unwrap_or(name);
    stem.rsplit_once([':', '-']).is_some_and(|(prefix, id)| prefix.ends_with("conmon") && is_hex(id, ID_DIGITS))
}

/// `lxc.payload.<name>` (LXC since 4.0), `lxc.payload/<name>` (3.1), `/lxc/<name>` (before). What LXC runs beside it is
/// in `lxc.monitor…`.
fn lxc_name<'a>(name: &'a str, parent: Option<&str>, depth: usize) -> Option<&'a str> {
    let name = match name.strip_prefix("lxc.payload.") {
        Some(rest) => rest,
        None if parent == Some("lxc.payload") || (parent == Some("lxc") && depth == 2) => name,
        None => return None,
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let starts_plain = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    (starts_plain && name.len() <= MAX_NAME && name.bytes().all(is_plain)).then_some(name)
}

/// `machine-<name>.scope` of a slice of machines (systemd-machined), and what systemd-nspawn runs for
/// `systemd-nspawn@<name>.service`. Not QEMU's by libvirt, which is a program of the host; other virtual machines look
/// like containers here.
fn machine<'a>(name: &'a str, parent: &'a str) -> Option<(Cow<'a, str>, Option<ContainerRuntime>)> {
    if name == "payload" {
        let machine = parent.strip_prefix("systemd-nspawn@")?.strip_suffix(".service")?;
        return (!machine.is_empty()).then(|| (unescape(machine), Some(ContainerRuntime::Nspawn)));
    }
    if !(parent.starts_with("machine") && parent.ends_with(".slice")) {
        return None;
    }
    let machine = unescape(name.strip_prefix("machine-")?.strip_suffix(".scope")?);
    if machine.is_empty() || numbered(&machine, "qemu-").is_some() {
        return None;
    }
    match numbered(&machine, "lxc-") {
        Some(name) => Some((name.to_owned().into(), Some(ContainerRuntime::Lxc))),
        None => Some((machine, Some(ContainerRuntime::Nspawn))),
    }
}

/// The rest of `<prefix><number>-<rest>`, as libvirt names machines.
fn numbered<'a>(machine: &'a str, prefix: &str) -> Option<&'a str> {
    let (number, rest) = machine.strip_prefix(prefix)?.split_once('-')?;
    is_number(number).then_some(rest)
}

/// `/ecs/<task>/<task>-<number>`, as ECS on Fargate names containers.
fn is_fargate_container(name: &str, parent: &str) -> bool {
    let number = name.strip_prefix(parent).and_then(|rest| rest.strip_prefix('-'));
    is_hex(parent, 32) && number.is_some_and(is_number)
}

/// The handle of a Garden container: the beginning of an instance's uuid.
fn is_handle(name: &str) -> bool {
    let mut groups = name.split('-');
    groups.next().is_some_and(|first| is_hex(first, 8))
        && groups.clone().count() == 4
        && groups.all(|group| group.len() >= 4 && is_hex(group, group.len()))
}

fn is_service(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    name.len() <= MAX_NAME
        && name.strip_suffix(".service").is_some_and(|stem| !stem.is_empty() && stem.bytes().all(is_plain))
}

/// Whether a machine gave a service its name: `run-u5`, `run-p5-i6` and `run-r<32 digits>` by systemd-run, the id of a
/// container by Podman for its health checks.
fn is_transient(unit: &str) -> bool {
    let name = unit.strip_suffix(".service").unwrap_or(unit);
    let is_counted = |part: &str| part.strip_prefix(['u', 'p', 'i']).is_some_and(is_number);
    let is_random = |part: &str| part.strip_prefix('r').is_some_and(|digits| is_hex(digits, 32));
    let is_run = |rest: &str| rest.split('-').all(|part| is_counted(part) || is_random(part));
    let first = name.split('-').next().unwrap_or(name);
    name.strip_prefix("run-").is_some_and(is_run) || is_hex(first, ID_DIGITS)
}

/// Whether an instance is a connection that a socket unit accepted: a count, then both ends, or for a local one the
/// peer's pid and uid (`instance_from_socket`, systemd's core/socket.c).
fn is_connection(instance: &str) -> bool {
    let mut parts = instance.split('-');
    let [Some(count), Some(from), Some(to), None] = [parts.next(), parts.next(), parts.next(), parts.next()]
    else {
        return false;
    };
    let is_end = |part: &str| is_number(part) || part.contains(':');
    is_number(count) && is_end(from) && is_end(to)
}

/// Undoes `\xNN`, systemd's escape of one byte, where text comes of it.
fn unescape(name: &str) -> Cow<'_, str> {
    if !name.contains("\\x") {
        return name.into();
    }
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escaped = match rest {
            [b'\\', b'x', high, low, after @ ..] => hex_byte(*high, *low).map(|byte| (byte, after)),
            _ => None,
        };
        let (byte, tail) = escaped.unwrap_or((byte, tail));
        bytes.push(byte);
        rest = tail;
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => text.into(),
        _ => name.into(),
    }
}

fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_uuid(text: &str) -> bool {
    let mut groups = text.split('-');
    [8, 4, 4, 4, 12].iter().all(|&digits| groups.next().is_some_and(|group| is_hex(group, digits)))
        && groups.next().is_none()
}

#[cfg(test)]
mod tests;
