//! With redtap and without it, applications exchange the same bytes in the same segments.
//!
//! Every script runs several times in a network namespace of the test's own, whose loopback is captured whole: first
//! with no agent, then with one. What is compared, of every connection and in both directions:
//!
//! - the bytes of the stream;
//! - where scripts go in lockstep (one end speaks, the other has read it before it answers): each segment that carries
//!   bytes or begins or ends something, the first time that it is sent. Its place in the stream, its length, IP's hop
//!   limit, DSCP, ECN, don't-fragment bit and options, TCP's flags with the reserved ones, urgent pointer, and options
//!   in their order with their values (window scale, segment size, whatever else there might be);
//! - the headers that there are, in the same detail, of mere acknowledgements as well: watched, there is none that
//!   there is not unwatched, be it in another script (an acknowledgement that is late can be one more). Where a mass
//!   of bytes goes, PSH and FIN are left aside: it is cut by chance;
//! - of raw conversations, whose both ends are one thread on one CPU, also every acknowledgement, window and
//!   retransmission, in the order of all segments. The kernel's timers have a say in these when a CPU is kept from its
//!   thread for long, so one of several runs that is in full as an unwatched one is enough; of servers', one that
//!   repeats no more than an unwatched one. Only what is sent again may be followed by a selective acknowledgement
//!   that there is not unwatched.
//!
//! Unwatched runs are compared with one another first, by the same rules: what is not stable by itself fails there.
//!
//! What cannot be compared: what no two connections share (initial sequence numbers, clients' ports, IP's
//! identification, flow labels, values of timestamps); checksums, which loopback leaves out; times; how a mass of
//! bytes is cut into segments, how often it is acknowledged and how wide windows are meanwhile. The `Date` of servers'
//! answers is left out. Loopback is not a network card: what a driver does later is not seen.

mod conversations;
mod served;

use std::collections::BTreeSet;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use redtap_tests::links::links;
use redtap_tests::namespace::Namespace;
use redtap_tests::segments::{Conversation, Header, Segment, Way, conversations, first_difference};
use redtap_tests::tap::Tap;
use redtap_tests::wait;

/// Runs of a script without an agent.
const UNWATCHED: usize = 3;

/// Runs of a script with an agent.
const WATCHED: usize = 2;

/// How often a script may have to run until chance leaves a watched run alone.
const PATIENCE: usize = 6;

/// How much of two runs of a script is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Likeness {
    /// Streams and segments.
    Segments,
    /// Streams, how they begin, and kinds of headers.
    Streams,
    /// The same, but the server's streams may end anywhere.
    Beginnings,
}

/// A way to look at a conversation.
type Direction = fn(&Conversation) -> &Way;

/// The connections of one run of a script, in order.
type Recording = Vec<Conversation>;

/// What the namespace's loopback carries.
struct Recorder {
    tap: Tap,
    segments: Vec<Segment>,
}

impl Recorder {
    /// Records what `act` does in a namespace, on one CPU.
    fn with<T: Send>(namespace: &Namespace, act: impl FnOnce(&mut Self) -> T + Send) -> T {
        namespace.enter(|| {
            stay_on_one_cpu();
            act(&mut Self { tap: Tap::open(), segments: Vec::new() })
        })
    }

    /// The segments since the last run.
    fn so_far(&mut self) -> &[Segment] {
        self.segments.extend(self.tap.segments());
        &self.segments
    }

    /// The connections to `port` since the last run, once there are `count` and all are over.
    fn run(&mut self, port: u16, count: usize) -> Recording {
        let run = wait::until("the ends of connections on the wire", || {
            let run = conversations(self.so_far(), port);
            (run.len() >= count && run.iter().all(|conversation| conversation.over)).then_some(run)
        });
        self.segments.clear();
        run
    }
}

/// What one end sends arrives at the other at once, and in order.
fn stay_on_one_cpu() {
    let allowed = sched_getaffinity(None).expect("the CPUs of this thread");
    let cpu = (0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)).expect("a CPU");
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).expect("a CPU of its own choice");
}

