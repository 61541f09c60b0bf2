//! A systemd unit without systemd: its directives, applied to a program by the means of util-linux and by a filter of
//! system calls, as far as they can be.

mod calls;
mod mounts;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::gate::{built, tool};

/// A user that nobody is, of those that systemd takes for DynamicUser.
const USER: u32 = 64_123;

/// By what means a directive is applied here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    /// The process's user and capabilities.
    Process,
    /// A mount namespace.
    Mounts,
    /// A filter of system calls.
    Calls,
    /// It does not confine the process.
    Nothing,
    /// None: what is missing.
    Untried(&'static str),
}

/// Every directive that the unit may have.
const DIRECTIVES: [(&str, Means); 42] = [
    ("After", Means::Nothing),
    ("Description", Means::Nothing),
    ("Documentation", Means::Nothing),
    ("ExecReload", Means::Nothing),
    ("ExecStart", Means::Nothing),
    ("Restart", Means::Nothing),
    ("RestartPreventExitStatus", Means::Nothing),
    ("RestartSec", Means::Nothing),
    ("TimeoutStopSec", Means::Nothing),
    ("Type", Means::Nothing),
    ("WantedBy", Means::Nothing),
    ("AmbientCapabilities", Means::Process),
    ("CapabilityBoundingSet", Means::Process),
    ("NoNewPrivileges", Means::Process),
    ("UMask", Means::Process),
    ("PrivateDevices", Means::Mounts),
    ("PrivateIPC", Means::Mounts),
    ("PrivateTmp", Means::Mounts),
    ("ProtectControlGroups", Means::Mounts),
    ("ProtectHome", Means::Mounts),
    ("ProtectHostname", Means::Mounts),
    ("ProtectKernelLogs", Means::Mounts),
    ("ProtectKernelModules", Means::Mounts),
    ("ProtectKernelTunables", Means::Mounts),
    ("ProtectSystem", Means::Mounts),
    ("LockPersonality", Means::Calls),
    ("MemoryDenyWriteExecute", Means::Calls),
    ("RestrictAddressFamilies", Means::Calls),
    ("RestrictNamespaces", Means::Calls),
    ("RestrictRealtime", Means::Calls),
    ("SystemCallArchitectures", Means::Calls),
    ("SystemCallErrorNumber", Means::Calls),
    ("SystemCallFilter", Means::Calls),
    // What they allow is what there is without them.
    ("ProcSubset", Means::Nothing),
    ("ProtectProc", Means::Nothing),
    ("DynamicUser", Means::Untried("a user without a name stands for it, which systemd's own has")),
    ("KeyringMode", Means::Untried("it takes a key ring of the session")),
    ("LimitMEMLOCK", Means::Untried("raising a limit takes CAP_SYS_RESOURCE, and Linux 5.11 does not ask for it")),
    (
        "ProtectClock",
        Means::Untried("of it, the calls and capabilities are refused, but not the devices by a cgroup"),
    ),
    ("RemoveIPC", Means::Untried("systemd does it at the end")),
    ("RestrictSUIDSGID", Means::Untried("of it, chmod and its kind are refused, but not open with such a mode")),
    ("RuntimeDirectory", Means::Untried("systemd makes it")),
];

/// The directives of a unit, in their order.
#[derive(Debug)]
pub struct Unit(Vec<(String, String)>);

impl Unit {
    /// Reads `NAME=VALUE` lines, comments and sections (systemd.syntax(7)); no line is continued.
    ///
    /// # Panics
    /// When the file cannot be read, or has a directive that this test knows nothing of.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::parse(&text)
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '[']));
        let directives = lines.map(|line| {
            let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("no directive: {line}"));
            assert!(DIRECTIVES.iter().any(|(known, _)| *known == name), "{name}: by what means is it tried?");
            (name.to_owned(), value.to_owned())
        });
        Self(directives.collect())
    }

    /// The values of a directive; an empty one takes back what came before it.
    pub(crate) fn values<'a>(&'a self, name: &str) -> Vec<&'a str> {
        let mut values = Vec::new();
        for (_, value) in self.0.iter().filter(|(directive, _)| directive == name) {
            if value.is_empty() { values.clear() } else { values.push(value.as_str()) }
        }
        values
    }

    /// The value of a directive that is there once.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        let values = self.values(name);
        let [value] = values.as_slice() else { panic!("{name} is there {} times", values.len()) };
        value
    }

    /// Whether a directive says yes.
    #[must_use]
    pub fn says(&self, name: &str) -> bool {
        self.values(name).last() == Some(&"yes")
    }

    /// The capabilities that the process has, which are all that it can have.
    ///
    /// # Panics
    /// When the unit says two things of them.
    #[must_use]
    pub fn capabilities(&self) -> Vec<&str> {
        let of = |name| self.values(name).iter().flat_map(|value| value.split_whitespace()).collect::<Vec<_>>();
        let capabilities = of("CapabilityBoundingSet");
        assert_eq!(capabilities, of("AmbientCapabilities"));
        capabilities
    }

    /// The directives that are not tried, or not wholly, and why.
    pub fn untried(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, _)| {
            DIRECTIVES.iter().find_map(|(known, means)| match means {
                Means::Untried(why) if known == name => Some((name.as_str(), *why)),
                _ => None,
            })
        })
    }
}

