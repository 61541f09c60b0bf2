//! What is known of a process, and where it is read.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};

use hashbrown::HashMap;
use redtap_ebpf::{COMM_LEN, Exec};

use super::service::name_from_environment;
use crate::time::Nanos;

/// Bytes of an environment that are searched for a service name.
const MAX_ENVIRONMENT: u64 = 1 << 20;

/// What the kernel appends to the path of an executable that was replaced on disk (`d_path`, fs/d_path.c).
const DELETED: &[u8] = b" (deleted)";

/// One program run by one process.
///
/// Its name is the executable's, for an interpreted program too: a service run by `python3.11`, `node` or `java`
/// bears that name until it says its own by `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Process id (thread group id), in the agent's pid namespace.
    pub pid: u32,
    /// When the process began, in clock ticks since boot (field 22 of `/proc/PID/stat`); 0: not known. The same pid
    /// with another start is another process; an exec keeps it.
    pub start_ticks: u64,
    /// From when on this holds: the moment of its exec, or that at which it was first asked about.
    pub since: Nanos,
    /// Base name of the executable, or the main thread's name where there is none (kernel threads, and processes
    /// that may not be looked into).
    pub name: String,
    /// Path of the executable as its own mount namespace sees it; empty: not known.
    pub executable: PathBuf,
    /// The service name asked for in its environment.
    pub otel_service_name: Option<String>,
}

impl Process {
    /// The value of `service.name`.
    #[must_use]
    pub fn service_name(&self) -> &str {
        self.otel_service_name.as_deref().unwrap_or(&self.name)
    }

    /// What an exec record alone tells, for a process that was gone before it could be looked at: the program's base
    /// name, of a script the script's own, without what exceeds 15 bytes.
    #[must_use]
    pub fn from_exec(exec: &Exec) -> Self {
        Self {
            pid: exec.pid,
            start_ticks: 0,
            since: Nanos(exec.time),
            name: comm_name(&exec.comm).into_owned(),
            executable: PathBuf::new(),
            otel_service_name: None,
        }
    }
}

/// A thread's name as text, without its padding.
pub(super) fn comm_name(comm: &[u8; COMM_LEN]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(comm.split(|&byte| byte == 0).next().unwrap_or_default())
}

fn base_name(path: &[u8]) -> String {
    let path = path.strip_suffix(DELETED).unwrap_or(path);
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

/// Where processes are looked up.
pub trait ProcSource {
    /// The process `pid` at the moment `at`; `None` when nothing is known of it (any more). A source that knows only
    /// the present answers for the present.
    fn describe(&mut self, pid: u32, at: Nanos) -> Option<Process>;
}

/// The running system's `/proc` (proc(5)).
///
/// Costs three opened files a call. The environment is read to be searched for two names and dropped; none of it is
/// kept or logged. The kernel reads it from the process's memory, so a process that serves its own page faults
/// (userfaultfd, a privilege) can make the call wait.
#[derive(Debug)]
pub struct Proc {
    root: PathBuf,
}

impl Proc {
    /// `/proc`.
    #[must_use]
    pub fn new() -> Self {
        Self::at("/proc".into())
    }

    /// A proc file system mounted elsewhere.
    #[must_use]
    pub const fn at(root: PathBuf) -> Self {
        Self { root }
    }
}

impl Default for Proc {
    fn default() -> Self {
        Self::new()
    }
}

impl ProcSource for Proc {
    fn describe(&mut self, pid: u32, at: Nanos) -> Option<Process> {
        let directory = self.root.join(pid.to_string());
        let stat = Stat::parse(&fs::read(directory.join("stat")).ok()?)?;
        let executable =
            fs::read_link(directory.join("exe")).map(|path| path.into_os_string().into_vec()).unwrap_or_default();
        let environment = read_environment(&directory.join("environ")).unwrap_or_default();
        let name = Some(base_name(&executable)).filter(|name| !name.is_empty());
        let executable = executable.strip_suffix(DELETED).unwrap_or(&executable);
        Some(Process {
            pid,
            start_ticks: stat.start_ticks,
            since: at,
            name: name.unwrap_or(stat.comm),
            executable: PathBuf::from(OsStr::from_bytes(executable)),
            otel_service_name: name_from_environment(&environment),
        })
    }
}

fn read_environment(path: &std::path::Path) -> io::Result<Vec<u8>> {
    let mut environment = Vec::new();
    File::open(path)?.take(MAX_ENVIRONMENT).read_to_end(&mut environment)?;
    Ok(environment)
}

/// The fields of `/proc/PID/stat` that are used.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    comm: String,
    start_ticks: u64,
}

impl Stat {
    /// The thread's name stands between the first `(` and the last `)` and may hold both; the start time is field 22.
    fn parse(line: &[u8]) -> Option<Self> {
        let open = memchr::memchr(b'(', line)?;
        let close = memchr::memrchr(b')', line)?;
        let comm = line.get(open + 1..close)?;
        let fields = std::str::from_utf8(line.get(close + 1..)?).ok()?;
        Some(Self {
            comm: String::from_utf8_lossy(comm).into_owned(),
            start_ticks: fields.split_ascii_whitespace().nth(19)?.parse().ok()?,
        })
    }
}

