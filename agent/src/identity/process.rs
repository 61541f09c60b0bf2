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

use super::{cgroup, declared::Declared};
use crate::time::Nanos;

/// Bytes of an environment that are searched for a service name.
const MAX_ENVIRONMENT: u64 = 1 << 20;

/// Bytes kept of a command line.
const MAX_COMMAND_LINE: u64 = 8 << 10;

/// Bytes read of the list of a cgroup's processes, of which the first counts.
const MAX_MEMBERS: u64 = 64;

/// Bytes read of a process's status: its groups stand before what is wanted, and there may be 65,536 of them; where there are so many
/// it is not known.
const MAX_STATUS: u64 = 64 << 10;

/// Bytes read of the list of a process's cgroups: a line for each of some twelve hierarchies.
const MAX_CGROUPS: u64 = 64 << 10;

/// What the kernel appends to the path of an executable that was replaced on disk (`d_path`, fs/d_path.c).
const DELETED: &[u8] = b" (deleted)";

/// One program run by one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// What its environment says of the service.
    pub declared: Declared,
    /// Its arguments, each ended by NUL, as far as they are kept; empty: not known.
    pub command_line: Vec<u8>,
    /// Path of its cgroup, in the hierarchy that says most; empty: not known.
    pub cgroup: String,
}

impl Process {
    /// What an exec record alone tells, for a process that was gone before it could be looked at: the program's base
    /// name, of a script the script's own, without what exceeds 15 bytes.
    #[must_use]
    pub fn from_exec(exec: &Exec) -> Self {
        Self {
            pid: exec.pid,
            since: Nanos(exec.time),
            name: comm_name(&exec.comm).into_owned(),
            ..Self::default()
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

/// The path of an executable without what the kernel appends to it once it was replaced on disk.
pub(super) fn without_mark(path: PathBuf) -> PathBuf {
    let path = path.into_os_string().into_vec();
    let path = path.strip_suffix(DELETED).unwrap_or(&path);
    PathBuf::from(OsStr::from_bytes(path))
}

/// Where processes are looked up.
pub trait ProcSource {
    /// The process that a cgroup was made for, by the cgroup's path: the first that is still in it.
    fn leader(&mut self, cgroup: &str, at: Nanos) -> Option<Process> {
        let _ = (cgroup, at);
        None
    }

    /// The pid of a process in its own pid namespace, where that is another than the agent's.
    fn vpid(&mut self, process: &Process) -> Option<u32> {
        let _ = process;
        None
    }

    /// The process `pid` at the moment `at`; `None` when nothing is known of it (any more), as of one that has ended and is not yet
    /// waited for. A source that knows only the present answers for the present.
    fn describe(&mut self, pid: u32, at: Nanos) -> Option<Process>;
}

/// The running system's `/proc` (proc(5)).
///
/// Costs five opened files a call. The environment is searched for two variables and dropped; neither it nor the command
/// line is ever logged or exported. The kernel reads it from the process's memory, so a process that serves its own page faults
/// (userfaultfd, a privilege) can make the call wait.
#[derive(Debug)]
pub struct Proc {
    root: PathBuf,
    /// Where cgroup v2 is mounted; empty: not known.
    cgroups: PathBuf,
}

impl Proc {
    /// `/proc`.
    #[must_use]
    pub fn new() -> Self {
        Self::at("/proc".into())
    }

    /// A proc file system mounted elsewhere.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { root, cgroups: PathBuf::new() }
    }
}

impl Proc {
    /// The same, with cgroup v2 mounted here.
    #[must_use]
    pub fn with_cgroups(self, cgroups: PathBuf) -> Self {
        Self { cgroups, ..self }
    }
}

impl Default for Proc {
    fn default() -> Self {
        Self::new()
    }
}

impl ProcSource for Proc {
    fn leader(&mut self, cgroup: &str, at: Nanos) -> Option<Process> {
        let members = self.cgroups.join(cgroup.trim_start_matches('/')).join("cgroup.procs");
        if self.cgroups.as_os_str().is_empty() || cgroup.contains("..") {
            return None;
        }
        let members = read_some(&members, MAX_MEMBERS).ok()?;
        let first = members.split(|byte| *byte == b'\n').next()?;
        self.describe(std::str::from_utf8(first).ok()?.parse().ok()?, at)
    }

    fn vpid(&mut self, process: &Process) -> Option<u32> {
        let directory = self.root.join(process.pid.to_string());
        let status = read_some(&directory.join("status"), MAX_STATUS).ok()?;
        // The pid may have become another's since the process was described, but not before the status was read and back again.
        let stat = Stat::parse(&fs::read(directory.join("stat")).ok()?)?;
        let innermost = innermost_pid(&status)?;
        (stat.start_ticks == process.start_ticks && innermost != process.pid).then_some(innermost)
    }

    fn describe(&mut self, pid: u32, at: Nanos) -> Option<Process> {
        let directory = self.root.join(pid.to_string());
        let declared = match read_some(&directory.join("environ"), MAX_ENVIRONMENT) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            environment => Declared::read(&environment.unwrap_or_default()),
        };
        let read = |file: &str, most: u64| read_some(&directory.join(file), most).unwrap_or_default();
        let command_line = read("cmdline", MAX_COMMAND_LINE);
        let cgroup = cgroup::of_process(&read("cgroup", MAX_CGROUPS)).map(|member| member.path);
        // After what lies in the process's memory: as long as it has an executable, it had that memory too.
        let executable = fs::read_link(directory.join("exe"));
        let stat = Stat::parse(&fs::read(directory.join("stat")).ok()?)?;
        let executable = match executable {
            Err(error) if error.kind() == io::ErrorKind::NotFound && stat.had_an_executable() => return None,
            executable => executable.unwrap_or_default(),
        };
        let name = Some(base_name(executable.as_os_str().as_bytes())).filter(|name| !name.is_empty());
        Some(Process {
            pid,
            start_ticks: stat.start_ticks,
            since: at,
            name: name.unwrap_or(stat.comm),
            executable: without_mark(executable),
            declared,
            command_line,
            cgroup: cgroup.unwrap_or_default(),
        })
    }
}

/// The last number of the line `NSpid` of `/proc/PID/status`: the pids from the namespace of the proc file system inwards (Linux 4.1).
fn innermost_pid(status: &[u8]) -> Option<u32> {
    let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"NSpid:"))?;
    std::str::from_utf8(line).ok()?.split_ascii_whitespace().last()?.parse().ok()
}