/// A program under the directives of a unit, as a program to be run.
pub struct Confined {
    directory: TempDir,
}

impl Confined {
    /// Puts `program` under the directives of `unit`, with these of its capabilities.
    ///
    /// # Panics
    /// When a tool for it is missing, or the files cannot be written.
    #[must_use]
    pub fn new(program: &Path, unit: &Unit, capabilities: &[&str]) -> Self {
        // Neither in /tmp nor at home, which it does not see.
        let directory = tempfile::Builder::new().prefix("redtap-unit-").tempdir_in("/run").expect("a directory");
        let confined = Self { directory };
        let path = confined.directory.path().display();
        confined.write("filters.json", 0o644, &calls::filters(unit).to_string());
        for (name, source) in [("redtap", program), ("confined", &built("confined"))] {
            assert!(source.is_file(), "no {}", source.display());
            confined.write(name, 0o755, "");
        }
        let mut inside = format!(
            "#!/bin/sh\nset -eu\nmount --bind {} {path}/redtap\nmount --bind {} {path}/confined\n",
            program.display(),
            built("confined").display()
        );
        inside += &mounts::script(unit);
        if let Some(mask) = unit.values("UMask").last() {
            inside += &format!("umask {mask}\n");
        }
        let set: String = capabilities.iter().map(|name| format!(",+{}", short(name))).collect();
        let privileges = if unit.says("NoNewPrivileges") { "--no-new-privs " } else { "" };
        inside += &format!(
            "exec {} --reuid {USER} --regid {USER} --clear-groups {privileges}--pdeathsig TERM --inh-caps=-all{set} \
             --ambient-caps=-all{set} --bounding-set=-all{set} -- {path}/confined {path}/filters.json {path}/redtap \"$@\"\n",
            tool("setpriv").display()
        );
        confined.write("inside", 0o755, &inside);
        let start = format!(
            "#!/bin/sh\nexec {} {} --propagation private -- {path}/inside \"$@\"\n",
            tool("unshare").display(),
            mounts::namespaces(unit)
        );
        confined.write("start", 0o755, &start);
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(confined.directory.path(), open).expect("permissions of an own directory");
        confined
    }

    /// What starts it, with the program's arguments.
    #[must_use]
    pub fn program(&self) -> PathBuf {
        self.directory.path().join("start")
    }

    /// Puts a file where it sees it, readable by root alone, and gives its path.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        self.write(name, 0o600, content);
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, mode: u32, content: &str) {
        let path = self.directory.path().join(name);
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its permissions");
    }
}

/// A capability as setpriv calls it.
fn short(capability: &str) -> String {
    capability.trim_start_matches("CAP_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::Unit;

    #[test]
    fn directives_are_read_in_their_order() {
        let unit = Unit::parse(
            "# a\n[Service]\nSystemCallFilter=a b\nSystemCallFilter=~b\nRestrictNamespaces=yes\nRestrictNamespaces=\n\
             RestrictNamespaces=net\nNoNewPrivileges=yes\nRemoveIPC=yes\n",
        );
        assert_eq!(unit.values("SystemCallFilter"), ["a b", "~b"]);
        assert_eq!(unit.values("RestrictNamespaces"), ["net"]);
        assert!(unit.says("NoNewPrivileges") && !unit.says("PrivateTmp"));
        assert_eq!(unit.untried().map(|(name, _)| name).collect::<Vec<_>>(), ["RemoveIPC"]);
    }

    #[test]
    #[should_panic(expected = "Slice: by what means is it tried?")]
    fn an_unknown_directive_is_not_passed_over() {
        let _ = Unit::parse("Slice=a.slice");
    }
}
