mod containers;
mod inspected;

use std::sync::{Arc, Mutex, PoisonError};

use proptest::{collection::vec, prelude::*};
use redtap_ebpf::Kind;

use super::*;

impl Identities {
    fn name(&self, service: ServiceId) -> &str {
        &self.services.get(service).name
    }
}

const NO_COMM: [u8; COMM_LEN] = [0; COMM_LEN];

/// Running processes of a made-up host, and how often they were asked for.
#[derive(Clone, Default)]
struct Host(Arc<Mutex<(HashMap<u32, Process>, u64)>>);

impl Host {
    fn with<T>(&self, change: impl FnOnce(&mut (HashMap<u32, Process>, u64)) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn runs(&self, pid: u32, start_ticks: u64, name: &str) {
        let process = Process {
            pid,
            start_ticks,
            since: Nanos(0),
            name: name.into(),
            executable: format!("/bin/{name}").into(),
            ..Process::default()
        };
        self.with(|host| host.0.insert(pid, process));
    }

    /// A process, in the cgroup of this path.
    fn runs_in(&self, pid: u32, name: &str, cgroup: &str) {
        let process =
            Process { pid, start_ticks: 1, name: name.into(), cgroup: cgroup.into(), ..Process::default() };
        self.with(|host| host.0.insert(pid, process));
    }

    fn gone(&self, pid: u32) {
        self.with(|host| host.0.remove(&pid));
    }

    fn questions(&self) -> u64 {
        self.with(|host| host.1)
    }
}

impl ProcSource for Host {
    fn describe(&mut self, pid: u32, at: Nanos) -> Option<Process> {
        self.with(|host| {
            host.1 += 1;
            host.0.get(&pid).map(|process| Process { since: at, ..process.clone() })
        })
    }
}

fn identities(host: &Host, processes: usize, services: usize) -> Identities {
    Identities::new(Box::new(host.clone()), Limits { processes, services })
}

fn seconds(seconds: u64) -> Nanos {
    Nanos(1_000_000_000 * seconds)
}

fn comm(name: &str) -> [u8; COMM_LEN] {
    let mut comm = NO_COMM;
    comm[..name.len()].copy_from_slice(name.as_bytes());
    comm
}

fn exec(pid: u32, time: Nanos, name: &str) -> Exec {
    Exec { kind: Kind::Exec as u8, reserved: [0; 3], pid, time: time.0, comm: comm(name) }
}

fn exit(pid: u32, time: Nanos) -> Exit {
    Exit { kind: Kind::Exit as u8, reserved: [0; 3], pid, time: time.0 }
}

/// Plays a history, a step a line, and returns what it printed, a line each.
///
/// `+PID START NAME` runs a process, `-PID` ends one (in the source); `SECOND exec PID COMM` and `SECOND exit PID` are records;
/// `SECOND ask PID [COMM]` prints the service's name.
fn play(history: &str) -> (String, Identities, Host) {
    let host = Host::default();
    let mut identities = identities(&host, 100, 100);
    let mut printed = Vec::new();
    for line in history.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |word: &str| word.parse::<u32>().expect("a number");
        match words[..] {
            [pid, start, name] if pid.starts_with('+') => {
                host.runs(number(&pid[1..]), number(start).into(), name);
            }
            [pid] if pid.starts_with('-') => host.gone(number(&pid[1..])),
            [at, "exec", pid, path] => {
                identities.exec(&exec(number(pid), seconds(number(at).into()), path));
            }
            [at, "exit", pid] => {
                identities.exit(&exit(number(pid), seconds(number(at).into())));
            }
            [at, "ask", pid, ref hint @ ..] => {
                let hint = hint.first().map_or(NO_COMM, |name| comm(name));
                let id = identities.service_of(number(pid), &hint, seconds(number(at).into()));
                printed.push(identities.name(id).to_owned());
            }
            _ => panic!("not a step: {line}"),
        }
    }
    (printed.join(" "), identities, host)
}

