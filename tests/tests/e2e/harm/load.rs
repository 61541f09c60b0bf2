//! Clients that keep asking, on connections that they keep and on new ones, and clock the longest wait between two answers.

use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use redtap_tests::caller::Caller;
use redtap_tests::wait::{self, PATIENCE};

/// The longest that a client may have to wait. An answer takes less than a thousandth of that, as long as nobody is hurt.
const LONGEST: Duration = Duration::from_secs(1);

/// Clients that keep their connection.
const KEPT: usize = 2;

/// Long enough for all that the agent does now and then to be done, so that it has its occasion to go wrong.
const WHILE: Duration = Duration::from_secs(3);

/// Time between two new connections: those that have ended keep their ports for a while. And between two answers where there is but
/// one processor, which clients would have to themselves else.
const PAUSE: Duration = Duration::from_millis(4);

/// Asks for `/small` of a server of [`redtap_tests::servers`] until it is told to stop.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Duration>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    answers: AtomicU64,
    connections: AtomicU64,
}

/// What the clients had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Answers, each of them right.
    pub answers: u64,
    /// Connections that were made for one answer.
    pub connections: u64,
    /// The longest wait of any client.
    pub longest: Duration,
}

impl Load {
    /// Begins.
    pub fn start(server: SocketAddr) -> Self {
        let shared = Arc::new(Shared::default());
        let client = |ask: fn(SocketAddr, &Shared) -> Duration| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || ask(server, &shared))
        };
        let mut clients: Vec<_> = (0..KEPT).map(|_| client(on_one_connection)).collect();
        clients.push(client(on_new_connections));
        let load = Self { shared, clients };
        load.goes_on();
        load
    }

    /// Answers so far.
    pub fn answers(&self) -> u64 {
        self.shared.answers.load(Ordering::Relaxed)
    }

    /// Waits until a good deal more was answered, on new connections as well.
    ///
    /// # Panics
    /// When it is not in time.
    pub fn goes_on(&self) {
        let connections = || self.shared.connections.load(Ordering::Relaxed);
        let (answers, made) = (self.answers() + 100, connections() + 5);
        let more = wait::within(PATIENCE, || (self.answers() >= answers && connections() >= made).then_some(()));
        assert!(more.is_some(), "the load stands still at {} answers", self.answers());
    }

    /// Lets it go on for a while.
    ///
    /// # Panics
    /// When it does not.
    pub fn goes_on_for_a_while(&self) {
        let _ = wait::within(WHILE, || None::<()>);
        self.goes_on();
    }

    /// Ends, and asserts that no client had to wait for long.
    ///
    /// # Panics
    /// When one had, or an answer was wrong or none.
    pub fn stop(mut self, harm: &str) -> Told {
        self.shared.over.store(true, Ordering::Relaxed);
        let clients = std::mem::take(&mut self.clients).into_iter();
        let waits = clients.map(|client| client.join().unwrap_or_else(|panic| resume_unwind(panic)));
        let longest = waits.max().unwrap_or_default();
        let connections = self.shared.connections.load(Ordering::Relaxed);
        let told = Told { answers: self.answers(), connections, longest };
        println!("{harm}: {told:?}");
        assert!(longest < LONGEST, "{harm}: a client waited for {longest:?}");
        told
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
    }
}

/// Waits between answers, and how many there were.
struct Clock<'a> {
    shared: &'a Shared,
    last: Instant,
    longest: Duration,
}

impl<'a> Clock<'a> {
    fn start(shared: &'a Shared) -> Self {
        Self { shared, last: Instant::now(), longest: Duration::ZERO }
    }

    fn is_over(&self) -> bool {
        self.shared.over.load(Ordering::Relaxed)
    }

    fn ask(&mut self, caller: &mut Caller) {
        let (status, body) = caller.fetch("/small", &[]);
        assert!(status == 200 && body.len() == 612 && body.iter().all(|byte| *byte == b's'), "{status}: {body:?}");
        self.shared.answers.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        self.longest = self.longest.max(now - self.last);
        self.last = now;
    }
}

fn on_one_connection(server: SocketAddr, shared: &Shared) -> Duration {
    let mut clock = Clock::start(shared);
    let mut caller = Caller::connect(server);
    let is_alone = thread::available_parallelism().is_ok_and(|processors| processors.get() == 1);
    while !clock.is_over() {
        clock.ask(&mut caller);
        if is_alone {
            let _ = wait::within(PAUSE, || clock.is_over().then_some(()));
        }
    }
    clock.longest
}

fn on_new_connections(server: SocketAddr, shared: &Shared) -> Duration {
    let mut clock = Clock::start(shared);
    while !clock.is_over() {
        clock.ask(&mut Caller::connect(server));
        shared.connections.fetch_add(1, Ordering::Relaxed);
        let _ = wait::within(PAUSE, || clock.is_over().then_some(()));
    }
    clock.longest
}