/// A place where what happens depends neither on what happened before nor, as far as settings go, on how long it takes.
fn place(purpose: &str) -> Namespace {
    let namespace = Namespace::new(purpose);
    namespace.set("ipv4/tcp_no_metrics_save", "1");
    // Windows would grow by the time from one reading to the next.
    namespace.set("ipv4/tcp_moderate_rcvbuf", "0");
    namespace
}

/// Nobody's programs see the segments of unwatched runs.
fn assert_unwatched() {
    let seeing = ["cgroup_inet_ingress", "cgroup_inet_egress", "cgroup_sock_ops"];
    let watching: Vec<_> =
        links().into_iter().filter(|link| seeing.contains(&link.attach_type.as_str())).collect();
    assert!(watching.is_empty(), "this host is watched already, by these links: {watching:?}");
}

/// How a run differs from those without an agent, the first of which is the measure.
fn difference(
    likeness: Likeness,
    headers: &BTreeSet<Header>,
    unwatched: &[Recording],
    run: &Recording,
) -> Option<String> {
    let count = unwatched.first().map_or(0, Vec::len);
    if count != run.len() {
        return Some(format!("{} connections instead of {count}", run.len()));
    }
    let directions: [(&str, Direction, Direction); 2] =
        [("client", |one| &one.client, |one| &one.server), ("server", |one| &one.server, |one| &one.client)];
    run.iter().enumerate().find_map(|(at, actual)| {
        directions.into_iter().find_map(|(from, way, back)| {
            let unwatched: Vec<&Way> = unwatched.iter().filter_map(|run| run.get(at).map(way)).collect();
            let may_end = likeness == Likeness::Beginnings && from == "server";
            let fault = stream_differs(may_end, &unwatched, way(actual))
                .or_else(|| segments_differ(likeness, &unwatched, way(actual)))
                .or_else(|| headers_differ(likeness, headers, way(actual), back(actual).again > 0))?;
            Some(format!("connection {at}, from the {from}: {fault}"))
        })
    })
}

fn stream_differs(may_end: bool, unwatched: &[&Way], actual: &Way) -> Option<String> {
    let (expected, actual) = (&unwatched.first()?.bytes, &actual.bytes);
    let (longer, shorter) = if expected.len() > actual.len() { (expected, actual) } else { (actual, expected) };
    let same = longer.starts_with(shorter) && (may_end || longer.len() == shorter.len());
    (!same).then(|| format!("another stream: {} and {} bytes", expected.len(), actual.len()))
}

fn segments_differ(likeness: Likeness, unwatched: &[&Way], actual: &Way) -> Option<String> {
    let compared = if likeness == Likeness::Segments { usize::MAX } else { 1 };
    let segments = |way: &Way| way.carried.iter().take(compared).cloned().collect::<Vec<_>>();
    first_difference(&segments(unwatched.first()?), &segments(actual))
}

/// Where the other side sent something `again`, that it arrived twice may be told.
fn headers_differ(likeness: Likeness, known: &BTreeSet<Header>, actual: &Way, again: bool) -> Option<String> {
    let new = actual.headers.iter().filter(|header| {
        let is_known = match likeness {
            Likeness::Segments => known.contains(header),
            Likeness::Streams | Likeness::Beginnings => {
                known.iter().any(|known| known.anywhere() == header.anywhere())
            }
        };
        let is_excused = again && header.is_selective();
        !is_known && !is_excused
    });
    let new: Vec<String> = new.map(ToString::to_string).collect();
    (!new.is_empty()).then(|| format!("headers that there are not unwatched:\n    {}", new.join("\n    ")))
}

/// Every header that there was.
fn headers<'a>(recordings: impl IntoIterator<Item = &'a Recording>) -> BTreeSet<Header> {
    let conversations = recordings.into_iter().flatten();
    conversations.flat_map(|one| one.client.headers.iter().chain(&one.server.headers)).cloned().collect()
}

/// How runs without an agent differ among themselves.
fn unstable(likeness: Likeness, unwatched: &[Recording]) -> Option<String> {
    let headers = headers(unwatched);
    unwatched.iter().find_map(|run| difference(likeness, &headers, unwatched, run))
}