#[test]
fn histories() {
    for (what, history, expected) in [
        ("a running process is asked about once", "+5 1 nginx\n1 ask 5\n-5\n2 ask 5", "nginx nginx"),
        ("nobody", "1 ask 5", "unknown_service"),
        ("a thread's name is better than nothing", "1 ask 5 worker\n1 ask 5", "worker worker"),
        ("a hint that comes later helps", "1 ask 5\n1 ask 5 worker", "unknown_service worker"),
        ("ignorance is short", "1 ask 5 wrk\n+5 1 nginx\n1 ask 5\n2 ask 5", "wrk wrk nginx"),
        ("no pid", "1 ask 0\n1 ask 0 curl\n1 ask 0", "unknown_service curl unknown_service"),
        ("an exec changes the name at once", "+5 1 sh\n1 ask 5\n+5 1 curl\n2 exec 5 x\n2 ask 5", "sh curl"),
        ("an exec record stands in for what is gone", "1 exec 5 curl\n1 ask 5", "curl"),
        ("exited, it keeps its name for a while", "+5 1 curl\n1 ask 5\n-5\n2 exit 5\n9 ask 5 x", "curl curl"),
        ("and loses it then", "+5 1 curl\n1 ask 5\n-5\n2 exit 5\n12 ask 5", "curl unknown_service"),
        ("a pid taken again by exec", "+5 1 a\n1 ask 5\n2 exit 5\n+5 9 b\n3 exec 5 b\n3 ask 5", "a b"),
        ("a pid taken again by fork", "+5 1 a\n1 ask 5\n2 exit 5\n+5 9 b\n3 ask 5\n12 ask 5", "a a b"),
        ("the old exit does not end the new", "+5 1 b\n3 exec 5 b\n2 exit 5\n-5\n100 ask 5", "b"),
        ("an exec without its exit before", "+5 1 a\n1 ask 5\n+5 9 b\n50 exec 5 b\n50 ask 5", "a b"),
        ("a lost exec is found out", "+5 1 a\n1 ask 5\n+5 1 b\n300 ask 5\n301 ask 5", "a a b"),
        ("a lost exit too", "+5 1 a\n1 ask 5\n-5\n301 ask 5\n310 ask 5\n311 ask 5", "a a a unknown_service"),
        ("a recheck that finds nothing new", "+5 1 a\n1 ask 5\n301 ask 5\n-5\n600 ask 5", "a a a"),
        ("asked for long after its exec", "+5 1 a\n1 exec 5 a\n+5 1 b\n400 ask 5", "b"),
    ] {
        assert_eq!(play(history).0, expected, "{what}");
    }
}

#[test]
fn what_is_known_is_not_asked_for_again() {
    let (_, mut identities, host) = play("+5 1 a\n1 ask 5\n1 ask 6");
    let before = host.questions();
    for second in 0..100 {
        identities.service_of(5, &comm("x"), seconds(1 + second));
    }
    identities.service_of(6, &NO_COMM, seconds(1));
    identities.service_of(6, &comm("x"), seconds(1));
    assert_eq!(host.questions(), before);
}

#[test]
fn exited_processes_go_first() {
    let host = Host::default();
    let mut identities = identities(&host, 4, 100);
    for pid in 1..=4 {
        host.runs(pid, 1, &format!("p{pid}"));
        identities.service_of(pid, &NO_COMM, seconds(1));
    }
    identities.exit(&exit(2, seconds(2)));
    identities.exit(&exit(3, seconds(2)));
    identities.exec(&exec(9, seconds(3), "new"));
    assert_eq!(identities.processes(), Fill { entries: 4, limit: 4 });
    assert_eq!(identities.counts().evicted, 1);
    let asked = host.questions();
    for (pid, name) in [(1, "p1"), (3, "p3"), (4, "p4"), (9, "new")] {
        let id = identities.service_of(pid, &NO_COMM, seconds(3));
        assert_eq!(identities.name(id), name);
    }
    assert_eq!(host.questions(), asked, "only the process that exited first was forgotten");
}

#[test]
fn a_full_table_of_running_processes_makes_room() {
    let host = Host::default();
    let mut identities = identities(&host, 16, 100);
    for pid in 1..=100 {
        host.runs(pid, 1, "same");
        let id = identities.service_of(pid, &NO_COMM, seconds(1));
        assert_eq!(identities.name(id), "same");
        assert!(identities.processes().entries <= 16);
    }
    assert_eq!(identities.processes().entries as u64 + identities.counts().evicted, 100);
    let id = identities.service_of(1, &NO_COMM, seconds(1));
    assert_eq!(identities.name(id), "same", "a forgotten process is described again");
}

#[test]
fn programs_that_never_speak_take_no_service() {
    let (_, identities, _) = play("1 exec 5 ls\n1 exec 6 grep\n1 exec 7 curl\n1 ask 7");
    assert_eq!(identities.processes().entries, 3);
    assert_eq!(identities.services().entries, 2);
}

