//! The agent under test: started with flags, its printed lines collected, its metrics scraped.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::difference::{Difference, difference};
use crate::http;
use crate::ledger::Entry;
use crate::line::{Exchange, Line, Stream};
use crate::metrics::Scrape;
use crate::process::{scratch, signal};
use crate::raw;
use crate::redtap::command;
use crate::wait::{self, PATIENCE};

/// Flags where a load is not paced and all of it is to be counted: on a busy host the agent may look late.
pub const ROOMY: [&str; 2] = ["--ring-size", "16MiB"];

/// A running agent; ended by SIGTERM on drop.
pub struct Agent {
    child: Child,
    listen: SocketAddr,
    printed: Arc<Printed>,
    reader: Option<JoinHandle<()>>,
    log: PathBuf,
    _directory: tempfile::TempDir,
}

/// What the agent printed so far.
#[derive(Default)]
struct Printed {
    lines: Mutex<Vec<Line>>,
    grown: Condvar,
}

/// How an agent ended.
#[derive(Debug)]
pub struct End {
    /// Its exit status.
    pub status: ExitStatus,
    /// From SIGTERM to the end.
    pub took: Duration,
    /// All that it printed, its last words included.
    pub lines: Vec<Line>,
}

impl Agent {
    /// Starts `redtap run --print json` and waits until it is ready.
    ///
    /// # Panics
    /// When it does not get ready.
    #[must_use]
    pub fn start(redtap: &Path, flags: &[&str]) -> Self {
        let mut all = vec!["--print", "json"];
        all.extend(flags);
        Self::start_silent(redtap, &all)
    }

    /// Starts `redtap run` with these flags only and waits until it is ready.
    ///
    /// # Panics
    /// When it does not get ready.
    #[must_use]
    pub fn start_silent(redtap: &Path, flags: &[&str]) -> Self {
        Self::launch(redtap, flags, &[])
    }

    /// Starts `redtap run` with these flags and environment variables and waits until it is ready.
    ///
    /// # Panics
    /// When it does not get ready.
    #[must_use]
    pub fn launch(redtap: &Path, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::launch_at(redtap, SocketAddr::from(([127, 0, 0, 1], crate::gate::free_port())), flags, environment)
    }

    /// Starts `redtap run --print json` at an address that is known before, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not get ready.
    #[must_use]
    pub fn at(redtap: &Path, listen: SocketAddr, flags: &[&str]) -> Self {
        let mut all = vec!["--print", "json"];
        all.extend(flags);
        Self::launch_at(redtap, listen, &all, &[])
    }

