//! Asking on a thread of its own, between two bounded queues.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use super::{Conntrack, Error};
use crate::{exchange::Role, flow::Untranslated, identity::host::monotonic_now, time::Nanos};

/// After how long a connection that was not tracked is asked for again, once. One that is asked for when it is
/// established is tracked at the first attempt; one that has just been begun is as soon as its first packet has passed.
const RETRY: Duration = Duration::from_millis(20);

/// What was asked, and whom the peer's address stands for; `None`: for itself, as far as can be told.
pub type Answer = (Untranslated, Option<SocketAddr>);

fn ask(conntrack: &mut Conntrack, question: &Untranslated) -> Result<Option<SocketAddr>, Error> {
    match question.role {
        Role::Client => conntrack.backend(question.local, question.peer),
        Role::Server => conntrack.origin(question.peer, question.local),
    }
}

/// What became of the questions so far. Those taken and in none of the other figures are still waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Taken.
    pub taken: u64,
    /// Not taken: too many were waiting.
    pub refused: u64,
    /// Answered with an address.
    pub answered: u64,
    /// Of connections that are not translated.
    pub direct: u64,
    /// Of connections that were not tracked at the second attempt either.
    pub untracked: u64,
    /// Of which the kernel said something else.
    pub failed: u64,
    /// Given up: too many were waiting for their second attempt, or for their answer to be fetched.
    pub dropped: u64,
}

#[derive(Debug, Default)]
struct Counters {
    taken: AtomicU64,
    refused: AtomicU64,
    answered: AtomicU64,
    direct: AtomicU64,
    untracked: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Asks a [`Conntrack`] from a thread of its own, which ends when this is dropped. Neither side ever waits for the
/// other.
#[derive(Debug)]
pub struct Resolver {
    questions: SyncSender<Untranslated>,
    answers: Receiver<Answer>,
    counters: Arc<Counters>,
}

impl Resolver {
    /// Untranslateds, second attempts and answers that wait at most, of each.
    pub const LIMIT: usize = 1024;

    /// Starts the thread.
    ///
    /// # Errors
    /// When there is none to be had.
    pub fn start(mut conntrack: Conntrack) -> io::Result<Self> {
        Self::start_with(Self::LIMIT, RETRY, move |question| ask(&mut conntrack, question))
    }

    fn start_with(
        limit: usize,
        retry: Duration,
        look_up: impl FnMut(&Untranslated) -> Result<Option<SocketAddr>, Error> + Send + 'static,
    ) -> io::Result<Self> {
        let (questions, asked) = sync_channel(limit);
        let (answer, answers) = sync_channel(limit);
        let counters = Arc::new(Counters::default());
        let worker = Worker {
            questions: asked,
            answers: answer,
            counters: Arc::clone(&counters),
            again: VecDeque::new(),
            limit,
            retry,
            look_up,
        };
        thread::Builder::new().name("redtap-conntrack".to_owned()).spawn(move || worker.run())?;
        Ok(Self { questions, answers, counters })
    }

    /// Asks of a connection, which should be established. False: too many questions wait, and this one will not be
    /// answered.
    #[must_use]
    pub fn ask(&self, question: Untranslated) -> bool {
        let taken = self.questions.try_send(question).is_ok();
        count(if taken { &self.counters.taken } else { &self.counters.refused });
        taken
    }

    /// What has been found out since the last call.
    pub fn answers(&self) -> impl Iterator<Item = Answer> {
        self.answers.try_iter()
    }

    /// The figures now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        Figures {
            taken: read(&counters.taken),
            refused: read(&counters.refused),
            answered: read(&counters.answered),
            direct: read(&counters.direct),
            untracked: read(&counters.untracked),
            failed: read(&counters.failed),
            dropped: read(&counters.dropped),
        }
    }
}

/// The thread's side.
struct Worker<F> {
    questions: Receiver<Untranslated>,
    answers: SyncSender<Answer>,
    counters: Arc<Counters>,
    /// What was not tracked, and when to ask again; in the order of time.
    again: VecDeque<(Nanos, Untranslated)>,
    limit: usize,
    retry: Duration,
    look_up: F,
}