/// Processes out of a recorded file, so that a replay names services as the recording agent did.
#[derive(Debug, Default)]
pub struct Replayed {
    by_pid: HashMap<u32, Vec<Process>>,
}

impl Replayed {
    /// Adds a description. All of a file's must be in before the first question, for a question about a moment is
    /// answered with the last description that holds from then or earlier, else with the first.
    pub fn insert(&mut self, process: Process) {
        let known = self.by_pid.entry(process.pid).or_default();
        let place = known.partition_point(|other| other.since <= process.since);
        known.insert(place, process);
    }
}

impl ProcSource for Replayed {
    fn describe(&mut self, pid: u32, at: Nanos) -> Option<Process> {
        let known = self.by_pid.get(&pid)?;
        let earlier = known.partition_point(|process| process.since <= at);
        known.get(earlier.saturating_sub(1)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use redtap_ebpf::Kind;

    use super::*;

    fn exec(comm: &[u8]) -> Exec {
        let mut record = Exec { kind: Kind::Exec as u8, reserved: [0; 3], pid: 7, time: 5, comm: [0; COMM_LEN] };
        record.comm[..comm.len()].copy_from_slice(comm);
        record
    }

    #[test]
    fn executables_give_names() {
        for (path, name) in [
            ("/usr/sbin/nginx", "nginx"),
            ("/usr/sbin/nginx (deleted)", "nginx"),
            ("/opt/a b/server (x)", "server (x)"),
            ("relative", "relative"),
            ("", ""),
            ("/", ""),
        ] {
            assert_eq!(base_name(path.as_bytes()), name, "{path:?}");
        }
    }

    #[test]
    fn exec_records_name_what_is_gone() {
        for (comm, name) in [
            (&b"curl"[..], "curl"),
            (b"", ""),
            (b"a b\0junk", "a b"),
            (b"0123456789abcde", "0123456789abcde"),
            (b"0123456789abcdef", "0123456789abcdef"),
            (b"\xff", "\u{fffd}"),
        ] {
            let process = Process::from_exec(&exec(comm));
            assert_eq!((process.pid, process.since), (7, Nanos(5)));
            assert_eq!(process.service_name(), name);
        }
    }

    #[test]
    fn stat_lines() {
        let tail = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21";
        for (line, expected) in [
            (format!("12 (nginx) {tail}\n"), Some("nginx")),
            (format!("12 (a) b (c) {tail}\n"), Some("a) b (c")),
            (format!("12 () {tail}"), Some("")),
            ("12 (nginx) S 1 2".into(), None),
            ("12 nginx".into(), None),
            (")(".into(), None),
            (String::new(), None),
        ] {
            let stat = Stat::parse(line.as_bytes());
            assert_eq!(stat, expected.map(|comm| Stat { comm: comm.into(), start_ticks: 4242 }), "{line:?}");
        }
    }

    #[test]
    fn a_proc_directory_is_read() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let stat = "12 (web worker) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 99 20";
        for (pid, executable, environment) in [
            (12, Some("/srv/web (deleted)"), Some("A=1\0OTEL_SERVICE_NAME=shop\0")),
            (13, Some("/srv/web"), None),
            (14, None, Some("A=1\0")),
        ] {
            let directory = root.path().join(pid.to_string());
            fs::create_dir(&directory)?;
            fs::write(directory.join("stat"), stat)?;
            if let Some(executable) = executable {
                symlink(executable, directory.join("exe"))?;
            }
            if let Some(environment) = environment {
                fs::write(directory.join("environ"), environment)?;
            }
        }
        let mut source = Proc::at(root.path().into());
        let mut seen = |pid| {
            let process = source.describe(pid, Nanos(3))?;
            assert_eq!((process.pid, process.start_ticks, process.since), (pid, 99, Nanos(3)));
            let executable = process.executable.to_string_lossy().into_owned();
            Some((process.service_name().to_owned(), process.name.clone(), executable))
        };
        let text = |a: &str, b: &str, c: &str| Some((a.into(), b.into(), c.into()));
        assert_eq!(seen(12), text("shop", "web", "/srv/web"));
        assert_eq!(seen(13), text("web", "web", "/srv/web"));
        assert_eq!(seen(14), text("web worker", "web worker", ""));
        assert_eq!(seen(15), None);
        Ok(())
    }

    #[test]
    fn the_running_system_describes_this_process() {
        let pid = std::process::id();
        let process = Proc::new().describe(pid, Nanos(1)).expect("this process is in /proc");
        let own = std::env::current_exe().expect("this program has a path");
        assert_eq!(Some(OsStr::new(&process.name)), own.file_name());
        assert!(process.start_ticks > 0);
    }

    #[test]
    fn replayed_descriptions_hold_from_their_moment() {
        let mut source = Replayed::default();
        for (since, name) in [(20, "curl"), (10, "sh")] {
            source.insert(Process { name: name.into(), since: Nanos(since), ..Process::from_exec(&exec(b"")) });
        }
        for (at, name) in [(5, "sh"), (10, "sh"), (19, "sh"), (20, "curl"), (90, "curl")] {
            assert_eq!(source.describe(7, Nanos(at)).map(|p| p.name).as_deref(), Some(name), "{at}");
        }
        assert_eq!(source.describe(8, Nanos(5)), None);
    }
}