    fn launch_at(redtap: &Path, listen: SocketAddr, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        let directory = scratch();
        let log = directory.path().join("log");
        let mut command = command(redtap);
        command.args(["run", "--listen", &listen.to_string()]).args(flags).envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log).expect("a log file"));
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start the agent: {error}"));
        let printed = Arc::new(Printed::default());
        let output = child.stdout.take().expect("a piped output");
        let collected = Arc::clone(&printed);
        let reader = std::thread::spawn(move || collected.read(BufReader::new(output)));
        let mut agent = Self { child, listen, printed, reader: Some(reader), log, _directory: directory };
        agent.wait_ready();
        agent
    }

    fn wait_ready(&mut self) {
        let ready = wait::within(PATIENCE, || {
            let ended = self.child.try_wait().expect("a child's state");
            assert!(ended.is_none(), "the agent ended at once ({ended:?}): {}", self.log());
            http::get(self.listen, "/readyz").ok().filter(|answer| answer.status == 200)
        });
        assert!(ready.is_some(), "the agent does not get ready");
    }

    /// Where it serves its metrics.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    /// When the kernel does not tell.
    #[must_use]
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child's state")
    }

    /// What it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Scrapes it, and closes the books.
    ///
    /// # Panics
    /// When the scrape fails or the books do not close.
    #[must_use]
    pub fn scrape(&self) -> Scrape {
        let scrape = Scrape::of(self.listen);
        scrape.assert_books();
        scrape
    }

    /// The exchanges with the server at `port`, as far as printed.
    #[must_use]
    pub fn exchanges(&self, port: u16) -> Vec<Exchange> {
        exchanges_at(&self.printed.lock(), port)
    }

    /// The ends of streams on the sockets with these cookies, as far as printed.
    #[must_use]
    pub fn streams(&self, cookies: &[u64]) -> Vec<Stream> {
        let lines = self.printed.lock();
        let streams = lines.iter().filter_map(|line| match line {
            Line::Stream(stream) => Some(stream),
            Line::Exchange(_) => None,
        });
        streams.filter(|stream| cookies.contains(&stream.socket_cookie)).cloned().collect()
    }

    /// Waits until `condition` gives something of the lines printed so far.
    pub fn within<T>(&self, patience: Duration, mut condition: impl FnMut(&[Line]) -> Option<T>) -> Option<T> {
        let end = Instant::now() + patience;
        let mut lines = self.printed.lock();
        loop {
            if let Some(value) = condition(&lines) {
                return Some(value);
            }
            let left = end.checked_duration_since(Instant::now())?;
            lines = self.printed.grown.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Like [`Agent::within`], with [`PATIENCE`].
    ///
    /// # Panics
    /// When it does not come; `what` is what was waited for.
    pub fn until<T>(&self, what: &str, condition: impl FnMut(&[Line]) -> Option<T>) -> T {
        self.within(PATIENCE, condition).unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain for {what}"))
    }

    /// Waits until everything that happened before this call has been printed: events are told in order of time, so
    /// an exchange of our own comes after them.
    ///
    /// # Panics
    /// When that exchange is not told.
    pub fn fence(&self) {
        let port = raw::fence();
        let told = self.within(PATIENCE, |lines| (exchanges_at(lines, port).len() >= 2).then_some(()));
        if told.is_none() {
            let scrape = self.scrape();
            let dropped = scrape.dropped();
            panic!("of a fence's two sides, only {:?} was told; dropped: {dropped:?}", self.exchanges(port));
        }
    }

    /// What differs between `expected` and the exchanges with the servers at `ports`, after time to tell them all.
    #[must_use]
    pub fn difference(&self, ports: &[u16], expected: &[Entry]) -> Option<Difference> {
        let actual =
            |lines: &[Line]| -> Vec<_> { ports.iter().flat_map(|port| exchanges_at(lines, *port)).collect() };
        let required = expected.iter().filter(|entry| !entry.optional).count();
        self.fence();
        // Comparing costs; as long as there are too few, counting is enough.
        let _ = self.within(PATIENCE, |lines| {
            let actual = actual(lines);
            (actual.len() >= required && difference(expected, &actual).is_none()).then_some(())
        });
        self.fence();
        difference(expected, &actual(&self.printed.lock()))
    }

    /// Asserts that the exchanges with the servers at `ports` are exactly those `expected`.
    ///
    /// # Panics
    /// When they are not.
    pub fn assert_ledger(&self, what: &str, ports: &[u16], expected: &[Entry]) {
        if let Some(difference) = self.difference(ports, expected) {
            panic!("{what}: the agent differs from the ledger of {} exchanges: {difference}", expected.len());
        }
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Panics
    /// When it does not come.
    #[must_use]
    pub fn stop(mut self) -> End {
        signal(self.pid(), Signal::TERM);
        let start = Instant::now();
        let status = wait::until("the agent to end", || self.child.try_wait().expect("a child's state"));
        let took = start.elapsed();
        if let Some(reader) = self.reader.take() {
            reader.join().expect("lines as documented");
        }
        End { status, took, lines: std::mem::take(&mut *self.printed.lock()) }
    }

    /// Kills it, without a chance to clean up.
    ///
    /// # Panics
    /// When that fails.
    pub fn kill(mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("an end by SIGKILL");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the agent logged:\n{}", self.log());
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(self.pid(), Signal::CONT);
            signal(self.pid(), Signal::TERM);
            if wait::within(PATIENCE, || self.child.try_wait().ok().flatten()).is_none() {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
        let reader = self.reader.take().map(JoinHandle::join);
        assert!(
            std::thread::panicking() || !matches!(reader, Some(Err(_))),
            "the agent printed what is not documented"
        );
    }
}

impl Printed {
    fn lock(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, output: BufReader<std::process::ChildStdout>) {
        for line in output.lines() {
            let line = line.expect("text");
            let parsed = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            self.lock().push(parsed);
            self.grown.notify_all();
        }
    }
}

/// The exchanges among `lines` with the server at `port`.
#[must_use]
pub fn exchanges_at(lines: &[Line], port: u16) -> Vec<Exchange> {
    let exchanges = lines.iter().filter_map(|line| match line {
        Line::Exchange(exchange) => Some(exchange),
        Line::Stream(_) => None,
    });
    exchanges
        .filter(|exchange| exchange.service_port() == Some(port))
        .map(|exchange| (**exchange).clone())
        .collect()
}
