//! What a test needs from its host, and saying so when it is not there.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Agents see the whole host, and a saturated core makes deadlines lie: one test at a time.
static TURN: Mutex<()> = Mutex::new(());

/// The right to run a privileged test, and the agent to run.
pub struct Turn {
    /// The agent's binary.
    pub redtap: PathBuf,
    _alone: MutexGuard<'static, ()>,
    /// The same among the test runs of this host, which see one another's traffic.
    _alone_here: File,
}

/// Takes this test's turn, or tells that the test is left out: privileged tests run under `REDTAP_PRIVILEGED=1` with
/// the agent's binary in `REDTAP_BIN`, as `cargo xtask test` sets them for root.
///
/// # Panics
/// When the one is set and the other is not there.
#[must_use]
pub fn privileged(test: &str) -> Option<Turn> {
    if std::env::var_os("REDTAP_PRIVILEGED").is_none_or(|value| value != "1") {
        // Past the test runner's capture: what is left out must be seen.
        let _ = writeln!(std::io::stderr(), "{test}: left out: needs root (cargo xtask test as root)");
        return None;
    }
    let redtap = std::env::var_os("REDTAP_BIN").map(PathBuf::from).expect("REDTAP_BIN names the agent's binary");
    assert!(redtap.is_file(), "REDTAP_BIN: no file {}", redtap.display());
    let alone = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let here = File::create(std::env::temp_dir().join("redtap-e2e.lock")).expect("a file to lock");
    here.lock().expect("a lock");
    Some(Turn { redtap, _alone: alone, _alone_here: here })
}

/// Whether `name` is among those that an environment variable asks for, with commas between them; all are unless it is set.
#[must_use]
pub fn chosen(variable: &str, name: &str) -> bool {
    std::env::var(variable).map_or(true, |names| names.split(',').any(|chosen| chosen == name))
}

/// The path of a program that must be installed.
///
/// # Panics
/// When it is not.
#[must_use]
pub fn tool(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("missing tool {name}: `cargo xtask test` installs it"))
}

/// A program that is made or fetched for the tests: the path in an environment variable.
///
/// # Panics
/// When the variable is not set, or there is no such file.
#[must_use]
pub fn real(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable).map(PathBuf::from);
    let path =
        path.unwrap_or_else(|| panic!("{variable} is not set: `cargo xtask test` as root makes and sets it"));
    assert!(path.is_file(), "{variable}: no file {}", path.display());
    path
}

/// A listener on a free port that this process never listened on before: ports tell the stories apart.
///
/// # Panics
/// When the host has none.
#[must_use]
pub fn fresh_listener(address: IpAddr) -> TcpListener {
    static USED: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut used = USED.lock().unwrap_or_else(PoisonError::into_inner);
    // Kept, lest the kernel gives the same again.
    let mut refused = Vec::new();
    loop {
        let listener = TcpListener::bind((address, 0)).expect("a free port");
        if used.insert(listener.local_addr().expect("a bound address").port()) {
            return listener;
        }
        refused.push(listener);
    }
}

/// A port that nobody listens on, and that this process never used before.
///
/// # Panics
/// When the host has none.
#[must_use]
pub fn free_port() -> u16 {
    fresh_listener(Ipv4Addr::LOCALHOST.into()).local_addr().expect("a bound address").port()
}

/// The directory of the binaries that cargo builds beside the tests.
///
/// # Panics
/// When the test does not run from cargo's target directory.
#[must_use]
pub fn built(name: &str) -> PathBuf {
    build_directory().join(name)
}

/// A directory that outlives a run, for what is slow to make: virtual environments, programs built by other compilers.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn cache(name: &str) -> PathBuf {
    let path = build_directory().join("e2e-cache").join(name);
    std::fs::create_dir_all(&path).expect("a cache directory");
    path
}

/// A file of this crate.
#[must_use]
pub fn own(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn build_directory() -> PathBuf {
    let test = std::env::current_exe().expect("own path");
    test.ancestors().nth(2).expect("a target directory").to_path_buf()
}
