//! Child processes that end with the test.

use std::fs::File;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;
use crate::{gate, namespace};

/// Where a process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The test's own network namespace.
    Host,
    /// A named network namespace (`ip netns`).
    Namespace(String),
}

impl Place {
    /// `program`, to be run there; it dies with the thread that starts it.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command;
        match self {
            Self::Host => command = Command::new(gate::tool("setpriv")),
            Self::Namespace(name) => {
                command = Command::new(gate::tool("ip"));
                command.args(["netns", "exec", name]).arg(gate::tool("setpriv"));
            }
        }
        command.args(["--pdeathsig", "TERM", "--"]).arg(program);
        command
    }

    /// Does something there.
    ///
    /// # Panics
    /// When `act` does, or the namespace is gone.
    pub fn enter<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        match self {
            Self::Host => act(),
            Self::Namespace(name) => namespace::enter(name, act),
        }
    }
}

/// A running child, killed on drop.
pub struct Service {
    child: Child,
    name: String,
    log: PathBuf,
    _directory: tempfile::TempDir,
}

impl Service {
    /// Starts `command`, its output going to a file of its own.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(name: &str, command: &mut Command) -> Self {
        let directory = scratch();
        let log = directory.path().join("log");
        let output = File::create(&log).expect("a log file");
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("a log file")).stderr(output);
        // Apache's prefork module, when told to end, tells its whole process group.
        command.process_group(0);
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self { child, name: name.to_owned(), log, _directory: directory }
    }

    /// Waits until somebody accepts connections at `address`.
    ///
    /// # Panics
    /// When nobody does in time, or the process ended.
    #[must_use]
    pub fn ready_at(self, address: SocketAddr) -> Self {
        self.ready_in(&Place::Host, address)
    }

    /// Waits until somebody accepts connections at `address` of a place.
    ///
    /// # Panics
    /// When nobody does in time, or the process ended.
    #[must_use]
    pub fn ready_in(mut self, place: &Place, address: SocketAddr) -> Self {
        let accepted = wait::within(wait::PATIENCE * 2, || {
            let ended = self.child.try_wait().expect("a child's state");
            assert!(ended.is_none(), "{} ended at once ({ended:?}): {}", self.name, self.log());
            place.enter(|| TcpStream::connect_timeout(&address, Duration::from_secs(1))).ok()
        });
        assert!(accepted.is_some(), "{} does not listen at {address}: {}", self.name, self.log());
        self
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the process wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        let mut text = String::new();
        let read = File::open(&self.log).and_then(|mut file| file.read_to_string(&mut text));
        if let Err(error) = read { format!("(no log: {error})") } else { text }
    }

    /// Waits until the process wrote `text`.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn wait_for_log(&self, text: &str) {
        wait::until(&format!("{} to write {text:?}", self.name), || self.log().contains(text).then_some(()));
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn signal(&self, which: Signal) {
        signal(self.pid(), which);
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it does not come in time.
    pub fn ended(&mut self) -> ExitStatus {
        wait::until(&format!("{} to end", self.name), || self.child.try_wait().expect("a child's state"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {} wrote:\n{}", self.name, self.log());
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            // In order first: a master process ends its workers.
            self.signal(Signal::TERM);
            if wait::within(Duration::from_secs(3), || self.child.try_wait().ok().flatten()).is_none() {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
    }
}

/// Sends `which` to a process of ours.
///
/// # Panics
/// When there is no such process.
pub fn signal(pid: u32, which: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, which).expect("a signal to a child");
}

/// Runs a program to its end and gives what it wrote to standard output.
///
/// # Panics
/// When it fails.
pub fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {}\n{text}\n{errors}", output.status);
    text
}

/// A directory for a while, readable by the users that servers switch to.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn scratch() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::Builder::new().prefix("redtap-e2e-").tempdir().expect("a temporary directory");
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory.path(), open).expect("permissions of an own directory");
    directory
}

/// A field of `/proc/PID/status` (proc_pid_status(5)).
///
/// # Panics
/// When there is no such process or field.
#[must_use]
pub fn status(pid: u32, field: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("no {field} in {status}")).trim().to_owned()
}

/// Bytes of a process's memory that are its own, without what it has mapped of files.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn own_memory(pid: u32) -> u64 {
    let size = status(pid, "RssAnon");
    let kibibytes: u64 = size.trim_end_matches(" kB").parse().expect("a number of kB");
    kibibytes * 1024
}