impl<F: FnMut(&Untranslated) -> Result<Option<SocketAddr>, Error>> Worker<F> {
    /// Until nobody asks any more.
    fn run(mut self) {
        loop {
            let now = monotonic_now();
            if let Some((_, question)) = self.again.pop_front_if(|(due, _)| *due <= now) {
                if self.is_untracked(&question) {
                    self.tell(&question, None, &Arc::clone(&self.counters).untracked);
                }
                continue;
            }
            let until_due = self.again.front().map_or(Duration::MAX, |(due, _)| due.since(now));
            match self.questions.recv_timeout(until_due) {
                Ok(question) => {
                    if self.is_untracked(&question) {
                        self.ask_again(question);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Looks a connection up, and tells what there is to tell of it.
    fn is_untracked(&mut self, question: &Untranslated) -> bool {
        let counters = Arc::clone(&self.counters);
        match (self.look_up)(question) {
            Ok(Some(address)) => self.tell(question, Some(address), &counters.answered),
            Ok(None) => self.tell(question, None, &counters.direct),
            Err(Error::NotFound) => return true,
            Err(error) => {
                if counters.failed.load(Ordering::Relaxed) == 0 {
                    tracing::warn!(%error, "not all virtual addresses can be told from real ones");
                }
                self.tell(question, None, &counters.failed);
            }
        }
        false
    }

    fn tell(&self, question: &Untranslated, behind: Option<SocketAddr>, counter: &AtomicU64) {
        let told = self.answers.try_send((*question, behind)).is_ok();
        count(if told { counter } else { &self.counters.dropped });
    }

    fn ask_again(&mut self, question: Untranslated) {
        if self.again.len() < self.limit {
            self.again.push_back((monotonic_now().plus(self.retry), question));
        } else {
            count(&self.counters.dropped);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([10, 0, 0, 1], port).into()
    }

    fn question(cookie: u64, role: Role, port: u16) -> Untranslated {
        Untranslated { cookie, role, local: address(40_000), peer: address(port) }
    }

    /// Waits until the figures are as expected.
    fn wait_for(resolver: &Resolver, expected: impl Fn(&Figures) -> bool) -> Figures {
        let deadline = monotonic_now().plus(Duration::from_secs(10));
        loop {
            let figures = resolver.figures();
            if expected(&figures) {
                return resolver.figures();
            }
            assert!(monotonic_now() < deadline, "{figures:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    const fn settled(figures: &Figures) -> u64 {
        figures.answered + figures.direct + figures.untracked + figures.failed + figures.dropped
    }

    #[test]
    fn every_question_is_counted_once() -> io::Result<()> {
        let mut attempts = BTreeMap::new();
        // What becomes of a connection is told by its port.
        let resolver = Resolver::start_with(16, RETRY, move |question| {
            let attempt = attempts.entry(question.cookie).or_insert(0);
            *attempt += 1;
            match (question.peer.port(), *attempt, question.role) {
                (1, _, Role::Client) => Ok(Some(address(8080))),
                (1, _, Role::Server) => Ok(Some(address(9090))),
                (2, _, _) => Ok(None),
                (3, 2, _) => Ok(Some(address(8081))),
                (3 | 4, _, _) => Err(Error::NotFound),
                _ => Err(Error::NotPermitted),
            }
        })?;
        for (cookie, port) in [(10, 1), (20, 2), (30, 3), (40, 4), (50, 5)] {
            assert!(resolver.ask(question(cookie, Role::Client, port)));
        }
        assert!(resolver.ask(question(60, Role::Server, 1)));
        let figures = wait_for(&resolver, |figures| settled(figures) == 6);
        let expected =
            Figures { taken: 6, refused: 0, answered: 3, direct: 1, untracked: 1, failed: 1, dropped: 0 };
        assert_eq!(figures, expected);
        let answers: BTreeMap<_, _> = resolver
            .answers()
            .map(|(question, behind)| (question.cookie, behind.map(|behind| behind.port())))
            .collect();
        let expected = [(10, Some(8080)), (20, None), (30, Some(8081)), (40, None), (50, None), (60, Some(9090))];
        assert_eq!(answers, expected.into());
        assert_eq!(resolver.answers().count(), 0);
        Ok(())
    }

    #[test]
    fn a_second_attempt_comes_later() -> io::Result<()> {
        let (tell, told) = sync_channel(2);
        let resolver = Resolver::start_with(1, RETRY, move |_| {
            tell.send(monotonic_now()).expect("the test's end");
            Err(Error::NotFound)
        })?;
        assert!(resolver.ask(question(1, Role::Client, 2)));
        let attempts: Vec<_> = told.iter().take(2).collect();
        assert!(attempts[1].since(attempts[0]) >= RETRY);
        Ok(())
    }

    #[test]
    fn nobody_waits_where_there_is_no_room() -> io::Result<()> {
        let (go, gone) = sync_channel::<Result<Option<SocketAddr>, Error>>(0);
        let resolver = Resolver::start_with(2, RETRY, move |_| gone.recv().expect("the test's word"))?;
        // One is being looked up, and two wait.
        let figures = wait_for(&resolver, |figures| {
            let taken = resolver.ask(question(figures.taken, Role::Client, 2));
            !taken && figures.taken == 3
        });
        assert!(figures.refused >= 1);
        for _ in 0..3 {
            go.send(Ok(Some(address(3)))).expect("the thread");
        }
        let figures = wait_for(&resolver, |figures| settled(figures) == 3);
        assert_eq!((figures.answered, figures.dropped), (2, 1));
        let answers: Vec<_> = resolver.answers().map(|(question, behind)| (question.cookie, behind)).collect();
        assert_eq!(answers, [(0, Some(address(3))), (1, Some(address(3)))]);
        Ok(())
    }

    #[test]
    fn what_cannot_wait_for_its_second_attempt_is_dropped() -> io::Result<()> {
        let resolver = Resolver::start_with(2, Duration::from_secs(3600), |_| Err(Error::NotFound))?;
        for cookie in 0..3 {
            wait_for(&resolver, |_| resolver.ask(question(cookie, Role::Client, 2)));
        }
        let figures = wait_for(&resolver, |figures| settled(figures) == 1);
        assert_eq!((figures.taken, figures.dropped), (3, 1));
        Ok(())
    }

    #[test]
    fn the_thread_ends_with_the_resolver() -> io::Result<()> {
        let (alive, ended) = sync_channel::<()>(0);
        let resolver = Resolver::start_with(1, RETRY, move |_| {
            // Held for as long as the thread lives.
            let _ = &alive;
            Err(Error::NotFound)
        })?;
        assert!(resolver.ask(question(1, Role::Client, 2)));
        drop(resolver);
        assert!(ended.recv().is_err());
        Ok(())
    }
}