fn read_some(path: &std::path::Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The fields of `/proc/PID/stat` that are used.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    comm: String,
    flags: u32,
    threads: u32,
    start_ticks: u64,
}

impl Stat {
    /// The thread's name stands between the first `(` and the last `)` and may hold both; fields 9, 20 and 22 are of use behind it.
    fn parse(line: &[u8]) -> Option<Self> {
        let open = memchr::memchr(b'(', line)?;
        let close = memchr::memrchr(b')', line)?;
        let comm = line.get(open + 1..close)?;
        let mut fields = std::str::from_utf8(line.get(close + 1..)?).ok()?.split_ascii_whitespace();
        Some(Self {
            comm: String::from_utf8_lossy(comm).into_owned(),
            flags: fields.nth(6)?.parse().ok()?,
            threads: fields.nth(10)?.parse().ok()?,
            start_ticks: fields.nth(1)?.parse().ok()?,
        })
    }

    /// Whether a process that has no executable has ended: a thread of the kernel never had one, and where the first thread alone has
    /// ended the others still run one.
    const fn had_an_executable(&self) -> bool {
        /// `include/linux/sched.h`
        const PF_KTHREAD: u32 = 0x0020_0000;
        self.flags & PF_KTHREAD == 0 && self.threads <= 1
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
            assert_eq!(process.name, name);
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
            let fields = |comm: &str| Stat { comm: comm.into(), flags: 6, threads: 17, start_ticks: 4242 };
            assert_eq!(stat, expected.map(fields), "{line:?}");
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
            fs::write(directory.join("environ"), environment.unwrap_or_default())?;
            if pid == 12 {
                fs::write(directory.join("cgroup"), "0::/system.slice/web.service\n")?;
            }
        }
        let mut source = Proc::at(root.path().into());
        let mut seen = |pid| {
            let process = source.describe(pid, Nanos(3))?;
            assert_eq!((process.pid, process.start_ticks, process.since), (pid, 99, Nanos(3)));
            let executable = process.executable.to_string_lossy().into_owned();
            let name = process.declared.name.unwrap_or_default();
            Some((name, process.name, executable, process.cgroup))
        };
        let text = |a: &str, b: &str, c: &str, d: &str| Some((a.into(), b.into(), c.into(), d.into()));
        assert_eq!(seen(12), text("shop", "web", "/srv/web", "/system.slice/web.service"));
        assert_eq!(seen(13), text("", "web", "/srv/web", ""));
        assert_eq!(seen(14), text("", "web worker", "", ""));
        assert_eq!(seen(15), None);
        Ok(())
    }

    #[test]
    fn what_has_no_executable_has_ended_or_never_had_one() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        fs::create_dir(root.path().join("12"))?;
        fs::write(root.path().join("12/environ"), "")?;
        for (what, flags, threads, expected) in [
            ("it has ended", 0x0040_4004, 1, None),
            ("it has ended and was waited for meanwhile", 0x0040_4004, 0, None),
            ("its first thread has ended", 0x0040_4004, 2, Some("web")),
            ("a thread of the kernel", 0x0020_8040, 1, Some("web")),
        ] {
            let stat = format!("12 (web) Z 1 2 3 4 5 {flags} 7 8 9 10 11 12 13 14 15 16 {threads} 18 99 20");
            fs::write(root.path().join("12/stat"), stat)?;
            let name = Proc::at(root.path().into()).describe(12, Nanos(3)).map(|process| process.name);
            assert_eq!(name.as_deref(), expected, "{what}");
        }
        Ok(())
    }

    #[test]
    fn one_that_nobody_has_waited_for_has_ended_all_the_same() -> io::Result<()> {
        let mut child = std::process::Command::new("true").spawn()?;
        let ended = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        rustix::process::waitid(rustix::process::WaitId::Pid(rustix::process::Pid::from_child(&child)), ended)?;
        let described = Proc::new().describe(child.id(), Nanos(1));
        child.wait()?;
        assert_eq!(described, None);
        Ok(())
    }

    #[test]
    fn pids_of_inner_namespaces() {
        for (status, expected) in [
            ("Name:\tweb\nPid:\t12\nNSpid:\t12\t7\nNSpgid:\t12\t1\n", Some(7)),
            ("NSpid:\t12\t40\t1", Some(1)),
            ("NSpid:\t12\n", Some(12)),
            ("NSpid:\t12\tx\n", None),
            ("NSpid:\n", None),
            ("Name:\tNSpid:\nPid:\t12\n", None),
            ("", None),
        ] {
            assert_eq!(innermost_pid(status.as_bytes()), expected, "{status:?}");
        }
    }

    #[test]
    fn a_pid_that_has_become_anothers_has_no_inner_one() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let directory = root.path().join("12");
        fs::create_dir(&directory)?;
        fs::write(directory.join("stat"), "12 (web) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 99 20")?;
        let mut source = Proc::at(root.path().into());
        let mut process = Process { pid: 12, start_ticks: 99, ..Process::default() };
        for (status, start_ticks, expected) in [
            (None, 99, None),
            (Some("NSpid:\t12\n"), 99, None),
            (Some("NSpid:\t12\t7\n"), 99, Some(7)),
            (Some("NSpid:\t12\t7\n"), 98, None),
        ] {
            if let Some(status) = status {
                fs::write(directory.join("status"), status)?;
            }
            process.start_ticks = start_ticks;
            assert_eq!(source.vpid(&process), expected, "{status:?} {start_ticks}");
        }
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