#[test]
fn services_past_the_limit_are_unknown() {
    let host = Host::default();
    let mut identities = identities(&host, 100, 3);
    let names: Vec<Arc<str>> = (1..=5)
        .map(|pid| {
            host.runs(pid, 1, &format!("p{pid}"));
            let id = identities.service_of(pid, &NO_COMM, seconds(1));
            Arc::clone(&identities.service(id).name)
        })
        .collect();
    assert_eq!(names, ["p1", "p2", UNKNOWN_SERVICE, UNKNOWN_SERVICE, UNKNOWN_SERVICE].map(Arc::from));
    assert_eq!(identities.services(), Fill { entries: 3, limit: 3 });
    assert_eq!(identities.counts().services_refused, 3);
}

#[test]
fn a_recorder_gets_each_process_asked_for_once() {
    let host = Host::default();
    host.runs(5, 1, "sh");
    host.runs(6, 1, "other");
    let mut identities = identities(&host, 100, 100).for_recording();
    identities.exec(&exec(5, seconds(1), "sh"));
    host.runs(5, 1, "curl");
    identities.exec(&exec(5, seconds(2), "curl"));
    for second in 2..5 {
        identities.service_of(5, &NO_COMM, seconds(second));
        identities.service_of(404, &comm("hint"), seconds(second));
    }
    let taken: Vec<_> = identities.take_described().map(|p| (p.pid, p.name, p.since)).collect();
    assert_eq!(taken, [(5, "curl".into(), seconds(2))]);
    identities.service_of(6, &NO_COMM, seconds(5));
    identities.service_of(6, &NO_COMM, seconds(6));
    let taken: Vec<_> = identities.take_described().map(|p| (p.pid, p.name, p.since)).collect();
    assert_eq!(taken, [(6, "other".into(), seconds(5))]);
    assert_eq!(identities.take_described().count(), 0);
}

#[test]
fn a_replay_names_as_the_recording_did() {
    let steps = |identities: &mut Identities, host: Option<&Host>| {
        let mut names = Vec::new();
        let mut ask = |identities: &mut Identities, pid, second| {
            let id = identities.service_of(pid, &comm("thread"), seconds(second));
            names.push(identities.name(id).to_owned());
        };
        ask(identities, 5, 1);
        ask(identities, 404, 1);
        if let Some(host) = host {
            host.runs(5, 1, "after");
        }
        identities.exec(&exec(5, seconds(3), "script"));
        ask(identities, 5, 4);
        if let Some(host) = host {
            host.gone(5);
        }
        identities.exit(&exit(5, seconds(5)));
        ask(identities, 5, 6);
        names
    };
    let host = Host::default();
    host.runs(5, 1, "before");
    let mut recording = identities(&host, 100, 100).for_recording();
    let recorded = steps(&mut recording, Some(&host));
    assert_eq!(recorded, ["before", "thread", "after", "after"]);

    let mut source = Replayed::default();
    for process in recording.take_described() {
        let mut bytes = Vec::new();
        process.to_record(&mut bytes);
        source.insert(Process::from_record(&bytes).expect("a written process is read"));
    }
    let mut replay = Identities::new(Box::new(source), Limits::default());
    assert_eq!(steps(&mut replay, None), recorded);
}

proptest! {
    /// Whatever happens, the tables stay within their limits and a running process that is asked for long enough
    /// after all else has the name it runs under.
    #[test]
    fn memory_is_bounded(steps in vec((0..5_u8, 1..40_u32, 0..30_u64), 0..300)) {
        let host = Host::default();
        let mut identities = identities(&host, 8, 4).for_recording();
        for (step, pid, second) in steps {
            match step {
                0 => host.runs(pid, second, &format!("p{}", pid % 9)),
                1 => host.gone(pid),
                2 => identities.exec(&exec(pid, seconds(second), "x")),
                3 => identities.exit(&exit(pid, seconds(second))),
                _ => {
                    identities.service_of(pid, &NO_COMM, seconds(second));
                }
            }
            prop_assert!(identities.processes.len() <= 8);
            prop_assert!(identities.exits.len() <= 8);
            prop_assert!(identities.services().entries <= 4);
            prop_assert!(identities.described.as_ref().is_none_or(|waiting| waiting.len() <= 8));
        }
        host.runs(1, 1000, "x");
        let id = identities.service_of(1, &NO_COMM, seconds(1000));
        prop_assert!(["x", UNKNOWN_SERVICE].contains(&identities.name(id)));
        if identities.services().entries < 4 {
            prop_assert_eq!(identities.name(id), "x");
        }
    }
}
